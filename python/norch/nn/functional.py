"""The functions behind the layers, as in PyTorch's `torch.nn.functional`.

Most are the C++ functions themselves; what is written here takes `inplace`, or a `dim` that may be left
out, as PyTorch's versions do.
"""

from __future__ import annotations

import math
import warnings
from collections.abc import Callable
from importlib import import_module as _import_module
from typing import Any

from norch import _C
from norch._C import Tensor
from norch._C._nn import *  # noqa: F403
from norch.autograd import no_grad
from norch.nn._attention import _in_projection as _in_projection
from norch.nn._attention import _in_projection_packed as _in_projection_packed
from norch.nn._attention import multi_head_attention_forward as multi_head_attention_forward

sigmoid = _C.sigmoid
tanh = _C.tanh
relu_ = _C.relu_


def relu(input: Tensor, inplace: bool = False) -> Tensor:
    """max(x, 0).

    >>> F.relu(norch.tensor([-1., 2.]))
    tensor([0., 2.])
    """
    return _C.relu_(input) if inplace else _C.relu(input)


def _get_softmax_dim(name: str, ndim: int, stacklevel: int = 4) -> int:
    warnings.warn(
        f"Implicit dimension choice for {name} has been deprecated. Change the call to include dim=X as an argument.",
        stacklevel=stacklevel,
    )
    return 0 if ndim in (0, 1, 3) else 1


def _verify_batch_size(size: Any) -> None:
    if size[0] * math.prod(size[2:]) == 1:  # a channel's only value has no variance
        raise ValueError(f"Expected more than 1 value per channel when training, got input size {size}")


def softmax(  # type: ignore[no-redef]
    input: Tensor, dim: int | None = None, _stacklevel: int = 3, dtype: Any = None
) -> Tensor:
    """exp(x) / sum(exp(x)) along `dim`.

    >>> F.softmax(norch.tensor([0., 0.]), dim=0)
    tensor([0.5000, 0.5000])
    """
    if dim is None:
        dim = _get_softmax_dim("softmax", input.ndim, 3)
    return _C.softmax(input, dim, dtype)


def softmin(input: Tensor, dim: int | None = None, _stacklevel: int = 3, dtype: Any = None) -> Tensor:
    """softmax(-x) along `dim`.

    >>> F.softmin(norch.tensor([0., 0.]), dim=0)
    tensor([0.5000, 0.5000])
    """
    if dim is None:
        dim = _get_softmax_dim("softmin", input.ndim, 3)
    return _C.softmax(-input, dim, dtype)


def log_softmax(  # type: ignore[no-redef]
    input: Tensor, dim: int | None = None, _stacklevel: int = 3, dtype: Any = None
) -> Tensor:
    """log(softmax(x)) along `dim`.

    >>> F.log_softmax(norch.zeros(2), dim=0)
    tensor([-0.6931, -0.6931])
    """
    if dim is None:
        dim = _get_softmax_dim("log_softmax", input.ndim, 3)
    return _C.log_softmax(input, dim, dtype)


