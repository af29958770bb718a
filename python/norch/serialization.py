"""`save` and `load`: checkpoints in the zip format of `torch.save`.

A file is an uncompressed zip: `data.pkl` with the structure, `data/0`, `data/1`, ... with the memory of
the tensors. Loading never runs code from the file, whatever is in it.
"""

from __future__ import annotations

import contextlib
import os
import pickle
import struct
import tempfile
import zipfile
import zlib
from typing import Any, Iterator

import numpy as np

import norch
from norch._C import Tensor

from ._pickler import dumps
from ._unpickler import SafeUnpickler, StorageType

__all__ = ["load", "save"]

_ALIGN = 64
_NUMPY_STAND_IN = {"bfloat16": "int16"}


def _name_of(dtype: Any) -> str:
    return str(dtype).rpartition(".")[2]


# -- writing ----------------------------------------------------------------------------------------


class _Storages:
    """The distinct pieces of memory behind the tensors of a checkpoint."""

    def __init__(self) -> None:
        self.tensors: list[Tensor] = []
        self._keys: dict[tuple, int] = {}

    def __call__(self, t: Tensor) -> tuple[str, int, int]:
        t = t.detach()
        storage = t.untyped_storage()
        numel = storage.nbytes() // t.dtype.itemsize
        # Memory that is seen as two dtypes is written twice: the format has one dtype per storage.
        identity = (str(t.device), storage.data_ptr(), storage.nbytes(), _name_of(t.dtype))
        if identity not in self._keys:
            self._keys[identity] = len(self.tensors)
            self.tensors.append(t.as_strided((numel,), (1,), 0))
        return str(self._keys[identity]), numel, t.storage_offset()


def _bytes_of(t: Tensor) -> Any:
    t = t.cpu()
    stand_in = _NUMPY_STAND_IN.get(_name_of(t.dtype))
    return (t if stand_in is None else t.view(getattr(norch, stand_in))).numpy().view(np.uint8)


def _write_record(archive: zipfile.ZipFile, name: str, data: Any) -> None:
    """Writes a record whose data starts at a multiple of 64 in the file, as readers that map it like."""
    info = zipfile.ZipInfo(name)
    info.file_size = len(data)
    assert archive.fp is not None
    zip64 = 20 if len(data) * 1.05 > zipfile.ZIP64_LIMIT else 0
    start = archive.fp.tell() + 30 + len(name) + zip64 + 4
    padding = -start % _ALIGN
    info.extra = struct.pack("<2sH", b"FB", padding) + b"Z" * padding
    with archive.open(info, "w") as record:
        record.write(data)


def _write(file: Any, obj: Any, root: str) -> None:
    storages = _Storages()
    pickled = dumps(obj, storages)
    with zipfile.ZipFile(file, "w", zipfile.ZIP_STORED) as archive:
        _write_record(archive, f"{root}/data.pkl", pickled)
        _write_record(archive, f"{root}/byteorder", b"little")
        for i, t in enumerate(storages.tensors):
            _write_record(archive, f"{root}/data/{i}", memoryview(_bytes_of(t)))
        _write_record(archive, f"{root}/version", b"3\n")


@contextlib.contextmanager
def _replacing(path: str) -> Iterator[Any]:
    """A file that takes the place of `path` only once it is complete and on disk."""
    folder, name = os.path.split(os.path.abspath(path))
    fd, temporary = tempfile.mkstemp(prefix=f".{name}.", suffix=".tmp", dir=folder)
    try:
        with os.fdopen(fd, "wb") as file:
            yield file
            file.flush()
            os.fsync(file.fileno())
        try:
            mode = os.stat(path).st_mode & 0o777
        except FileNotFoundError:
            mask = os.umask(0)
            os.umask(mask)
            mode = 0o666 & ~mask
        os.chmod(temporary, mode)
        os.replace(temporary, path)
    except BaseException:
        with contextlib.suppress(OSError):
            os.unlink(temporary)
        raise


def save(obj: Any, f: Any, pickle_module: Any = None, pickle_protocol: int = 2, **_: Any) -> None:
    """Writes tensors, numbers, texts and containers of them to a path or a binary file object.

    torch.load reads the file. Tensors that share memory share it again after loading. A path is replaced
    only once the whole file is written, so that an interrupted save leaves the previous file as it was.
    pickle_module and pickle_protocol are accepted, and have no effect. Raises pickle.PicklingError for
    objects that the format can't hold safely: save a module's state_dict(), not the module."""
    if isinstance(f, (str, os.PathLike)):
        path = os.fspath(f)
        if not os.path.isdir(os.path.dirname(os.path.abspath(path))):
            raise RuntimeError(f"Parent directory {os.path.dirname(path) or '.'} does not exist.")
        with _replacing(path) as file:
            _write(file, obj, os.path.splitext(os.path.basename(path))[0] or "archive")
        return
    if not hasattr(f, "write"):
        raise AttributeError(
            f"expected 'f' to be string, path, or a file-like object with a 'write' attribute, but got {type(f)}"
        )
    _write(f, obj, "archive")


# -- reading ----------------------------------------------------------------------------------------


