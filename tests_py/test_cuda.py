"""norch.cuda: devices, memory, streams, events, and what goes wrong on a GPU."""

import gc
import os
import subprocess
import sys
import threading

import numpy as np
import pytest

import norch

on_gpu = pytest.mark.cuda


@pytest.fixture
def little_memory():
    """Lets this process hold 1 GiB of the GPU."""
    gc.collect()
    norch.cuda.empty_cache()
    norch.cuda.set_per_process_memory_fraction((1 << 30) / norch.cuda.mem_get_info()[1])
    yield
    norch.cuda.set_per_process_memory_fraction(1.0)
    norch.cuda.empty_cache()


def keep_busy(rounds=200):
    x = norch.ones(1 << 24, device="cuda")
    for _ in range(rounds):
        x.mul_(1.0)


# ---- without a GPU


def test_availability_is_consistent():
    assert norch.cuda.is_available() == (norch.cuda.device_count() > 0)
    assert norch.cuda.is_available() == (norch.cuda.why_unavailable() == "")


@pytest.mark.skipif(norch.cuda.is_available(), reason="there is a GPU")
@pytest.mark.parametrize(
    "use",
    [
        lambda: norch.tensor([1.0], device="cuda"),
        lambda: norch.tensor([1.0]).cuda(),
        lambda: norch.tensor([1.0]).to("cuda:0"),
        norch.cuda.current_device,
        norch.cuda.synchronize,
        norch.cuda.init,
        norch.cuda.Stream,
        norch.cuda.current_stream,
        norch.cuda.mem_get_info,
        norch.cuda.get_device_name,
        lambda: norch.cuda.set_device(0),
        lambda: norch.cuda.Event().record(),
    ],
)
def test_without_a_gpu_the_error_says_why(use):
    with pytest.raises(RuntimeError, match="CUDA") as error:
        use()
    assert norch.cuda.why_unavailable() in str(error.value)


@pytest.mark.skipif(norch.cuda.is_available(), reason="a GPU")
def test_marks_for_profilers_need_a_gpu():
    with pytest.raises(AssertionError, match="CUDA"):
        norch.cuda.cudart()
    with pytest.raises(AssertionError, match="CUDA"), norch.cuda.profiler.profile():
        pass


def test_a_library_with_cuda_works_where_no_gpu_is_visible():
    code = (
        "import norch; assert not norch.cuda.is_available(); assert norch.cuda.why_unavailable();"
        "assert (norch.tensor([1.0]) * 2).item() == 2; norch.cuda.empty_cache()"
    )
    environment = {**os.environ, "CUDA_VISIBLE_DEVICES": ""}
    result = subprocess.run([sys.executable, "-c", code], env=environment, capture_output=True, text=True)
    assert result.returncode == 0 and result.stderr == "" and result.stdout == "", result.stderr


def test_devices_are_checked():
    with pytest.raises(ValueError, match="Expected a cuda device, but got: cpu"):
        norch.cuda.synchronize("cpu")
    with pytest.raises(RuntimeError):
        norch.cuda.set_device("cuda:99")
    with pytest.raises(RuntimeError):
        norch.tensor([1.0], device="cuda:99")


# ---- devices


@on_gpu
def test_what_there_is():
    assert norch.cuda.device_count() >= 1
    assert norch.cuda.current_device() == 0
    assert norch.cuda.get_device_name()
    assert norch.cuda.get_device_name(norch.device("cuda:0")) == norch.cuda.get_device_properties("cuda").name
    major, minor = norch.cuda.get_device_capability(0)
    assert major >= 5 and minor >= 0
    properties = norch.cuda.get_device_properties(0)
    assert properties.total_memory > 1 << 30 and properties.multi_processor_count > 0
    assert "total_memory" in repr(properties)
    assert norch.cuda.is_initialized()
    norch.cuda.init()
    with norch.cuda.device(0):
        assert norch.tensor([1.0], device="cuda").device.index == 0
    with norch.cuda.device(None), norch.cuda.device("cuda"):
        assert norch.cuda.current_device() == 0


@on_gpu
def test_numbers_are_no_transfers():
    x = norch.tensor([1.0, 2.0, 3.0], device="cuda")
    np.testing.assert_array_equal((2.0 * x + 1).cpu().numpy(), [3, 5, 7])
    np.testing.assert_array_equal((x * norch.tensor(2.0)).cpu().numpy(), [2, 4, 6])
    with pytest.raises(RuntimeError, match="same device"):
        x + norch.tensor([1.0, 2.0, 3.0])


