"""Names that public programs reach for and few others do: storages, futures, compiler settings, groups of one process."""

import pytest

import norch
from norch import distributed
from norch.distributed.optim import ZeroRedundancyOptimizer


def test_storage_holds_what_views_share():
    t = norch.arange(6.0).reshape(2, 3)
    storage = t[1].storage()
    assert storage.tolist() == list(range(6)) and len(storage) == storage.size() == 6
    assert storage.data_ptr() == t.data_ptr() and storage == t.storage()
    storage[0] = 7
    assert t[0, 0].item() == 7.0 and storage[0] == 7.0


def test_storages_by_dtype():
    storage = norch.FloatStorage([1, 2])
    assert isinstance(storage, norch.FloatStorage) and not isinstance(storage, norch.LongStorage)
    assert isinstance(norch.arange(2).storage(), norch.LongStorage)
    made = norch.FloatTensor(storage)
    made[0] = 5
    assert storage.tolist() == [5.0, 2.0]
    with pytest.raises(TypeError, match="expected a storage of"):
        norch.LongTensor(storage)


def test_storage_from_buffer():
    assert norch.ByteStorage.from_buffer(b"ab").tolist() == [97, 98]
    assert norch.ShortStorage.from_buffer(b"\x01\x00\x02\x00", "little").tolist() == [1, 2]
    assert norch.ShortStorage.from_buffer(b"\x00\x01\x00\x02", "big").tolist() == [1, 2]
    with pytest.raises(TypeError, match="byte_order"):
        norch.ShortStorage.from_buffer(b"\x00\x01")


def test_set_from_a_storage():
    storage = norch.arange(6.0).storage()
    assert norch.empty(0).set_(storage, 1, (2, 2)).tolist() == [[1, 2], [3, 4]]
    assert norch.empty(0).set_(storage, 0, (2, 2), (1, 2)).tolist() == [[0, 2], [1, 3]]
    assert norch.empty(0).set_(storage).tolist() == list(range(6))
    with pytest.raises(RuntimeError, match="same dtype"):
        norch.empty(0, dtype=norch.int64).set_(storage)


def test_resize_keeps_the_elements_and_their_gradient():
    x = norch.ones(2, 3, requires_grad=True)
    (x.resize(3, 2) * norch.arange(6.0).resize_as(norch.ones(3, 2))).sum().backward()
    assert x.grad.tolist() == [[0, 1, 2], [3, 4, 5]]
    with pytest.raises(RuntimeError, match="requested resize to 2x2"):
        x.resize(2, 2)


def test_division_by_python_2_names():
    assert norch.full((1,), 4.0).__rdiv__(2).item() == 0.5 and norch.full((1,), 4.0).__div__(2).item() == 2


@pytest.mark.parametrize("op", ["zeros", "ones", "empty", "rand", "randn", "randint", "full", "empty_permuted", "normal"])
def test_factories_name_themselves_in_errors(op):
    rest = {
        "randint": {"high": 3}, "full": {"fill_value": 1}, "empty_permuted": {"physical_layout": (0,)},
        "normal": {"mean": 0.0, "std": 1.0},
    }.get(op, {})
    with pytest.raises(RuntimeError, match=rf"^{op}: negative dimension -1 in shape \[-1\]"):
        getattr(norch, op)(size=(-1,), **rest)
    if op not in ("empty_permuted", "normal"):
        with pytest.raises(RuntimeError, match=rf"^{op}: a .* tensor of shape .* does not fit in memory"):
            getattr(norch, op)(size=(2**62,), **rest, dtype=norch.float32)
    if op in ("zeros", "ones", "empty"):
        with pytest.raises(RuntimeError, match=rf"^{op}: negative dimension -1"):
            getattr(norch, op)(-1, 2, 2, 2, memory_format=norch.channels_last)