class _Archive:
    """The records of a checkpoint file, each checked before it is used."""

    def __init__(self, file: Any, label: str) -> None:
        self.file, self.label = file, label
        self.size = file.seek(0, os.SEEK_END)
        file.seek(0)
        try:
            infos = zipfile.ZipFile(file).infolist()
        except (zipfile.BadZipFile, NotImplementedError, struct.error, ValueError, OSError) as e:
            raise RuntimeError(
                f"load: {label} is no checkpoint in the zip format, or is cut off or damaged ({e}). Files from before "
                "PyTorch 1.6 are not supported: load and save them again with a newer PyTorch"
            ) from None
        self.records = {info.filename: info for info in infos}
        if len(self.records) != len(infos) or sum(i.file_size for i in infos) > self.size:
            self.fail("its directory is damaged: records overlap")
        roots = [n[: -len("data.pkl")] for n in self.records if n.endswith("/data.pkl") and n.count("/") == 1]
        if len(roots) != 1:
            self.fail("it holds no data.pkl" if not roots else "it holds several checkpoints")
        self.root = roots[0]

    def fail(self, text: str) -> Any:
        raise RuntimeError(f"load: {self.label}: {text}")

    def read(self, name: str) -> Any:
        """The bytes of a record, as a writable uint8 array."""
        info = self.records.get(self.root + name)
        if info is None:
            self.fail(f"record {name!r} is missing")
        assert info is not None
        if info.compress_type != zipfile.ZIP_STORED or info.flag_bits & 1 or info.compress_size != info.file_size:
            self.fail(f"record {name!r} is compressed or encrypted, which checkpoints are not")
        if info.header_offset < 0:
            self.fail(f"record {name!r} is damaged")
        self.file.seek(info.header_offset)
        header = self.file.read(30)
        if len(header) != 30 or header[:4] != b"PK\x03\x04":
            self.fail(f"record {name!r} is damaged")
        start = info.header_offset + 30 + sum(struct.unpack("<HH", header[26:]))
        if start + info.file_size > self.size:
            self.fail(f"record {name!r} is cut off")
        self.file.seek(start)
        data: Any = np.empty(info.file_size, np.uint8)
        got = self.file.readinto(memoryview(data)) if info.file_size else 0
        if got != info.file_size or zlib.crc32(data) != info.CRC:
            self.fail(f"record {name!r} is damaged: its checksum does not match")
        return data


def _locate(t: Tensor, location: str, map_location: Any, label: str) -> Tensor:
    """The storage on the device that the file, or the caller, wants it on."""
    if callable(map_location) and not isinstance(map_location, norch.device):
        moved = map_location(t, location)
        if isinstance(moved, Tensor):
            return moved
    elif isinstance(map_location, dict):
        location = map_location.get(location, location)
    elif map_location is not None:
        location = str(map_location)
    if location == "cpu":
        return t
    try:
        device = norch.device(location)
    except (RuntimeError, ValueError):
        raise RuntimeError(f"load: {label} holds a tensor of the unknown device {location!r}") from None
    if device.type == "cuda" and not norch.cuda.is_available():
        raise RuntimeError(
            "Attempting to deserialize object on a CUDA device but norch.cuda.is_available() is False. If you are "
            "running on a CPU-only machine, please use norch.load with map_location=norch.device('cpu') to map your "
            "storages to the CPU."
        )
    return t.to(device)


def _load(file: Any, label: str, map_location: Any) -> Any:
    archive = _Archive(file, label)
    swap = archive.root + "byteorder" in archive.records and bytes(archive.read("byteorder")) == b"big"
    storages: dict[str, tuple[Any, Tensor]] = {}

    def storage(kind: StorageType, key: str, location: str, numel: int) -> Tensor:
        if key in storages:
            dtype, t = storages[key]
            if dtype != kind.dtype:
                raise pickle.UnpicklingError(f"load: storage {key!r} has two dtypes")
            return t
        name, itemsize = _name_of(kind.dtype), kind.dtype.itemsize
        data = archive.read(f"data/{key}")
        if data.nbytes != numel * itemsize:
            archive.fail(f"storage {key!r} has {data.nbytes} bytes, but {numel} elements of {itemsize} bytes each")
        if name == "bool":
            np.minimum(data, 1, out=data)  # other bytes would be no bools
        values = data.view(_NUMPY_STAND_IN.get(name, name))
        t = norch.from_numpy(values.byteswap() if swap and itemsize > 1 else values)
        t = _locate(t.view(kind.dtype) if name in _NUMPY_STAND_IN else t, location, map_location, label)
        storages[key] = (kind.dtype, t)
        return t

    return SafeUnpickler(bytes(archive.read("data.pkl")), storage).load()


def load(
    f: Any,
    map_location: Any = None,
    pickle_module: Any = None,
    *,
    weights_only: bool | None = True,
    mmap: bool | None = None,
    **_: Any,
) -> Any:
    """Reads what `save` or torch.save wrote, from a path or a seekable binary file object.

    map_location: a device, a dict from saved to wanted devices, or a function (tensor, location) ->
    tensor; by default tensors come back to the device they were saved from. No code from the file runs,
    also with `weights_only=False`, which is accepted: objects beyond tensors, numbers, texts and
    containers raise pickle.UnpicklingError. A damaged file raises RuntimeError or UnpicklingError."""
    if isinstance(f, (str, os.PathLike)):
        with open(f, "rb") as file:
            return _load(file, os.fspath(f), map_location)
    if not hasattr(f, "readinto") or not hasattr(f, "seek"):
        raise AttributeError(
            "You can only load from a path or from a binary file that is seekable, such as io.BytesIO; got "
            f"{type(f).__name__}"
        )
    return _load(f, "the file", map_location)
