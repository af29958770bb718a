"""RMSNorm, SyncBatchNorm, AdaptiveLogSoftmaxWithLoss and other layers that few programs use."""

import copy
import pickle

import numpy as np
import pytest

import norch
import norch.nn.functional as F
from norch import nn

D = norch.float64


def test_rms_norm():
    m = nn.RMSNorm(3, eps=1e-3, dtype=D)
    m.weight.data = norch.tensor([1.0, 2.0, 3.0], dtype=D)
    x = np.random.randn(4, 3)
    expected = x / np.sqrt((x**2).mean(-1, keepdims=True) + 1e-3) * [1, 2, 3]
    np.testing.assert_allclose(m(norch.tensor(x)).detach(), expected, atol=1e-12)
    assert repr(m) == "RMSNorm((3,), eps=0.001, elementwise_affine=True)"
    assert nn.RMSNorm((2, 3), elementwise_affine=False).weight is None


@pytest.mark.parametrize("size", [1, 2, 3, 5])
def test_cross_map_lrn(size):
    x = np.random.randn(2, 6, 2, 3)
    s = np.zeros_like(x)
    for c in range(6):
        reach = (size - 1) // 2
        s[:, c] = (x[:, max(c - reach, 0) : c + reach + 1] ** 2).sum(1)
    expected = x / (2 + 0.3 / size * s) ** 0.6
    m = nn.CrossMapLRN2d(size, alpha=0.3, beta=0.6, k=2)
    np.testing.assert_allclose(m(norch.tensor(x)), expected, atol=1e-12)
    with pytest.raises(ValueError, match="4D"):
        m(norch.zeros(2, 2))


@pytest.mark.parametrize("targets", [[0, 3, 9, 5, 2, 6], [0, 1, 2, 2, 1, 0]])
def test_adaptive_log_softmax(targets):
    m = nn.AdaptiveLogSoftmaxWithLoss(8, 10, [3, 6], div_value=2.0, head_bias=True, dtype=D)
    assert [tuple(p.shape) for p in m.parameters()] == [(5, 8), (5,), (4, 8), (3, 4), (2, 8), (4, 2)]
    x, target = norch.randn(6, 8, dtype=D), norch.tensor(targets)
    full = m.log_prob(x)
    np.testing.assert_allclose(full.detach().exp().sum(1), np.ones(6), atol=1e-12)
    output, loss = m(x, target)
    np.testing.assert_allclose(output.detach(), full.gather(1, target.unsqueeze(1)).squeeze(1).detach(), atol=1e-12)
    assert float(loss) == pytest.approx(-float(output.mean()))
    assert norch.equal(m.predict(x), full.argmax(1))
    assert float(m(x[0], target[0]).output) == pytest.approx(float(output[0]))
    with pytest.raises(RuntimeError, match=r"Target values should be in \[0, 9\]"):
        m(x, target + 10)
    with pytest.raises(ValueError, match="unique, positive integers"):
        nn.AdaptiveLogSoftmaxWithLoss(8, 10, [3, 3])


def test_sync_batch_norm():
    model = nn.Sequential(nn.Linear(2, 3), nn.Sequential(nn.BatchNorm1d(3, momentum=None)))
    plain = copy.deepcopy(model)
    model = nn.SyncBatchNorm.convert_sync_batchnorm(model)
    assert type(model[1][0]) is nn.SyncBatchNorm and list(model.state_dict()) == list(plain.state_dict())
    x = norch.randn(4, 2)
    assert norch.equal(model(x), plain(x)) and norch.equal(model.eval()(x), plain.eval()(x))
    with pytest.raises(ValueError, match="at least 2D"):
        nn.SyncBatchNorm(3)(norch.zeros(3))


def test_data_parallel():
    m = nn.DataParallel(nn.Linear(2, 3))
    assert list(m.state_dict()) == ["module.weight", "module.bias"] and m(norch.ones(4, 2)).shape == (4, 3)
    with pytest.raises(ValueError, match="has not been initialized"):
        nn.parallel.DistributedDataParallel(m)


def test_old_names():
    with pytest.warns(FutureWarning, match="nn.init.uniform"):
        nn.init.uniform(norch.zeros(3))
    with pytest.warns(FutureWarning):
        nn.utils.clip_grad_norm([nn.Parameter(norch.ones(2))], 1.0)
    with pytest.warns(FutureWarning, match="NLLLoss2d"):
        nn.NLLLoss2d()
    with pytest.warns(FutureWarning, match="min_value"):
        assert nn.Hardtanh(min_value=-2.0).min_val == -2
    with pytest.warns(FutureWarning):
        assert [name for name, _ in nn.Container(a=nn.ReLU()).named_children()] == ["a"]


