"""Profiles as tables, laid out as PyTorch's."""

from __future__ import annotations

from typing import Any, Callable, NamedTuple

from norch.autograd.profiler_util import DeviceType, format_memory, format_time

__all__ = ["table"]

_WIDTH = 12
_SPACING = 2
_UNITS = {"s": 1e6, "ms": 1e3, "us": 1.0}


def _shortened(text: str, width: int) -> str:
    return text if width <= 0 or len(text) <= width else text[: width - 3] + "..."


def _percent(part: float, whole: float) -> str:
    if whole == 0:
        return "NaN" if part else "0.00%"
    return f"{part * 100.0 / whole:.2f}%"


class _Column(NamedTuple):
    title: str
    cell: Callable[[Any], str]  # of an event
    width: int = _WIDTH


def _fitted(title: str, text: Callable[[Any], str], events: Any, limit: int) -> _Column:
    """A column as wide as its longest text, or `limit` where that is above 0 and less."""
    longest = max(len(text(event)) for event in events) + 4
    return _Column(title, lambda e: _shortened(text(e), limit), longest if limit <= 0 else min(longest, limit))


def _time_columns(name: str, time: Callable[[float], str], total: float, device: str) -> list[_Column]:
    """The times of one device, "cpu" or "device", called `name`; `total` is what percentages are of."""
    own, whole, mean = f"self_{device}_time_total", f"{device}_time_total", f"{device}_time"
    return [
        _Column(f"Self {name} %", lambda e: _percent(getattr(e, own), total)),
        _Column(f"Self {name}", lambda e: time(getattr(e, own))),
        _Column(f"{name} total %", lambda e: _percent(getattr(e, whole), total)),
        _Column(f"{name} total", lambda e: time(getattr(e, whole))),
        _Column(f"{name} time avg", lambda e: time(getattr(e, mean))),
    ]


def _memory_columns(name: str, device: str) -> list[_Column]:
    whole, own = f"{device}_memory_usage", f"self_{device}_memory_usage"
    return [
        _Column(f"{name} Mem", lambda e: format_memory(getattr(e, whole))),
        _Column(f"Self {name} Mem", lambda e: format_memory(getattr(e, own))),
    ]


def table(
    events: Any,
    sort_by: str | None,
    row_limit: int,
    max_src_column_width: int,
    max_name_column_width: int,
    max_shapes_column_width: int,
    header: str | None,
    top_level_events_only: bool,
    time_unit: str | None,
    use_device: str | None,
    profile_memory: bool,
) -> str:
    """See EventList.table."""
    if not events:
        return ""
    if time_unit is not None and time_unit not in _UNITS:
        raise ValueError(f"table: time_unit must be 's', 'ms' or 'us', got {time_unit!r}")
    shown = list(events)
    if sort_by is not None:
        attribute = sort_by.replace("cuda", "device")
        shown.sort(key=lambda e: getattr(e, attribute), reverse=True)

    def time(us: float) -> str:
        return format_time(us) if time_unit is None else f"{us / _UNITS[time_unit]:.3f}{time_unit}"

    on_device = use_device is not None and any(e.self_device_time_total > 0 for e in events)
    cpu_total = sum(e.self_cpu_time_total for e in events)
    # A kernel's time is that of the operation that launched it too: it is counted where it ran.
    device_total = sum(e.self_device_time_total for e in events if e.device_type is not DeviceType.CPU)
    device = (use_device or "").upper()

    columns = [_fitted("Name", lambda e: e.key, events, max_name_column_width)]
    columns += _time_columns("CPU", time, cpu_total, "cpu")
    if on_device:
        percent, own, _, *rest = _time_columns(device, time, device_total, "device")
        columns += [own, percent, *rest]
    if profile_memory:
        columns += _memory_columns("CPU", "cpu")
        if use_device is not None:
            columns += _memory_columns(device, "device")
    columns.append(_Column("# of Calls", lambda e: str(e.count)))
    if any(e.input_shapes for e in events):
        columns.append(_fitted("Input Shapes", lambda e: str(e.input_shapes), events, max_shapes_column_width))
    if any(e.stack for e in events):
        columns.append(_fitted("Source Location", lambda e: e.stack[0] if e.stack else "", events, max_src_column_width))
    if top_level_events_only:
        shown = [e for e in shown if e.cpu_parent is None]
    if row_limit >= 0:
        shown = shown[:row_limit]
    rows = [[column.cell(event) for column in columns] for event in shown]

    gap = " " * _SPACING

    def line(cells: list[str]) -> str:
        return "".join(f"{cell:>{width}}" + gap for cell, width in zip(cells, widths))

    widths = [column.width for column in columns]
    rule = "".join("-" * width + gap for width in widths)
    lines = []
    if header is not None:
        lines += ["=" * len(rule), header]
    if top_level_events_only:
        lines += ["=" * len(rule), "This report only display top-level ops statistics"]
    lines += [rule, line([column.title for column in columns]), rule, *map(line, rows), rule]
    lines.append(f"Self CPU time total: {time(cpu_total)}")
    if on_device:
        lines.append(f"Self {device} time total: {time(device_total)}")
    return "\n".join(lines) + "\n"
