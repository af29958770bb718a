"""Losses against NumPy."""

import numpy as np
import pytest

import norch
import norch.nn.functional as F
from norch import nn

REDUCE = {"none": lambda v: v, "sum": np.sum, "mean": np.mean}


def check(loss, expected):
    np.testing.assert_allclose(loss.detach().cpu().numpy(), expected, rtol=1e-10, atol=1e-12)


def log_softmax(x, axis=1):
    x = x - x.max(axis, keepdims=True)
    return x - np.log(np.exp(x).sum(axis, keepdims=True))


@pytest.mark.parametrize("reduction", ["none", "sum", "mean"])
def test_regression_losses(device, reduction):
    x, y = np.random.randn(2, 4, 3) * 2
    a, b = norch.tensor(x, device=device), norch.tensor(y, device=device)
    d, reduce = abs(x - y), REDUCE[reduction]
    check(nn.MSELoss(reduction=reduction)(a, b), reduce(d**2))
    check(nn.L1Loss(reduction=reduction)(a, b), reduce(d))
    check(nn.SmoothL1Loss(reduction=reduction, beta=0.7)(a, b), reduce(np.where(d < 0.7, d**2 / 1.4, d - 0.35)))
    check(nn.HuberLoss(reduction=reduction, delta=0.7)(a, b), reduce(np.where(d < 0.7, d**2 / 2, 0.7 * (d - 0.35))))


@pytest.mark.parametrize("reduction", ["none", "sum", "mean"])
def test_binary_losses(device, reduction):
    z, y, w = np.random.randn(5, 3) * 3, np.random.rand(5, 3), np.random.rand(5, 3)
    p = 1 / (1 + np.exp(-z))
    t = [norch.tensor(v, device=device) for v in (z, p, y, w)]
    reduce = REDUCE[reduction]
    plain = -(y * np.log(p) + (1 - y) * np.log1p(-p))
    check(nn.BCELoss(reduction=reduction)(t[1], t[2]), reduce(plain))
    check(nn.BCELoss(weight=t[3], reduction=reduction)(t[1], t[2]), reduce(w * plain))
    check(nn.BCEWithLogitsLoss(reduction=reduction)(t[0], t[2]), reduce(plain))
    check(nn.BCEWithLogitsLoss(weight=t[3], reduction=reduction)(t[0], t[2]), reduce(w * plain))
    pos = np.array([1.0, 2.0, 0.5])
    scaled = -(pos * y * np.log(p) + (1 - y) * np.log1p(-p))
    loss = nn.BCEWithLogitsLoss(reduction=reduction, pos_weight=norch.tensor(pos)).to(device)
    check(loss(t[0], t[2]), reduce(scaled))
    assert list(loss.state_dict()) == ["pos_weight"]


def test_bce_of_certain_answers_is_finite():
    loss = nn.BCELoss(reduction="none")(norch.tensor([0.0, 1.0, 0.0]), norch.tensor([1.0, 1.0, 0.0]))
    assert loss.tolist() == [100, 0, 0]


@pytest.mark.parametrize("shape", [(6, 4), (3, 4, 2), (2, 4, 3, 2)])
@pytest.mark.parametrize("weighted", [False, True])
@pytest.mark.parametrize("smoothing", [0.0, 0.3])
def test_cross_entropy_of_class_indices(device, shape, weighted, smoothing):
    x = np.random.randn(*shape)
    y = np.random.randint(0, 4, (shape[0], *shape[2:]))
    y.flat[0] = -100
    w = np.array([0.5, 1.0, 2.0, 3.0]) if weighted else np.ones(4)
    logp = np.moveaxis(log_softmax(x), 1, -1)
    safe = np.where(y == -100, 0, y)
    picked = np.where(y == -100, 0, w[safe])
    nll = -np.take_along_axis(logp, safe[..., None], -1)[..., 0] * picked
    smooth = np.where(y == -100, 0, -(logp * w).sum(-1))
    each = (1 - smoothing) * nll + smoothing / 4 * smooth
    options = dict(weight=norch.tensor(w) if weighted else None, label_smoothing=smoothing)
    a, b = norch.tensor(x, device=device), norch.tensor(y, device=device)
    for reduction, expected in [("none", each), ("sum", each.sum()), ("mean", each.sum() / picked.sum())]:
        loss = nn.CrossEntropyLoss(reduction=reduction, **options).to(device)
        check(loss(a, b), expected)
    if smoothing == 0:
        logs = norch.tensor(log_softmax(x), device=device)
        check(nn.NLLLoss(weight=options["weight"]).to(device)(logs, b), each.sum() / picked.sum())


