"""MNIST and the data sets in its format: idx files of images and labels."""

from __future__ import annotations

import gzip
import lzma
import os
import shutil
import string
import warnings
import zlib
from typing import Any, Callable
from urllib.error import URLError

import numpy as np

import norch
from norch._C import Tensor

from .._pillow import image_from_array
from .utils import check_integrity, download_and_extract_archive, extract_archive, verify_str_arg
from .vision import VisionDataset

__all__ = ["EMNIST", "FashionMNIST", "KMNIST", "MNIST", "QMNIST"]

_IDX_TYPES = {8: ">u1", 9: ">i1", 11: ">i2", 12: ">i4", 13: ">f4", 14: ">f8"}
_DIGITS = ["zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine"]


def _read(path: str) -> bytes:
    """The file's bytes; those of `path`.gz where only the compressed file is there."""
    if not os.path.isfile(path) and os.path.isfile(path + ".gz"):
        path += ".gz"
    opener: Any = {".gz": gzip.open, ".xz": lzma.open}.get(os.path.splitext(path)[1], open)
    try:
        with opener(path, "rb") as file:
            return file.read()
    except (EOFError, zlib.error, lzma.LZMAError, gzip.BadGzipFile) as error:
        raise ValueError(f"{path} is damaged or incomplete ({error})") from error


def read_sn3_pascalvincent_tensor(path: str, strict: bool = True) -> Tensor:
    """The tensor of an idx file: two zero bytes, a byte for the type, one for the number of dimensions (1 to 3), the
    sizes as big-endian 32-bit integers, then the elements. A file of another size raises ValueError."""
    data = _read(path)
    if len(data) < 4 or data[:2] != b"\0\0" or data[2] not in _IDX_TYPES or not 1 <= data[3] <= 3:
        raise ValueError(f"{path} is not an idx file of 1 to 3 dimensions")
    ndim = data[3]
    start = 4 + 4 * ndim
    if len(data) < start:
        raise ValueError(f"{path} is incomplete: its header should have {start} bytes, but the file has {len(data)}")
    shape = [int(size) for size in np.frombuffer(data, ">u4", ndim, 4)]
    dtype = np.dtype(_IDX_TYPES[data[2]])
    expected = start + dtype.itemsize * int(np.prod(shape, dtype=object))
    if len(data) != expected:
        raise ValueError(f"{path} should have {expected} bytes for shape {tuple(shape)}, but has {len(data)}")
    array = np.frombuffer(data, dtype, offset=start).astype(dtype.newbyteorder("=")).reshape(shape)
    return norch.from_numpy(array)


def _read_bytes(path: str, ndim: int) -> Tensor:
    x = read_sn3_pascalvincent_tensor(path, strict=False)
    if x.dtype != norch.uint8:
        raise TypeError(f"x should be of dtype norch.uint8 instead of {x.dtype}")
    if x.ndim != ndim:
        raise ValueError(f"x should have {ndim} dimension{'s' if ndim > 1 else ''} instead of {x.ndim}")
    return x


def read_label_file(path: str) -> Tensor:
    """The labels of an idx file, as int64 [N]."""
    return _read_bytes(path, 1).long()


def read_image_file(path: str) -> Tensor:
    """The images of an idx file, as uint8 [N, H, W]."""
    return _read_bytes(path, 3)


