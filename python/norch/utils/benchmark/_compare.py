"""Compare: measurements side by side."""

from __future__ import annotations

import enum
import itertools
import math
from collections.abc import Iterable

from norch.utils.benchmark._measurement import Measurement, ordered_unique, select_unit, trim_sigfig, unit_to_english

__all__ = ["Colorize", "Compare"]

_BEST, _GOOD, _BAD, _VERY_BAD, _BOLD, _END = "\033[92m", "\033[34m", "\033[2m\033[91m", "\033[31m", "\033[1m", "\033[0m\033[0m"


class Colorize(enum.Enum):
    """What the colours of a table compare: nothing, the columns of a row, the rows of a column."""

    NONE = "none"
    COLUMNWISE = "columnwise"
    ROWWISE = "rowwise"


class Compare:
    """Tables of measurements, one for each label: a column for each description, a row for each sub-label (and environment),
    by the number of threads.

    >>> from norch.utils.benchmark import Compare, Timer
    >>> results = [Timer(s, label="sums", sub_label="small", description=s).timeit(10) for s in ("1 + 1", "1.0 + 1")]
    >>> "small" in str(Compare(results))
    True"""

    def __init__(self, results: Iterable[Measurement]) -> None:
        self._results: list[Measurement] = []
        self._trim = False
        self._colorize = Colorize.NONE
        self._highlight_warnings = False
        self.extend_results(results)

    def __str__(self) -> str:
        return "\n".join(self._render())

    def extend_results(self, results: Iterable[Measurement]) -> None:
        """More measurements."""
        results = list(results)
        for r in results:
            if not isinstance(r, Measurement):
                raise ValueError("Expected an instance of `Measurement`, " f"got {type(r)} instead.")
        self._results += results

    def trim_significant_figures(self) -> None:
        """Shows only the figures that can be relied on."""
        self._trim = True

    def colorize(self, rowwise: bool = False) -> None:
        """Shows the best in green and slow ones in red, of a column or, `rowwise`, of a row."""
        self._colorize = Colorize.ROWWISE if rowwise else Colorize.COLUMNWISE

    def highlight_warnings(self) -> None:
        """Marks the times that spread much."""
        self._highlight_warnings = True

    def print(self) -> None:
        """Prints the tables."""
        print(self)

    def _render(self) -> list[str]:
        merged = Measurement.merge(self._results)
        labels = ordered_unique(m.task_spec.label for m in merged)
        return [self._table([m for m in merged if m.task_spec.label == label]) for label in labels]

    def _table(self, results: list[Measurement]) -> str:
        unit, scale = select_unit(min(m.median for m in results))
        columns = ordered_unique(m.task_spec.description for m in results)
        rows = sorted(
            ordered_unique((m.task_spec.num_threads, m.task_spec.env or "", m.as_row_name) for m in results),
            key=lambda r: r[0],
        )
        cell = {((m.task_spec.num_threads, m.task_spec.env or "", m.as_row_name), m.task_spec.description): m for m in results}
        figures = [[self._figure(cell.get((row, column)), scale) for column in columns] for row in rows]
        names = [(f"({env})  " if env else "") + name for _, env, name in rows]
        heads = [c or "" for c in columns]
        widths = [max(len(h), *(len(row[i]) for row in figures)) for i, h in enumerate(heads)]
        first = max(map(len, names)) + 6
        head = " " * first + "".join(f"  |  {h:^{w}}" for h, w in zip(heads, widths))
        title = f" {results[0].task_spec.label or ''} ".replace("  ", " ")
        lines = [f"[{title:-^{len(head) - 2}}]", head.rstrip()]
        for threads, group in itertools.groupby(range(len(rows)), key=lambda i: rows[i][0]):
            lines.append(f"{threads} threads: ".ljust(len(head), "-"))
            for i in group:
                parts = []
                for j, column in enumerate(columns):
                    text = f"{figures[i][j]:>{widths[j]}}"
                    parts.append("  |  " + self._coloured(text, cell.get((rows[i], column)), rows[i], column, rows, columns, cell))
                lines.append(f"      {names[i]:<{first - 6}}" + "".join(parts))
        lines += ["", f"Times are in {unit_to_english(unit)}s ({unit}).", ""]
        if self._highlight_warnings and any(m.has_warnings for m in results):
            lines.insert(-1, "(! XX%) Measurement has high variance, where XX is the IQR / median * 100.")
        return "\n".join(lines)

    def _figure(self, m: Measurement | None, scale: float) -> str:
        if m is None:
            return ""
        value = m.median / scale
        if self._trim:
            value = trim_sigfig(value, m.significant_figures)
            digits = max(0, m.significant_figures - (math.floor(math.log10(value)) + 1 if value > 0 else 1))
            text = f"{value:.{digits}f}"
        else:
            text = f"{value:.1f}"
        if self._highlight_warnings and m.has_warnings:
            text = f"(! {m.iqr / m.median * 100:.0f}%) {text}"
        return text

    def _coloured(
        self, text: str, m: Measurement | None, row: tuple, column: str | None, rows: list, columns: list, cell: dict
    ) -> str:
        if self._colorize is Colorize.NONE or m is None:
            return text
        if self._colorize is Colorize.ROWWISE:
            others = [cell.get((row, c)) for c in columns]
        else:
            others = [cell.get((r, column)) for r in rows]
        best = min(o.median for o in others if o is not None)
        ratio = m.median / best
        if ratio < 1.1:
            return _BEST + _BOLD + text + _END
        if ratio > 5:
            return _VERY_BAD + _BOLD + text + _END
        if ratio > 2:
            return _BAD + text + _END
        return text
