"""Transforms as functions: colours, blur, erasing."""

from __future__ import annotations

import warnings
from typing import Any

from norch._C import Tensor

from .._pillow import is_pil_image
from . import _tensor
from ._functional_kinds import InterpolationMode, _interpolation_mode, _of, pil_to_tensor, to_pil_image

__all__ = [
    "adjust_brightness",
    "adjust_contrast",
    "adjust_gamma",
    "adjust_hue",
    "adjust_saturation",
    "adjust_sharpness",
    "autocontrast",
    "elastic_transform",
    "equalize",
    "erase",
    "gaussian_blur",
    "invert",
    "posterize",
    "rgb_to_grayscale",
    "solarize",
    "to_grayscale",
]


def _check_factor(name: str, factor: float) -> None:
    if factor < 0:
        raise ValueError(f"{name} ({factor}) is not non-negative.")


def adjust_brightness(img: Any, brightness_factor: float) -> Any:
    """The image with its brightness times the factor: 0 is black, 1 the image."""
    _check_factor("brightness_factor", brightness_factor)
    return _of(img).adjust_brightness(img, brightness_factor)


def adjust_contrast(img: Any, contrast_factor: float) -> Any:
    """The image with its contrast times the factor: 0 is gray, 1 the image."""
    _check_factor("contrast_factor", contrast_factor)
    return _of(img).adjust_contrast(img, contrast_factor)


def adjust_saturation(img: Any, saturation_factor: float) -> Any:
    """The image with its saturation times the factor: 0 is black and white, 1 the image."""
    _check_factor("saturation_factor", saturation_factor)
    return _of(img).adjust_saturation(img, saturation_factor)


def adjust_hue(img: Any, hue_factor: float) -> Any:
    """The image with its colours turned on the colour wheel by `hue_factor` turns, from -0.5 to 0.5."""
    if not -0.5 <= hue_factor <= 0.5:
        raise ValueError(f"hue_factor ({hue_factor}) is not in [-0.5, 0.5].")
    return _of(img).adjust_hue(img, hue_factor)


def adjust_gamma(img: Any, gamma: float, gain: float = 1) -> Any:
    """gain * image^gamma, values being from 0 to 1."""
    if gamma < 0:
        raise ValueError("Gamma should be a non-negative real number")
    return _of(img).adjust_gamma(img, gamma, gain)


def adjust_sharpness(img: Any, sharpness_factor: float) -> Any:
    """The image made sharper: 0 is blurred, 1 the image, 2 twice as sharp."""
    _check_factor("sharpness_factor", sharpness_factor)
    return _of(img).adjust_sharpness(img, sharpness_factor)


def to_grayscale(img: Any, num_output_channels: int = 1) -> Any:
    """A PIL image in black and white, with 1 or 3 channels."""
    if not is_pil_image(img):
        raise TypeError("Input should be PIL Image")
    return rgb_to_grayscale(img, num_output_channels)


def rgb_to_grayscale(img: Any, num_output_channels: int = 1) -> Any:
    """The image in black and white, with 1 or 3 channels."""
    module = _of(img)
    if num_output_channels not in (1, 3):
        raise ValueError("num_output_channels should be either 1 or 3")
    return module.rgb_to_grayscale(img, num_output_channels)


def invert(img: Any) -> Any:
    """The negative of the image."""
    return _of(img).invert(img)


def posterize(img: Any, bits: int) -> Any:
    """The image with only the highest `bits` bits of each byte."""
    if not 0 <= bits <= 8:
        raise ValueError(f"The number if bits should be between 0 and 8. Got {bits}")
    return _of(img).posterize(img, bits)


def solarize(img: Any, threshold: float) -> Any:
    """The image with the values from `threshold` up inverted."""
    return _of(img).solarize(img, threshold)


def autocontrast(img: Any) -> Any:
    """The image with each channel stretched to the whole range."""
    return _of(img).autocontrast(img)


def equalize(img: Any) -> Any:
    """The image with each channel's values made about equally frequent."""
    return _of(img).equalize(img)


def erase(img: Tensor, i: int, j: int, h: int, w: int, v: Any, inplace: bool = False) -> Tensor:
    """The tensor image with the rectangle of h x w at (i, j) set to `v`."""
    if not isinstance(img, Tensor):
        raise TypeError(f"img should be Tensor Image. Got {type(img)}")
    return _tensor.erase(img, i, j, h, w, v, inplace)


def _by_tensor(img: Any, function: Any) -> Any:
    """function(image as a tensor), as the kind of image that `img` is."""
    if _of(img) is _tensor:
        return function(img)
    return to_pil_image(function(pil_to_tensor(img)), mode=img.mode)


def gaussian_blur(img: Any, kernel_size: Any, sigma: Any = None) -> Any:
    """The image blurred by a Gaussian kernel of `kernel_size` (one odd number, or [x, y]) pixels and standard deviation
    `sigma` (by default 0.15 * kernel_size + 0.35)."""
    if not isinstance(kernel_size, (int, list, tuple)):
        raise TypeError(f"kernel_size should be int or a sequence of integers. Got {type(kernel_size)}")
    sizes = [kernel_size, kernel_size] if isinstance(kernel_size, int) else list(kernel_size)
    if len(sizes) != 2:
        raise ValueError(f"If kernel_size is a sequence its length should be 2. Got {len(sizes)}")
    if any(size % 2 == 0 or size < 0 for size in sizes):
        raise ValueError(f"kernel_size should have odd and positive integers. Got {sizes}")
    if sigma is None:
        sigma = [size * 0.15 + 0.35 for size in sizes]
    if not isinstance(sigma, (int, float, list, tuple)):
        raise TypeError(f"sigma should be either float or sequence of floats. Got {type(sigma)}")
    sigmas = [float(sigma)] * 2 if isinstance(sigma, (int, float)) else list(sigma) * (2 if len(sigma) == 1 else 1)
    if len(sigmas) != 2:
        raise ValueError(f"If sigma is a sequence, its length should be 2. Got {len(sigmas)}")
    if any(s <= 0.0 for s in sigmas):
        raise ValueError(f"sigma should have positive values. Got {sigmas}")
    return _by_tensor(img, lambda t: _tensor.gaussian_blur(t, sizes, sigmas))


def elastic_transform(
    img: Any, displacement: Tensor, interpolation: Any = InterpolationMode.BILINEAR, fill: Any = None
) -> Any:
    """The image with each pixel moved by `displacement` [1, H, W, 2] (x, y; 2 is the whole width or height)."""
    if isinstance(interpolation, int):
        warnings.warn(
            "Argument interpolation should be of type InterpolationMode instead of int. "
            "Please, use InterpolationMode enum.",
            stacklevel=2,
        )
    mode = _interpolation_mode(interpolation).value
    if not isinstance(displacement, Tensor):
        raise TypeError("Argument displacement should be a Tensor")
    _, height, width = _of(img).get_dimensions(img)
    if tuple(displacement.shape) != (1, height, width, 2):
        raise ValueError(
            f"Argument displacement shape should be {(1, height, width, 2)}, but given {tuple(displacement.shape)}"
        )
    return _by_tensor(img, lambda t: _tensor.elastic_transform(t, displacement, mode, fill))
