"""What the names in checkpoint files stand for.

A checkpoint names functions of torch, collections and numpy. Each means one of the functions here, which
check their arguments and do nothing but build a value; `ALLOWED` lists them.
"""

from __future__ import annotations

import math
from collections import Counter, OrderedDict
from pickle import UnpicklingError
from typing import Any, Callable, NoReturn

import numpy as np

import norch
from norch._C import Parameter

__all__ = ["ALLOWED", "STORAGE_DTYPES", "Name", "StorageType", "check", "fail", "hashable", "ints", "set_array_state"]

# Names of torch's storage classes and what their elements are here.
STORAGE_DTYPES = {
    "FloatStorage": "float32",
    "DoubleStorage": "float64",
    "HalfStorage": "float16",
    "BFloat16Storage": "bfloat16",
    "LongStorage": "int64",
    "IntStorage": "int32",
    "ShortStorage": "int16",
    "CharStorage": "int8",
    "ByteStorage": "uint8",
    "BoolStorage": "bool",
    "ComplexFloatStorage": "complex64",
    "ComplexDoubleStorage": "complex128",
    "UntypedStorage": "uint8",
}
_MAX_KEY_PARTS = 256


class Name:
    """A name that a file mentions, and the function that it stands for."""

    def __init__(self, name: str, function: Callable) -> None:
        self.name, self.function = name, function

    def __call__(self, *args: Any) -> Any:
        return self.function(*args)


class StorageType:
    """A storage class: the dtype of its elements."""

    def __init__(self, dtype: Any) -> None:
        self.dtype = dtype


def fail(text: str) -> NoReturn:
    """Raises the error of a file that can't be loaded."""
    raise UnpicklingError(f"load: {text}")


def check(ok: bool, what: str) -> None:
    """Fails unless the arguments of `what` were right."""
    if not ok:
        fail(f"{what} in the file has arguments that make no sense")


def ints(values: Any) -> bool:
    """Whether these are sizes: a list or tuple of int64s >= 0."""
    return isinstance(values, (tuple, list)) and all(type(v) is int and 0 <= v < 2**63 for v in values)


def hashable(key: Any) -> bool:
    """Whether this is a key that checkpoints use. Hashing recurses, and visits a part as often as it
    appears, so that deep nests and tuples of the same tuples must not get there."""
    parts, seen = [key], 0
    while parts:
        part = parts.pop()
        seen += 1
        if type(part) in (tuple, norch.Size):
            parts += part
        elif not (part is None or isinstance(part, (str, int, float, bytes, complex, norch.dtype, norch.device))):
            return False
        if seen + len(parts) > _MAX_KEY_PARTS:
            return False
    return True


# -- containers and plain values ----------------------------------------------------------------------


def _ordered_dict(*args: Any) -> OrderedDict:
    check(len(args) <= 1, "OrderedDict")
    pairs = args[0] if args else []
    check(isinstance(pairs, (list, tuple, dict)), "OrderedDict")
    pairs = list(pairs.items()) if isinstance(pairs, dict) else pairs
    check(all(isinstance(p, (list, tuple)) and len(p) == 2 and hashable(p[0]) for p in pairs), "OrderedDict")
    return OrderedDict(pairs)


def _counter(*args: Any) -> Counter:
    check(len(args) <= 1 and all(isinstance(a, dict) for a in args), "Counter")
    return Counter(*args)


def _set(*args: Any) -> set:
    check(len(args) <= 1 and all(isinstance(a, list) and all(map(hashable, a)) for a in args), "set")
    return set(*args)


def _encode(*args: Any) -> bytes:
    check(len(args) == 2 and isinstance(args[0], str) and args[1] in ("latin1", "latin-1"), "bytes")
    try:
        return args[0].encode("latin1")
    except UnicodeEncodeError:
        fail("bytes in the file hold characters that are no bytes")


def _bytearray(*args: Any) -> bytearray:
    check(len(args) <= 1 and all(isinstance(a, bytes) for a in args), "bytearray")
    return bytearray(*args)


def _complex(*args: Any) -> complex:
    check(len(args) == 2 and all(isinstance(a, float) for a in args), "complex")
    return complex(*args)


def _size(*args: Any) -> Any:
    check(len(args) == 1 and ints(args[0]), "Size")
    return norch.Size(args[0])


def _device(*args: Any) -> Any:
    check(1 <= len(args) <= 2 and isinstance(args[0], str) and ints(args[1:]), "device")
    try:
        return norch.device(*args)
    except RuntimeError as e:
        fail(f"the file names a device that does not exist: {e}")


def _only_a_name(*args: Any) -> NoReturn:
    fail("the file calls a class, which norch.load only knows by name")


# -- tensors --------------------------------------------------------------------------------------------


