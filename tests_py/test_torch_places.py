"""PyTorch's smaller namespaces: backends, accelerator, jit, hub, testing, ..."""

import math
import os
import sys
import types

import numpy as np
import pytest

import norch
from norch import nn
from norch.testing import assert_close


def test_settings_are_accepted():
    norch.use_deterministic_algorithms(False)
    assert norch.are_deterministic_algorithms_enabled()
    norch.backends.cudnn.benchmark = True
    with pytest.raises(AttributeError, match="Unknown attribute"):
        norch.backends.cuda.matmul.allow_tf23 = True
    with norch.backends.cudnn.flags(enabled=False), norch.backends.cuda.sdp_kernel(enable_math=False):
        assert not norch.backends.cuda.math_sdp_enabled()
    assert norch.backends.cuda.math_sdp_enabled()
    assert not norch.backends.mps.is_available() and not norch.backends.mkl.is_available()
    norch.backends.cudnn.benchmark = False


def test_accelerator():
    assert norch.accelerator.is_available() == norch.cuda.is_available()
    assert norch.accelerator.device_count() == norch.cuda.device_count()
    found = norch.accelerator.current_accelerator(check_available=True)
    assert found == (norch.device("cuda") if norch.cuda.is_available() else None)
    assert norch.get_device_module("cpu") is norch.cpu and norch.cpu.device_count() == 1


def test_compile_and_jit_return_what_they_get():
    model = nn.Linear(2, 2)

    @norch.compile
    def f(x):
        return x + 1

    @norch.compile(mode="max-autotune", fullgraph=True)
    def g(x):
        return x + 2

    assert f(1) == 2 and g(1) == 3
    assert norch.compile(model) is model and norch.jit.script(model) is model and norch.jit.trace(f, (1,)) is f
    assert not norch.jit.is_scripting() and not norch.compiler.is_compiling()
    assert norch.jit.isinstance([1, 2], list[int]) and not norch.jit.isinstance([1, "a"], list[int])

    @norch.jit.ignore(drop=True)
    def h():
        return 1

    assert h() == 1
    for refused in (norch.jit.save, norch.jit.load, norch.onnx.export):
        with pytest.raises(NotImplementedError, match="norch"):
            refused(model, "x")
    with pytest.raises(TypeError, match="expected a function"):
        norch.compile(3)


def test_hub(tmp_path, monkeypatch):
    monkeypatch.setenv("TORCH_HOME", str(tmp_path))
    assert norch.hub.get_dir() == str(tmp_path / "hub")
    weights = nn.Linear(2, 3).state_dict()
    folder = tmp_path / "hub" / "checkpoints"
    folder.mkdir(parents=True)
    norch.save(weights, folder / "cached.pth")
    cached = norch.hub.load_state_dict_from_url("https://example.invalid/a/cached.pth")
    from_file = norch.hub.load_state_dict_from_url((folder / "cached.pth").as_uri())
    assert all(norch.equal(weights[k], cached[k]) and norch.equal(weights[k], from_file[k]) for k in weights)
    with pytest.raises(RuntimeError, match="fetches no code from the network"):
        norch.hub.load("owner/name", "model")
    (tmp_path / "hubconf.py").write_text("def two(scale=1):\n    'Twice.'\n    return 2 * scale\n")
    assert norch.hub.load(str(tmp_path), "two", scale=3, source="local") == 6
    assert norch.hub.list(str(tmp_path), source="local") == ["two"] and norch.hub.help(str(tmp_path), "two", source="local") == "Twice."
    with pytest.raises(RuntimeError, match="Cannot find callable one"):
        norch.hub.load(str(tmp_path), "one", source="local")


def test_hub_checks_what_it_gets(tmp_path):
    source = tmp_path / "file"
    source.write_bytes(b"abc")
    norch.hub.download_url_to_file(source.as_uri(), str(tmp_path / "copy"), "ba7816bf", progress=False)
    assert (tmp_path / "copy").read_bytes() == b"abc"
    with pytest.raises(RuntimeError, match="invalid hash value"):
        norch.hub.download_url_to_file(source.as_uri(), str(tmp_path / "other"), "00", progress=False)
    with pytest.raises(RuntimeError, match="could not fetch"):
        norch.hub.download_url_to_file((tmp_path / "none").as_uri(), str(tmp_path / "other"), progress=False)
    assert sorted(os.listdir(tmp_path)) == ["copy", "file"]