def test_out_dtype_of_products():
    a = norch.full((2, 3), 1.0009765625, dtype=norch.float16)
    wide = norch.mm(a, a.T, out_dtype=norch.float32)
    assert wide.dtype == norch.float32 and wide[0, 0].item() == norch.mm(a.float(), a.T.float())[0, 0].item()
    batch = norch.bmm(a[None], a.T[None], norch.float32)
    assert batch.dtype == norch.float32 and batch.shape == (1, 2, 2)
    bias = norch.ones(2, 2, dtype=norch.float16)
    assert norch.addmm(bias, a, a.T, out_dtype=norch.float32, beta=2, alpha=0).tolist() == [[2, 2], [2, 2]]
    assert norch.baddbmm(bias[None], a[None], a.T[None], norch.float32).dtype == norch.float32
    with pytest.raises(RuntimeError, match="mm: out_dtype must be the same as the operands' dtype"):
        norch.mm(a, a.T, out_dtype=norch.float64)


def test_stft_aligned_to_the_window():
    x = norch.arange(64.0)
    window = norch.arange(1.0, 9)
    aligned = norch.stft(x, 16, 4, 8, window, center=False, return_complex=True, align_to_window=True)
    plain = norch.stft(norch.nn.functional.pad(x, (4, 4)), 16, 4, 8, window, center=False, return_complex=True)
    assert aligned.shape == (9, 15) and norch.equal(aligned, plain)
    with pytest.raises(RuntimeError, match="align_to_window should only be set when center = false"):
        norch.stft(x, 16, return_complex=True, align_to_window=True)


def test_futures():
    future = norch.futures.Future()
    seen = []
    future.add_done_callback(lambda f: seen.append(f.value()))
    failed = future.then(lambda f: 1 / 0)
    with pytest.raises(RuntimeError, match="no result yet"):
        future.value()
    future.set_result(3)
    assert seen == [3] and norch.futures.collect_all([future]).wait() == [future]
    with pytest.raises(ZeroDivisionError):
        failed.wait()
    with pytest.raises(RuntimeError, match="set already"):
        future.set_result(4)
    assert norch.jit.wait(norch.jit.fork(lambda x, y=0: x + y, 1, y=2)) == 3


def test_compiler_settings_are_kept():
    import norch._dynamo
    import norch._inductor.config as config

    config.triton.unique_kernel_names = True
    norch._dynamo.config.suppress_errors = True
    assert norch._dynamo.config.suppress_errors
    with config.patch({"triton.cudagraphs": True}, max_autotune=True), config.patch("not_listed", 1):
        assert config.triton.cudagraphs and config.max_autotune and config.not_listed == 1
    assert not config.triton.cudagraphs and not config.max_autotune and not hasattr(config, "not_listed")

    @norch._dynamo.config.patch(verbose=True)
    def verbose(depth):
        return norch._dynamo.config.verbose and (depth == 0 or verbose(depth - 1))

    kept = norch._dynamo.config.get_config_copy()
    assert verbose(2) and not norch._dynamo.config.verbose and kept["cache_size_limit"] == 8
    norch._dynamo.config.cache_size_limit = 64
    norch._dynamo.config.load_config(kept)
    assert norch._dynamo.config.get_config_copy() == kept and norch._dynamo.config.cache_size_limit == 8
    with pytest.raises(TypeError, match="load_config: expected a mapping of names to values, got bytes"):
        norch._dynamo.config.load_config(b"")
    norch._dynamo.reset()
    assert norch._dynamo.optimize("inductor")(len) is len and norch._dynamo.disable(len) is len


def test_extensions_are_refused_when_built():
    from norch.utils import cpp_extension

    with pytest.raises(RuntimeError, match=r"load\('fast'\): norch builds no extensions"):
        cpp_extension.load("fast", ["fast.cpp"])
    with pytest.raises(RuntimeError, match="norch builds no extensions"):
        cpp_extension.BuildExtension()


def test_checks_raise_their_classes():
    norch._check(True)
    with pytest.raises(RuntimeError, match="Expected cond to be True"):
        norch._check(False)
    for kind, check in ((IndexError, norch._check_index), (ValueError, norch._check_value), (TypeError, norch._check_type)):
        with pytest.raises(kind, match="why"):
            check(False, lambda: "why")
    with pytest.raises(TypeError, match="cond must be a bool"):
        norch._check(1)


