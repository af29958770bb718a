"""What a profile holds: events, their sums by name, and lists of either that print as tables."""

from __future__ import annotations

import enum
import itertools
from collections import defaultdict
from typing import Any, Callable

__all__ = ["DeviceType", "EventList", "FunctionEvent", "FunctionEventAvg", "Interval", "Kernel"]


class DeviceType(enum.Enum):
    """Where an event ran."""

    CPU = 0
    CUDA = 1


class Interval:
    """A piece of time, in microseconds since the profile began."""

    def __init__(self, start: float, end: float) -> None:
        self.start = start
        self.end = end

    def elapsed_us(self) -> float:
        """Its length."""
        return self.end - self.start

    def __repr__(self) -> str:
        return f"Interval({self.start:.3f}, {self.end:.3f})"


class Kernel:
    """What an operation ran on a GPU: `name`, `device`, and `duration` in microseconds."""

    def __init__(self, name: str, device: int, duration: float) -> None:
        self.name = name
        self.device = device
        self.duration = duration


def format_time(us: float) -> str:
    """Microseconds with a unit that suits them."""
    if us >= 1e6:
        return f"{us / 1e6:.3f}s"
    if us >= 1e3:
        return f"{us / 1e3:.3f}ms"
    return f"{us:.3f}us"


def format_memory(nbytes: int) -> str:
    """Bytes with a unit that suits them."""
    for power, unit in ((30, "GB"), (20, "MB"), (10, "KB")):
        if abs(nbytes) >= 1 << power:
            return f"{nbytes / (1 << power):.2f} {unit}"
    return f"{nbytes} B"


class _Times:
    """What is derived alike for events and for sums. Times are microseconds."""

    count: int
    cpu_time_total: float
    self_cpu_time_total: float
    device_time_total: float
    self_device_time_total: float
    device_memory_usage: int
    self_device_memory_usage: int

    @property
    def cpu_time(self) -> float:
        """The time per call."""
        return self.cpu_time_total / self.count if self.count else 0.0

    @property
    def device_time(self) -> float:
        """The time on GPUs per call."""
        return self.device_time_total / self.count if self.count else 0.0

    # PyTorch's older names of the same.
    cuda_time = device_time
    cuda_time_total = property(lambda self: self.device_time_total)
    self_cuda_time_total = property(lambda self: self.self_device_time_total)
    cuda_memory_usage = property(lambda self: self.device_memory_usage)
    self_cuda_memory_usage = property(lambda self: self.self_device_memory_usage)

    cpu_time_str = property(lambda self: format_time(self.cpu_time))
    cpu_time_total_str = property(lambda self: format_time(self.cpu_time_total))
    self_cpu_time_total_str = property(lambda self: format_time(self.self_cpu_time_total))
    device_time_str = property(lambda self: format_time(self.device_time))
    device_time_total_str = property(lambda self: format_time(self.device_time_total))
    self_device_time_total_str = property(lambda self: format_time(self.self_device_time_total))


