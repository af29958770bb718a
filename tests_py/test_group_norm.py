"""Group normalisation where groups are many, so that each is normalised as a row, and where channels are runs of vectors."""

import numpy as np
import pytest

import norch
from norch.nn import functional as F


def reference(x, groups, weight=None, bias=None):
    rows = x.reshape(x.shape[0], groups, -1)
    y = ((rows - rows.mean(-1, keepdims=True)) / np.sqrt(rows.var(-1, keepdims=True) + 1e-5)).reshape(x.shape)
    return y if weight is None else y * weight[:, None] + bias[:, None]


@pytest.mark.parametrize("shape, groups", [((60, 10, 20), 5), ((60, 10, 7), 5), ((130, 4, 64), 2), ((1, 512, 5), 256)])
def test_group_norm(device, shape, groups):
    rng = np.random.default_rng(1)
    x, weight, bias = rng.normal(size=shape) * 2 + 3, rng.normal(size=shape[1]), rng.normal(size=shape[1])
    tensors = [norch.tensor(a, device=device) for a in (x, weight, bias)]
    np.testing.assert_allclose(F.group_norm(tensors[0], groups).cpu().numpy(), reference(x, groups), rtol=1e-9, atol=1e-9)
    y = F.group_norm(tensors[0], groups, *tensors[1:]).cpu().numpy()
    np.testing.assert_allclose(y, reference(x, groups, weight, bias), rtol=1e-9, atol=1e-9)


def test_gradient_of_many_groups(device):
    rng = np.random.default_rng(1)
    x = norch.tensor(rng.normal(size=(130, 4, 6)), device=device, requires_grad=True)
    g = norch.tensor(rng.normal(size=(130, 4, 6)), device=device)
    F.group_norm(x, 2).backward(g)
    ones = norch.ones(4, dtype=norch.float64, device=device)
    y = x.detach().requires_grad_()
    F.group_norm(y, 2, ones).backward(g)
    np.testing.assert_allclose(x.grad.cpu().numpy(), y.grad.cpu().numpy(), rtol=1e-9, atol=1e-12)


def test_running_statistics_of_many_instances(device):
    x = np.random.default_rng(1).normal(size=(64, 5, 8))
    mean, var = norch.zeros(5, device=device), norch.ones(5, device=device)
    y = F.instance_norm(norch.tensor(x, dtype=norch.float32, device=device), mean, var)
    np.testing.assert_allclose(y.cpu().numpy(), reference(x, 5), rtol=1e-4, atol=1e-5)
    np.testing.assert_allclose(mean.cpu().numpy(), 0.1 * x.mean((0, 2)), rtol=1e-4, atol=1e-6)
    np.testing.assert_allclose(var.cpu().numpy(), 0.9 + 0.1 * x.var(2, ddof=1).mean(0), rtol=1e-4)


def test_groups_of_one_value():
    for shape, groups in (((1, 4), 4), ((2, 2), 4), ((1, 3, 1), 3)):
        with pytest.raises(ValueError, match="more than 1 value per channel"):
            norch.nn.functional.group_norm(norch.ones(shape), groups)
    assert norch.nn.functional.group_norm(norch.ones(2, 4), 4).shape == (2, 4)