def test_assert_close():
    assert_close({"a": [1.0, norch.ones(2)]}, {"a": [1.0, norch.ones(2) + 1e-7]})
    assert_close(norch.tensor([math.nan]), norch.tensor([math.nan]), equal_nan=True)
    with pytest.raises(AssertionError) as e:
        assert_close(norch.tensor([1.0, 2.0, 3.0]), norch.tensor([1.0, 2.5, 3.0]))
    assert str(e.value) == (
        "Tensor-likes are not close!\n\nMismatched elements: 1 / 3 (33.3%)\n"
        "Greatest absolute difference: 0.5 at index (1,) (up to 1e-05 allowed)\n"
        "Greatest relative difference: 0.20000000298023224 at index (1,) (up to 1.3e-06 allowed)"
    ) or "Greatest absolute difference: 0.5 at index (1,)" in str(e.value)
    for a, b, text in [
        (norch.ones(2), norch.ones(3), "'shape' do not match"),
        (norch.ones(2), norch.ones(2, dtype=norch.float64), "'dtype' do not match"),
        (norch.tensor([1, 2]), norch.tensor([1, 3]), "Tensor-likes are not equal"),
        ([1.0], [1.0, 2.0], "length of the sequences"),
        ({"a": [1.0]}, {"a": [2.0]}, r"item \['a'\]\[0\]"),
        (1.0, 1.1, "Scalars are not close"),
    ]:
        with pytest.raises(AssertionError, match=text):
            assert_close(a, b)
    with pytest.raises(TypeError, match="No comparison pair"):
        assert_close("a", "a")
    with pytest.raises(ValueError, match="both 'rtol' and 'atol'"):
        assert_close(norch.ones(1), norch.ones(1), rtol=1.0)
    with pytest.raises(AssertionError, match="^mine"):
        assert_close(1.0, 2.0, msg=lambda text: "mine: " + text)


def test_pytree():
    from collections import OrderedDict, namedtuple

    from norch.utils import _pytree as pytree

    Point = namedtuple("Point", "x y")
    tree = {"b": [1, (2, None)], "a": OrderedDict(z=Point(3, 4))}
    leaves, spec = pytree.tree_flatten(tree)
    assert leaves == [1, 2, None, 3, 4] and pytree.tree_unflatten(leaves, spec) == tree and spec.num_leaves == 5
    assert pytree.tree_map(lambda a, b: a + b, [1, (2,)], [10, (20,)]) == [11, (22,)]
    assert pytree.tree_map_only(int, lambda x: -x, [1, "a"]) == [-1, "a"]
    with pytest.raises(ValueError, match="trees differ"):
        pytree.tree_map(max, [1, 2], [1])
    with pytest.raises(ValueError, match="holds 1 items"):
        pytree.tree_unflatten([1, 2], pytree.tree_structure([0]))


def test_trees_of_ones_own_classes():
    from norch.utils import _pytree

    class Pair:
        def __init__(self, a, b):
            self.a, self.b = a, b

    _pytree.register_pytree_node(Pair, lambda p: ([p.a, p.b], None), lambda c, _: Pair(*c))
    out = _pytree.tree_map(lambda v: v + 1, {"x": Pair(1, [2])})
    assert (out["x"].a, out["x"].b) == (2, [3])
    assert _pytree.arg_tree_leaves(1, [2, 3], k=Pair(4, 5)) == [1, 2, 3, 4, 5]
    assert _pytree.LeafSpec().is_leaf()
    with pytest.raises(ValueError, match="already registered"):
        _pytree.register_pytree_node(Pair, lambda p: ([], None), lambda c, _: None)


def _child(index, fail):
    if index == 1 and fail:
        raise ValueError("a bad child")


def test_multiprocessing_spawn():
    import norch.multiprocessing as mp

    assert mp.spawn(_child, (False,), nprocs=2) is None
    with pytest.raises(mp.ProcessRaisedException, match="a bad child"):
        mp.spawn(_child, (True,), nprocs=2)
    with pytest.warns(FutureWarning, match="only supports start_method=spawn"):
        mp.spawn(_child, nprocs=0, start_method="fork")
    assert mp.get_sharing_strategy() in mp.get_all_sharing_strategies() and mp.Process is not None