def _shorten_rows(weight: Tensor, index: Tensor, max_norm: float, norm_type: float) -> None:
    with no_grad():
        at = index.reshape(-1)
        rows = weight[at]
        norms = rows.norm(norm_type, 1, keepdim=True)
        # A row that is looked up twice is written twice, with the same values.
        weight[at] = _C.where(norms > max_norm, rows * (max_norm / (norms + 1e-7)), rows)


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
    looked up and longer than that (in the norm `norm_type`) are first shortened to it, in place. With `sparse` the
    gradient of the table is a sparse tensor: rows and their numbers.

    >>> F.embedding(norch.tensor([1, 0]), norch.tensor([[0., 1.], [2., 3.]]))
    tensor([[2., 3.],
            [0., 1.]])
    """
    if padding_idx is not None:
        if not -weight.size(0) <= padding_idx < weight.size(0):
            raise AssertionError("Padding_idx must be within num_embeddings")
        padding_idx %= weight.size(0)
    if max_norm is not None:
        _shorten_rows(weight, input, max_norm, norm_type)
    return _C._nn.embedding(input, weight, padding_idx, scale_grad_by_freq, sparse)


def normalize(  # type: ignore[no-redef]
    input: Tensor, p: float = 2.0, dim: int = 1, eps: float = 1e-12, out: Tensor | None = None
) -> Tensor:
    """input / max(|input|, eps), the p-norm along `dim`; written to `out` if that is given.

    >>> F.normalize(norch.tensor([[3.0, 4.0]]))
    tensor([[0.6000, 0.8000]])
    """
    return _C._nn.normalize(input, p, dim, eps, out=out)


def glu(input: Tensor, dim: int = -1) -> Tensor:
    """a * sigmoid(b), where a and b are the halves of the input along `dim`.

    >>> F.glu(norch.tensor([1., 2., 0., 0.]))
    tensor([0.5000, 1.0000])
    """
    if input.ndim == 0:
        raise RuntimeError("glu does not support 0-dimensional tensors")
    if input.size(dim) % 2 != 0:
        raise RuntimeError(f"Halving dimension must be even, but dimension {dim} is size {input.size(dim)}")
    a, b = input.chunk(2, dim)
    return a * b.sigmoid()


def embedding_bag(
    input: Tensor,
    weight: Tensor,
    offsets: Tensor | None = None,
    max_norm: float | None = None,
    norm_type: float = 2.0,
    scale_grad_by_freq: bool = False,
    mode: str = "mean",
    sparse: bool = False,
    per_sample_weights: Tensor | None = None,
    include_last_offset: bool = False,
    padding_idx: int | None = None,
) -> Tensor:
    """The sum, mean or maximum (`mode`) of the rows of each bag of indices: a row of a 2-d input, or a part of a
    1-d one that begins at one of `offsets` (with `include_last_offset` the last of those is the end). Empty bags
    give zeros; `padding_idx` leaves indices out; with `sparse` the gradient of the table is a sparse tensor.

        >>> table = norch.tensor([[1., 2.], [3., 4.], [5., 6.]])
        >>> F.embedding_bag(norch.tensor([0, 1, 2]), table, norch.tensor([0, 1]), mode="sum")
        tensor([[ 1.,  2.],
                [ 8., 10.]])
    """
    if weight.dtype == _C.int64 and input.is_floating_point():
        warnings.warn(
            "Argument order of nn.functional.embedding_bag was changed. Usage `embedding_bag(weight, input, ...)` is "
            "deprecated, and should now be `embedding_bag(input, weight, ...)`.",
            stacklevel=2,
        )
        weight, input = input, weight
    if mode == "max" and sparse:
        raise ValueError("max mode does not support sparse weights")
    if padding_idx is not None and not -weight.size(0) <= padding_idx < weight.size(0):
        raise RuntimeError("embedding_bag: padding_idx must be within num_embeddings")
    if max_norm is not None:
        _shorten_rows(weight, input, max_norm, norm_type)
    return _C._nn._embedding_bag(
        input, weight, offsets, mode, scale_grad_by_freq, per_sample_weights, include_last_offset, padding_idx, sparse
    )


def _no_align_corners(align_corners: bool | None) -> bool:
    if align_corners is None:
        warnings.warn(
            "Default grid_sample and affine_grid behavior has changed to align_corners=False since 1.3.0. Please "
            "specify align_corners=True if the old behavior is desired. See the documentation of grid_sample for details.",
            stacklevel=3,
        )
    return bool(align_corners)


def grid_sample(
    input: Tensor,
    grid: Tensor,
    mode: str = "bilinear",
    padding_mode: str = "zeros",
    align_corners: bool | None = None,
) -> Tensor:
    """The images (N, C, H, W) at the positions `grid` (N, Ho, Wo, 2), whose last dim is (x, y) in [-1, 1]; 5-d
    likewise with (x, y, z). mode: 'bilinear', 'nearest', 'bicubic'; padding_mode, for positions outside:
    'zeros', 'border', 'reflection'.

        >>> image = norch.tensor([[[[0., 1.], [2., 3.]]]])
        >>> F.grid_sample(image, norch.zeros(1, 1, 1, 2), align_corners=False)
        tensor([[[[1.5000]]]])
    """
    return _C._nn._grid_sample(input, grid, mode, padding_mode, _no_align_corners(align_corners))


def affine_grid(theta: Tensor, size: Any, align_corners: bool | None = None) -> Tensor:
    """The positions for `grid_sample` of the pixels of an image of `size` (N, C, H, W) under the affine maps theta
    (N, 2, 3), or (N, C, D, H, W) and (N, 3, 4).

    >>> F.affine_grid(norch.tensor([[[1., 0., 0.], [0., 1., 0.]]]), (1, 1, 1, 2), align_corners=True)
    tensor([[[[-1.,  0.],
              [ 1.,  0.]]]])
    """
    return _C._nn._affine_grid(theta, tuple(size), _no_align_corners(align_corners))


def upsample(
    input: Tensor, size: Any = None, scale_factor: Any = None, mode: str = "nearest", align_corners: bool | None = None
) -> Tensor:
    """`interpolate`, by its old name."""
    warnings.warn("`nn.functional.upsample` is deprecated. Use `nn.functional.interpolate` instead.", stacklevel=2)
    return _C._nn.interpolate(input, size, scale_factor, mode, align_corners)


def upsample_nearest(input: Tensor, size: Any = None, scale_factor: Any = None) -> Tensor:
    """`interpolate(mode='nearest')`, by its old name."""
    warnings.warn(
        "`nn.functional.upsample_nearest` is deprecated. Use `nn.functional.interpolate` instead.", stacklevel=2
    )
    return _C._nn.interpolate(input, size, scale_factor, "nearest")


def upsample_bilinear(input: Tensor, size: Any = None, scale_factor: Any = None) -> Tensor:
    """`interpolate(mode='bilinear', align_corners=True)`, by its old name."""
    warnings.warn(
        "`nn.functional.upsample_bilinear` is deprecated. Use `nn.functional.interpolate` instead.", stacklevel=2
    )
    return _C._nn.interpolate(input, size, scale_factor, "bilinear", True)


def triplet_margin_with_distance_loss(
    anchor: Tensor,
    positive: Tensor,
    negative: Tensor,
    *,
    distance_function: Callable[[Tensor, Tensor], Tensor] | None = None,
    margin: float = 1.0,
    swap: bool = False,
    reduction: str = "mean",
) -> Tensor:
    """max(0, d(a, p) - d(a, n) + margin) for any distance d (default: `pairwise_distance`); `swap` takes the smaller
    of d(a, n) and d(p, n)."""
    if reduction not in ("mean", "sum", "none"):
        raise ValueError(f"{reduction} is not a valid value for reduction")
    if margin <= 0:
        raise ValueError(f"margin must be greater than 0, got {margin}")
    if not anchor.ndim == positive.ndim == negative.ndim:
        raise RuntimeError(
            "The anchor, positive, and negative tensors are expected to have the same number of dimensions, but got: "
            f"anchor {anchor.ndim}D, positive {positive.ndim}D, and negative {negative.ndim}D inputs"
        )
    d = distance_function or _C.pairwise_distance
    near, far = d(anchor, positive), d(anchor, negative)
    if swap:
        far = _C.minimum(far, d(positive, negative))
    losses = _C.clamp_min(margin + near - far, 0)
    return losses if reduction == "none" else losses.sum() if reduction == "sum" else losses.mean()


def linear_cross_entropy(
    input: Tensor,
    linear_weight: Tensor,
    target: Tensor,
    *,
    linear_bias: Tensor | None = None,
    weight: Tensor | None = None,
    reduction: str = "mean",
    ignore_index: int | None = None,
    label_smoothing: float = 0.0,
    options: Any = None,
) -> Tensor:
    """`cross_entropy(linear(input, linear_weight, linear_bias), target, ...)`: input (in) or (N, in), linear_weight
    (C, in) or (C, d1, ..., in).

    `options` (:class:`norch.nn.LinearCrossEntropyOptions`) works on some rows at a time, so that the scores are
    never in memory as a whole; it needs class indices, a 2-d linear_weight and no label smoothing.

        >>> F.linear_cross_entropy(norch.zeros(2, 3), norch.zeros(4, 3), norch.tensor([0, 1]))
        tensor(1.3863)
    """
    rows = 0
    if options is not None:
        if linear_weight.ndim != 2 or label_smoothing != 0 or target.dtype != _C.int64:
            warnings.warn(
                "linear_cross_entropy: options are ignored; they need label_smoothing == 0, target.dtype == int64 and a "
                f"2-d linear_weight, but got {label_smoothing}, {target.dtype} and {tuple(linear_weight.shape)}",
                stacklevel=2,
            )
        else:
            rows = _rows_at_a_time(options, input, linear_weight)
    return _C._nn._linear_cross_entropy(
        input, linear_weight, target, linear_bias, weight, reduction, ignore_index, label_smoothing, rows
    )


def _rows_at_a_time(options: Any, input: Tensor, linear_weight: Tensor) -> int:
    """As many rows as the options say, or such that their scores take as much memory as the input."""
    batch = input.size(0) if input.ndim == 2 else 1
    if options.batch_chunk_size is not None:
        return int(options.batch_chunk_size)
    if options.chunking_method is None or batch == 0:
        return max(batch, 1)
    _, _, parts = options.chunking_method.partition(":")
    ratio = -(-linear_weight.size(0) // max(linear_weight.size(1), 1))
    rows = 1 << (-(-batch // max(ratio, 1)) - 1).bit_length()
    return max(rows // int(parts or 1), 1)


def gumbel_softmax(
    logits: Tensor, tau: float = 1, hard: bool = False, eps: float = 1e-10, dim: int = -1
) -> Tensor:
    """softmax((logits + g) / tau) with Gumbel noise g ("Categorical Reparameterization with Gumbel-Softmax", 2016).
    `hard` gives one-hot samples whose gradient is that of the soft ones. `eps` is not used.

    >>> F.gumbel_softmax(norch.zeros(2, 3), hard=True).sum(1)
    tensor([1., 1.])
    """
    noise = -_C.empty_like(logits, memory_format=_C.contiguous_format).exponential_().log()  # drawn in row-major order
    soft = _C.softmax((logits + noise) / tau, dim)
    if not hard:
        return soft
    one = _C.zeros_like(logits, memory_format=_C.contiguous_format).scatter_(dim, soft.argmax(dim, keepdim=True), 1.0)
    return one - soft.detach() + soft


def conv_tbc(input: Tensor, weight: Tensor, bias: Tensor, pad: int = 0) -> Tensor:
    """A 1-d convolution of (T, N, C) by a weight (kernel, C, out).

    >>> F.conv_tbc(norch.ones(3, 1, 2), norch.ones(2, 2, 1), norch.zeros(1)).flatten()
    tensor([4., 4.])
    """
    return _C.conv1d(input.permute(1, 2, 0), weight.permute(2, 1, 0), bias, padding=pad).permute(2, 0, 1)


def fractional_max_pool2d_with_indices(
    input: Tensor,
    kernel_size: Any,
    output_size: Any = None,
    output_ratio: Any = None,
    return_indices: bool = False,
    _random_samples: Tensor | None = None,
) -> Any:
    """`fractional_max_pool2d(..., return_indices=True)`.

    >>> F.fractional_max_pool2d_with_indices(norch.ones(1, 1, 4, 4), 2, output_size=2)[0].shape
    norch.Size([1, 1, 2, 2])
    """
    return _C._nn.fractional_max_pool2d(input, kernel_size, output_size, output_ratio, True, _random_samples)


def fractional_max_pool3d_with_indices(
    input: Tensor,
    kernel_size: Any,
    output_size: Any = None,
    output_ratio: Any = None,
    return_indices: bool = False,
    _random_samples: Tensor | None = None,
) -> Any:
    """`fractional_max_pool3d(..., return_indices=True)`.

    >>> F.fractional_max_pool3d_with_indices(norch.ones(1, 1, 4, 4, 4), 2, output_size=2)[0].shape
    norch.Size([1, 1, 2, 2, 2])
    """
    return _C._nn.fractional_max_pool3d(input, kernel_size, output_size, output_ratio, True, _random_samples)


#: Names that PyTorch's module has from elsewhere, and programs reach for here.
_ELSEWHERE = {
    **dict.fromkeys(("_canonical_mask", "_mha_shape_check", "_none_or_dtype"), "norch.nn._attention"),
    **dict.fromkeys(("_single", "_pair", "_triple", "_list_with_default"), "norch.nn.modules.utils"),
    **dict.fromkeys(
        ("handle_torch_function", "has_torch_function", "has_torch_function_unary", "has_torch_function_variadic"),
        "norch.overrides",
    ),
}


def __getattr__(name: str) -> Any:
    if name == "_Reduction":
        return _import_module("norch.nn._reduction")
    if name in _ELSEWHERE:
        return getattr(_import_module(_ELSEWHERE[name]), name)
    raise AttributeError(f"module 'norch.nn.functional' has no attribute '{name}'")
