"""CUDA GPUs: which there are, which is current, their memory, streams and events.

Work on a GPU is asynchronous: an operation returns when its kernels are queued on the current stream. Reading a value
(`item`, `tolist`, `cpu`) and the functions named `synchronize` wait for it.
"""

from __future__ import annotations

from types import TracebackType
from typing import Any

from norch import _C
from norch._C import OutOfMemoryError
from norch._C._cuda import (
    CUDAGraph,
    Event,
    ExternalStream,
    GraphPool,
    Stream,
    current_device,
    current_stream,
    default_stream,
    device_count,
    graph_pool_handle,
    is_available,
    is_current_stream_capturing,
    set_device,
    set_stream,
    synchronize,
    why_unavailable,
)

from . import memory as memory
from . import random as random
from .graphs import graph
from .memory import *  # noqa: F403
from .random import *  # noqa: F403

__all__ = [
    "CUDAGraph",
    "Event",
    "ExternalStream",
    "GraphPool",
    "OutOfMemoryError",
    "Stream",
    "StreamContext",
    "current_device",
    "current_stream",
    "default_stream",
    "device",
    "device_count",
    "device_of",
    "get_device_capability",
    "get_device_name",
    "get_device_properties",
    "graph",
    "graph_pool_handle",
    "init",
    "ipc_collect",
    "is_available",
    "is_bf16_supported",
    "is_current_stream_capturing",
    "is_initialized",
    "is_tf32_supported",
    "set_device",
    "set_stream",
    "stream",
    "synchronize",
    "why_unavailable",
]
__all__ += memory.__all__
__all__ += random.__all__


def init() -> None:
    """Raises RuntimeError where there is no usable GPU. CUDA starts by itself when first used."""
    current_device()


def is_initialized() -> bool:
    """Whether CUDA can be used: norch starts it when first asked for a GPU."""
    return is_available()


def get_device_properties(device: Any = None) -> Any:
    """What a GPU is: name, major, minor, total_memory, multi_processor_count, L2_cache_size, ..."""
    return _C._cuda._properties(device)


def get_device_name(device: Any = None) -> str:
    """The name of a GPU, such as 'NVIDIA H100 80GB HBM3'."""
    return str(get_device_properties(device).name)


def get_device_capability(device: Any = None) -> tuple[int, int]:
    """The compute capability of a GPU, such as (9, 0)."""
    properties = get_device_properties(device)
    return properties.major, properties.minor


def is_bf16_supported(including_emulation: bool = True) -> bool:
    """Whether the current GPU computes in bfloat16 (in its own units, unless including_emulation)."""
    return is_available() and (including_emulation or get_device_capability()[0] >= 8)


def is_tf32_supported() -> bool:
    """Whether the current GPU can compute in TF32, where backends.cuda.matmul.allow_tf32 or cudnn.allow_tf32 lets it."""
    return is_available() and get_device_capability()[0] >= 8


def ipc_collect() -> None:
    """Does nothing: norch shares no GPU memory between processes."""


class device:
    """`with norch.cuda.device(1):` makes a GPU current; None or a negative index leaves it as it is."""

    def __init__(self, device: Any) -> None:
        index = getattr(device, "index", device) if not isinstance(device, str) else _C.device(device).index
        self.idx = -1 if index is None else int(index)
        self.prev_idx = -1

    def __enter__(self) -> None:
        if self.idx >= 0:
            self.prev_idx = current_device()
            set_device(self.idx)

    def __exit__(
        self, kind: type[BaseException] | None, value: BaseException | None, traceback: TracebackType | None
    ) -> None:
        if self.idx >= 0:
            set_device(self.prev_idx)


class device_of(device):
    """`with norch.cuda.device_of(t):` makes the GPU of a tensor current; a tensor on the CPU changes nothing."""

    def __init__(self, obj: Any) -> None:
        super().__init__(obj.device.index if obj.is_cuda else -1)


class StreamContext:
    """`with norch.cuda.stream(s):` makes a stream, and its device, current. None changes nothing."""

    def __init__(self, stream: Stream | None) -> None:
        self.stream = stream
        self._before: list[tuple[int, Stream]] = []

    def __enter__(self) -> None:
        if self.stream is None:
            return
        self._before.append((current_device(), current_stream(self.stream.device_index)))
        set_device(self.stream.device_index)
        set_stream(self.stream)

    def __exit__(
        self, kind: type[BaseException] | None, value: BaseException | None, traceback: TracebackType | None
    ) -> None:
        if self.stream is None:
            return
        index, before = self._before.pop()
        set_stream(before)
        set_device(index)


def stream(stream: Stream | None) -> StreamContext:
    """A context manager that makes `stream` current."""
    return StreamContext(stream)


def cudart() -> Any:
    """CUDA's runtime, with cudaProfilerStart, cudaProfilerStop and cudaMemGetInfo. AssertionError without a CUDA GPU."""
    from norch.cuda.profiler import _Runtime

    if not is_available():
        raise AssertionError("Torch not compiled with CUDA enabled: norch finds no CUDA GPU")
    return _Runtime()


def __getattr__(name: str) -> Any:
    from norch._legacy import CUDA_TYPES

    if name in CUDA_TYPES:  # FloatTensor, LongTensor, ...
        return CUDA_TYPES[name]
    if name == "_initialized":
        return is_initialized()
    if name in ("amp", "comm", "nvtx", "profiler"):
        import importlib

        return importlib.import_module("norch.cuda." + name)
    raise AttributeError(f"module 'norch.cuda' has no attribute '{name}'")
