"""`profile`: which steps of a program are recorded, and what happens with them."""

from __future__ import annotations

import enum
import json
import os
import socket
import time
import warnings
from types import TracebackType
from typing import Any, Callable, Iterable

from norch.autograd import profiler as _recorder
from norch.autograd.profiler_util import EventList

__all__ = ["ProfilerAction", "ProfilerActivity", "profile", "schedule", "supported_activities", "tensorboard_trace_handler"]


class ProfilerActivity(enum.Enum):
    """What to record. norch knows the CPU and CUDA."""

    CPU = 0
    XPU = 1
    MTIA = 2
    CUDA = 3
    HPU = 4
    PrivateUse1 = 5


class ProfilerAction(enum.Enum):
    """What to do in a step."""

    NONE = 0
    WARMUP = 1
    RECORD = 2
    RECORD_AND_SAVE = 3


_RECORDING = (ProfilerAction.RECORD, ProfilerAction.RECORD_AND_SAVE)


def supported_activities() -> set[ProfilerActivity]:
    """What can be recorded here: the CPU, and CUDA where there is a GPU."""
    from norch import cuda

    return {ProfilerActivity.CPU, ProfilerActivity.CUDA} if cuda.is_available() else {ProfilerActivity.CPU}


def schedule(
    *, wait: int, warmup: int, active: int, repeat: int = 0, skip_first: int = 0, skip_first_wait: int = 0
) -> Callable[[int], ProfilerAction]:
    """A schedule for `profile`: after the first `skip_first` steps, cycles of `wait` steps without profiling, `warmup`
    steps that are thrown away and `active` steps that are recorded; `repeat` cycles, or without end if 0. With
    skip_first_wait other than 0 the first cycle has no `wait`.

        >>> plan = norch.profiler.schedule(wait=1, warmup=1, active=2, repeat=1)
        >>> [plan(step).name for step in range(5)]
        ['NONE', 'WARMUP', 'RECORD', 'RECORD_AND_SAVE', 'NONE']"""
    if wait < 0 or warmup < 0 or active <= 0 or repeat < 0 or skip_first < 0:
        raise AssertionError(
            f"Invalid profiler schedule arguments. Got wait={wait} (need >= 0), warmup={warmup} (need >= 0), "
            f"active={active} (need > 0), repeat={repeat} (need >= 0), skip_first={skip_first} (need >= 0)."
        )
    if warmup == 0:
        warnings.warn("Profiler won't be using warmup, this can skew profiler results", stacklevel=2)

    def action_of(step: int) -> ProfilerAction:
        if step < 0:
            raise AssertionError(f"Step must be non-negative. Got {step}.")
        if step < skip_first:
            return ProfilerAction.NONE
        step -= skip_first
        if skip_first_wait:
            step += wait
        cycle = wait + warmup + active
        if repeat > 0 and step // cycle >= repeat:
            return ProfilerAction.NONE
        within = step % cycle
        if within < wait:
            return ProfilerAction.NONE
        if within < wait + warmup:
            return ProfilerAction.WARMUP
        return ProfilerAction.RECORD if within < cycle - 1 else ProfilerAction.RECORD_AND_SAVE

    return action_of


def _record_always(step: int) -> ProfilerAction:
    return ProfilerAction.RECORD


def tensorboard_trace_handler(
    dir_name: str, worker_name: str | None = None, use_gzip: bool = False, use_python_export: bool = False
) -> Callable[[profile], None]:
    """For `on_trace_ready`: writes each trace to a file of its own in a folder, which is made if missing, named after the
    worker (machine and process by default) and the time."""

    def write(prof: profile) -> None:
        os.makedirs(dir_name, exist_ok=True)
        worker = worker_name or f"{socket.gethostname()}_{os.getpid()}"
        name = f"{worker}.{time.time_ns()}.pt.trace.json" + (".gz" if use_gzip else "")
        prof.export_chrome_trace(os.path.join(dir_name, name))

    return write


