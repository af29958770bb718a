"""Where a program spends its time: what `norch.profiler` is made of, with PyTorch's older interface.

Recorded are the operations that Python calls, the nodes of backward passes, the steps of optimizers, the ranges of
`record_function`, memory, and what runs on GPUs. While nothing profiles, this costs a call of an operation nothing."""

from __future__ import annotations

import functools
import warnings
from types import TracebackType
from typing import Any, Callable

from norch._C import _profiler
from norch.autograd.profiler_util import (
    DeviceType,
    EventList,
    FunctionEvent,
    FunctionEventAvg,
    Kernel,
)

__all__ = ["EventList", "FunctionEvent", "FunctionEventAvg", "kineto_available", "profile", "record_function"]

_OP, _BACKWARD, _RANGE = 0, 1, 2
# Nodes that PyTorch's profiler knows by their C++ names.
_NODES = {"AccumulateGrad": "torch::autograd::AccumulateGrad", "CopySlices": "torch::autograd::CopySlices"}


def kineto_available() -> bool:
    """True: all of norch.profiler works in every build."""
    return True


class record_function:
    """Marks a block, or the runs of a function that it decorates, in profiles.

        >>> with norch.profiler.profile() as prof:
        ...     with norch.profiler.record_function("forward"):
        ...         y = norch.ones(3) * 2
        >>> [e.name for e in prof.events()]
        ['forward', 'aten::ones', 'aten::mul']"""

    def __init__(self, name: str, args: str | None = None) -> None:
        if not isinstance(name, str):
            raise TypeError(f"record_function: the name must be a str, got {type(name).__name__}")
        self.name = name
        self.args = args
        self._running: Any = None

    def __enter__(self) -> record_function:
        self._running = _profiler.enter(self.name)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._running is not None:
            _profiler.leave(self._running)
            self._running = None

    def __call__(self, function: Callable) -> Callable:
        @functools.wraps(function)
        def marked(*args: Any, **kwargs: Any) -> Any:
            with record_function(self.name, self.args):
                return function(*args, **kwargs)

        return marked


class _Result:
    """What was recorded, as events."""

    def __init__(self, raw: tuple, use_device: str | None, profile_memory: bool) -> None:
        self.start_ns, self.end_ns, events, allocations, device_events, self.no_device_events = raw
        self.launches: list[tuple[int, int]] = []
        kept = self._host_events(events)
        self._memory(events, allocations, kept)
        self._device_events(device_events, kept)
        self.events = EventList(kept, use_device=use_device, profile_memory=profile_memory)

    def _us(self, ns: int) -> float:
        return (ns - self.start_ns) / 1000

    def _host_events(self, raw: list[tuple]) -> list[FunctionEvent]:
        only_child = [0] * len(raw)
        for e in raw:
            if e[5] >= 0:
                only_child[e[5]] += 1
        kept: list[FunctionEvent] = []
        self._place: list[int] = []  # in `kept`, of each recorded event
        forward_threads: dict[int, int] = {}
        for name, kind, start, end, thread, parent, sequence, cpu, cuda, shapes, dtypes, grads, outputs, stack in raw:
            above = kept[self._place[parent]] if parent >= 0 else None
            if above is not None and above.name == name and kind == _OP and only_child[parent] == 1:
                # A call with out= and the call that it makes, say: one operation.
                self._place.append(self._place[parent])
                above.self_cpu_memory_usage += cpu
                above.self_device_memory_usage += cuda
                continue
            event = FunctionEvent(
                id=len(kept) + 1,
                name=_NODES.get(name, name) if kind == _BACKWARD else name,
                thread=thread,
                start_us=self._us(start),
                end_us=self._us(end),
                input_shapes=shapes,
                input_dtypes=dtypes,
                input_requires_grad=grads,
                output_shapes=outputs,
                stack=stack.split("\n") if stack else [],
                sequence_nr=sequence,
                is_user_annotation=kind == _RANGE,
                is_backward=kind == _BACKWARD,
                self_cpu_memory_usage=cpu,
                self_device_memory_usage=cuda,
            )
            if kind == _OP and sequence >= 0:
                forward_threads[sequence] = thread
            if above is not None:
                event.cpu_parent = above
                above.cpu_children.append(event)
            self._place.append(len(kept))
            kept.append(event)
        for event in kept:
            if event.is_backward:
                event.fwd_thread = forward_threads.get(event.sequence_nr)
        return kept

    def _memory(self, raw: list[tuple], allocations: list[tuple], kept: list[FunctionEvent]) -> None:
        self.allocations = []
        outside: dict[str, tuple[int, int]] = {}  # what no event did
        for time, nbytes, device, event in allocations:
            thread = raw[event][4] if event >= 0 else 0
            self.allocations.append((self._us(time), nbytes, device, thread))
            if event < 0:
                cpu, cuda = outside.get("[memory]", (0, 0))
                outside["[memory]"] = (cpu + nbytes, cuda) if device < 0 else (cpu, cuda + nbytes)
        for name, (cpu, cuda) in outside.items():
            kept.append(
                FunctionEvent(id=len(kept) + 1, name=name, thread=0, start_us=0.0, end_us=0.0, self_cpu_memory_usage=cpu,
                              self_device_memory_usage=cuda)  # fmt: skip
            )

    def _device_events(self, raw: list[tuple], kept: list[FunctionEvent]) -> None:
        for name, _, start, end, device, stream, event in raw:
            run = FunctionEvent(
                id=len(kept) + 1,
                name=name,
                thread=stream,
                start_us=self._us(start),
                end_us=self._us(end),
                device_type=DeviceType.CUDA,
                device_index=device,
            )
            if event >= 0:
                place = self._place[event]
                kept[place].kernels.append(Kernel(name, device, run.time_range.elapsed_us()))
                self.launches.append((place, len(kept)))
            kept.append(run)


