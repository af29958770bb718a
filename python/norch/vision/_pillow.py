"""Pillow, an optional package: the modules that read or change images get it from here."""

from __future__ import annotations

from typing import Any

import numpy as np

try:
    from PIL import Image, ImageColor, ImageDraw, ImageEnhance, ImageFont, ImageOps
except ImportError as error:
    raise ImportError(
        "norch.vision reads and changes images with Pillow, which is not installed: pip install 'norch[vision]'"
    ) from error

__all__ = [
    "Image",
    "ImageColor",
    "ImageDraw",
    "ImageEnhance",
    "ImageFont",
    "ImageOps",
    "image_from_array",
    "is_pil_image",
]


def image_from_array(array: np.ndarray, mode: str) -> Image.Image:
    """An image whose pixels are the bytes of `array` ([H, W] or [H, W, C]), read as `mode`. Writing to the image
    leaves the array as it is."""
    data: Any = array if array.flags.c_contiguous else array.tobytes()
    return Image.frombuffer(mode, (array.shape[1], array.shape[0]), data, "raw", mode, 0, 1)


def is_pil_image(img: Any) -> bool:
    return isinstance(img, Image.Image)
