"""Methods of Tensor that ask simple questions, or that PyTorch has for memory and devices norch does without."""

from __future__ import annotations

import builtins
import math
from typing import Any, Callable

import norch
from norch import _C
from norch._C import Tensor

__all__ = ["asarray", "frombuffer", "get_device", "is_nonzero", "is_same_size", "is_signed", "range", "result_type"]


def _assert(condition: Any, message: str) -> None:
    """An assert statement as a function, which stands in graphs that norch.fx traces."""
    if not condition:
        raise AssertionError(message)


def get_device(input: Tensor) -> int:
    """get_device(input) -> int

    The index of the tensor's GPU; -1 on the CPU.

        >>> norch.get_device(norch.zeros(1))
        -1"""
    return int(input.device.index or 0) if input.is_cuda else -1


def is_same_size(input: Tensor, other: Tensor) -> bool:
    """is_same_size(input, other) -> bool

    Whether both have the same shape.

        >>> norch.is_same_size(norch.zeros(2), norch.zeros(2, 1))
        False"""
    return input.shape == other.shape


def is_signed(input: Tensor) -> bool:
    """is_signed(input) -> bool

    Whether the dtype holds negative numbers.

        >>> norch.is_signed(norch.zeros(1, dtype=norch.uint8))
        False"""
    return bool(input.dtype.is_signed)


def is_nonzero(input: Tensor) -> bool:
    """is_nonzero(input) -> bool

    Whether the one element of `input` is not zero. Raises RuntimeError for other numbers of elements.

        >>> norch.is_nonzero(norch.tensor([2.0]))
        True"""
    if input.numel() == 1:
        return bool(input.item() != 0)
    what = "no values" if input.numel() == 0 else "more than one value"
    raise RuntimeError(f"Boolean value of Tensor with {what} is ambiguous")


def result_type(*operands: Any, **named: Any) -> norch.dtype:
    """result_type(tensor1, tensor2) -> dtype

    The dtype of tensor1 + tensor2 (tensors or numbers; PyTorch's names of the four forms are taken).

        >>> norch.result_type(norch.ones(1, dtype=norch.int32), 1.5)
        norch.float32"""

    def small(x: Any) -> Any:
        if not isinstance(x, Tensor):
            return x
        return norch.ones((1,) * min(x.dim(), 1), dtype=x.dtype)

    names = ("tensor1", "scalar", "scalar1", "tensor"), ("tensor2", "other", "scalar2", "tensor")
    for place, forms in enumerate(names):
        name = next((name for name in forms if name in named), None)
        if len(operands) == place and name:
            operands += (named.pop(name),)
    if len(operands) != 2 or named:
        raise TypeError("result_type() takes two operands: (tensor, other), (scalar, tensor) or (scalar1, scalar2)")
    a, b = (small(x) for x in operands)
    if not isinstance(a, Tensor) and not isinstance(b, Tensor):
        a, b = norch.tensor(a), norch.tensor(b)
    return norch.where(norch.tensor(True), a, b).dtype


def asarray(
    obj: Any, *, dtype: Any = None, device: Any = None, copy: bool | None = None, requires_grad: bool = False
) -> Tensor:
    """asarray(obj, *, dtype=None, device=None, copy=None, requires_grad=False) -> Tensor

    A tensor of anything: without a copy where that can be (tensors, NumPy arrays, buffers, DLPack), unless `copy`.
    copy=False raises ValueError where a copy is needed.

        >>> norch.asarray([1, 2])
        tensor([1, 2])"""
    if not isinstance(obj, Tensor) and hasattr(obj, "__dlpack__") and not hasattr(obj, "__array_interface__"):
        obj = norch.from_dlpack(obj)
    shared = obj if isinstance(obj, Tensor) else None
    if shared is None and hasattr(obj, "__array_interface__") and getattr(obj, "ndim", 0) > 0:
        shared = norch.from_numpy(obj)
    if shared is None and isinstance(obj, (bytes, bytearray, memoryview)):
        shared = frombuffer(obj, dtype=dtype or norch.get_default_dtype())
    if shared is None:
        if copy is False:
            raise ValueError(f"asarray: can't alias a {type(obj).__name__}; a copy is needed")
        made = norch.tensor(obj, dtype=dtype, device=device)
        return made.requires_grad_() if requires_grad else made
    out = shared.to(device=device, dtype=dtype, copy=bool(copy))
    if copy is False and out.data_ptr() != shared.data_ptr():
        raise ValueError("asarray: another dtype or device needs a copy")
    if requires_grad and not out.requires_grad:
        return out.detach().requires_grad_()
    return out if requires_grad else out.detach() if out.requires_grad else out


