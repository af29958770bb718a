"""Data loading, safetensors, hook handles."""

from . import data as data
from . import hooks as hooks
