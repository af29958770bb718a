"""torch.jit, as far as it can be true of a framework that runs operations as they are called.

`script` and `trace` return what they are given, which runs as it is, and the decorators mark nothing. There is no
TorchScript: `save` and `load` raise NotImplementedError."""

from __future__ import annotations

import contextlib
from collections import namedtuple
from typing import Any, Callable, Final, Iterator, NoReturn

from norch.futures import Future as Future
from norch.nn import Module

__all__ = [
    "Attribute",
    "Final",
    "ScriptModule",
    "TracerWarning",
    "annotate",
    "export",
    "fork",
    "freeze",
    "fuser",
    "ignore",
    "is_scripting",
    "is_tracing",
    "isinstance",
    "load",
    "onednn_fusion_enabled",
    "optimize_for_inference",
    "optimized_execution",
    "save",
    "script",
    "script_if_tracing",
    "script_method",
    "set_fusion_strategy",
    "trace",
    "trace_module",
    "unused",
    "wait",
]

_isinstance = isinstance

Attribute = namedtuple("Attribute", ["value", "type"])


class ScriptModule(Module):
    """A module: old programs inherit from it and mark methods with `script_method`. What `script` and `trace` return is
    none, but the module they were given."""


class Error(Exception):
    """What scripts of TorchScript raise. Nothing here raises it, since there are no scripts."""


class TracerWarning(Warning):
    """Never given; programs name it to silence it."""


def fork(func: Callable[..., Any], *args: Any, **kwargs: Any) -> Future:
    """A future of func(*args, **kwargs), which runs at once, as in PyTorch outside of TorchScript.

        >>> norch.jit.wait(norch.jit.fork(norch.neg, norch.ones(1)))
        tensor([-1.])"""
    future: Future = Future()
    future.set_result(func(*args, **kwargs))
    return future


def wait(future: Future) -> Any:
    """The result of a future of fork."""
    return future.wait()


def script(obj: Any, optimize: Any = None, _frames_up: int = 0, _rcb: Any = None, example_inputs: Any = None) -> Any:
    """Returns `obj`, a function, a module or a class, itself."""
    return obj


def trace(func: Any, example_inputs: Any = None, **_: Any) -> Any:
    """Returns `func`, a function or a module, itself: also what depends on values goes on depending on them."""
    return func


def trace_module(mod: Any, inputs: Any, **_: Any) -> Any:
    """Returns the module itself."""
    return mod


def script_method(fn: Any) -> Any:
    """Returns the method itself."""
    return fn


def script_if_tracing(fn: Any) -> Any:
    """Returns the function itself."""
    return fn


def export(fn: Any) -> Any:
    """Returns the method itself."""
    return fn


def unused(fn: Any) -> Any:
    """Returns the method itself."""
    return fn


def ignore(drop: Any = False, **_: Any) -> Any:
    """Returns the function itself; also a decorator with arguments."""
    return drop if callable(drop) else (lambda fn: fn)


def _overload(fn: Any) -> Any:
    return fn


_overload_method = interface = _overload


def freeze(mod: Any, preserved_attrs: Any = None, optimize_numerics: bool = True) -> Any:
    """Returns the module itself. Raises RuntimeError for a module in training mode, as PyTorch does."""
    if mod.training:
        raise RuntimeError(
            "Freezing is currently only implemented for modules in eval mode. Please call .eval() on your module before "
            "freezing."
        )
    return mod


def optimize_for_inference(mod: Any, other_methods: Any = None) -> Any:
    """Returns the module itself."""
    return mod


def is_scripting() -> bool:
    """False."""
    return False


def is_tracing() -> bool:
    """False."""
    return False


def annotate(the_type: Any, the_value: Any) -> Any:
    """Returns the value."""
    return the_value


def isinstance(obj: Any, target_type: Any) -> bool:
    """Whether `obj` is of the type; of a container type such as list[int] its elements are looked at too."""
    origin: Any = getattr(target_type, "__origin__", None)
    args: tuple[Any, ...] = getattr(target_type, "__args__", ())
    if origin is None:
        return _isinstance(obj, target_type)
    if not _isinstance(origin, type):  # Union, Optional
        return any(_isinstance(obj, a) if _isinstance(a, type) else isinstance(obj, a) for a in args)
    if not _isinstance(obj, origin):
        return False
    if origin is dict:
        return all(isinstance(k, args[0]) and isinstance(v, args[1]) for k, v in obj.items())
    if origin is tuple and Ellipsis not in args:
        return len(obj) == len(args) and all(map(isinstance, obj, args))
    return all(isinstance(v, args[0]) for v in obj)


def _nothing_to_set(*_: Any, **__: Any) -> None:
    """Accepted: there is no compiler to set up."""


set_fusion_strategy = _nothing_to_set


def onednn_fusion_enabled() -> bool:
    """False."""
    return False


@contextlib.contextmanager
def fuser(name: str) -> Iterator[None]:
    """Accepted; nothing changes inside."""
    yield


@contextlib.contextmanager
def optimized_execution(should_optimize: bool) -> Iterator[None]:
    """Accepted; nothing changes inside."""
    yield


def _no_torchscript(what: str) -> Callable[..., NoReturn]:
    def refuse(*_: Any, **__: Any) -> NoReturn:
        raise NotImplementedError(
            f"jit.{what}: norch has no TorchScript files, since it runs operations as they are called; use norch.save and "
            "norch.load with the model's state_dict()"
        )

    refuse.__name__ = refuse.__qualname__ = what
    refuse.__doc__ = "Raises NotImplementedError: norch has no TorchScript files."
    return refuse


save = _no_torchscript("save")
load = _no_torchscript("load")
