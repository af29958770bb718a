"""A reader for the pickles in checkpoint files, which runs no code of theirs.

It interprets the few opcodes that such pickles consist of. A name in the file can only mean one of the
functions of `_rebuild`, all of which check their arguments, or what the user put on the list with
`norch.serialization.add_safe_globals`: nothing is imported and nothing else is called.
"""

from __future__ import annotations

import struct
from collections import Counter, OrderedDict
from pickle import UnpicklingError
from typing import Any, Callable

import numpy as np

from ._rebuild import ALLOWED, Name, StorageType, check, fail, hashable, ints, set_array_state

__all__ = ["SafeUnpickler", "storage_of"]

_MARK = object()
# Each call may copy what it is given, and can be given the same list again and again: all calls together
# get this many times the length of the pickle.
_COPIES = 16


def storage_of(args: Any, storage: Callable[[StorageType, str, str, int], Any]) -> Any:
    """The storage that a persistent id stands for. Old files say None after it, or which part of it."""
    ok = isinstance(args, tuple) and len(args) in (5, 6) and args[0] == "storage" and isinstance(args[1], StorageType)
    ok = ok and isinstance(args[2], str) and isinstance(args[3], str) and ints(args[4:5])
    check(ok, "a storage")
    base = storage(*args[1:5])
    if len(args) == 5 or args[5] is None:
        return base
    view = args[5]
    check(isinstance(view, tuple) and len(view) == 3 and ints(view[1:]) and sum(view[1:]) <= base.numel(), "a storage")
    return base[view[1] : view[1] + view[2]]