class profile:
    """Records the operations of a program, with their times, shapes and memory.

    activities: ProfilerActivity.CPU and .CUDA; by default all that there are. (Operations are recorded in either case.)
    schedule: gives a ProfilerAction for each step; without one all is recorded. `step()` ends a step.
    on_trace_ready: called with the profile whenever a recording is complete.
    record_shapes: the shapes and dtypes of operations' arguments. profile_memory: what is allocated and freed.
    with_stack: where in the program operations are called. acc_events: recordings of later cycles are added to events()
    and key_averages() instead of replacing them. with_flops and with_modules have no effect.

        >>> x = norch.ones(3, requires_grad=True)
        >>> with norch.profiler.profile() as prof:
        ...     (x * x).sum().backward()
        >>> sorted(e.key for e in prof.key_averages() if e.key.startswith("aten"))
        ['aten::mul', 'aten::sum']"""

    def __init__(
        self,
        *,
        activities: Iterable[ProfilerActivity] | None = None,
        schedule: Callable[[int], ProfilerAction] | None = None,
        on_trace_ready: Callable[..., Any] | None = None,
        record_shapes: bool = False,
        profile_memory: bool = False,
        with_stack: bool = False,
        with_flops: bool = False,
        with_modules: bool = False,
        experimental_config: Any = None,
        execution_trace_observer: Any = None,
        acc_events: bool = False,
        use_cuda: bool | None = None,
        custom_trace_id_callback: Callable[[], str] | None = None,
        post_processing_timeout_s: float | None = None,
    ) -> None:
        self.activities = set(activities) if activities is not None else supported_activities()
        if use_cuda is not None:
            warnings.warn("`use_cuda` is deprecated, use `activities` argument instead", FutureWarning, stacklevel=2)
            (self.activities.add if use_cuda else self.activities.discard)(ProfilerActivity.CUDA)
        if not self.activities:
            raise AssertionError("No valid profiler activities found")
        for activity in self.activities - {ProfilerActivity.CPU, ProfilerActivity.CUDA}:
            warnings.warn(f"profile: norch records no {activity}", stacklevel=2)
        self.use_device = "cuda" if ProfilerActivity.CUDA in self.activities else None
        self.schedule = schedule if schedule is not None else _record_always
        self.record_steps = schedule is not None
        self.on_trace_ready = on_trace_ready
        self.record_shapes = record_shapes
        self.profile_memory = profile_memory
        self.with_stack = with_stack
        self.with_flops = with_flops
        self.with_modules = with_modules
        self.acc_events = acc_events
        self.step_num = 0
        self.current_action = self.schedule(0)
        self.step_rec_fn: _recorder.record_function | None = None
        self.profiler: Any = None
        self._running = False
        self._earlier = EventList()
        self._metadata: dict[str, Any] = {}

    def __enter__(self) -> profile:
        self.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()

    def start(self) -> None:
        """Begins step 0, as entering the block does."""
        self._transition(ProfilerAction.NONE, self.current_action)
        self._begin_step()

    def stop(self) -> None:
        """Ends the last step, as leaving the block does. A recording under way is complete."""
        self._end_step()
        self._transition(self.current_action, None)

    def step(self) -> None:
        """Ends a step and begins the next."""
        self._end_step()
        before = self.current_action
        self.step_num += 1
        self.current_action = self.schedule(self.step_num)
        self._transition(before, self.current_action)
        self._begin_step()

    def _begin_step(self) -> None:
        if self.record_steps:
            self.step_rec_fn = _recorder.record_function(f"ProfilerStep#{self.step_num}")
            self.step_rec_fn.__enter__()

    def _end_step(self) -> None:
        if self.step_rec_fn is not None:
            self.step_rec_fn.__exit__(None, None, None)
            self.step_rec_fn = None

    def _transition(self, before: ProfilerAction, now: ProfilerAction | None) -> None:
        """From the action of one step to that of the next (None: the end)."""
        complete = before is ProfilerAction.RECORD_AND_SAVE or (before is ProfilerAction.RECORD and now not in _RECORDING)
        if before is ProfilerAction.RECORD and now in (ProfilerAction.NONE, ProfilerAction.WARMUP):
            warnings.warn("Incorrect schedule: RECORD followed by " + str(now.name), stacklevel=3)
        if complete and self._running:
            self.stop_trace()
            if self.on_trace_ready is not None:
                self.on_trace_ready(self)
        if now in _RECORDING and not self._running:
            self.start_trace()

    def start_trace(self) -> None:
        """Starts to record."""
        if self.acc_events and self.profiler is not None:
            self._earlier.extend(self.profiler.function_events)
        # A warning that there is no GPU is given once.
        self.profiler = _recorder.profile(
            use_device=self.use_device,
            record_shapes=self.record_shapes,
            profile_memory=self.profile_memory,
            with_stack=self.with_stack,
            with_flops=self.with_flops,
            with_modules=self.with_modules,
        )
        self.use_device = self.profiler.use_device
        self.profiler._metadata = self._metadata
        self.profiler.start()
        self._running = True

    def stop_trace(self) -> None:
        """Ends the recording."""
        self._running = False
        self.profiler.stop()

    def _recorded(self) -> Any:
        if self.profiler is None:
            raise AssertionError("Profiler must be initialized before exporting chrome trace: no step was recorded")
        return self.profiler

    def events(self) -> EventList:
        """The events of the last recording, in order of their starts."""
        events = self._recorded().function_events
        if not self._earlier:
            return events
        return EventList(
            [*self._earlier, *events], use_device=self.use_device, profile_memory=self.profile_memory
        )

    def key_averages(
        self, group_by_input_shape: bool = False, group_by_stack_n: int = 0, group_by_overload_name: bool = False
    ) -> EventList:
        """The sums of events by name (and by their inputs' shapes, or by the innermost n frames of their stacks); print
        its `table()`."""
        return self.events().key_averages(group_by_input_shape, group_by_stack_n, group_by_overload_name)

    def export_chrome_trace(self, path: str) -> None:
        """Writes the last recording for chrome://tracing or https://ui.perfetto.dev (gzipped if the name ends in
        ".gz")."""
        self._recorded().export_chrome_trace(path)

    def export_stacks(self, path: str, metric: str = "self_cpu_time_total") -> None:
        """Writes stacks for flame graphs; needs with_stack=True. metric: "self_cpu_time_total" or
        "self_cuda_time_total"."""
        self._recorded().export_stacks(path, metric)

    def add_metadata(self, key: str, value: str) -> None:
        """Puts a text into traces written from here on."""
        self._metadata[key] = value

    def add_metadata_json(self, key: str, value: str) -> None:
        """The same with a value given as JSON."""
        self._metadata[key] = json.loads(value)

    def preset_metadata_json(self, key: str, value: str) -> None:
        """add_metadata_json, for calls before the recording starts."""
        self.add_metadata_json(key, value)
