"""The optimizers beyond SGD, Adam and RMSprop: formulas in NumPy, composed steps, complex parameters, checkpoints."""

import numpy as np
import pytest

import norch
from norch import nn, optim


def prepared(p, g, o):
    g = -g if o.get("maximize") else g
    decay = o.get("weight_decay", 0)
    if o.get("decoupled_weight_decay"):
        return p * (1 - o["lr"] * decay), g
    return p, g + decay * p


def moments(g, s, b1, b2):
    s["m"] = b1 * s.get("m", 0) + (1 - b1) * g
    s["v"] = b2 * s.get("v", 0) + (1 - b2) * g * g
    return s["m"], s["v"]


def adamax(p, g, s, t, **o):
    p, g = prepared(p, g, o)
    s["m"] = 0.9 * s.get("m", 0) + 0.1 * g
    s["u"] = np.maximum(0.999 * s.get("u", 0), np.abs(g) + 1e-8)
    return p - o["lr"] / (1 - 0.9**t) * s["m"] / s["u"]


def nadam(p, g, s, t, **o):
    p, g = prepared(p, g, o)
    m, v = moments(g, s, 0.9, 0.999)

    def mu(t):
        return 0.9 * (1 - 0.5 * 0.96 ** (t * o.get("momentum_decay", 4e-3)))

    s["mu"] = s.get("mu", 1) * mu(t)
    d = np.sqrt(v / (1 - 0.999**t)) + 1e-8
    return p - o["lr"] * ((1 - mu(t)) / (1 - s["mu"]) * g + mu(t + 1) / (1 - s["mu"] * mu(t + 1)) * m) / d


def radam(p, g, s, t, betas=(0.9, 0.999), **o):
    p, g = prepared(p, g, o)
    m, v = moments(g, s, *betas)
    left = 1 - betas[1] ** t
    end = 2 / (1 - betas[1]) - 1
    rho = end - 2 * t * betas[1] ** t / left
    update = o["lr"] * m / (1 - betas[0] ** t)
    if rho > 5:
        r = np.sqrt((rho - 4) * (rho - 2) * end / ((end - 4) * (end - 2) * rho))
        update = update * r * np.sqrt(left) / (np.sqrt(v) + 1e-8)
    return p - update


def adagrad(p, g, s, t, lr_decay=0, initial_accumulator_value=0, **o):
    p, g = prepared(p, g, o)
    s["s"] = s.get("s", initial_accumulator_value) + g * g
    return p - o["lr"] / (1 + (t - 1) * lr_decay) * g / (np.sqrt(s["s"]) + 1e-10)


def adadelta(p, g, s, t, rho=0.9, **o):
    p, g = prepared(p, g, o)
    s["v"] = rho * s.get("v", 0) + (1 - rho) * g * g
    d = np.sqrt(s.get("a", 0) + 1e-6) / np.sqrt(s["v"] + 1e-6) * g
    s["a"] = rho * s.get("a", 0) + (1 - rho) * d * d
    return p - o["lr"] * d


def rprop(p, g, s, t, etas=(0.5, 1.2), step_sizes=(1e-6, 50), **o):
    p, g = prepared(p, g, o)
    turn = np.sign(g * s.get("prev", 0 * g))
    factor = np.where(turn > 0, etas[1], np.where(turn < 0, etas[0], 1))
    s["size"] = np.clip(s.get("size", o["lr"]) * factor, *step_sizes)
    s["prev"] = np.where(turn < 0, 0, g)
    return p - np.sign(s["prev"]) * s["size"]


def asgd(p, g, s, t, lambd=1e-4, alpha=0.75, t0=1e6, **o):
    p, g = prepared(p, g, o)
    eta = s.get("eta", np.float32(o["lr"]))
    p = p * (1 - lambd * float(eta)) - float(eta) * g
    s["ax"] = s.get("ax", 0) + (p - s.get("ax", 0)) * s.get("mu", 1)
    s["eta"] = np.float32(o["lr"] / (1 + lambd * o["lr"] * t) ** alpha)
    s["mu"] = float(np.float32(1 / max(1, t - t0)))
    return p


