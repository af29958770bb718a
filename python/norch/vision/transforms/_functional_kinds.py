"""Transforms as functions: what kind of image it is, and from one kind to another."""

from __future__ import annotations

import sys
from enum import Enum
from typing import Any

import numpy as np

import norch
from norch._C import Tensor

from .._pillow import image_from_array
from .._pillow import is_pil_image as _is_pil_image
from . import _pil, _tensor

__all__ = [
    "InterpolationMode",
    "convert_image_dtype",
    "get_dimensions",
    "get_image_num_channels",
    "get_image_size",
    "normalize",
    "pil_modes_mapping",
    "pil_to_tensor",
    "to_pil_image",
    "to_tensor",
]


class InterpolationMode(Enum):
    """How pixels between pixels are computed. BOX, HAMMING and LANCZOS are for PIL images only."""

    NEAREST = "nearest"
    NEAREST_EXACT = "nearest-exact"
    BILINEAR = "bilinear"
    BICUBIC = "bicubic"
    BOX = "box"
    HAMMING = "hamming"
    LANCZOS = "lanczos"


pil_modes_mapping = {
    InterpolationMode.NEAREST: 0,
    InterpolationMode.BILINEAR: 2,
    InterpolationMode.BICUBIC: 3,
    InterpolationMode.NEAREST_EXACT: 0,
    InterpolationMode.BOX: 4,
    InterpolationMode.HAMMING: 5,
    InterpolationMode.LANCZOS: 1,
}
_MODES_BY_NUMBER = {
    number: mode for mode, number in pil_modes_mapping.items() if mode is not InterpolationMode.NEAREST_EXACT
}


def _interpolation_mode(interpolation: Any) -> InterpolationMode:
    """The mode, also from Pillow's number."""
    if isinstance(interpolation, InterpolationMode):
        return interpolation
    if isinstance(interpolation, int) and interpolation in _MODES_BY_NUMBER:
        return _MODES_BY_NUMBER[interpolation]
    raise TypeError("Argument interpolation should be a InterpolationMode or a corresponding Pillow integer constant")


def _of(img: Any) -> Any:
    """The module that has the functions for this kind of image."""
    if isinstance(img, Tensor):
        if img.ndim < 2:
            raise TypeError("Tensor is not a torch image.")
        return _tensor
    if _is_pil_image(img):
        return _pil
    raise TypeError(f"img should be PIL Image or Tensor. Got {type(img)}")


def _mode_for(img: Any, interpolation: Any) -> Any:
    mode = _interpolation_mode(interpolation)
    return mode.value if isinstance(img, Tensor) else pil_modes_mapping[mode]


def _pair(size: Any, message: str = "Please provide only two dimensions (h, w) for size.") -> Any:
    if isinstance(size, (int, float)):
        return int(size), int(size)
    if len(size) == 1:
        return size[0], size[0]
    if len(size) != 2:
        raise ValueError(message)
    return size


def get_dimensions(img: Any) -> list[int]:
    """[channels, height, width]."""
    if not isinstance(img, Tensor) and not _is_pil_image(img):
        raise TypeError(f"Unexpected type {type(img)}")
    return _of(img).get_dimensions(img)


def get_image_size(img: Any) -> list[int]:
    """[width, height]."""
    _, height, width = get_dimensions(img)
    return [width, height]


def get_image_num_channels(img: Any) -> int:
    """The number of channels."""
    return get_dimensions(img)[0]


def _pixels(pic: Any, dtype: Any = None) -> Tensor:
    """A PIL image's pixels, copied, as [C, H, W]."""
    if len(pic.getbands()) == 1:
        return norch.from_numpy(np.array(pic, dtype, copy=True)).unsqueeze(0)
    # Pillow hands out channels one by one much faster than pixels of several channels.
    return norch.from_numpy(np.stack([np.asarray(band) for band in pic.split()]))


