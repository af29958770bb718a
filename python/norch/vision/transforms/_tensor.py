"""The transforms of images that are tensors [..., C, H, W], in norch's operations."""

from __future__ import annotations

from typing import Any

import norch
import norch.nn.functional as F
from norch._C import Tensor

from ._tensor_color import adjust_brightness as adjust_brightness
from ._tensor_color import adjust_contrast as adjust_contrast
from ._tensor_color import adjust_gamma as adjust_gamma
from ._tensor_color import adjust_hue as adjust_hue
from ._tensor_color import adjust_saturation as adjust_saturation
from ._tensor_color import adjust_sharpness as adjust_sharpness
from ._tensor_color import autocontrast as autocontrast
from ._tensor_color import equalize as equalize
from ._tensor_color import invert as invert
from ._tensor_color import posterize as posterize
from ._tensor_color import rgb_to_grayscale as rgb_to_grayscale
from ._tensor_color import solarize as solarize
from ._tensor_kinds import _as_floats, _float_dtype
from ._tensor_kinds import convert_image_dtype as convert_image_dtype
from ._tensor_kinds import get_dimensions as get_dimensions
from ._tensor_kinds import max_value as max_value


def hflip(img: Tensor) -> Tensor:
    return img.flip(-1)


def vflip(img: Tensor) -> Tensor:
    return img.flip(-2)


def crop(img: Tensor, top: int, left: int, height: int, width: int) -> Tensor:
    _, h, w = get_dimensions(img)
    bottom, right = top + height, left + width
    inside = img[..., max(top, 0) : max(bottom, 0), max(left, 0) : max(right, 0)]
    if left >= 0 and top >= 0 and right <= w and bottom <= h:
        return inside
    outside = [
        max(-left + min(0, right), 0),
        max(-top + min(0, bottom), 0),
        max(right - max(w, left), 0),
        max(bottom - max(h, top), 0),
    ]
    return pad(inside, outside, 0, "constant")


def pad(img: Tensor, padding: Any, fill: Any, padding_mode: str) -> Tensor:
    """`padding` is (left, top, right, bottom); negative ones cut."""
    left, top, right, bottom = padding
    widths = [left, right, top, bottom]
    if padding_mode == "constant":
        if not isinstance(fill, (int, float)):
            raise TypeError("Got inappropriate fill arg")
        return F.pad(img, widths, mode="constant", value=float(fill))
    if padding_mode == "symmetric":
        return _pad_symmetric(img, widths)
    mode = "replicate" if padding_mode == "edge" else "reflect"
    return _as_floats(img, lambda x: F.pad(x, widths, mode=mode))


def _pad_symmetric(img: Tensor, widths: list[int]) -> Tensor:
    for dim, before, after in ((-1, widths[0], widths[1]), (-2, widths[2], widths[3])):
        img = img.narrow(dim, max(-before, 0), img.shape[dim] + min(before, 0) + min(after, 0))
        size = img.shape[dim]
        if max(before, after) > size:
            raise IndexError(f"pad: symmetric padding of {max(before, after)} is more than the image's size {size}")
        places = [*range(max(before, 0) - 1, -1, -1), *range(size), *range(size - 1, size - 1 - max(after, 0), -1)]
        img = img.index_select(dim, norch.tensor(places, device=img.device))
    return img


def resize(img: Tensor, size: Any, interpolation: str, antialias: bool | None) -> Tensor:
    smooth = interpolation in ("bilinear", "bicubic")
    options: Any = {"align_corners": False, "antialias": bool(antialias)} if smooth else {}

    def function(x: Tensor) -> Tensor:
        x = F.interpolate(x, size=list(size), mode=interpolation, **options)
        return x.clamp(0, 255) if interpolation == "bicubic" and img.dtype == norch.uint8 else x

    return _as_floats(img, function)


def _sample(img: Tensor, grid: Tensor, mode: str, fill: Any) -> Tensor:
    """img at the places of grid [1, H, W, 2]; `fill` (a number, or one for each channel) where there is no image."""
    channels = get_dimensions(img)[0]
    fills = list(fill) if isinstance(fill, (tuple, list)) else None if fill is None else [float(fill)]
    if fills is not None and len(fills) not in (1, channels):
        raise ValueError(
            "The number of elements in 'fill' cannot broadcast to match the number of channels of the image "
            f"({len(fills)} != {channels})"
        )
    if mode not in ("nearest", "bilinear"):
        raise ValueError(f"Interpolation mode '{mode}' is unsupported with Tensor input")

    def function(x: Tensor) -> Tensor:
        places = grid.expand(x.shape[0], *grid.shape[1:])
        if fills is None:
            return F.grid_sample(x, places, mode=mode, padding_mode="zeros", align_corners=False)
        # A channel of ones shows how much of each pixel comes from the image.
        x = norch.cat((x, norch.ones_like(x[:, :1])), 1)
        x = F.grid_sample(x, places, mode=mode, padding_mode="zeros", align_corners=False)
        x, mask = x[:, :-1], x[:, -1:]
        color = norch.tensor(fills, dtype=x.dtype, device=x.device).view(1, -1, 1, 1)
        return norch.where(mask < 0.5, color, x) if mode == "nearest" else x * mask + (1.0 - mask) * color

    return _as_floats(img, function, (grid.dtype,))


def _pixel_grid(width: int, height: int, corner: tuple[float, float], like: Tensor) -> Tensor:
    """[height * width, 3]: (x, y, 1) of the pixels' centres, those of the first being `corner`."""
    options: Any = {"dtype": like.dtype, "device": like.device}
    xs = norch.linspace(corner[0], corner[0] + width - 1, width, **options)
    ys = norch.linspace(corner[1], corner[1] + height - 1, height, **options)
    grid = norch.ones(height, width, 3, **options)
    grid[..., 0] = xs
    grid[..., 1] = ys.unsqueeze(-1)
    return grid.view(-1, 3)


