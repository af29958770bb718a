"""Sizes, dtypes and checks of images that are tensors [..., C, H, W]."""

from __future__ import annotations

from typing import Any, Callable

import norch
from norch._C import Tensor

_FLOATS = (norch.float32, norch.float64)


def get_dimensions(img: Tensor) -> list[int]:
    if img.ndim < 2:
        raise TypeError("Tensor is not a torch image.")
    return [1 if img.ndim == 2 else img.shape[-3], *img.shape[-2:]]


def _check_channels(img: Tensor) -> int:
    channels = get_dimensions(img)[0]
    if channels not in (1, 3):
        raise TypeError(f"Input image tensor permitted channel values are [1, 3], but found {channels}")
    return channels


def _check_at_least_3d(img: Tensor) -> None:
    if img.ndim < 3:
        raise TypeError(f"Input image tensor should have at least 3 dimensions, but found {img.ndim}")


def _check_uint8(img: Tensor) -> None:
    if img.dtype != norch.uint8:
        raise TypeError(f"Only torch.uint8 image tensors are supported, but found {img.dtype}")


def max_value(dtype: Any) -> int:
    """The value of a full channel: 1 for floats, the greatest number for integers."""
    return 1 if dtype.is_floating_point or dtype == norch.bool else norch.iinfo(dtype).max


def _float_dtype(img: Tensor) -> Any:
    return img.dtype if img.is_floating_point() else norch.float32


def _as_floats(img: Tensor, function: Callable[[Tensor], Tensor], dtypes: Any = _FLOATS) -> Tensor:
    """function(img as [N, C, H, W] of one of `dtypes`), in img's dtype (integers: rounded) and number of dimensions."""
    batch = img.reshape(-1, *get_dimensions(img))
    result = function(batch if img.dtype in dtypes else batch.to(dtypes[0]))
    result = result.reshape(*img.shape[: max(img.ndim - 3, 0)], *result.shape[-min(img.ndim, 3) :])
    if result.dtype != img.dtype:
        result = (result if img.is_floating_point() else result.round()).to(img.dtype)
    return result


def convert_image_dtype(image: Tensor, dtype: Any) -> Tensor:
    if image.dtype == dtype:
        return image
    if image.is_floating_point():
        if dtype.is_floating_point:
            return image.to(dtype)
        if dtype in (norch.int32, norch.int64) and not (image.dtype == norch.float64 and dtype == norch.int32):
            raise RuntimeError(f"The cast from {image.dtype} to {dtype} cannot be performed safely.")
        # Just below the next power of two, so that every integer stands for an interval of the same length.
        return image.mul(max_value(dtype) + 1.0 - 1e-3).to(dtype)
    largest = max_value(image.dtype)
    if dtype.is_floating_point:
        return image.to(dtype) / float(largest)
    target = max_value(dtype)
    if largest > target:
        return norch.div(image, (largest + 1) // (target + 1), rounding_mode="floor").to(dtype)
    return image.to(dtype) * ((target + 1) // (largest + 1))
