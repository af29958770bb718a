"""The functions behind the layers, as in PyTorch's `torch.nn.functional`.

Most are the C++ functions themselves; what is written here takes `inplace`, or a `dim` that may be left
out, as PyTorch's versions do.
"""

from __future__ import annotations

import warnings
from typing import Any

from norch import _C
from norch._C import Tensor
from norch._C._nn import *  # noqa: F403

sigmoid = _C.sigmoid
tanh = _C.tanh
relu_ = _C.relu_


def relu(input: Tensor, inplace: bool = False) -> Tensor:
    """max(x, 0)."""
    return _C.relu_(input) if inplace else _C.relu(input)


def _implicit_dim(name: str, ndim: int) -> int:
    warnings.warn(
        f"Implicit dimension choice for {name} has been deprecated. Change the call to include dim=X as an argument.",
        stacklevel=3,
    )
    return 0 if ndim in (0, 1, 3) else 1


def softmax(input: Tensor, dim: int | None = None, _stacklevel: int = 3, dtype: Any = None) -> Tensor:
    """exp(x) / sum(exp(x)) along `dim`."""
    if dim is None:
        dim = _implicit_dim("softmax", input.ndim)
    return _C.softmax(input, dim, dtype)


def softmin(input: Tensor, dim: int | None = None, _stacklevel: int = 3, dtype: Any = None) -> Tensor:
    """softmax(-x) along `dim`."""
    if dim is None:
        dim = _implicit_dim("softmin", input.ndim)
    return _C.softmax(-input, dim, dtype)


def log_softmax(input: Tensor, dim: int | None = None, _stacklevel: int = 3, dtype: Any = None) -> Tensor:
    """log(softmax(x)) along `dim`."""
    if dim is None:
        dim = _implicit_dim("log_softmax", input.ndim)
    return _C.log_softmax(input, dim, dtype)
