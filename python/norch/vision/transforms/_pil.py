"""The transforms of PIL images, by Pillow."""

from __future__ import annotations

import numbers
from typing import Any

import numpy as np

from .._pillow import Image, ImageEnhance, ImageOps, image_from_array


def get_dimensions(img: Any) -> list[int]:
    return [len(img.getbands()), img.height, img.width]


def hflip(img: Any) -> Any:
    return img.transpose(Image.Transpose.FLIP_LEFT_RIGHT)


def vflip(img: Any) -> Any:
    return img.transpose(Image.Transpose.FLIP_TOP_BOTTOM)


def crop(img: Any, top: int, left: int, height: int, width: int) -> Any:
    return img.crop((left, top, left + width, top + height))


def resize(img: Any, size: Any, interpolation: int) -> Any:
    return img.resize((size[1], size[0]), interpolation)


def _fill_of(fill: Any, img: Any) -> Any:
    """The fill as Pillow wants it: a number for one channel, else a tuple; integers unless the image is of floats."""
    channels = len(img.getbands())
    if fill is None:
        fill = 0
    if isinstance(fill, numbers.Number) and channels > 1:
        fill = (fill,) * channels
    if isinstance(fill, (list, tuple)):
        if len(fill) == 1:
            fill = tuple(fill) * channels
        elif len(fill) != channels:
            raise ValueError(
                "The number of elements in 'fill' does not match the number of channels of the image "
                f"({len(fill)} != {channels})"
            )
        return tuple(fill) if img.mode == "F" else tuple(int(x) for x in fill)
    return fill if img.mode == "F" else int(fill)


def pad(img: Any, padding: Any, fill: Any, padding_mode: str) -> Any:
    """`padding` is (left, top, right, bottom); negative ones cut."""
    if padding_mode == "constant":
        result = ImageOps.expand(img, border=tuple(padding), fill=_fill_of(fill, img))
    else:
        left, top, right, bottom = (max(p, 0) for p in padding)
        cut = [max(-p, 0) for p in padding]
        if any(cut):
            img = img.crop((cut[0], cut[1], img.width - cut[2], img.height - cut[3]))
        array = np.asarray(img)
        widths = [(top, bottom), (left, right)] + [(0, 0)] * (array.ndim - 2)
        modes: Any = {"edge": "edge", "reflect": "reflect", "symmetric": "symmetric"}
        result = Image.fromarray(np.pad(array, widths, mode=modes[padding_mode]))
    if img.mode == "P":
        result.putpalette(img.getpalette())
    return result


def affine(img: Any, matrix: list[float], interpolation: int, fill: Any) -> Any:
    transform = Image.Transform.AFFINE
    return img.transform(img.size, transform, matrix, interpolation, fillcolor=_fill_of(fill, img))


def rotate(img: Any, angle: float, interpolation: int, expand: bool, center: Any, fill: Any) -> Any:
    return img.rotate(angle, interpolation, expand, center, fillcolor=_fill_of(fill, img))


def perspective(img: Any, coeffs: list[float], interpolation: int, fill: Any) -> Any:
    transform = Image.Transform.PERSPECTIVE
    return img.transform(img.size, transform, coeffs, interpolation, fillcolor=_fill_of(fill, img))


def adjust_brightness(img: Any, brightness_factor: float) -> Any:
    return ImageEnhance.Brightness(img).enhance(brightness_factor)


def adjust_contrast(img: Any, contrast_factor: float) -> Any:
    return ImageEnhance.Contrast(img).enhance(contrast_factor)


def adjust_saturation(img: Any, saturation_factor: float) -> Any:
    return ImageEnhance.Color(img).enhance(saturation_factor)


def adjust_sharpness(img: Any, sharpness_factor: float) -> Any:
    return ImageEnhance.Sharpness(img).enhance(sharpness_factor)


def adjust_hue(img: Any, hue_factor: float) -> Any:
    if img.mode in ("L", "1", "I", "F"):
        return img
    hue, saturation, value = img.convert("HSV").split()
    # Hue is an angle: 256 steps that wrap around.
    turned = np.array(hue, dtype=np.uint8) + np.uint8(int(hue_factor * 255) % 256)
    return Image.merge("HSV", (image_from_array(turned, "L"), saturation, value)).convert(img.mode)


def adjust_gamma(img: Any, gamma: float, gain: float) -> Any:
    table = [int((255 + 1 - 1e-3) * gain * pow(level / 255.0, gamma)) for level in range(256)]
    return img.convert("RGB").point(table * 3).convert(img.mode)


def rgb_to_grayscale(img: Any, num_output_channels: int) -> Any:
    gray = img.convert("L")
    return gray if num_output_channels == 1 else Image.merge("RGB", (gray, gray, gray))


def invert(img: Any) -> Any:
    return ImageOps.invert(img)


def posterize(img: Any, bits: int) -> Any:
    return ImageOps.posterize(img, bits)


def solarize(img: Any, threshold: Any) -> Any:
    return ImageOps.solarize(img, threshold)


def autocontrast(img: Any) -> Any:
    return ImageOps.autocontrast(img)


def equalize(img: Any) -> Any:
    return ImageOps.equalize(img)
