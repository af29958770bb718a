"""Data loading, checkpointing, safetensors, TensorBoard, hook handles."""

from importlib import import_module as _import_module
from typing import Any as _Any

from . import data as data
from . import hooks as hooks

_LAZY = (
    "_foreach_utils",
    "_pytree",
    "backcompat",
    "benchmark",
    "checkpoint",
    "collect_env",
    "dlpack",
    "flop_counter",
    "model_zoo",
    "safetensors",
    "tensorboard",
)


def __getattr__(name: str) -> _Any:
    if name in _LAZY:
        return _import_module("norch.utils." + name)
    raise AttributeError(f"module 'norch.utils' has no attribute '{name}'")