def _affine_grid(img: Tensor, matrix: list[float], out_width: int, out_height: int) -> Tensor:
    _, h, w = get_dimensions(img)
    theta = norch.tensor(matrix, dtype=_float_dtype(img), device=img.device).reshape(2, 3)
    pixels = _pixel_grid(out_width, out_height, (0.5 - out_width * 0.5, 0.5 - out_height * 0.5), theta)
    half = norch.tensor([0.5 * w, 0.5 * h], dtype=theta.dtype, device=img.device)
    return norch.mm(pixels, theta.t() / half).view(1, out_height, out_width, 2)


def affine(img: Tensor, matrix: list[float], interpolation: str, fill: Any) -> Tensor:
    _, h, w = get_dimensions(img)
    return _sample(img, _affine_grid(img, matrix, w, h), interpolation, fill)


def _size_after(matrix: list[float], w: int, h: int) -> tuple[int, int]:
    """(width, height) of the smallest image that holds the whole image after the turn, as Pillow rounds them."""
    corners = norch.tensor([[x * w, y * h, 1.0] for x, y in ((-0.5, -0.5), (-0.5, 0.5), (0.5, 0.5), (0.5, -0.5))])
    moved = norch.mm(corners, norch.tensor(matrix, dtype=norch.float32).view(2, 3).t())
    moved = moved + norch.tensor([0.5 * w, 0.5 * h])
    # Cut to 1e-4, so that the rounding of a sine does not make another pixel.
    upper = ((moved.amax(0) / 1e-4).trunc() * 1e-4).ceil()
    lower = ((moved.amin(0) / 1e-4).trunc() * 1e-4).floor()
    width, height = (upper - lower).tolist()
    return int(width), int(height)


def rotate(img: Tensor, matrix: list[float], interpolation: str, expand: bool, fill: Any) -> Tensor:
    _, h, w = get_dimensions(img)
    ow, oh = _size_after(matrix, w, h) if expand else (w, h)
    return _sample(img, _affine_grid(img, matrix, ow, oh), interpolation, fill)


def perspective(img: Tensor, coeffs: list[float], interpolation: str, fill: Any) -> Tensor:
    _, h, w = get_dimensions(img)
    a, b, c, d, e, f, g, k = coeffs
    options: Any = {"dtype": _float_dtype(img), "device": img.device}
    above = norch.tensor([[a, b, c], [d, e, f]], **options)
    below = norch.tensor([[g, k, 1.0], [g, k, 1.0]], **options)
    pixels = _pixel_grid(w, h, (0.5, 0.5), above)
    half = norch.tensor([0.5 * w, 0.5 * h], **options)
    grid = norch.mm(pixels, above.t() / half) / norch.mm(pixels, below.t()) - 1.0
    return _sample(img, grid.view(1, h, w, 2), interpolation, fill)


def elastic_transform(img: Tensor, displacement: Tensor, interpolation: str, fill: Any) -> Tensor:
    ys, xs = (norch.linspace((1 - s) / s, (s - 1) / s, s) for s in img.shape[-2:])
    grid_y, grid_x = norch.meshgrid(ys, xs, indexing="ij")
    grid = norch.stack([grid_x, grid_y], -1).unsqueeze(0)
    return _sample(img, grid.to(img.device) + displacement.to(img.device), interpolation, fill)


def _gauss(size: int, sigma: float, like: Tensor) -> Tensor:
    x = norch.linspace(-(size - 1) * 0.5, (size - 1) * 0.5, size, dtype=_float_dtype(like), device=like.device)
    density = norch.exp(-0.5 * (x / sigma).pow(2))
    return density / density.sum()


def gaussian_blur(img: Tensor, kernel_size: list[int], sigma: list[float]) -> Tensor:
    width, height = kernel_size
    channels = get_dimensions(img)[0]
    kernel = norch.outer(_gauss(height, sigma[1], img), _gauss(width, sigma[0], img))
    kernel = kernel.expand(channels, 1, height, width)

    def function(x: Tensor) -> Tensor:
        x = F.pad(x, [width // 2, width // 2, height // 2, height // 2], mode="reflect")
        return F.conv2d(x, kernel, groups=channels)

    return _as_floats(img, function, (kernel.dtype,))


def normalize(tensor: Tensor, mean: Any, std: Any, inplace: bool) -> Tensor:
    if not tensor.is_floating_point():
        raise TypeError(f"Input tensor should be a float tensor. Got {tensor.dtype}.")
    if tensor.ndim < 3:
        raise ValueError(
            f"Expected tensor to be a tensor image of size (..., C, H, W). Got tensor.size() = {tensor.size()}"
        )
    mean = norch.as_tensor(mean, dtype=tensor.dtype, device=tensor.device)
    std = norch.as_tensor(std, dtype=tensor.dtype, device=tensor.device)
    if (std == 0).any():
        raise ValueError(
            f"std evaluated to zero after conversion to {tensor.dtype}, leading to division by zero."
        )
    mean = mean.view(-1, 1, 1) if mean.ndim == 1 else mean
    std = std.view(-1, 1, 1) if std.ndim == 1 else std
    return (tensor if inplace else tensor.clone()).sub_(mean).div_(std)


def erase(img: Tensor, i: int, j: int, h: int, w: int, v: Any, inplace: bool) -> Tensor:
    if not inplace:
        img = img.clone()
    img[..., i : i + h, j : j + w] = v
    return img
