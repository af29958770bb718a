"""A reader for the pickles in checkpoint files, which runs no code of theirs.

It interprets the few opcodes that such pickles consist of. A name in the file can only mean one of the
functions below, all of which check their arguments: nothing is imported and nothing else is called.
"""

from __future__ import annotations

import struct
from collections import Counter, OrderedDict
from pickle import UnpicklingError
from typing import Any, Callable, NoReturn

import norch
from norch._C import Parameter

__all__ = ["STORAGE_DTYPES", "SafeUnpickler"]

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
_MAX_KEY_DEPTH = 16
_MARK = object()


class _Name:
    """A name that the file mentions, which REDUCE may call."""

    def __init__(self, name: str, function: Callable) -> None:
        self.name, self.function = name, function


class StorageType:
    """A storage class: the dtype of its elements."""

    def __init__(self, dtype: Any) -> None:
        self.dtype = dtype


def _fail(text: str) -> NoReturn:
    raise UnpicklingError(f"load: {text}")


def _check(ok: bool, what: str) -> None:
    if not ok:
        _fail(f"{what} in the file has arguments that make no sense")


def _ints(values: Any) -> bool:
    return isinstance(values, (tuple, list)) and all(type(v) is int and 0 <= v < 2**63 for v in values)


def _hashable(key: Any, depth: int = 0) -> bool:
    """Keys that checkpoints use. Hashing recurses in C, so that deep nests must not get there."""
    if isinstance(key, tuple):
        return depth < _MAX_KEY_DEPTH and all(_hashable(k, depth + 1) for k in key)
    return key is None or isinstance(key, (str, int, float, bytes, complex, norch.dtype, norch.device))


def _ordered_dict(*args: Any) -> OrderedDict:
    _check(len(args) <= 1, "OrderedDict")
    pairs = args[0] if args else []
    _check(isinstance(pairs, (list, tuple, dict)), "OrderedDict")
    pairs = list(pairs.items()) if isinstance(pairs, dict) else pairs
    _check(all(isinstance(p, (list, tuple)) and len(p) == 2 and _hashable(p[0]) for p in pairs), "OrderedDict")
    return OrderedDict(pairs)


def _counter(*args: Any) -> Counter:
    _check(len(args) <= 1 and all(isinstance(a, dict) for a in args), "Counter")
    return Counter(*args)


def _set(*args: Any) -> set:
    _check(len(args) <= 1 and all(isinstance(a, list) and all(map(_hashable, a)) for a in args), "set")
    return set(*args)


def _encode(*args: Any) -> bytes:
    _check(len(args) == 2 and isinstance(args[0], str) and args[1] in ("latin1", "latin-1"), "bytes")
    return args[0].encode("latin1")


def _bytearray(*args: Any) -> bytearray:
    _check(len(args) <= 1 and all(isinstance(a, bytes) for a in args), "bytearray")
    return bytearray(*args)


def _complex(*args: Any) -> complex:
    _check(len(args) == 2 and all(isinstance(a, float) for a in args), "complex")
    return complex(*args)


def _size(*args: Any) -> Any:
    _check(len(args) == 1 and _ints(args[0]), "Size")
    return norch.Size(args[0])


def _device(*args: Any) -> Any:
    _check(1 <= len(args) <= 2 and isinstance(args[0], str) and _ints(args[1:]), "device")
    return norch.device(*args)


def _rebuild_parameter(*args: Any) -> Any:
    _check(len(args) >= 2 and isinstance(args[0], norch.Tensor) and isinstance(args[1], bool), "a parameter")
    return Parameter(args[0].detach(), requires_grad=args[1])


