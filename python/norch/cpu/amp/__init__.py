"""The old names of `norch.amp` for 'cpu'."""

from .autocast_mode import autocast as autocast
from .grad_scaler import GradScaler as GradScaler
