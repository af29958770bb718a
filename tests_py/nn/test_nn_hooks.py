"""Hooks on modules."""

import pytest

import norch
from norch import nn
from norch.nn.modules import _hooks


class Double(nn.Module):
    def forward(self, x, extra=0):
        return x * 2 + extra


def test_forward_hooks_see_and_change_inputs_and_outputs():
    m = Double()
    seen = []
    pre = m.register_forward_pre_hook(lambda mod, args: seen.append(("pre", args)))
    post = m.register_forward_hook(lambda mod, args, out: seen.append(("post", args, out)))
    x = norch.tensor(3.0)
    assert m(x).item() == 6
    assert [s[0] for s in seen] == ["pre", "post"] and seen[0][1] == (x,) and seen[1][2].item() == 6
    pre.remove()
    post.remove()
    seen.clear()
    assert m(x).item() == 6 and seen == []

    with m.register_forward_pre_hook(lambda mod, args: args[0] + 1):
        assert m(x).item() == 8
    with m.register_forward_hook(lambda mod, args, out: -out):
        assert m(x).item() == -6
    assert m(x).item() == 6


def test_forward_hooks_with_kwargs():
    m = Double()
    with m.register_forward_pre_hook(lambda mod, a, k: (a, {"extra": k["extra"] + 1}), with_kwargs=True):
        assert m(norch.tensor(1.0), extra=2).item() == 5
    with m.register_forward_hook(lambda mod, a, k, out: out + k["extra"], with_kwargs=True):
        assert m(norch.tensor(1.0), extra=2).item() == 6
    with m.register_forward_pre_hook(lambda mod, a, k: a, with_kwargs=True):
        with pytest.raises(RuntimeError, match="must return None or a tuple of"):
            m(norch.tensor(1.0), extra=2)


def test_order_and_prepend():
    m = Double()
    seen = []
    m.register_forward_hook(lambda *_: seen.append(1))
    m.register_forward_hook(lambda *_: seen.append(2))
    m.register_forward_hook(lambda *_: seen.append(0), prepend=True)
    m(norch.tensor(1.0))
    assert seen == [0, 1, 2]


def test_always_called_hooks_run_after_an_error():
    class Fails(nn.Module):
        def forward(self):
            raise ValueError("no")

    m = Fails()
    seen = []
    m.register_forward_hook(lambda mod, args, out: seen.append(out), always_call=True)
    m.register_forward_hook(lambda mod, args, out: seen.append("not called"))
    with pytest.raises(ValueError, match="no"):
        m()
    assert seen == [None]

    def bad(mod, args, out):
        raise KeyError("hidden")

    m.register_forward_hook(bad, always_call=True)
    with pytest.warns(UserWarning, match="silenced as another error was raised"), pytest.raises(ValueError):
        m()


def test_hooks_may_remove_themselves():
    m = Double()
    handles = []

    def once(mod, args, out):
        handles[0].remove()

    handles.append(m.register_forward_hook(once))
    m(norch.tensor(1.0))
    assert not m._forward_hooks
    m(norch.tensor(1.0))


def test_full_backward_hooks(device):
    m = nn.Linear(2, 3).to(device)
    seen = []
    m.register_full_backward_pre_hook(lambda mod, go: seen.append(("pre", mod, go)))
    m.register_full_backward_hook(lambda mod, gi, go: seen.append(("post", mod, gi, go)))
    x = norch.randn(4, 2, device=device, requires_grad=True)
    m(x).sum().backward()
    assert [s[:2] for s in seen] == [("pre", m), ("post", m)]
    assert len(seen[0][2]) == 1 and seen[0][2][0].tolist() == [[1, 1, 1]] * 4
    (grad_input,), (grad_output,) = seen[1][2:]
    assert norch.equal(grad_input, x.grad) and grad_output.tolist() == [[1, 1, 1]] * 4
    assert norch.allclose(x.grad, m.weight.detach().sum(0).expand(4, 2))


def test_full_backward_hooks_change_gradients():
    m = Double()
    m.register_full_backward_hook(lambda mod, gi, go: (gi[0] * 10,))
    x = norch.ones(2, requires_grad=True)
    m(x).sum().backward()
    assert x.grad.tolist() == [20, 20]
    m = Double()
    m.register_full_backward_pre_hook(lambda mod, go: (go[0] * 3,))
    x = norch.ones(2, requires_grad=True)
    m(x).sum().backward()
    assert x.grad.tolist() == [6, 6]