def _rebuild_tensor(*args: Any) -> Any:
    """(storage, offset, sizes, strides[, requires_grad, hooks[, metadata]])"""
    check(len(args) >= 4, "a tensor")
    base, offset, size, stride = args[:4]
    requires_grad = args[4] if len(args) > 4 else False
    metadata = args[6] if len(args) > 6 else None
    check(isinstance(base, norch.Tensor) and isinstance(requires_grad, bool), "a tensor")
    check(ints((offset,)) and ints(size) and ints(stride) and len(size) == len(stride) <= 64, "a tensor")
    check(metadata is None or isinstance(metadata, dict), "a tensor")
    if 0 not in size:
        last = offset + sum((n - 1) * s for n, s in zip(size, stride))
        if last >= base.numel():
            fail(
                f"a tensor of sizes {tuple(size)} and strides {tuple(stride)} at offset {offset} lies outside of "
                f"its storage of {base.numel()} elements"
            )
    elif offset > base.numel():
        fail(f"an empty tensor at offset {offset} lies outside of its storage of {base.numel()} elements")
    check(0 in size or math.prod(size) < 2**63, "a tensor")
    t = base.as_strided(tuple(size), tuple(stride), offset)
    if metadata:  # torch's lazy views, which are values of their own here
        t = t.conj() if metadata.get("conj") else t
        t = -t if metadata.get("neg") else t
    check(not requires_grad or t.is_floating_point() or t.is_complex(), "a tensor")
    return t.requires_grad_(requires_grad)


def _rebuild_tensor_v3(*args: Any) -> Any:
    """The same with a dtype at the end, of an untyped storage."""
    check(len(args) >= 7 and isinstance(args[0], norch.Tensor) and isinstance(args[6], norch.dtype), "a tensor")
    base, dtype = args[0], args[6]
    if base.dtype != dtype:
        check(base.numel() * base.itemsize % dtype.itemsize == 0, "a tensor")
        base = base.view(dtype)
    return _rebuild_tensor(base, *args[1:6], *args[7:8])


def _rebuild_parameter(*args: Any) -> Any:
    check(len(args) >= 2 and isinstance(args[0], norch.Tensor) and isinstance(args[1], bool), "a parameter")
    t = args[0].detach()
    check(not args[1] or t.is_floating_point() or t.is_complex(), "a parameter")
    return Parameter(t, requires_grad=args[1])


def _set_attributes(t: Any, state: Any) -> Any:
    """Gives a tensor the attributes that were saved with it: a dict, or a dict and that of its slots."""
    for part in state if type(state) is tuple else (state,):
        check(part is None or (isinstance(part, dict) and all(type(k) is str for k in part)), "a tensor's attributes")
        t.__dict__.update(part or {})
    return t


def _rebuild_parameter_with_state(*args: Any) -> Any:
    check(len(args) == 4, "a parameter")
    return _set_attributes(_rebuild_parameter(*args[:3]), args[3])


def _rebuild_from_type(*args: Any) -> Any:
    """A tensor with attributes, or of a subclass: (function, type, arguments, state)."""
    check(len(args) == 4 and isinstance(args[0], Name) and isinstance(args[2], tuple), "a tensor")
    function, kind, arguments, state = args
    check(function.name.startswith("torch._utils._rebuild_"), "a tensor")
    t = function(*arguments)
    if isinstance(kind, type) and issubclass(kind, norch.Tensor):  # only what the user allowed is a class
        if type(t) is not kind:
            t = norch._C._as_subclass(t, kind)
    else:
        check(isinstance(kind, Name) and kind.name in ("torch.Tensor", "torch.nn.parameter.Parameter"), "a tensor")
    return _set_attributes(t, state)


_LAYOUTS = ("strided", "sparse_coo", "sparse_csr", "sparse_csc", "sparse_bsr", "sparse_bsc")


def _layout(*args: Any) -> Any:
    check(len(args) == 1 and args[0] in [f"torch.{name}" for name in _LAYOUTS], "a layout")
    return getattr(norch, args[0].rpartition(".")[2])


def _rebuild_sparse(*args: Any) -> Any:
    """(layout, (indices, values, sizes[, is_coalesced])), or with the two index tensors of compressed rows or columns"""
    check(len(args) == 2 and isinstance(args[0], norch.layout) and isinstance(args[1], tuple), "a sparse tensor")
    layout, parts = args
    if layout is not norch.sparse_coo:
        check(len(parts) == 4 and all(isinstance(t, norch.Tensor) for t in parts[:3]) and ints(parts[3]), "a sparse tensor")
        try:
            return norch.sparse_compressed_tensor(*parts, layout=layout)
        except (RuntimeError, NotImplementedError) as e:
            fail(f"a sparse tensor in the file is damaged: {e}")
    check(len(parts) in (3, 4) and all(isinstance(t, norch.Tensor) for t in parts[:2]), "a sparse tensor")
    check(ints(parts[2]) and all(isinstance(v, bool) for v in parts[3:]), "a sparse tensor")
    try:
        return norch.sparse_coo_tensor(*parts[:3], is_coalesced=parts[3] if len(parts) > 3 else None)
    except RuntimeError as e:
        fail(f"a sparse tensor in the file is damaged: {e}")


