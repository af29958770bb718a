"""torch.library: operators that programs define.

    >>> from norch.library import custom_op
    >>> @custom_op("docs::scaled", mutates_args=())
    ... def scaled(x: norch.Tensor, by: float = 2.0) -> norch.Tensor:
    ...     return x * by
    >>> scaled.register_autograd(lambda ctx, grad: (grad * ctx.by, None),
    ...                          setup_context=lambda ctx, inputs, output: setattr(ctx, "by", inputs[1]))
    >>> x = norch.ones(2, requires_grad=True)
    >>> norch.ops.docs.scaled(x, 3.0).sum().backward()
    >>> x.grad
    tensor([3., 3.])

What kernels of a custom_op compute is not recorded: their gradient is the formula that register_autograd names."""

from __future__ import annotations

import collections.abc
import inspect
import types
import typing
from typing import Any, Callable, Iterable

import norch

from ._operators import Operator, Schema, find, registered

__all__ = [
    "CustomOpDef",
    "Library",
    "custom_op",
    "define",
    "impl",
    "impl_abstract",
    "infer_schema",
    "register_autograd",
    "register_fake",
    "register_kernel",
]


def _kinds() -> dict[Any, str]:
    return {
        norch.Tensor: "Tensor",
        int: "SymInt",
        float: "float",
        bool: "bool",
        str: "str",
        complex: "Scalar",
        norch.dtype: "ScalarType",
        norch.device: "Device",
    }


def _schema_type(annotation: Any, alias: str = "") -> str | None:
    """Tensor?, SymInt[], ... of an annotation, None for what operators do not take."""
    simple = _kinds().get(annotation)
    if simple is None and isinstance(annotation, type) and issubclass(annotation, norch.Tensor):
        simple = "Tensor"
    if simple is not None:
        return simple + alias
    origin, args = typing.get_origin(annotation), typing.get_args(annotation)
    if origin is typing.Union or origin is types.UnionType:
        rest = [a for a in args if a is not type(None)]
        if set(rest) == {int, float, bool}:
            inner: str | None = "Scalar"
        else:
            inner = _schema_type(rest[0], alias) if len(rest) == 1 else None
        return inner if inner is None or len(rest) == len(args) else inner + "?"
    if origin in (list, collections.abc.Sequence) and len(args) == 1:
        inner = _schema_type(args[0])
        if inner is None or inner.endswith("]"):
            return None
        return inner.replace("Tensor", "Tensor" + alias) + "[]" if alias else inner + "[]"
    return None


def _returns(annotation: Any) -> str | None:
    if annotation is None or annotation is type(None):
        return "()"
    if typing.get_origin(annotation) is tuple:
        parts = [_schema_type(a) for a in typing.get_args(annotation)]
        return None if None in parts else "(" + ", ".join(p for p in parts if p) + ")"
    found = _schema_type(annotation)
    return found if found is not None and not found.endswith("?") else None


def _default(value: Any) -> str | None:
    if value is None or isinstance(value, (bool, int, float)):
        return str(value)
    if isinstance(value, (str, norch.device)):
        return f'"{value}"'
    if isinstance(value, norch.dtype):
        return str(value).rpartition(".")[2]
    return None


def infer_schema(prototype_function: Callable[..., Any], /, *, mutates_args: Any, op_name: str | None = None) -> str:
    """The schema of a function from its annotations: "(Tensor x, SymInt n=1) -> Tensor". ValueError for a parameter
    without annotation, or of a type that operators do not take.

        >>> def f(x: norch.Tensor, n: int = 1) -> norch.Tensor: ...
        >>> norch.library.infer_schema(f, mutates_args=())
        '(Tensor x, SymInt n=1) -> Tensor'"""
    signature = inspect.signature(prototype_function)

    def error(what: str) -> ValueError:
        return ValueError(f"infer_schema(func): {what} Got func with signature {signature})")

    try:
        hints = typing.get_type_hints(prototype_function)
    except (NameError, TypeError) as e:
        raise error(f"An annotation could not be evaluated: {e}.") from e
    unknown = mutates_args == "unknown"
    mutated = set() if unknown else set(mutates_args)
    parts: list[str] = []
    star = False
    for i, (name, p) in enumerate(signature.parameters.items()):
        if p.kind not in (p.POSITIONAL_OR_KEYWORD, p.KEYWORD_ONLY):
            raise error("We do not support positional-only args, varargs, or varkwargs.")
        if p.kind is p.KEYWORD_ONLY and not star:
            parts.append("*")
            star = True
        if p.annotation is inspect.Parameter.empty:
            raise error(f"Parameter {name} must have a type annotation.")
        kind = _schema_type(hints[name])
        if kind is None:
            raise error(f"Parameter {name} has unsupported type {hints[name]}. Types are Tensor, int, float, bool, str, "
                        "dtype, device and Union[int, float, bool], Optional and Sequence of them.")
        writes = kind.startswith("Tensor") and (unknown or name in mutated)
        if name in mutated and not writes:
            raise error(f"Parameter {name} is in mutated_args but only Tensors or collections of Tensors can be mutated.")
        if writes:
            kind = kind.replace("Tensor", f"Tensor(a{i}!)")
        text = f"{kind} {name}"
        if p.default is not inspect.Parameter.empty:
            default = _default(p.default)
            if default is None:
                raise error(f"Parameter {name} has an unsupported default value type {type(p.default)}.")
            text += "=" + default
        parts.append(text)
    if not mutated <= set(signature.parameters):
        raise error(f"{mutated - set(signature.parameters)} in mutates_args were not found in the custom op's signature.")
    if signature.return_annotation is inspect.Signature.empty:
        raise error("No return type annotation was provided. Please add one.")
    returns = _returns(hints.get("return"))
    if returns is None:
        raise error(f"Return has unsupported type {hints.get('return')}.")
    return f"{op_name or ''}({', '.join(parts)}) -> {returns}"


