"""MixUp and CutMix: batches mixed with themselves, images and labels alike."""

from __future__ import annotations

import math
from typing import Any, Callable

import norch
import norch.nn as nn
from norch._C import Tensor
from norch.distributions import Beta
from norch.utils import _pytree

from .._parameters import _integer

__all__ = ["CutMix", "MixUp"]


def _default_labels(sample: Any) -> Any:
    """The labels of a sample: of a dict the entry whose name says so, of a tuple (images, labels, ...) the second."""
    if isinstance(sample, dict):
        for exact in (True, False):
            for key, value in sample.items():
                name = str(key).lower()
                if name in ("label", "labels", "target", "targets") if exact else "label" in name:
                    return value
    elif isinstance(sample, (tuple, list)) and len(sample) >= 2:
        return _default_labels(sample[1]) if isinstance(sample[1], dict) else sample[1]
    raise ValueError(
        "Could not infer where the labels are in the sample. Try passing a callable as the labels_getter parameter? "
        "If there are no labels in the sample by design, pass labels_getter=None."
    )


class _Mixing(nn.Module):
    """What both have in common: finding images and labels, and the share of the first image, from Beta(alpha, alpha)."""

    def __init__(
        self, *, alpha: float = 1.0, num_classes: int | None = None, labels_getter: Callable | str | None = "default"
    ) -> None:
        super().__init__()
        if not (labels_getter in ("default", None) or callable(labels_getter)):
            raise ValueError(f"labels_getter should be 'default', None or callable. Got {labels_getter!r} instead.")
        self.alpha = float(alpha)
        self.num_classes = num_classes
        self._labels_getter = _default_labels if labels_getter == "default" else labels_getter
        self._distribution = Beta(norch.tensor([self.alpha]), norch.tensor([self.alpha]))

    def extra_repr(self) -> str:
        return f"alpha={self.alpha}, num_classes={self.num_classes}"

    def _mixed_images(self, images: Tensor, share: float, params: Any) -> Tensor:
        raise NotImplementedError

    def _draw(self, share: float, height: int, width: int) -> tuple[float, Any]:
        """The share of each image's own label, and what `_mixed_images` needs."""
        return share, None

    def forward(self, *inputs: Any) -> Any:
        name = type(self).__name__
        sample = inputs if len(inputs) > 1 else inputs[0]
        labels = None if self._labels_getter is None else self._labels_getter(sample)  # type: ignore[operator]
        if self._labels_getter is not None:
            self._check_labels(labels)
        parts, spec = _pytree.tree_flatten(sample)
        images = [p for p in parts if isinstance(p, Tensor) and p is not labels and p.ndim >= 3]
        if any(p.ndim != 4 for p in images):
            raise ValueError(f"Expected a batch of images, [B, C, H, W], for {name}(); use it after the DataLoader")
        if not images:
            raise ValueError(f"{name}(): found no batch of images, [B, C, H, W], in the sample")
        n, _, height, width = images[0].shape
        if any(len(p) != n for p in [*images, *([] if labels is None else [labels])]):
            raise ValueError(f"{name}(): the batch sizes of images and labels differ")
        share, params = self._draw(float(self._distribution.sample(()).item()), height, width)
        mixed = []
        for p in parts:
            if p is labels and isinstance(p, Tensor):
                p = self._mixed_labels(p, share)
            elif any(p is image for image in images):
                p = self._mixed_images(p, share, params)
            mixed.append(p)
        return _pytree.tree_unflatten(mixed, spec)

    def _check_labels(self, labels: Any) -> None:
        if not isinstance(labels, Tensor):
            raise ValueError(f"The labels must be a tensor, but got {type(labels)} instead.")
        if labels.ndim not in (1, 2):
            raise ValueError(
                "labels should be index based with shape (batch_size,) or probability based with shape "
                f"(batch_size, num_classes), but got a tensor of shape {tuple(labels.shape)} instead."
            )
        if labels.ndim == 2 and self.num_classes is not None and labels.shape[-1] != self.num_classes:
            raise ValueError(
                "When passing 2D labels, the number of elements in last dimension must match num_classes: "
                f"{labels.shape[-1]} != {self.num_classes}. You can Leave num_classes to None."
            )
        if labels.ndim == 1 and self.num_classes is None:
            raise ValueError("num_classes must be passed if the labels are index-based (1D)")

    def _mixed_labels(self, labels: Tensor, share: float) -> Tensor:
        if labels.ndim == 1:
            labels = norch.nn.functional.one_hot(labels, num_classes=self.num_classes)  # type: ignore[arg-type]
        labels = labels if labels.is_floating_point() else labels.float()
        return labels.roll(1, 0).mul_(1.0 - share).add_(labels.mul(share))


class MixUp(_Mixing):
    """Mixes each image of a batch with the one before it: share * image + (1 - share) * other, and their labels alike,
    which become [B, num_classes] (Zhang et al., "mixup: Beyond Empirical Risk Minimization", 2018). The share is one
    number for the batch, of Beta(alpha, alpha). labels_getter(sample) gives the labels; by default they are found by
    their place or name; None: there are none. ValueError for anything but batches, and for indices as labels without
    num_classes.

        >>> from norch.vision.transforms import v2
        >>> images, labels = norch.rand(4, 3, 8, 8), norch.tensor([0, 1, 2, 0])
        >>> images, labels = v2.MixUp(num_classes=3)(images, labels)
        >>> images.shape, labels.shape
        (norch.Size([4, 3, 8, 8]), norch.Size([4, 3]))"""

    def _mixed_images(self, images: Tensor, share: float, params: Any) -> Tensor:
        images = images if images.is_floating_point() else images.float()
        return images.roll(1, 0).mul_(1.0 - share).add_(images.mul(share))


class CutMix(_Mixing):
    """Pastes a random rectangle of the image before it over each image of a batch, and mixes their labels by area (Yun et
    al., "CutMix: Regularization Strategy to Train Strong Classifiers with Localizable Features", 2019). Arguments and
    errors are those of MixUp.

        >>> from norch.vision.transforms import v2
        >>> images, labels = norch.rand(4, 3, 8, 8), norch.tensor([0, 1, 2, 0])
        >>> v2.CutMix(num_classes=3)(images, labels)[1].sum(1)
        tensor([1., 1., 1., 1.])"""

    def _draw(self, share: float, height: int, width: int) -> tuple[float, Any]:
        x, y = _integer(0, width), _integer(0, height)
        half = 0.5 * math.sqrt(1.0 - share)
        dx, dy = int(half * width), int(half * height)
        left, top, right, bottom = max(x - dx, 0), max(y - dy, 0), min(x + dx, width), min(y + dy, height)
        return 1.0 - (right - left) * (bottom - top) / (width * height), (top, bottom, left, right)

    def _mixed_images(self, images: Tensor, share: float, params: Any) -> Tensor:
        top, bottom, left, right = params
        out = images.clone()
        out[..., top:bottom, left:right] = images.roll(1, 0)[..., top:bottom, left:right]
        return out
