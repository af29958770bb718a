"""What programs reach for in torch._C, PyTorch's own C++ module: switches of its script compiler, which are kept, return
what PyTorch's return, and have no effect, and a few functions that norch has elsewhere."""

from __future__ import annotations

from typing import Any, Callable

import norch

__all__ = ["names"]

_switches: dict[str, Any] = {
    "_jit_set_profiling_executor": True,
    "_jit_set_profiling_mode": True,
    "_jit_set_autocast_mode": True,
    "_jit_set_bailout_depth": 20,
}
_SET_ONLY = (
    "_jit_override_can_fuse_on_cpu",
    "_jit_override_can_fuse_on_gpu",
    "_jit_set_nvfuser_enabled",
    "_jit_set_nvfuser_guard_mode",
    "_jit_set_texpr_fuser_enabled",
    "_log_api_usage_once",
    "_set_graph_executor_optimize",
)


def _switch(name: str) -> Callable[[Any], Any]:
    def set_and_get_old(value: Any) -> Any:
        old, _switches[name] = _switches[name], value
        return old

    set_and_get_old.__name__ = name
    return set_and_get_old


def _accept(name: str) -> Callable[..., None]:
    def accepted(*_: Any) -> None:
        return None

    accepted.__name__ = name
    return accepted


def _false() -> bool:
    return False


def _parse_to(*args: Any, **kwargs: Any) -> tuple:
    """(device, dtype, non_blocking, memory_format) of the arguments of Tensor.to; None for what they do not name."""
    device, dtype = kwargs.get("device"), kwargs.get("dtype")
    rest = list(args)
    if rest and isinstance(rest[0], norch.Tensor):
        device, dtype = rest[0].device, rest[0].dtype
        rest.pop(0)
    elif rest and isinstance(rest[0], norch.dtype):
        dtype = rest.pop(0)
    elif rest:
        first = rest.pop(0)
        device = first if first is not None else device
        if rest and (rest[0] is None or isinstance(rest[0], norch.dtype)):
            second = rest.pop(0)
            dtype = second if second is not None else dtype
    non_blocking = bool(rest[0]) if rest else bool(kwargs.get("non_blocking", False))
    return (norch.device(device) if device is not None else None, dtype, non_blocking, kwargs.get("memory_format"))


def names() -> dict[str, Any]:
    """The names and what they are."""
    found: dict[str, Any] = {name: _switch(name) for name in _switches}
    found.update({name: _accept(name) for name in _SET_ONLY})
    found["_jit_can_fuse_on_cpu"] = found["_jit_can_fuse_on_gpu"] = _false
    found["_get_tracing_state"] = _accept("_get_tracing_state")
    found["_LinAlgError"] = norch.linalg.LinAlgError
    found["Future"] = norch.futures.Future
    found["_GLIBCXX_USE_CXX11_ABI"] = True
    return found