CASES = [
    (optim.Adamax, adamax, dict(lr=0.1, weight_decay=0.1, maximize=True)),
    (optim.NAdam, nadam, dict(lr=0.1, weight_decay=0.1, momentum_decay=0.1)),
    (optim.NAdam, nadam, dict(lr=0.1, weight_decay=0.1, decoupled_weight_decay=True)),
    (optim.RAdam, radam, dict(lr=0.1, weight_decay=0.1)),
    (optim.RAdam, radam, dict(lr=0.1, betas=(0.5, 0.8), weight_decay=0.1, decoupled_weight_decay=True)),
    (optim.Adagrad, adagrad, dict(lr=0.1, lr_decay=0.1, weight_decay=0.1, initial_accumulator_value=0.5)),
    (optim.Adadelta, adadelta, dict(lr=1.0, weight_decay=0.1)),
    (optim.Rprop, rprop, dict(lr=0.1)),
    (optim.Rprop, rprop, dict(lr=0.1, etas=(0.3, 1.5), step_sizes=(0.05, 0.2), maximize=True)),
    (optim.ASGD, asgd, dict(lr=0.1, lambd=0.1, t0=3, weight_decay=0.1)),
]
IDS = [f"{c[0].__name__}-{'-'.join(c[2])}" for c in CASES]
SHAPES = [(3, 4), (5,), ()]


def gradients(seed=1):
    rng = np.random.default_rng(seed)
    return [[np.asarray(rng.standard_normal(s)) for s in SHAPES] for _ in range(12)]


@pytest.mark.parametrize("make, formula, options", CASES, ids=IDS)
@pytest.mark.parametrize("composed", [False, True])
def test_steps_follow_the_formula(device, make, formula, options, composed):
    if composed and make is optim.Adagrad and str(device) != "cpu":
        pytest.skip("Adagrad has no capturable form")
    values = gradients(0)[0]
    params = [norch.tensor(v, device=device) for v in values]
    extra = {}
    if composed and str(device) != "cpu":
        extra = dict(capturable=True)
    elif composed:
        extra = dict(differentiable=True)
    optimizer, states = make(params, **options, **extra), [{} for _ in params]
    for t, grads in enumerate(gradients(), 1):
        for i, (p, g) in enumerate(zip(params, grads)):
            p.grad = norch.tensor(g, device=device)
            values[i] = formula(values[i], g, states[i], t, **options)
        optimizer.step()
    tolerance = 2e-6 if make in (optim.NAdam, optim.ASGD) else 1e-9  # mu_product, eta and mu are float32
    if extra.get("capturable"):
        tolerance = 1e-4  # float32 counts on the GPU
    for p, v in zip(params, values):
        np.testing.assert_allclose(p.cpu().numpy(), v, rtol=tolerance, atol=tolerance)


@pytest.mark.parametrize("make, formula, options", CASES, ids=IDS)
def test_a_loaded_optimizer_continues(make, formula, options):
    def run(p, optimizer, grads):
        for g in grads:
            p.grad = norch.tensor(g[0])
            optimizer.step()

    grads = gradients()
    p, q = (nn.Parameter(norch.ones(3, 4, dtype=norch.float64)) for _ in range(2))
    a, b = make([p], **options), make([q])
    run(p, a, grads[:5])
    with norch.no_grad():
        q.copy_(p)
    state = a.state_dict()
    b.load_state_dict(state)
    assert state["state"][0]["step"].item() == 5 and list(b.param_groups[0])[0] == "lr"
    run(p, a, grads[5:])
    run(q, b, grads[5:])
    assert norch.equal(p, q)


@pytest.mark.parametrize("make, formula, options", CASES, ids=IDS)
def test_complex_parameters_are_pairs_of_real_ones(make, formula, options):
    grads = gradients()
    z = nn.Parameter(norch.ones(3, 2, dtype=norch.complex128))
    r = nn.Parameter(norch.view_as_real(z.detach()).clone())
    a, b = make([z], **options), make([r], **options)
    for g in grads:
        r.grad = norch.tensor(g[0].reshape(3, 2, 2))
        z.grad = norch.view_as_complex(r.grad)
        a.step()
        b.step()
    assert norch.equal(norch.view_as_real(z.detach()), r.detach())


def test_differentiable_steps_are_recorded():
    start = norch.ones(2, dtype=norch.float64, requires_grad=True)
    rate = norch.tensor(0.1, dtype=norch.float64, requires_grad=True)
    p = start * 1
    optimizer = optim.SGD([p], lr=rate, momentum=0.9, differentiable=True)
    for _ in range(3):
        p.grad = norch.ones(2, dtype=norch.float64)
        optimizer.step()
    p.sum().backward()
    assert start.grad.tolist() == [1, 1]
    np.testing.assert_allclose(rate.grad.item(), -2 * (1 + 1.9 + 2.71))


