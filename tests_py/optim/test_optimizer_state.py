"""The state of optimizers: saving, loading, copies; hooks."""

import copy
import pickle

import pytest

import norch
from norch import nn, optim

from test_optimizers import CASES, IDS


def test_state_dict_has_pytorchs_layout():
    params = [nn.Parameter(norch.ones(2)) for _ in range(3)]
    optimizer = optim.Adam([{"params": params[:2]}, {"params": params[2:], "lr": 0.5}], amsgrad=True)
    for p in params[1:]:
        p.grad = norch.ones(2)
    optimizer.step()
    state = optimizer.state_dict()
    assert set(state["state"]) == {1, 2}
    assert set(state["state"][1]) == {"step", "exp_avg", "exp_avg_sq", "max_exp_avg_sq"}
    step = state["state"][1]["step"]
    assert step.dtype == norch.float32 and step.ndim == 0 and step.item() == 1
    assert [g["params"] for g in state["param_groups"]] == [[0, 1], [2]]
    assert state["param_groups"][1]["lr"] == 0.5
    assert {"betas", "eps", "weight_decay", "amsgrad", "maximize", "foreach", "capturable", "fused"} < set(
        state["param_groups"][0]
    )
    sgd = optim.SGD(params, momentum=0.5)
    sgd.step()
    assert set(sgd.state_dict()["state"][1]) == {"momentum_buffer"}
    rms = optim.RMSprop(params, momentum=0.5, centered=True)
    rms.step()
    assert set(rms.state_dict()["state"][1]) == {"step", "square_avg", "momentum_buffer", "grad_avg"}


@pytest.mark.parametrize("make, formula, options", CASES, ids=IDS)
def test_training_goes_on_from_a_state_dict(device, make, formula, options):
    def start():
        norch.manual_seed(0)
        net = nn.Sequential(nn.Linear(3, 4), nn.Tanh(), nn.Linear(4, 1)).to(device)
        return net, make(net.parameters(), **options)

    x = norch.randn(8, 3, device=device)

    def train(net, optimizer, steps):
        for _ in range(steps):
            optimizer.zero_grad()
            net(x).pow(2).mean().backward()
            optimizer.step()

    net, optimizer = start()
    train(net, optimizer, 3)
    saved = pickle.loads(pickle.dumps((net.state_dict(), optimizer.state_dict())))
    other, other_optimizer = start()
    other.load_state_dict(saved[0])
    other_optimizer.load_state_dict(saved[1])
    train(net, optimizer, 3)
    train(other, other_optimizer, 3)
    assert all(norch.equal(p, q) for p, q in zip(net.parameters(), other.parameters()))
    tensors = [v for s in saved[1]["state"].values() for v in s.values()]
    loaded = [v for s in other_optimizer.state_dict()["state"].values() for v in s.values()]
    assert not any(a is b for a in tensors for b in loaded)


def test_loading_follows_the_parameters_dtype_and_checks_first():
    a = nn.Parameter(norch.ones(2))
    old = optim.Adam([a], lr=0.5)
    a.grad = norch.ones(2)
    old.step()
    b = nn.Parameter(norch.ones(2, dtype=norch.float64))
    new = optim.Adam([b])
    new.load_state_dict(old.state_dict())
    assert new.state[b]["exp_avg"].dtype == norch.float64 and new.param_groups[0]["lr"] == 0.5
    assert new.param_groups[0]["params"] == [b]
    two = optim.Adam([nn.Parameter(norch.ones(1)), nn.Parameter(norch.ones(1))])
    with pytest.raises(ValueError, match="doesn't match the size of optimizer's group"):
        two.load_state_dict(old.state_dict())
    groups = optim.Adam([{"params": [nn.Parameter(norch.ones(1))]}, {"params": [nn.Parameter(norch.ones(1))]}])
    with pytest.raises(ValueError, match="different number of parameter groups"):
        groups.load_state_dict(old.state_dict())
    assert not two.state and not groups.state


def test_copies():
    net = nn.Linear(2, 1)
    optimizer = optim.SGD(net.parameters(), lr=0.1, momentum=0.9)
    net(norch.ones(1, 2)).sum().backward()
    optimizer.step()
    other_net, other = copy.deepcopy((net, optimizer))
    assert other.param_groups[0]["params"][0] is other_net.weight
    assert other.state[other_net.weight]["momentum_buffer"].tolist() == [[1, 1]]
    other.step()


def test_step_hooks():
    p = nn.Parameter(norch.ones(1))
    optimizer = optim.SGD([p], lr=1.0)
    p.grad = norch.ones(1)
    seen = []
    pre = optimizer.register_step_pre_hook(lambda o, args, kwargs: seen.append(("pre", p.item())))
    optimizer.register_step_post_hook(lambda o, args, kwargs: seen.append(("post", p.item())))
    optimizer.step()
    assert seen == [("pre", 1), ("post", 0)]
    pre.remove()
    optimizer.step()
    assert seen[2:] == [("post", -1)]


def test_state_dict_hooks():
    p = nn.Parameter(norch.ones(1))
    optimizer = optim.SGD([p], lr=1.0)
    seen = []
    optimizer.register_state_dict_pre_hook(lambda o: seen.append("second"))
    optimizer.register_state_dict_pre_hook(lambda o: seen.append("first"), prepend=True)
    optimizer.register_state_dict_post_hook(lambda o, state: state.update(extra=1))
    replace = optimizer.register_state_dict_post_hook(lambda o, state: {**state, "more": 2})
    state = optimizer.state_dict()
    assert seen == ["first", "second"] and state["extra"] == 1 and state["more"] == 2
    replace.remove()
    assert "more" not in optimizer.state_dict()

    def halve(optimizer, state):
        groups = [{**state["param_groups"][0], "lr": 0.5}]
        state["param_groups"] = groups  # the caller's dict stays as it is

    optimizer.register_load_state_dict_pre_hook(halve)
    optimizer.register_load_state_dict_pre_hook(lambda o, state: seen.append(state["param_groups"][0]["lr"]))
    optimizer.register_load_state_dict_post_hook(lambda o: seen.append(o.param_groups[0]["lr"]))
    optimizer.load_state_dict(state)
    assert seen[-2:] == [0.5, 0.5] and state["param_groups"][0]["lr"] == 1.0
    assert copy.deepcopy(optimizer).state_dict()["param_groups"][0]["lr"] == 0.5
