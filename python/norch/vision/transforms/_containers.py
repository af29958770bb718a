"""Transforms made of other transforms, and transforms from one kind of image to another."""

from __future__ import annotations

import random
from collections.abc import Sequence
from typing import Any, Callable

import norch
import norch.nn as nn
from norch._C import Tensor

from . import functional as F

__all__ = [
    "Compose",
    "ConvertImageDtype",
    "Lambda",
    "LinearTransformation",
    "Normalize",
    "PILToTensor",
    "RandomApply",
    "RandomChoice",
    "RandomOrder",
    "ToPILImage",
    "ToTensor",
]


def _listed(transform: Any, lines: list[str]) -> str:
    return "".join([type(transform).__name__ + "(", *(f"\n    {line}" for line in lines), "\n)"])


class Compose:
    """Applies the transforms one after the other.

    >>> from norch.vision import transforms
    >>> transforms.Compose([transforms.CenterCrop(8), transforms.ToTensor()])
    Compose(
        CenterCrop(size=(8, 8))
        ToTensor()
    )
    """

    def __init__(self, transforms: Any) -> None:
        self.transforms = transforms

    def __call__(self, img: Any) -> Any:
        for transform in self.transforms:
            img = transform(img)
        return img

    def __repr__(self) -> str:
        return _listed(self, [str(t) for t in self.transforms])


class ToTensor:
    """A PIL image or an array [H, W, C] as a tensor [C, H, W]; bytes become floats in [0, 1].

    >>> from norch.vision import transforms
    >>> transforms.ToTensor()(norch.tensor([[[0, 51, 255]]], dtype=norch.uint8).numpy()).flatten()
    tensor([0.0000, 0.2000, 1.0000])
    """

    def __call__(self, pic: Any) -> Tensor:
        return F.to_tensor(pic)

    def __repr__(self) -> str:
        return f"{type(self).__name__}()"


class PILToTensor:
    """A PIL image as a tensor [C, H, W] of the image's own dtype."""

    def __call__(self, pic: Any) -> Tensor:
        return F.pil_to_tensor(pic)

    def __repr__(self) -> str:
        return f"{type(self).__name__}()"


class ConvertImageDtype(nn.Module):
    """A tensor image in another dtype, with its values scaled."""

    def __init__(self, dtype: Any) -> None:
        super().__init__()
        self.dtype = dtype

    def forward(self, image: Tensor) -> Tensor:
        return F.convert_image_dtype(image, self.dtype)


class ToPILImage:
    """A tensor [C, H, W] or an array [H, W, C] as a PIL image."""

    def __init__(self, mode: str | None = None) -> None:
        self.mode = mode

    def __call__(self, pic: Any) -> Any:
        return F.to_pil_image(pic, self.mode)

    def __repr__(self) -> str:
        return f"{type(self).__name__}({'' if self.mode is None else f'mode={self.mode}'})"


class Normalize(nn.Module):
    """(tensor - mean) / std for each channel.

    >>> from norch.vision import transforms
    >>> transforms.Normalize(mean=[0.5], std=[0.25])(norch.ones(1, 1, 2))
    tensor([[[2., 2.]]])
    """

    def __init__(self, mean: Any, std: Any, inplace: bool = False) -> None:
        super().__init__()
        self.mean = mean
        self.std = std
        self.inplace = inplace

    def forward(self, tensor: Tensor) -> Tensor:
        return F.normalize(tensor, self.mean, self.std, self.inplace)

    def __repr__(self) -> str:
        return f"{type(self).__name__}(mean={self.mean}, std={self.std})"


class Lambda:
    """Applies a function of one's own."""

    def __init__(self, lambd: Callable) -> None:
        if not callable(lambd):
            raise TypeError(f"Argument lambd should be callable, got {type(lambd).__name__!r}")
        self.lambd = lambd

    def __call__(self, img: Any) -> Any:
        return self.lambd(img)

    def __repr__(self) -> str:
        return f"{type(self).__name__}()"


