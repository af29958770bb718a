"""Automatic mixed precision: `autocast` runs operations in the dtypes that suit them, `GradScaler` keeps small float16
gradients from vanishing.

>>> model = norch.nn.Linear(4, 2)
>>> with norch.autocast("cpu", dtype=norch.bfloat16):
...     out = model(norch.ones(1, 4))
>>> out.dtype, model.weight.dtype
(norch.bfloat16, norch.float32)
"""

from .autocast_mode import autocast as autocast
from .autocast_mode import autocast_decorator as autocast_decorator
from .autocast_mode import custom_bwd as custom_bwd
from .autocast_mode import custom_fwd as custom_fwd
from .autocast_mode import is_autocast_available as is_autocast_available
from .grad_scaler import GradScaler as GradScaler

__all__ = ["GradScaler", "autocast", "custom_bwd", "custom_fwd", "is_autocast_available"]
