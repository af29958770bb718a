"""Weight norm, spectral norm, parametrizations, functional_call, fusion."""

import copy
import pickle

import numpy as np
import pytest

import norch
from norch import nn
from norch.nn.utils import parametrizations, parametrize

D = norch.float64


class Symmetric(nn.Module):
    def forward(self, x):
        return x.triu() + x.triu(1).transpose(-1, -2)

    def right_inverse(self, a):
        return a.triu()


@pytest.fixture(params=["hook", "parametrization"])
def weight_norm(request):
    def old(*args, **kwargs):
        with pytest.warns(FutureWarning, match="deprecated"):
            return nn.utils.weight_norm(*args, **kwargs)

    return old if request.param == "hook" else parametrizations.weight_norm


@pytest.mark.parametrize("dim", [0, 1, None])
def test_weight_norm(weight_norm, dim):
    plain = nn.Conv1d(3, 4, 2, dtype=D)
    before = plain.weight.detach().clone()
    m = weight_norm(plain, dim=dim)
    np.testing.assert_allclose(m.weight.detach().numpy(), before.numpy(), atol=1e-12)
    g, v = (p for name, p in m.named_parameters() if "bias" not in name)
    assert g.shape == {0: (4, 1, 1), 1: (1, 3, 1), None: ()}[dim] and v.shape == (4, 3, 2)
    x = norch.randn(2, 3, 5, dtype=D)
    with norch.no_grad():
        g.mul_(2)
        v.mul_(3)  # the direction's length does not count
    expected = norch.conv1d(x, 2 * before, m.bias)
    np.testing.assert_allclose(m(x).detach().numpy(), expected.detach().numpy(), atol=1e-12)
    m(x).sum().backward()
    assert g.grad is not None and v.grad is not None
    # v's gradient is orthogonal to v, slice by slice
    inner = (v * v.grad).detach()
    keep = () if dim is None else (dim,)
    assert float(inner.sum([d for d in range(3) if d not in keep]).abs().max()) < 1e-10


def test_weight_norm_removed(weight_norm):
    m = nn.Linear(3, 4)
    before = m.weight.detach().clone()
    m = weight_norm(m)
    if parametrize.is_parametrized(m):
        parametrize.remove_parametrizations(m, "weight")
    else:
        nn.utils.remove_weight_norm(m)
    assert [name for name, _ in m.named_parameters()] in (["bias", "weight"], ["weight", "bias"])
    assert type(m) is nn.Linear and norch.allclose(m.weight, before) and not m._forward_pre_hooks
    with pytest.raises(ValueError, match="not found"):
        nn.utils.remove_weight_norm(m)


def test_weight_norm_of_a_recurrent_weight(weight_norm):
    m = weight_norm(nn.LSTM(3, 4), "weight_hh_l0")
    m(norch.randn(2, 1, 3))[0].sum().backward()
    assert all(p.grad is not None for p in m.parameters())


def test_old_weight_norm_state_loads_into_the_new():
    with pytest.warns(FutureWarning):
        old = nn.utils.weight_norm(nn.Linear(3, 4))
    new = parametrizations.weight_norm(nn.Linear(3, 4))
    new.load_state_dict(old.state_dict())
    assert norch.equal(new.weight, old.weight)


@pytest.mark.parametrize("function", [nn.utils.spectral_norm, parametrizations.spectral_norm])
@pytest.mark.parametrize("make", [lambda: nn.Linear(5, 4, dtype=D), lambda: nn.ConvTranspose2d(2, 6, 3, dtype=D)])
def test_spectral_norm(function, make):
    m = make()
    matrix = m.weight.detach()
    matrix = matrix.transpose(0, 1).flatten(1) if matrix.ndim == 4 else matrix
    largest = float(np.linalg.svd(matrix.numpy(), compute_uv=False)[0])
    original = m.weight.detach().clone()
    m = function(m, n_power_iterations=200)
    x = norch.randn(2, 5, dtype=D) if original.ndim == 2 else norch.randn(1, 2, 4, 4, dtype=D)
    m(x).sum().backward()
    np.testing.assert_allclose(m.weight.detach().numpy(), original.numpy() / largest, atol=1e-8)
    m.eval()
    state = {k: v.clone() for k, v in m.state_dict().items()}
    m(x)
    assert all(norch.equal(state[k], v) for k, v in m.state_dict().items())  # eval estimates nothing anew


def test_spectral_norm_removed_and_refused():
    m = nn.utils.remove_spectral_norm(nn.utils.spectral_norm(nn.Linear(3, 4)))
    assert list(m.state_dict()) == ["bias", "weight"] and not m._state_dict_hooks
    with pytest.raises(RuntimeError, match="Cannot register two spectral_norm hooks"):
        nn.utils.spectral_norm(nn.utils.spectral_norm(m))
    with pytest.raises(ValueError, match="n_power_iterations"):
        nn.utils.spectral_norm(nn.Linear(3, 4), n_power_iterations=0)


@pytest.mark.parametrize("which", [None, "matrix_exp", "cayley", "householder"])
@pytest.mark.parametrize("rows,columns", [(3, 3), (5, 3), (3, 5)])
@pytest.mark.parametrize("trivial", [True, False])
def test_orthogonal(which, rows, columns, trivial):
    m = parametrizations.orthogonal(nn.Linear(columns, rows, dtype=D), orthogonal_map=which, use_trivialization=trivial)

    def error():
        w = m.weight.detach().numpy()
        small = w @ w.T if rows <= columns else w.T @ w
        return abs(small - np.eye(min(rows, columns))).max()

    assert error() < 1e-10
    m(norch.randn(2, columns, dtype=D)).pow(2).sum().backward()
    norch.optim.SGD(m.parameters(), 0.1).step()
    assert error() < 1e-10
    if trivial or which == "householder":
        q = np.linalg.qr(np.random.randn(max(rows, columns), min(rows, columns)))[0]
        q = q.T.copy() if rows < columns else q
        m.weight = norch.tensor(q)
        np.testing.assert_allclose(m.weight.detach().numpy(), q, atol=1e-10)