def test_full_backward_hooks_where_no_input_needs_a_gradient():
    m = nn.Linear(2, 1)
    seen = []
    handle = m.register_full_backward_hook(lambda mod, gi, go: seen.append((gi, go)))
    m(norch.ones(1, 2)).backward()
    assert seen[0][0] == (None,) and seen[0][1][0].tolist() == [[1]]
    handle.remove()
    m.register_full_backward_hook(lambda mod, gi, go: (norch.ones(1, 2),))
    with pytest.raises(RuntimeError, match="no input requires gradient"):
        m(norch.ones(1, 2)).backward()


def test_full_backward_hooks_over_several_inputs_and_outputs():
    class Two(nn.Module):
        def forward(self, a, n, b):
            return {"x": 1} if n is None else (a * 2, n, b * 3)

    m = Two()
    seen = []
    m.register_full_backward_hook(lambda mod, gi, go: seen.append((gi, go)))
    a, b = norch.ones(2, requires_grad=True), norch.ones(2, requires_grad=True)
    out = m(a, 5, b)
    assert isinstance(out, tuple) and out[1] == 5
    (out[0] + out[2]).sum().backward()
    (gi, go) = seen[0]
    assert gi[0].tolist() == [2, 2] and gi[1] is None and gi[2].tolist() == [3, 3]
    assert go[0].tolist() == [1, 1] and go[1] is None
    m.register_full_backward_hook(lambda mod, gi, go: (None,))
    with pytest.raises(RuntimeError, match="invalid number of grads"):
        out = m(a, 5, b)
        (out[0] + out[2]).sum().backward()


def test_no_hooks_without_gradients():
    m = nn.Linear(2, 1)
    m.register_full_backward_hook(lambda *_: 1 / 0)
    with norch.no_grad():
        assert not m(norch.ones(1, 2)).requires_grad


@pytest.fixture
def global_hooks():
    yield
    _hooks.HooksMixin._hooked = False


def test_hooks_on_all_modules(global_hooks):
    seen = []
    net = nn.Sequential(nn.Linear(2, 2), nn.ReLU())
    handles = [
        _hooks.register_module_forward_pre_hook(lambda m, a: seen.append(("pre", type(m).__name__))),
        _hooks.register_module_forward_hook(lambda m, a, o: seen.append(("post", type(m).__name__))),
        _hooks.register_module_full_backward_pre_hook(lambda m, go: seen.append(("bpre", type(m).__name__))),
        _hooks.register_module_full_backward_hook(lambda m, gi, go: seen.append(("bpost", type(m).__name__))),
    ]
    net(norch.ones(1, 2)).sum().backward()
    assert seen[:6] == [
        ("pre", "Sequential"),
        ("pre", "Linear"),
        ("post", "Linear"),
        ("pre", "ReLU"),
        ("post", "ReLU"),
        ("post", "Sequential"),
    ]
    assert [s for s in seen[6:] if s[0] == "bpre"] == [("bpre", n) for n in ("Sequential", "ReLU", "Linear")]
    assert {s[1] for s in seen if s[0] == "bpost"} == {"Sequential", "ReLU", "Linear"}
    for handle in handles:
        handle.remove()
    seen.clear()
    net(norch.ones(1, 2)).sum().backward()
    assert seen == []
    handle = _hooks.register_module_forward_hook(lambda m, a, k, o: o * 0, with_kwargs=True, always_call=True)
    assert net(norch.ones(1, 2)).tolist() == [[0, 0]]
    handle.remove()


@pytest.mark.parametrize("first,second", [("backward", "full_backward"), ("full_backward", "backward")])
def test_old_and_full_backward_hooks_exclude_each_other(first, second, monkeypatch, global_hooks):
    net = nn.Linear(2, 2)
    getattr(net, f"register_{first}_hook")(lambda *a: None).remove()
    getattr(net, f"register_{first}_hook")(lambda *a: None)
    with pytest.raises(RuntimeError, match="both regular backward hooks and full backward hooks on a single Module"):
        getattr(net, f"register_{second}_hook")(lambda *a: None)
    net.register_full_backward_pre_hook(lambda *a: None)

    monkeypatch.setattr(_hooks, "_global_is_full_backward_hook", None)
    getattr(_hooks, f"register_module_{first}_hook")(lambda *a: None).remove()
    with pytest.raises(RuntimeError, match="both regular backward hooks and full .* as a global Module hook"):
        getattr(_hooks, f"register_module_{second}_hook")(lambda *a: None)
