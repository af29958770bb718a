"""CUDA graphs: work recorded once and repeated at the cost of one call."""

from __future__ import annotations

import gc
from types import TracebackType
from typing import Any

from norch._C._cuda import CUDAGraph, GraphPool, Stream, empty_cache, synchronize

__all__ = ["graph"]


class graph:
    """`with norch.cuda.graph(g):` records the work of the block in the CUDAGraph `g`; nothing of it runs.

        g = norch.cuda.CUDAGraph()
        s = norch.cuda.Stream()
        s.wait_stream(norch.cuda.current_stream())
        with norch.cuda.stream(s):
            train_step(x)              # first steps as always: state and libraries come into being
        norch.cuda.current_stream().wait_stream(s)
        with norch.cuda.graph(g):
            loss = train_step(x)
        for batch in batches:
            x.copy_(batch)             # a replay reads and writes the memory of the capture
            g.replay()

    Random numbers are new in each replay, as without a graph. Adam needs `capturable=True`, to count its steps on the
    GPU. What waits for the GPU or takes values from the CPU raises RuntimeError, and leaves `g` empty.

    pool: memory shared with other graphs (`other.pool()` or `graph_pool_handle()`), to be replayed in the order of
    their captures. stream: where to capture, by default a stream of its own. capture_error_mode: what CUDA forbids
    meanwhile: "global", "thread_local" or "relaxed"."""

    default_capture_stream: Stream | None = None

    def __init__(
        self,
        cuda_graph: CUDAGraph,
        pool: GraphPool | None = None,
        stream: Stream | None = None,
        capture_error_mode: str = "global",
    ) -> None:
        from . import StreamContext

        if stream is None:
            if graph.default_capture_stream is None:
                graph.default_capture_stream = Stream()
            stream = graph.default_capture_stream
        self.cuda_graph = cuda_graph
        self.capture_stream = stream
        self.pool = pool
        self.capture_error_mode = capture_error_mode
        self._stream_context: Any = StreamContext(stream)

    def __enter__(self) -> None:
        # Freed memory goes back first, so that the capture's own finds room; and no destructor runs within.
        synchronize()
        gc.collect()
        empty_cache()
        self._stream_context.__enter__()
        try:
            self.cuda_graph.capture_begin(self.pool, self.capture_error_mode)
        except BaseException:
            self._stream_context.__exit__(None, None, None)
            raise

    def __exit__(
        self, kind: type[BaseException] | None, value: BaseException | None, traceback: TracebackType | None
    ) -> None:
        try:
            if kind is None:
                self.cuda_graph.capture_end()
            else:
                self.cuda_graph.reset()  # ends the capture; the block's own error goes on
        finally:
            self._stream_context.__exit__(kind, value, traceback)
