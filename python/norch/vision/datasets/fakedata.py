"""Images of noise, to try programs with."""

from __future__ import annotations

from typing import Any, Callable

import norch

from ..transforms.functional import to_pil_image
from .vision import VisionDataset

__all__ = ["FakeData"]


class FakeData(VisionDataset):
    """`size` images of noise, [C, H, W] as `image_size` says, with random classes.

    Sample i depends on `random_offset + i` alone: the default generator is as it was after taking a sample.

    >>> from norch.vision import datasets, transforms
    >>> image, target = datasets.FakeData(10, (3, 32, 32), transform=transforms.ToTensor())[0]
    >>> image.shape
    norch.Size([3, 32, 32])
    """

    def __init__(
        self,
        size: int = 1000,
        image_size: tuple[int, int, int] = (3, 224, 224),
        num_classes: int = 10,
        transform: Callable | None = None,
        target_transform: Callable | None = None,
        random_offset: int = 0,
    ) -> None:
        super().__init__(transform=transform, target_transform=target_transform)
        self.size = size
        self.num_classes = num_classes
        self.image_size = image_size
        self.random_offset = random_offset

    def __getitem__(self, index: int) -> tuple[Any, Any]:
        if index >= len(self):
            raise IndexError(f"{type(self).__name__} index out of range")
        state = norch.get_rng_state()
        norch.manual_seed(index + self.random_offset)
        image = norch.randn(*self.image_size)
        target: Any = norch.randint(0, self.num_classes, size=(1,), dtype=norch.int64)[0]
        norch.set_rng_state(state)
        img, target = self._changed(to_pil_image(image), target)
        return img, target.item() if isinstance(target, norch.Tensor) else target

    def __len__(self) -> int:
        return self.size
