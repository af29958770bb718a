"""Images in grids and files, and drawings on images."""

from __future__ import annotations

import math
import warnings
from typing import Any

import norch
from norch._C import Tensor
from norch.autograd import no_grad

from ._pillow import Image, ImageColor, ImageDraw, ImageFont

__all__ = ["draw_bounding_boxes", "draw_segmentation_masks", "make_grid", "save_image"]


@no_grad()
def make_grid(
    tensor: Any,
    nrow: int = 8,
    padding: int = 2,
    normalize: bool = False,
    value_range: tuple[float, float] | None = None,
    scale_each: bool = False,
    pad_value: float = 0.0,
) -> Tensor:
    """One image [C, H', W'] of the images [B, C, H, W] (or a list of images [C, H, W]), `nrow` to a row, with `padding`
    pixels of `pad_value` around each. One channel becomes three. `normalize` maps `value_range` (by default, the least
    and the greatest value of all images, or with `scale_each` of each) to (0, 1).

    >>> from norch.vision.utils import make_grid
    >>> make_grid(norch.zeros(10, 1, 28, 28), nrow=5).shape
    norch.Size([3, 62, 152])
    """
    if isinstance(tensor, list):
        for t in tensor:
            if not isinstance(t, Tensor):
                raise TypeError(f"tensor or list of tensors expected, got a list containing {type(t)}")
        tensor = norch.stack(tensor, dim=0)
    elif not isinstance(tensor, Tensor):
        raise TypeError(f"tensor or list of tensors expected, got {type(tensor)}")
    images: Tensor = tensor
    images = images.reshape((1,) * (4 - images.ndim) + tuple(images.shape)) if images.ndim in (2, 3) else images
    if images.ndim != 4:
        raise ValueError(f"make_grid: expected images of shape [B, C, H, W], but got {tuple(images.shape)}")
    if images.shape[1] == 1:
        images = norch.cat((images, images, images), 1)

    if normalize:
        if value_range is not None and not isinstance(value_range, tuple):
            raise TypeError("value_range has to be a tuple (min, max) if specified. min and max are numbers")
        images = images.clone()
        for part in images if scale_each else [images]:
            low, high = value_range or (float(part.min()), float(part.max()))
            part.clamp_(min=low, max=high).sub_(low).div_(max(high - low, 1e-5))

    count, channels = images.shape[:2]
    if count == 1:
        return images.squeeze(0)
    columns = min(nrow, count)
    rows = math.ceil(count / columns)
    height, width = images.shape[2] + padding, images.shape[3] + padding
    grid = images.new_full((channels, height * rows + padding, width * columns + padding), pad_value)
    for k in range(count):
        top, left = (k // columns) * height + padding, (k % columns) * width + padding
        grid[:, top : top + images.shape[2], left : left + images.shape[3]] = images[k]
    return grid


def _to_bytes(image: Tensor) -> Any:
    """The array [H, W, C] of bytes of an image of floats in [0, 1]."""
    return image.mul(255).add_(0.5).clamp_(0, 255).permute(1, 2, 0).to("cpu", norch.uint8).contiguous().numpy()


@no_grad()
def save_image(tensor: Any, fp: Any, format: str | None = None, **kwargs: Any) -> None:
    """Writes `make_grid(tensor, **kwargs)`, values in [0, 1], to `fp`: a path, or an open file with `format`."""
    Image.fromarray(_to_bytes(make_grid(tensor, **kwargs))).save(fp, format=format)


def _check_image(image: Any, name: str) -> None:
    if not isinstance(image, Tensor):
        raise TypeError(f"{name}: Tensor expected, got {type(image)}")
    if not (image.dtype == norch.uint8 or image.is_floating_point()):
        raise ValueError(f"The image dtype must be uint8 or float, got {image.dtype}")
    if image.ndim != 3:
        raise ValueError("Pass individual images, not batches")


def _colors(colors: Any, count: int) -> list[tuple[int, int, int]]:
    """A colour (red, green, blue) for each object; by default spread over the colour wheel."""
    if colors is None:
        base = (2**25 - 1, 2**15 - 1, 2**21 - 1)
        return [(i * base[0] % 255, i * base[1] % 255, i * base[2] % 255) for i in range(count)]
    if isinstance(colors, list):
        if len(colors) < count:
            raise ValueError(
                "Number of colors must be equal or larger than the number of objects, "
                f"but got {len(colors)} < {count}."
            )
        chosen = colors[:count]
    elif isinstance(colors, (str, tuple)):
        chosen = [colors] * count
    else:
        raise ValueError("colors must be a tuple or a string, or a list thereof")
    return [ImageColor.getrgb(c)[:3] if isinstance(c, str) else tuple(c) for c in chosen]  # type: ignore[misc]


def _as_floats_if(out: Tensor, image: Tensor) -> Tensor:
    return out.to(image.dtype) / 255 if image.is_floating_point() else out


@no_grad()
def draw_bounding_boxes(
    image: Tensor,
    boxes: Tensor,
    labels: list[str] | None = None,
    colors: Any = None,
    fill: bool | None = False,
    width: int = 1,
    font: str | None = None,
    font_size: int | None = None,
) -> Tensor:
    """The image [C, H, W] (bytes, or floats in [0, 1]) with the boxes [N, 4] (x0, y0, x1, y1) drawn on it, as RGB."""
    _check_image(image, "draw_bounding_boxes")
    if image.shape[0] not in (1, 3):
        raise ValueError("Only grayscale and RGB images are supported")
    if (boxes[:, 0] > boxes[:, 2]).any() or (boxes[:, 1] > boxes[:, 3]).any():
        raise ValueError(
            "Boxes need to be in (xmin, ymin, xmax, ymax) format. Use norch.vision.ops.box_convert to convert them"
        )
    count = boxes.shape[0]
    if count == 0:
        warnings.warn("boxes doesn't contain any box. No box was drawn", stacklevel=2)
        return image
    if labels is not None and len(labels) != count:
        raise ValueError(
            f"Number of boxes ({count}) and labels ({len(labels)}) mismatch. Please specify labels for each box."
        )
    if font is None and font_size is not None:
        warnings.warn("Argument 'font_size' will be ignored since 'font' is not set.", stacklevel=2)
    text_font: Any = ImageFont.load_default() if font is None else ImageFont.truetype(font, font_size or 10)
    from .transforms.functional import convert_image_dtype, pil_to_tensor, to_pil_image

    canvas = to_pil_image(convert_image_dtype(image, norch.uint8).expand(3, *image.shape[1:]))
    draw = ImageDraw.Draw(canvas, "RGBA" if fill else None)
    for i, (box, color) in enumerate(zip(boxes.to(norch.int64).tolist(), _colors(colors, count))):
        draw.rectangle(box, width=width, outline=color, fill=(*color, 100) if fill else None)
        if labels is not None and labels[i] is not None:
            draw.text((box[0] + width + 1, box[1] + width + 1), labels[i], fill=color, font=text_font)
    return _as_floats_if(pil_to_tensor(canvas), image)


@no_grad()
def draw_segmentation_masks(image: Tensor, masks: Tensor, alpha: float = 0.8, colors: Any = None) -> Tensor:
    """The RGB image [3, H, W] (bytes, or floats in [0, 1]) with the masks (bool, [N, H, W] or [H, W]) coloured on it;
    `alpha` is how opaque."""
    _check_image(image, "draw_segmentation_masks")
    if image.shape[0] != 3:
        raise ValueError("Pass an RGB image. Other Image formats are not supported")
    masks = masks[None] if masks.ndim == 2 else masks
    if masks.ndim != 3:
        raise ValueError("masks must be of shape (H, W) or (batch_size, H, W)")
    if masks.dtype != norch.bool:
        raise ValueError(f"The masks must be of dtype bool. Got {masks.dtype}")
    if masks.shape[-2:] != image.shape[-2:]:
        raise ValueError("The image and the masks must have the same height and width")
    if masks.shape[0] == 0:
        warnings.warn("masks doesn't contain any mask. No mask was drawn", stacklevel=2)
        return image
    painted = image.clone()
    scale = 255.0 if image.is_floating_point() else 1
    overlaps = masks.sum(0) > 1
    for mask, color in zip(masks, _colors(colors, masks.shape[0])):
        value = norch.tensor(color, device=image.device) / scale
        painted = norch.where(mask, value.to(image.dtype).view(3, 1, 1), painted)
    painted = norch.where(overlaps, norch.zeros_like(painted), painted)
    return (image * (1 - alpha) + painted * alpha).to(image.dtype)