class SafeUnpickler:
    """Reads one pickle. `storage(type, key, location, numel)` resolves storages to 1-D tensors."""

    def __init__(self, data: bytes, storage: Callable[[StorageType, str, str, int], Any]) -> None:
        self._data = data
        self._at = 0
        self._storage = storage
        self._stack: list[Any] = []
        self._memo: dict[int, Any] = {}
        self._names = self._allowed()

    def _allowed(self) -> dict[str, Any]:
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
            "torch._utils._rebuild_parameter_with_state": _rebuild_parameter,
            "torch._utils._rebuild_tensor": self._rebuild_tensor,
            "torch._utils._rebuild_tensor_v2": self._rebuild_tensor,
            "torch._utils._rebuild_tensor_v3": self._rebuild_tensor_v3,
            "torch._tensor._rebuild_from_type_v2": self._rebuild_from_type,
            "torch.Tensor": lambda *_: _fail("a torch.Tensor is called, which is not supported"),
            "torch.nn.parameter.Parameter": lambda *_: _fail("a Parameter is called, which is not supported"),
        }
        names: dict[str, Any] = {k: _Name(k, f) for k, f in functions.items()}
        for storage, dtype in STORAGE_DTYPES.items():
            names[f"torch.{storage}"] = names[f"torch.storage.{storage}"] = StorageType(getattr(norch, dtype))
            names[f"torch.{dtype}"] = getattr(norch, dtype)
        for dtype in ("uint16", "uint32", "uint64"):  # these have no storage classes
            names[f"torch.{dtype}"] = getattr(norch, dtype)
        return names

    # -- tensors ------------------------------------------------------------------------------------

    def _rebuild_tensor(self, *args: Any) -> Any:
        _check(len(args) >= 4, "a tensor")
        base, offset, size, stride = args[:4]
        requires_grad = args[4] if len(args) > 4 else False
        _check(isinstance(base, norch.Tensor) and isinstance(requires_grad, bool), "a tensor")
        _check(_ints((offset,)) and _ints(size) and _ints(stride) and len(size) == len(stride) <= 64, "a tensor")
        if 0 not in size:
            last = offset + sum((n - 1) * s for n, s in zip(size, stride))
            if last >= base.numel():
                _fail(
                    f"a tensor of sizes {tuple(size)} and strides {tuple(stride)} at offset {offset} lies outside of "
                    f"its storage of {base.numel()} elements"
                )
        elif offset > base.numel():
            _fail(f"an empty tensor at offset {offset} lies outside of its storage of {base.numel()} elements")
        return base.as_strided(tuple(size), tuple(stride), offset).requires_grad_(requires_grad)

    def _rebuild_tensor_v3(self, *args: Any) -> Any:
        _check(len(args) >= 7 and isinstance(args[0], norch.Tensor) and isinstance(args[6], norch.dtype), "a tensor")
        base, dtype = args[0], args[6]
        if base.dtype != dtype:
            _check(base.numel() % dtype.itemsize == 0, "a tensor")
            base = base.view(dtype)
        return self._rebuild_tensor(base, *args[1:5])

    def _rebuild_from_type(self, *args: Any) -> Any:
        """A tensor with attributes of its own, which are left out: (function, type, arguments, state)."""
        _check(len(args) == 4 and isinstance(args[0], _Name) and isinstance(args[2], tuple), "a tensor")
        _check(args[0].name.startswith("torch._utils._rebuild_"), "a tensor")
        return args[0].function(*args[2])

    # -- the interpreter ----------------------------------------------------------------------------

    def load(self) -> Any:
        """The pickled object. Raises UnpicklingError for anything unexpected."""
        try:
            while True:
                code = self._read(1)[0]
                if code == 0x2E:  # STOP
                    return self._pop()
                operation = _OPERATIONS.get(code)
                if operation is None:
                    _fail(f"unsupported pickle opcode {code:#04x} at byte {self._at - 1}")
                operation(self)
        except (IndexError, struct.error, UnicodeDecodeError):
            raise UnpicklingError(f"load: the pickle in the file is damaged near byte {self._at}") from None

    def _read(self, n: int) -> bytes:
        data = self._data[self._at : self._at + n]
        if len(data) != n:
            raise IndexError
        self._at += n
        return data

    def _int(self, form: str) -> int:
        return struct.unpack(form, self._read(struct.calcsize(form)))[0]

    def _line(self) -> str:
        end = self._data.find(b"\n", self._at)
        if end < 0:
            raise IndexError
        line = self._data[self._at : end].decode("utf-8")
        self._at = end + 1
        return line

    def _pop_mark(self) -> list:
        stack = self._stack
        for i in range(len(stack) - 1, -1, -1):
            if stack[i] is _MARK:
                items = stack[i + 1 :]
                del stack[i:]
                return items
        raise IndexError

    def _pop(self) -> Any:
        value = self._stack.pop()
        if value is _MARK:
            raise IndexError
        return value

    def _push(self, value: Any) -> None:
        self._stack.append(value)

    def _remember(self, at: int) -> None:
        if self._stack[-1] is _MARK:
            raise IndexError
        self._memo[at] = self._stack[-1]

    def _global(self, module: str, name: str) -> None:
        module = {"__builtin__": "builtins", "copy_reg": "copyreg"}.get(module, module)
        found = self._names.get(f"{module}.{name}")
        if found is None:
            _fail(
                f"the file refers to {module}.{name}, which norch.load does not construct: it restores tensors, "
                "numbers, texts and containers only, and never runs code from a file. Save a state_dict() instead "
                "of the object"
            )
        self._push(found)

    def _stack_global(self) -> None:
        name, module = self._pop(), self._pop()
        _check(isinstance(name, str) and isinstance(module, str), "a name")
        self._global(module, name)

    def _reduce(self) -> None:
        args, function = self._pop(), self._pop()
        if not isinstance(function, _Name) or not isinstance(args, tuple):
            _fail(f"the file calls {function!r}, which is not a function that norch.load knows")
        self._push(function.function(*args))

    def _newobj(self) -> None:
        args, cls = self._pop(), self._pop()
        _check(isinstance(cls, _Name) and cls.name == "collections.OrderedDict" and args == (), "an object")
        self._push(OrderedDict())

    def _build(self) -> None:
        state, target = self._pop(), self._stack[-1]
        if type(target) is OrderedDict and isinstance(state, dict):
            # State dicts carry _metadata; nothing else that loads is allowed attributes.
            if "_metadata" in state:
                target._metadata = state["_metadata"]  # type: ignore[attr-defined]
            return
        _fail(f"the file sets the state of a {type(target).__name__}, which norch.load does not do")

    def _append(self, items: list) -> None:
        _check(type(self._stack[-1]) is list, "append")
        self._stack[-1].extend(items)

    def _set_items(self, items: list) -> None:
        target = self._stack[-1]
        _check(type(target) in (dict, OrderedDict, Counter) and len(items) % 2 == 0, "a dict")
        for key, value in zip(items[::2], items[1::2]):
            _check(_hashable(key), f"a key of type {type(key).__name__}")
            target[key] = value

    def _add_items(self, items: list) -> None:
        _check(type(self._stack[-1]) is set and all(map(_hashable, items)), "a set")
        self._stack[-1].update(items)

    def _persistent(self) -> None:
        args = self._pop()
        ok = isinstance(args, tuple) and len(args) == 5 and args[0] == "storage" and isinstance(args[1], StorageType)
        ok = ok and isinstance(args[2], str) and isinstance(args[3], str) and _ints(args[4:])
        _check(ok, "a storage")
        self._push(self._storage(*args[1:]))

    def _last(self, n: int) -> list:
        return [self._pop() for _ in range(n)][::-1]


