"""norch.utils.benchmark and norch.utils.flop_counter."""

import pytest

import norch
from norch import nn
from norch.utils import benchmark
from norch.utils.flop_counter import FlopCounterMode


def measurement(times, number=1, **spec):
    return benchmark.Measurement(number, times, benchmark.TaskSpec("x", "pass", **spec))


def test_timer():
    seen = []
    timer = benchmark.Timer("seen.append(norch.get_num_threads())", setup="seen.clear()", globals={"seen": seen}, num_threads=2)
    before = norch.get_num_threads()
    m = timer.timeit(5)
    assert m.number_per_run == 5 and len(m.times) == 1 and m.median == m.mean > 0
    assert set(seen) == {2} and len(seen) == 5 and norch.get_num_threads() == before
    several = benchmark.Timer("pass").blocked_autorange(min_run_time=0.01)
    assert sum(several.raw_times) >= 0.01 and several.number_per_run >= 100
    adaptive = benchmark.Timer("sum(range(100))").adaptive_autorange(min_run_time=0.01, max_run_time=0.2)
    assert adaptive.median > 0
    assert "1 thread" in repr(several) and "Median" in repr(adaptive) or len(adaptive.times) == 1


def test_timer_takes_python_only():
    with pytest.raises(NotImplementedError, match="language"):
        benchmark.Timer("1", language="c++")
    with pytest.raises(ValueError, match="str"):
        benchmark.Timer(print)
    with pytest.raises(ValueError, match="global_setup"):
        benchmark.Timer("1", global_setup="x")
    with pytest.raises(NameError):
        benchmark.Timer("no_such_name").timeit(1)


def test_measurements():
    m = measurement([1.0, 2.0, 3.0, 4.0], number=2, label="a", sub_label="b")
    assert (m.median, m.mean, m.iqr) == (1.25, 1.25, 0.75)
    assert m.has_warnings and not m.meets_confidence() and m.title == "a: b" and m.label == "a" and m.stmt == "x"
    assert measurement([1.0] * 9).significant_figures == 4
    (joined,) = benchmark.Measurement.merge([m, m])
    assert joined.number_per_run == 1 and joined.times == m.times * 2
    with pytest.raises(ValueError, match="No measurements"):
        measurement([]).median
    with pytest.raises(AttributeError):
        m.nonsense
    assert benchmark.select_unit(3e-6)[0] == "us" and benchmark.trim_sigfig(123456.0, 2) == 120000.0


def test_compare():
    results = [
        measurement([1e-5] * 5, label="sums", sub_label="small", description="one"),
        measurement([3e-5] * 5, label="sums", sub_label="small", description="two"),
        measurement([9e-5] * 5, label="sums", sub_label="large", description="one", num_threads=2),
    ]
    compare = benchmark.Compare(results)
    lines = str(compare).splitlines()
    assert "sums" in lines[0] and lines[1].split() == ["|", "one", "|", "two"]
    assert lines[2].startswith("1 threads: ---") and lines[3].split() == ["small", "|", "10.0", "|", "30.0"]
    assert lines[4].startswith("2 threads: ---") and lines[5].split() == ["large", "|", "90.0", "|"]
    assert "microseconds" in str(compare)
    compare.trim_significant_figures()
    compare.colorize(rowwise=True)
    assert "\033[92m" in str(compare) and "\033[2m\033[91m" in str(compare)
    with pytest.raises(ValueError, match="Measurement"):
        compare.extend_results([1])


def flops(run, **options):
    with FlopCounterMode(display=False, **options) as counter:
        run()
    return counter.get_total_flops()


def test_flops_of_products():
    r = norch.ones
    assert flops(lambda: r(3, 4) @ r(4, 5)) == 120
    assert flops(lambda: norch.mm(r(3, 4), r(4, 5))) == 120
    assert flops(lambda: norch.addmm(r(5), r(3, 4), r(4, 5))) == 120
    assert flops(lambda: r(2, 3, 4).bmm(r(2, 4, 5))) == 240
    assert flops(lambda: norch.baddbmm(r(2, 3, 5), r(2, 3, 4), r(2, 4, 5))) == 240
    assert flops(lambda: norch.matmul(r(2, 3, 4), r(4, 5))) == 240
    assert flops(lambda: norch.matmul(r(7, 1, 3, 4), r(2, 4, 5))) == 7 * 240
    assert flops(lambda: nn.functional.linear(r(2, 3, 4), r(5, 4))) == 240
    assert flops(lambda: (r(3) * r(3)).sum()) == 0


def test_flops_of_convolutions_and_attention():
    r, f = norch.ones, nn.functional
    assert flops(lambda: f.conv2d(r(2, 3, 8, 8), r(6, 3, 3, 3), stride=2, padding=1)) == 2 * 2 * 16 * 6 * 3 * 9
    assert flops(lambda: f.conv1d(r(3, 8), r(6, 1, 3), groups=3)) == 2 * 6 * 6 * 1 * 3
    assert flops(lambda: f.conv_transpose2d(r(2, 3, 4, 4), r(3, 6, 2, 2), stride=2)) == 2 * 2 * 16 * 3 * 6 * 4
    q = r(2, 4, 5, 8)
    assert flops(lambda: f.scaled_dot_product_attention(q, r(2, 4, 6, 8), r(2, 4, 6, 8))) == 2 * 2 * (2 * 4 * 5 * 6 * 8)


def test_flops_of_a_model_with_gradients():
    net = nn.Sequential(nn.Conv2d(3, 8, 3, padding=1), nn.ReLU(), nn.Flatten(), nn.Linear(8 * 64, 10))
    x = norch.randn(2, 3, 8, 8)
    conv, linear = 2 * 2 * 64 * 8 * 3 * 9, 2 * 2 * 512 * 10
    with FlopCounterMode(display=False) as counter:
        net(x).sum().backward()
    counts = counter.get_flop_counts()
    # The images need no gradient.
    assert counts["Global"] == {
        "aten.convolution": conv, "aten.convolution_backward": conv, "aten.addmm": linear, "aten.mm": 2 * linear,
    }  # fmt: skip
    assert counts["Sequential.0"] == {"aten.convolution": conv, "aten.convolution_backward": conv}
    assert sum(counts["Sequential.3"].values()) == 3 * linear
    assert counter.get_total_flops() == 2 * conv + 3 * linear
    table = counter.get_table(depth=1)
    assert "Global" in table and "Sequential" in table and "Sequential.0" not in table and "100.00%" in table
    with norch.no_grad():
        assert flops(lambda: net(x)) == conv + linear


def test_flops_display_and_errors(capsys):
    with FlopCounterMode() as counter:
        norch.ones(2, 2) @ norch.ones(2, 2)
    assert "aten.mm" in capsys.readouterr().out and counter.get_total_flops() == 16
    net = nn.Linear(2, 2)
    with pytest.raises(RuntimeError), FlopCounterMode() as counter:
        net(norch.ones(3))
    assert not capsys.readouterr().out
    with FlopCounterMode(display=False) as counter:  # hooks of the one before are gone
        net(norch.ones(1, 2))
    assert counter.get_total_flops() == 8
    with norch.profiler.profile(), pytest.raises(RuntimeError, match="already"):
        with FlopCounterMode():
            pass
