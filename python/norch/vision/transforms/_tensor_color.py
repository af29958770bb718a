"""The transforms of colours of images that are tensors [..., C, H, W], in norch's operations."""

from __future__ import annotations


import norch
import norch.nn.functional as F
from norch._C import Tensor

from ._tensor_kinds import (
    _as_floats,
    _check_at_least_3d,
    _check_channels,
    _check_uint8,
    _float_dtype,
    convert_image_dtype,
    max_value,
)


def rgb_to_grayscale(img: Tensor, num_output_channels: int) -> Tensor:
    _check_at_least_3d(img)
    if _check_channels(img) == 3:
        r, g, b = img.unbind(-3)
        # ITU-R 601's luma, with torchvision's digits.
        gray = (0.2989 * r + 0.587 * g + 0.114 * b).to(img.dtype).unsqueeze(-3)
    else:
        gray = img.clone()
    if num_output_channels == 3:
        return gray.expand(*img.shape[:-3], 3, *img.shape[-2:])
    return gray


def _blend(img: Tensor, other: Tensor, ratio: float) -> Tensor:
    return (ratio * img + (1.0 - ratio) * other).clamp(0, max_value(img.dtype)).to(img.dtype)


def adjust_brightness(img: Tensor, brightness_factor: float) -> Tensor:
    _check_channels(img)
    return _blend(img, norch.zeros_like(img), float(brightness_factor))


def adjust_contrast(img: Tensor, contrast_factor: float) -> Tensor:
    gray = rgb_to_grayscale(img, 1) if _check_channels(img) == 3 else img
    mean = gray.to(_float_dtype(img)).mean(dim=tuple(range(-min(img.ndim, 3), 0)), keepdim=True)
    return _blend(img, mean, float(contrast_factor))


def adjust_saturation(img: Tensor, saturation_factor: float) -> Tensor:
    if _check_channels(img) == 1:
        return img
    return _blend(img, rgb_to_grayscale(img, 1), float(saturation_factor))


def adjust_sharpness(img: Tensor, sharpness_factor: float) -> Tensor:
    channels = _check_channels(img)
    if img.shape[-1] <= 2 or img.shape[-2] <= 2:
        return img
    kernel = norch.ones(3, 3, dtype=_float_dtype(img), device=img.device)
    kernel[1, 1] = 5.0
    kernel = (kernel / kernel.sum()).expand(channels, 1, 3, 3)
    blurred = img.clone()
    blurred[..., 1:-1, 1:-1] = _as_floats(img, lambda x: F.conv2d(x, kernel, groups=channels), (kernel.dtype,))
    return _blend(img, blurred, float(sharpness_factor))


def adjust_gamma(img: Tensor, gamma: float, gain: float) -> Tensor:
    _check_channels(img)
    level = img if img.is_floating_point() else convert_image_dtype(img, norch.float32)
    return convert_image_dtype((gain * level.pow(gamma)).clamp(0, 1), img.dtype)


def _rgb_to_hsv(img: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """Hue, saturation and value, each in [0, 1], as Pillow computes them."""
    r, g, b = img.unbind(-3)
    largest = img.amax(-3)
    spread = largest - img.amin(-3)
    gray = spread == 0
    saturation = spread / norch.where(gray, 1.0, largest)
    divisor = norch.where(gray, 1.0, spread)
    rc, gc, bc = ((largest - channel) / divisor for channel in (r, g, b))
    is_r = largest == r
    is_g = (largest == g) & ~is_r
    is_b = ~is_r & (largest != g)
    hue = is_r * (bc - gc) + is_g * (2.0 + rc - bc) + is_b * (4.0 + gc - rc)
    return norch.fmod(hue / 6.0 + 1.0, 1.0), saturation, largest


def _hsv_to_rgb(hue: Tensor, saturation: Tensor, value: Tensor) -> Tensor:
    sector = norch.floor(hue * 6.0)
    f = hue * 6.0 - sector
    p = (value * (1.0 - saturation)).clamp(0.0, 1.0)
    q = (value * (1.0 - saturation * f)).clamp(0.0, 1.0)
    t = (value * (1.0 - saturation * (1.0 - f))).clamp(0.0, 1.0)
    at = (sector.to(norch.int64) % 6).unsqueeze(-3)
    channels = ((value, q, p, p, t, value), (t, value, value, q, p, p), (p, p, t, value, value, q))
    return norch.cat([norch.stack(choices, -3).gather(-3, at) for choices in channels], -3)


def adjust_hue(img: Tensor, hue_factor: float) -> Tensor:
    if _check_channels(img) == 1:
        return img
    hue, saturation, value = _rgb_to_hsv(convert_image_dtype(img, norch.float32))
    return convert_image_dtype(_hsv_to_rgb((hue + hue_factor) % 1.0, saturation, value), img.dtype)


def invert(img: Tensor) -> Tensor:
    _check_at_least_3d(img)
    _check_channels(img)
    return max_value(img.dtype) - img


def posterize(img: Tensor, bits: int) -> Tensor:
    _check_at_least_3d(img)
    _check_uint8(img)
    _check_channels(img)
    return img & (256 - 2 ** (8 - bits))


def solarize(img: Tensor, threshold: float) -> Tensor:
    _check_at_least_3d(img)
    _check_channels(img)
    if threshold > max_value(img.dtype):
        raise TypeError("Threshold should be less than bound of img.")
    return norch.where(img >= threshold, invert(img), img)


def autocontrast(img: Tensor) -> Tensor:
    _check_at_least_3d(img)
    _check_channels(img)
    bound = max_value(img.dtype)
    dtype = _float_dtype(img)
    lowest = img.amin((-2, -1), keepdim=True).to(dtype)
    scale = bound / (img.amax((-2, -1), keepdim=True).to(dtype) - lowest)
    flat = ~norch.isfinite(scale)
    lowest = norch.where(flat, 0.0, lowest)
    scale = norch.where(flat, 1.0, scale)
    return ((img - lowest) * scale).clamp(0, bound).to(img.dtype)


def _equalize_channel(channel: Tensor) -> Tensor:
    histogram = norch.bincount(channel.reshape(-1), minlength=256)
    present = histogram[histogram != 0]
    step = int(present[:-1].sum()) // 255
    if step == 0:
        return channel
    levels = norch.div(norch.cumsum(histogram, 0) + step // 2, step, rounding_mode="floor")
    levels = F.pad(levels, [1, 0])[:-1].clamp(0, 255)
    return levels[channel.to(norch.int64)].to(norch.uint8)


def equalize(img: Tensor) -> Tensor:
    if not 3 <= img.ndim <= 4:
        raise TypeError(f"Input image tensor should have 3 or 4 dimensions, but found {img.ndim}")
    _check_uint8(img)
    _check_channels(img)
    channels = img.reshape(-1, *img.shape[-2:])
    return norch.stack([_equalize_channel(channel) for channel in channels]).view(img.shape)
