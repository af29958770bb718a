"""More names that public programs reach for: files as tensors, settings of compilers, stores and meshes of one process."""

import datetime

import pytest

import norch
from norch import distributed


def test_tensor_on_a_file(tmp_path):
    path = str(tmp_path / "numbers")
    with pytest.raises(RuntimeError, match="unable to open|has 0 bytes"):
        norch.from_file(path, size=3)
    shared = norch.from_file(path, shared=True, size=3)
    assert shared.tolist() == [0.0, 0.0, 0.0]
    shared[1] = 5.0
    assert norch.from_file(path, shared=True, size=3).tolist() == [0.0, 5.0, 0.0]
    private = norch.from_file(path, size=3)
    private.fill_(7.0)
    assert norch.from_file(path, size=3, dtype=norch.float32).tolist() == [0.0, 5.0, 0.0]
    with pytest.raises(RuntimeError, match="has 12 bytes, and 4 elements"):
        norch.from_file(path, size=4)
    assert norch.from_file(path).numel() == 0


def test_asserting_a_tensor():
    norch._assert_async(norch.tensor(True))
    with pytest.raises(RuntimeError, match="nonzero value, but got zero"):
        norch._assert_async(norch.tensor(0))
    with pytest.raises(RuntimeError, match="mine"):
        norch._assert_async(norch.tensor(False), "mine")
    with pytest.raises(RuntimeError, match="ambiguous"):
        norch._assert_async(norch.ones(2))


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


@pytest.mark.skipif(norch.cuda.is_available(), reason="says what happens without a GPU")
def test_marks_for_profilers_need_a_gpu():
    with pytest.raises(AssertionError, match="CUDA"):
        norch.cuda.cudart()
    with pytest.raises(AssertionError, match="CUDA"), norch.cuda.profiler.profile():
        pass


def test_settings_change_for_a_while():
    from norch import _dynamo, _functorch, _inductor

    with _dynamo.config.patch(cache_size_limit=3, verbose=True):
        assert _dynamo.config.cache_size_limit == 3 and _dynamo.config.verbose
    assert _dynamo.config.cache_size_limit == 8 and not _dynamo.config.verbose
    with _inductor.config.patch({"triton.cudagraphs": True}):
        assert _inductor.config.triton.cudagraphs

    @_functorch.config.patch("donated_buffer", True)
    def read():
        return _functorch.config.donated_buffer

    assert read() and not _functorch.config.donated_buffer and not _inductor.config.triton.cudagraphs
    norch._logging.set_logs(graph_breaks=True)


def test_selective_checkpoints_give_the_same_gradients():
    from norch.utils.checkpoint import CheckpointPolicy, checkpoint, create_selective_checkpoint_contexts

    def policy(ctx, op, *args, **kwargs):
        return CheckpointPolicy.PREFER_RECOMPUTE

    x = norch.ones(2, requires_grad=True)
    contexts = lambda: create_selective_checkpoint_contexts(policy)  # noqa: E731
    checkpoint(lambda t: (t * 3).exp().sum(), x, use_reentrant=False, context_fn=contexts).backward()
    assert norch.allclose(x.grad, 3 * norch.exp(norch.tensor(3.0)))
    with pytest.raises(TypeError, match="function or a list"):
        create_selective_checkpoint_contexts(3)


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


def test_saved_variables_is_saved_tensors():
    class Double(norch.autograd.Function):
        @staticmethod
        def forward(ctx, x):
            ctx.save_for_backward(x)
            return x * x

        @staticmethod
        def backward(ctx, grad):
            with pytest.warns(DeprecationWarning, match="saved_variables"):
                (x,) = ctx.saved_variables
            return grad * 2 * x

    x = norch.tensor(3.0, requires_grad=True)
    Double.apply(x).backward()
    assert x.grad.item() == 6.0


def test_shapes_as_tensors():
    from norch.onnx import operators

    x = norch.arange(6.0).reshape(2, 3)
    assert operators.shape_as_tensor(x).tolist() == [2, 3]
    assert operators.reshape_from_tensor_shape(x, norch.tensor([3, -1])).shape == (3, 2)
    assert norch.nn.functional.has_torch_function((x,)) is False


def test_stores():
    store = distributed.HashStore()
    store.set("a", "b")
    assert store.get("a") == b"b" and store.add("n", 2) == 2 and store.add("n", 3) == 5
    assert store.compare_set("k", "", "v") == b"v" and store.compare_set("k", "v", "w") == b"w"
    assert store.compare_set("k", "x", "y") == b"w" and store.compare_set("z", "x", "y") == b"x"
    store.append("a", "c")
    assert store.get("a") == b"bc" and store.check(["a", "n"]) and not store.check(["q"])
    inner = distributed.PrefixStore("p", store)
    assert inner.add("n", 1) == 1 and store.get("p/n") == b"1" and inner.delete_key("n") and not inner.check(["n"])
    store.set_timeout(datetime.timedelta(milliseconds=10))
    with pytest.raises(RuntimeError, match="wait timeout after 10ms, keys: q"):
        store.get("q")
    assert distributed.TCPStore("localhost", 1, 1, True).num_keys() == 0
    with pytest.raises(RuntimeError, match="does not spread work over processes"):
        distributed.TCPStore("localhost", 1, 2)


def test_meshes_of_one_process():
    from norch.distributed import _functional_collectives
    from norch.distributed.device_mesh import DeviceMesh, init_device_mesh

    try:
        mesh = init_device_mesh("cpu", (1, 1), mesh_dim_names=("data", "model"))
        assert distributed.is_initialized() and mesh.shape == (1, 1) and mesh["data"].ndim == 1 and mesh.size() == 1
        assert mesh.get_group("data").size() == 1 and mesh.get_coordinate() == (0, 0) and "data=1" in repr(mesh)
        assert mesh["data", "model"] == mesh and DeviceMesh("cpu", [0]).get_local_rank() == 0
        x = norch.ones(2)
        assert _functional_collectives.all_reduce(x, "sum", mesh).equal(x)
        for call, error in (
            (lambda: init_device_mesh("cpu", (2,)), RuntimeError),
            (lambda: init_device_mesh("cpu", (1,), mesh_dim_names=("a", "b")), RuntimeError),
            (lambda: init_device_mesh("cpu", (1, 1), mesh_dim_names=("a", "a")), RuntimeError),
            (lambda: mesh["nothing"], KeyError),
            (lambda: mesh.get_group(), RuntimeError),
            (lambda: DeviceMesh("cpu", [0, 1]), RuntimeError),
        ):
            with pytest.raises(error):
                call()
    finally:
        distributed.destroy_process_group()


def test_older_name_of_sparse_products():
    a = norch.tensor([[0.0, 2.0], [1.0, 0.0]])
    b = norch.arange(6.0).reshape(2, 3)
    assert norch.dsmm(a.to_sparse(), b).equal(a @ b)
