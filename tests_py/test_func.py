"""norch.func and norch.autograd.functional: derivatives of functions, vmap, ensembles."""

import math

import pytest

import norch
from norch import func, nn
from norch.autograd import functional

X = [[0.3, 0.5], [1.2, -0.7]]
V = [0.4, -1.1]


def t(values):
    return norch.tensor(values, dtype=norch.float64)


def same(a, b):
    return norch.allclose(a, b, rtol=1e-10, atol=1e-12)


# ---- norch.func


def test_grad_and_higher_derivatives():
    assert same(func.grad(lambda x: x.sin().sum())(t(X)), t(X).cos())
    assert func.grad(func.grad(func.grad(lambda x: x**4)))(t(2.0)).item() == pytest.approx(48.0)
    g, value = func.grad_and_value(lambda x: x * x)(t(3.0))
    assert (g.item(), value.item()) == (6.0, 9.0)
    assert not g.requires_grad and not value.requires_grad


def test_grad_of_several_arguments_and_containers():
    a, b = func.grad(lambda x, w: (x @ w).sum(), argnums=(0, 1))(t(X), t(V))
    assert same(a, t([V, V])) and same(b, t(X).sum(0))
    assert same(func.grad(lambda x, w: (x @ w).sum(), argnums=-1)(t(X), t(V)), t(X).sum(0))
    d = func.grad(lambda p: (p["a"] * p["b"][0]).sum())({"a": t(V), "b": [t([1.0, 2.0])]})
    assert same(d["a"], t([1.0, 2.0])) and same(d["b"][0], t(V))
    g, aux = func.grad(lambda x: ((x * x).sum(), {"x": x}), has_aux=True)(t(V))
    assert same(g, 2 * t(V)) and same(aux["x"], t(V)) and not aux["x"].requires_grad
    a, b = func.grad(lambda x, y: x.sum(), argnums=(0, 1))(t(X), t(V))
    assert same(b, norch.zeros_like(t(V)))


def test_gradients_flow_through():
    x = t(X).requires_grad_()
    func.grad(lambda y: y.sin().sum())(x).sum().backward()
    assert same(x.grad, -t(X).sin())
    w = t(V).requires_grad_()
    g = func.grad(lambda y: (y @ w).sum() ** 2)(t(X))
    assert g.requires_grad
    g.sum().backward()
    assert w.grad is not None
    with norch.no_grad():
        g = func.grad(lambda y: (y @ w).sum() ** 2)(x)
    assert not g.requires_grad and g.abs().sum() > 0


def test_errors_of_grad():
    with pytest.raises(RuntimeError, match="scalar tensor, got tensor with 2 dims"):
        func.grad(lambda x: x)(t(X))
    with pytest.raises(RuntimeError, match="to return tensor, got type float"):
        func.grad(lambda x: 1.0)(t(X))
    with pytest.raises(RuntimeError, match="Got argnum=1, but only 1 positional inputs"):
        func.grad(lambda x: x.sum(), argnums=1)(t(X))
    with pytest.raises(RuntimeError, match="unique"):
        func.grad(lambda x, y: x.sum(), argnums=(0, 0))(t(X), t(X))
    with pytest.raises(RuntimeError, match="tuple: \\(output, aux\\)"):
        func.grad(lambda x: x.sum(), has_aux=True)(t(X))


def test_vjp():
    y, pull = func.vjp(lambda x, w: (x @ w, x * 2), t(X), t(V))
    assert same(y[0], t(X) @ t(V)) and not y[0].requires_grad
    gx, gw = pull((t(V), t(X)))
    assert same(gx, t(V).outer(t(V)) + 2 * t(X)) and same(gw, t(X).T @ t(V))
    pull((t(V), t(X)))  # again
    with pytest.raises(RuntimeError, match="pytree structure of cotangents"):
        pull(t(V))


def test_jvp_and_linearize():
    y, d = func.jvp(lambda x, w: (x @ w).sin(), (t(X), t(V)), (t(X), t(V)))
    assert same(y, (t(X) @ t(V)).sin()) and same(d, (t(X) @ t(V)).cos() * 2 * (t(X) @ t(V)))
    _, d = func.jvp(lambda x: (x * x, x.sum()), (t(V),), (t([1.0, 0.0]),))
    assert same(d[0], t([0.8, 0.0])) and d[1].item() == 1.0
    _, push = func.linearize(norch.exp, t(V))
    assert same(push(t([1.0, 2.0])), t(V).exp() * t([1.0, 2.0]))
    with pytest.raises(RuntimeError, match="same python structure"):
        func.jvp(norch.exp, (t(V),), (t(V), t(V)))
    with pytest.raises(RuntimeError, match="tangent has shape"):
        func.jvp(norch.exp, (t(V),), (t(X),))
    with pytest.raises(RuntimeError, match="to be a tuple"):
        func.jvp(norch.exp, t(V), (t(V),))


