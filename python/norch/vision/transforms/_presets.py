"""The transforms with which pretrained models were trained."""

from __future__ import annotations

from typing import Any

import norch
import norch.nn as nn
from norch._C import Tensor

from . import functional as F
from ._functional_kinds import InterpolationMode

__all__ = ["ImageClassification", "ObjectDetection", "SemanticSegmentation"]


class ImageClassification(nn.Module):
    """Resizes the shorter side to `resize_size`, takes the middle `crop_size`, and normalizes by `mean` and `std`."""

    def __init__(
        self,
        *,
        crop_size: int,
        resize_size: int = 256,
        mean: Any = (0.485, 0.456, 0.406),
        std: Any = (0.229, 0.224, 0.225),
        interpolation: Any = InterpolationMode.BILINEAR,
        antialias: bool | None = True,
    ) -> None:
        super().__init__()
        self.crop_size = [crop_size]
        self.resize_size = [resize_size]
        self.mean = list(mean)
        self.std = list(std)
        self.interpolation = interpolation
        self.antialias = antialias

    def forward(self, img: Any) -> Tensor:
        img = F.resize(img, self.resize_size, interpolation=self.interpolation, antialias=self.antialias)
        img = F.center_crop(img, self.crop_size)
        if not isinstance(img, Tensor):
            img = F.pil_to_tensor(img)
        return F.normalize(F.convert_image_dtype(img, norch.float32), mean=self.mean, std=self.std)

    def __repr__(self) -> str:
        names = ("crop_size", "resize_size", "mean", "std", "interpolation")
        return f"{type(self).__name__}(" + "".join(f"\n    {n}={getattr(self, n)}" for n in names) + "\n)"


class SemanticSegmentation(nn.Module):
    """Resizes the shorter side to `resize_size` (None: leaves the size) and normalizes by `mean` and `std`."""

    def __init__(
        self,
        *,
        resize_size: int | None,
        mean: Any = (0.485, 0.456, 0.406),
        std: Any = (0.229, 0.224, 0.225),
        interpolation: Any = InterpolationMode.BILINEAR,
        antialias: bool | None = True,
    ) -> None:
        super().__init__()
        self.resize_size = None if resize_size is None else [resize_size]
        self.mean = list(mean)
        self.std = list(std)
        self.interpolation = interpolation
        self.antialias = antialias

    def forward(self, img: Any) -> Tensor:
        if self.resize_size is not None:
            img = F.resize(img, self.resize_size, interpolation=self.interpolation, antialias=self.antialias)
        if not isinstance(img, Tensor):
            img = F.pil_to_tensor(img)
        return F.normalize(F.convert_image_dtype(img, norch.float32), mean=self.mean, std=self.std)

    def __repr__(self) -> str:
        names = ("resize_size", "mean", "std", "interpolation")
        return f"{type(self).__name__}(" + "".join(f"\n    {n}={getattr(self, n)}" for n in names) + "\n)"


class ObjectDetection(nn.Module):
    """An image as float32 in [0, 1]: detectors resize and normalize themselves."""

    def forward(self, img: Any) -> Tensor:
        return F.convert_image_dtype(img if isinstance(img, Tensor) else F.pil_to_tensor(img), norch.float32)

    def __repr__(self) -> str:
        return f"{type(self).__name__}()"