# -- NumPy ------------------------------------------------------------------------------------------------

_NUMPY_KINDS = "biufcSU"  # never "O": such arrays hold pickled objects


def _numpy_dtype(*args: Any) -> Any:
    check(1 <= len(args) <= 3 and isinstance(args[0], str), "a NumPy dtype")
    code = args[0].lstrip("<>|=")
    check(code[:1] != "" and code[0] in _NUMPY_KINDS and code[1:].isascii() and code[1:].isdigit(), "a NumPy dtype")
    try:
        return np.dtype(code, copy=True)  # a copy, since the file may set its byte order
    except (TypeError, ValueError, OverflowError):
        fail(f"the file names a NumPy dtype that does not exist: {code[:20]}")


def _is_numpy_dtype(dtype: Any) -> bool:
    return isinstance(dtype, np.dtype) and dtype.kind in _NUMPY_KINDS


def _numpy_scalar(*args: Any) -> Any:
    check(len(args) == 2 and _is_numpy_dtype(args[0]) and isinstance(args[1], bytes), "a NumPy number")
    check(len(args[1]) == args[0].itemsize > 0, "a NumPy number")
    return np.frombuffer(args[1], args[0])[0]


def _numpy_array(*args: Any) -> Any:
    """An array that gets its shape, dtype and values afterwards."""
    check(len(args) == 3 and isinstance(args[0], Name) and args[0].name == "numpy.ndarray", "a NumPy array")
    return np.empty(0, "b")


def set_array_state(target: Any, state: Any) -> None:
    """Completes a NumPy array or dtype."""
    if isinstance(target, np.dtype):
        # As NumPy writes it for a dtype without fields: only the byte order is news.
        order = state[1] if type(state) is tuple and len(state) == 8 else None
        expected = target.__reduce__()[2]  # type: ignore[index]
        check(order in ("<", ">", "|") and state == (expected[0], order, *expected[2:]), "a NumPy dtype")
        target.__setstate__(state)  # type: ignore[attr-defined]
        return
    check(type(state) is tuple and len(state) == 5 and state[0] == 1 and ints(state[1]), "a NumPy array")
    _, shape, dtype, fortran, data = state
    check(len(shape) <= 32 and _is_numpy_dtype(dtype) and isinstance(fortran, bool), "a NumPy array")
    check(isinstance(data, bytes) and len(data) == math.prod(shape) * dtype.itemsize, "a NumPy array")
    target.__setstate__(state)


# -- the table --------------------------------------------------------------------------------------------


def _allowed() -> dict[str, Any]:
    functions: dict[str, Callable] = {
        "collections.OrderedDict": _ordered_dict,
        "collections.Counter": _counter,
        "builtins.set": _set,
        "builtins.bytearray": _bytearray,
        "builtins.complex": _complex,
        "_codecs.encode": _encode,
        "torch.Size": _size,
        "torch.device": _device,
        "torch._utils._rebuild_parameter": _rebuild_parameter,
        "torch._utils._rebuild_parameter_with_state": _rebuild_parameter_with_state,
        "torch._utils._rebuild_tensor": _rebuild_tensor,
        "torch._utils._rebuild_tensor_v2": _rebuild_tensor,
        "torch._utils._rebuild_tensor_v3": _rebuild_tensor_v3,
        "torch._tensor._rebuild_from_type_v2": _rebuild_from_type,
        "torch._utils._rebuild_sparse_tensor": _rebuild_sparse,
        "torch.serialization._get_layout": _layout,
        "torch.Tensor": _only_a_name,
        "torch.nn.parameter.Parameter": _only_a_name,
        "numpy.dtype": _numpy_dtype,
        "numpy.ndarray": _only_a_name,
    }
    for module in ("numpy.core.multiarray", "numpy._core.multiarray"):
        functions[f"{module}.scalar"] = _numpy_scalar
        functions[f"{module}._reconstruct"] = _numpy_array
    names: dict[str, Any] = {k: Name(k, f) for k, f in functions.items()}
    for storage, dtype in STORAGE_DTYPES.items():
        names[f"torch.{storage}"] = names[f"torch.storage.{storage}"] = StorageType(getattr(norch, dtype))
        names[f"torch.{dtype}"] = getattr(norch, dtype)
    for dtype in ("uint16", "uint32", "uint64"):  # these have no storage classes
        names[f"torch.{dtype}"] = getattr(norch, dtype)
    return names


ALLOWED = _allowed()