class SafeUnpickler:
    """Reads one pickle, from `data[at:]`. `storage(type, key, location, numel)` resolves storages to 1-D
    tensors; `user` holds the names that the user allows; texts of Python 2 are decoded by `encoding`."""

    def __init__(
        self,
        data: bytes,
        storage: Callable[[StorageType, str, str, int], Any],
        user: dict[str, Any] | None = None,
        at: int = 0,
        encoding: str = "utf-8",
    ) -> None:
        self._data = data
        self.at = at
        self._storage = storage
        self._user = user or {}
        self._encoding = encoding
        self._stack: list[Any] = []
        self._memo: dict[int, Any] = {}
        self._budget = _COPIES * (len(data) - at) + 10_000

    def load(self) -> Any:
        """The pickled object. Raises UnpicklingError for anything unexpected."""
        try:
            while True:
                code = self._read(1)[0]
                if code == 0x2E:  # STOP
                    return self._pop()
                operation = _OPERATIONS.get(code)
                if operation is None:
                    fail(f"unsupported pickle opcode {code:#04x} at byte {self.at - 1}")
                operation(self)
        except (IndexError, struct.error, UnicodeDecodeError):
            raise UnpicklingError(f"load: the pickle in the file is damaged near byte {self.at}") from None
        except (TypeError, ValueError, OverflowError) as e:
            if self._user:  # what the user allowed may raise what it likes
                raise
            raise UnpicklingError(f"load: the pickle in the file is damaged near byte {self.at} ({e})") from None
        except RecursionError:
            raise UnpicklingError("load: the objects in the file are nested too deeply") from None

    def _read(self, n: int) -> bytes:
        data = self._data[self.at : self.at + n]
        if len(data) != n:
            raise IndexError
        self.at += n
        return data

    def _int(self, form: str) -> int:
        return struct.unpack(form, self._read(struct.calcsize(form)))[0]

    def _line(self) -> str:
        end = self._data.find(b"\n", self.at)
        if end < 0:
            raise IndexError
        line = self._data[self.at : end].decode("utf-8")
        self.at = end + 1
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
        path = f"{module}.{name}"
        found = self._user.get(path, ALLOWED.get(path))
        if found is None:
            fail(
                f"the file refers to {path}, which norch.load does not construct unless told to: it restores tensors, "
                "numbers, texts and containers, and runs no code from a file. If you trust the file, allow the name "
                f"with norch.serialization.add_safe_globals([{path}]) or safe_globals([...]), or load it with "
                "weights_only=False, which can run any code that is in the file"
            )
        self._push(found)

    def _stack_global(self) -> None:
        name, module = self._pop(), self._pop()
        check(isinstance(name, str) and isinstance(module, str), "a name")
        self._global(module, name)

    def _is_users(self, value: Any) -> bool:
        return any(value is v for v in self._user.values())

    def _call(self, function: Any, args: Any, what: Callable) -> None:
        if not isinstance(args, tuple) or not (isinstance(function, Name) or self._is_users(function)):
            shown = function if isinstance(function, (int, str)) else f"a {type(function).__name__}"
            fail(f"the file calls {str(shown)[:80]}, which is not a function that norch.load knows")
        self._spend(args)
        self._push(what(*args))

    def _spend(self, args: tuple) -> None:
        self._budget -= 1 + sum(len(a) for a in args if isinstance(a, (tuple, list, dict, bytes, str)))
        if self._budget < 0:
            fail("the file copies the same data over and over, as only a file made to fill the memory does")

    def _reduce(self) -> None:
        args, function = self._pop(), self._pop()
        self._call(function, args, function)

    def _newobj(self) -> None:
        args, cls = self._pop(), self._pop()
        if self._is_users(cls) and isinstance(cls, type):
            self._call(cls, args, lambda *a: cls.__new__(cls, *a))
            return
        check(isinstance(cls, Name) and cls.name == "collections.OrderedDict" and args == (), "an object")
        self._push(OrderedDict())

    def _build(self) -> None:
        state, target = self._pop(), self._stack[-1]
        if type(target) is OrderedDict and isinstance(state, dict):
            # State dicts carry _metadata; no other attributes are restored.
            if "_metadata" in state:
                target._metadata = state["_metadata"]  # type: ignore[attr-defined]
        elif type(target) is np.ndarray or isinstance(target, np.dtype):
            self._spend(state if isinstance(state, tuple) else ())
            set_array_state(target, state)
        elif self._is_users(type(target)):
            _set_state(target, state)
        else:
            fail(f"the file sets the state of a {type(target).__name__}, which norch.load does not do")

    def _append(self, items: list) -> None:
        check(type(self._stack[-1]) is list, "append")
        self._stack[-1].extend(items)

    def _set_items(self, items: list) -> None:
        target = self._stack[-1]
        check(type(target) in (dict, OrderedDict, Counter) and len(items) % 2 == 0, "a dict")
        for key, value in zip(items[::2], items[1::2]):
            check(hashable(key), f"a key of type {type(key).__name__}")
            target[key] = value

    def _add_items(self, items: list) -> None:
        check(type(self._stack[-1]) is set and all(map(hashable, items)), "a set")
        self._stack[-1].update(items)

    def _persistent(self) -> None:
        self._push(storage_of(self._pop(), self._storage))

    def _last(self, n: int) -> list:
        return [self._pop() for _ in range(n)][::-1]


def _set_state(target: Any, state: Any) -> None:
    """As pickle does, for an object of a class that the user allows."""
    if hasattr(target, "__setstate__"):
        target.__setstate__(state)
        return
    for part in state if isinstance(state, tuple) and len(state) == 2 else (state,):
        check(part is None or isinstance(part, dict), "an object's state")
        for name, value in (part or {}).items():
            check(type(name) is str, "an object's state")
            setattr(target, name, value)


def _operations() -> dict[int, Callable[[SafeUnpickler], Any]]:
    def text(form: str) -> Callable:
        return lambda u: u._push(u._read(u._int(form)).decode("utf-8", "surrogatepass"))

    def raw(form: str) -> Callable:
        return lambda u: u._push(u._read(u._int(form)))

    def old_text(form: str) -> Callable:
        return lambda u: u._push(u._read(u._int(form)).decode(u._encoding))

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
        b"U": old_text("<B"),
        b"T": old_text("<I"),
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
