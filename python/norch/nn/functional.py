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
from norch.autograd import no_grad

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


def embedding(  # type: ignore[no-redef]
    input: Tensor,
    weight: Tensor,
    padding_idx: int | None = None,
    max_norm: float | None = None,
    norm_type: float = 2.0,
    scale_grad_by_freq: bool = False,
    sparse: bool = False,
) -> Tensor:
    """Rows of a (n, d) table. The row `padding_idx` gets no gradient; with `max_norm`, rows that are
    looked up and longer than that (in the norm `norm_type`) are first shortened to it, in place."""
    if sparse:
        raise NotImplementedError("embedding: sparse gradients are not supported; use sparse=False")
    if padding_idx is not None:
        if not -weight.size(0) <= padding_idx < weight.size(0):
            raise AssertionError("Padding_idx must be within num_embeddings")
        padding_idx %= weight.size(0)
    if max_norm is not None:
        with no_grad():
            at = input.reshape(-1)
            rows = weight[at]
            norms = rows.norm(norm_type, 1, keepdim=True)
            # A row that is looked up twice is written twice, with the same values.
            weight[at] = _C.where(norms > max_norm, rows * (max_norm / (norms + 1e-7)), rows)
    return _C._nn.embedding(input, weight, padding_idx, scale_grad_by_freq)


def glu(input: Tensor, dim: int = -1) -> Tensor:
    """a * sigmoid(b), where a and b are the halves of the input along `dim`."""
    if input.ndim == 0:
        raise RuntimeError("glu does not support 0-dimensional tensors")
    if input.size(dim) % 2 != 0:
        raise RuntimeError(f"Halving dimension must be even, but dimension {dim} is size {input.size(dim)}")
    a, b = input.chunk(2, dim)
    return a * b.sigmoid()


def prelu(input: Tensor, weight: Tensor) -> Tensor:
    """x where x >= 0, weight * x elsewhere; weight has one value, or one per channel (dim 1)."""
    if weight.ndim > 1 or (weight.numel() != 1 and (input.ndim < 2 or weight.numel() != input.size(1))):
        raise RuntimeError(
            f"prelu: weight must have one value or one per channel, but has shape {tuple(weight.shape)} for an input "
            f"of shape {tuple(input.shape)}"
        )
    if weight.numel() != 1:
        weight = weight.view(-1, *(1,) * (input.ndim - 2))
    return _C.where(input >= 0, input, weight * input)