def _operations() -> dict[int, Callable[[SafeUnpickler], Any]]:
    def text(form: str) -> Callable:
        return lambda u: u._push(u._read(u._int(form)).decode("utf-8", "surrogatepass"))

    def raw(form: str) -> Callable:
        return lambda u: u._push(u._read(u._int(form)))

    def put(form: str) -> Callable:
        return lambda u: u._remember(u._int(form))

    def get(u: SafeUnpickler, form: str) -> None:
        at = u._int(form)
        if at not in u._memo:
            raise IndexError
        u._push(u._memo[at])

    table: dict[bytes, Callable[[SafeUnpickler], Any]] = {
        b"\x80": lambda u: u._read(1),  # PROTO
        b"\x95": lambda u: u._read(8),  # FRAME
        b"(": lambda u: u._push(_MARK),
        b"N": lambda u: u._push(None),
        b"\x88": lambda u: u._push(True),
        b"\x89": lambda u: u._push(False),
        b"J": lambda u: u._push(u._int("<i")),
        b"K": lambda u: u._push(u._int("<B")),
        b"M": lambda u: u._push(u._int("<H")),
        b"\x8a": lambda u: u._push(int.from_bytes(u._read(u._int("<B")), "little", signed=True)),
        b"G": lambda u: u._push(u._int(">d")),
        b"X": text("<I"),
        b"\x8c": text("<B"),
        b"\x8d": text("<Q"),
        b"C": raw("<B"),
        b"B": raw("<I"),
        b"\x8e": raw("<Q"),
        b"}": lambda u: u._push({}),
        b"]": lambda u: u._push([]),
        b")": lambda u: u._push(()),
        b"\x8f": lambda u: u._push(set()),
        b"t": lambda u: u._push(tuple(u._pop_mark())),
        b"\x85": lambda u: u._push(tuple(u._last(1))),
        b"\x86": lambda u: u._push(tuple(u._last(2))),
        b"\x87": lambda u: u._push(tuple(u._last(3))),
        b"a": lambda u: u._append(u._last(1)),
        b"e": lambda u: u._append(u._pop_mark()),
        b"s": lambda u: u._set_items(u._last(2)),
        b"u": lambda u: u._set_items(u._pop_mark()),
        b"\x90": lambda u: u._add_items(u._pop_mark()),
        b"c": lambda u: u._global(u._line(), u._line()),
        b"\x93": lambda u: u._stack_global(),
        b"R": lambda u: u._reduce(),
        b"\x81": lambda u: u._newobj(),
        b"b": lambda u: u._build(),
        b"Q": lambda u: u._persistent(),
        b"q": put("<B"),
        b"r": put("<I"),
        b"\x94": lambda u: u._remember(len(u._memo)),  # MEMOIZE
        b"h": lambda u: get(u, "<B"),
        b"j": lambda u: get(u, "<I"),
    }
    return {code[0]: f for code, f in table.items()}


_OPERATIONS = _operations()
