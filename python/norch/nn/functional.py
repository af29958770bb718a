"""The functions behind the layers, as in PyTorch's `torch.nn.functional`.

Most are the C++ functions themselves; what is written here takes `inplace`, or a `dim` that may be left
out, as PyTorch's versions do.
"""

from __future__ import annotations

import warnings
from typing import Any, Sequence

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


def embedding(
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


def pad(input: Tensor, pad: Sequence[int], mode: str = "constant", value: float | None = None) -> Tensor:
    """Pads the last dims: `pad` is (before, after) of the last dim, then of the one before, and so on.

    mode: "constant" (with `value`, 0 by default; negative amounts crop), "reflect" (without repeating the
    edge), "replicate" (the edge) or "circular". Raises ValueError for another mode, RuntimeError for
    amounts that do not fit the input."""
    amounts = [int(p) for p in pad]
    if len(amounts) % 2:
        raise RuntimeError("Padding length must be divisible by 2")
    if len(amounts) > 2 * input.ndim:
        raise RuntimeError(
            f"Padding length should be less than or equal to two times the input dimension but got padding length "
            f"{len(amounts)} and input of dimension {input.ndim}"
        )
    pairs = [(input.ndim - 1 - i, amounts[2 * i], amounts[2 * i + 1]) for i in range(len(amounts) // 2)]
    if mode == "constant":
        return _pad_constant(input, pairs, 0.0 if value is None else value)
    if mode not in ("reflect", "replicate", "circular"):
        raise ValueError(f"Unrecognised padding mode {mode}")
    if value is not None and value != 0:
        raise ValueError(f'Padding mode "{mode}" doesn\'t take in value argument')
    for dim, before, after in pairs:
        if before or after:
            n = input.size(dim)
            index = _pad_index(mode, n, before, after, input, dim)
            input = input.index_select(dim, _C.tensor(index, dtype=_C.int64, device=input.device))
    return input


def _pad_constant(input: Tensor, pairs: list[tuple[int, int, int]], value: float) -> Tensor:
    shape = list(input.shape)
    for dim, before, after in pairs:
        keep = input.size(dim) + min(before, 0) + min(after, 0)
        shape[dim] += before + after
        if keep < 0 or shape[dim] < 0:
            raise RuntimeError(
                f"pad: amounts ({before}, {after}) crop more than dim {dim} of size {input.size(dim)} has"
            )
        input = input.narrow(dim, max(-before, 0), keep)
    out = inside = _C.full(shape, value, dtype=input.dtype, device=input.device)
    for dim, before, _ in pairs:
        inside = inside.narrow(dim, max(before, 0), input.size(dim))
    inside.copy_(input)
    return out


def _pad_index(mode: str, n: int, before: int, after: int, input: Tensor, dim: int) -> list[int]:
    """Which entry of a dim of size n each entry of the padded dim is."""
    at = range(-before, n + after)
    if mode == "replicate" and n > 0:
        return [min(max(i, 0), n - 1) for i in at]
    limit = n - 1 if mode == "reflect" else n
    if max(before, after) > limit:
        raise RuntimeError(
            f"Padding size should be less than the corresponding input dimension, but got: padding ({before}, {after}) "
            f"at dimension {dim} of input {list(input.shape)}"
        )
    if mode == "circular":
        return [i % n for i in at]
    return [-i if i < 0 else 2 * (n - 1) - i if i >= n else i for i in at]
