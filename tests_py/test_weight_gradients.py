"""Gradients of weights and biases: under autocasting they are not rounded to 16 bits on their way to float32, and what made
the gradient of a result with a bias may have summed it already."""

import numpy as np
import pytest

import norch
import norch.nn.functional as F
from norch import nn


def exact(t):
    return t.detach().double().cpu().numpy()


def close(a, b, tolerance):
    a, b = (t if isinstance(t, np.ndarray) else exact(t) for t in (a, b))
    assert a.shape == b.shape and np.isfinite(a).all()
    assert np.abs(a - b).max() <= tolerance * np.abs(b).max()


def rounded(*shape, device):
    return norch.randn(*shape, device=device).bfloat16().float()


@pytest.mark.parametrize("rows", [3, 130])
def test_gradients_under_autocast_are_not_rounded(device, rows):
    x, g, w = (rounded(*shape, device=device) for shape in ((rows, 96), (rows, 72), (72, 96)))
    w.requires_grad_()
    b = norch.zeros(72, device=device, requires_grad=True)
    with norch.autocast(device, norch.bfloat16):
        y = F.linear(x, w, b)
    y.backward(g.to(y.dtype))
    assert w.grad.dtype == b.grad.dtype == norch.float32
    close(w.grad, exact(g).T @ exact(x), 1e-6)
    close(b.grad, exact(g).sum(0), 1e-6)
    assert not norch.equal(w.grad.bfloat16().float(), w.grad)
    m = rounded(96, 72, device=device).requires_grad_()
    with norch.autocast(device, norch.bfloat16):
        y = x @ m
    y.backward(g.to(y.dtype))
    close(m.grad, exact(x).T @ exact(g), 1e-6)


def test_gradients_of_a_weight_that_two_products_share(device):
    x, w = rounded(9, 32, device=device), rounded(32, 32, device=device).requires_grad_()
    with norch.autocast(device, norch.bfloat16):
        F.linear(F.linear(x, w), w).float().sum().backward()
    twice = w.detach().clone().requires_grad_()
    F.linear(F.linear(x, twice), twice).sum().backward()
    close(w.grad, twice.grad, 2e-2)


def test_hooks_and_grad_see_the_dtypes_that_they_know(device):
    w = norch.randn(24, 16, device=device, requires_grad=True)
    seen = []
    narrow = w.bfloat16()
    narrow.register_hook(lambda g: seen.append(g.dtype))
    y = F.linear(norch.randn(5, 16, device=device).bfloat16(), narrow).float().sum()
    assert norch.autograd.grad(y, narrow, retain_graph=True)[0].dtype == norch.bfloat16
    y.backward()
    assert set(seen) == {norch.bfloat16} and w.grad.dtype == norch.float32


ACTIVATIONS = [F.relu, F.gelu, lambda x: F.gelu(x, approximate="tanh"), F.silu]


@pytest.mark.cuda
@pytest.mark.parametrize("dtype", [norch.float32, norch.bfloat16, norch.float16])
@pytest.mark.parametrize("activation", ACTIVATIONS)
def test_bias_behind_which_an_activation_stands(activation, dtype):
    x = norch.randn(5, 205, 16, device="cuda").to(dtype)
    w, b = (norch.randn(*shape, device="cuda").to(dtype).requires_grad_() for shape in ((1032, 16), (1032,)))
    g = norch.randn(5, 205, 1032, device="cuda").to(dtype)
    y = F.linear(x, w, b)
    y.retain_grad()
    activation(y).backward(g)
    at = y.detach().float().requires_grad_()
    activation(at).backward(g.float())
    tolerance = {norch.float32: 1e-5, norch.bfloat16: 1e-2, norch.float16: 2e-3}[dtype]
    close(y.grad, at.grad, tolerance)
    close(b.grad, exact(at.grad).sum((0, 1)), tolerance)


@pytest.mark.cuda
def test_bias_of_a_result_that_two_activations_take():
    x = norch.randn(1025, 16, device="cuda")
    w, b = norch.randn(1032, 16, device="cuda"), norch.randn(1032, device="cuda", requires_grad=True)
    y = F.linear(x, w, b)
    (F.gelu(y) + F.silu(y) * 2).sum().backward()
    at = y.detach().requires_grad_()
    (F.gelu(at) + F.silu(at) * 2).sum().backward()
    close(b.grad, exact(at.grad).sum(0), 1e-5)


class Block(nn.Module):
    def __init__(self, width):
        super().__init__()
        self.norm, self.inner, self.outer = nn.LayerNorm(width), nn.Linear(width, 1024), nn.Linear(1024, width)

    def forward(self, x):
        return x + self.outer(F.gelu(self.inner(self.norm(x)), approximate="tanh"))


@pytest.mark.cuda
@pytest.mark.parametrize("width", [64, 96, 768, 2048])
@pytest.mark.parametrize("dtype", [norch.bfloat16, norch.float16])
def test_biases_of_residual_blocks_under_autocast(width, dtype):
    model = nn.Sequential(Block(width), Block(width), nn.LayerNorm(width)).to("cuda")
    x = norch.randn(3, 683, width, device="cuda")
    g = norch.randn(3, 683, width, device="cuda")
    grads = []
    for enabled in (True, False):
        model.zero_grad()
        with norch.autocast("cuda", dtype, enabled):
            model(x).backward(g)
        grads.append([p.grad.clone() for p in model.parameters()])
    for lower, full in zip(*grads):
        close(lower, full, 2e-2)
