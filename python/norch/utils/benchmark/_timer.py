"""Timer: runs a statement often enough to say how long it takes."""

from __future__ import annotations

import contextlib
import enum
import textwrap
import time
import timeit as _timeit
from collections.abc import Callable, Iterator
from typing import Any

import norch
from norch.utils.benchmark._measurement import Measurement, TaskSpec

__all__ = ["Language", "Timer", "timer"]


def timer() -> float:
    """A clock in seconds that waits for the GPU's work first, if the GPU has been used."""
    if norch.cuda.is_available() and norch.cuda.is_initialized():
        norch.cuda.synchronize()
    return time.perf_counter()


class Language(enum.Enum):
    """What a statement is written in."""

    PYTHON = 0
    CPP = 1


@contextlib.contextmanager
def _threads(n: int) -> Iterator[None]:
    before = norch.get_num_threads()
    try:
        norch.set_num_threads(n)
        yield
    finally:
        norch.set_num_threads(before)


class Timer:
    """Times a statement of Python.

    stmt, setup: the code to time, and code to run once before; `globals` are its names (`norch` and `torch`, which is
    norch, are known). num_threads: norch's threads while it runs, 1 by default. label, sub_label, description, env: what
    reports call it. timer: the clock. norch waits for the GPU around each measurement and warms up before it.

        >>> t = norch.utils.benchmark.Timer("x.sum()", globals={"x": norch.ones(10)}, label="sum")
        >>> t.blocked_autorange(min_run_time=0.01).median > 0
        True"""

    def __init__(
        self,
        stmt: str = "pass",
        setup: str = "pass",
        global_setup: str = "",
        timer: Callable[[], float] = timer,
        globals: dict[str, Any] | None = None,
        label: str | None = None,
        sub_label: str | None = None,
        description: str | None = None,
        env: str | None = None,
        num_threads: int = 1,
        language: Language | str = Language.PYTHON,
    ) -> None:
        if not isinstance(stmt, str):
            raise ValueError("Currently only a `str` stmt is supported.")
        if language not in (Language.PYTHON, "py", "python"):
            raise NotImplementedError(f"Timer: statements are Python, got language={language!r}")
        if global_setup:
            raise ValueError(f"global_setup is C++ only, got `{global_setup}`. Most likely this code can simply be moved to `setup`.")  # fmt: skip
        names = dict(globals or {})
        names.setdefault("norch", norch)
        names.setdefault("torch", norch)
        stmt = textwrap.dedent(stmt).strip("\n").rstrip()
        setup = textwrap.dedent(setup).strip("\n").rstrip()
        self._globals = names
        self._reads_clock = _timeit.Timer("pass", timer=timer)
        self._timer = _timeit.Timer(stmt=stmt or "pass", setup=setup or "pass", timer=timer, globals=names)
        self._task_spec = TaskSpec(
            stmt=stmt,
            setup=setup,
            label=label,
            sub_label=sub_label,
            description=description,
            env=env,
            num_threads=num_threads,
        )

    def _measured(self, number: int, times: list[float]) -> Measurement:
        return Measurement(number_per_run=number, raw_times=times, task_spec=self._task_spec)

    def _run(self, number: int) -> float:
        return self._timer.timeit(number)

    def timeit(self, number: int = 1000000) -> Measurement:
        """One measurement of `number` executions, after a short warm-up."""
        with _threads(self._task_spec.num_threads):
            self._run(max(number // 100, 2))
            return self._measured(number, [self._run(number)])

    def repeat(self, repeat: int = -1, number: int = -1) -> None:
        """Not there, as in PyTorch."""
        raise NotImplementedError("See `Timer.blocked_autorange.`")

    def autorange(self, callback: Callable[[int, float], Any] | None = None) -> None:
        """Not there, as in PyTorch."""
        raise NotImplementedError("See `Timer.blocked_autorange.`")

    def _block_size(self, min_run_time: float) -> int:
        """So many executions that reading the clock costs less than a thousandth of them."""
        overhead = min(self._reads_clock.timeit(0) for _ in range(5))
        number = 1
        while True:
            taken = self._run(number)
            if overhead <= taken * 1e-4 and taken >= min_run_time / 1000:
                return number
            if taken > min_run_time:
                return number
            number *= 10

    def blocked_autorange(
        self, callback: Callable[[int, float], Any] | None = None, min_run_time: float = 0.2
    ) -> Measurement:
        """Measurements of many executions each, until `min_run_time` seconds have been measured; at least one. Each is
        reported to `callback(executions, seconds)`."""
        with _threads(self._task_spec.num_threads):
            number = self._block_size(min_run_time)
            times: list[float] = []
            total = 0.0
            while total < min_run_time:
                taken = self._run(number)
                times.append(taken)
                total += taken
                if callback is not None:
                    callback(number, taken)
            return self._measured(number, times)

    def adaptive_autorange(
        self,
        threshold: float = 0.1,
        *,
        min_run_time: float = 0.01,
        max_run_time: float = 10.0,
        callback: Callable[[int, float], Any] | None = None,
    ) -> Measurement:
        """As blocked_autorange, until the interquartile range of the times is below `threshold` of their median, or
        `max_run_time` seconds have been measured."""
        with _threads(self._task_spec.num_threads):
            number = self._block_size(0.05)
            times: list[float] = []
            total = 0.0
            while total < max_run_time:
                taken = self._run(number)
                times.append(taken)
                total += taken
                if callback is not None:
                    callback(number, taken)
                if total >= min_run_time and len(times) > 3 and self._measured(number, times).meets_confidence(threshold):
                    break
            return self._measured(number, times)
