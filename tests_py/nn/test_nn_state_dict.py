"""state_dict and load_state_dict."""

from collections import OrderedDict

import pytest

import norch
from norch import nn


def make():
    return nn.Sequential(OrderedDict(fc=nn.Linear(2, 3), norm=nn.BatchNorm1d(3)))


def test_keys_metadata_and_sharing():
    net = make()
    state = net.state_dict()
    assert list(state) == [
        "fc.weight",
        "fc.bias",
        "norm.weight",
        "norm.bias",
        "norm.running_mean",
        "norm.running_var",
        "norm.num_batches_tracked",
    ]
    assert state._metadata["norm"] == {"version": 2} and state._metadata[""] == {"version": 1}
    assert not state["fc.weight"].requires_grad
    state["fc.weight"].fill_(7)
    assert net.fc.weight.tolist() == [[7, 7]] * 3
    assert net.state_dict(keep_vars=True)["fc.weight"] is net.fc.weight
    assert list(net.state_dict(prefix="a."))[0] == "a.fc.weight"
    mine = OrderedDict(x=1)
    assert net.state_dict(destination=mine) is mine and list(mine)[:2] == ["x", "fc.weight"]
    net.fc.register_buffer("tmp", norch.zeros(1), persistent=False)
    assert "fc.tmp" not in net.state_dict()


def test_round_trip(device):
    a, b = make().to(device), make().to(device)
    a(norch.randn(8, 2, device=device))
    result = b.load_state_dict(a.state_dict())
    assert repr(result) == "<All keys matched successfully>"
    assert all(norch.equal(x, y) for x, y in zip(a.state_dict().values(), b.state_dict().values()))
    assert b.fc.weight is not a.fc.weight and b.fc.weight.requires_grad


def test_copies_convert_dtype():
    net = make()
    net.load_state_dict({k: v.double() if v.is_floating_point() else v for k, v in make().state_dict().items()})
    assert net.fc.weight.dtype == norch.float32


def test_errors_name_everything_and_change_nothing():
    net = make()
    before = {k: v.clone() for k, v in net.state_dict().items()}
    state = {k: v + 1 for k, v in make().state_dict().items() if k != "norm.bias"}
    state["fc.weight"] = norch.zeros(3, 5)
    state["fc.more"] = norch.zeros(1)
    state["other.x"] = norch.zeros(1)
    with pytest.raises(RuntimeError) as e:
        net.load_state_dict(state)
    assert str(e.value) == (
        "Error(s) in loading state_dict for Sequential:\n"
        '\tMissing key(s) in state_dict: "norm.bias". \n'
        '\tUnexpected key(s) in state_dict: "other.x", "fc.more". \n'
        f"\tsize mismatch for fc.weight: copying a param with shape {norch.zeros(3, 5).shape} from checkpoint, "
        f"the shape in current model is {norch.zeros(3, 2).shape}."
    )
    assert all(norch.equal(v, before[k]) for k, v in net.state_dict().items())
    with pytest.raises(RuntimeError, match="expected norch.Tensor or Tensor-like object"):
        net.load_state_dict({**before, "fc.weight": 3})
    with pytest.raises(TypeError, match="Expected state_dict to be dict-like, got <class 'list'>"):
        net.load_state_dict([1])
    assert all(norch.equal(v, before[k]) for k, v in net.state_dict().items())


def test_not_strict():
    net = make()
    result = net.load_state_dict({"fc.bias": norch.ones(3), "x": norch.ones(1)}, strict=False)
    assert result.unexpected_keys == ["x"] and "fc.weight" in result.missing_keys
    assert net.fc.bias.tolist() == [1, 1, 1]
    with pytest.raises(RuntimeError, match="size mismatch"):
        net.load_state_dict({"fc.bias": norch.ones(4)}, strict=False)


def test_assign():
    net = make()
    state = {k: v.double() if v.is_floating_point() else v for k, v in make().state_dict().items()}
    net.load_state_dict(state, assign=True)
    assert net.fc.weight.dtype == norch.float64
    assert isinstance(net.fc.weight, nn.Parameter) and net.fc.weight.requires_grad
    state["fc.weight"].fill_(5)
    assert net.fc.weight.tolist() == [[5, 5]] * 3


def test_one_element_vectors_load_into_scalars():
    m = nn.Module()
    m.p = nn.Parameter(norch.tensor(1.0))
    m.load_state_dict({"p": norch.tensor([4.0])})
    assert m.p.item() == 4


def test_old_batch_norm_checkpoints_load():
    net = make()
    state = dict(make().state_dict())
    del state["norm.num_batches_tracked"]
    net.load_state_dict(state)
    assert net.norm.num_batches_tracked.item() == 0


def test_extra_state():
    class Extra(nn.Module):
        value = 1

        def get_extra_state(self):
            return {"value": self.value}

        def set_extra_state(self, state):
            self.value = state["value"]

    net = nn.Sequential(Extra())
    net[0].value = 5
    state = net.state_dict()
    assert state["0._extra_state"] == {"value": 5}
    other = nn.Sequential(Extra())
    other.load_state_dict(state)
    assert other[0].value == 5
    with pytest.raises(RuntimeError, match='Missing key.*"0._extra_state"'):
        other.load_state_dict({})
    with pytest.raises(RuntimeError, match='Unexpected key.*"0._extra_state"'):
        nn.Sequential(nn.ReLU()).load_state_dict(state)


def test_hooks():
    net = make()
    seen = []
    net.fc.register_state_dict_pre_hook(lambda m, prefix, keep: seen.append(prefix))
    net.register_state_dict_post_hook(lambda m, sd, prefix, meta: sd.pop("fc.bias"))
    with pytest.raises(RuntimeError, match="must return None"):
        net.state_dict()

    net = make()
    net.fc.register_state_dict_pre_hook(lambda m, prefix, keep: seen.append(prefix))
    net._register_state_dict_hook(lambda m, sd, prefix, meta: OrderedDict(only=sd["fc.bias"]))
    assert list(net.state_dict()) == ["only"] and seen[-1] == "fc."

    net = make()

    def rename(module, state, prefix, *_):
        if prefix + "w" in state:
            state[prefix + "weight"] = state.pop(prefix + "w")

    net.fc.register_load_state_dict_pre_hook(rename)
    state = dict(make().state_dict())
    state["fc.w"] = state.pop("fc.weight") * 0
    net.load_state_dict(state)
    assert net.fc.weight.tolist() == [[0, 0]] * 3

    # A post hook sees loaded values, and may forgive keys.
    net.fc.register_load_state_dict_post_hook(lambda m, keys: seen.append(m.bias.tolist()))
    net.register_load_state_dict_post_hook(lambda m, keys: keys.missing_keys.clear())
    net.load_state_dict({"fc.bias": norch.ones(3)})
    assert seen[-1] == [1, 1, 1]
    net.register_load_state_dict_post_hook(lambda m, keys: 3)
    with pytest.raises(AssertionError, match="not expected to return new values"):
        net.load_state_dict({"fc.bias": norch.ones(3)})


def test_overridden_loading_of_one_module():
    class Custom(nn.Linear):
        def _load_from_state_dict(self, state_dict, prefix, *args):
            state_dict[prefix + "bias"] = norch.full((3,), 9.0)
            super()._load_from_state_dict(state_dict, prefix, *args)

    net = nn.Sequential(Custom(2, 3))
    net.load_state_dict({"0.weight": norch.zeros(3, 2)})
    assert net[0].bias.tolist() == [9, 9, 9]