def frombuffer(buffer: Any, *, dtype: norch.dtype, count: int = -1, offset: int = 0, requires_grad: bool = False) -> Tensor:
    """frombuffer(buffer, *, dtype, count=-1, offset=0, requires_grad=False) -> Tensor

    A 1-d tensor on the memory of an object with the buffer protocol: `count` elements from byte `offset` on, by default
    all. Read-only buffers such as bytes are copied.

        >>> norch.frombuffer(bytearray([1, 0, 2, 0]), dtype=norch.int16)
        tensor([1, 2], dtype=norch.int16)"""
    import numpy

    view = memoryview(buffer).cast("B")
    length, size = len(view), dtype.itemsize
    if length == 0 or count == 0:
        raise ValueError(f"both buffer length ({length}) and count ({count}) must not be 0")
    if not 0 <= offset < length:
        raise ValueError(f"offset ({offset} bytes) must be non-negative and no greater than buffer length ({length} bytes) - 1")
    if count < 0:
        if (length - offset) % size:
            raise ValueError(
                f"buffer length ({length - offset} bytes) after offset ({offset} bytes) must be a multiple of element size ({size})"
            )
        count = (length - offset) // size
    if offset + count * size > length:
        raise ValueError(
            f"requested buffer length ({count} * {size} bytes) after offset ({offset} bytes) must not be greater than actual "
            f"buffer length ({length} bytes)"
        )
    part = numpy.frombuffer(view, numpy.uint8, count * size, offset)
    part = part if part.flags.writeable else part.copy()
    out = norch.from_numpy(part)
    if part.ctypes.data % size:
        out = out.clone()
    out = out if dtype == norch.uint8 else out.view(dtype)
    return out.requires_grad_() if requires_grad else out


def range(
    start: float = 0,
    end: float | None = None,
    step: float = 1,
    *,
    out: Tensor | None = None,
    dtype: Any = None,
    layout: Any = None,
    device: Any = None,
    pin_memory: bool = False,
    requires_grad: bool = False,
) -> Tensor:
    """range(start=0, end, step=1, *, out=None) -> Tensor

    start, start + step, ... up to and with `end`: what arange replaced. The default float dtype unless given.

        >>> norch.range(1, 2, 0.5)
        tensor([1.0000, 1.5000, 2.0000])"""
    if end is None:
        start, end = 0, start
    if step == 0 or (end - start) / step < 0:
        raise RuntimeError("range: step must be nonzero, and lead from start to end")
    if out is not None:
        dtype, device = dtype or out.dtype, out.device
    dtype = dtype or norch.get_default_dtype()
    # What numbers are computed in, as in PyTorch.
    kind = norch.float64 if dtype.itemsize > 2 else norch.float32
    if not dtype.is_floating_point:
        start, end, step, kind = int(start), int(end), int(step), norch.int64
        if step == 0:
            raise RuntimeError(f"range: the step of a range of {dtype} must be 1 or more, or -1 or less")
        count = int((end - start) / step + 1)
    else:
        first, last, by = (norch.tensor(v, dtype=kind) for v in (start, end, step))
        count, start, step = int(((last - first) / by).item() + 1), first.item(), by.item()
    values = (norch.arange(count, dtype=kind, device=device) * step + start).to(dtype)
    if out is not None:
        return out.resize_(values.shape).copy_(values)
    return values.requires_grad_() if requires_grad else values


def _pin_memory(self: Tensor, device: Any = None) -> Tensor:
    """pin_memory() -> Tensor

    This tensor: norch copies to the GPU from ordinary memory. Raises RuntimeError for a tensor on the GPU."""
    if self.is_cuda:
        raise RuntimeError(f"cannot pin '{self.type()}' only dense CPU tensors can be pinned")
    return self


def _apply_(self: Tensor, callable: Callable[[Any], Any]) -> Tensor:
    """apply_(callable) -> Tensor

    Replaces each element by callable(element): slow, and for tensors on the CPU only."""
    if self.is_cuda:
        raise TypeError("apply_ is only implemented on CPU tensors")
    if self.requires_grad:
        raise RuntimeError("Can't call apply_() on Variable that requires grad. Use var.detach().apply_() instead.")
    return self.copy_(norch.tensor([callable(v) for v in self.flatten().tolist()], dtype=self.dtype).reshape(self.shape))


def _map_(self: Tensor, tensor: Tensor, callable: Callable[[Any, Any], Any]) -> Tensor:
    """map_(tensor, callable) -> Tensor

    Replaces each element by callable(element, element of `tensor`, broadcast): slow, and for tensors on the CPU only."""
    if self.is_cuda:
        raise TypeError("map_ is only implemented on CPU tensors")
    other = tensor.expand(self.shape).flatten().tolist()
    values = [callable(a, b) for a, b in zip(self.flatten().tolist(), other)]
    return self.copy_(norch.tensor(values, dtype=self.dtype).reshape(self.shape))


def _row_major(size: Any) -> tuple[int, ...]:
    return tuple(math.prod(size[d + 1 :]) for d in builtins.range(len(size)))


