"""Transforms as functions: size and place."""

from __future__ import annotations

import math
import numbers
import warnings
from typing import Any

import numpy as np

from norch._C import Tensor

from . import _pil, _tensor
from ._functional_kinds import (
    InterpolationMode,
    _interpolation_mode,
    _mode_for,
    _of,
    _pair,
    get_dimensions,
    pil_modes_mapping,
)

__all__ = [
    "affine",
    "center_crop",
    "crop",
    "five_crop",
    "hflip",
    "pad",
    "perspective",
    "resize",
    "resized_crop",
    "rotate",
    "ten_crop",
    "vflip",
]


def _resized(height: int, width: int, size: Any, max_size: int | None) -> list[int]:
    """[height, width] after resizing: `size` is both, or the length of the shorter side."""
    if len(size) == 2:
        return [size[0], size[1]]
    short, long = sorted((height, width))
    new_short, new_long = size[0], int(size[0] * long / short)
    if max_size is not None:
        if max_size <= new_short:
            raise ValueError(
                f"max_size = {max_size} must be strictly greater than the requested size for the smaller edge "
                f"size = {size}"
            )
        if new_long > max_size:
            new_short, new_long = int(max_size * new_short / new_long), max_size
    return [new_long, new_short] if width <= height else [new_short, new_long]


def resize(
    img: Any,
    size: Any,
    interpolation: Any = InterpolationMode.BILINEAR,
    max_size: int | None = None,
    antialias: bool | None = True,
) -> Any:
    """The image resized to `size` (height, width), or so that its shorter side is `size` (and its longer one at most
    `max_size`). `antialias` is for tensors: PIL images are always smoothed."""
    interpolation = _interpolation_mode(interpolation)
    if isinstance(size, (list, tuple)):
        if len(size) not in (1, 2):
            raise ValueError(
                f"Size must be an int or a 1 or 2 element tuple/list, not a {len(size)} element tuple/list"
            )
        if max_size is not None and len(size) != 1:
            raise ValueError(
                "max_size should only be passed if size specifies the length of the smaller edge, "
                "i.e. size should be an int or a sequence of length 1."
            )
    _, height, width = get_dimensions(img)
    output = _resized(height, width, [size] if isinstance(size, int) else size, max_size)
    if [height, width] == output:
        return img
    if isinstance(img, Tensor):
        return _tensor.resize(img, output, interpolation.value, antialias)
    if antialias is False:
        warnings.warn(
            "Anti-alias option is always applied for PIL Image input. Argument antialias is ignored.", stacklevel=2
        )
    return _pil.resize(img, output, pil_modes_mapping[interpolation])