class MNIST(VisionDataset):
    """Handwritten digits: 60000 images of 28 x 28 to train with, 10000 to test.

    Reads `root`/MNIST/raw/train-images-idx3-ubyte and the like (also with .gz). `download=True` gets them where they
    are missing. A sample is (PIL image of mode L, class)."""

    mirrors = ["https://ossci-datasets.s3.amazonaws.com/mnist/", "http://yann.lecun.com/exdb/mnist/"]
    resources: Any = [
        ("train-images-idx3-ubyte.gz", "f68b3c2dcbeaaa9fbdd348bbdeb94873"),
        ("train-labels-idx1-ubyte.gz", "d53e105ee54ea40749a09fcbcd1e9432"),
        ("t10k-images-idx3-ubyte.gz", "9fb629c4189551a2d022fa330f9573f3"),
        ("t10k-labels-idx1-ubyte.gz", "ec29112dd5afa0611ce80d1b7f02629c"),
    ]
    classes = [f"{i} - {name}" for i, name in enumerate(_DIGITS)]
    data: Tensor
    targets: Tensor

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
        if not self._check_exists():
            raise RuntimeError(
                f"Dataset not found. You can use download=True to download it (looked in {self.raw_folder})"
            )
        self.data, self.targets = self._load_data()
        if len(self.data) != len(self.targets):
            raise ValueError(f"{self.raw_folder}: {len(self.data)} images, but {len(self.targets)} labels")

    def _load_data(self) -> tuple[Tensor, Tensor]:
        return read_image_file(self.images_file), read_label_file(self.labels_file)

    def __getitem__(self, index: int) -> tuple[Any, Any]:
        return self._changed(image_from_array(self.data[index].numpy(), "L"), int(self.targets[index]))

    def __len__(self) -> int:
        return len(self.data)

    @property
    def raw_folder(self) -> str:
        return os.path.join(self.root, type(self).__name__, "raw")

    @property
    def processed_folder(self) -> str:
        return os.path.join(self.root, type(self).__name__, "processed")

    @property
    def images_file(self) -> str:
        return os.path.join(self.raw_folder, f"{'train' if self.train else 't10k'}-images-idx3-ubyte")

    @property
    def labels_file(self) -> str:
        return os.path.join(self.raw_folder, f"{'train' if self.train else 't10k'}-labels-idx1-ubyte")

    @property
    def class_to_idx(self) -> dict[str, int]:
        return {name: i for i, name in enumerate(self.classes)}

    def _check_exists(self) -> bool:
        return all(check_integrity(f) or check_integrity(f + ".gz") for f in (self.images_file, self.labels_file))

    def download(self) -> None:
        """Gets the files that are missing, from the first mirror that has them."""
        if self._check_exists():
            return
        os.makedirs(self.raw_folder, exist_ok=True)
        for filename, md5 in self.resources:
            errors = []
            for mirror in self.mirrors:
                try:
                    download_and_extract_archive(mirror + filename, self.raw_folder, filename=filename, md5=md5)
                    break
                except (RuntimeError, URLError) as error:
                    errors.append(f"Tried {mirror}, got:\n{error}\n")
            else:
                raise RuntimeError(f"Error downloading {filename}:\n" + "".join(errors))

    def extra_repr(self) -> str:
        return f"Split: {'Train' if self.train else 'Test'}"

    def _renamed(self, old: str, new: str) -> Tensor:
        warnings.warn(f"{old} has been renamed {new}", stacklevel=3)
        return getattr(self, new)

    @property
    def train_labels(self) -> Tensor:
        return self._renamed("train_labels", "targets")

    @property
    def test_labels(self) -> Tensor:
        return self._renamed("test_labels", "targets")

    @property
    def train_data(self) -> Tensor:
        return self._renamed("train_data", "data")

    @property
    def test_data(self) -> Tensor:
        return self._renamed("test_data", "data")


class FashionMNIST(MNIST):
    """Images of clothes, in MNIST's sizes and format, under `root`/FashionMNIST/raw."""

    mirrors = ["http://fashion-mnist.s3-website.eu-central-1.amazonaws.com/"]
    resources = [
        ("train-images-idx3-ubyte.gz", "8d4fb7e6c68d591d4c3dfef9ec88bf0d"),
        ("train-labels-idx1-ubyte.gz", "25c81989df183df01b3e8a0aad5dffbe"),
        ("t10k-images-idx3-ubyte.gz", "bef4ecab320f06d8554ea6380940ec79"),
        ("t10k-labels-idx1-ubyte.gz", "bb300cfdad3c16e7a12a480ee83cd310"),
    ]
    classes = ["T-shirt/top", "Trouser", "Pullover", "Dress", "Coat", "Sandal", "Shirt", "Sneaker", "Bag", "Ankle boot"]


class KMNIST(MNIST):
    """Old Japanese characters, in MNIST's sizes and format, under `root`/KMNIST/raw."""

    mirrors = ["http://codh.rois.ac.jp/kmnist/dataset/kmnist/"]
    resources = [
        ("train-images-idx3-ubyte.gz", "bdb82020997e1d708af4cf47b453dcf7"),
        ("train-labels-idx1-ubyte.gz", "e144d726b3acfaa3e44228e80efcd344"),
        ("t10k-images-idx3-ubyte.gz", "5c965bf0a639b31b8f53240b1b52f4d7"),
        ("t10k-labels-idx1-ubyte.gz", "7320c461ea6c1c855c0b718fb2a4b134"),
    ]
    classes = ["o", "ki", "su", "tsu", "na", "ha", "ma", "ya", "re", "wo"]


