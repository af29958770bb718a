"""Profiles as traces in Chrome's format, which chrome://tracing and https://ui.perfetto.dev show."""

from __future__ import annotations

import gzip
import json
import os
import socket
import sys
from typing import Any

from norch.autograd.profiler_util import DeviceType, FunctionEvent

__all__ = ["write_trace"]

_DTYPES = {"float32": "float", "float64": "double", "int64": "long int", "int32": "int", "float16": "c10::Half",
           "bfloat16": "c10::BFloat16", "uint8": "unsigned char", "int8": "signed char", "int16": "short int"}  # fmt: skip


def _dtype_name(dtype: Any) -> Any:
    if dtype is None:
        return ""
    if isinstance(dtype, list):
        return [_dtype_name(d) for d in dtype]
    name = str(dtype).rpartition(".")[2]
    return _DTYPES.get(name, name)


def _category(event: FunctionEvent) -> str:
    if event.device_type is not DeviceType.CPU:
        return "gpu_memcpy" if event.name.startswith("Memcpy") else "gpu_memset" if event.name == "Memset" else "kernel"
    return "user_annotation" if event.is_user_annotation else "cpu_op"


def _complete(event: FunctionEvent, pid: int, base: float) -> dict[str, Any]:
    args: dict[str, Any] = {"External id": event.id}
    if event.sequence_nr >= 0:
        args["Sequence number"] = event.sequence_nr
        args["Fwd thread id"] = event.fwd_thread or 0
    if event.input_shapes:
        args["Input Dims"] = event.input_shapes
        args["Input type"] = [_dtype_name(d) for d in event.input_dtypes]
    if event.stack:
        args["Call stack"] = ";".join(reversed(event.stack))
    on_cpu = event.device_type is DeviceType.CPU
    if not on_cpu:
        args.update(device=event.device_index, stream=event.thread)
    return {
        "ph": "X",
        "cat": _category(event),
        "name": event.name,
        "pid": pid if on_cpu else event.device_index,
        "tid": event.thread,
        "ts": base + event.time_range.start,
        "dur": event.time_range.elapsed_us(),
        "args": args,
    }


def _names(events: list[FunctionEvent], pid: int, base: float) -> list[dict[str, Any]]:
    """What processes and threads are called, and in which order they are shown."""

    def named(what: str, pid: int, tid: int, **args: Any) -> dict[str, Any]:
        return {"ph": "M", "name": what, "ts": base, "pid": pid, "tid": tid, "args": args}

    program = os.path.basename(sys.executable) or "python"
    records = [
        named("process_name", pid, 0, name=program),
        named("process_labels", pid, 0, labels="CPU"),
        named("process_sort_index", pid, 0, sort_index=pid),
    ]
    threads: dict[tuple[bool, int, int], None] = {}
    for e in events:
        threads.setdefault((e.device_type is DeviceType.CPU, e.device_index, e.thread), None)
    for device in sorted({index for on_cpu, index, _ in threads if not on_cpu}):
        records.append(named("process_name", device, 0, name=program))
        records.append(named("process_labels", device, 0, labels=f"GPU {device}"))
        records.append(named("process_sort_index", device, 0, sort_index=5_000_000 + device))
    for on_cpu, device, thread in threads:
        where = pid if on_cpu else device
        name = f"thread {thread} ({program})" if on_cpu else f"stream {thread}"
        records.append(named("thread_name", where, thread, name=name))
        records.append(named("thread_sort_index", where, thread, sort_index=thread))
    return records


def _arrow(category: str, number: int, source: dict[str, Any], target: dict[str, Any]) -> list[dict[str, Any]]:
    """A line from one event to another."""
    common = {"cat": category, "name": category, "id": number}
    start = {"ph": "s", **common, "pid": source["pid"], "tid": source["tid"], "ts": source["ts"]}
    return [start, {"ph": "f", "bp": "e", **common, "pid": target["pid"], "tid": target["tid"], "ts": target["ts"]}]


def write_trace(
    path: str,
    events: list[FunctionEvent],
    launches: list[tuple[int, int]],
    allocations: list[tuple],
    base_us: float,
    metadata: dict[str, Any],
    profile_memory: bool,
    record_shapes: bool,
) -> None:
    """Writes the trace to `path`, through gzip if the name ends in ".gz". `launches`: pairs of places in `events`, of an
    operation and of what it ran on a GPU. `allocations`: (time in microseconds, bytes, GPU or -1, thread)."""
    pid = os.getpid()
    records = _names(events, pid, base_us)
    complete = [_complete(e, pid, base_us) for e in events]
    records += complete
    for number, (launcher, launched) in enumerate(launches):
        records += _arrow("ac2g", number, complete[launcher], complete[launched])
    # The innermost operation that made a node, to the node's run in the backward pass.
    made_by: dict[int, int] = {}
    for place, e in enumerate(events):
        if e.sequence_nr >= 0 and not e.is_backward:
            made_by[e.sequence_nr] = place
    for place, e in enumerate(events):
        if e.is_backward and e.sequence_nr in made_by and e.name.startswith("autograd::engine"):
            records += _arrow("fwdbwd", e.sequence_nr, complete[made_by[e.sequence_nr]], complete[place])
    totals: dict[int, int] = {}
    for time, nbytes, device, thread in allocations:
        totals[device] = totals.get(device, 0) + nbytes
        args = {"Total Allocated": totals[device], "Bytes": nbytes, "Device Id": device, "Device Type": int(device >= 0)}
        records.append({"ph": "i", "cat": "cpu_instant_event", "s": "t", "name": "[memory]", "pid": pid, "tid": thread,
                        "ts": base_us + time, "args": args})  # fmt: skip
    trace = {
        "schemaVersion": 1,
        "deviceProperties": [],
        "record_shapes": int(record_shapes),
        "profile_memory": int(profile_memory),
        "host_name": socket.gethostname(),
        "displayTimeUnit": "ms",
        "baseTimeNanoseconds": 0,
        **metadata,
        "traceEvents": records,
        "traceName": path,
    }
    opener: Any = gzip.open if path.endswith(".gz") else open
    with opener(path, "wt", encoding="utf-8") as file:
        json.dump(trace, file)