def test_functions_of_the_extension_are_copied_and_pickled():
    module = nn.Module()
    module.act = F.gelu
    assert copy.deepcopy(module).act is F.gelu and pickle.loads(pickle.dumps(norch.matmul)) is norch.matmul


def test_gradients_of_convolutions():
    x, w = norch.randn(2, 4, 7, requires_grad=True), norch.randn(6, 2, 3, requires_grad=True)
    args = {"stride": 2, "padding": 1, "dilation": 2, "groups": 2}
    out = F.conv1d(x, w, **args)
    g = norch.randn(out.shape)
    by_input, by_weight = norch.autograd.grad(out, (x, w), g)
    close = {"rtol": 1e-5, "atol": 1e-5}
    assert norch.allclose(nn.grad.conv1d_input(x.shape, w.detach(), g, **args), by_input, **close)
    assert norch.allclose(nn.grad.conv1d_weight(x.detach(), w.shape, g, **args), by_weight, **close)


def test_pooling_with_indices():
    x = norch.randn(2, 3, 7, 6)
    assert norch.equal(F.adaptive_max_pool2d_with_indices(x, 2)[0], F.adaptive_max_pool2d(x, 2))
    samples = norch.full((2, 3, 2), 0.4)
    out, at = F.fractional_max_pool2d_with_indices(x, 2, 3, _random_samples=samples)
    assert norch.equal(out, x.flatten(2).gather(2, at.flatten(2)).view(2, 3, 3, 3))


def test_names_in_pytorchs_places():
    from norch.nn import _reduction
    from norch.nn.common_types import _size_2_t  # noqa: F401
    from norch.nn.modules.activation import MultiheadAttention
    from norch.nn.modules.batchnorm import LazyBatchNorm1d
    from norch.nn.modules.distance import PairwiseDistance
    from norch.nn.modules.fold import Unfold
    from norch.nn.modules.loss import CTCLoss, TripletMarginLoss
    from norch.nn.modules.pixelshuffle import PixelShuffle
    from norch.nn.modules.pooling import MaxUnpool2d
    from norch.nn.modules.upsampling import Upsample
    from norch.nn.modules.utils import _pair

    assert MultiheadAttention is nn.MultiheadAttention and LazyBatchNorm1d is nn.LazyBatchNorm1d
    assert (PairwiseDistance, Unfold, PixelShuffle) == (nn.PairwiseDistance, nn.Unfold, nn.PixelShuffle)
    assert (CTCLoss, TripletMarginLoss, MaxUnpool2d, Upsample) == (
        nn.CTCLoss, nn.TripletMarginLoss, nn.MaxUnpool2d, nn.Upsample,
    )  # fmt: skip
    assert _pair(3) == (3, 3) and _pair([1, 2]) == (1, 2)
    assert _reduction.get_enum("mean") == 1 and _reduction.legacy_get_string(False, None, False) == "sum"
    with pytest.raises(ValueError, match="not a valid value"):
        _reduction.get_enum("x")
    layers = {n for n, v in vars(nn).items() if isinstance(v, type) and issubclass(v, nn.Module)}
    assert layers | {"LinearCrossEntropyOptions"} == set(nn.modules.__all__)
    assert nn.utils.clip_grad_norm_ and nn.utils is not nn.modules.utils


def test_small_things():
    conv = nn.utils.convert_conv2d_weight_memory_format(nn.Conv2d(2, 3, 3), norch.channels_last)
    assert conv.weight.is_contiguous(memory_format=norch.channels_last)
    state = norch.get_rng_state()
    assert nn.utils.skip_init(nn.Linear, 2, 3).weight.shape == (3, 2) and norch.equal(state, norch.get_rng_state())
    out = norch.empty(0)
    assert F.normalize(norch.tensor([[3.0, 4.0]]), out=out) is out and out.tolist() == [[0.6000000238418579, 0.800000011920929]]
    assert repr(nn.EmbeddingBag(4, 2, max_norm=1.0, padding_idx=1)) == "EmbeddingBag(4, 2, max_norm=1.0, mode='mean', padding_idx=1)"
    assert repr(nn.Embedding(4, 2, padding_idx=1, sparse=True)) == "Embedding(4, 2, padding_idx=1, sparse=True)"
    assert nn.InstanceNorm1d(3, affine=True, bias=False).bias is None
    nn.Linear(2, 2).compile()


def test_gumbel_softmax_draws_in_row_major_order():
    logits = norch.arange(6.0).view(2, 3).t()
    for hard in (False, True):
        norch.manual_seed(1)
        drawn = F.gumbel_softmax(logits, hard=hard)
        norch.manual_seed(1)
        assert norch.equal(drawn, F.gumbel_softmax(logits.contiguous(), hard=hard))