class RandomApply(nn.Module):
    """Applies all of the transforms with probability `p`, else none."""

    def __init__(self, transforms: Any, p: float = 0.5) -> None:
        super().__init__()
        self.transforms = transforms
        self.p = p

    def forward(self, img: Any) -> Any:
        if self.p < norch.rand(1):
            return img
        for transform in self.transforms:
            img = transform(img)
        return img

    def __repr__(self) -> str:
        return _listed(self, [f"p={self.p}", *(str(t) for t in self.transforms)])


class _OfSeveral:
    def __init__(self, transforms: Any) -> None:
        if not isinstance(transforms, Sequence):
            raise TypeError("Argument transforms should be a sequence")
        self.transforms = transforms

    def __repr__(self) -> str:
        return _listed(self, [str(t) for t in self.transforms])


class RandomOrder(_OfSeveral):
    """Applies the transforms in a random order, drawn from Python's `random`."""

    def __call__(self, img: Any) -> Any:
        order = list(range(len(self.transforms)))
        random.shuffle(order)
        for i in order:
            img = self.transforms[i](img)
        return img


class RandomChoice(_OfSeveral):
    """Applies one of the transforms, drawn from Python's `random` with the weights `p`."""

    def __init__(self, transforms: Any, p: Any = None) -> None:
        super().__init__(transforms)
        if p is not None and not isinstance(p, Sequence):
            raise TypeError("Argument p should be a sequence")
        self.p = p

    def __call__(self, *args: Any) -> Any:
        return random.choices(self.transforms, weights=self.p)[0](*args)

    def __repr__(self) -> str:
        return f"{super().__repr__()}(p={self.p})"


class LinearTransformation(nn.Module):
    """(the image as a row - mean_vector) @ transformation_matrix, as an image again: whitening, for instance. The
    matrix is [D, D] and the vector [D], D being C * H * W."""

    def __init__(self, transformation_matrix: Tensor, mean_vector: Tensor) -> None:
        super().__init__()
        shape = tuple(transformation_matrix.shape)
        if shape[0] != shape[1]:
            raise ValueError(f"transformation_matrix should be square. Got {shape} rectangular matrix.")
        if mean_vector.shape[0] != shape[0]:
            raise ValueError(
                f"mean_vector should have the same length {mean_vector.shape[0]} as any one of the dimensions of the "
                f"transformation_matrix [{shape}]"
            )
        if transformation_matrix.device != mean_vector.device:
            raise ValueError(
                "Input tensors should be on the same device. "
                f"Got {transformation_matrix.device} and {mean_vector.device}"
            )
        if transformation_matrix.dtype != mean_vector.dtype:
            raise ValueError(
                f"Input tensors should have the same dtype. Got {transformation_matrix.dtype} and {mean_vector.dtype}"
            )
        self.transformation_matrix = transformation_matrix
        self.mean_vector = mean_vector

    def forward(self, tensor: Tensor) -> Tensor:
        c, h, w = tensor.shape[-3:]
        if c * h * w != self.transformation_matrix.shape[0]:
            raise ValueError(
                f"Input tensor and transformation matrix have incompatible shape. [{c} x {h} x {w}] != "
                f"{self.transformation_matrix.shape[0]}"
            )
        if tensor.device.type != self.mean_vector.device.type:
            raise ValueError(
                "Input tensor should be on the same device as transformation matrix and mean vector. "
                f"Got {tensor.device} vs {self.mean_vector.device}"
            )
        flat = tensor.reshape(-1, c * h * w) - self.mean_vector
        return norch.mm(flat, self.transformation_matrix.to(flat.dtype)).view(tensor.shape)

    def __repr__(self) -> str:
        matrix, mean = self.transformation_matrix.tolist(), self.mean_vector.tolist()
        return f"{type(self).__name__}(transformation_matrix={matrix}, mean_vector={mean})"
