"""Names that public programs reach for and few others do: storages, futures, compiler settings, ..."""

import pytest

import norch


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

    @norch._functorch.config.patch("donated_buffer", True)
    def donated():
        return norch._functorch.config.donated_buffer

    assert donated() and not norch._functorch.config.donated_buffer
    norch._logging.set_logs(graph_breaks=True)
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


def test_asserting_a_tensor():
    norch._assert_async(norch.tensor(True))
    with pytest.raises(RuntimeError, match="nonzero value, but got zero"):
        norch._assert_async(norch.tensor(0))
    with pytest.raises(RuntimeError, match="mine"):
        norch._assert_async(norch.tensor(False), "mine")
    with pytest.raises(RuntimeError, match="ambiguous"):
        norch._assert_async(norch.ones(2))


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


def test_restore_location_moves_to_the_named_device(tmp_path):
    norch.save({"w": norch.ones(2)}, tmp_path / "w.pt")
    place = norch.serialization.default_restore_location
    loaded = norch.load(tmp_path / "w.pt", map_location=lambda storage, location: place(storage, "cpu"))
    assert loaded["w"].tolist() == [1, 1]


def test_boolean_dispatch():
    from norch._jit_internal import boolean_dispatch

    f = boolean_dispatch("flag", 1, False, lambda x, flag=False: "yes", lambda x, flag=False: "no", __name__, "f")
    assert (f(0), f(0, True), f(0, flag=True), f.__name__) == ("no", "yes", "yes", "f")


def test_shapes_as_tensors():
    from norch.onnx import operators

    x = norch.arange(6.0).reshape(2, 3)
    assert operators.shape_as_tensor(x).tolist() == [2, 3]
    assert operators.reshape_from_tensor_shape(x, norch.tensor([3, -1])).shape == (3, 2)
    assert norch.nn.functional.has_torch_function((x,)) is False