class profile:
    """profile(enabled=True, *, use_cuda=False, use_device=None, record_shapes=False, with_flops=False,
    profile_memory=False, with_stack=False, with_modules=False, use_kineto=False, use_cpu=True, ...)

    Records what runs in the block, on all threads. `use_device="cuda"`: also on GPUs. After the block it is a list of
    events (`function_events`) with the methods of EventList. RuntimeError where something profiles already. with_flops
    has no effect (norch.utils.flop_counter counts them), nor have with_modules and use_kineto.

        >>> with norch.autograd.profiler.profile() as prof:
        ...     y = norch.ones(3) * 2
        >>> prof.key_averages()[0].key
        'aten::ones'"""

    def __init__(
        self,
        enabled: bool = True,
        *,
        use_cuda: bool = False,
        use_device: str | None = None,
        record_shapes: bool = False,
        with_flops: bool = False,
        profile_memory: bool = False,
        with_stack: bool = False,
        with_modules: bool = False,
        use_kineto: bool = False,
        use_cpu: bool = True,
        experimental_config: Any = None,
        acc_events: bool = False,
        custom_trace_id_callback: Callable[[], str] | None = None,
        post_processing_timeout_s: float | None = None,
    ) -> None:
        self.enabled = enabled
        self.use_device = "cuda" if use_cuda else use_device
        if self.use_device == "cuda":
            from norch import cuda

            if not cuda.is_available():
                warnings.warn("CUDA is not available, disabling CUDA profiling", stacklevel=2)
                self.use_device = None
        elif self.use_device is not None:
            warnings.warn(f"{self.use_device} is not available, disabling its profiling", stacklevel=2)
            self.use_device = None
        if with_flops:
            warnings.warn("profile: with_flops has no effect; norch.utils.flop_counter counts FLOPs", stacklevel=2)
        self.use_cpu = use_cpu
        self.record_shapes = record_shapes
        self.profile_memory = profile_memory
        self.with_stack = with_stack
        self.with_flops = with_flops
        self.with_modules = with_modules
        self.entered = False
        self._metadata: dict[str, Any] = {}
        self._result: _Result | None = None

    def __enter__(self) -> profile | None:  # type: ignore[misc]
        if not self.enabled:
            return None
        if self.entered:
            raise RuntimeError("Profiler context manager is not reentrant")
        self.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self.enabled:
            self.stop()

    def start(self) -> None:
        """Starts to record, as entering the block does."""
        _profiler.start(self.record_shapes, self.profile_memory, self.with_stack, self.use_device == "cuda")
        self.entered = True

    def stop(self) -> None:
        """Ends it."""
        raw = _profiler.stop()
        self._result = _Result(raw, self.use_device, self.profile_memory)
        self._result.events._trace = self._write_trace
        if self.use_device is not None and self._result.no_device_events:
            warnings.warn(f"the profile has no times of kernels: {self._result.no_device_events}", stacklevel=3)

    def _finished(self) -> _Result:
        if self._result is None:
            raise RuntimeError("Profiler didn't finish running")
        return self._result

    def _write_trace(self, path: str) -> None:
        from norch.autograd._profiler_trace import write_trace

        result = self._finished()
        write_trace(
            path,
            result.events,
            result.launches,
            result.allocations,
            result.start_ns / 1000,
            self._metadata,
            self.profile_memory,
            self.record_shapes,
        )

    @property
    def function_events(self) -> EventList:
        """The events."""
        return self._finished().events

    def __repr__(self) -> str:
        return repr(self.function_events) if self._result is not None else "<unfinished norch.autograd.profile>"

    def __str__(self) -> str:
        return str(self.function_events) if self._result is not None else "<unfinished norch.autograd.profile>"

    def table(self, *args: Any, **kwargs: Any) -> str:
        """See EventList.table."""
        return self.function_events.table(*args, **kwargs)

    def key_averages(
        self, group_by_input_shape: bool = False, group_by_stack_n: int = 0, group_by_overload_name: bool = False
    ) -> EventList:
        """See EventList.key_averages."""
        return self.function_events.key_averages(group_by_input_shape, group_by_stack_n, group_by_overload_name)

    def total_average(self) -> FunctionEventAvg:
        """The sum of all events."""
        return self.function_events.total_average()

    @property
    def self_cpu_time_total(self) -> float:
        """The time of all events together, in microseconds."""
        return self.function_events.self_cpu_time_total

    def export_chrome_trace(self, path: str) -> None:
        """See EventList.export_chrome_trace."""
        self._finished()
        self._write_trace(path)

    def export_stacks(self, path: str, metric: str = "self_cpu_time_total") -> None:
        """See EventList.export_stacks; needs with_stack=True."""
        if not self.with_stack:
            raise RuntimeError("export_stacks() requires with_stack=True")
        self.function_events.export_stacks(path, metric)