def test_parametrization():
    m = nn.Linear(3, 3)
    assert parametrize.register_parametrization(m, "weight", Symmetric()) is m
    assert type(m).__name__ == "ParametrizedLinear" and parametrize.type_before_parametrizations(m) is nn.Linear
    assert list(m.state_dict()) == ["bias", "parametrizations.weight.original"]
    assert norch.equal(m.weight, m.weight.T) and m.weight is not m.weight
    with parametrize.cached():
        assert m.weight is m.weight
    symmetric = norch.tensor([[1.0, 2, 3], [2, 4, 5], [3, 5, 6]])
    m.weight = symmetric
    assert norch.equal(m.weight, symmetric) and norch.equal(m.parametrizations.weight.original, symmetric.triu())
    twin = copy.deepcopy(m)
    parametrize.register_parametrization(m, "weight", Symmetric())
    parametrize.register_parametrization(m, "bias", nn.Tanh())
    assert len(m.parametrizations.weight) == 2 and norch.equal(twin.weight, symmetric)
    m(norch.ones(3)).sum().backward()
    assert all(p.grad is not None for p in m.parameters())
    parametrize.remove_parametrizations(m, "bias", leave_parametrized=False)
    parametrize.remove_parametrizations(m, "weight")
    assert type(m) is nn.Linear and isinstance(m.weight, nn.Parameter) and norch.equal(m.weight, symmetric)
    other = parametrize.transfer_parametrizations_and_params(twin, nn.Linear(3, 3))
    assert other.parametrizations.weight.original is twin.parametrizations.weight.original


@pytest.mark.parametrize(
    "error,text,call",
    [
        (ValueError, "does not have a parameter", lambda m: parametrize.register_parametrization(m, "x", Symmetric())),
        (ValueError, "may not change the shape",
         lambda m: parametrize.register_parametrization(m, "weight", nn.Flatten(0))),
        (ValueError, "does not have a parametrization", lambda m: parametrize.remove_parametrizations(m, "weight")),
        (ValueError, "Cannot leave unparametrized",
         lambda m: parametrize.remove_parametrizations(parametrizations.weight_norm(m), "weight", False)),
        (RuntimeError, "does not implement right_inverse",
         lambda m: setattr(parametrize.register_parametrization(m, "weight", nn.Tanh()), "weight", norch.ones(3, 3))),
        (RuntimeError, "only supported through state_dict", lambda m: pickle.dumps(parametrizations.weight_norm(m))),
        (ValueError, "orthogonal_map has to be", lambda m: parametrizations.orthogonal(m, orthogonal_map="x")),
        (IndexError, "Dimension out of range", lambda m: parametrizations.spectral_norm(m, dim=2)),
    ],
)  # fmt: skip
def test_parametrization_errors(error, text, call):
    with pytest.raises(error, match=text):
        call(nn.Linear(3, 3))


def test_functional_call():
    m = nn.Sequential(nn.Linear(2, 2), nn.BatchNorm1d(2))
    new = {"0.weight": norch.eye(2), "0.bias": norch.zeros(2), "1.running_mean": norch.zeros(2)}
    before = m.state_dict(keep_vars=True)
    x = norch.randn(4, 2)
    out = norch.func.functional_call(m, new, (x,))
    np.testing.assert_allclose(out.detach(), ((x - x.mean(0)) / (x.var(0, correction=0) + 1e-5).sqrt()).numpy(), atol=1e-5)
    assert all(v is before[k] for k, v in m.state_dict(keep_vars=True).items())
    assert float(new["1.running_mean"].abs().max()) > 0  # buffers that forward changes are those given
    tied = nn.Sequential(nn.Linear(2, 2, bias=False), nn.Linear(2, 2, bias=False))
    tied[1].weight = tied[0].weight
    assert norch.func.functional_call(tied, {"0.weight": 2 * norch.eye(2)}, norch.ones(2)).tolist() == [4, 4]
    with pytest.raises(RuntimeError, match="Unexpected key"):
        norch.func.functional_call(m, {"x": x}, x, strict=True)
    with pytest.raises(ValueError, match="ambiguous"):
        norch.func.functional_call(m, (new, new), x)
    with pytest.raises(ZeroDivisionError):
        norch.func.functional_call(nn.Sequential(m), {"0.0.bias": x}, x, {"no": 1 / 0})


@pytest.mark.parametrize("transpose", [False, True])
def test_fusion(transpose):
    conv = (nn.ConvTranspose2d if transpose else nn.Conv2d)(2, 4, 3, bias=transpose).eval()
    bn, x = nn.BatchNorm2d(4).eval(), norch.randn(2, 2, 5, 5)
    bn.running_mean.add_(0.5)
    bn.running_var.mul_(2)
    fused = nn.utils.fuse_conv_bn_eval(conv, bn, transpose)
    np.testing.assert_allclose(fused(x).detach(), bn(conv(x)).detach().numpy(), atol=1e-5)
    with pytest.raises(AssertionError, match="only for eval"):
        nn.utils.fuse_conv_bn_eval(conv.train(), bn)
