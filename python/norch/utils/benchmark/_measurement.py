"""What a Timer gives, and what was timed."""

from __future__ import annotations

import dataclasses
import math
import statistics
from collections.abc import Iterable
from typing import Any

__all__ = ["Measurement", "TaskSpec", "ordered_unique", "select_unit", "trim_sigfig", "unit_to_english"]

_MAX_SIGNIFICANT_FIGURES = 4
_MIN_CONFIDENCE = 25e-9  # a clock's own noise, in seconds
_IQR_WARN = 0.1
_IQR_BAD = 0.25

_UNITS = {"ns": (1e-9, "nanosecond"), "us": (1e-6, "microsecond"), "ms": (1e-3, "millisecond"), "s": (1.0, "second")}


def select_unit(t: float) -> tuple[str, float]:
    """The unit that shows a time of `t` seconds best, and what to divide by.

    >>> norch.utils.benchmark.select_unit(0.002)
    ('ms', 0.001)"""
    for unit in ("s", "ms", "us"):
        if t >= _UNITS[unit][0]:
            return unit, _UNITS[unit][0]
    return "ns", _UNITS["ns"][0]


def unit_to_english(u: str) -> str:
    """"us" -> "microsecond"."""
    return _UNITS[u][1]


def trim_sigfig(x: float, n: int) -> float:
    """`x` rounded to `n` significant figures."""
    if x == 0:
        return 0.0
    magnitude = math.ceil(math.log10(abs(x)))
    scale = 10 ** (magnitude - n)
    return float(round(x / scale) * scale)


def ordered_unique(elements: Iterable[Any]) -> list[Any]:
    """Each element once, in the order of first appearance."""
    return list(dict.fromkeys(elements))


@dataclasses.dataclass(init=True, repr=False, eq=True, frozen=True)
class TaskSpec:
    """What was timed: the statement, how it was prepared, what it is called in reports, the environment and the threads."""

    stmt: str
    setup: str
    global_setup: str = ""
    label: str | None = None
    sub_label: str | None = None
    description: str | None = None
    env: str | None = None
    num_threads: int = 1

    @property
    def title(self) -> str:
        """What it is called: its label and sub-label, or the statement."""
        if self.label is not None:
            return self.label + (f": {self.sub_label}" if self.sub_label else "")
        if "\n" not in self.stmt:
            return self.stmt + (f": {self.sub_label}" if self.sub_label else "")
        body = "\n".join(f"  {line}" for line in self.stmt.splitlines())
        return f"stmt:{f' ({self.sub_label})' if self.sub_label else ''}\n{body}"

    def setup_str(self) -> str:
        """The preparation, if there is any."""
        if self.setup == "pass" or not self.setup:
            return ""
        if "\n" in self.setup:
            return "setup:\n" + "\n".join(f"  {line}" for line in self.setup.splitlines())
        return f"setup: {self.setup}"

    def summarize(self) -> str:
        """Title, preparation and threads."""
        parts = [self.title, self.description or "", self.setup_str(), f"{self.num_threads} thread{'s' if self.num_threads > 1 else ''}"]  # fmt: skip
        return "\n".join(p for p in parts if p)


