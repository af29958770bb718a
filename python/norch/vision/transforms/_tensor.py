"""The transforms of images that are tensors [..., C, H, W], in norch's operations."""

from __future__ import annotations

from typing import Any, Callable

import norch
import norch.nn.functional as F
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