# ---- memory


@pytest.mark.skipif(norch.cuda.is_available(), reason="a GPU")
def test_without_a_gpu_no_memory_is_in_use():
    assert norch.cuda.memory_allocated() == norch.cuda.max_memory_allocated("cuda:0") == 0
    assert norch.cuda.memory_reserved() == norch.cuda.max_memory_reserved() == 0


@on_gpu
def test_memory_is_counted():
    gc.collect()
    before = norch.cuda.memory_allocated()
    norch.cuda.reset_peak_memory_stats()
    x = norch.ones(1 << 20, device="cuda")
    assert norch.cuda.memory_allocated() == before + (4 << 20)
    assert norch.cuda.memory_reserved() >= norch.cuda.memory_allocated()
    y = x + x
    del x, y
    assert norch.cuda.memory_allocated() == before
    assert norch.cuda.max_memory_allocated() >= before + (8 << 20)
    assert norch.cuda.max_memory_reserved() >= norch.cuda.max_memory_allocated()
    free, total = norch.cuda.mem_get_info()
    assert 0 < free <= total


@on_gpu
def test_nothing_leaks_in_training():
    w = norch.ones(256, 256, device="cuda", requires_grad=True)
    x = norch.ones(64, 256, device="cuda")

    def step():
        ((x @ w) * 0.5).sum().backward()
        w.grad = None

    step()
    gc.collect()
    before = norch.cuda.memory_allocated(), norch.cuda.memory_reserved()
    for _ in range(20):
        step()
    assert (norch.cuda.memory_allocated(), norch.cuda.memory_reserved()) == before


@on_gpu
def test_out_of_memory_is_an_exception_only(little_memory):
    assert issubclass(norch.cuda.OutOfMemoryError, RuntimeError)
    assert norch.cuda.OutOfMemoryError is norch.OutOfMemoryError
    with pytest.raises(norch.OutOfMemoryError, match=r"Tried to allocate 1638400\.0 MiB on cuda:0"):
        norch.ones(400 << 30, device="cuda")
    held = []
    with pytest.raises(norch.OutOfMemoryError, match="in use by tensors"):
        while True:
            held.append(norch.ones(50 << 20, device="cuda"))
    assert len(held) == 5
    assert held[4].sum().item() == 50 << 20  # what fits in the rest still runs
    held.clear()
    x = norch.ones(200 << 20, device="cuda")  # the freed blocks make room for a larger one
    assert x[-1].item() == 1
    with pytest.raises(ValueError, match="Invalid fraction"):
        norch.cuda.set_per_process_memory_fraction(2)


# ---- streams and events


@on_gpu
def test_streams():
    default, side = norch.cuda.default_stream(), norch.cuda.Stream()
    assert norch.cuda.current_stream() == default != side
    assert default.cuda_stream == 0 and side.cuda_stream != 0
    assert len({default, norch.cuda.default_stream(), side}) == 2 and side != "side"
    assert side.device == norch.device("cuda:0")
    assert norch.cuda.ExternalStream(side.cuda_stream) == side
    x = norch.zeros(1 << 20, device="cuda")
    keep_busy()
    x.fill_(3.0)
    side.wait_stream(default)
    with norch.cuda.stream(side):
        assert norch.cuda.current_stream() == side
        y = x * 2.0
    with norch.cuda.stream(None):
        assert norch.cuda.current_stream() == default
    default.wait_stream(side)
    assert (y + 0.0)[-1].item() == 6
    side.synchronize()
    assert side.query()
    with pytest.raises(ValueError, match="priority"):
        norch.cuda.Stream(priority=7)


@on_gpu
def test_a_stream_is_current_for_its_thread_only():
    seen = []
    with norch.cuda.stream(norch.cuda.Stream()):
        thread = threading.Thread(target=lambda: seen.append(norch.cuda.current_stream()))
        thread.start()
        thread.join()
    assert seen == [norch.cuda.default_stream()]


@on_gpu
def test_a_stream_is_left_when_an_error_passes():
    with pytest.raises(KeyError), norch.cuda.stream(norch.cuda.Stream()):
        raise KeyError
    assert norch.cuda.current_stream() == norch.cuda.default_stream()


@on_gpu
def test_memory_used_on_another_stream():
    side = norch.cuda.Stream()
    x = norch.full((1 << 20,), 5.0, device="cuda")
    side.wait_stream(norch.cuda.current_stream())
    with norch.cuda.stream(side):
        keep_busy()
        y = x + 1.0
    x.record_stream(side)
    del x
    for _ in range(4):
        norch.full((1 << 20,), -1.0, device="cuda")
    side.synchronize()
    assert y.cpu().numpy().min() == 6