def pad(img: Any, padding: Any, fill: Any = 0, padding_mode: str = "constant") -> Any:
    """The image with a border. `padding` is one number, (left and right, top and bottom) or (left, top, right,
    bottom); `padding_mode` is "constant" (with `fill`), "edge", "reflect" or "symmetric"."""
    if not isinstance(padding, (numbers.Number, tuple, list)):
        raise TypeError("Got inappropriate padding arg")
    if fill is not None and not isinstance(fill, (numbers.Number, tuple, list)):
        raise TypeError("Got inappropriate fill arg")
    if not isinstance(padding_mode, str):
        raise TypeError("Got inappropriate padding_mode arg")
    if isinstance(padding, (tuple, list)):
        if len(padding) not in (1, 2, 4):
            raise ValueError(
                f"Padding must be an int or a 1, 2, or 4 element tuple, not a {len(padding)} element tuple"
            )
        sides = list(padding) * (4 // len(padding))
    else:
        sides = [padding] * 4
    if padding_mode not in ("constant", "edge", "reflect", "symmetric"):
        raise ValueError("Padding mode should be either constant, edge, reflect or symmetric")
    return _of(img).pad(img, sides, 0 if fill is None else fill, padding_mode)


def crop(img: Any, top: int, left: int, height: int, width: int) -> Any:
    """The part of the image at (top, left); what lies outside of it is 0."""
    return _of(img).crop(img, top, left, height, width)


def center_crop(img: Any, output_size: Any) -> Any:
    """The middle part of the image, (height, width) or square; padded with 0 where the image is smaller."""
    crop_height, crop_width = _pair(output_size)
    _, height, width = get_dimensions(img)
    if crop_width > width or crop_height > height:
        more_w, more_h = max(crop_width - width, 0), max(crop_height - height, 0)
        img = pad(img, [more_w // 2, more_h // 2, (more_w + 1) // 2, (more_h + 1) // 2], fill=0)
        _, height, width = get_dimensions(img)
        if (crop_width, crop_height) == (width, height):
            return img
    top, left = round((height - crop_height) / 2.0), round((width - crop_width) / 2.0)
    return crop(img, top, left, crop_height, crop_width)


def resized_crop(
    img: Any,
    top: int,
    left: int,
    height: int,
    width: int,
    size: Any,
    interpolation: Any = InterpolationMode.BILINEAR,
    antialias: bool | None = True,
) -> Any:
    """`crop`, then `resize`."""
    return resize(crop(img, top, left, height, width), size, interpolation, antialias=antialias)


def hflip(img: Any) -> Any:
    """The image with left and right exchanged."""
    return _of(img).hflip(img)


def vflip(img: Any) -> Any:
    """The image upside down."""
    return _of(img).vflip(img)


def five_crop(img: Any, size: Any) -> tuple:
    """The four corners of the image and its middle: (top left, top right, bottom left, bottom right, centre)."""
    h, w = _pair(size)
    _, height, width = get_dimensions(img)
    if w > width or h > height:
        raise ValueError(f"Requested crop size {size} is bigger than input size {(height, width)}")
    corners = [crop(img, top, left, h, w) for top in (0, height - h) for left in (0, width - w)]
    return (*corners, center_crop(img, [h, w]))


def ten_crop(img: Any, size: Any, vertical_flip: bool = False) -> tuple:
    """`five_crop` of the image, and of the flipped image."""
    return five_crop(img, size) + five_crop(vflip(img) if vertical_flip else hflip(img), size)


def _perspective_coeffs(startpoints: Any, endpoints: Any) -> list[float]:
    """(a, b, c, d, e, f, g, h): the point (x, y) of the result is at ((a x + b y + c) / (g x + h y + 1),
    (d x + e y + f) / (g x + h y + 1)) of the image."""
    if len(startpoints) != 4 or len(endpoints) != 4:
        raise ValueError(
            f"Please provide exactly four corners, got {len(startpoints)} startpoints and {len(endpoints)} endpoints."
        )
    rows = []
    for (x, y), (u, v) in zip(endpoints, startpoints):
        rows += [[x, y, 1, 0, 0, 0, -u * x, -u * y], [0, 0, 0, x, y, 1, -v * x, -v * y]]
    target = np.asarray(startpoints, dtype=np.float64).reshape(8)
    solution = np.linalg.lstsq(np.asarray(rows, dtype=np.float64), target, rcond=None)[0]
    return solution.astype(np.float32).tolist()


def perspective(
    img: Any, startpoints: Any, endpoints: Any, interpolation: Any = InterpolationMode.BILINEAR, fill: Any = None
) -> Any:
    """The image seen from elsewhere: its corners `startpoints` ([x, y] from top left, clockwise) come to lie at
    `endpoints`."""
    coeffs = _perspective_coeffs(startpoints, endpoints)
    return _of(img).perspective(img, coeffs, _mode_for(img, interpolation), fill)


def _inverse_affine_matrix(center: Any, angle: float, translate: Any, scale: float, shear: Any) -> list[float]:
    """The first two rows of the inverse of T C R S Shy Shx C^-1: shear, scale and turn about the centre, then
    translate."""
    turn, sx, sy = math.radians(angle), math.radians(shear[0]), math.radians(shear[1])
    a = math.cos(turn - sy) / math.cos(sy)
    b = -math.cos(turn - sy) * math.tan(sx) / math.cos(sy) - math.sin(turn)
    c = math.sin(turn - sy) / math.cos(sy)
    d = -math.sin(turn - sy) * math.tan(sx) / math.cos(sy) + math.cos(turn)
    # The determinant of [[a, b], [c, d]] is 1.
    m = [value / scale for value in (d, -b, 0.0, -c, a, 0.0)]
    (cx, cy), (tx, ty) = center, translate
    m[2] += m[0] * (-cx - tx) + m[1] * (-cy - ty) + cx
    m[5] += m[3] * (-cx - tx) + m[4] * (-cy - ty) + cy
    return m


def _center_of(img: Any, center: Any) -> list[float]:
    """The centre of a turn: of tensors, from the image's middle; of PIL images, in pixels from the top left."""
    _, height, width = get_dimensions(img)
    if isinstance(img, Tensor):
        return [0.0, 0.0] if center is None else [1.0 * center[0] - width * 0.5, 1.0 * center[1] - height * 0.5]
    return [width * 0.5, height * 0.5] if center is None else list(center)


def rotate(
    img: Any,
    angle: float,
    interpolation: Any = InterpolationMode.NEAREST,
    expand: bool = False,
    center: Any = None,
    fill: Any = None,
) -> Any:
    """The image turned by `angle` degrees, counter-clockwise, about `center` ([x, y] from the top left; by default the
    middle). With `expand` the result is large enough for all of the image."""
    if not isinstance(angle, (int, float)):
        raise TypeError("Argument angle should be int or float")
    if center is not None and not isinstance(center, (list, tuple)):
        raise TypeError("Argument center should be a sequence")
    mode = _mode_for(img, interpolation)
    if not isinstance(img, Tensor):
        return _of(img).rotate(img, angle, mode, expand, center, fill)
    matrix = _inverse_affine_matrix(_center_of(img, center), -angle, (0.0, 0.0), 1.0, (0.0, 0.0))
    return _of(img).rotate(img, matrix, mode, expand, fill)


def affine(
    img: Any,
    angle: float,
    translate: Any,
    scale: float,
    shear: Any,
    interpolation: Any = InterpolationMode.NEAREST,
    fill: Any = None,
    center: Any = None,
) -> Any:
    """The image turned clockwise by `angle` degrees, moved by `translate` pixels, scaled and sheared (degrees; one
    number, or [x, y])."""
    if not isinstance(angle, (int, float)):
        raise TypeError("Argument angle should be int or float")
    if not isinstance(translate, (list, tuple)):
        raise TypeError("Argument translate should be a sequence")
    if len(translate) != 2:
        raise ValueError("Argument translate should be a sequence of length 2")
    if scale <= 0.0:
        raise ValueError("Argument scale should be positive")
    if isinstance(shear, numbers.Number):
        shear = [shear, 0.0]
    if not isinstance(shear, (list, tuple)):
        raise TypeError("Shear should be either a single value or a sequence of two values")
    if len(shear) == 1:
        shear = [shear[0], shear[0]]
    if len(shear) != 2:
        raise ValueError(f"Shear should be a sequence containing two values. Got {shear}")
    if center is not None and not isinstance(center, (list, tuple)):
        raise TypeError("Argument center should be a sequence")
    matrix = _inverse_affine_matrix(_center_of(img, center), float(angle), translate, scale, shear)
    return _of(img).affine(img, matrix, _mode_for(img, interpolation), fill)