@pytest.mark.parametrize("smoothing", [0.0, 0.2])
def test_cross_entropy_of_class_probabilities(device, smoothing):
    x, y = np.random.randn(5, 3), np.random.rand(5, 3)
    y /= y.sum(1, keepdims=True)
    w = np.array([1.0, 2.0, 0.5])
    target = y * (1 - smoothing) + smoothing / 3
    each = -(target * log_softmax(x) * w).sum(1)
    loss = nn.CrossEntropyLoss(norch.tensor(w), label_smoothing=smoothing).to(device)
    check(loss(norch.tensor(x, device=device), norch.tensor(y, device=device)), each.mean())


def test_cross_entropy_of_one_sample_and_another_ignored_index(device):
    x = np.random.randn(4)
    loss = nn.CrossEntropyLoss()(norch.tensor(x, device=device), norch.tensor(2, device=device))
    check(loss, -log_softmax(x, 0)[2])
    a = norch.tensor(np.random.randn(3, 4), device=device)
    y = norch.tensor([1, 3, 3], device=device)
    check(nn.CrossEntropyLoss(ignore_index=3)(a, y), -log_softmax(a.cpu().numpy())[0, 1])


def test_one_sample_may_have_its_class_in_a_list_of_one(device):
    x = np.random.randn(4)
    t = norch.tensor(x, device=device, requires_grad=True)
    loss = nn.functional.cross_entropy(t, norch.tensor([2], device=device), reduction="none")
    assert loss.shape == ()
    check(loss, -log_softmax(x, 0)[2])
    loss.backward()
    check(t.grad, np.exp(log_softmax(x, 0)) - np.eye(4)[2])
    check(nn.functional.nll_loss(t, norch.tensor([1], device=device)), -x[1])
    with pytest.raises(ValueError, match="1D target must have size 1, but got target size: 2"):
        nn.functional.cross_entropy(t, norch.tensor([1, 2], device=device))


def test_cross_entropy_gradient(device):
    x = norch.randn(4, 3, device=device, dtype=norch.float64, requires_grad=True)
    y = norch.tensor([0, 2, 1, 1], device=device)
    nn.CrossEntropyLoss()(x, y).backward()
    p = np.exp(log_softmax(x.detach().cpu().numpy()))
    check(x.grad, (p - np.eye(3)[[0, 2, 1, 1]]) / 4)


def test_second_derivatives_of_a_mean_cross_entropy_with_ignored_targets(device):
    for y in ([-100, -100], [-100, 1]):
        x = norch.tensor([[1.0, 2.0, 3.0], [0.5, 1.0, 2.0]], device=device, requires_grad=True)
        loss = nn.CrossEntropyLoss()(x, norch.tensor(y, device=device))
        (g,) = norch.autograd.grad(loss, x, create_graph=True)
        (second,) = norch.autograd.grad((g * norch.arange(6.0, device=device).view(2, 3)).sum(), x)
        assert g[0].tolist() == second[0].tolist() == [0, 0, 0]
        assert second[1].isfinite().all() and (second[1] == 0).all() == (y[1] < 0)


@pytest.mark.parametrize("log_target", [False, True])
def test_kl_div(device, log_target):
    logq = log_softmax(np.random.randn(4, 3))
    p = np.exp(log_softmax(np.random.randn(4, 3)))
    each = p * (np.log(p) - logq)
    a = norch.tensor(logq, device=device)
    b = norch.tensor(np.log(p) if log_target else p, device=device)
    for reduction, expected in [("none", each), ("sum", each.sum()), ("batchmean", each.sum() / 4)]:
        check(nn.KLDivLoss(reduction=reduction, log_target=log_target)(a, b), expected)


def test_kl_div_of_zero_probability_is_zero():
    assert nn.KLDivLoss(reduction="sum")(norch.zeros(2), norch.tensor([0.0, 0.0])).item() == 0


