"""Activation modules against NumPy, and their texts."""

import math

import numpy as np
import pytest

import norch
from norch import nn

erf = np.vectorize(math.erf)


def sigmoid(x):
    return 1 / (1 + np.exp(-x))


def softplus(x, beta=1.0, threshold=20.0):
    return np.where(x * beta > threshold, x, np.log1p(np.exp(np.minimum(x * beta, threshold))) / beta)


def softmax(x, axis):
    e = np.exp(x - x.max(axis, keepdims=True))
    return e / e.sum(axis, keepdims=True)


SELU_SCALE, SELU_ALPHA = 1.0507009873554805, 1.6732632423543772

CASES = [
    (nn.Sigmoid(), sigmoid, "Sigmoid()"),
    (nn.Tanh(), np.tanh, "Tanh()"),
    (nn.LogSigmoid(), lambda x: -softplus(-x), "LogSigmoid()"),
    (nn.Softsign(), lambda x: x / (1 + abs(x)), "Softsign()"),
    (nn.Tanhshrink(), lambda x: x - np.tanh(x), "Tanhshrink()"),
    (nn.ReLU(), lambda x: np.maximum(x, 0), "ReLU()"),
    (nn.ReLU6(), lambda x: np.clip(x, 0, 6), "ReLU6()"),
    (nn.LeakyReLU(0.2), lambda x: np.where(x >= 0, x, 0.2 * x), "LeakyReLU(negative_slope=0.2)"),
    (nn.ELU(1.5), lambda x: np.where(x > 0, x, 1.5 * np.expm1(x)), "ELU(alpha=1.5)"),
    (nn.CELU(1.5), lambda x: np.maximum(x, 0) + np.minimum(1.5 * np.expm1(x / 1.5), 0), "CELU(alpha=1.5)"),
    (nn.SELU(), lambda x: SELU_SCALE * np.where(x > 0, x, SELU_ALPHA * np.expm1(x)), "SELU()"),
    (nn.GELU(), lambda x: x * (1 + erf(x / math.sqrt(2))) / 2, "GELU(approximate='none')"),
    (
        nn.GELU("tanh"),
        lambda x: x / 2 * (1 + np.tanh(math.sqrt(2 / math.pi) * (x + 0.044715 * x**3))),
        "GELU(approximate='tanh')",
    ),
    (nn.SiLU(), lambda x: x * sigmoid(x), "SiLU()"),
    (nn.Mish(), lambda x: x * np.tanh(softplus(x)), "Mish()"),
    (nn.Hardsigmoid(), lambda x: np.clip(x + 3, 0, 6) / 6, "Hardsigmoid()"),
    (nn.Hardswish(), lambda x: x * np.clip(x + 3, 0, 6) / 6, "Hardswish()"),
    (nn.Hardtanh(-2, 3), lambda x: np.clip(x, -2, 3), "Hardtanh(min_val=-2, max_val=3)"),
    (nn.Softplus(2.0, 3.0), lambda x: softplus(x, 2.0, 3.0), "Softplus(beta=2.0, threshold=3.0)"),
    (nn.Threshold(0.5, 7), lambda x: np.where(x > 0.5, x, 7), "Threshold(threshold=0.5, value=7)"),
    (nn.Softmax(1), lambda x: softmax(x, 1), "Softmax(dim=1)"),
    (nn.Softmin(1), lambda x: softmax(-x, 1), "Softmin(dim=1)"),
    (nn.LogSoftmax(0), lambda x: np.log(softmax(x, 0)), "LogSoftmax(dim=0)"),
    (nn.GLU(), lambda x: x[:, :4] * sigmoid(x[:, 4:]), "GLU(dim=-1)"),
    (nn.PReLU(), lambda x: np.where(x >= 0, x, 0.25 * x), "PReLU(num_parameters=1)"),
]


@pytest.mark.parametrize("module, reference, text", CASES, ids=[c[2].partition("(")[0] for c in CASES])
def test_values(device, module, reference, text):
    x = np.random.randn(6, 8) * 4
    module = module.to(device).double()
    t = norch.tensor(x, device=device)
    np.testing.assert_allclose(module(t).detach().cpu().numpy(), reference(x), rtol=1e-10, atol=1e-12)
    assert repr(module) == text
    np.testing.assert_array_equal(t.cpu().numpy(), x)


INPLACE = [
    nn.ReLU(True),
    nn.ReLU6(True),
    nn.LeakyReLU(0.1, True),
    nn.ELU(1.0, True),
    nn.CELU(1.0, True),
    nn.SELU(True),
    nn.SiLU(True),
    nn.Mish(True),
    nn.Hardtanh(inplace=True),
    nn.Hardsigmoid(True),
    nn.Hardswish(True),
    nn.Threshold(0.1, 2, True),
]


@pytest.mark.parametrize("module", INPLACE, ids=[type(m).__name__ for m in INPLACE])
def test_inplace(device, module):
    x = norch.randn(5, 4, device=device)
    module.inplace = False
    expected = module(x)
    module.inplace = True
    y = module(x)
    assert y is x and norch.equal(x, expected)
    if not isinstance(module, (nn.Hardsigmoid, nn.Hardswish)):
        assert "inplace=True" in repr(module)


def test_softmax_needs_a_dim():
    with pytest.warns(UserWarning, match="Implicit dimension choice for softmax"):
        assert nn.Softmax()(norch.zeros(2, 4)).tolist() == [[0.25] * 4] * 2
    with pytest.warns(UserWarning, match="Implicit dimension choice for log_softmax"):
        nn.LogSoftmax()(norch.zeros(3))


def test_prelu_per_channel():
    m = nn.PReLU(3, init=0.5)
    with norch.no_grad():
        m.weight[1] = 2
    x = -norch.ones(2, 3, 4)
    assert m(x)[0, :, 0].tolist() == [-0.5, -2, -0.5]
    m(x).sum().backward()
    assert m.weight.grad.tolist() == [-8, -8, -8]


def test_hardtanh_checks_its_bounds():
    with pytest.raises(AssertionError, match="must be greater than min_val"):
        nn.Hardtanh(1, 1)


def test_wrong_shapes():
    with pytest.raises(RuntimeError, match="Halving dimension must be even, but dimension -1 is size 3"):
        nn.GLU()(norch.zeros(2, 3))
    with pytest.raises(RuntimeError, match=r"weight has shape \[3\] for an input of shape \[2, 4\]"):
        nn.PReLU(3)(norch.zeros(2, 4))


def test_prelu_of_infinities():
    x = norch.tensor([2.0, math.inf, -1.0], requires_grad=True)
    weight = norch.tensor(-math.inf, requires_grad=True)
    a, b = norch.autograd.grad(norch.nn.functional.prelu(x, weight).sum(), (x, weight))
    assert a.tolist() == [1, 1, -math.inf] and b.item() == -1


def test_hardswish_gradient_at_nan():
    x = norch.tensor([-4.0, 0.0, 4.0, math.nan], requires_grad=True)
    norch.nn.functional.hardswish(x).sum().backward()
    np.testing.assert_array_equal(x.grad.tolist(), [0, 0.5, 1, math.nan])