def test_summary_writer(tmp_path, monkeypatch):
    from norch.utils.tensorboard import SummaryWriter

    written = []

    class Writer:
        def __init__(self, *args, **kwargs):
            self.flushed = False

        def add_scalar(self, tag, value, step):
            written.append((tag, value, step))

        def flush(self):
            pass

        close = flush

    module = types.ModuleType("tensorboardX")
    module.SummaryWriter = Writer
    monkeypatch.setitem(sys.modules, "tensorboardX", module)
    with SummaryWriter(tmp_path) as writer:
        writer.add_scalar("loss", norch.tensor(1.5, requires_grad=True), 3)
        with pytest.raises(NotImplementedError, match="no graph"):
            writer.add_graph(None)
        with pytest.raises(AttributeError, match="add_nothing"):
            writer.add_nothing()
    ((tag, value, step),) = written
    assert tag == "loss" and isinstance(value, np.ndarray) and value == 1.5 and step == 3
    monkeypatch.setitem(sys.modules, "tensorboardX", None)
    monkeypatch.setitem(sys.modules, "tensorboard", None)
    with pytest.raises(ModuleNotFoundError, match="pip install tensorboardX"):
        SummaryWriter(tmp_path)


def test_event_files(tmp_path):
    accumulator = pytest.importorskip("tensorboard.backend.event_processing.event_accumulator")
    from norch.utils.tensorboard._events import EventWriter

    writer = EventWriter(str(tmp_path), None, 10, 120, "")
    writer.add_scalar("loss", np.float32(1.5), 3)
    writer.add_histogram("h", np.arange(10.0))
    writer.add_image("i", np.zeros((3, 4, 5), np.float32))
    writer.add_text("t", "hello")
    writer.close()
    events = accumulator.EventAccumulator(str(tmp_path))
    events.Reload()
    assert [(e.step, e.value) for e in events.Scalars("loss")] == [(3, 1.5)]
    assert events.Tags()["images"] == ["i"] and events.Tags()["histograms"] == ["h"]


def test_simple_questions():
    t = norch.arange(3)
    assert t.get_device() == -1 and t.is_signed() and not t.is_nested and not t.is_pinned() and t.pin_memory() is t
    assert norch.is_nonzero(norch.tensor([2])) and not norch.tensor(0.0).is_nonzero() and t.output_nr == 0
    with pytest.raises(RuntimeError, match="more than one value is ambiguous"):
        t.is_nonzero()
    assert t.is_same_size(norch.zeros(3)) and not t.is_inference()
    assert norch.ones(2).apply_(lambda v: v + 1).tolist() == [2, 2]
    assert norch.ones(2).map_(norch.tensor([3.0]), lambda a, b: a + b).tolist() == [4, 4]
    assert norch.zeros(2).set_(norch.ones(3)).tolist() == [1, 1, 1]
    with norch.inference_mode():
        assert norch.ones(1).is_inference()


def test_result_type():
    f, i = norch.ones(2), norch.ones(2, dtype=norch.int32)
    assert norch.result_type(i, 1.5) == norch.float32 and norch.result_type(i, 2) == norch.int32
    assert norch.result_type(f, norch.tensor(1.0, dtype=norch.float64)) == norch.float32
    assert norch.result_type(f, norch.ones(1, dtype=norch.float64)) == norch.float64
    assert norch.result_type(1, 2.0) == norch.float32


def test_asarray_and_frombuffer():
    a = np.arange(3)
    assert norch.asarray(a).data_ptr() == a.ctypes.data and norch.asarray(a, copy=True).data_ptr() != a.ctypes.data
    assert norch.asarray([1, 2], dtype=norch.float32, requires_grad=True).requires_grad
    with pytest.raises(ValueError, match="copy is needed"):
        norch.asarray([1, 2], copy=False)
    with pytest.raises(ValueError, match="needs a copy"):
        norch.asarray(a, dtype=norch.float32, copy=False)
    memory = bytearray([1, 0, 2, 0, 3, 0])
    t = norch.frombuffer(memory, dtype=norch.int16, count=2, offset=2)
    t[0] = 7
    assert t.tolist() == [7, 3] and memory[2] == 7
    with pytest.raises(ValueError, match="multiple of element size"):
        norch.frombuffer(memory, dtype=norch.int32)
    with pytest.raises(ValueError, match="must not be greater than actual"):
        norch.frombuffer(memory, dtype=norch.int16, count=4)
    assert norch.range(0, 3).tolist() == [0, 1, 2, 3] and norch.range(1, 2, 0.5).tolist() == [1, 1.5, 2]


