"""norch.profiler: what is recorded, how it adds up, tables."""

import threading

import pytest

import norch
from norch import nn
from norch.profiler import profile, record_function


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