def test_lbfgs_minimises():
    p = nn.Parameter(norch.tensor([-1.2, 1.0], dtype=norch.float64))
    optimizer = optim.LBFGS([p], max_iter=60, line_search_fn="strong_wolfe")

    def closure():
        optimizer.zero_grad()
        loss = (1 - p[0]) ** 2 + 100 * (p[1] - p[0] ** 2) ** 2  # Rosenbrock's valley
        loss.backward()
        return loss

    assert optimizer.step(closure).item() == pytest.approx(24.2)
    np.testing.assert_allclose(p.tolist(), [1, 1], atol=1e-3)
    state = optimizer.state_dict()["state"][0]
    assert state["n_iter"] <= 60 and state["func_evals"] >= state["n_iter"]
    with pytest.raises(ValueError, match="per-parameter options"):
        optim.LBFGS([{"params": [p]}, {"params": [nn.Parameter(norch.ones(1))]}])
    with pytest.raises(RuntimeError, match="only 'strong_wolfe' is supported"):
        q = nn.Parameter(norch.ones(1))
        optim.LBFGS([q], line_search_fn="armijo").step(lambda: _backward(q))


def _backward(q):
    loss = (q * q).sum()
    loss.backward()
    return loss


def test_muon_makes_updates_orthogonal():
    p = nn.Parameter(norch.zeros(6, 4))
    optimizer = optim.Muon([p], lr=1.0, weight_decay=0)
    p.grad = norch.tensor(np.random.default_rng(0).standard_normal((6, 4)), dtype=norch.float32)
    optimizer.step()
    singular = norch.linalg.svdvals(p.detach()) / 1.5**0.5
    assert 0.6 < singular.min() and singular.max() < 1.3
    with pytest.raises(ValueError, match="only supports 2D parameters"):
        optim.Muon([nn.Parameter(norch.zeros(3))])


def test_adafactor_keeps_rows_and_columns():
    p = nn.Parameter(norch.ones(4, 3))
    q = nn.Parameter(norch.ones(3))
    optimizer = optim.Adafactor([p, q], lr=0.1)
    for _ in range(3):
        p.grad, q.grad = norch.ones(4, 3), -norch.ones(3)
        optimizer.step()
    assert tuple(optimizer.state[p]["row_var"].shape) == (4, 1)
    assert tuple(optimizer.state[p]["col_var"].shape) == (1, 3)
    assert "variance" in optimizer.state[q]
    assert (p < 1).all() and (q > 1).all()


@pytest.mark.parametrize(
    "make, options, text",
    [
        (optim.Adamax, dict(betas=(0.9, 1.0)), "Invalid beta parameter at index 1: 1.0"),
        (optim.NAdam, dict(momentum_decay=-1), "Invalid momentum_decay value: -1"),
        (optim.Adagrad, dict(lr_decay=-0.5), "Invalid lr_decay value: -0.5"),
        (optim.Adadelta, dict(rho=1.1), "Invalid rho value: 1.1"),
        (optim.Rprop, dict(etas=(1.0, 0.5)), "Invalid eta values: 1.0, 0.5"),
        (optim.ASGD, dict(weight_decay=-0.5), "Invalid weight_decay value: -0.5"),
        (optim.Adafactor, dict(d=0.0), "Clipping threshold d should be >= 1 but is: 0.0"),
        (optim.SGD, dict(lr=norch.ones(2)), "Tensor lr must be 1-element"),
        (optim.Adam, dict(betas=(0.9, norch.tensor(0.9))), "betas must be either both floats or both Tensors"),
    ],
)
def test_options_out_of_range(make, options, text):
    with pytest.raises(ValueError, match=text.replace("(", r"\(")):
        make([nn.Parameter(norch.ones(1))], **options)


def test_hooks_of_all_optimizers():
    calls = []
    p = nn.Parameter(norch.ones(1))
    optimizer = optim.Adadelta([p])
    p.grad = norch.ones(1)
    before = optim.optimizer.register_optimizer_step_pre_hook(lambda o, args, kwargs: calls.append((o, args)))
    after = optim.optimizer.register_optimizer_step_post_hook(lambda o, args, kwargs: calls.append("post"))
    own = optimizer.register_step_pre_hook(lambda o, args, kwargs: calls.append("own"))
    optimizer.step()
    assert calls == [(optimizer, (optimizer,)), "own", "post"]
    for handle in (before, after, own):
        handle.remove()
    optimizer.step()
    assert len(calls) == 3


def test_adagrads_state_may_be_shared():
    optimizer = optim.Adagrad([nn.Parameter(norch.ones(3))])
    optimizer.share_memory()
    assert all(state["sum"].is_shared() for state in optimizer.state.values())