def test_backward_formulas_of_softmax():
    x = norch.randn(2, 3, dtype=norch.float64, requires_grad=True)
    g = norch.randn(2, 3, dtype=norch.float64)
    for f, backward in (
        (norch.softmax, norch._softmax_backward_data),
        (norch.log_softmax, norch._log_softmax_backward_data),
    ):
        y = f(x, 1)
        (expected,) = norch.autograd.grad(y, x, g)
        assert norch.allclose(backward(g, y.detach(), 1, x.dtype), expected)


@pytest.fixture
def one_process():
    distributed.init_process_group("gloo", rank=0, world_size=1)
    yield
    distributed.destroy_process_group()


def test_groups_of_one(one_process):
    group = distributed.new_group([0])
    assert distributed.get_rank(group) == 0 and distributed.get_world_size(group) == group.size() == 1
    assert distributed.get_rank(distributed.new_group([])) == -1
    assert distributed.get_process_group_ranks(group) == [0]
    with pytest.raises(ValueError, match="rank should be within"):
        distributed.new_group([0, 1])
    out = [norch.zeros(2)]
    distributed.gather(norch.ones(2), out)
    assert out[0].tolist() == [1, 1]
    objects = [None]
    distributed.scatter_object_list(objects, [{"a": 1}])
    assert objects == [{"a": 1}]
    with pytest.raises(ValueError, match="no process of rank 1"):
        distributed.send(norch.ones(1), 1)
    assert distributed.all_to_all_single(norch.zeros(1), norch.ones(1), async_op=True).get_future().wait()[0].item() == 1


def test_collectives_with_gradients(one_process):
    x = norch.ones(2, requires_grad=True)
    (distributed.nn.all_reduce(x) + distributed.nn.all_gather(x)[0]).sum().backward()
    assert x.grad.tolist() == [2, 2]


def test_zero_redundancy_optimizer_steps_as_its_optimizer(one_process):
    w, v = norch.ones(2, requires_grad=True), norch.ones(2, requires_grad=True)
    ours, plain = ZeroRedundancyOptimizer([w], norch.optim.Adam, lr=0.1), norch.optim.Adam([v], lr=0.1)
    schedules = [norch.optim.lr_scheduler.StepLR(o, 1, 0.5) for o in (ours, plain)]
    for _ in range(3):
        for p, o, s in zip((w, v), (ours, plain), schedules):
            o.zero_grad()
            (p**2).sum().backward()
            o.step()
            s.step()
    assert norch.equal(w, v) and ours.param_groups[0]["lr"] == plain.param_groups[0]["lr"]
    ours.consolidate_state_dict()
    ours.load_state_dict(plain.state_dict())
    ours.add_param_group({"params": [norch.ones(1, requires_grad=True)]})
    assert len(ours.param_groups) == len(ours.optim.param_groups) == 2


def test_optimizers_and_collectives_need_a_group():
    with pytest.raises(ValueError, match="process group has not been initialized"):
        ZeroRedundancyOptimizer([norch.ones(1, requires_grad=True)], norch.optim.SGD)
    with pytest.raises(ValueError, match="process group has not been initialized"):
        distributed.new_group()


def test_get_node_local_rank(monkeypatch):
    monkeypatch.delenv("LOCAL_RANK", raising=False)
    assert distributed.get_node_local_rank(2) == 2
    with pytest.raises(RuntimeError, match="LOCAL_RANK is not in the environment"):
        distributed.get_node_local_rank()
    monkeypatch.setenv("LOCAL_RANK", "1")
    assert distributed.get_node_local_rank() == 1


def test_restore_location_moves_to_the_named_device(tmp_path):
    norch.save({"w": norch.ones(2)}, tmp_path / "w.pt")
    place = norch.serialization.default_restore_location
    loaded = norch.load(tmp_path / "w.pt", map_location=lambda storage, location: place(storage, "cpu"))
    assert loaded["w"].tolist() == [1, 1]


def test_boolean_dispatch():
    from norch._jit_internal import boolean_dispatch

    f = boolean_dispatch("flag", 1, False, lambda x, flag=False: "yes", lambda x, flag=False: "no", __name__, "f")
    assert (f(0), f(0, True), f(0, flag=True), f.__name__) == ("no", "yes", "yes", "f")
