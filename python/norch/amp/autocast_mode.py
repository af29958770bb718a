"""`autocast` and the functions that read and set its state."""

from __future__ import annotations

import collections.abc
import functools
import warnings
from typing import Any, Callable

from norch._C import Tensor, _autocast, bfloat16, dtype, float16, float64

__all__ = ["autocast", "autocast_decorator", "custom_bwd", "custom_fwd", "is_autocast_available"]


def is_autocast_available(device_type: str) -> bool:
    """Whether there is autocasting for a device type: 'cpu' and 'cuda'."""
    return device_type in ("cpu", "cuda")


# -- the state of this thread ---------------------------------------------------------------------


def is_autocast_enabled(device_type: str = "cuda") -> bool:
    """Whether operations on a device are cast in this thread."""
    return _autocast.is_enabled(device_type)


def set_autocast_enabled(device_type: Any, enabled: bool | None = None) -> None:
    """Switches autocasting of a device ('cuda' if it is left out)."""
    if enabled is None:
        device_type, enabled = "cuda", device_type
    _autocast.set_enabled(device_type, enabled)


def get_autocast_dtype(device_type: str) -> dtype:
    """The dtype of operations that profit from a narrow one: float16 on CUDA, bfloat16 on the CPU, unless set."""
    return _autocast.get_dtype(device_type)


def set_autocast_dtype(device_type: str, dtype: dtype) -> None:
    """Sets that dtype."""
    _autocast.set_dtype(device_type, dtype)


def is_autocast_cache_enabled() -> bool:
    """Whether the cast of a weight is kept until the outermost `autocast` ends."""
    return _autocast.is_cache_enabled()


def set_autocast_cache_enabled(enabled: bool) -> None:
    """Switches that."""
    _autocast.set_cache_enabled(enabled)


def clear_autocast_cache() -> None:
    """Forgets the casts of weights."""
    _autocast.clear_cache()


def autocast_increment_nesting() -> int:
    """Counts an `autocast` that begins; returns how deep they are nested."""
    return _autocast.increment_nesting()


def autocast_decrement_nesting() -> int:
    """Counts an `autocast` that ends; returns how deep they are nested."""
    return _autocast.decrement_nesting()


def is_autocast_cpu_enabled() -> bool:
    """`is_autocast_enabled("cpu")`."""
    return _autocast.is_enabled("cpu")


def set_autocast_cpu_enabled(enabled: bool) -> None:
    """`set_autocast_enabled("cpu", enabled)`."""
    _autocast.set_enabled("cpu", enabled)


def get_autocast_gpu_dtype() -> dtype:
    """`get_autocast_dtype("cuda")`."""
    return _autocast.get_dtype("cuda")


def set_autocast_gpu_dtype(dtype: dtype) -> None:
    """`set_autocast_dtype("cuda", dtype)`."""
    _autocast.set_dtype("cuda", dtype)


def get_autocast_cpu_dtype() -> dtype:
    """`get_autocast_dtype("cpu")`."""
    return _autocast.get_dtype("cpu")


def set_autocast_cpu_dtype(dtype: dtype) -> None:
    """`set_autocast_dtype("cpu", dtype)`."""
    _autocast.set_dtype("cpu", dtype)


# -- autocast -------------------------------------------------------------------------------------


def autocast_decorator(autocast_instance: autocast, func: Callable) -> Callable:
    """`func` within the context manager."""

    @functools.wraps(func)
    def decorated(*args: Any, **kwargs: Any) -> Any:
        with autocast_instance:
            return func(*args, **kwargs)

    return decorated