def _set_(
    self: Tensor, source: Any = None, storage_offset: int = 0, size: Any = None, stride: Any = None
) -> Tensor:
    """set_(source=None, storage_offset=0, size=None, stride=None) -> Tensor

    Takes over the memory and shape of `source`, a tensor of the same dtype, or the given shape of a storage (all of it
    unless a size is given).

        >>> norch.empty(0).set_(norch.arange(4.0).storage(), 1, (2,))
        tensor([1., 2.])"""
    if source is None:
        source = norch.empty(0, dtype=self.dtype, device=self.device)
    elements = getattr(source, "_elements", source)  # a storage's
    if not isinstance(elements, Tensor) or elements.dtype != self.dtype:
        raise RuntimeError("set_: expected a tensor or storage of the same dtype")
    if size is not None:
        steps = _row_major(size) if stride is None else tuple(stride)
        elements = elements.detach().as_strided(tuple(size), steps, storage_offset)
    elif elements is not source and storage_offset:
        elements = elements[storage_offset:]
    self.data = elements
    return self


def _storage(self: Tensor) -> Any:
    """storage() -> TypedStorage

    The elements in the memory that this tensor and its views share, as norch.storage has them.

        >>> norch.arange(3)[1:].storage().tolist()
        [0, 1, 2]"""
    from norch import storage

    return storage._storage(self)


def _resize(self: Tensor, *sizes: Any) -> Tensor:
    """resize(*sizes) -> Tensor

    view(*sizes): PyTorch's old name, for as many elements."""
    shape = tuple(sizes[0]) if len(sizes) == 1 and not isinstance(sizes[0], int) else sizes
    if math.prod(shape) != self.numel():
        raise RuntimeError(
            f"requested resize to {'x'.join(map(str, shape))} ({math.prod(shape)} elements in total), but the given tensor has "
            f"a size of {'x'.join(map(str, self.shape))} ({self.numel()} elements). autograd's resize can only change the "
            "shape of a given tensor, while preserving the number of elements. "
        )
    return self.contiguous().view(shape)


def _resize_as(self: Tensor, tensor: Tensor) -> Tensor:
    """resize_as(tensor) -> Tensor

    resize(tensor.shape)."""
    return _resize(self, tensor.shape)


def _module_load(self: Tensor, other: Tensor, assign: bool = False) -> Tensor:
    """module_load(other, assign=False) -> Tensor

    What load_state_dict puts into this tensor's place."""
    return other if assign else self.copy_(other).detach()


def _is_pinned(self: Tensor, device: Any = None) -> bool:
    """is_pinned(device=None) -> bool

    False: norch has no page-locked tensors."""
    return False


def _share_memory_(self: Tensor) -> Tensor:
    """share_memory_() -> Tensor

    Moves this tensor to memory that processes share: with children made by fork, and with any process that the tensor
    is sent to (a queue or pipe of multiprocessing, an argument of a process). Views that exist already stay on the old
    memory. Nothing changes for tensors on the GPU, and for those that are shared already."""
    from norch import _sharing

    return _sharing.share_memory_(self)


def _is_shared(self: Tensor) -> bool:
    """is_shared() -> bool

    Whether processes share this tensor's memory: after share_memory_(), and for tensors on the GPU."""
    from norch import _sharing

    return _sharing.is_shared(self)


def _as_subclass(self: Tensor, cls: type) -> Tensor:
    """as_subclass(cls) -> Tensor

    This tensor's memory as an instance of `cls`, a subclass of Tensor. Gradients flow through.

        >>> class Image(norch.Tensor):
        ...     pass
        >>> type(norch.zeros(2).as_subclass(Image)).__name__
        'Image'"""
    if not isinstance(cls, type) or not issubclass(cls, Tensor):
        raise TypeError(f"as_subclass(): argument 'cls' must be a subclass of Tensor, not {cls!r}")
    return _C._as_subclass(self, cls)


def _make_subclass(cls: type, data: Tensor, require_grad: bool = False) -> Tensor:
    """The memory of `data` as a leaf of another class."""
    return _C._as_subclass(data.detach(), cls).requires_grad_(require_grad)


def _false(doc: str) -> property:
    return property(lambda self: False, doc=doc)


for _name, _function in {
    "get_device": get_device,
    "is_same_size": is_same_size,
    "is_signed": is_signed,
    "is_nonzero": is_nonzero,
    "pin_memory": _pin_memory,
    "is_pinned": _is_pinned,
    "is_shared": _is_shared,
    "share_memory_": _share_memory_,
    "as_subclass": _as_subclass,
    "apply_": _apply_,
    "map_": _map_,
    "set_": _set_,
    "storage": _storage,
    "resize": _resize,
    "resize_as": _resize_as,
    "module_load": _module_load,
}.items():
    if not hasattr(Tensor, _name):
        setattr(Tensor, _name, _function)
for _name in "is_quantized is_meta is_mkldnn is_mps is_xpu is_xla is_nested is_ipu is_vulkan is_mtia".split():
    setattr(Tensor, _name, _false("False: norch has no such tensors."))
for _name, _same in {"__div__": "__truediv__", "__rdiv__": "__rtruediv__", "__idiv__": "__itruediv__"}.items():
    setattr(Tensor, _name, getattr(Tensor, _same))  # Python 2's names
setattr(Tensor, "_grad", Tensor.__dict__["grad"])
setattr(Tensor, "_make_subclass", staticmethod(_make_subclass))
setattr(Tensor, "volatile", _false("False: what PyTorch replaced by no_grad()."))
setattr(Tensor, "name", property(lambda self: None, doc="None: tensors have no names."))
