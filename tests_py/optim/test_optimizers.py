"""SGD, Adam, AdamW, RMSprop against their formulas in NumPy; groups, options."""

import numpy as np
import pytest

import norch
from norch import nn, optim


def sgd(p, g, s, t, lr=1e-3, momentum=0, dampening=0, weight_decay=0, nesterov=False, maximize=False):
    g = (-g if maximize else g) + weight_decay * p
    if momentum:
        s["buf"] = g if t == 1 else momentum * s["buf"] + (1 - dampening) * g
        g = g + momentum * s["buf"] if nesterov else s["buf"]
    return p - lr * g


def adam(
    p, g, s, t, lr=1e-3, betas=(0.9, 0.999), eps=1e-8, weight_decay=0, amsgrad=False, maximize=False, decoupled=False,
    capturable=False,
):
    g = -g if maximize else g
    if decoupled:
        p = p * (1 - lr * weight_decay)
    else:
        g = g + weight_decay * p
    s["m"] = betas[0] * s.get("m", 0) + (1 - betas[0]) * g
    s["v"] = betas[1] * s.get("v", 0) + (1 - betas[1]) * g * g
    v = s["v"]
    if amsgrad:
        v = s["vmax"] = np.maximum(s.get("vmax", 0), v)
    return p - lr / (1 - betas[0] ** t) * s["m"] / (np.sqrt(v / (1 - betas[1] ** t)) + eps)


def adamw(p, g, s, t, weight_decay=1e-2, **options):
    return adam(p, g, s, t, weight_decay=weight_decay, decoupled=True, **options)


def rmsprop(p, g, s, t, lr=1e-2, alpha=0.99, eps=1e-8, weight_decay=0, momentum=0, centered=False, maximize=False):
    g = (-g if maximize else g) + weight_decay * p
    s["v"] = alpha * s.get("v", 0) + (1 - alpha) * g * g
    v = s["v"]
    if centered:
        s["a"] = alpha * s.get("a", 0) + (1 - alpha) * g
        v = v - s["a"] ** 2
    step = g / (np.sqrt(v) + eps)
    if momentum:
        step = s["b"] = momentum * s.get("b", 0) + step
    return p - lr * step


CASES = [
    (optim.SGD, sgd, dict(lr=0.1)),
    (optim.SGD, sgd, dict(lr=0.1, momentum=0.9)),
    (optim.SGD, sgd, dict(lr=0.1, momentum=0.9, dampening=0.3, weight_decay=0.1)),
    (optim.SGD, sgd, dict(lr=0.1, momentum=0.9, nesterov=True, maximize=True)),
    (optim.Adam, adam, dict()),
    (optim.Adam, adam, dict(lr=0.1, betas=(0.8, 0.9), eps=1e-3, weight_decay=0.1)),
    (optim.Adam, adam, dict(lr=0.1, amsgrad=True, maximize=True)),
    (optim.AdamW, adamw, dict(lr=0.1)),
    (optim.AdamW, adamw, dict(lr=0.1, weight_decay=0.3, amsgrad=True)),
    (optim.AdamW, adamw, dict(lr=0.1, amsgrad=True, capturable=True)),
    (optim.RMSprop, rmsprop, dict()),
    (optim.RMSprop, rmsprop, dict(lr=0.1, alpha=0.9, momentum=0.8, weight_decay=0.1)),
    (optim.RMSprop, rmsprop, dict(lr=0.1, centered=True, momentum=0.5, maximize=True)),
]
IDS = [f"{c[0].__name__}-{'-'.join(c[2])}" for c in CASES]
SHAPES = [(3, 4), (5,), (), (2, 1, 3), (0,)]


@pytest.mark.parametrize("make, formula, options", CASES, ids=IDS)
def test_steps_follow_the_formula(device, make, formula, options):
    rng = np.random.default_rng(0)
    values = [np.asarray(rng.standard_normal(s)) for s in SHAPES]
    params = [nn.Parameter(norch.tensor(v, device=device)) for v in values]
    optimizer, states = make(params, **options), [{} for _ in params]
    versions = [p.grad_fn for p in params]
    for t in range(1, 6):
        for i, p in enumerate(params):
            g = np.asarray(rng.standard_normal(SHAPES[i]))
            p.grad = norch.tensor(g, device=device)
            values[i] = formula(values[i], g, states[i], t, **options)
        optimizer.step()
    for p, v in zip(params, values):
        np.testing.assert_allclose(p.detach().cpu().numpy(), v, rtol=1e-9, atol=1e-9)
        assert p.is_leaf and p.requires_grad
    assert versions == [None] * len(params)


