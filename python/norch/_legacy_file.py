"""Checkpoints from before PyTorch 1.6, which `_use_new_zipfile_serialization=False` still writes.

Five pickles: a magic number, the version of the format, facts about the machine, the object, and the keys
of its storages; then the storages in that order, each as its number of elements and their bytes.
"""

from __future__ import annotations

import io
import pickle
import struct
from typing import Any, Callable

import numpy as np

from ._unpickler import SafeUnpickler

__all__ = ["MAGIC_NUMBER", "PROTOCOL_VERSION", "LegacyFile", "write_legacy"]

MAGIC_NUMBER = 0x1950A86A20F9469CFC6C
PROTOCOL_VERSION = 1001


def write_legacy(file: Any, pickled: bytes, storages: list[tuple[int, Any]]) -> None:
    """Writes a checkpoint: its pickle, and of each storage the number of elements and the bytes."""
    sizes = {"short": 2, "int": 4, "long": 4}
    machine = {"protocol_version": PROTOCOL_VERSION, "little_endian": True, "type_sizes": sizes}
    for header in (MAGIC_NUMBER, PROTOCOL_VERSION, machine):
        file.write(pickle.dumps(header, protocol=2))
    file.write(pickled)
    file.write(pickle.dumps([str(i) for i in range(len(storages))], protocol=2))
    for numel, data in storages:
        file.write(struct.pack("<q", numel))
        file.write(data)


class LegacyFile:
    """A checkpoint in the old format. `read_object(data, at)` -> (object, where it ended) is called once,
    and calls `reserve` for each storage; `finish` then fills those with their values."""

    def __init__(self, data: bytes, label: str) -> None:
        self._data, self._label = data, label
        self.at = 0
        self._reserved: dict[str, tuple[Any, int]] = {}
        self._bytes = 0
        try:
            magic = self._plain()
        except pickle.UnpicklingError:
            magic = None
        if magic != MAGIC_NUMBER:
            self._fail("it is no checkpoint: neither in the zip format nor in the one before (invalid magic number)")
        if self._plain() != PROTOCOL_VERSION:
            self._fail("it has an unknown version of the format")
        machine = self._plain()
        self.swap = isinstance(machine, dict) and machine.get("little_endian") is False

    def _fail(self, text: str) -> Any:
        raise RuntimeError(f"load: {self._label}: {text}")

    def _plain(self) -> Any:
        reader = SafeUnpickler(self._data, lambda *_: self._fail("a storage lies in its header"), at=self.at)
        value = reader.load()
        self.at = reader.at
        return value

    def reserve(self, key: str, numel: int, itemsize: int) -> Any:
        """The bytes of a storage, which come later in the file."""
        size = numel * itemsize
        self._bytes += size
        if self._bytes > len(self._data):
            self._fail(f"is cut off or damaged: storage {key!r} of {size} bytes is more than the file has")
        self._reserved[key] = (np.zeros(size, np.uint8), numel)
        return self._reserved[key][0]

    def read_object(self, read: Callable[[bytes, int], tuple[Any, int]]) -> Any:
        """What `read(data, at)` makes of the object's pickle."""
        value, self.at = read(self._data, self.at)
        return value

    def finish(self) -> None:
        """Reads the storages that were reserved."""
        keys = self._plain()
        if not isinstance(keys, list) or set(map(str, keys)) != set(self._reserved) or len(keys) != len(self._reserved):
            self._fail("is damaged: its storages are not those that its tensors need")
        for key in keys:
            target, numel = self._reserved[key]
            header = self._data[self.at : self.at + 8]
            start = self.at + 8
            if len(header) != 8 or struct.unpack("<q", header)[0] != numel or start + target.nbytes > len(self._data):
                self._fail(f"is cut off or damaged at storage {key!r}")
            target[:] = np.frombuffer(self._data, np.uint8, target.nbytes, start)
            self.at = start + target.nbytes

    def stream(self, at: int) -> io.BytesIO:
        """The data as a file, from `at`."""
        stream = io.BytesIO(self._data)
        stream.seek(at)
        return stream