def _split_name(name: str) -> tuple[str, str]:
    namespace, two, leaf = name.partition("::")
    if not two or not namespace or not leaf:
        raise ValueError(f"library: {name!r} is no name of an operator; one reads \"mylib::name\"")
    return namespace, leaf


def _enter(schema: Schema, replace: bool = False) -> Operator:
    operator = Operator(schema)
    if operator.qualname in registered and not replace:
        raise RuntimeError(f"library: there is an operator {operator.qualname} already")
    registered[operator.qualname] = operator
    vars(getattr(norch.ops, schema.namespace or "")).pop(schema.name, None)
    return operator


def _devices(types_: Any) -> list[str | None]:
    if types_ is None:
        return [None]
    return [types_] if isinstance(types_, str) else list(types_)


class CustomOpDef:
    """What custom_op makes of a function: call it as the function."""

    def __init__(self, operator: Operator, function: Callable[..., Any]) -> None:
        self._operator, self._init_fn = operator, function
        self._qualname = operator.qualname
        self._namespace, self._name = _split_name(operator.qualname)
        self.__name__ = getattr(function, "__name__", self._name)
        self.__doc__ = function.__doc__

    @property
    def _opoverload(self) -> Any:
        return getattr(getattr(norch.ops, self._namespace), self._name).default

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        return self._operator(*args, **kwargs)

    def __repr__(self) -> str:
        return f"<CustomOpDef({self._qualname})>"

    def register_kernel(self, device_types: Any, fn: Callable[..., Any] | None = None, /) -> Callable[..., Any]:
        """Another implementation, for a device type or several of them ("cpu", "cuda"; None: all)."""
        return register_kernel(self._qualname, device_types, fn)

    def register_fake(self, fn: Callable[..., Any], /) -> Callable[..., Any]:
        """What gives the shapes and dtypes of the results. It is kept; norch runs the kernels, always."""
        return register_fake(self._qualname, fn)

    def register_autograd(self, backward: Callable[..., Any], /, *, setup_context: Callable[..., Any] | None = None) -> None:
        """The gradient: `backward(ctx, *grads)` gives one for each argument, `setup_context(ctx, inputs, output)` saves
        what it needs."""
        register_autograd(self._qualname, backward, setup_context=setup_context)

    def set_kernel_enabled(self, device_type: str, enabled: bool = True) -> Any:
        """Whether the kernel of a device is used; takes effect at once, and ends with a `with` block."""
        disabled = self._operator.disabled
        was = device_type in disabled
        (disabled.discard if enabled else disabled.add)(device_type)
        return _Restored(disabled, device_type, was)


class _Restored:
    def __init__(self, disabled: set[str], device: str, was: bool) -> None:
        self._disabled, self._device, self._was = disabled, device, was

    def __enter__(self) -> None:
        pass

    def __exit__(self, *args: object) -> None:
        (self._disabled.add if self._was else self._disabled.discard)(self._device)


def custom_op(
    name: str,
    fn: Callable[..., Any] | None = None,
    /,
    *,
    mutates_args: str | Iterable[str],
    device_types: Any = None,
    schema: str | None = None,
    tags: Any = None,
) -> Any:
    """Makes a function the operator "mylib::name", which norch.ops.mylib.name finds too; a decorator without `fn`.
    `mutates_args` names the tensors that it writes to, `device_types` those that it is for (None: all), `schema` says
    what annotations say otherwise. The results must be no inputs nor views of them (RuntimeError)."""
    namespace, leaf = _split_name(name)

    def make(function: Callable[..., Any]) -> CustomOpDef:
        text = schema if schema is not None else infer_schema(function, mutates_args=mutates_args)
        operator = _enter(Schema(leaf + text, namespace), replace=True)
        operator.records = False
        for device in _devices(device_types):
            operator.add_kernel(device, function)
        return CustomOpDef(operator, function)

    return make if fn is None else make(fn)