@dataclasses.dataclass(init=True, repr=False)
class Measurement:
    """Times of one statement: `raw_times` seconds for `number_per_run` executions each. Printing it gives the median."""

    number_per_run: int
    raw_times: list[float]
    task_spec: TaskSpec
    metadata: dict[Any, Any] | None = None

    @property
    def times(self) -> list[float]:
        """Seconds per execution."""
        return [t / self.number_per_run for t in self.raw_times]

    def _quantile(self, q: float) -> float:
        self._need_times()
        ordered = sorted(self.times)
        place = q * (len(ordered) - 1)
        low = math.floor(place)
        high = math.ceil(place)
        return ordered[low] + (ordered[high] - ordered[low]) * (place - low)

    def _need_times(self) -> None:
        if not self.raw_times:
            raise ValueError("No measurements")

    @property
    def median(self) -> float:
        """The median time, in seconds."""
        return self._quantile(0.5)

    @property
    def mean(self) -> float:
        """The mean time, in seconds."""
        self._need_times()
        return statistics.fmean(self.times)

    @property
    def iqr(self) -> float:
        """From the first quartile to the third."""
        return self._quantile(0.75) - self._quantile(0.25)

    @property
    def significant_figures(self) -> int:
        """How many figures of the median can be relied on, from the spread of the times."""
        n = len(self.times)
        if n < 2:
            return 1
        # The interquartile range of a normal distribution is 1.349 standard deviations; the interval covers the median's
        # error at two standard deviations.
        interval = 2 * max(self.iqr / 1.349 / math.sqrt(n), _MIN_CONFIDENCE / self.number_per_run)
        figures = math.ceil(-math.log10(max(interval / self.median, 1e-12)))
        return max(1, min(figures, _MAX_SIGNIFICANT_FIGURES))

    @property
    def has_warnings(self) -> bool:
        """Whether the times spread so much that the median says little."""
        return self.iqr / self.median > _IQR_WARN if len(self.times) > 1 else False

    def meets_confidence(self, threshold: float = _IQR_WARN) -> bool:
        """Whether the interquartile range is below this part of the median."""
        return self.iqr / self.median < threshold

    @property
    def title(self) -> str:
        """What was timed."""
        return self.task_spec.title

    @property
    def env(self) -> str:
        """In which environment."""
        return "Unspecified env" if self.task_spec.env is None else self.task_spec.env

    @property
    def as_row_name(self) -> str:
        """The name of its row in Compare's tables."""
        return self.task_spec.sub_label or self.task_spec.stmt or "[Unknown]"

    def __getattr__(self, name: str) -> Any:
        # label, stmt, num_threads, ...: what the spec knows.
        if not name.startswith("_") and name != "task_spec" and hasattr(self.task_spec, name):
            return getattr(self.task_spec, name)
        raise AttributeError(f"'Measurement' object has no attribute {name!r}")

    def __repr__(self) -> str:
        self._need_times()
        unit, scale = select_unit(self.median)
        several = len(self.times) > 1
        lines = [repr(type(self))[8:-2].join(("<", f" object at {id(self):#x}>")), self.title]
        lines += [s for s in (self.task_spec.description, self.task_spec.setup_str()) if s]
        lines.append(f"{'  Median: ' if several else '  '}{self.median / scale:.2f} {unit}")
        if len(self.times) > 2:
            low, high = self._quantile(0.25), self._quantile(0.75)
            lines.append(f"  IQR:    {self.iqr / scale:.2f} {unit} ({low / scale:.2f} to {high / scale:.2f})")
        per = "runs per measurement" if several else "runs"
        count = f"{len(self.times)} measurement{'s' if several else ''}"
        threads = f"{self.task_spec.num_threads} thread{'s' if self.task_spec.num_threads > 1 else ''}"
        lines.append(f"  {count}, {self.number_per_run} {per}{',' if several else ' ,'} {threads}")
        if several and self.iqr / self.median > _IQR_WARN:
            degree = "could indicate system fluctuation" if self.iqr / self.median <= _IQR_BAD else "suggests significant environmental influence"  # fmt: skip
            lines.append(f"  WARNING: Interquartile range is {self.iqr / self.median * 100:.1f}% of the median measurement.")
            lines.append(f"           This {degree}.")
        return "\n".join(lines)

    @staticmethod
    def merge(measurements: Iterable[Measurement]) -> list[Measurement]:
        """Measurements of the same task joined, as times per execution."""
        groups: dict[TaskSpec, list[Measurement]] = {}
        for m in measurements:
            groups.setdefault(m.task_spec, []).append(m)
        return [
            Measurement(number_per_run=1, raw_times=[t for m in group for t in m.times], task_spec=spec)
            for spec, group in groups.items()
        ]
