"""torch.cuda.nvtx: marks for NVIDIA's profiler. norch's own profiler (norch.profiler.record_function) is what shows ranges;
here they are accepted and mark nothing. Without CUDA they raise RuntimeError, as PyTorch's do."""

from __future__ import annotations

import contextlib
import threading
from typing import Any, Iterator

import norch

__all__ = ["mark", "range", "range_end", "range_pop", "range_push", "range_start"]

_depth = threading.local()


def _need_cuda() -> None:
    if not norch.cuda.is_available():
        raise RuntimeError("NVTX functions not installed. Are you sure you have a CUDA build?")


def range_push(msg: str) -> int:
    """Begins a range within those of this thread; returns how many there were."""
    _need_cuda()
    _depth.value = getattr(_depth, "value", 0) + 1
    return _depth.value - 1


def range_pop() -> int:
    """Ends the innermost range; returns how many are left, or -2 where there was none."""
    _need_cuda()
    if getattr(_depth, "value", 0) == 0:
        return -2
    _depth.value -= 1
    return _depth.value


def range_start(msg: str) -> int:
    """Begins a range that any thread may end; returns its number, which is 0."""
    _need_cuda()
    return 0


def range_end(range_id: int) -> None:
    """Ends a range of range_start."""
    _need_cuda()


def mark(msg: str) -> None:
    """Marks a moment."""
    _need_cuda()


@contextlib.contextmanager
def range(msg: str, *args: Any, **kwargs: Any) -> Iterator[None]:
    """A range around the code in the context; `msg` is formatted with the other arguments."""
    range_push(msg.format(*args, **kwargs))
    try:
        yield
    finally:
        range_pop()