class EMNIST(MNIST):
    """Handwritten letters and digits. `split` is "byclass", "bymerge", "balanced", "letters", "digits" or "mnist"."""

    url = "https://biometrics.nist.gov/cs_links/EMNIST/gzip.zip"
    md5 = "58c8d27c78d21e728a6bc7b3cc06412e"
    splits = ("byclass", "bymerge", "balanced", "letters", "digits", "mnist")
    _both_cases_alike = set("cijklmopsuvwxyz")
    classes_split_dict = {
        "byclass": sorted(string.digits + string.ascii_letters),
        "bymerge": sorted(set(string.digits + string.ascii_letters) - _both_cases_alike),
        "balanced": sorted(set(string.digits + string.ascii_letters) - _both_cases_alike),
        "letters": ["N/A", *string.ascii_lowercase],
        "digits": list(string.digits),
        "mnist": list(string.digits),
    }

    def __init__(self, root: Any, split: str, **kwargs: Any) -> None:
        self.split = verify_str_arg(split, "split", self.splits)
        super().__init__(root, **kwargs)
        self.classes = self.classes_split_dict[self.split]

    @property
    def _file_prefix(self) -> str:
        return f"emnist-{self.split}-{'train' if self.train else 'test'}"

    @property
    def images_file(self) -> str:
        return os.path.join(self.raw_folder, f"{self._file_prefix}-images-idx3-ubyte")

    @property
    def labels_file(self) -> str:
        return os.path.join(self.raw_folder, f"{self._file_prefix}-labels-idx1-ubyte")

    def download(self) -> None:
        if self._check_exists():
            return
        download_and_extract_archive(self.url, download_root=self.raw_folder, md5=self.md5)
        folder = os.path.join(self.raw_folder, "gzip")
        for name in os.listdir(folder):
            if name.endswith(".gz"):
                extract_archive(os.path.join(folder, name), self.raw_folder)
        shutil.rmtree(folder)


class QMNIST(MNIST):
    """MNIST with its whole test set and all of NIST's labels. `what` is "train", "test", "test10k", "test50k" or
    "nist" (by default as `train` says); with `compat=False` a target is the row of 8 numbers instead of the class."""

    subsets = {"train": "train", "test": "test", "test10k": "test", "test50k": "test", "nist": "nist"}
    _address = "https://raw.githubusercontent.com/facebookresearch/qmnist/master/"
    resources = {
        "train": [
            (_address + "qmnist-train-images-idx3-ubyte.gz", "ed72d4157d28c017586c42bc6afe6370"),
            (_address + "qmnist-train-labels-idx2-int.gz", "0058f8dd561b90ffdd0f734c6a30e5e4"),
        ],
        "test": [
            (_address + "qmnist-test-images-idx3-ubyte.gz", "1394631089c404de565df7b7aeaf9412"),
            (_address + "qmnist-test-labels-idx2-int.gz", "5b5b05890a5e13444e108efe57b788aa"),
        ],
        "nist": [
            (_address + "xnist-images-idx3-ubyte.xz", "7f124b3b8ab81486c9d8c2749c17f834"),
            (_address + "xnist-labels-idx2-int.xz", "5ed0e788978e45d4a8bd4b7caec3d79d"),
        ],
    }

    def __init__(
        self, root: Any, what: str | None = None, compat: bool = True, train: bool = True, **kwargs: Any
    ) -> None:
        self.what = verify_str_arg(what or ("train" if train else "test"), "what", tuple(self.subsets))
        self.compat = compat
        super().__init__(root, train, **kwargs)

    def _file(self, i: int) -> str:
        url, _ = self.resources[self.subsets[self.what]][i]
        return os.path.join(self.raw_folder, os.path.splitext(os.path.basename(url))[0])

    @property
    def images_file(self) -> str:
        return self._file(0)

    @property
    def labels_file(self) -> str:
        return self._file(1)

    def _load_data(self) -> tuple[Tensor, Tensor]:
        data = read_image_file(self.images_file)
        targets = read_sn3_pascalvincent_tensor(self.labels_file).long()
        if targets.ndim != 2:
            raise ValueError(f"targets should have 2 dimensions instead of {targets.ndim}")
        part = {"test10k": slice(0, 10000), "test50k": slice(10000, None)}.get(self.what, slice(None))
        return data[part], targets[part]

    def download(self) -> None:
        if self._check_exists():
            return
        for url, md5 in self.resources[self.subsets[self.what]]:
            download_and_extract_archive(url, self.raw_folder, md5=md5)

    def __getitem__(self, index: int) -> tuple[Any, Any]:
        target = self.targets[index]
        return self._changed(image_from_array(self.data[index].numpy(), "L"), int(target[0]) if self.compat else target)

    def extra_repr(self) -> str:
        return f"Split: {self.what}"
