"""Layers against NumPy, their arguments, their texts."""

import itertools
import math

import numpy as np
import pytest

import norch
from norch import nn


def to_numpy(t):
    return t.detach().cpu().numpy()


def check(got, expected, tolerance=1e-5):
    np.testing.assert_allclose(to_numpy(got), expected, rtol=tolerance, atol=tolerance)


def conv(x, w, b, stride, padding, dilation, groups):
    """Cross-correlation by its definition, over any number of spatial dims."""
    dims = w.ndim - 2
    x = np.pad(x, [(0, 0), (0, 0)] + [(p, p) for p in padding])
    size = [(x.shape[2 + d] - dilation[d] * (w.shape[2 + d] - 1) - 1) // stride[d] + 1 for d in range(dims)]
    out = np.zeros((x.shape[0], w.shape[0], *size))
    per_group_in, per_group_out = w.shape[1], w.shape[0] // groups
    for o, at in itertools.product(range(w.shape[0]), itertools.product(*map(range, size))):
        first = o // per_group_out * per_group_in
        window = x[(slice(None), slice(first, first + per_group_in)) + tuple(
            slice(a * s, a * s + d * (k - 1) + 1, d) for a, s, d, k in zip(at, stride, dilation, w.shape[2:])
        )]
        out[(slice(None), o, *at)] = (window * w[o]).sum(axis=tuple(range(1, dims + 2)))
    return out if b is None else out + b.reshape(1, -1, *(1,) * dims)


def test_linear(device):
    m = nn.Linear(3, 2, device=device, dtype=norch.float64)
    x = np.random.randn(4, 5, 3)
    check(m(norch.tensor(x, device=device)), x @ to_numpy(m.weight).T + to_numpy(m.bias), 1e-12)
    m = nn.Linear(3, 2, bias=False, device=device)
    assert m.bias is None and list(dict(m.named_parameters())) == ["weight"]
    assert m(norch.ones(3, device=device)).shape == (2,)


def test_linear_starts_as_in_pytorch():
    m = nn.Linear(64, 4096)
    for p in (m.weight, m.bias):
        values = to_numpy(p)
        assert np.abs(values).max() <= 1 / 8
        assert abs(values.std() - 1 / 8 / math.sqrt(3)) < 0.003


def test_bilinear():
    m = nn.Bilinear(3, 4, 2, dtype=norch.float64)
    a, b = np.random.randn(5, 3), np.random.randn(5, 4)
    expected = np.einsum("ni,oij,nj->no", a, to_numpy(m.weight), b) + to_numpy(m.bias)
    check(m(norch.tensor(a), norch.tensor(b)), expected, 1e-12)


@pytest.mark.parametrize(
    "options",
    [
        dict(),
        dict(stride=2, padding=1),
        dict(dilation=2, padding=2, bias=False),
        dict(groups=2, stride=(2, 1), padding=(0, 2)),
        dict(groups=4),
    ],
)
def test_conv2d(device, options):
    m = nn.Conv2d(4, 8, (3, 2), **options).to(device).double()
    x = np.random.randn(2, 4, 7, 6)
    bias = None if m.bias is None else to_numpy(m.bias)
    padding = tuple(m.padding)
    expected = conv(x, to_numpy(m.weight), bias, m.stride, padding, m.dilation, m.groups)
    check(m(norch.tensor(x, device=device)), expected, 1e-10)


def test_conv1d_and_unbatched_input(device):
    m = nn.Conv1d(3, 4, 3, stride=2, padding=1).to(device).double()
    x = np.random.randn(2, 3, 9)
    expected = conv(x, to_numpy(m.weight), to_numpy(m.bias), (2,), (1,), (1,), 1)
    check(m(norch.tensor(x, device=device)), expected, 1e-10)
    check(m(norch.tensor(x[0], device=device)), expected[0], 1e-10)


@pytest.mark.parametrize("padding, expected", [("same", (2, 4, 7, 6)), ("valid", (2, 4, 5, 3))])
def test_conv2d_padding_by_name(padding, expected):
    m = nn.Conv2d(3, 4, (3, 4), padding=padding)
    assert m(norch.randn(2, 3, 7, 6)).shape == expected


@pytest.mark.parametrize("mode", ["reflect", "replicate", "circular"])
def test_conv2d_padding_modes(mode):
    m = nn.Conv2d(2, 3, 3, padding=(1, 2), padding_mode=mode).double()
    x = np.random.randn(2, 2, 5, 6)
    how = {"reflect": "reflect", "replicate": "edge", "circular": "wrap"}[mode]
    padded = np.pad(x, [(0, 0), (0, 0), (1, 1), (2, 2)], mode=how)
    expected = conv(padded, to_numpy(m.weight), to_numpy(m.bias), (1, 1), (0, 0), (1, 1), 1)
    check(m(norch.tensor(x)), expected, 1e-10)


@pytest.mark.parametrize(
    "arguments, text",
    [
        (dict(groups=0), "groups must be a positive integer"),
        (dict(groups=2), "in_channels must be divisible by groups"),
        (dict(padding="odd"), "Invalid padding string 'odd'"),
        (dict(padding="same", stride=2), "not supported for strided convolutions"),
        (dict(padding_mode="mirror"), "padding_mode must be one of"),
    ],
)
def test_conv2d_wrong_arguments(arguments, text):
    with pytest.raises(ValueError, match=text):
        nn.Conv2d(3, 4, 3, **arguments)


def windows(x, kernel, stride):
    """The windows of the last two dims, as dims of their own."""
    view = np.lib.stride_tricks.sliding_window_view(x, kernel, axis=(-2, -1))
    return view[..., :: stride[0], :: stride[1], :, :]


def test_pooling(device):
    x = np.random.randn(2, 3, 8, 6)
    t = norch.tensor(x, device=device)
    check(nn.MaxPool2d(2)(t), windows(x, (2, 2), (2, 2)).max((-2, -1)))
    check(nn.MaxPool2d((3, 2), stride=1)(t), windows(x, (3, 2), (1, 1)).max((-2, -1)))
    padded = np.pad(x, [(0, 0), (0, 0), (1, 1), (1, 1)], constant_values=-np.inf)
    check(nn.MaxPool2d(3, stride=2, padding=1)(t), windows(padded, (3, 3), (2, 2)).max((-2, -1)))
    values, indices = nn.MaxPool2d(2, return_indices=True)(t)
    flat = x.reshape(2, 3, -1)
    check(values, np.take_along_axis(flat, to_numpy(indices).reshape(2, 3, -1), 2).reshape(values.shape))
    check(nn.AvgPool2d(2)(t), windows(x, (2, 2), (2, 2)).mean((-2, -1)))
    zeros = np.pad(x, [(0, 0), (0, 0), (1, 1), (1, 1)])
    check(nn.AvgPool2d(3, stride=2, padding=1)(t), windows(zeros, (3, 3), (2, 2)).mean((-2, -1)))
    check(nn.AvgPool2d(2, divisor_override=3)(t), windows(x, (2, 2), (2, 2)).sum((-2, -1)) / 3)
    check(nn.AdaptiveAvgPool2d(1)(t), x.mean((-2, -1), keepdims=True))
    check(nn.AdaptiveAvgPool2d((4, None))(t), x.reshape(2, 3, 4, 2, 6).mean(3))
    line = t[:, :, 0]
    check(nn.MaxPool1d(2)(line), x[:, :, 0].reshape(2, 3, 3, 2).max(-1))
    check(nn.AvgPool1d(3)(line), x[:, :, 0].reshape(2, 3, 2, 3).mean(-1))
    check(nn.AdaptiveAvgPool1d(2)(line), x[:, :, 0].reshape(2, 3, 2, 3).mean(-1))


@pytest.mark.parametrize("make, shape", [(nn.BatchNorm1d, (6, 3)), (nn.BatchNorm1d, (4, 3, 5)), (nn.BatchNorm2d, (4, 3, 2, 5))])
def test_batch_norm(device, make, shape):
    m = make(3, momentum=0.2).to(device).double()
    with norch.no_grad():
        m.weight.uniform_()
        m.bias.uniform_()
    x = np.random.randn(*shape) * 2 + 1
    axes = (0, *range(2, x.ndim))
    column = (1, 3, *(1,) * (x.ndim - 2))
    mean, var, n = x.mean(axes), x.var(axes), x.size // 3
    w, b = to_numpy(m.weight).reshape(column), to_numpy(m.bias).reshape(column)
    t = norch.tensor(x, device=device)
    check(m(t), (x - mean.reshape(column)) / np.sqrt(var.reshape(column) + m.eps) * w + b, 1e-10)
    check(m.running_mean, 0.2 * mean, 1e-10)
    check(m.running_var, 0.8 + 0.2 * var * n / (n - 1), 1e-10)
    assert m.num_batches_tracked.item() == 1
    m.eval()
    rm, rv = to_numpy(m.running_mean).reshape(column), to_numpy(m.running_var).reshape(column)
    check(m(t), (x - rm) / np.sqrt(rv + m.eps) * w + b, 1e-10)
    assert m.num_batches_tracked.item() == 1
    m.reset_parameters()
    assert m.running_mean.tolist() == [0, 0, 0] and m.weight.tolist() == [1, 1, 1]


def test_batch_norm_options():
    x = norch.randn(10, 3, dtype=norch.float64) + 5
    m = nn.BatchNorm1d(3, affine=False, track_running_stats=False, dtype=norch.float64).eval()
    assert m.running_mean is None and list(m.state_dict()) == []
    check(m(x).mean(0), np.zeros(3), 1e-10)
    m = nn.BatchNorm1d(3, momentum=None, dtype=norch.float64)
    m(x)
    m(x + 2)
    check(m.running_mean, to_numpy(x).mean(0) + 1, 1e-10)
    with pytest.raises(ValueError, match=r"expected 2D or 3D input \(got 4D input\)"):
        m(norch.zeros(1, 3, 1, 1))
    with pytest.raises(ValueError, match=r"expected 4D input \(got 2D input\)"):
        nn.BatchNorm2d(3)(norch.zeros(1, 3))


def test_layer_norm(device):
    m = nn.LayerNorm((4, 5)).to(device).double()
    with norch.no_grad():
        m.weight.uniform_()
        m.bias.uniform_()
    x = np.random.randn(3, 4, 5)
    normal = (x - x.mean((1, 2), keepdims=True)) / np.sqrt(x.var((1, 2), keepdims=True) + 1e-5)
    check(m(norch.tensor(x, device=device)), normal * to_numpy(m.weight) + to_numpy(m.bias), 1e-10)
    assert nn.LayerNorm(5, bias=False).bias is None
    assert list(nn.LayerNorm(5, elementwise_affine=False).parameters()) == []


def test_embedding(device):
    m = nn.Embedding(10, 3, padding_idx=-1).to(device)
    assert m.padding_idx == 9 and m.weight[9].tolist() == [0, 0, 0]
    index = norch.tensor([[1, 9], [1, 2]], device=device)
    check(m(index), to_numpy(m.weight)[[[1, 9], [1, 2]]])
    m(index).sum().backward()
    assert m.weight.grad[:, 0].tolist() == [0, 2, 1, 0, 0, 0, 0, 0, 0, 0]
    table = norch.arange(6.0).view(3, 2)
    m = nn.Embedding.from_pretrained(table)
    assert not m.weight.requires_grad and m(norch.tensor(2)).tolist() == [4, 5]
    with pytest.raises(AssertionError, match="2-dimensional"):
        nn.Embedding.from_pretrained(norch.zeros(3))
    with pytest.raises(AssertionError, match="Padding_idx must be within num_embeddings"):
        nn.Embedding(3, 2, padding_idx=3)


def test_dropout(device):
    m = nn.Dropout(0.25)
    x = norch.ones(10000, device=device)
    y = to_numpy(m(x))
    assert set(np.unique(y)) == {np.float32(0), np.float32(1 / 0.75)} and abs((y == 0).mean() - 0.25) < 0.03
    assert norch.equal(m.eval()(x), x)
    with pytest.raises(ValueError, match="dropout probability has to be between 0 and 1, but got 1.5"):
        nn.Dropout(1.5)


def test_flatten_and_unflatten():
    x = norch.zeros(2, 3, 4, 5)
    assert nn.Flatten()(x).shape == (2, 60)
    assert nn.Flatten(1, 2)(x).shape == (2, 12, 5)
    assert nn.Unflatten(1, (3, -1))(nn.Flatten()(x)).shape == (2, 3, 20)
    with pytest.raises(TypeError, match="pos 1"):
        nn.Unflatten(1, (3, 2.5))


REPRS = [
    (lambda: nn.Linear(2, 3, bias=False), "Linear(in_features=2, out_features=3, bias=False)"),
    (lambda: nn.Bilinear(2, 3, 4), "Bilinear(in1_features=2, in2_features=3, out_features=4, bias=True)"),
    (lambda: nn.Identity(3, a=4), "Identity()"),
    (lambda: nn.Flatten(), "Flatten(start_dim=1, end_dim=-1)"),
    (lambda: nn.Unflatten(1, (2, 3)), "Unflatten(dim=1, unflattened_size=(2, 3))"),
    (lambda: nn.Conv1d(2, 3, 3), "Conv1d(2, 3, kernel_size=(3,), stride=(1,))"),
    (
        lambda: nn.Conv2d(4, 8, 3, stride=2, padding=1, dilation=2, groups=2, bias=False, padding_mode="reflect"),
        "Conv2d(4, 8, kernel_size=(3, 3), stride=(2, 2), padding=(1, 1), dilation=(2, 2), groups=2, bias=False, "
        "padding_mode=reflect)",
    ),
    (lambda: nn.Conv2d(1, 1, 3, padding="same"), "Conv2d(1, 1, kernel_size=(3, 3), stride=(1, 1), padding=same)"),
    (lambda: nn.MaxPool2d(2), "MaxPool2d(kernel_size=2, stride=2, padding=0, dilation=1, ceil_mode=False)"),
    (lambda: nn.AvgPool2d(2), "AvgPool2d(kernel_size=2, stride=2, padding=0)"),
    (lambda: nn.AvgPool1d(2), "AvgPool1d(kernel_size=(2,), stride=(2,), padding=(0,))"),
    (lambda: nn.AdaptiveAvgPool2d((1, None)), "AdaptiveAvgPool2d(output_size=(1, None))"),
    (
        lambda: nn.BatchNorm1d(3),
        "BatchNorm1d(3, eps=1e-05, momentum=0.1, affine=True, bias=True, track_running_stats=True)",
    ),
    (lambda: nn.LayerNorm([3, 4], bias=False), "LayerNorm((3, 4), eps=1e-05, elementwise_affine=True, bias=False)"),
    (lambda: nn.GroupNorm(2, 4), "GroupNorm(2, 4, eps=1e-05, affine=True, bias=True)"),
    (lambda: nn.Embedding(3, 4, padding_idx=-1, max_norm=1.0), "Embedding(3, 4, padding_idx=2, max_norm=1.0)"),
    (lambda: nn.Dropout(), "Dropout(p=0.5, inplace=False)"),
]


@pytest.mark.parametrize("make, text", REPRS, ids=[text.partition("(")[0] for _, text in REPRS])
def test_repr(make, text):
    assert repr(make()) == text


def test_embedding_max_norm(device):
    m = nn.Embedding(4, 2, max_norm=1.0).to(device)
    m.weight = norch.tensor([[3.0, 4.0], [0.3, 0.4], [30.0, 40.0], [6.0, 8.0]], device=device)
    out = m(norch.tensor([0, 1, 0, 3], device=device))
    expected = [[0.6, 0.8], [0.3, 0.4], [0.6, 0.8], [0.6, 0.8]]
    np.testing.assert_allclose(to_numpy(out), expected, rtol=1e-6)
    np.testing.assert_allclose(to_numpy(m.weight)[2], [30, 40])
    out.sum().backward()
    assert m.weight.grad.tolist() == [[2, 2], [1, 1], [0, 0], [1, 1]]


@pytest.mark.parametrize("name", ["running_mean", "running_var"])
@pytest.mark.parametrize("norm", [nn.functional.batch_norm, nn.functional.instance_norm])
def test_running_statistics_take_no_gradient(norm, name):
    stats = {"running_mean": norch.zeros(3), "running_var": norch.ones(3)}
    stats[name].requires_grad_()
    with pytest.raises(RuntimeError, match=f"not differentiable with respect to argument '{name}'"):
        norm(norch.ones(2, 3, 4), **stats)
