"""CelebA: faces with attributes."""

from __future__ import annotations

import os
from typing import Any, Callable

import norch
from norch._C import Tensor

from .._pillow import Image
from .utils import check_integrity, download_file_from_google_drive, extract_archive, verify_str_arg
from .vision import VisionDataset

__all__ = ["CelebA"]


class CelebA(VisionDataset):
    """Photographs of faces. `split` is "train", "valid", "test" or "all"; `target_type` is one, or a list, of "attr"
    (tensor [40] of 0 and 1), "identity" (tensor []), "bbox" ([4]) and "landmarks" ([10]); with [] the target is None.
    Reads the files in `root`/celeba. Downloading needs the package `gdown`."""

    base_folder = "celeba"
    file_list = [
        ("0B7EVK8r0v71pZjFTYXZWM3FlRnM", "00d2c5bc6d35e252742224ab0c1e8fcb", "img_align_celeba.zip"),
        ("0B7EVK8r0v71pblRyaVFSWGxPY0U", "75e246fa4810816ffd6ee81facbd244c", "list_attr_celeba.txt"),
        ("1_ee_0u7vcNLOfNLegJRHmolfH5ICW-XS", "32bd1bd63d3c78cd57e08160ec5ed1e2", "identity_CelebA.txt"),
        ("0B7EVK8r0v71pbThiMVRxWXZ4dU0", "00566efa6fedff7a56946cd1c10f1c16", "list_bbox_celeba.txt"),
        ("0B7EVK8r0v71pd0FJY3Blby1HUTQ", "cc24ecafdb5b50baae59b03474781f8c", "list_landmarks_align_celeba.txt"),
        ("0B7EVK8r0v71pY0NSMzRuSXJEVkk", "d32c9cbf5e040fd4025c592c306e6668", "list_eval_partition.txt"),
    ]
    _splits = {"train": 0, "valid": 1, "test": 2, "all": None}
    _targets = ("attr", "identity", "bbox", "landmarks")

    def __init__(
        self,
        root: Any,
        split: str = "train",
        target_type: Any = "attr",
        transform: Callable | None = None,
        target_transform: Callable | None = None,
        download: bool = False,
    ) -> None:
        super().__init__(root, transform=transform, target_transform=target_transform)
        self.split = split
        self.target_type = target_type if isinstance(target_type, list) else [target_type]
        if not self.target_type and self.target_transform is not None:
            raise RuntimeError("target_transform is specified but target_type is empty")
        for target in self.target_type:
            if target not in self._targets:
                raise ValueError(f'Target type "{target}" is not recognized.')
        number = self._splits[
            verify_str_arg(split.lower() if isinstance(split, str) else split, "split", tuple(self._splits))
        ]
        if download:
            self.download()
        if not self._check_integrity():
            raise RuntimeError("Dataset not found or corrupted. You can use download=True to download it")
        _, names, parts = self._table("list_eval_partition.txt")
        mask = norch.ones(len(names), dtype=norch.bool) if number is None else (parts == number).reshape(-1)
        self.filename = [name for name, taken in zip(names, mask.tolist()) if taken]
        self.identity = self._table("identity_CelebA.txt")[2][mask]
        self.bbox = self._table("list_bbox_celeba.txt", header=1)[2][mask]
        self.landmarks_align = self._table("list_landmarks_align_celeba.txt", header=1)[2][mask]
        self.attr_names, _, attributes = self._table("list_attr_celeba.txt", header=1)
        # From -1 and 1 to 0 and 1.
        self.attr = norch.div(attributes[mask] + 1, 2, rounding_mode="floor")

    def _table(self, filename: str, header: int | None = None) -> tuple[list[str], list[str], Tensor]:
        """(names of the columns, first column, the others as integers) of a file, whose line `header` has the names."""
        with open(os.path.join(self.root, self.base_folder, filename)) as file:
            rows = [line.split() for line in file if line.strip()]
        names = [] if header is None else rows[header]
        rows = rows if header is None else rows[header + 1 :]
        try:
            numbers = norch.tensor([[int(cell) for cell in row[1:]] for row in rows])
        except ValueError as error:
            raise RuntimeError(f"{filename} is damaged ({error})") from error
        return names, [row[0] for row in rows], numbers

    def _check_integrity(self) -> bool:
        folder = os.path.join(self.root, self.base_folder)
        tables = [(name, md5) for _, md5, name in self.file_list if name.endswith(".txt")]
        right = all(check_integrity(os.path.join(folder, name), md5) for name, md5 in tables)
        return right and os.path.isdir(os.path.join(folder, "img_align_celeba"))

    def download(self) -> None:
        """Gets the files and unpacks the images, unless they are there."""
        if self._check_integrity():
            return
        folder = os.path.join(self.root, self.base_folder)
        for file_id, md5, filename in self.file_list:
            download_file_from_google_drive(file_id, folder, filename, md5)
        extract_archive(os.path.join(folder, "img_align_celeba.zip"))

    def __getitem__(self, index: int) -> tuple[Any, Any]:
        image: Any
        with Image.open(os.path.join(self.root, self.base_folder, "img_align_celeba", self.filename[index])) as image:
            image.load()
        if self.transform is not None:
            image = self.transform(image)
        values = {
            "attr": self.attr[index],
            "identity": self.identity[index, 0],
            "bbox": self.bbox[index],
            "landmarks": self.landmarks_align[index],
        }
        chosen = tuple(values[name] for name in self.target_type)
        target: Any = chosen if len(chosen) > 1 else chosen[0] if chosen else None
        if chosen and self.target_transform is not None:
            target = self.target_transform(target)
        return image, target

    def __len__(self) -> int:
        return len(self.attr)

    def extra_repr(self) -> str:
        return f"Target type: {self.target_type}\nSplit: {self.split}"