@on_gpu
def test_events():
    start, end = norch.cuda.Event(enable_timing=True), norch.cuda.Event(enable_timing=True)
    assert start.query()
    start.record()
    keep_busy()
    end.record(norch.cuda.current_stream())
    assert not end.query()  # nothing waited for the GPU so far
    end.synchronize()
    assert end.query() and 0.1 < start.elapsed_time(end) < 1e4
    with pytest.raises(RuntimeError, match="enable_timing"):
        norch.cuda.Event().elapsed_time(end)
    end.wait(norch.cuda.Stream())
    norch.cuda.synchronize()


@on_gpu
def test_threads_wait_for_the_gpu_without_the_gil():
    """While one thread waits for the GPU, Python goes on in another."""
    norch.cuda.synchronize()
    keep_busy(3000)
    counted = []

    def count():
        while norch.cuda.current_stream().query() is False:
            counted.append(1)

    thread = threading.Thread(target=count)
    thread.start()
    norch.cuda.synchronize()
    thread.join()
    assert len(counted) > 10


# ---- processes


@on_gpu
def test_a_forked_child_gets_an_error_and_leaves_the_parent_alone():
    code = """
import os, sys, norch
x = norch.ones(1000, device="cuda")
child = os.fork()
if child == 0:
    try:
        norch.ones(5, device="cuda")
    except RuntimeError as error:
        del x
        norch.cuda.empty_cache()
        os._exit(3 if "spawn" in str(error) else 4)
    os._exit(5)
assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 3
assert (x + norch.ones(1000, device="cuda")).sum().item() == 2000
"""
    result = subprocess.run([sys.executable, "-W", "ignore", "-c", code], capture_output=True, text=True, timeout=60)
    assert result.returncode == 0, result.stderr


# ---- copies


@on_gpu
@pytest.mark.parametrize("n", [0, 1, 1000, 16384, 16385, 1 << 22])
def test_round_trips(n):
    a = np.random.default_rng(n).standard_normal(n).astype(np.float32)
    x = norch.from_numpy(a)
    g = x.cuda()
    a[:] = 0  # the copy has been taken
    np.testing.assert_array_equal(g.cpu().numpy(), np.random.default_rng(n).standard_normal(n).astype(np.float32))


@on_gpu
def test_dlpack_between_devices_and_streams():
    x = norch.arange(12.0, device="cuda").reshape(3, 4)
    y = norch.from_dlpack(x)
    assert y.data_ptr() == x.data_ptr() and y.device == x.device
    y.mul_(2.0)
    np.testing.assert_array_equal(x.cpu().numpy(), np.arange(12.0).reshape(3, 4) * 2)
    assert x.__dlpack_device__() == (2, 0)
    side = norch.cuda.Stream()
    keep_busy()
    x.add_(1.0)
    capsule = x.__dlpack__(stream=side.cuda_stream)
    with norch.cuda.stream(side):
        z = norch.from_dlpack(capsule)
        assert (z * 1.0)[0, 0].item() == 1
    with pytest.raises(ValueError):
        x.__dlpack__(stream=0)
    x.__dlpack__(stream=-1)


@on_gpu
def test_dlpack_with_torch():
    torch = pytest.importorskip("torch")
    if not torch.cuda.is_available():
        pytest.skip("this torch has no CUDA")
    t = torch.arange(6, dtype=torch.float32, device="cuda")
    x = norch.from_dlpack(t)
    x.add_(1.0)
    assert t.tolist() == [1, 2, 3, 4, 5, 6]
    back = torch.from_dlpack(x * 2.0)
    assert back.tolist() == [2, 4, 6, 8, 10, 12]


# ---- errors that kernels find


@on_gpu
def test_an_index_out_of_range_is_an_exception_only():
    """Found by the kernel, raised at the next call that waits for the GPU; the GPU goes on working."""
    x = norch.arange(10.0, device="cuda")
    index = norch.tensor([1, 12], device="cuda")
    with pytest.raises(IndexError, match="12"):
        x.index_select(0, index).cpu()
    norch.cuda.synchronize()
    assert x.index_select(0, norch.tensor([3], device="cuda")).item() == 3
    with pytest.raises(IndexError, match="12"):
        x[index]
        norch.cuda.synchronize()
    assert x.sum().item() == 45
