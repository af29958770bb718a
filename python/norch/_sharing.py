"""Memory that several processes share: Tensor.share_memory_ and is_shared, and how such tensors travel."""

from __future__ import annotations

import mmap
import os
import tempfile
import weakref
from typing import Any

import norch
from norch import _C
from norch._C import Tensor
from norch._tensor import reduce_alone

__all__ = ["is_shared", "register", "share_memory_"]


class _Mapping(mmap.mmap):
    """A shared mapping of an anonymous file, and the file's descriptor."""

    fd: int

    def __new__(cls, fd: int, size: int) -> _Mapping:
        self = super().__new__(cls, fd, size)
        self.fd = fd
        weakref.finalize(self, os.close, fd)
        return self


_mappings: weakref.WeakValueDictionary[int, _Mapping] = weakref.WeakValueDictionary()  # by address
_registered = False


def _anonymous_file(size: int) -> int:
    """The descriptor of a file that has no name, so that nothing is left behind however a process ends."""
    if hasattr(os, "memfd_create"):
        fd = os.memfd_create("norch-shared")
    else:
        with tempfile.TemporaryFile() as file:
            fd = os.dup(file.fileno())
    os.truncate(fd, size)
    return fd


def _mapped(fd: int, size: int) -> Tensor:
    """The bytes of a shared file."""
    mapping = _Mapping(fd, size)
    t = norch.frombuffer(mapping, dtype=norch.uint8)
    _mappings[t.data_ptr()] = mapping
    return t


def _place(data: Tensor, dtype: Any, shape: tuple, stride: tuple, offset: int) -> Tensor:
    return data.view(dtype).as_strided(shape, stride, offset).data


def share_memory_(self: Tensor) -> Tensor:
    """See Tensor.share_memory_."""
    storage = self.untyped_storage()
    if self.is_cuda or is_shared(self):
        return self
    data = _mapped(_anonymous_file(storage.nbytes()), storage.nbytes())
    whole = self.detach().as_strided((storage.nbytes() // self.itemsize,), (1,), 0)
    data[: whole.numel() * self.itemsize].view(self.dtype).copy_(whole)
    self.data = _place(data, self.dtype, tuple(self.shape), self.stride(), self.storage_offset())
    if self.grad is not None and self.grad.layout is norch.strided:
        share_memory_(self.grad)
    register()
    return self


def is_shared(self: Tensor) -> bool:
    """See Tensor.is_shared."""
    storage = self.untyped_storage()
    return self.is_cuda or storage.nbytes() == 0 or storage.data_ptr() in _mappings


def _rebuild(kind: type, file: Any, nbytes: int, place: tuple, requires_grad: bool, state: dict | None) -> Tensor:
    t = _place(_mapped(file.detach(), nbytes), *place)
    if issubclass(kind, _C.Parameter):
        t = kind(t, requires_grad)
    else:
        t = (t if kind is Tensor else _C._as_subclass(t, kind)).requires_grad_(requires_grad)
    if state:
        t.__dict__.update(state)
    return t


def _reduce(self: Tensor) -> Any:
    """What multiprocessing pickles a tensor to: the descriptor of shared memory, or a copy."""
    storage = self.untyped_storage()
    mapping = _mappings.get(storage.data_ptr())
    if mapping is None or storage.nbytes() == 0:
        return reduce_alone(self)
    if self.requires_grad and not self.is_leaf:
        raise RuntimeError(
            "Cowardly refusing to serialize non-leaf tensor which requires_grad, since autograd does not support crossing "
            "process boundaries.  If you just want to transfer the data, call detach() on the tensor before serializing "
            "(e.g., putting it on the queue)."
        )
    from multiprocessing.reduction import DupFd

    place = (self.dtype, tuple(self.shape), self.stride(), self.storage_offset())
    state = dict(self.__dict__) or None
    return _rebuild, (type(self), DupFd(mapping.fd), storage.nbytes(), place, self.requires_grad, state)


def register() -> None:
    """Tells multiprocessing how tensors travel."""
    global _registered
    if not _registered:
        from multiprocessing.reduction import ForkingPickler

        for kind in (Tensor, _C.Parameter):
            ForkingPickler.register(kind, _reduce)
        _registered = True