def test_old_spellings_of_reduction():
    with pytest.warns(UserWarning, match="reduction='sum'"):
        assert nn.MSELoss(size_average=False).reduction == "sum"
    with pytest.warns(UserWarning, match="reduction='none'"):
        assert nn.L1Loss(reduce=False).reduction == "none"
    with pytest.warns(UserWarning, match="reduction='mean'"):
        assert nn.CrossEntropyLoss(size_average=True).reduction == "mean"


def test_weights_are_buffers():
    loss = nn.CrossEntropyLoss(weight=norch.ones(3))
    assert list(loss.state_dict()) == ["weight"] and list(loss.parameters()) == []
    assert nn.CrossEntropyLoss().weight is None
    assert repr(loss) == "CrossEntropyLoss()"


def test_wrong_reduction():
    with pytest.raises(ValueError, match="average"):
        nn.MSELoss(reduction="average")(norch.zeros(2), norch.zeros(2))
    for reduction in (None, 2, True, ["mean"]):
        with pytest.raises(ValueError, match="is not a valid value for reduction"):
            nn.functional.smooth_l1_loss(norch.zeros(2), norch.zeros(2), reduction=reduction)


def test_dtypes_of_losses():
    x, t = norch.tensor([0.5, 0.25]), norch.tensor([1.0, 0.0], dtype=norch.float64)
    for name in ("huber_loss", "soft_margin_loss"):
        assert getattr(F, name)(x, t).dtype == norch.float32
        assert getattr(F, name)(x.double(), t.float()).dtype == norch.float64
    for name in ("mse_loss", "l1_loss", "smooth_l1_loss"):
        assert getattr(F, name)(x, t).dtype == norch.float64
    with pytest.raises(RuntimeError, match="Found dtype"):
        F.binary_cross_entropy(x, t)
    assert F.binary_cross_entropy(x, t.float(), weight=t).dtype == norch.float32
    with pytest.raises(RuntimeError, match="Integral"):
        F.kl_div(x, norch.tensor([0, 1]), reduction="sum")


def test_l1_loss_of_integers():
    a, b = norch.tensor([1, 2]), norch.tensor([3, 5])
    assert F.l1_loss(a, b, reduction="none").tolist() == [2, 3]
    assert F.l1_loss(a, b, reduction="sum").tolist() == 5
    with pytest.raises(RuntimeError, match="mean"):
        F.l1_loss(a, b)


def test_normalize_over_several_dims():
    x = np.arange(12.0).reshape(2, 3, 2)
    norm = np.sqrt((x**2).sum((1, 2), keepdims=True))
    check(F.normalize(norch.from_numpy(x), dim=(1, 2)), x / norm)
    check(F.normalize(norch.from_numpy(x), dim=()), x / np.sqrt((x**2).sum()))


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("n", [1, 5, 64, 3000])
def test_normalize_rows(device, n, dtype):
    x = np.random.default_rng(n).standard_normal((4, n)).astype(dtype)
    x[1] = 0
    x[2] *= 1e-3
    floored = np.maximum(np.sqrt((x.astype("float64") ** 2).sum(-1, keepdims=True)), 0.01)
    y = F.normalize(norch.from_numpy(x).to(device), dim=-1, eps=0.01)
    np.testing.assert_allclose(y.cpu().numpy(), x / floored, rtol=1e-6 if dtype == "float32" else 1e-12)


def test_normalize_rows_gradient(device):
    rows = [[3.0, -4.0, 1.0], [0.001, 0.0, 0.002], [0.0, 0.0, 0.0]]
    x = norch.tensor(rows, dtype=norch.float64, device=device, requires_grad=True)
    assert norch.autograd.gradcheck(lambda t: F.normalize(t, dim=1, eps=0.01), (x,))
    assert norch.autograd.gradgradcheck(lambda t: F.normalize(t, dim=1, eps=0.01), (x[:1].detach().requires_grad_(),))
    (grad,) = norch.autograd.grad(F.normalize(x, dim=1, eps=0.01).sum(), x)
    check(grad[1:], np.full((2, 3), 100.0))


@pytest.mark.parametrize("loss", [F.nll_loss, F.cross_entropy])
def test_class_weights_take_no_gradient(loss):
    weight = norch.ones(3, requires_grad=True)
    with pytest.raises(RuntimeError, match="not differentiable with respect to argument 'weight'"):
        loss(norch.zeros(2, 3), norch.tensor([0, 1]), weight)
    with norch.no_grad():
        loss(norch.zeros(2, 3), norch.tensor([0, 1]), weight)
