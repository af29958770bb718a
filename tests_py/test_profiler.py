"""norch.profiler: what is recorded, how it adds up, tables, schedules, traces."""

import gzip
import json
import threading

import pytest

import norch
from norch import nn
from norch.profiler import (
    ProfilerAction,
    ProfilerActivity,
    profile,
    record_function,
    schedule,
    supported_activities,
    tensorboard_trace_handler,
)


def names(prof):
    return [e.name for e in prof.events()]


def find(prof, name):
    return next(e for e in prof.events() if e.name == name)


def train_step():
    model = nn.Sequential(nn.Linear(4, 8), nn.ReLU(), nn.Linear(8, 2))
    optimizer = norch.optim.SGD(model.parameters(), lr=0.1, momentum=0.9)
    with record_function("forward"):
        loss = model(norch.ones(3, 4)).sum()
    loss.backward()
    optimizer.step()
    optimizer.zero_grad()


def test_functions_methods_and_operators_have_pytorchs_names():
    x = norch.ones(3, 3)
    with profile() as prof:
        norch.mul(x, x)
        x.exp()
        x @ x
        x + 1
        1 - x
        -x
        x > 0
        x[0], x[:1], x[x > 0]
        x += 1
        nn.functional.cross_entropy(x, norch.tensor([0, 1, 2]))
        norch.linalg.inv(x + norch.eye(3))
        norch.fft.fft(x)
        x.sum().item()
        float(x.sum())
    assert names(prof) == [
        "aten::mul", "aten::exp", "aten::matmul", "aten::add", "aten::sub", "aten::neg", "aten::gt", "aten::select",
        "aten::slice", "aten::gt", "aten::index", "aten::add_", "aten::tensor", "aten::cross_entropy_loss", "aten::eye",
        "aten::add", "aten::linalg_inv", "aten::fft_fft", "aten::sum", "aten::item", "aten::sum", "aten::item",
    ]  # fmt: skip


def test_calls_that_are_no_operations_are_left_out():
    x = norch.ones(3, requires_grad=True)
    with profile() as prof:
        x.size(), x.dim(), x.is_contiguous(), norch.is_grad_enabled(), x.requires_grad_(), x.shape, x.data_ptr()
        norch.get_num_threads()
    assert names(prof) == []


def test_a_training_step():
    with profile() as prof:
        train_step()
    found = names(prof)
    for name in (
        "forward", "aten::linear", "aten::relu", "autograd::engine::evaluate_function: ReluBackward0", "ReluBackward0",
        "torch::autograd::AccumulateGrad", "Optimizer.step#SGD.step", "aten::_fused_sgd_",
        "Optimizer.zero_grad#SGD.zero_grad",
    ):  # fmt: skip
        assert name in found, name
    assert find(prof, "aten::relu").cpu_parent.name == "forward"
    assert find(prof, "aten::_fused_sgd_").cpu_parent.name == "Optimizer.step#SGD.step"
    assert find(prof, "ReluBackward0").cpu_parent.name.startswith("autograd::engine")


def test_self_times_add_up():
    with profile() as prof:
        train_step()
    events = prof.events()
    for e in events:
        assert 0 <= e.self_cpu_time_total <= e.cpu_time_total
        assert e.cpu_time_total == pytest.approx(e.self_cpu_time_total + sum(c.cpu_time_total for c in e.cpu_children))
        for c in e.cpu_children:
            assert c.cpu_parent is e
            assert e.time_range.start <= c.time_range.start <= c.time_range.end <= e.time_range.end
    top = sum(e.cpu_time_total for e in events if e.cpu_parent is None)
    assert prof.profiler.self_cpu_time_total == pytest.approx(top)
    averages = prof.key_averages()
    assert sum(a.self_cpu_time_total for a in averages) == pytest.approx(top)
    assert averages.total_average().count == len(events)
    linear = next(a for a in averages if a.key == "aten::linear")
    assert linear.count == 2
    assert linear.cpu_time == pytest.approx(linear.cpu_time_total / 2)


def test_shapes():
    with profile(record_shapes=True) as prof:
        x, y = norch.ones(2, 3), norch.ones(3)
        norch.add(x, y)
        norch.add(x, other=x)
        norch.cat([x, x], 0)
        x * 2
    added = [e.input_shapes for e in prof.events() if e.name == "aten::add"]
    assert added == [[[2, 3], [3]], [[2, 3], [2, 3]]]
    assert find(prof, "aten::cat").input_shapes == [[[2, 3], [2, 3]], []]
    assert find(prof, "aten::mul").input_shapes == [[2, 3], []]
    assert [a.count for a in prof.key_averages() if a.key == "aten::add"] == [2]
    assert [a.count for a in prof.key_averages(group_by_input_shape=True) if a.key == "aten::add"] == [1, 1]


def test_memory():
    with profile(profile_memory=True) as prof:
        with record_function("outer"):
            x = norch.ones(1000)
            del x
        y = norch.ones(500)
    assert y is not None
    assert [e.self_cpu_memory_usage for e in prof.events() if e.name == "aten::ones"] == [4000, 2000]
    assert find(prof, "outer").self_cpu_memory_usage == -4000
    assert find(prof, "outer").cpu_memory_usage == 0
    table = prof.key_averages().table()
    assert "CPU Mem" in table and "5.86 KB" in table


def test_memory_outside_of_operations():
    x = norch.ones(1000)
    with profile(profile_memory=True) as prof:
        del x
    assert find(prof, "[memory]").self_cpu_memory_usage == -4000