class FunctionEvent(_Times):
    """One range of a thread's time (an operation, a node of a backward pass, a range that the program marked), or one
    kernel on a GPU. Times are microseconds since the profile began, memory is in bytes."""

    count = 1
    is_async = False
    is_remote = False
    is_legacy = False
    node_id = -1
    flops = None
    scope = 0

    def __init__(
        self,
        id: int,
        name: str,
        thread: int,
        start_us: float,
        end_us: float,
        device_type: DeviceType = DeviceType.CPU,
        device_index: int = -1,
        input_shapes: list | None = None,
        input_dtypes: list | None = None,
        input_requires_grad: list | None = None,
        output_shapes: list | None = None,
        stack: list[str] | None = None,
        sequence_nr: int = -1,
        is_user_annotation: bool = False,
        is_backward: bool = False,
        self_cpu_memory_usage: int = 0,
        self_device_memory_usage: int = 0,
    ) -> None:
        self.id = id
        self.name = name
        self.thread = thread
        self.time_range = Interval(start_us, end_us)
        self.device_type = device_type
        self.device_index = device_index
        self.input_shapes = input_shapes or []
        self.input_dtypes = input_dtypes or []
        self.input_requires_grad = input_requires_grad or []
        self.output_shapes = output_shapes or []
        self.stack = stack or []
        self.sequence_nr = sequence_nr
        self.is_user_annotation = is_user_annotation
        self.is_backward = is_backward
        self.self_cpu_memory_usage = self_cpu_memory_usage
        self.self_device_memory_usage = self_device_memory_usage
        self.cpu_parent: FunctionEvent | None = None
        self.cpu_children: list[FunctionEvent] = []
        self.kernels: list[Kernel] = []
        self.fwd_thread: int | None = None

    @property
    def key(self) -> str:
        """The name that equal events are summed under."""
        return "ProfilerStep*" if self.name.startswith("ProfilerStep#") else self.name

    @property
    def _on_cpu(self) -> bool:
        return self.device_type is DeviceType.CPU

    @property
    def cpu_time_total(self) -> float:  # type: ignore[override]
        """From its start to its end."""
        return self.time_range.elapsed_us() if self._on_cpu else 0.0

    @property
    def self_cpu_time_total(self) -> float:  # type: ignore[override]
        """Without the events that it encloses."""
        return self.cpu_time_total - sum(c.cpu_time_total for c in self.cpu_children) if self._on_cpu else 0.0

    def _sum(self, of_one: Callable[[FunctionEvent], float]) -> float:
        total, rest = 0.0, [self]
        while rest:
            event = rest.pop()
            total += of_one(event)
            rest += event.cpu_children
        return total

    @property
    def device_time_total(self) -> float:  # type: ignore[override]
        """What it and the events that it encloses ran on GPUs; of a kernel, how long it ran."""
        if not self._on_cpu:
            return self.time_range.elapsed_us()
        return self._sum(lambda e: e.self_device_time_total)

    @property
    def self_device_time_total(self) -> float:  # type: ignore[override]
        """What it ran on GPUs itself."""
        return sum(k.duration for k in self.kernels) if self._on_cpu else self.time_range.elapsed_us()

    @property
    def cpu_memory_usage(self) -> int:
        """Bytes allocated less bytes freed on the CPU, the events that it encloses included."""
        return int(self._sum(lambda e: e.self_cpu_memory_usage))

    @property
    def device_memory_usage(self) -> int:  # type: ignore[override]
        """The same on GPUs."""
        return int(self._sum(lambda e: e.self_device_memory_usage))

    def __repr__(self) -> str:
        return (
            f"<FunctionEvent id={self.id} name={self.name} device_type={self.device_type} cpu_time={self.cpu_time_str} "
            f"start_us={self.time_range.start} end_us={self.time_range.end} "
            f"cpu_children={[c.id for c in self.cpu_children]} device_time={self.device_time_str} thread={self.thread} "
            f"input_shapes={self.input_shapes} cpu_memory_usage={self.cpu_memory_usage} seq_nr={self.sequence_nr}>"
        )


class FunctionEventAvg(_Times):
    """The sum of events with one `key` (and one `input_shapes`, or one `stack`, if grouped by those)."""

    flops = 0

    def __init__(self) -> None:
        self.key = ""
        self.count = 0
        self.node_id = 0
        self.is_async = False
        self.is_remote = False
        self.is_legacy = False
        self.is_user_annotation = False
        self.scope = 0
        self.cpu_time_total = 0.0
        self.self_cpu_time_total = 0.0
        self.device_time_total = 0.0
        self.self_device_time_total = 0.0
        self.cpu_memory_usage = 0
        self.self_cpu_memory_usage = 0
        self.device_memory_usage = 0
        self.self_device_memory_usage = 0
        self.input_shapes: Any = ""
        self.stack: list[str] = []
        self.device_type = DeviceType.CPU
        self.cpu_parent: FunctionEvent | None = None
        self.cpu_children: list[FunctionEvent] = []

    def add(self, other: Any) -> FunctionEventAvg:
        """Adds an event, or another sum."""
        if not self.key:
            self.key = other.key
            self.node_id = other.node_id
            self.device_type = other.device_type
            self.is_user_annotation = other.is_user_annotation
            self.cpu_parent = other.cpu_parent
            self.cpu_children = other.cpu_children
        self.cpu_time_total += other.cpu_time_total
        self.self_cpu_time_total += other.self_cpu_time_total
        self.device_time_total += other.device_time_total
        self.self_device_time_total += other.self_device_time_total
        self.cpu_memory_usage += other.cpu_memory_usage
        self.self_cpu_memory_usage += other.self_cpu_memory_usage
        self.device_memory_usage += other.device_memory_usage
        self.self_device_memory_usage += other.self_device_memory_usage
        self.count += other.count
        return self

    def __iadd__(self, other: Any) -> FunctionEventAvg:
        return self.add(other)

    def __repr__(self) -> str:
        return (
            f"<FunctionEventAvg key={self.key} self_cpu_time={self.self_cpu_time_total_str} cpu_time={self.cpu_time_str} "
            f" self_cuda_time={self.self_device_time_total_str} cuda_time={self.device_time_str} "
            f"input_shapes={self.input_shapes} cpu_memory_usage={self.cpu_memory_usage} "
            f"cuda_memory_usage={self.device_memory_usage}>"
        )


