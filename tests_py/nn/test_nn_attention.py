"""MultiheadAttention, and other layers of nn.functional's newer part."""

import math

import numpy as np
import pytest

import norch
from norch import nn
from norch.nn import functional as F


def by_hand(m, q, k, v, mask=None):
    """Multi-head attention of batches (N, L, E) from the module's parameters, in NumPy."""
    e, h = m.embed_dim, m.num_heads
    w, b = m.in_proj_weight.detach().numpy(), m.in_proj_bias.detach().numpy()
    parts = [x.numpy() @ w[i * e : (i + 1) * e].T + b[i * e : (i + 1) * e] for i, x in enumerate((q, k, v))]
    q, k, v = (p.reshape(*p.shape[:2], h, e // h).swapaxes(1, 2) for p in parts)
    s = q @ k.swapaxes(-1, -2) / math.sqrt(e // h)
    s = s if mask is None else np.where(mask, -np.inf, s)
    a = np.exp(s - s.max(-1, keepdims=True))
    a /= a.sum(-1, keepdims=True)
    out = (a @ v).swapaxes(1, 2).reshape(q.shape[0], -1, e)
    return out @ m.out_proj.weight.detach().numpy().T + m.out_proj.bias.detach().numpy(), a.mean(1)


def test_multihead_attention():
    m = nn.MultiheadAttention(8, 2, batch_first=True)
    q, k = norch.randn(2, 3, 8), norch.randn(2, 5, 8)
    out, weights = m(q, k, k)
    want, mean = by_hand(m, q, k, k)
    np.testing.assert_allclose(out.detach().numpy(), want, rtol=1e-4, atol=1e-5)
    np.testing.assert_allclose(weights.detach().numpy(), mean, rtol=1e-4, atol=1e-5)
    np.testing.assert_allclose(m(q, k, k, need_weights=False)[0].detach().numpy(), want, rtol=1e-4, atol=1e-5)
    padding = norch.tensor([[False] * 5, [False, False, True, True, True]])
    want, _ = by_hand(m, q, k, k, padding.numpy()[:, None, None, :])
    for need in (True, False):
        out = m(q, k, k, key_padding_mask=padding, need_weights=need)[0]
        np.testing.assert_allclose(out.detach().numpy(), want, rtol=1e-4, atol=1e-5)
    np.testing.assert_allclose(m(q[0], k[0], k[0])[0].detach().numpy(), by_hand(m, q, k, k)[0][0], rtol=1e-4, atol=1e-5)
    causal = norch.ones(3, 3, dtype=norch.bool).triu(1)
    masked = m(q, q, q, attn_mask=causal)[0]
    np.testing.assert_allclose(masked.detach().numpy(), by_hand(m, q, q, q, causal.numpy())[0], rtol=1e-4, atol=1e-5)
    hinted = m(q, q, q, attn_mask=causal, is_causal=True, need_weights=False)[0]
    assert norch.allclose(hinted, masked, atol=1e-5)
    out.sum().backward()
    assert m.in_proj_weight.grad.abs().sum() > 0


def test_multihead_attention_options():
    m = nn.MultiheadAttention(4, 2, kdim=3, vdim=5, add_bias_kv=True, add_zero_attn=True, bias=False)
    out, weights = m(norch.randn(2, 1, 4), norch.randn(6, 1, 3), norch.randn(6, 1, 5), average_attn_weights=False)
    assert out.shape == (2, 1, 4) and weights.shape == (1, 2, 2, 8)
    assert set(dict(m.named_parameters())) == {
        "q_proj_weight", "k_proj_weight", "v_proj_weight", "bias_k", "bias_v", "out_proj.weight"
    }
    with pytest.raises(AssertionError, match="divisible by num_heads"):
        nn.MultiheadAttention(5, 2)
    with pytest.raises(RuntimeError, match="Need attn_mask"):
        nn.MultiheadAttention(4, 2)(*[norch.zeros(2, 1, 4)] * 3, is_causal=True)


def test_linear_cross_entropy_by_chunks(device):
    x = norch.randn(7, 4, device=device, dtype=norch.float64, requires_grad=True)
    w = norch.randn(5, 4, device=device, dtype=norch.float64, requires_grad=True)
    t = norch.tensor([0, 1, 4, 2, -100, 3, 3], device=device)
    weight = norch.rand(5, device=device, dtype=norch.float64)
    for reduction in ("none", "mean", "sum"):
        for options in (nn.LinearCrossEntropyOptions(batch_chunk_size=3), nn.LinearCrossEntropyOptions()):
            def chunked(a, b):
                return F.linear_cross_entropy(a, b, t, weight=weight, reduction=reduction, options=options)

            assert norch.allclose(chunked(x, w), F.cross_entropy(x @ w.T, t, weight, reduction=reduction))
            assert norch.autograd.gradcheck(chunked, (x, w))
    assert norch.autograd.gradgradcheck(chunked, (x, w))


def test_ctc_gradient(device):
    scores = norch.randn(6, 2, 4, dtype=norch.float64, device=device, requires_grad=True)
    t = norch.tensor([[1, 2, 2], [3, 0, 0]], device=device)

    def loss(x):
        return F.ctc_loss(x.log_softmax(-1), t, (6, 5), (3, 1), reduction="none")

    assert norch.autograd.gradcheck(loss, (scores,))
    (g,) = norch.autograd.grad(loss(scores).sum(), scores, create_graph=True)
    with pytest.raises(NotImplementedError, match="ctc_loss can be differentiated once"):
        g.sum().backward()


def test_transposed_convolution_sizes(device):
    m = nn.ConvTranspose2d(3, 4, 3, stride=2, padding=1).to(device)
    x = norch.randn(1, 3, 5, 5, device=device)
    assert m(x).shape == (1, 4, 9, 9) and m(x, output_size=(10, 10)).shape == (1, 4, 10, 10)
    with pytest.raises(ValueError, match="requested an output size of"):
        m(x, output_size=(12, 12))


def test_pads():
    x = norch.arange(6.0).reshape(1, 1, 2, 3)
    assert nn.ReflectionPad2d((1, 0, 1, 0))(x).tolist() == [[[[4, 3, 4, 5], [1, 0, 1, 2], [4, 3, 4, 5]]]]
    assert nn.ConstantPad1d(1, 7.0)(x[0]).tolist()[0][0] == [7, 0, 1, 2, 7]
    assert F.pad(x, (-1, 1), mode="circular")[0, 0].tolist() == [[1, 2, 1], [4, 5, 4]]
    assert F.pad(x, (-3, 4), mode="replicate")[0, 0].tolist() == [[2, 2, 2, 2], [5, 5, 5, 5]]
    assert F.pad(x.long(), (1, 0), mode="circular")[0, 0].tolist() == [[2, 0, 1, 2], [5, 3, 4, 5]]


def test_reprs():
    assert repr(nn.Upsample(scale_factor=2, mode="bilinear")) == "Upsample(scale_factor=2.0, mode='bilinear')"
    assert repr(nn.ReflectionPad2d(1)) == "ReflectionPad2d((1, 1, 1, 1))"
    assert repr(nn.MaxUnpool2d(2)) == "MaxUnpool2d(kernel_size=(2, 2), stride=(2, 2), padding=(0, 0))"
