"""Operators that programs define themselves: schemas, kernels by device, gradients (norch.library is the interface)."""

from __future__ import annotations

import contextlib
import re
import threading
from typing import Any, Callable, Iterator

import norch

__all__ = ["Argument", "Operator", "Schema", "find", "registered"]

#: "namespace::name" -> the operator
registered: dict[str, "Operator"] = {}

_NAME = re.compile(r"^\s*(?:(\w+)::)?(\w+)(?:\.(\w+))?\s*\(")
_ARGUMENT = re.compile(r"^(?P<base>\w+)(?P<alias>\(\w+!?\))?(?P<marks>(\?|\[\d*\])*)\s+(?P<name>\w+)(?:\s*=\s*(?P<default>.+))?$")
_KINDS: dict[str, tuple[type, ...]] = {
    "int": (int,),
    "SymInt": (int,),
    "float": (int, float),
    "bool": (bool,),
    "str": (str,),
    "Scalar": (int, float, bool, complex),
}
_BACKENDS = {"cpu": "cpu", "cuda": "cuda", "gpu": "cuda"}
_ALL_DEVICES = ("compositeexplicitautograd", "compositeimplicitautograd", "default")


class Argument:
    """One argument of a schema: `Tensor(a!)? x=None`."""

    def __init__(self, base: str, alias: str, marks: str, name: str, default: str | None, kwarg_only: bool) -> None:
        self.base, self.name, self.kwarg_only = base, name, kwarg_only
        self.mutated = alias.endswith("!)")
        self.is_list = "[" in marks
        self.optional = marks.endswith("?")
        self.items_optional = marks.startswith("?[")
        self.type = base + marks
        self.has_default = default is not None
        self.default = _value(default) if default is not None else None

    def accepts(self, value: Any) -> bool:
        """Whether `value` is of the argument's type."""
        if value is None:
            return self.optional
        if self.is_list:
            if not isinstance(value, (list, tuple)):
                return False
            return all(self._fits(v) or (v is None and self.items_optional) for v in value)
        return self._fits(value)

    def _fits(self, value: Any) -> bool:
        if self.base == "Tensor":
            return isinstance(value, norch.Tensor)
        kinds = _KINDS.get(self.base)
        if kinds is None:
            return True
        return isinstance(value, kinds) and (bool in kinds or not isinstance(value, bool))


def _value(text: str) -> Any:
    """The default that a schema's text means."""
    text = text.strip()
    named = {"None": None, "True": True, "False": False}
    if text in named:
        return named[text]
    if text[:1] in "\"'":
        return text[1:-1]
    if text[:1] == "[":
        return [_value(part) for part in _split(text[1:-1])]
    try:
        return int(text)
    except ValueError:
        pass
    try:
        return float(text)
    except ValueError:
        return getattr(norch, text, text)


def _split(text: str) -> list[str]:
    """The parts between the commas that no bracket or quote holds."""
    parts, depth, quote, start = [], 0, "", 0
    for i, c in enumerate(text):
        if quote:
            quote = "" if c == quote else quote
        elif c in "\"'":
            quote = c
        elif c in "([":
            depth += 1
        elif c in ")]":
            depth -= 1
        elif c == "," and depth == 0:
            parts.append(text[start:i].strip())
            start = i + 1
    last = text[start:].strip()
    return parts + [last] if last else parts


