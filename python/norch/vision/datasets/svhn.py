"""Street View House Numbers."""

from __future__ import annotations

import os
from typing import Any, Callable

import numpy as np

from .._pillow import Image
from .utils import check_integrity, download_url, verify_str_arg
from .vision import VisionDataset

__all__ = ["SVHN"]


class SVHN(VisionDataset):
    """Digits of house numbers: colour images of 32 x 32. `split` is "train", "test" or "extra". Reads
    `root`/train_32x32.mat and the like, with SciPy. A sample is (PIL image of mode RGB, digit)."""

    _address = "http://ufldl.stanford.edu/housenumbers/"
    split_list = {
        "train": [_address + "train_32x32.mat", "train_32x32.mat", "e26dedcc434d2e4c54c9b2d4a06d8373"],
        "test": [_address + "test_32x32.mat", "test_32x32.mat", "eb5a983be6a315427106f1b164d9cef3"],
        "extra": [_address + "extra_32x32.mat", "extra_32x32.mat", "a93ce644f1a588dc4d68dda5feec44a7"],
    }

    def __init__(
        self,
        root: Any,
        split: str = "train",
        transform: Callable | None = None,
        target_transform: Callable | None = None,
        download: bool = False,
    ) -> None:
        super().__init__(root, transform=transform, target_transform=target_transform)
        self.split = verify_str_arg(split, "split", tuple(self.split_list))
        self.url, self.filename, self.file_md5 = self.split_list[split]
        if download:
            self.download()
        if not self._check_integrity():
            raise RuntimeError("Dataset not found or corrupted. You can use download=True to download it")
        try:
            from scipy.io import loadmat  # type: ignore[import-not-found, import-untyped, unused-ignore]
        except ImportError as error:
            raise ImportError("SVHN's files are read with SciPy, which is not installed: pip install scipy") from error
        content = loadmat(os.path.join(self.root, self.filename))
        self.data = np.transpose(content["X"], (3, 2, 0, 1))
        # The files call the digit 0 "10".
        self.labels = content["y"].astype(np.int64).reshape(-1) % 10

    def __getitem__(self, index: int) -> tuple[Any, Any]:
        image = Image.fromarray(np.ascontiguousarray(self.data[index].transpose(1, 2, 0)))
        return self._changed(image, int(self.labels[index]))

    def __len__(self) -> int:
        return len(self.data)

    def _check_integrity(self) -> bool:
        return check_integrity(os.path.join(self.root, self.filename), self.file_md5)

    def download(self) -> None:
        """Gets the split's file, unless it is there."""
        download_url(self.url, self.root, self.filename, self.file_md5)

    def extra_repr(self) -> str:
        return f"Split: {self.split}"