class autocast:
    """Context manager or decorator: operations on a device of `device_type` take the dtypes that suit them. Products,
    convolutions and attention run in `dtype`, sums, exponentials, norms and losses in float32; the rest in the dtypes
    that they get. Use it around the forward pass and the loss; the backward pass takes the forward's dtypes.

    dtype: by default float16 for "cuda" and bfloat16 for "cpu". enabled=False: a part in full precision.
    cache_enabled: weights are cast once until the outermost context ends (default: as it is, True)."""

    def __init__(
        self,
        device_type: str,
        dtype: dtype | None = None,
        enabled: bool = True,
        cache_enabled: bool | None = None,
    ) -> None:
        if not isinstance(device_type, str):
            raise ValueError(f"Expected `device_type` of type `str`, got: `{type(device_type)}`")
        if not is_autocast_available(device_type):
            raise RuntimeError(f"User specified an unsupported autocast device_type '{device_type}'")
        self.device = device_type
        self.fast_dtype = get_autocast_dtype(device_type) if dtype is None else dtype
        self._cache_enabled = is_autocast_cache_enabled() if cache_enabled is None else cache_enabled
        if enabled and device_type == "cuda" and not _cuda_available():
            warnings.warn("CUDA is not available. Disabling autocast.", stacklevel=2)
            enabled = False
        if enabled and self.fast_dtype not in (bfloat16, float16):
            name = device_type.upper()
            warnings.warn(
                f"In {name} autocast, but the target dtype is not supported. Disabling autocast.\n"
                f"{name} Autocast only supports dtypes of norch.bfloat16, norch.float16 currently.",
                stacklevel=2,
            )
            enabled = False
        self._enabled = enabled

    def __enter__(self) -> autocast:
        self.prev_cache_enabled = is_autocast_cache_enabled()
        self.prev = is_autocast_enabled(self.device)
        self.prev_fastdtype = get_autocast_dtype(self.device)
        set_autocast_enabled(self.device, self._enabled)
        set_autocast_dtype(self.device, self.fast_dtype)
        autocast_increment_nesting()
        set_autocast_cache_enabled(self._cache_enabled)
        return self

    def __exit__(self, exc_type: Any, exc_val: Any, exc_tb: Any) -> None:
        if autocast_decrement_nesting() == 0:
            clear_autocast_cache()
        set_autocast_enabled(self.device, self.prev)
        set_autocast_dtype(self.device, self.prev_fastdtype)
        set_autocast_cache_enabled(self.prev_cache_enabled)

    def __call__(self, func: Callable) -> Callable:
        if not callable(func):
            raise TypeError(
                f"autocast()(func) requires a callable, but got {type(func).__name__}. Did you mean to use autocast as "
                "a context manager? For example:\n    with norch.autocast(device_type=...):\n        output = model(input)"
            )
        return autocast_decorator(self, func)


def _cuda_available() -> bool:
    import norch.cuda

    return norch.cuda.is_available()


# -- custom functions -----------------------------------------------------------------------------


def cast_tensors(value: Any, device_type: str, dtype: dtype) -> Any:
    """The floating-point tensors of a device in a value (or in containers) in `dtype`; float64 stays."""
    if isinstance(value, Tensor):
        eligible = value.is_floating_point() and value.device.type == device_type and value.dtype != float64
        return value.to(dtype) if eligible else value
    if isinstance(value, collections.abc.Mapping):
        return {cast_tensors(k, device_type, dtype): cast_tensors(v, device_type, dtype) for k, v in value.items()}
    if isinstance(value, (list, tuple)):
        return type(value)(cast_tensors(v, device_type, dtype) for v in value)
    return value


def custom_fwd(fwd: Callable | None = None, *, device_type: str, cast_inputs: dtype | None = None) -> Callable:
    """Decorator for `forward` of an `autograd.Function`: notes whether it ran under autocast, for `custom_bwd`.
    With `cast_inputs` floating-point inputs are cast to that dtype, and `forward` runs without autocast."""
    if not isinstance(device_type, str):
        raise ValueError(f"Expected `device_type` of type `str`, got: `{type(device_type)}`")
    if fwd is None:
        return functools.partial(custom_fwd, device_type=device_type, cast_inputs=cast_inputs)

    @functools.wraps(fwd)
    def decorated(*args: Any, **kwargs: Any) -> Any:
        ctx = args[0]
        ctx._dtype = get_autocast_dtype(device_type)
        enabled = is_autocast_enabled(device_type)
        ctx._fwd_used_autocast = enabled and cast_inputs is None
        if cast_inputs is None or not enabled:
            return fwd(*args, **kwargs)
        with autocast(device_type=device_type, enabled=False):
            return fwd(*cast_tensors(args, device_type, cast_inputs), **cast_tensors(kwargs, device_type, cast_inputs))

    return decorated


def custom_bwd(bwd: Callable | None = None, *, device_type: str) -> Callable:
    """Decorator for `backward` of an `autograd.Function`: it runs with the autocast state of `forward`."""
    if not isinstance(device_type, str):
        raise ValueError(f"Expected `device_type` of type `str`, got: `{type(device_type)}`")
    if bwd is None:
        return functools.partial(custom_bwd, device_type=device_type)

    @functools.wraps(bwd)
    def decorated(*args: Any, **kwargs: Any) -> Any:
        ctx = args[0]
        with autocast(device_type=device_type, enabled=ctx._fwd_used_autocast, dtype=ctx._dtype):
            return bwd(*args, **kwargs)

    return decorated
