"""Pooling that draws its windows at random, and the layers around unpooling."""

import itertools

import numpy as np
import pytest

import norch
from norch import nn
from norch.nn import functional as F


def fractional(x, kernel_size, output_size, samples):
    """Windows that begin at floor((i + u) alpha) - floor(u alpha), the last one at the end."""
    dims = samples.shape[-1]
    y = np.zeros((*x.shape[:2], *(output_size,) * dims), x.dtype)
    for n, c in itertools.product(*map(range, x.shape[:2])):
        starts = []
        for d in range(dims):
            u = samples[n, c, 1 - d if dims == 2 else d]
            span = x.shape[2 + d] - kernel_size
            alpha = span / (output_size - 1)
            starts.append([int((i + u) * alpha) - int(u * alpha) for i in range(output_size - 1)] + [span])
        for at in itertools.product(range(output_size), repeat=dims):
            y[(n, c, *at)] = x[(n, c, *(slice(s[i], s[i] + kernel_size) for s, i in zip(starts, at)))].max()
    return y


@pytest.mark.parametrize("shape", [(2, 2, 6, 7), (1, 2, 6, 5, 7)])
def test_fractional_max_pool(shape, device):
    f = F.fractional_max_pool2d if len(shape) == 4 else F.fractional_max_pool3d
    a, u = np.random.permutation(int(np.prod(shape))).reshape(shape) / 4, np.random.rand(*shape[:2], len(shape) - 2)
    x, samples = norch.from_numpy(a).to(device).requires_grad_(), norch.from_numpy(u).to(device)
    y, places = f(x, 2, 3, return_indices=True, _random_samples=samples)
    np.testing.assert_array_equal(y.detach().cpu().numpy(), fractional(a, 2, 3, u))
    np.testing.assert_array_equal(x.detach().flatten(2).gather(2, places.flatten(2)).cpu(), y.detach().flatten(2).cpu())
    assert norch.autograd.gradcheck(lambda t: f(t, 2, 3, _random_samples=samples), (x,))
    norch.manual_seed(3)
    first = f(x, 2, output_ratio=0.6)
    norch.manual_seed(3)
    assert first.equal(f(x, 2, output_ratio=0.6)) and first.shape[2:] == tuple(int(n * 0.6) for n in shape[2:])
    assert f(x[0], 2, 3).shape == (shape[1], *(3,) * (len(shape) - 2))


def test_fractional_errors():
    x = norch.ones(1, 1, 4, 4)
    with pytest.raises(ValueError, match="either an output_size or an output_ratio"):
        F.fractional_max_pool2d(x, 2)
    with pytest.raises(RuntimeError, match="too large relative to input size"):
        F.fractional_max_pool2d(x, 3, 3)
    with pytest.raises(ValueError, match="between 0 and 1"):
        nn.FractionalMaxPool2d(2, output_ratio=1.5)


@pytest.mark.parametrize("dims", [1, 2, 3])
def test_unpool_reverses_pool(dims, device):
    x = norch.randn(2, 3, *(6,) * dims, device=device)
    pool = getattr(nn, f"MaxPool{dims}d")(2, return_indices=True)
    y, places = pool(x)
    back = getattr(nn, f"MaxUnpool{dims}d")(2)(y, places)
    assert back.shape == x.shape
    assert (back == x).sum() == y.numel() and (back[back != x] == 0).all()
    assert getattr(nn, f"MaxUnpool{dims}d")(2)(y, places, output_size=(7,) * dims).shape[2:] == (7,) * dims
