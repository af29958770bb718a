"""LSUN: images of scenes, in LMDB databases."""

from __future__ import annotations

import bisect
import io
import os
from typing import Any, Callable, Iterable

from .._pillow import Image
from .utils import iterable_to_str, verify_str_arg
from .vision import VisionDataset

__all__ = ["LSUN", "LSUNClass"]

_CATEGORIES = [
    "bedroom",
    "bridge",
    "church_outdoor",
    "classroom",
    "conference_room",
    "dining_room",
    "kitchen",
    "living_room",
    "restaurant",
    "tower",
]
_SPLITS = ["train", "val", "test"]


class LSUNClass(VisionDataset):
    """The images of one database, read with the package `lmdb`. A sample is (PIL image of mode RGB, None)."""

    def __init__(
        self, root: str, transform: Callable | None = None, target_transform: Callable | None = None
    ) -> None:
        try:
            import lmdb  # type: ignore[import-not-found, import-untyped, unused-ignore]
        except ImportError as error:
            raise ImportError("LSUN is read with the package lmdb, which is not installed: pip install lmdb") from error
        super().__init__(root, transform=transform, target_transform=target_transform)
        self.env = lmdb.open(root, max_readers=1, readonly=True, lock=False, readahead=False, meminit=False)
        with self.env.begin(write=False) as transaction:
            self.keys = list(transaction.cursor().iternext(keys=True, values=False))
        self.length = len(self.keys)

    def __getitem__(self, index: int) -> tuple[Any, Any]:
        with self.env.begin(write=False) as transaction:
            data = transaction.get(self.keys[index])
        return self._changed(Image.open(io.BytesIO(data)).convert("RGB"), None)

    def __len__(self) -> int:
        return self.length


class LSUN(VisionDataset):
    """Images of scenes. `classes` is "train", "val" or "test" (all categories), or a list such as ["bedroom_train",
    "tower_val"]: the databases `root`/bedroom_train_lmdb and so on, read with the package `lmdb`. A sample is
    (PIL image of mode RGB, place in the list)."""

    def __init__(
        self,
        root: Any,
        classes: Any = "train",
        transform: Callable | None = None,
        target_transform: Callable | None = None,
    ) -> None:
        super().__init__(root, transform=transform, target_transform=target_transform)
        self.classes = self._verify_classes(classes)
        self.dbs = [LSUNClass(os.path.join(root, f"{name}_lmdb"), transform) for name in self.classes]
        self.indices: list[int] = []
        for db in self.dbs:
            self.indices.append((self.indices[-1] if self.indices else 0) + len(db))
        self.length = self.indices[-1] if self.indices else 0

    def _verify_classes(self, classes: Any) -> list[str]:
        if isinstance(classes, str) and classes in _SPLITS:
            return [classes] if classes == "test" else [f"{category}_{classes}" for category in _CATEGORIES]
        if not isinstance(classes, Iterable):
            raise ValueError(f"Expected type str or Iterable for argument classes, but got type {type(classes)}.")
        names = list(classes)
        for name in names:
            verify_str_arg(name, "classes")
            category, _, split = name.rpartition("_")
            for value, what, known in ((category, "LSUN class", _CATEGORIES), (split, "postfix", _SPLITS)):
                message = f"Unknown value '{value}' for {what}. Valid values are {{{iterable_to_str(known)}}}."
                verify_str_arg(value, valid_values=known, custom_msg=message)
        return names

    def __getitem__(self, index: int) -> tuple[Any, Any]:
        if not 0 <= index < self.length:
            raise IndexError(f"LSUN index {index} is out of range for {self.length} images")
        target = bisect.bisect_right(self.indices, index)
        before = self.indices[target - 1] if target else 0
        image, _ = self.dbs[target][index - before]
        return image, self.target_transform(target) if self.target_transform is not None else target

    def __len__(self) -> int:
        return self.length

    def extra_repr(self) -> str:
        return f"Classes: {self.classes}"
