"""norch: a deep-learning framework with PyTorch's API."""

import importlib as _importlib
from typing import Any as _Any

from norch import _C
from norch._C import *  # noqa: F403
from norch._tensor import as_tensor, is_tensor, set_printoptions
from norch import autograd
from norch.autograd.grad_mode import (
    enable_grad,
    inference_mode,
    is_grad_enabled,
    is_inference_mode_enabled,
    no_grad,
    set_grad_enabled,
)

__version__ = _C.__version__

# Submodules are imported when first used, so that `import norch` takes no time.
_LAZY = ("cuda", "nn", "optim", "random", "serialization", "utils")


def __getattr__(name: str) -> _Any:
    if name in _LAZY:
        return _importlib.import_module("norch." + name)
    if name in ("save", "load"):
        return getattr(_importlib.import_module("norch.serialization"), name)
    raise AttributeError(f"module 'norch' has no attribute '{name}'")


def __dir__() -> list[str]:
    return sorted({*globals(), *_LAZY, "save", "load"})
