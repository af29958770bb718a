"""The zip files that checkpoints are: uncompressed records, each at a multiple of 64 bytes.

`data.pkl` holds the structure, `data/0`, `data/1`, ... the memory of the tensors.
"""

from __future__ import annotations

import os
import struct
import zipfile
import zlib
from typing import Any, Iterable, NoReturn

import numpy as np

__all__ = ["Archive", "fill", "write_archive"]

_ALIGN = 64


def _write_record(archive: zipfile.ZipFile, name: str, data: Any) -> None:
    """Writes a record whose data starts at a multiple of 64 in the file, as readers that map it like."""
    info = zipfile.ZipInfo(name)
    info.file_size = len(data)
    assert archive.fp is not None
    zip64 = 20 if len(data) * 1.05 > zipfile.ZIP64_LIMIT else 0
    start = archive.fp.tell() + 30 + len(name.encode()) + zip64 + 4
    padding = -start % _ALIGN
    info.extra = struct.pack("<2sH", b"FB", padding) + b"Z" * padding
    with archive.open(info, "w") as record:
        record.write(data)


def write_archive(file: Any, root: str, pickled: bytes, storages: Iterable[Any]) -> None:
    """Writes a checkpoint: its pickle and the bytes of its storages."""
    with zipfile.ZipFile(file, "w", zipfile.ZIP_STORED) as archive:
        _write_record(archive, f"{root}/data.pkl", pickled)
        _write_record(archive, f"{root}/.format_version", b"1")
        _write_record(archive, f"{root}/.storage_alignment", str(_ALIGN).encode())
        _write_record(archive, f"{root}/byteorder", b"little")
        for i, data in enumerate(storages):
            _write_record(archive, f"{root}/data/{i}", data)
        _write_record(archive, f"{root}/version", b"3\n")


def fill(file: Any, target: Any) -> int:
    """Reads as much of `target` (a uint8 array) as the file has. Returns how much that was."""
    at = 0
    while at < target.nbytes:
        if hasattr(file, "readinto"):
            got = file.readinto(memoryview(target)[at:]) or 0
        else:
            part = file.read(target.nbytes - at)
            got = len(part)
            target[at : at + got] = np.frombuffer(part, np.uint8)
        if got == 0:
            break
        at += got
    return at


class Archive:
    """The records of a checkpoint file, each checked before it is used. `mapped`: the bytes of the whole
    file, of which the records are then parts (their checksums are not looked at)."""

    def __init__(self, file: Any, label: str, mapped: Any = None) -> None:
        self.file, self.label, self._mapped = file, label, mapped
        self.size = file.seek(0, os.SEEK_END)
        if self.size is None:  # seek() of some file objects returns nothing
            self.size = file.tell()
        file.seek(0)
        try:
            infos = zipfile.ZipFile(file).infolist()
        except (zipfile.BadZipFile, NotImplementedError, struct.error, ValueError, OSError) as e:
            raise RuntimeError(
                f"load: {label} is no checkpoint in the zip format, or is cut off or damaged ({e})"
            ) from None
        self.records = {info.filename: info for info in infos}
        if len(self.records) != len(infos) or sum(i.file_size for i in infos) > self.size:
            self.fail("its directory is damaged: records overlap")
        roots = [n[: -len("data.pkl")] for n in self.records if n.endswith("/data.pkl") and n.count("/") == 1]
        if len(roots) != 1:
            self.fail("it holds no data.pkl" if not roots else "it holds several checkpoints")
        self.root = roots[0]
        if self.root + "constants.pkl" in self.records:
            self.fail("it is a TorchScript program, which norch does not run; save the module's state_dict() instead")

    def fail(self, text: str) -> NoReturn:
        """Raises the error of a file that is not what it should be."""
        raise RuntimeError(f"load: {self.label}: {text}")

    def has(self, name: str) -> bool:
        """Whether there is a record of this name."""
        return self.root + name in self.records

    def read(self, name: str) -> Any:
        """The bytes of a record, as a writable uint8 array."""
        info = self.records.get(self.root + name)
        if info is None:
            self.fail(f"record {name!r} is missing")
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
        if self._mapped is not None:
            return self._mapped[start : start + info.file_size]
        self.file.seek(start)
        data: Any = np.empty(info.file_size, np.uint8)
        if fill(self.file, data) != info.file_size or zlib.crc32(data) != info.CRC:
            self.fail(f"record {name!r} is damaged: its checksum does not match")
        return data
