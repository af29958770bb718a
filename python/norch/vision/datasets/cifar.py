"""CIFAR-10 and CIFAR-100: 32 x 32 colour images, in pickled batches."""

from __future__ import annotations

import os
from typing import Any, Callable

import numpy as np

from .._pillow import Image
from ._arrays_pickle import load_arrays
from .utils import check_integrity, download_and_extract_archive
from .vision import VisionDataset

__all__ = ["CIFAR10", "CIFAR100"]


class CIFAR10(VisionDataset):
    """50000 colour images of 32 x 32 in 10 classes to train with, 10000 to test.

    Reads the batches in `root`/cifar-10-batches-py, whose checksums have to be right, without running code from them.
    `download=True` gets them where they are missing. A sample is (PIL image of mode RGB, class); `data` holds the
    images as a NumPy array [N, 32, 32, 3], `targets` the list of classes."""

    base_folder = "cifar-10-batches-py"
    url = "https://www.cs.toronto.edu/~kriz/cifar-10-python.tar.gz"
    filename = "cifar-10-python.tar.gz"
    tgz_md5 = "c58f30108f718f92721af3b95e74349a"
    train_list = [
        ["data_batch_1", "c99cafc152244af753f735de768cd75f"],
        ["data_batch_2", "d4bba439e000b95fd0a9bffe97cbabec"],
        ["data_batch_3", "54ebc095f3ab1f0389bbae665268c751"],
        ["data_batch_4", "634d18415352ddfa80567beed471001a"],
        ["data_batch_5", "482c414d41f54cd18b22e5b47cb7c3cb"],
    ]
    test_list = [["test_batch", "40351d587109b95175f43aff81a1287e"]]
    meta = {"filename": "batches.meta", "key": "label_names", "md5": "5ff9c542aee3614f3951f8cda6e48888"}

    def __init__(
        self,
        root: Any,
        train: bool = True,
        transform: Callable | None = None,
        target_transform: Callable | None = None,
        download: bool = False,
    ) -> None:
        super().__init__(root, transform=transform, target_transform=target_transform)
        self.train = train
        if download:
            self.download()
        if not self._check_integrity():
            raise RuntimeError(
                "Dataset not found or corrupted. You can use download=True to download it "
                f"(looked in {os.path.join(self.root, self.base_folder)})"
            )
        images = []
        self.targets: list[int] = []
        for name, _ in self.train_list if train else self.test_list:
            path = os.path.join(self.root, self.base_folder, name)
            entry = load_arrays(path)
            labels = entry.get("labels", entry.get("fine_labels")) if isinstance(entry, dict) else None
            if labels is None or not isinstance(entry.get("data"), np.ndarray):
                raise RuntimeError(f"{path} holds no images with labels")
            images.append(entry["data"].reshape(-1, 3, 32, 32))
            self.targets.extend(int(label) for label in labels)
            if len(labels) != len(images[-1]):
                raise RuntimeError(f"{path} holds {len(images[-1])} images, but {len(labels)} labels")
        # Rows of an image are contiguous, as Pillow wants them.
        self.data = np.ascontiguousarray(np.concatenate(images).transpose(0, 2, 3, 1))
        self._load_meta()

    def _load_meta(self) -> None:
        path = os.path.join(self.root, self.base_folder, self.meta["filename"])
        if not check_integrity(path, self.meta["md5"]):
            raise RuntimeError("Dataset metadata file not found or corrupted. You can use download=True to download it")
        self.classes = load_arrays(path)[self.meta["key"]]
        self.class_to_idx = {name: i for i, name in enumerate(self.classes)}

    def __getitem__(self, index: int) -> tuple[Any, Any]:
        return self._changed(Image.fromarray(self.data[index]), self.targets[index])

    def __len__(self) -> int:
        return len(self.data)

    def _check_integrity(self) -> bool:
        folder = os.path.join(self.root, self.base_folder)
        return all(check_integrity(os.path.join(folder, n), md5) for n, md5 in self.train_list + self.test_list)

    def download(self) -> None:
        """Gets and unpacks the archive, unless the batches are there."""
        if not self._check_integrity():
            download_and_extract_archive(self.url, self.root, filename=self.filename, md5=self.tgz_md5)

    def extra_repr(self) -> str:
        return f"Split: {'Train' if self.train else 'Test'}"


class CIFAR100(CIFAR10):
    """As CIFAR10, with 100 classes, in `root`/cifar-100-python."""

    base_folder = "cifar-100-python"
    url = "https://www.cs.toronto.edu/~kriz/cifar-100-python.tar.gz"
    filename = "cifar-100-python.tar.gz"
    tgz_md5 = "eb9058c3a382ffc7106e4002c42a8d85"
    train_list = [["train", "16019d7e3df5f24257cddd939b257f8d"]]
    test_list = [["test", "f0ef6b0ae62326f3e7ffdfab6717acfc"]]
    meta = {"filename": "meta", "key": "fine_label_names", "md5": "7973b15100ade9c7d40fb424638fde48"}
