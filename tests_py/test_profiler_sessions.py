"""norch.profiler: schedules and steps, activities, traces, the older interface."""

import gzip
import json

import pytest

import norch
from norch.profiler import ProfilerAction, ProfilerActivity, profile, schedule, supported_activities, tensorboard_trace_handler

from test_profiler import names, train_step


def test_schedule():
    plan = schedule(skip_first=1, wait=1, warmup=1, active=2, repeat=2)
    assert "".join(plan(i).name[0] if plan(i) is not ProfilerAction.RECORD_AND_SAVE else "S" for i in range(11)) == "NNWRSNWRSNN"
    assert schedule(wait=3, warmup=1, active=1, skip_first_wait=1)(0) is ProfilerAction.WARMUP
    with pytest.warns(UserWarning, match="warmup"):
        schedule(wait=0, warmup=0, active=1)
    with pytest.raises(AssertionError, match="active"):
        schedule(wait=0, warmup=1, active=0)


def test_steps():
    ready = []

    def handle(prof):
        ready.append((prof.step_num, names(prof)))

    with profile(schedule=schedule(wait=1, warmup=1, active=2, repeat=2), on_trace_ready=handle) as prof:
        for _ in range(10):
            norch.ones(1)
            prof.step()
    assert ready == [
        (4, ["ProfilerStep#2", "aten::ones", "ProfilerStep#3", "aten::ones"]),
        (8, ["ProfilerStep#6", "aten::ones", "ProfilerStep#7", "aten::ones"]),
    ]
    assert next(a for a in prof.key_averages() if a.key == "ProfilerStep*").count == 2


def test_a_recording_that_is_cut_short_is_handed_over():
    ready = []
    with profile(schedule=schedule(wait=0, warmup=1, active=5), on_trace_ready=lambda p: ready.append(names(p))) as prof:
        prof.step()
        norch.ones(1)
    assert ready == [["ProfilerStep#1", "aten::ones"]]


def test_acc_events():
    with profile(schedule=schedule(wait=0, warmup=1, active=1, repeat=2), acc_events=True) as prof:
        for _ in range(4):
            norch.ones(1)
            prof.step()
    assert names(prof).count("aten::ones") == 2
    assert next(a for a in prof.key_averages() if a.key == "aten::ones").count == 2


def test_nothing_recorded():
    prof = profile(schedule=schedule(wait=5, warmup=1, active=1))
    with prof:
        norch.ones(1)
    with pytest.raises(AssertionError, match="no step"):
        prof.key_averages()
    with profile() as empty:
        pass
    assert empty.key_averages().table() == ""


def test_activities():
    assert ProfilerActivity.CPU in supported_activities()
    if not norch.cuda.is_available():
        with pytest.warns(UserWarning, match="CUDA is not available"):
            with profile(activities=[ProfilerActivity.CPU, ProfilerActivity.CUDA]) as prof:
                norch.ones(1)
        assert "aten::ones" in prof.key_averages().table(sort_by="cuda_time_total")
    with pytest.raises(AssertionError, match="activities"):
        profile(activities=[])


def test_chrome_trace(tmp_path):
    with profile(record_shapes=True, profile_memory=True, with_stack=True) as prof:
        train_step()
    prof.add_metadata("note", "text")
    prof.add_metadata_json("numbers", "[1, 2]")
    path = tmp_path / "trace.json"
    prof.export_chrome_trace(str(path))
    trace = json.loads(path.read_text())
    assert trace["note"] == "text" and trace["numbers"] == [1, 2]
    records = trace["traceEvents"]
    complete = [r for r in records if r["ph"] == "X"]
    assert len(complete) == len(prof.events())
    for r in records:
        assert isinstance(r["pid"], int) and isinstance(r["tid"], int) and isinstance(r["ts"], float)
    for r in complete:
        assert r["dur"] >= 0 and r["cat"] in ("cpu_op", "user_annotation")
    linear = next(r for r in complete if r["name"] == "aten::linear")
    assert linear["args"]["Input Dims"][:2] == [[3, 4], [8, 4]]
    assert linear["args"]["Input type"][:2] == ["float", "float"]
    # Arrows from operations to their nodes in the backward pass.
    starts = {r["id"]: r for r in records if r["ph"] == "s"}
    ends = {r["id"]: r for r in records if r["ph"] == "f"}
    assert starts.keys() == ends.keys() and starts
    relu = next(r for r in complete if r["name"] == "aten::relu")
    arrow = starts[relu["args"]["Sequence number"]]
    assert arrow["ts"] == relu["ts"]
    node = next(r for r in complete if r["name"] == "autograd::engine::evaluate_function: ReluBackward0")
    assert ends[arrow["id"]]["ts"] == node["ts"]
    assert any(r["ph"] == "i" and r["name"] == "[memory]" for r in records)

    prof.events().export_chrome_trace(str(tmp_path / "trace.json.gz"))
    with gzip.open(tmp_path / "trace.json.gz", "rt") as file:
        assert len(json.load(file)["traceEvents"]) == len(records)
    with pytest.raises(RuntimeError, match="sums"):
        prof.key_averages().export_chrome_trace(str(path))


def test_tensorboard_trace_handler(tmp_path):
    folder = tmp_path / "a" / "b"
    with profile(on_trace_ready=tensorboard_trace_handler(str(folder), worker_name="me")):
        norch.ones(1)
    with profile(on_trace_ready=tensorboard_trace_handler(str(folder), use_gzip=True)):
        norch.ones(1)
    first, second = sorted(p.name for p in folder.iterdir() if p.name.startswith("me.")), sorted(folder.glob("*.gz"))
    assert len(first) == 1 and first[0].endswith(".pt.trace.json") and len(second) == 1


def test_the_older_interface():
    with norch.autograd.profiler.profile(record_shapes=True) as prof:
        with norch.autograd.profiler.record_function("block"):
            norch.ones(2, 2) * 3
    assert [e.name for e in prof.function_events] == ["block", "aten::ones", "aten::mul"]
    assert "aten::mul" in prof.table() and "aten::mul" in str(prof)
    assert prof.total_average().count == 3
    with norch.autograd.profiler.profile(enabled=False) as nothing:
        norch.ones(1)
    assert nothing is None
    with pytest.raises(RuntimeError, match="didn't finish"):
        norch.autograd.profiler.profile().table()
    with pytest.raises(RuntimeError, match="not reentrant"):
        with prof:
            pass


def test_under_compat():
    import subprocess
    import sys

    program = (
        "import norch.compat\n"
        "norch.compat.install()\n"
        "import torch\n"
        "from torch.profiler import profile, ProfilerActivity, record_function\n"
        "import torch.autograd.profiler as old\n"
        "with profile(activities=[ProfilerActivity.CPU]) as p, old.record_function('a'):\n"
        "    torch.ones(2) + 1\n"
        "print([e.name for e in p.events()])\n"
    )
    result = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True)
    assert result.stdout.strip() == "['a', 'aten::ones', 'aten::add']", result.stderr