def define(qualname: str, schema: str, *, lib: Any = None, tags: Any = ()) -> None:
    """Enters an operator by its schema; impl gives it kernels. RuntimeError for a schema that can't be read, or where
    there is such an operator already.

        >>> norch.library.define("docs::twice", "(Tensor x) -> Tensor")
        >>> _ = norch.library.impl("docs::twice", "cpu", lambda x: 2 * x)
        >>> norch.ops.docs.twice(norch.ones(1))
        tensor([2.])"""
    namespace, leaf = _split_name(qualname)
    _enter(Schema(leaf + schema, namespace))


def impl(qualname: Any, types: Any, func: Any = None, *, lib: Any = None) -> Any:
    """A kernel of an operator for device types ("cpu", "cuda", "default": all) or one of PyTorch's dispatch keys; a
    decorator without `func`. What it computes is recorded, unless the operator has a gradient of its own."""
    if isinstance(qualname, Library):  # the older form: impl(library, "name", "CPU")
        key = func if isinstance(func, str) else ""
        return lambda function: qualname.impl(types, function, key)

    def enter(function: Callable[..., Any]) -> Callable[..., Any]:
        for key in _devices(types):
            find(qualname).add_kernel(key, function)
        return function

    return enter if func is None else enter(func)


def _name_of(op: Any) -> str:
    if isinstance(op, CustomOpDef):
        return op._qualname
    if isinstance(op, str):
        return op
    named = getattr(op, "_qualified_op_name", None) or getattr(getattr(op, "_packet", None), "_qualified_op_name", None)
    if named is None:
        raise ValueError(f"library: expected the name of an operator, what custom_op gave, or norch.ops.x.y, got {type(op).__name__}")
    return str(named)


def register_kernel(op: Any, device_types: Any, func: Callable[..., Any] | None = None, /, *, lib: Any = None) -> Any:
    """A kernel of an operator for device types; a decorator without `func`."""
    return impl(_name_of(op), device_types, func)


def register_fake(op: Any, func: Callable[..., Any] | None = None, /, *, lib: Any = None, **options: Any) -> Any:
    """What gives the shapes and dtypes of an operator's results; a decorator without `func`. It is kept; norch runs the
    kernels, always."""

    def enter(function: Callable[..., Any]) -> Callable[..., Any]:
        find(_name_of(op)).fake = function
        return function

    return enter if func is None else enter(func)


impl_abstract = register_fake


def register_autograd(
    op: Any, backward: Callable[..., Any], /, *, setup_context: Callable[..., Any] | None = None, lib: Any = None
) -> None:
    """The gradient of an operator: `backward(ctx, *grads)` gives one for each argument (a list for a list of tensors),
    `setup_context(ctx, inputs, output)` saves what it needs. RuntimeError for operators that write to arguments."""
    operator = find(_name_of(op))
    if operator.schema.is_mutable:
        raise RuntimeError(
            f"Cannot register autograd formula for non-functional operator {operator.qualname} with schema {operator.schema}."
        )
    operator.backward, operator.setup_context = backward, setup_context


class Library:
    """Operators of one namespace: `Library("mylib", "DEF")` makes some, "FRAGMENT" adds to one, "IMPL" kernels only."""

    def __init__(self, ns: str, kind: str, dispatch_key: str = "") -> None:
        if kind not in ("DEF", "FRAGMENT", "IMPL"):
            raise ValueError(f"Unsupported library kind: {kind}")
        self.ns, self.kind, self.dispatch_key = ns, kind, dispatch_key
        self._made: list[str] = []

    def __repr__(self) -> str:
        return f"Library(kind={self.kind}, ns={self.ns}, dispatch_key={self.dispatch_key})"

    def define(self, schema: str, alias_analysis: str = "", *, tags: Any = ()) -> str:
        """Enters an operator, `define("twice(Tensor x) -> Tensor")`, and returns its name."""
        operator = _enter(Schema(schema, self.ns))
        self._made.append(operator.qualname)
        return operator.schema.name

    def impl(self, op_name: Any, fn: Callable[..., Any], dispatch_key: str = "", *, with_keyset: bool = False) -> Any:
        """A kernel of an operator for one of PyTorch's dispatch keys ("CPU", "CUDA", "CompositeImplicitAutograd", ...)."""
        name = _name_of(op_name) if not isinstance(op_name, str) else op_name
        find(name if "::" in name else f"{self.ns}::{name}").add_kernel(dispatch_key or self.dispatch_key or None, fn)
        return fn

    def _destroy(self) -> None:
        for name in self._made:
            registered.pop(name, None)
            vars(getattr(norch.ops, self.ns)).pop(name.partition("::")[2], None)
