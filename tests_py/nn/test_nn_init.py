"""nn.init: distributions, shapes, errors."""

import math

import numpy as np
import pytest

import norch
from norch import nn
from norch.nn import init


def values(t):
    return t.detach().cpu().numpy()


def check_uniform(t, bound):
    v = values(t).astype(np.float64)
    assert np.abs(v).max() <= bound * (1 + 1e-6)
    assert abs(v.std() - bound / math.sqrt(3)) < 0.02 * bound and abs(v.mean()) < 0.02 * bound


def check_normal(t, std, mean=0.0):
    v = values(t).astype(np.float64)
    assert abs(v.std() - std) < 0.02 * std and abs(v.mean() - mean) < 0.02 * std
    assert abs(((v - mean) ** 4).mean() / std**4 - 3) < 0.3


@pytest.fixture
def weight(device):
    return nn.Parameter(norch.empty(200, 50, 3, 2, device=device))  # fan in 300, fan out 1200


def test_uniform_and_normal(weight):
    assert init.uniform_(weight, -2, 2) is weight and weight.is_leaf and weight.requires_grad
    check_uniform(weight, 2)
    check_normal(init.normal_(weight, 3, 0.5), 0.5, 3)


def test_xavier(weight):
    check_uniform(init.xavier_uniform_(weight, gain=2), 2 * math.sqrt(6 / 1500))
    check_normal(init.xavier_normal_(weight, gain=2), 2 * math.sqrt(2 / 1500))


def test_kaiming(weight):
    check_uniform(init.kaiming_uniform_(weight, a=math.sqrt(5)), 1 / math.sqrt(300))
    check_uniform(init.kaiming_uniform_(weight, mode="fan_out", nonlinearity="relu"), math.sqrt(6 / 1200))
    check_normal(init.kaiming_normal_(weight, nonlinearity="relu"), math.sqrt(2 / 300))
    with pytest.raises(ValueError, match="Mode FAN not supported|Mode fan not supported"):
        init.kaiming_normal_(weight, mode="FAN")
    with pytest.raises(ValueError, match="fewer than 2 dimensions"):
        init.xavier_normal_(norch.empty(3))
    empty = norch.empty(0, 3)
    with pytest.warns(UserWarning, match="no-op"):
        assert init.kaiming_uniform_(empty) is empty


def test_trunc_normal(weight):
    init.trunc_normal_(weight, mean=1.0, std=2.0, a=-1.0, b=2.0)
    v = values(weight)
    assert v.min() >= -1 and v.max() <= 2
    # The mean of a normal distribution between a and b.
    alpha, beta = -1.0, 0.5
    pdf = [math.exp(-x * x / 2) / math.sqrt(2 * math.pi) for x in (alpha, beta)]
    cdf = [(1 + math.erf(x / math.sqrt(2))) / 2 for x in (alpha, beta)]
    assert abs(v.mean() - (1 + 2 * (pdf[0] - pdf[1]) / (cdf[1] - cdf[0]))) < 0.02


def test_constants(weight):
    assert (values(init.constant_(weight, 0.5)) == 0.5).all()
    assert (values(init.ones_(weight)) == 1).all()
    assert (values(init.zeros_(weight)) == 0).all()


def test_eye_and_dirac(device):
    t = norch.ones(3, 5, device=device)
    np.testing.assert_array_equal(values(init.eye_(t)), np.eye(3, 5))
    with pytest.raises(ValueError, match="2 dimensions"):
        init.eye_(norch.ones(3))
    conv = nn.Conv1d(4, 6, 3, padding=1, bias=False, device=device)
    init.dirac_(conv.weight)
    x = norch.randn(2, 4, 7, device=device)
    y = conv(x)
    assert norch.allclose(y[:, :4], x) and not y[:, 4:].any()
    grouped = nn.Conv2d(4, 4, 3, padding=1, groups=2, bias=False, device=device)
    init.dirac_(grouped.weight, groups=2)
    x = norch.randn(2, 4, 5, 5, device=device)
    assert norch.allclose(grouped(x), x)
    with pytest.raises(ValueError, match="divisible by groups"):
        init.dirac_(norch.empty(3, 2, 3), groups=2)
    with pytest.raises(ValueError, match="3, 4, or 5 dimensions"):
        init.dirac_(norch.empty(3, 3))


@pytest.mark.parametrize("shape", [(4, 6), (6, 4), (5, 5), (3, 2, 4)])
def test_orthogonal(device, shape):
    t = init.orthogonal_(norch.empty(*shape, device=device), gain=2)
    m = values(t).reshape(shape[0], -1)
    product = m @ m.T if m.shape[0] <= m.shape[1] else m.T @ m
    np.testing.assert_allclose(product, 4 * np.eye(min(m.shape)), atol=1e-5)
    with pytest.raises(ValueError, match="2 or more"):
        init.orthogonal_(norch.empty(3))


def test_sparse(device):
    t = init.sparse_(norch.empty(10, 4, device=device), 0.25, std=1.0)
    assert ((values(t) == 0).sum(0) == 3).all()
    with pytest.raises(ValueError, match="2 dimensions"):
        init.sparse_(norch.empty(3), 0.1)


def test_gains():
    assert init.calculate_gain("linear") == init.calculate_gain("conv2d") == init.calculate_gain("sigmoid") == 1
    assert init.calculate_gain("tanh") == 5 / 3
    assert init.calculate_gain("relu") == math.sqrt(2)
    assert init.calculate_gain("leaky_relu", 0.2) == math.sqrt(2 / 1.04)
    assert init.calculate_gain("leaky_relu") == math.sqrt(2 / (1 + 0.01**2))
    assert init.calculate_gain("selu") == 0.75
    with pytest.raises(ValueError, match="Unsupported nonlinearity cube"):
        init.calculate_gain("cube")
    with pytest.raises(ValueError, match="negative_slope True not a valid number"):
        init.calculate_gain("leaky_relu", True)


def test_a_generator_of_ones_own(device):
    draws = [
        values(init.normal_(norch.empty(5, device=device), generator=norch.Generator(device).manual_seed(3)))
        for _ in range(2)
    ]
    np.testing.assert_array_equal(*draws)


def test_manual_seed_makes_models_equal():
    norch.manual_seed(5)
    a = nn.Sequential(nn.Linear(3, 4), nn.Conv2d(1, 2, 3), nn.Embedding(3, 2))
    norch.manual_seed(5)
    b = nn.Sequential(nn.Linear(3, 4), nn.Conv2d(1, 2, 3), nn.Embedding(3, 2))
    assert all(norch.equal(p, q) for p, q in zip(a.parameters(), b.parameters()))
