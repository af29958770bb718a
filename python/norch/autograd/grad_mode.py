"""Switches for recording: no_grad, enable_grad, set_grad_enabled, inference_mode.

Each is a context manager and a decorator."""

from __future__ import annotations

import functools
import inspect
from typing import Any, Callable

from norch import _C

is_grad_enabled = _C.is_grad_enabled
is_inference_mode_enabled = _C.is_inference_mode_enabled
_set_grad = _C._autograd.set_grad_enabled
_set_inference = _C._autograd.set_inference_mode


class _Mode:
    """A context manager that can decorate functions and generators."""

    def __enter__(self) -> None:
        raise TypeError("a mode without __enter__")

    def __exit__(self, *exc: Any) -> None:
        raise TypeError("a mode without __exit__")

    def clone(self) -> "_Mode":
        """A fresh manager of the same mode: one object may be entered many times at once."""
        return type(self)()

    def __call__(self, function: Callable) -> Callable:
        if inspect.isclass(function):
            raise TypeError("norch's grad modes decorate functions, not classes")
        if inspect.isgeneratorfunction(function):
            return self._wrap_generator(function)

        @functools.wraps(function)
        def wrapped(*args: Any, **kwargs: Any) -> Any:
            with self.clone():
                return function(*args, **kwargs)

        return wrapped

    def _wrap_generator(self, function: Callable) -> Callable:
        # The mode holds while the generator runs, not while its consumer does.
        @functools.wraps(function)
        def wrapped(*args: Any, **kwargs: Any):
            generator = function(*args, **kwargs)
            sent = None
            try:
                while True:
                    with self.clone():
                        try:
                            item = generator.send(sent)
                        except StopIteration as stop:
                            return stop.value
                    sent = yield item
            finally:
                with self.clone():
                    generator.close()

        return wrapped


class no_grad(_Mode):
    """Nothing is recorded inside."""

    def __new__(cls, function: Callable | None = None):
        self = super().__new__(cls)
        return self if function is None else self(function)

    def __init__(self, function: Callable | None = None) -> None:
        pass

    def __enter__(self) -> None:
        self._previous = is_grad_enabled()
        _set_grad(False)

    def __exit__(self, *exc: Any) -> None:
        _set_grad(self._previous)


class enable_grad(no_grad):
    """Recording is on inside, also within no_grad."""

    def __enter__(self) -> None:
        self._previous = is_grad_enabled()
        _set_grad(True)


class set_grad_enabled(_Mode):
    """Switches recording at once; as a context manager, until the end of the block."""

    def __init__(self, mode: bool) -> None:
        self._previous = is_grad_enabled()
        self.mode = mode
        _set_grad(mode)

    def clone(self) -> "set_grad_enabled":
        return set_grad_enabled(self.mode)

    def __call__(self, function: Callable) -> Callable:
        _set_grad(self._previous)
        return super().__call__(function)

    def __enter__(self) -> None:
        _set_grad(self.mode)

    def __exit__(self, *exc: Any) -> None:
        _set_grad(self._previous)


class set_multithreading_enabled(_Mode):
    """Accepted, as a function and as a context manager: a backward pass runs on the thread that asks for it."""

    def __init__(self, mode: bool) -> None:
        self.mode = mode

    def clone(self) -> "set_multithreading_enabled":
        return set_multithreading_enabled(self.mode)

    def __enter__(self) -> None:
        pass

    def __exit__(self, *exc: Any) -> None:
        pass


class inference_mode(_Mode):
    """As no_grad; tensors made inside may never be saved for backward."""

    def __new__(cls, mode: bool | Callable = True):
        self = super().__new__(cls)
        if callable(mode):
            self.mode = True
            return self(mode)
        return self

    def __init__(self, mode: bool = True) -> None:
        self.mode = mode

    def clone(self) -> "inference_mode":
        return inference_mode(self.mode)

    def __enter__(self) -> None:
        self._previous = is_inference_mode_enabled(), is_grad_enabled()
        _set_inference(self.mode)
        _set_grad(not self.mode and self._previous[1])

    def __exit__(self, *exc: Any) -> None:
        _set_inference(self._previous[0])
        _set_grad(self._previous[1])