def to_tensor(pic: Any) -> Tensor:
    """A PIL image, or an array [H, W, C] or [H, W], as a tensor [C, H, W]; bytes become floats in [0, 1]."""
    if isinstance(pic, np.ndarray):
        if pic.ndim not in (2, 3):
            raise ValueError(f"pic should be 2/3 dimensional. Got {pic.ndim} dimensions.")
        img = norch.from_numpy(np.ascontiguousarray((pic[:, :, None] if pic.ndim == 2 else pic).transpose(2, 0, 1)))
    elif _is_pil_image(pic):
        dtypes = {"I": np.int32, "I;16": np.int16, "I;16B": np.int16, "F": np.float32}
        img = _pixels(pic, dtypes.get(pic.mode, np.uint8))
        if pic.mode == "1":
            img = 255 * img
    else:
        raise TypeError(f"pic should be PIL Image or ndarray. Got {type(pic)}")
    return img.to(norch.get_default_dtype()).div_(255) if img.dtype == norch.uint8 else img


def pil_to_tensor(pic: Any) -> Tensor:
    """A PIL image as a tensor [C, H, W] of the image's own dtype."""
    if not _is_pil_image(pic):
        raise TypeError(f"pic should be PIL Image. Got {type(pic)}")
    return _pixels(pic)


def convert_image_dtype(image: Tensor, dtype: Any = norch.float32) -> Tensor:
    """The image in another dtype, with its values scaled: floats in [0, 1], integers from 0 to the greatest."""
    if not isinstance(image, Tensor):
        raise TypeError("Input img should be Tensor Image")
    return _tensor.convert_image_dtype(image, dtype)


_MODES_BY_CHANNELS = {2: ["LA"], 3: ["RGB", "YCbCr", "HSV"], 4: ["RGBA", "CMYK", "RGBX"]}


def to_pil_image(pic: Any, mode: str | None = None) -> Any:
    """A tensor [C, H, W] or [H, W], or an array [H, W, C] or [H, W], as a PIL image. Floats are multiplied by 255
    (unless `mode` is "F"); `mode` names the colour space where the number of channels leaves a choice."""
    if isinstance(pic, Tensor):
        pic = (pic.permute(1, 2, 0) if pic.ndim == 3 else pic).numpy(force=True)
    elif not isinstance(pic, np.ndarray):
        raise TypeError(f"pic should be Tensor or ndarray. Got {type(pic)}.")
    if pic.ndim not in (2, 3):
        raise ValueError(f"pic should be 2/3 dimensional. Got {pic.ndim} dimensions.")
    array = pic[:, :, None] if pic.ndim == 2 else pic
    channels = array.shape[2]
    if channels > 4:
        raise ValueError(f"pic should not have > 4 channels. Got {channels} channels.")
    if np.issubdtype(array.dtype, np.floating) and mode != "F":
        array = (array * 255).astype(np.uint8)
    if channels == 1:
        array = array[:, :, 0]
        int16 = "I;16" if sys.byteorder == "little" else "I;16B"
        known: Any = {np.dtype(np.uint8): "L", np.dtype(np.int16): int16, np.dtype(np.int32): "I"}
        known[np.dtype(np.float32)] = "F"
        expected = known.get(array.dtype)
        if mode is not None and mode != expected:
            raise ValueError(f"Incorrect mode ({mode}) supplied for input type {array.dtype}. Should be {expected}")
        mode = expected
    else:
        permitted = _MODES_BY_CHANNELS[channels]
        if mode is not None and mode not in permitted:
            raise ValueError(f"Only modes {permitted} are supported for {channels}D inputs")
        if mode is None and array.dtype == np.uint8:
            mode = permitted[0]
    if mode is None:
        raise TypeError(f"Input type {array.dtype} is not supported")
    return image_from_array(array, mode)


def normalize(tensor: Tensor, mean: Any, std: Any, inplace: bool = False) -> Tensor:
    """(tensor - mean) / std for each channel."""
    if not isinstance(tensor, Tensor):
        raise TypeError(f"img should be Tensor Image. Got {type(tensor)}")
    return _of(tensor).normalize(tensor, mean, std, inplace)