class EventList(list):
    """A list of events or of their sums; printing it prints `table()`."""

    def __init__(
        self,
        *args: Any,
        use_device: str | None = None,
        profile_memory: bool = False,
        trace: Callable[[str], None] | None = None,
    ) -> None:
        super().__init__(*args)
        self._use_device = use_device
        self._profile_memory = profile_memory
        self._trace = trace

    def __str__(self) -> str:
        return self.table()

    @property
    def self_cpu_time_total(self) -> float:
        """The time of all events together, each moment counted once per thread."""
        return sum(e.self_cpu_time_total for e in self)

    def table(
        self,
        sort_by: str | None = None,
        row_limit: int = 100,
        max_src_column_width: int = 75,
        max_name_column_width: int = 55,
        max_shapes_column_width: int = 80,
        header: str | None = None,
        top_level_events_only: bool = False,
        time_unit: str | None = None,
    ) -> str:
        """The events as text, a line for each, the largest first by `sort_by`: "cpu_time", "cuda_time",
        "cpu_time_total", "cuda_time_total", "cpu_memory_usage", "self_cuda_memory_usage", "count", ... Without it in
        their own order. At most `row_limit` lines (-1: all). `time_unit`: "s", "ms" or "us" in all lines."""
        from norch.autograd._profiler_table import table

        return table(
            self,
            sort_by=sort_by,
            row_limit=row_limit,
            max_src_column_width=max_src_column_width,
            max_name_column_width=max_name_column_width,
            max_shapes_column_width=max_shapes_column_width,
            header=header,
            top_level_events_only=top_level_events_only,
            time_unit=time_unit,
            use_device=self._use_device,
            profile_memory=self._profile_memory,
        )

    def key_averages(
        self, group_by_input_shapes: bool = False, group_by_stack_n: int = 0, group_by_overload_name: bool = False
    ) -> EventList:
        """The sums of events by name (and by their inputs' shapes, and by the innermost n frames of their stacks)."""
        sums: dict[tuple, FunctionEventAvg] = defaultdict(FunctionEventAvg)
        for event in self:
            key = (
                event.key,
                event.device_type,
                event.is_user_annotation,
                str(event.input_shapes) if group_by_input_shapes else "",
                tuple(event.stack[:group_by_stack_n]) if group_by_stack_n > 0 else (),
            )
            total = sums[key].add(event)
            if group_by_input_shapes:
                total.input_shapes = str(event.input_shapes)
            if group_by_stack_n > 0:
                total.stack = event.stack[:group_by_stack_n]
        return EventList(sums.values(), use_device=self._use_device, profile_memory=self._profile_memory)

    def total_average(self) -> FunctionEventAvg:
        """The sum of all events."""
        total = FunctionEventAvg()
        for event in self:
            total.add(event)
        total.key = "Total"
        return total

    def export_chrome_trace(self, path: str) -> None:
        """Writes the profile for chrome://tracing and https://ui.perfetto.dev (gzipped if the name ends in ".gz")."""
        if self._trace is None:
            raise RuntimeError("export_chrome_trace: sums of events have no times; call it on the profile or on events()")
        self._trace(path)

    @staticmethod
    def supported_export_stacks_metrics() -> list[str]:
        """What export_stacks can write."""
        return ["self_cpu_time_total", "self_cuda_time_total", "self_xpu_time_total", "self_privateuse1_time_total"]

    def export_stacks(self, path: str, metric: str) -> None:
        """Writes the events' stacks, outermost frame first, with the times of `metric` in microseconds, as tools for
        flame graphs read them."""
        if metric not in self.supported_export_stacks_metrics():
            raise ValueError(f"metric should be one of: {self.supported_export_stacks_metrics()}")
        attribute = metric.replace("cuda", "device")
        # The names of ranges, outermost first, take the place of characters that the format uses.
        clean = str.maketrans(" ;\t\n", "____")
        with open(path, "w") as file:
            for event in self:
                value = getattr(event, attribute, 0)
                if event.stack and int(value) > 0:
                    frames = itertools.chain(reversed(event.stack), [event.key])
                    file.write(";".join(f.translate(clean) for f in frames) + f" {int(value)}\n")