class Schema:
    """What an operator takes and gives, from a text such as "add1(Tensor x, int n=1) -> Tensor". RuntimeError for a
    text that is none."""

    def __init__(self, text: str, namespace: str | None = None) -> None:
        head = _NAME.match(text)
        left, arrow, returns = text.rpartition("->")
        close = left.rfind(")")
        if head is None or not arrow or close < head.end() - 1:
            raise RuntimeError(f"library: {text!r} is no schema; one reads \"name(Tensor x, int n=1) -> Tensor\"")
        self.namespace, self.name, self.overload = head.group(1) or namespace, head.group(2), head.group(3) or ""
        self.arguments: list[Argument] = []
        kwarg_only = False
        for part in _split(left[head.end() : close]):
            if part == "*":
                kwarg_only = True
                continue
            found = _ARGUMENT.match(part)
            if found is None:
                raise RuntimeError(f"library: {part!r} is no argument of a schema ({text!r}); one reads \"int n=1\"")
            g = found.groupdict()
            argument = Argument(g["base"], g["alias"] or "", g["marks"] or "", g["name"], g["default"], kwarg_only)
            self.arguments.append(argument)
        self._tail = text[head.end() - 1 :].strip()

    @property
    def is_mutable(self) -> bool:
        """Whether the operator writes to an argument."""
        return any(a.mutated for a in self.arguments)

    def __str__(self) -> str:
        dot = "." + self.overload if self.overload else ""
        return f"{self.namespace}::{self.name}{dot}{self._tail}"

    __repr__ = __str__

    def bind(self, args: tuple, kwargs: dict[str, Any]) -> tuple[list[Any], dict[str, Any]]:
        """Positional and keyword arguments with the defaults filled in. RuntimeError where they do not fit."""
        full = f"{self.namespace}::{self.name}"
        places = [a for a in self.arguments if not a.kwarg_only]
        if len(args) > len(places):
            raise RuntimeError(
                f"{full}() expected at most {len(places)} argument(s) but received {len(args)} argument(s). "
                f"Declaration: {self}"
            )
        known = {a.name for a in self.arguments}
        for name in kwargs:
            if name not in known:
                raise RuntimeError(f"Unknown keyword argument '{name}' for operator '{full}'. Schema: {self}")
        positional: list[Any] = []
        keywords: dict[str, Any] = {}
        for i, a in enumerate(self.arguments):
            if i < len(args) and not a.kwarg_only:
                value = args[i]
                if a.name in kwargs:
                    raise RuntimeError(f"{full}(): argument '{a.name}' is given twice. Declaration: {self}")
            elif a.name in kwargs:
                value = kwargs[a.name]
            elif a.has_default:
                value = a.default
            else:
                raise RuntimeError(f"{full}() is missing value for argument '{a.name}'. Declaration: {self}")
            if not a.accepts(value) and not (a.has_default and value is a.default):
                raise RuntimeError(
                    f"{full}() Expected a value of type '{a.type}' for argument '{a.name}' but instead found type "
                    f"'{type(value).__name__}'.\nPosition: {i}\nValue: {value!r}\nDeclaration: {self}"
                )
            if a.kwarg_only:
                keywords[a.name] = value
            else:
                positional.append(value)
        return positional, keywords


class _Below(threading.local):
    names: frozenset[str] = frozenset()


_below = _Below()


@contextlib.contextmanager
def _inside(name: str) -> Iterator[None]:
    """While an operator's own autograd kernel runs, calling the operator means its kernel for the device."""
    outer = _below.names
    _below.names = outer | {name}
    try:
        yield
    finally:
        _below.names = outer


class Operator:
    """An operator by its schema. Kernels are looked up by the device of the first tensor among the arguments."""

    def __init__(self, schema: Schema) -> None:
        self.schema = schema
        self.qualname = f"{schema.namespace}::{schema.name}"
        self.kernels: dict[str, Callable[..., Any]] = {}
        self.records = True  # whether what kernels call is recorded: not for custom_op
        self.autograd: Callable[..., Any] | None = None  # a kernel that records by itself
        self.backward: Callable[..., Any] | None = None
        self.setup_context: Callable[..., Any] | None = None
        self.fake: Callable[..., Any] | None = None
        self.disabled: set[str] = set()
        self._function: Any = None

    def add_kernel(self, device: str | None, function: Callable[..., Any]) -> None:
        """A kernel for a device, by its type or by PyTorch's dispatch key; None: for all devices."""
        key = (device or "default").lower()
        if key in ("autograd", "autogradcpu", "autogradcuda"):
            self.autograd = function
        elif key == "meta":
            self.fake = function
        elif key in _ALL_DEVICES:
            self.kernels["default"] = function
        elif key in _BACKENDS:
            self.kernels[_BACKENDS[key]] = function
        else:
            raise ValueError(f"library: there is no kernel for {device!r}; devices are cpu and cuda")

    def kernel(self, tensors: list[Any]) -> Callable[..., Any]:
        """The kernel for these tensors' device. NotImplementedError where there is none."""
        device = tensors[0].device.type if tensors else "cpu"
        found = self.kernels.get(device)
        if found is None or device in self.disabled:
            found = self.kernels.get("default")
        if found is None:
            known = ", ".join(sorted(self.kernels)) or "none"
            raise NotImplementedError(
                f"Could not run '{self.qualname}' with arguments from the '{device.upper()}' backend: it has kernels "
                f"for {known}. Register one with norch.library.register_kernel({self.qualname!r}, {device!r})"
            )
        return found

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        positional, keywords = self.schema.bind(args, kwargs)
        tensors = list(_tensors([*positional, *keywords.values()]))
        if self.autograd is not None and self.qualname not in _below.names:
            with _inside(self.qualname):
                return self.autograd(*positional, **keywords)
        kernel = self.kernel(tensors)
        if self.records and self.backward is None:
            return kernel(*positional, **keywords)
        needed = norch.is_grad_enabled() and any(t.requires_grad for t in tensors)
        if not needed or (self.schema.is_mutable and self.backward is None):
            with norch.no_grad():
                return self._checked(kernel(*positional, **keywords), tensors)
        return self._recorded(kernel, positional, keywords, tensors)

    def _checked(self, result: Any, tensors: list[Any]) -> Any:
        """A result, unless it is one of the arguments."""
        for out in _tensors([result]):
            if any(out is t or _memory(out) is not None and _memory(out) == _memory(t) for t in tensors):
                raise RuntimeError(
                    f"{self.qualname}: the output of a custom operator must not be an input of it, nor share memory "
                    "with one; return a clone of it (x.clone()), or do not return it"
                )
        return result

    def _recorded(self, kernel: Callable[..., Any], positional: list[Any], keywords: dict[str, Any], tensors: list) -> Any:
        if self._function is None:
            name = "GeneratedBackwardFor_" + self.qualname.replace("::", "_") + "_default"
            self._function = type(name, (_Recorded,), {})
        flat, sizes = _flatten(positional)
        call = _Call(self, kernel, sizes, keywords, tensors)
        out = self._function.apply(call, *flat)
        return list(out) if call.makes_list else out


