"""torch.cuda.profiler: when NVIDIA's profiler is to record. Accepted on GPUs, without effect: start the tool with a range
of its own (`nsys profile --duration`), or use norch.profiler. Without CUDA these raise AssertionError, as PyTorch's do."""

from __future__ import annotations

import contextlib
from typing import Iterator

import norch

__all__ = ["profile", "start", "stop"]


def start() -> None:
    """From here on the profiler is to record."""
    if not norch.cuda.is_available():
        raise AssertionError("Torch not compiled with CUDA enabled: norch finds no CUDA GPU")


def stop() -> None:
    """The profiler is to record no more."""
    start()


@contextlib.contextmanager
def profile() -> Iterator[None]:
    """start() and stop() around the code in the context."""
    start()
    try:
        yield
    finally:
        stop()


class _Runtime:
    """What cuda.cudart() gives: the functions of CUDA's runtime that programs call by it."""

    def cudaProfilerStart(self) -> int:
        """As cuda.profiler.start; 0 is success."""
        start()
        return 0

    def cudaProfilerStop(self) -> int:
        """As cuda.profiler.stop; 0 is success."""
        stop()
        return 0

    def cudaMemGetInfo(self, device: int) -> tuple[int, int]:
        """(free, total) bytes of a GPU."""
        return norch.cuda.mem_get_info(device)