def test_memory_figures_of_cuda():
    if not norch.cuda.is_available():
        pytest.skip("no GPU")
    assert norch.cuda.memory_stats()["allocated_bytes.all.current"] == norch.cuda.memory_allocated()
    assert "MiB" in norch.cuda.memory_summary()
    assert norch.cuda.memory_cached() == norch.cuda.memory_reserved()
    norch.cuda.set_rng_state_all(norch.cuda.get_rng_state_all())


def test_flat_tensors():
    from norch._utils import _flatten_dense_tensors, _take_tensors, _unflatten_dense_tensors

    ts = [norch.ones(2), norch.zeros(1, 3)]
    flat = _flatten_dense_tensors(ts)
    assert flat.tolist() == [1, 1, 0, 0, 0]
    back = _unflatten_dense_tensors(flat, ts)
    assert [t.tolist() for t in back] == [t.tolist() for t in ts] and back[0].data_ptr() == flat.data_ptr()
    assert [len(part) for part in _take_tensors([norch.ones(4), norch.ones(4), norch.ones(9).long()], 16)] == [1, 1, 1]


def test_devices_that_are_not_there():
    assert not norch.mps.is_available() and not norch.xpu.is_available() and norch.xpu.device_count() == 0
    assert norch.backends.cudnn.version() is None and not norch.backends.cudnn.is_acceptable(norch.ones(1))
    assert not norch.backends.opt_einsum.is_available() and norch.cuda._initialized == norch.cuda.is_initialized()


def test_devices_that_do_not_exist():
    for call in (norch.mps.synchronize, norch.mps.empty_cache, norch.mps.get_rng_state):
        with pytest.raises(RuntimeError, match="without MPS backend"):
            call()
    for call in (norch.xpu.synchronize, norch.xpu.current_device, norch.xpu.get_device_properties):
        with pytest.raises(AssertionError, match="XPU"):
            call()
    norch.mps.manual_seed(1)
    norch.xpu.manual_seed_all(1)
    assert norch.xpu.memory_allocated() == 0


def test_types_of_torchscript():
    from norch.jit.annotations import BroadcastingList2, List

    assert BroadcastingList2[int] is int and List[int]
    assert not isinstance(norch.nn.Linear(1, 1), norch.jit.ScriptModule)

    class Old(norch.jit.ScriptModule):
        @norch.jit.script_method
        def forward(self, x):
            return x + 1

    assert Old()(1) == 2 and norch.jit.Attribute(3, int).value == 3 and issubclass(norch.jit.TracerWarning, Warning)


def test_what_optimizers_copied_from_pytorch_import():
    from norch.optim.optimizer import _dispatch_sqrt, _get_value, _use_grad_for_differentiable

    class Descent(norch.optim.Optimizer):
        def __init__(self, params):
            super().__init__(params, {"differentiable": False})

        @_use_grad_for_differentiable
        def step(self):
            for p in self.param_groups[0]["params"]:
                p.sub_(p.grad)

    p = norch.ones(2, requires_grad=True)
    (p * 3).sum().backward()
    Descent([p]).step()
    assert p.tolist() == [-2.0, -2.0] and _get_value(norch.tensor(2)) == 2 and _dispatch_sqrt(4) == 2
    groups = norch.optim.Optimizer._group_tensors_by_device_and_dtype([[p, p.double()], []], with_indices=True)
    assert [indices for _, indices in groups.values()] == [[0], [1]]


def test_assert_allclose_takes_numbers_and_other_dtypes():
    norch.testing.assert_allclose(norch.tensor([1.0, float("nan")]), [1.0, float("nan")])
    with pytest.raises(AssertionError):
        norch.testing.assert_allclose(norch.ones(2), norch.zeros(2).double())


def test_the_gradient_under_its_private_name():
    x = norch.ones(2, requires_grad=True)
    x._grad = norch.zeros(2)
    assert x.grad.tolist() == [0, 0] and x._grad is not None
