"""nn.utils: clipping, parameters as a vector."""

import numpy as np
import pytest

import norch
from norch import nn
from norch.nn import utils


def params_with_grads(device):
    rng = np.random.default_rng(0)
    params, grads = [], []
    for shape in [(3, 4), (5,), ()]:
        p = nn.Parameter(norch.zeros(shape, device=device))
        g = np.asarray(rng.standard_normal(shape) * 3, np.float32)
        p.grad = norch.tensor(g, device=device)
        params.append(p)
        grads.append(g)
    params.append(nn.Parameter(norch.zeros(2, device=device)))  # has no gradient
    return params, grads


@pytest.mark.parametrize("norm", [2.0, 1.0, 3.0, float("inf")])
def test_clip_grad_norm(device, norm):
    params, grads = params_with_grads(device)
    flat = np.concatenate([g.ravel() for g in grads]).astype(np.float64)
    total = np.linalg.norm(flat, norm)
    got = utils.clip_grad_norm_(params, 1.5, norm_type=norm)
    assert got.ndim == 0 and got.device.type == device
    np.testing.assert_allclose(got.item(), total, rtol=1e-5)
    for p, g in zip(params, grads):
        np.testing.assert_allclose(p.grad.cpu().numpy(), g * (1.5 / (total + 1e-6)), rtol=1e-5)
    again = [p.grad.clone() for p in params[:3]]
    np.testing.assert_allclose(utils.clip_grad_norm_(params, 100.0, norm_type=norm).item(), 1.5, rtol=1e-4)
    assert all(norch.equal(p.grad, g) for p, g in zip(params, again))  # short enough: untouched
    np.testing.assert_allclose(utils.get_total_norm(again, norm).item(), 1.5, rtol=1e-4)


def test_clip_grads_with_a_norm_that_is_known(device):
    params, _ = params_with_grads(device)
    others, _ = params_with_grads(device)
    total = utils.clip_grad_norm_(others, 1.5)
    utils.clip_grads_with_norm_(params, 1.5, utils.get_total_norm([p.grad for p in params[:3]]))
    for p, q in zip(params[:3], others):
        np.testing.assert_allclose(p.grad.cpu().numpy(), q.grad.cpu().numpy(), rtol=1e-6)
    utils.clip_grads_with_norm_(params, 100.0, total)  # short enough: untouched
    np.testing.assert_allclose(params[0].grad.cpu().numpy(), others[0].grad.cpu().numpy(), rtol=1e-6)


def test_clip_grad_norm_of_nothing_and_of_one():
    assert utils.clip_grad_norm_([nn.Parameter(norch.zeros(2))], 1.0).item() == 0
    assert utils.get_total_norm([]).item() == 0
    p = nn.Parameter(norch.zeros(2))
    p.grad = norch.tensor([3.0, 4.0])
    assert utils.clip_grad_norm_(p, 1.0).item() == 5
    assert norch.allclose(p.grad, norch.tensor([0.6, 0.8]))
    assert utils.clip_grad_norm_(iter([p]), 1.0).item() == pytest.approx(1)


def test_clip_grad_norm_of_non_finite_gradients(device):
    p = nn.Parameter(norch.zeros(2, device=device))
    p.grad = norch.tensor([1.0, float("inf")], device=device)
    before = p.grad.clone()
    with pytest.raises(RuntimeError, match="non-finite"):
        utils.clip_grad_norm_([p], 1.0, error_if_nonfinite=True)
    assert norch.equal(p.grad, before)
    with pytest.raises(RuntimeError, match="non-finite"):
        utils.get_total_norm([p.grad], error_if_nonfinite=True)
    assert utils.clip_grad_norm_([p], 1.0).item() == float("inf")


def test_clip_grad_value(device):
    params, grads = params_with_grads(device)
    utils.clip_grad_value_(params, 0.5)
    for p, g in zip(params, grads):
        np.testing.assert_array_equal(p.grad.cpu().numpy(), np.clip(g, -0.5, 0.5))


def test_parameters_as_a_vector(device):
    net = nn.Sequential(nn.Linear(2, 3), nn.Linear(3, 1)).to(device)
    vector = utils.parameters_to_vector(net.parameters())
    assert vector.shape == (13,) and vector.requires_grad
    assert vector[:6].tolist() == net[0].weight.flatten().tolist()
    utils.vector_to_parameters(norch.arange(13.0, device=device), net.parameters())
    assert net[0].weight.tolist() == [[0, 1], [2, 3], [4, 5]] and net[1].bias.tolist() == [12]
    assert all(p.is_leaf and p.requires_grad for p in net.parameters())
    with pytest.raises(RuntimeError, match="has 3 elements, the parameters 13"):
        utils.vector_to_parameters(norch.zeros(3, device=device), net.parameters())
    with pytest.raises(TypeError, match="expected norch.Tensor, but got: int"):
        utils.vector_to_parameters(3, net.parameters())
