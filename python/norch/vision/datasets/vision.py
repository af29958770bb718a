"""The base class of data sets of images."""

from __future__ import annotations

import os
from typing import Any, Callable

from norch.utils.data import Dataset

__all__ = ["StandardTransform", "VisionDataset"]


def _under_head(transform: Any, head: str) -> list[str]:
    first, *rest = repr(transform).splitlines()
    return [head + first] + [" " * len(head) + line for line in rest]


class StandardTransform:
    """Changes a sample (input, target) by one function for each."""

    def __init__(self, transform: Callable | None = None, target_transform: Callable | None = None) -> None:
        self.transform = transform
        self.target_transform = target_transform

    def __call__(self, input: Any, target: Any) -> tuple[Any, Any]:
        if self.transform is not None:
            input = self.transform(input)
        if self.target_transform is not None:
            target = self.target_transform(target)
        return input, target

    def __repr__(self) -> str:
        lines = [type(self).__name__]
        if self.transform is not None:
            lines += _under_head(self.transform, "Transform: ")
        if self.target_transform is not None:
            lines += _under_head(self.target_transform, "Target transform: ")
        return "\n".join(lines)


class VisionDataset(Dataset):
    """Base class of data sets of images: `root` is the folder, `transform` changes the image, `target_transform` the
    target, and `transforms` (instead of those two) both. Subclasses define `__getitem__` and `__len__`."""

    _repr_indent = 4

    def __init__(
        self,
        root: Any = None,
        transforms: Callable | None = None,
        transform: Callable | None = None,
        target_transform: Callable | None = None,
    ) -> None:
        self.root = os.path.expanduser(root) if isinstance(root, str) else root
        separate = transform is not None or target_transform is not None
        if transforms is not None and separate:
            raise ValueError("Only transforms or transform/target_transform can be passed as argument")
        self.transform = transform
        self.target_transform = target_transform
        self.transforms = StandardTransform(transform, target_transform) if separate else transforms

    def __getitem__(self, index: int) -> Any:
        raise NotImplementedError(f"{type(self).__name__} does not define __getitem__")

    def __len__(self) -> int:
        raise NotImplementedError(f"{type(self).__name__} does not define __len__")

    def _changed(self, image: Any, target: Any) -> tuple[Any, Any]:
        """The sample after `transform` and `target_transform`."""
        if self.transform is not None:
            image = self.transform(image)
        if self.target_transform is not None:
            target = self.target_transform(target)
        return image, target

    def extra_repr(self) -> str:
        """Lines that a subclass adds to its repr."""
        return ""

    def __repr__(self) -> str:
        body = [f"Number of datapoints: {len(self)}"]
        if self.root is not None:
            body.append(f"Root location: {self.root}")
        body += self.extra_repr().splitlines()
        if self.transforms is not None:
            body.append(repr(self.transforms))
        indent = " " * self._repr_indent
        return "\n".join([f"Dataset {type(self).__name__}"] + [indent + line for line in body])