def test_stacks(tmp_path):
    with profile(with_stack=True) as prof:
        norch.randn(2000, 200).exp()
    assert "test_profiler.py" in find(prof, "aten::exp").stack[0]
    assert "test_stacks" in find(prof, "aten::exp").stack[0]
    assert "Source Location" in prof.key_averages(group_by_stack_n=2).table()
    path = tmp_path / "stacks.txt"
    prof.export_stacks(str(path), "self_cpu_time_total")
    lines = path.read_text().splitlines()
    frames, _, value = lines[-1].rpartition(" ")
    assert frames.endswith("aten::exp") and int(value) > 0
    with pytest.raises(ValueError, match="metric should be one of"):
        prof.export_stacks(str(path), "nonsense")
    with profile() as without:
        norch.ones(1)
    with pytest.raises(RuntimeError, match="with_stack"):
        without.export_stacks(str(path))


def test_table():
    with profile() as prof:
        for _ in range(3):
            norch.ones(1000).exp().sum()
    table = prof.key_averages().table(sort_by="self_cpu_time_total", row_limit=2)
    lines = table.splitlines()
    assert lines[0].startswith("---") and lines[0] == lines[2]
    assert lines[1].split() == "Name Self CPU % Self CPU CPU total % CPU total CPU time avg # of Calls".split()
    assert len(lines) == 3 + 2 + 2
    assert all(line.split()[-1] == "3" for line in lines[3:5])
    assert lines[-1].startswith("Self CPU time total: ")
    times = [a.self_cpu_time_total for a in prof.key_averages()]
    assert f"{max(times):.3f}" in lines[3]
    assert len(prof.key_averages().table(row_limit=-1).splitlines()) == 3 + 3 + 2
    assert "ms" in prof.key_averages().table(time_unit="ms").splitlines()[4]
    assert prof.key_averages().table(header="title").splitlines()[1] == "title"
    assert "aten" in str(prof.key_averages()) and "aten" in prof.events().table(top_level_events_only=True)
    with pytest.raises(ValueError, match="time_unit"):
        prof.key_averages().table(time_unit="h")
    with pytest.raises(AttributeError):
        prof.key_averages().table(sort_by="nonsense")


def test_long_names_are_cut():
    with profile() as prof, record_function("n" * 100):
        pass
    assert "n" * 52 + "..." in prof.key_averages().table()
    assert "n" * 100 in prof.key_averages().table(max_name_column_width=120)


def test_exceptions_inside():
    x = norch.ones(2)
    with pytest.raises(RuntimeError, match="size|shape|match"), profile() as prof:
        with record_function("outer"):
            norch.add(x, norch.ones(3))
    assert find(prof, "aten::add").cpu_parent.name == "outer"
    with profile() as after:
        norch.add(x, x)
    assert names(after) == ["aten::add"] and after.events()[0].cpu_parent is None


def test_an_exception_in_backward():
    x = norch.ones(2, requires_grad=True)
    y = (x * x).sum()

    def fail(grad):
        raise KeyError("hook")

    y.grad_fn.next_functions[0][0]
    z = x * 2
    z.register_hook(fail)
    with profile() as prof, pytest.raises(KeyError):
        z.sum().backward()
    assert all(e.time_range.end >= e.time_range.start for e in prof.events())


def test_threads():
    def work():
        with record_function("worker"):
            norch.ones(10).exp()

    with profile() as prof, record_function("main"):
        threads = [threading.Thread(target=work) for _ in range(2)]
        for t in threads:
            t.start()
        for t in threads:
            t.join()
    workers = [e for e in prof.events() if e.name == "worker"]
    assert len(workers) == 2 and len({e.thread for e in workers}) == 2
    assert all(e.cpu_parent is None for e in workers)
    assert all(e.cpu_parent.name == "worker" for e in prof.events() if e.name == "aten::exp")


def test_record_function_decorates():
    @record_function("twice")
    def double(x):
        """Doubles."""
        return x * 2

    assert double.__doc__ == "Doubles."
    double(norch.ones(1))  # nothing profiles
    with profile() as prof:
        double(norch.ones(1))
    assert find(prof, "aten::mul").cpu_parent.name == "twice"
    with pytest.raises(TypeError, match="must be a str"):
        record_function(3)


def test_ranges_that_end_out_of_order():
    with profile() as prof:
        first, second = record_function("first"), record_function("second")
        first.__enter__()
        second.__enter__()
        first.__exit__(None, None, None)
        norch.ones(1)
        second.__exit__(None, None, None)
    assert find(prof, "aten::ones").cpu_parent.name == "second"


def test_one_profile_at_a_time():
    with profile(), pytest.raises(RuntimeError, match="already"):
        with profile():
            pass
    with profile() as prof:
        norch.ones(1)
    assert names(prof) == ["aten::ones"]


def test_custom_functions():
    class Double(norch.autograd.Function):
        @staticmethod
        def forward(ctx, x):
            return x * 2

        @staticmethod
        def backward(ctx, g):
            return g * 2

    with profile() as prof:
        Double.apply(norch.ones(2, requires_grad=True)).sum().backward()
    assert find(prof, "aten::mul").cpu_parent.name == "Double"
    assert "DoubleBackward" in names(prof)


def test_data_loader():
    loader = norch.utils.data.DataLoader(norch.utils.data.TensorDataset(norch.ones(4, 2)), batch_size=2)
    with profile() as prof:
        list(loader)
    assert "enumerate(DataLoader)#_SingleProcessDataLoaderIter.__next__" in names(prof)


def test_forked_processes_record_nothing():
    import os

    with profile() as prof:
        read, write = os.pipe()
        child = os.fork()
        if child == 0:
            norch.ones(2).exp()
            os.write(write, b"off" if not norch._C._profiler.on() else b"on")
            os._exit(0)
        os.waitpid(child, 0)
        assert os.read(read, 3) == b"off"
        norch.ones(2)
        os.close(read)
        os.close(write)
    assert names(prof) == ["aten::ones"]


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
