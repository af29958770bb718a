"""Reading and writing images in files."""

from __future__ import annotations

import io
from enum import Enum
from typing import Any

import numpy as np

import norch
from norch._C import Tensor

from .._pillow import Image, ImageOps
from ..transforms.functional import pil_to_tensor, to_pil_image

__all__ = [
    "ImageReadMode",
    "decode_image",
    "decode_jpeg",
    "decode_png",
    "encode_jpeg",
    "encode_png",
    "read_file",
    "read_image",
    "write_file",
    "write_jpeg",
    "write_png",
]


class ImageReadMode(Enum):
    """Which channels an image gets when it is read."""

    UNCHANGED = 0
    GRAY = 1
    GRAY_ALPHA = 2
    RGB = 3
    RGB_ALPHA = 4


_PIL_MODES = {
    ImageReadMode.GRAY: "L",
    ImageReadMode.GRAY_ALPHA: "LA",
    ImageReadMode.RGB: "RGB",
    ImageReadMode.RGB_ALPHA: "RGBA",
}


def read_file(path: Any) -> Tensor:
    """The bytes of a file, as a tensor [N]."""
    return norch.from_numpy(np.fromfile(path, dtype=np.uint8))


def write_file(filename: Any, data: Tensor) -> None:
    """Writes a tensor of bytes [N] to a file."""
    _check_bytes("write_file", data, 1)
    data.cpu().numpy().tofile(filename)


def _check_bytes(name: str, tensor: Any, ndim: int) -> None:
    if not isinstance(tensor, Tensor) or tensor.dtype != norch.uint8 or tensor.ndim != ndim:
        what = f"{tensor.dtype} {tuple(tensor.shape)}" if isinstance(tensor, Tensor) else type(tensor).__name__
        raise RuntimeError(f"{name}: expected a tensor of uint8 with {ndim} dimensions, but got {what}")


def decode_image(input: Any, mode: Any = ImageReadMode.UNCHANGED, apply_exif_orientation: bool = False) -> Tensor:
    """The image in a tensor of bytes [N], or in a file, as [C, H, W] of uint8. `mode` is an ImageReadMode or its name.
    What is no image raises RuntimeError."""
    if isinstance(mode, str):
        mode = ImageReadMode[mode.upper().replace("RGBA", "RGB_ALPHA")]
    source: Any = input
    if isinstance(input, Tensor):
        _check_bytes("decode_image", input, 1)
        source = io.BytesIO(input.cpu().numpy().tobytes())
    try:
        with Image.open(source) as opened:
            image = ImageOps.exif_transpose(opened) if apply_exif_orientation else opened
            if mode != ImageReadMode.UNCHANGED:
                image = image.convert(_PIL_MODES[mode])
            elif image.mode == "P":
                image = image.convert("RGBA" if "transparency" in image.info else "RGB")
            elif image.mode == "1":
                image = image.convert("L")
            return pil_to_tensor(image).contiguous()
    except FileNotFoundError:
        raise
    except (OSError, SyntaxError, ValueError, Image.DecompressionBombError) as error:
        raise RuntimeError(f"decode_image: not an image that can be read ({error})") from error


def read_image(path: Any, mode: Any = ImageReadMode.UNCHANGED, apply_exif_orientation: bool = False) -> Tensor:
    """The image in a file, as [C, H, W] of uint8."""
    return decode_image(path, mode, apply_exif_orientation)


def decode_png(input: Tensor, mode: Any = ImageReadMode.UNCHANGED, apply_exif_orientation: bool = False) -> Tensor:
    """As `decode_image`."""
    return decode_image(input, mode, apply_exif_orientation)


def decode_jpeg(
    input: Tensor, mode: Any = ImageReadMode.UNCHANGED, device: Any = "cpu", apply_exif_orientation: bool = False
) -> Tensor:
    """As `decode_image`; the result is on `device`."""
    return decode_image(input, mode, apply_exif_orientation).to(device)


def _encode(name: str, image: Tensor, format: str, **options: Any) -> Tensor:
    _check_bytes(name, image, 3)
    if image.shape[0] not in (1, 3):
        raise RuntimeError(f"{name}: the number of channels should be 1 or 3, got: {image.shape[0]}")
    file = io.BytesIO()
    to_pil_image(image).save(file, format=format, **options)
    return norch.from_numpy(np.frombuffer(file.getvalue(), dtype=np.uint8).copy())


def encode_png(input: Tensor, compression_level: int = 6) -> Tensor:
    """The bytes [N] of a PNG file of the image [C, H, W]."""
    if not 0 <= compression_level <= 9:
        raise RuntimeError(f"encode_png: compression_level should be between 0 and 9, got {compression_level}")
    return _encode("encode_png", input, "PNG", compress_level=compression_level)


def encode_jpeg(input: Tensor, quality: int = 75) -> Tensor:
    """The bytes [N] of a JPEG file of the image [C, H, W]."""
    if not 1 <= quality <= 100:
        raise ValueError("Image quality should be a positive number between 1 and 100")
    return _encode("encode_jpeg", input, "JPEG", quality=quality)


def write_png(input: Tensor, filename: Any, compression_level: int = 6) -> None:
    """Writes the image [C, H, W] to a PNG file."""
    write_file(filename, encode_png(input, compression_level))


def write_jpeg(input: Tensor, filename: Any, quality: int = 75) -> None:
    """Writes the image [C, H, W] to a JPEG file."""
    write_file(filename, encode_jpeg(input, quality))