@pytest.mark.parametrize("make, formula, options", CASES, ids=IDS)
def test_training_float32_parameters_that_are_no_whole_blocks(device, make, formula, options):
    base = norch.randn(6, 5, device=device)
    view = base.t()[1:]  # strides of its own
    p = nn.Parameter(view)
    start = p.detach().cpu().numpy().astype(np.float64)
    g = norch.randn(4, 6, device=device)
    p.grad = g
    optimizer = make([p], **options)
    optimizer.step()
    expected = formula(start, g.cpu().numpy().astype(np.float64), {}, 1, **options)
    np.testing.assert_allclose(p.detach().cpu().numpy(), expected, rtol=1e-4, atol=1e-5)
    assert norch.equal(base.t()[1:], p.detach())  # in place


@pytest.mark.parametrize("make", [optim.SGD, optim.Adam, optim.AdamW, optim.RMSprop])
def test_parameters_without_gradients_wait(make):
    options = dict(momentum=0.9) if make in (optim.SGD, optim.RMSprop) else {}
    a, b = nn.Parameter(norch.ones(2)), nn.Parameter(norch.ones(2))
    optimizer = make([a, b], lr=0.1, **options)
    optimizer.step()
    assert a.tolist() == [1, 1] and not optimizer.state
    a.grad = norch.ones(2)
    optimizer.step()
    optimizer.step()
    assert b.tolist() == [1, 1] and b not in optimizer.state
    b.grad = norch.ones(2)
    optimizer.step()  # b's first step beside a's third
    reference = nn.Parameter(norch.ones(2))
    alone = make([reference], lr=0.1, **options)
    reference.grad = norch.ones(2)
    alone.step()
    assert b.tolist() == reference.tolist()
    for _ in range(2):
        alone.step()
    assert a.tolist() == reference.tolist()


def test_zero_grad(device):
    p = nn.Parameter(norch.ones(2, device=device))
    optimizer = optim.SGD([p])
    p.sum().backward()
    grad = p.grad
    optimizer.zero_grad(set_to_none=False)
    assert p.grad is grad and grad.tolist() == [0, 0]
    optimizer.zero_grad()
    assert p.grad is None


def test_closures_run_with_gradients():
    p = nn.Parameter(norch.tensor([2.0]))
    optimizer = optim.SGD([p], lr=0.5)

    def closure():
        optimizer.zero_grad()
        loss = (p * p).sum()
        loss.backward()
        return loss

    with norch.no_grad():
        assert optimizer.step(closure).item() == 4
    assert p.item() == 0


def test_groups_have_options_of_their_own():
    a, b, c = (nn.Parameter(norch.ones(1)) for _ in range(3))
    optimizer = optim.SGD([{"params": [a]}, {"params": b, "lr": 1.0}], lr=0.1, momentum=0)
    optimizer.add_param_group({"params": [c], "lr": 2.0})
    assert [g["lr"] for g in optimizer.param_groups] == [0.1, 1.0, 2.0]
    for p in (a, b, c):
        p.grad = norch.ones(1)
    optimizer.step()
    assert a.item() == pytest.approx(0.9) and b.item() == 0 and c.item() == -1
    optimizer.param_groups[0]["lr"] = 0.4  # as schedules and users do
    optimizer.step()
    assert a.item() == pytest.approx(0.5)
    optimizer.param_groups[1]["lr"] = norch.tensor(3.0)
    optimizer.step()
    assert b.item() == -4


def test_wrong_groups():
    p = nn.Parameter(norch.ones(1))
    optimizer = optim.SGD([p])
    with pytest.raises(ValueError, match="some parameters appear in more than one parameter group"):
        optimizer.add_param_group({"params": [p]})
    with pytest.raises(TypeError, match="param_group must be a dict"):
        optimizer.add_param_group([p])
    with pytest.raises(TypeError, match="ordering of tensors in sets"):
        optimizer.add_param_group({"params": {nn.Parameter(norch.ones(1))}})
    with pytest.raises(ValueError, match="non-leaf"):
        optim.SGD([p * 2])
    with pytest.raises(ValueError, match="empty parameter list"):
        optim.SGD([])
    with pytest.raises(ValueError, match="empty parameter list"):
        optim.SGD(nn.ReLU().parameters())
    with pytest.raises(TypeError, match="should be an iterable of Tensors or dicts"):
        optim.SGD(p)
    with pytest.raises(TypeError, match="can only optimize Tensors, but one of the params is int"):
        optim.SGD([3])
    with pytest.warns(UserWarning, match="duplicate parameters"):
        optim.SGD([{"params": [nn.Parameter(norch.ones(1))] * 2}])


