"""Profiles as tables, laid out as PyTorch's."""

from __future__ import annotations

from typing import Any

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
    with_shapes = any(e.input_shapes for e in events)
    with_stack = any(e.stack for e in events)

    titles = ["Name", "Self CPU %", "Self CPU", "CPU total %", "CPU total", "CPU time avg"]
    if on_device:
        titles += [f"Self {device}", f"Self {device} %", f"{device} total", f"{device} time avg"]
    if profile_memory:
        titles += ["CPU Mem", "Self CPU Mem"]
        if use_device is not None:
            titles += [f"{device} Mem", f"Self {device} Mem"]
    titles.append("# of Calls")

    rows: list[list[str]] = []
    for event in shown:
        if row_limit >= 0 and len(rows) == row_limit:
            break
        if top_level_events_only and event.cpu_parent is not None:
            continue
        row = [
            _shortened(event.key, max_name_column_width),
            _percent(event.self_cpu_time_total, cpu_total),
            time(event.self_cpu_time_total),
            _percent(event.cpu_time_total, cpu_total),
            time(event.cpu_time_total),
            time(event.cpu_time),
        ]
        if on_device:
            row += [
                time(event.self_device_time_total),
                _percent(event.self_device_time_total, device_total),
                time(event.device_time_total),
                time(event.device_time),
            ]
        if profile_memory:
            row += [format_memory(event.cpu_memory_usage), format_memory(event.self_cpu_memory_usage)]
            if use_device is not None:
                row += [format_memory(event.device_memory_usage), format_memory(event.self_device_memory_usage)]
        row.append(str(event.count))
        if with_shapes:
            row.append(_shortened(str(event.input_shapes), max_shapes_column_width))
        if with_stack:
            row.append(_shortened(event.stack[0] if event.stack else "", max_src_column_width))
        rows.append(row)

    widths = [_WIDTH] * len(titles)
    names = [len(e.key) for e in events]
    widths[0] = max(names) + 4 if max_name_column_width <= 0 else min(max(names) + 4, max_name_column_width)
    if with_shapes:
        titles.append("Input Shapes")
        longest = max(len(str(e.input_shapes)) for e in events) + 4
        widths.append(longest if max_shapes_column_width <= 0 else min(longest, max_shapes_column_width))
    if with_stack:
        titles.append("Source Location")
        longest = max(len(frame) for e in events for frame in e.stack[:1]) + 4
        widths.append(longest if max_src_column_width <= 0 else min(longest, max_src_column_width))

    gap = " " * _SPACING

    def line(cells: list[str]) -> str:
        return "".join(f"{cell:>{width}}" + gap for cell, width in zip(cells, widths))

    rule = "".join("-" * width + gap for width in widths)
    lines = []
    if header is not None:
        lines += ["=" * len(rule), header]
    if top_level_events_only:
        lines += ["=" * len(rule), "This report only display top-level ops statistics"]
    lines += [rule, line(titles), rule, *map(line, rows), rule]
    lines.append(f"Self CPU time total: {time(cpu_total)}")
    if on_device:
        lines.append(f"Self {device} time total: {time(device_total)}")
    return "\n".join(lines) + "\n"