@pytest.mark.parametrize("jacobian", [func.jacrev, func.jacfwd])
def test_jacobians(jacobian):
    j = jacobian(lambda x: x @ x)(t(X))
    expected = functional.jacobian(lambda x: x @ x, t(X))
    assert j.shape == (2, 2, 2, 2) and same(j, expected)
    blocks = jacobian(lambda x, w: (x @ w, {"s": w.sum()}), argnums=(0, 1))(t(X), t(V))
    assert blocks[0][0].shape == (2, 2, 2) and same(blocks[0][1], t(X))
    assert same(blocks[1]["s"][1], t([1.0, 1.0])) and same(blocks[1]["s"][0], norch.zeros_like(t(X)))
    j, aux = jacobian(lambda x: (x * 2, x), has_aux=True)(t(V))
    assert same(j, 2 * norch.eye(2, dtype=norch.float64)) and same(aux, t(V))


def test_hessian():
    h = func.hessian(lambda x: (x**3).sum() + x[0] * x[1])(t(V))
    assert same(h, t([[6 * V[0], 1.0], [1.0, 6 * V[1]]]))
    assert same(func.jacfwd(func.jacrev(lambda x: (x**3).sum() + x[0] * x[1]))(t(V)), h)
    assert same(func.jacfwd(func.grad(lambda x: (x**3).sum() + x[0] * x[1]))(t(V)), h)


def test_vmap():
    x, v = t(X), t(V)
    assert same(norch.vmap(norch.dot)(x, x), (x * x).sum(1))
    assert same(func.vmap(norch.mul, in_dims=(1, None), out_dims=1)(x, v), x * v[:, None])
    outer = func.vmap(func.vmap(norch.mul, in_dims=(None, 0)), in_dims=(0, None))
    assert same(outer(v, v), v.outer(v))
    a, d = func.vmap(lambda r: (r, {"s": r.sum()}), out_dims=(1, 0))(x)
    assert same(a, x.T) and same(d["s"], x.sum(1))
    assert same(func.vmap(lambda p: p["a"] + p["b"], in_dims=({"a": 0, "b": None},))({"a": x, "b": v}), x + v)
    assert same(func.vmap(lambda r, scale=None: r * scale)(x, scale=v), x * v)
    assert same(func.vmap(lambda r: r if r.sum() > 0.6 else -r)(x), t([X[0], X[1]]) * t([[1.0], [-1.0]]))
    assert func.vmap(lambda r: r.sum())(norch.ones(0, 3)).shape == (0,)
    per_sample = func.vmap(func.grad(lambda w, r: (w * r).sin().sum()), in_dims=(None, 0))(v, x)
    assert same(per_sample, x * (v * x).cos())
    y = t(X).requires_grad_()
    func.vmap(lambda r: r.exp().sum())(y).sum().backward()
    assert same(y.grad, t(X).exp())


def test_randomness_of_vmap():
    x = norch.ones(3)
    with pytest.raises(RuntimeError, match="called random operation"):
        func.vmap(lambda v: v + norch.randn(()))(x)
    norch.manual_seed(0)
    same_numbers = func.vmap(lambda v: v + norch.randn(()), randomness="same")(x)
    assert same_numbers[0] == same_numbers[1] == same_numbers[2]
    different = func.vmap(lambda v: v + norch.randn(()), randomness="different")(x)
    assert different[0] != different[1]
    with pytest.raises(RuntimeError, match="Only allowed values for randomness"):
        func.vmap(lambda v: v, randomness="some")(x)


def test_errors_of_vmap():
    x, v = t(X), t(V)
    with pytest.raises(ValueError, match="same size in the mapped dimension, got sizes \\[2, 3\\]"):
        func.vmap(norch.mul)(x, norch.ones(3))
    with pytest.raises(ValueError, match="Got in_dim=3"):
        func.vmap(norch.sin, in_dims=3)(x)
    with pytest.raises(ValueError, match="must only return Tensors"):
        func.vmap(lambda r: 1.0)(x)
    with pytest.raises(ValueError, match="not compatible with the structure of `inputs`"):
        func.vmap(lambda r: r, in_dims=(0, 0))(x)
    with pytest.raises(ValueError, match="not compatible with the structure of `outputs`"):
        func.vmap(lambda r: r, out_dims=(0, 0))(x)
    with pytest.raises(ValueError, match="got no inputs"):
        func.vmap(lambda: v)()
    with pytest.raises(ValueError, match="expected `in_dims` to be int"):
        func.vmap(lambda r: r, in_dims=[0])(x)
    with pytest.raises(ValueError, match="non-Tensor"):
        func.vmap(norch.mul)(x, 2.0)


