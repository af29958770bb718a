"""STL-10."""

from __future__ import annotations

import os
from typing import Any, Callable

import numpy as np

from .._pillow import Image
from .utils import check_integrity, download_and_extract_archive, verify_str_arg
from .vision import VisionDataset

__all__ = ["STL10"]


class STL10(VisionDataset):
    """Colour images of 96 x 96 in 10 classes. `split` is "train", "test", "unlabeled" or "train+unlabeled" (whose
    classes are -1 where there is none); `folds` chooses one of the 10 published parts of the training set. Reads the
    files in `root`/stl10_binary. A sample is (PIL image of mode RGB, class)."""

    base_folder = "stl10_binary"
    url = "http://ai.stanford.edu/~acoates/stl10/stl10_binary.tar.gz"
    filename = "stl10_binary.tar.gz"
    tgz_md5 = "91f7769df0f17e558f3565bffb0c7dfb"
    class_names_file = "class_names.txt"
    folds_list_file = "fold_indices.txt"
    train_list = [
        ["train_X.bin", "918c2871b30a85fa023e0c44e0bee87f"],
        ["train_y.bin", "5a34089d4802c674881badbb80307741"],
        ["unlabeled_X.bin", "5242ba1fed5e4be9e1e742405eb56ca4"],
    ]
    test_list = [["test_X.bin", "7f263ba9f9e0b06b93213547f721ac82"], ["test_y.bin", "36f9794fa4beb8a2c72628de14fa638e"]]
    splits = ("train", "train+unlabeled", "unlabeled", "test")

    def __init__(
        self,
        root: Any,
        split: str = "train",
        folds: int | None = None,
        transform: Callable | None = None,
        target_transform: Callable | None = None,
        download: bool = False,
    ) -> None:
        super().__init__(root, transform=transform, target_transform=target_transform)
        self.split = verify_str_arg(split, "split", self.splits)
        if folds is not None and not isinstance(folds, int):
            raise ValueError(f"Expected type None or int for argument folds, but got type {type(folds)}.")
        if folds is not None and folds not in range(10):
            raise ValueError(f"Value for argument folds should be in the range [0, 10), but got {folds}.")
        self.folds = folds
        if download:
            self.download()
        elif not self._check_integrity():
            raise RuntimeError("Dataset not found or corrupted. You can use download=True to download it")
        parts = []
        if split.startswith("train"):
            images, labels = self._images(self.train_list[0][0]), self._labels(self.train_list[1][0])
            if folds is not None:
                with open(self._path(self.folds_list_file)) as file:
                    chosen = np.array(file.read().splitlines()[folds].split(), dtype=np.int64)
                images, labels = images[chosen], labels[chosen]
            parts.append((images, labels))
        if split == "test":
            parts.append((self._images(self.test_list[0][0]), self._labels(self.test_list[1][0])))
        if split.endswith("unlabeled"):
            images = self._images(self.train_list[2][0])
            parts.append((images, np.full(len(images), -1)))
        self.data = np.concatenate([images for images, _ in parts])
        self.labels = np.concatenate([labels for _, labels in parts])
        if os.path.isfile(self._path(self.class_names_file)):
            with open(self._path(self.class_names_file)) as file:
                self.classes = file.read().splitlines()

    def _path(self, name: str) -> str:
        return os.path.join(self.root, self.base_folder, name)

    def _images(self, name: str) -> np.ndarray:
        # Stored with the columns of an image one after the other.
        return np.fromfile(self._path(name), dtype=np.uint8).reshape(-1, 3, 96, 96).transpose(0, 1, 3, 2)

    def _labels(self, name: str) -> np.ndarray:
        return np.fromfile(self._path(name), dtype=np.uint8).astype(np.int64) - 1

    def __getitem__(self, index: int) -> tuple[Any, Any]:
        image = Image.fromarray(np.ascontiguousarray(self.data[index].transpose(1, 2, 0)))
        return self._changed(image, int(self.labels[index]))

    def __len__(self) -> int:
        return len(self.data)

    def _check_integrity(self) -> bool:
        return all(check_integrity(self._path(name), md5) for name, md5 in self.train_list + self.test_list)

    def download(self) -> None:
        """Gets and unpacks the archive, unless the files are there."""
        if not self._check_integrity():
            download_and_extract_archive(self.url, self.root, filename=self.filename, md5=self.tgz_md5)

    def extra_repr(self) -> str:
        return f"Split: {self.split}"
