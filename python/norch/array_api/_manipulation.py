"""Shapes and places of elements: manipulation and indexing functions of the array API standard."""

from __future__ import annotations

import norch
from norch import Tensor
from norch.array_api._dtypes import promoted

__all__ = [
    "broadcast_arrays",
    "broadcast_to",
    "concat",
    "expand_dims",
    "flip",
    "moveaxis",
    "permute_dims",
    "repeat",
    "reshape",
    "roll",
    "squeeze",
    "stack",
    "take",
    "take_along_axis",
    "tile",
    "unstack",
]


def broadcast_arrays(*arrays) -> list[Tensor]:
    """The arrays, broadcast to their common shape."""
    return list(norch.broadcast_tensors(*arrays)) if arrays else []


def broadcast_to(x, /, shape) -> Tensor:
    """x seen as an array of a larger shape."""
    return norch.broadcast_to(x, tuple(shape))


def concat(arrays, /, *, axis=0) -> Tensor:
    """The arrays one after the other along an axis; flattened first if it is None."""
    parts = promoted(*arrays)
    return norch.cat([p.reshape(-1) for p in parts], 0) if axis is None else norch.cat(parts, axis)


def expand_dims(x, /, axis) -> Tensor:
    """A new axis of size 1."""
    return x.unsqueeze(axis)


def flip(x, /, *, axis=None) -> Tensor:
    """The order of elements reversed along an axis, several, or all."""
    axes = range(x.ndim) if axis is None else (axis,) if isinstance(axis, int) else axis
    return norch.flip(x, tuple(axes))


def moveaxis(x, source, destination, /) -> Tensor:
    """Axes moved to other places."""
    return norch.movedim(x, source, destination)


def permute_dims(x, /, axes) -> Tensor:
    """The axes in another order."""
    return x.permute(tuple(axes))


def repeat(x, repeats, /, *, axis=None) -> Tensor:
    """Every element so often, along an axis or of the flattened array."""
    times = repeats.to(norch.int64) if isinstance(repeats, Tensor) else repeats
    return norch.repeat_interleave(x, times, dim=axis)


def reshape(x, /, shape, *, copy=None) -> Tensor:
    """The elements in another shape; `copy=False` raises where that needs a copy."""
    if copy is False:
        try:
            return x.view(tuple(shape))
        except RuntimeError as error:
            raise ValueError(f"reshape: copy=False, but {error}") from None
    return (x.clone() if copy else x).reshape(tuple(shape))


def roll(x, /, shift, *, axis=None) -> Tensor:
    """Elements moved along axes, or along the flattened array; what falls off comes in at the other end."""
    return norch.roll(x, shift, axis) if axis is not None else norch.roll(x.reshape(-1), shift, 0).reshape(x.shape)


def squeeze(x, /, axis) -> Tensor:
    """Without the given axes, which have size 1."""
    axes = (axis,) if isinstance(axis, int) else tuple(axis)
    for a in axes:
        if x.shape[a] != 1:
            raise ValueError(f"squeeze: axis {a} of shape {tuple(x.shape)} does not have size 1")
    return x.squeeze(axes) if axes else x


def stack(arrays, /, *, axis=0) -> Tensor:
    """The arrays along a new axis."""
    return norch.stack(promoted(*arrays), axis)


def take(x, indices, /, *, axis=None) -> Tensor:
    """The elements at 1-d indices along an axis, which may be left out for a 1-d x."""
    if axis is None:
        if x.ndim != 1:
            raise ValueError(f"take: axis is needed for an array of {x.ndim} dims")
        axis = 0
    return x[(slice(None),) * (axis % x.ndim) + (indices,)]


def take_along_axis(x, indices, /, *, axis=-1) -> Tensor:
    """The elements at an array of indices along an axis, one for every place of the others."""
    n = x.shape[axis]
    return norch.take_along_dim(x, norch.where(indices < 0, indices + n, indices).to(norch.int64), axis)


def tile(x, repetitions, /) -> Tensor:
    """The array so often along each axis."""
    return norch.tile(x, tuple(repetitions))


def unstack(x, /, *, axis=0) -> tuple[Tensor, ...]:
    """The arrays along an axis."""
    return tuple(x.unbind(axis))