def test_ensembles():
    models = [nn.Linear(2, 1) for _ in range(3)]
    parameters, buffers = func.stack_module_state(models)
    assert parameters["weight"].shape == (3, 1, 2) and parameters["weight"].requires_grad and not buffers
    x = norch.randn(4, 2)
    run = func.vmap(lambda p, b: func.functional_call(models[0], (p, b), (x,)))
    assert norch.allclose(run(parameters, buffers), norch.stack([m(x) for m in models]))
    with pytest.raises(RuntimeError, match="at least one"):
        func.stack_module_state([])
    with pytest.raises(RuntimeError, match="same class"):
        func.stack_module_state([nn.Linear(1, 1), nn.Bilinear(1, 1, 1)])
    with pytest.raises(RuntimeError, match="training/eval"):
        func.stack_module_state([nn.Linear(1, 1), nn.Linear(1, 1).eval()])


def test_batch_norm_without_running_statistics():
    net = nn.Sequential(nn.Linear(3, 3), nn.BatchNorm1d(3))
    assert func.replace_all_batch_norm_modules_(net) is net
    assert net[1].running_var is None and not net[1].track_running_stats
    x = norch.randn(5, 3)
    assert norch.allclose(net.eval()(x).mean(0), norch.zeros(3), atol=1e-5)


# ---- norch.autograd.functional


def test_functional_products():
    def f(x, w):
        return (x @ w) ** 2

    x, w = t(X), t(V)
    y, (gx, gw) = functional.vjp(f, (x, w), t(V))
    assert same(y, f(x, w))
    assert same(gx, (2 * (x @ w) * t(V)).outer(w)) and same(gw, x.T @ (2 * (x @ w) * t(V)))
    y, d = functional.jvp(f, (x, w), (x, w))
    assert same(d, 4 * (x @ w) ** 2)
    _, hv = functional.hvp(lambda x: (x**3).sum(), w, t([1.0, 2.0]))
    _, vh = functional.vhp(lambda x: (x**3).sum(), w, t([1.0, 2.0]))
    assert same(hv, 6 * w * t([1.0, 2.0])) and same(vh, hv)


def test_functional_jacobian_and_hessian():
    j = functional.jacobian(lambda x, w: (x @ w, w.sum() * x), (t(X), t(V)))
    assert same(j[0][1], t(X)) and j[1][0].shape == (2, 2, 2, 2)
    forward = functional.jacobian(lambda x: x @ x, t(X), vectorize=True, strategy="forward-mode")
    assert same(forward, functional.jacobian(lambda x: x @ x, t(X)))
    h = functional.hessian(lambda x: (x**3).sum() + x[0] * x[1], t(V))
    assert same(h, t([[6 * V[0], 1.0], [1.0, 6 * V[1]]]))
    blocks = functional.hessian(lambda x, w: (x @ w).sum(), (t(X), t(V)))
    assert blocks[0][1].shape == (2, 2, 2) and same(blocks[0][0], norch.zeros(2, 2, 2, 2, dtype=norch.float64))


def test_functional_create_graph():
    x = t(V).requires_grad_()
    j = functional.jacobian(lambda y: y**3, x, create_graph=True)
    j.sum().backward()
    assert same(x.grad, 6 * t(V))
    assert not functional.jacobian(lambda y: y**3, x).requires_grad


def test_functional_strict():
    with pytest.raises(RuntimeError, match="strict"):
        functional.jacobian(lambda x, w: x * 1, (t(X), t(V)), strict=True)
    with pytest.raises(RuntimeError, match="strict"):
        functional.vjp(lambda x: t(1.0), t(X), strict=True)
    assert same(functional.jacobian(lambda x: t(V), t(V)), norch.zeros(2, 2, dtype=norch.float64))


def test_functional_errors():
    with pytest.raises(RuntimeError, match="can only be None"):
        functional.vjp(lambda x: x * 2, t(X))
    with pytest.raises(RuntimeError, match="v has invalid size"):
        functional.vjp(lambda x: x * 2, t(X), t(V))
    with pytest.raises(TypeError, match="outputs of the user-provided function given to vjp"):
        functional.vjp(lambda x: 2, t(X), t(V))
    with pytest.raises(TypeError, match="inputs given to jacobian"):
        functional.jacobian(lambda x: x, [t(X)])
    with pytest.raises(RuntimeError, match="single element"):
        functional.hessian(lambda x: x, t(X))
    with pytest.raises(AssertionError, match="strategy"):
        functional.jacobian(lambda x: x, t(X), strategy="sideways")


def test_a_derivative_of_a_physical_law():
    # The force of a potential, for each particle of a batch, and the curvature at the minimum.
    def potential(r):
        return 4 * (r**-12 - r**-6)

    force = func.vmap(func.grad(lambda r: -potential(r)))
    minimum = t([2 ** (1 / 6)] * 3)
    assert norch.allclose(force(minimum), norch.zeros(3, dtype=norch.float64), atol=1e-9)
    curvature = func.vmap(func.grad(func.grad(potential)))(minimum)
    assert curvature[0].item() == pytest.approx(72 / 2 ** (1 / 3), rel=1e-9) and math.isfinite(curvature[2].item())