class _Call:
    """One call of an operator, on its way into the graph."""

    makes_list = False

    def __init__(self, operator: Operator, kernel: Any, sizes: list[int], keywords: dict[str, Any], tensors: list) -> None:
        self.operator, self.kernel, self.sizes, self.keywords, self.tensors = operator, kernel, sizes, keywords, tensors


class _Recorded(norch.autograd.Function):
    """The node of an operator's call: its leaves are the arguments with lists spread out."""

    @staticmethod
    def forward(ctx: Any, call: _Call, *leaves: Any) -> Any:  # type: ignore[override]
        operator, values = call.operator, _gather(leaves, call.sizes)
        ctx.needs_input_grad = tuple(_gather(ctx.needs_input_grad[1:], call.sizes))
        result = operator._checked(call.kernel(*values, **call.keywords), call.tensors)
        if operator.setup_context is not None:
            given = {"keyword_only_inputs": call.keywords} if call.keywords else {}
            operator.setup_context(ctx=ctx, inputs=tuple(values), output=result, **given)
        ctx._qualname, ctx._sizes = operator.qualname, call.sizes  # the operator itself would hold the program's globals
        ctx._makes_list = call.makes_list = isinstance(result, list)
        return tuple(result) if call.makes_list else result

    @staticmethod
    def backward(ctx: Any, *grads: Any) -> Any:
        operator = find(ctx._qualname)
        if operator.backward is None:
            raise RuntimeError(
                f"Trying to backward through {operator.qualname.replace('::', '.')}.default but no autograd formula was "
                "registered. Please use register_autograd to add one."
            )
        found = operator.backward(ctx, list(grads)) if ctx._makes_list else operator.backward(ctx, *grads)
        found = found if isinstance(found, tuple) else (found,)
        spread: list[Any] = [None]
        for i, size in enumerate(ctx._sizes):
            grad = found[i] if i < len(found) else None
            if size < 0:
                spread.append(grad)
            else:
                spread += list(grad) if grad is not None else [None] * size
        return tuple(spread)


def _memory(tensor: Any) -> int | None:
    """Where a tensor's memory begins; None for sparse and empty ones."""
    if tensor.layout is not norch.strided or tensor.numel() == 0:
        return None
    return int(tensor.untyped_storage().data_ptr())


def _tensors(values: Any) -> Iterator[Any]:
    for v in values:
        if isinstance(v, norch.Tensor):
            yield v
        elif isinstance(v, (list, tuple)):
            yield from _tensors(v)


def _flatten(values: list[Any]) -> tuple[list[Any], list[int]]:
    """The values with lists spread out, and how long each list was (-1: no list)."""
    sizes = [len(v) if isinstance(v, (list, tuple)) else -1 for v in values]
    flat: list[Any] = []
    for v, size in zip(values, sizes):
        flat += [v] if size < 0 else v
    return flat, sizes


def _gather(leaves: Any, sizes: list[int]) -> list[Any]:
    """The inverse of _flatten."""
    result: list[Any] = []
    at = 0
    for size in sizes:
        result.append(leaves[at] if size < 0 else list(leaves[at : at + size]))
        at += 1 if size < 0 else size
    return result


def find(name: str) -> Operator:
    """The operator "namespace::name". RuntimeError where there is none."""
    try:
        return registered[name.removesuffix(".default")]
    except KeyError:
        raise RuntimeError(f"library: there is no operator {name!r}; define it with norch.library.custom_op") from None
