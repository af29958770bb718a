"""norch.distributed: a group of one process, its collectives, stores and meshes."""

import datetime

import pytest

import norch
from norch import distributed, nn
from norch.distributed.optim import ZeroRedundancyOptimizer


@pytest.fixture
def one_process():
    distributed.init_process_group("gloo", rank=0, world_size=1)
    yield
    distributed.destroy_process_group()


def test_a_group_of_one_process(monkeypatch):
    monkeypatch.delenv("WORLD_SIZE", raising=False)
    model = nn.Linear(2, 2)
    assert not distributed.is_available() and not distributed.is_initialized()
    with pytest.raises(ValueError, match="has not been initialized"):
        nn.parallel.DistributedDataParallel(model)
    with pytest.raises(RuntimeError, match="as one process"):
        distributed.init_process_group("gloo", world_size=2, rank=0)
    distributed.init_process_group("gloo")
    try:
        assert distributed.get_rank() == 0 and distributed.get_world_size() == 1 and distributed.get_backend() == "gloo"
        wrapped = nn.parallel.DistributedDataParallel(model)
        x, out = norch.ones(1, 2), [norch.zeros(1, 2)]
        assert norch.equal(wrapped(x), model(x)) and list(wrapped.state_dict()) == ["module.weight", "module.bias"]
        with wrapped.no_sync():
            wrapped(x).sum().backward()
        distributed.all_reduce(x)
        distributed.all_gather(out, x)
        assert norch.equal(out[0], norch.ones(1, 2)) and distributed.barrier() is None
        with pytest.raises(ValueError, match="twice"):
            distributed.init_process_group("gloo")
    finally:
        distributed.destroy_process_group()
    assert norch.equal(nn.parallel.data_parallel(model, x), model(x))


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
