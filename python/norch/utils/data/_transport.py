"""How batches travel from a worker process to the main one.

A message is a pickle whose arrays are kept apart (protocol 5), so that they are copied once. What is
small goes through the pipe; what is large goes into an anonymous shared file, whose descriptor goes
through the pipe: the receiver maps it, and its tensors and arrays use the mapping. Such a file has no
name, so nothing is left behind however a process ends.
"""

from __future__ import annotations

import io
import mmap
import os
import pickle
import struct
import tempfile
import weakref
from multiprocessing import reduction
from typing import Any

import numpy as np

import norch
from norch._C import Parameter, Tensor

__all__ = ["receive", "send"]

_ALIGN = 64
# Python's mmap keeps a descriptor open for each mapping, and processes may have few: a program that
# holds on to more batches than this gets the later ones as copies.
_MAX_MAPPINGS = 128
_mappings: weakref.WeakSet = weakref.WeakSet()
_DTYPES_WITHOUT_NUMPY = {"bfloat16": "int16"}


def _rebuild(buffer: Any, name: str, shape: tuple, requires_grad: bool, parameter: bool) -> Tensor:
    dtype = getattr(norch, name)
    array = np.frombuffer(buffer, dtype=_DTYPES_WITHOUT_NUMPY.get(name, name)).reshape(shape)
    t = norch.from_numpy(array if array.flags.writeable else array.copy())
    if name in _DTYPES_WITHOUT_NUMPY:
        t = t.view(dtype)
    return Parameter(t, requires_grad) if parameter else t.requires_grad_(requires_grad)


class _Pickler(pickle.Pickler):
    def reducer_override(self, obj: Any) -> Any:
        if not isinstance(obj, Tensor):
            return NotImplemented
        name = str(obj.dtype).rpartition(".")[2]
        values = obj.detach().cpu().contiguous()
        if name in _DTYPES_WITHOUT_NUMPY:
            values = values.view(getattr(norch, _DTYPES_WITHOUT_NUMPY[name]))
        buffer = pickle.PickleBuffer(values.numpy().reshape(-1).view(np.uint8))
        return _rebuild, (buffer, name, tuple(obj.shape), obj.requires_grad, isinstance(obj, Parameter))


def _shared_file(size: int) -> int:
    """A descriptor of an anonymous file of `size` bytes."""
    if hasattr(os, "memfd_create"):
        fd = os.memfd_create("norch-batch")
    else:
        file = tempfile.TemporaryFile()
        fd = os.dup(file.fileno())
        file.close()
    os.ftruncate(fd, size)
    return fd


def _aligned(n: int) -> int:
    return (n + _ALIGN - 1) // _ALIGN * _ALIGN


def send(connection: Any, message: Any, inline_limit: int) -> None:
    """Sends `message`; at most about `inline_limit` bytes of it lie in the pipe."""
    stream = io.BytesIO()
    buffers: list[pickle.PickleBuffer] = []
    _Pickler(stream, 5, buffer_callback=buffers.append).dump(message)
    # In order: the pickle, then the buffers, each aligned.
    parts = [stream.getbuffer(), *(b.raw() for b in buffers)]
    lengths = [p.nbytes for p in parts]
    header = struct.pack(f"<{1 + len(parts)}q", len(parts), *lengths)
    size = sum(map(_aligned, lengths))
    if len(header) + size <= inline_limit:
        padded = b"".join(bytes(p) + bytes(_aligned(n) - n) for p, n in zip(parts, lengths))
        connection.send_bytes(b"i" + header + padded)
        return
    fd = _shared_file(size + len(header))
    try:
        with mmap.mmap(fd, size + len(header)) as target:
            at = 0
            for part, n in zip(parts, lengths):
                target[at : at + n] = part
                at += _aligned(n)
            target[size:] = header
        connection.send_bytes(b"f" + struct.pack("<qq", size, len(header)))
        reduction.send_handle(connection, fd, os.getppid())
    finally:
        os.close(fd)


def receive(connection: Any) -> Any:
    """Receives one message; its tensors may use memory that was mapped for it."""
    data = connection.recv_bytes()
    if data[:1] == b"i":
        (n,) = struct.unpack_from("<q", data, 1)
        lengths = struct.unpack_from(f"<{n}q", data, 9)
        return _unpack(memoryview(bytearray(memoryview(data)[9 + 8 * n :])), lengths)
    size, header_size = struct.unpack("<qq", data[1:])
    fd = reduction.recv_handle(connection)
    try:
        mapping = mmap.mmap(fd, size + header_size)
    finally:
        os.close(fd)
    view = memoryview(mapping)
    lengths = struct.unpack(f"<{header_size // 8}q", view[size:])[1:]
    if len(_mappings) < _MAX_MAPPINGS:
        _mappings.add(mapping)
        return _unpack(view, lengths)
    copy = memoryview(bytearray(view[:size]))
    view.release()
    mapping.close()
    return _unpack(copy, lengths)


def _unpack(body: memoryview, lengths: Any) -> Any:
    parts = []
    at = 0
    for n in lengths:
        parts.append(body[at : at + n])
        at += _aligned(n)
    return pickle.loads(parts[0], buffers=parts[1:])
