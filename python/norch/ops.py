"""torch.ops: operators by namespace and name.

`ops.mylib.twice(x)` calls what norch.library has defined; `ops.aten.mm(a, b)` (also `ops.aten.mm.default`) is norch's
function of that name, with its arguments. No operators can be loaded from files."""

from __future__ import annotations

from typing import Any, Callable

import norch

from . import _operators

__all__ = ["OpOverload", "OpOverloadPacket", "load_library"]


def load_library(path: str) -> None:
    """OSError: files of operators are compiled against PyTorch, which norch's process does not hold."""
    raise OSError(f"ops.load_library: {path} holds operators for PyTorch, and norch can't call them; define them with norch.library")


class OpOverload:
    """One form of an operator: `ops.mylib.twice.default`."""

    def __init__(self, packet: OpOverloadPacket, name: str) -> None:
        self._packet, self._overloadname = packet, name
        self.__name__ = f"{packet.__name__}.{name}"
        self.namespace = packet._namespace

    def __call__(self, /, *args: Any, **kwargs: Any) -> Any:
        return self._packet._function(*args, **kwargs)

    @property
    def _schema(self) -> Any:
        return getattr(self._packet._function, "schema", None)

    @property
    def overloadpacket(self) -> OpOverloadPacket:
        """All forms of the operator."""
        return self._packet

    def name(self) -> str:
        """mylib::twice, with the form after a dot unless it is the default."""
        form = "" if self._overloadname == "default" else "." + self._overloadname
        return self._packet._qualified_op_name + form

    def __repr__(self) -> str:
        return f"<OpOverload(op='{self.namespace}.{self._packet.__name__}', overload='{self._overloadname}')>"

    def __str__(self) -> str:
        return f"{self.namespace}.{self.__name__}"


class OpOverloadPacket:
    """An operator with all its forms: `ops.mylib.twice`."""

    def __init__(self, namespace: str, name: str, function: Callable[..., Any]) -> None:
        self._namespace, self.__name__, self._function = namespace, name, function
        self._qualified_op_name = f"{namespace}::{name}"

    def __call__(self, /, *args: Any, **kwargs: Any) -> Any:
        return self._function(*args, **kwargs)

    def overloads(self) -> list[str]:
        """The names of the forms."""
        return ["default"]

    def __getattr__(self, form: str) -> OpOverload:
        own = isinstance(self._function, _operators.Operator)
        if form.startswith("__") or (own and form != "default"):
            raise AttributeError(f"The underlying op of '{self}' has no overload name '{form}'")
        overload = OpOverload(self, form)
        setattr(self, form, overload)
        return overload

    def __repr__(self) -> str:
        return f"<OpOverloadPacket(op='{self}')>"

    def __str__(self) -> str:
        return f"{self._namespace}.{self.__name__}"


def _builtin(name: str) -> Callable[..., Any] | None:
    """norch's function that PyTorch's operator of this name is behind."""
    for prefix in ("linalg", "fft", "special"):
        if name.startswith(prefix + "_"):
            inner = getattr(getattr(norch, prefix), name[len(prefix) + 1 :], None)
            if callable(inner):
                return inner
    for place in (norch, norch.nn.functional, norch.Tensor):
        found = getattr(place, name, None)
        if callable(found) and not isinstance(found, type):
            return found
    from norch import _aten

    return _aten.find(name)


class _OpNamespace:
    def __init__(self, name: str) -> None:
        self._name = name

    def __getattr__(self, name: str) -> OpOverloadPacket:
        function: Callable[..., Any] | None = _operators.registered.get(f"{self._name}::{name}")
        if function is None and self._name == "aten" and not name.startswith("__"):
            function = _builtin(name)
        if function is None and self._name == "torchvision" and name in ("nms", "roi_align", "roi_pool"):
            from norch import vision

            function = getattr(vision.ops, name, None)
        if function is None:
            raise AttributeError(f"'_OpNamespace' '{self._name}' object has no attribute '{name}'")
        packet = OpOverloadPacket(self._name, name, function)
        setattr(self, name, packet)
        return packet

    def __repr__(self) -> str:
        return f"<module 'torch.ops.{self._name}' from 'torch.ops'>"


def __getattr__(name: str) -> _OpNamespace:
    if name.startswith("__"):
        raise AttributeError(f"module 'norch.ops' has no attribute '{name}'")
    space = globals()[name] = _OpNamespace(name)
    return space