@pytest.mark.parametrize(
    "make, options, text",
    [
        (optim.SGD, dict(lr=-1), "Invalid learning rate: -1"),
        (optim.SGD, dict(momentum=-1), "Invalid momentum value: -1"),
        (optim.SGD, dict(weight_decay=-1), "Invalid weight_decay value: -1"),
        (optim.SGD, dict(nesterov=True), "Nesterov momentum requires a momentum and zero dampening"),
        (optim.Adam, dict(lr=-1), "Invalid learning rate: -1"),
        (optim.Adam, dict(eps=-1), "Invalid epsilon value: -1"),
        (optim.Adam, dict(betas=(1.0, 0.9)), "Invalid beta parameter at index 0: 1.0"),
        (optim.AdamW, dict(betas=(0.9, -1)), "Invalid beta parameter at index 1: -1"),
        (optim.Adam, dict(betas=(0.9,)), "betas must be two numbers"),
        (optim.RMSprop, dict(alpha=-1), "Invalid alpha value: -1"),
        (optim.SGD, dict(lr=float("nan")), "Invalid learning rate: nan"),
    ],
)
def test_wrong_options(make, options, text):
    with pytest.raises(ValueError, match=text):
        make([nn.Parameter(norch.ones(1))], **options)


@pytest.mark.parametrize("make", [optim.SGD, optim.Adam, optim.AdamW])
def test_foreach_and_fused_exclude_each_other(make):
    with pytest.raises(RuntimeError, match="cannot be `True` together"):
        make([nn.Parameter(norch.ones(1))], lr=0.1, foreach=True, fused=True)


def test_repr():
    assert repr(optim.RMSprop([nn.Parameter(norch.ones(1))])) == (
        "RMSprop (\nParameter Group 0\n    alpha: 0.99\n    capturable: False\n    centered: False\n"
        "    differentiable: False\n    eps: 1e-08\n    foreach: None\n    lr: 0.01\n    maximize: False\n"
        "    momentum: 0\n    weight_decay: 0\n)"
    )


def test_optimizers_of_ones_own():
    class Sign(optim.Optimizer):
        def __init__(self, params, lr=0.5):
            super().__init__(params, dict(lr=lr))

        def step(self):
            with norch.no_grad():
                for group in self.param_groups:
                    for p in group["params"]:
                        p -= group["lr"] * p.grad.sign()

    net = nn.Linear(1, 1)
    optimizer = Sign(net.parameters())
    before = net.weight.item()
    net(norch.ones(1, 1)).sum().backward()
    optimizer.step()
    assert net.weight.item() == pytest.approx(before - 0.5)


def test_parameters_lists_modules_and_names():
    net = nn.Sequential(nn.Linear(1, 1))
    optimizer = optim.Optimizer(net.parameters())
    assert optimizer.defaults == {} and optimizer.parameters == [
        (net[0], "weight", net[0].weight),
        (net[0], "bias", net[0].bias),
    ]
    w = norch.ones(2, requires_grad=True)
    ((module, name, p),) = optim.Optimizer([w]).parameters
    assert p is w and getattr(module, name) is w
    setattr(module, name, w * 3)
    assert w.tolist() == [3, 3] and w.is_leaf and w.requires_grad
    with pytest.raises(TypeError, match=r"parameter of shape \(2,\)"):
        setattr(module, name, norch.ones(3))
    named = optim.Optimizer(net.named_parameters())
    assert named.param_groups[0]["param_names"] == ["0.weight", "0.bias"]
    from norch.optim.optimizer import required

    with pytest.raises(ValueError, match="required optimization parameter lr"):
        optim.Optimizer([w], dict(lr=required))


@pytest.mark.parametrize("dtype", [norch.float32, norch.float64])
def test_a_step_has_the_bits_of_its_operations(dtype):
    def start():
        norch.manual_seed(0)
        return norch.randn(999, dtype=dtype).requires_grad_(), [norch.randn(999, dtype=dtype) for _ in range(3)]

    p, grads = start()
    opt = optim.SGD([p], lr=0.1, momentum=0.9, dampening=0.2, weight_decay=0.01)
    q, buf = p.detach().clone(), None
    for g in grads:
        p.grad = g
        opt.step()
        g = g.add(q, alpha=0.01)
        buf = g if buf is None else buf.mul(0.9).add(g, alpha=0.8)
        q.add_(buf, alpha=-0.1)
        assert norch.equal(p.detach(), q)

    p, grads = start()
    opt = optim.AdamW([p], lr=0.1, betas=(0.5, 0.75), weight_decay=0.5)  # powers that are exact
    q, m, v = p.detach().clone(), norch.zeros_like(p), norch.zeros_like(p)
    for t, g in enumerate(grads, 1):
        p.grad = g
        opt.step()
        q.mul_(1 - 0.1 * 0.5)
        m.lerp_(g, 1 - 0.5)
        v.mul_(0.75).addcmul_(g, g, value=1 - 0.75)
        q.addcdiv_(m, v.sqrt().div_((1 - 0.75**t) ** 0.5).add_(1e-8), value=-0.1 / (1 - 0.5**t))
        assert norch.equal(p.detach(), q)
