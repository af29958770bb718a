"""scaled_dot_product_attention over more than one block of scores, against float64 formulas."""

import numpy as np
import pytest

import norch
import norch.nn.functional as F

TOLERANCE = {"float64": 1e-12, "float32": 2e-5, "bfloat16": 4e-2}


def reference(q, k, v, g, seen, added, scale, kept=None):
    """The result and the gradients of q, k and v."""
    s = np.where(seen, q @ k.swapaxes(-1, -2) * scale + added, -np.inf)
    blind = np.isneginf(s).all(-1, keepdims=True)
    e = np.exp(s - np.where(blind, 0, s.max(-1, keepdims=True)))
    w = e / np.where(blind, 1, e.sum(-1, keepdims=True))
    kept = np.ones_like(w) if kept is None else kept
    dw = g @ v.swapaxes(-1, -2) * kept
    ds = w * (dw - (dw * w).sum(-1, keepdims=True)) * scale
    return (w * kept) @ v, ds @ k, ds.swapaxes(-1, -2) @ q, (w * kept).swapaxes(-1, -2) @ g


def check(dtype, l, s, e=12, ev=20, heads=2, causal=False, mask=None, scale=None, heads_inside=False, device="cpu"):
    def leaf(n, width):
        x = norch.randn(2, heads, n, width, dtype=norch.float64)
        if heads_inside:
            x = x.transpose(1, 2).contiguous().transpose(1, 2)
        return x.to(getattr(norch, dtype)).to(device).requires_grad_()

    q, k, v = leaf(l, e), leaf(s, e), leaf(s, ev)
    seen, added = np.ones((l, s), bool), 0.0
    if causal:
        seen = np.tri(l, s, dtype=bool)
    if mask is not None:
        seen, added = (mask, 0.0) if mask.dtype == bool else (seen, mask)
        mask = norch.from_numpy(mask).to(device)
        mask = mask if mask.dtype == norch.bool else mask.to(q.dtype)
    out = F.scaled_dot_product_attention(q, k, v, mask, is_causal=causal, scale=scale)
    g = norch.randn(out.shape, dtype=norch.float64).to(out.dtype).to(device)
    found = [out, *norch.autograd.grad(out, [q, k, v], g)]
    wide = [t.detach().double().cpu().numpy() for t in (q, k, v, g)]
    for x, y in zip(found, reference(*wide, seen, added, scale or e**-0.5)):
        assert x.shape == y.shape and x.dtype == q.dtype
        np.testing.assert_allclose(x.detach().double().cpu().numpy(), y, rtol=TOLERANCE[dtype], atol=TOLERANCE[dtype])
    return out


@pytest.mark.parametrize("dtype", list(TOLERANCE))
@pytest.mark.parametrize("l, s", [(70, 600), (33, 256), (300, 40), (1, 513)])
def test_lengths(dtype, l, s, device):
    check(dtype, l, s, device=device)
    check(dtype, l, s, causal=True, device=device)
    check(dtype, l, s, scale=0.7, heads_inside=True, device=device)


@pytest.mark.parametrize("shape", [(70, 300), (2, 1, 70, 300), (2, 2, 1, 300), (2, 70, 1), (300,), (1, 1)])
def test_masks(shape, device):
    bools = np.random.rand(*shape) < 0.5
    if len(shape) > 1 and shape[-2] > 1:
        bools[..., 3, :] = False  # a row that sees nothing
    check("float64", 70, 300, mask=bools, device=device)
    check("float64", 70, 300, mask=np.random.randn(*shape), device=device)
    check("float64", 70, 300, mask=np.where(bools, np.random.randn(*shape), -np.inf), device=device)


def test_mask_with_a_gradient():
    q, k, v = (norch.randn(1, 40, 4, dtype=norch.float64) for _ in range(3))
    mask = norch.randn(40, 40, dtype=norch.float64, requires_grad=True)
    F.scaled_dot_product_attention(q, k, v, mask).sum().backward()
    assert mask.grad.abs().sum() > 0


def test_sizes_of_heads(device):
    for e, ev in ((1, 1), (3, 130), (256, 7)):
        check("float32", 50, 270, e, ev, device=device)


def test_leading_dims_broadcast():
    q, k, v = norch.randn(3, 1, 40, 8), norch.randn(4, 300, 8), norch.randn(2, 1, 4, 300, 5)
    for t in (q, k, v):
        t.requires_grad_()
    out = F.scaled_dot_product_attention(q, k, v)
    full = [t.expand(2, 3, 4, *t.shape[-2:]).detach().requires_grad_() for t in (q, k, v)]
    expected = F.scaled_dot_product_attention(*full)
    assert out.shape == (2, 3, 4, 40, 5) and norch.equal(out, expected)
    g = norch.randn(out.shape)
    out.backward(g)
    expected.backward(g)
    for t, f in zip((q, k, v), full):
        norch.testing.assert_close(t.grad, f.grad.sum_to_size(t.shape))


@pytest.mark.parametrize("mask_heads", [None, 1, 6])
def test_groups_of_heads(mask_heads):
    q, k, v = norch.randn(2, 6, 40, 8), norch.randn(2, 3, 270, 8), norch.randn(2, 3, 270, 8)
    mask = None if mask_heads is None else norch.rand(2, mask_heads, 40, 270) < 0.5
    for t in (q, k, v):
        t.requires_grad_()
    out = F.scaled_dot_product_attention(q, k, v, mask, enable_gqa=True)
    wide = [t.repeat_interleave(2, 1) for t in (k, v)]
    expected = F.scaled_dot_product_attention(q, *wide, mask)
    norch.testing.assert_close(out, expected)
    g = norch.randn(out.shape)
    for x, y in zip(norch.autograd.grad(out, [q, k, v], g), norch.autograd.grad(expected, [q, k, v], g)):
        norch.testing.assert_close(x, y)


@pytest.mark.parametrize("l, s", [(40, 300), (33, 7)])
def test_dropout_drops_what_dropout_drops(l, s):
    q, k, v = (norch.randn(2, 3, n, 8, dtype=norch.float64, requires_grad=True) for n in (l, s, s))
    norch.manual_seed(5)
    out = F.scaled_dot_product_attention(q, k, v, dropout_p=0.3)
    norch.manual_seed(5)
    kept = F.dropout(norch.ones(2, 3, l, s, dtype=norch.float64), 0.3).numpy()
    assert 0.2 < (kept == 0).mean() < 0.4
    g = norch.randn(out.shape, dtype=norch.float64)
    found = [out.detach(), *norch.autograd.grad(out, [q, k, v], g)]
    arrays = [t.detach().numpy() for t in (q, k, v, g)]
    for x, y in zip(found, reference(*arrays, np.ones((l, s), bool), 0.0, 8**-0.5, kept)):
        np.testing.assert_allclose(x.numpy(), y, rtol=1e-12, atol=1e-12)


def test_second_derivatives():
    q, k, v = (norch.randn(1, 2, n, 3, dtype=norch.float64, requires_grad=True) for n in (5, 7, 7))
    mask = norch.rand(5, 7) < 0.7

    def dropped(q, k, v):
        norch.manual_seed(1)
        return F.scaled_dot_product_attention(q, k, v, mask, dropout_p=0.4)

    assert norch.autograd.gradcheck(dropped, (q, k, v)) and norch.autograd.gradgradcheck(dropped, (q, k, v))
    assert norch.autograd.gradgradcheck(lambda *t: F.scaled_dot_product_attention(*t, is_causal=True), (q, k, v))


def test_layout_and_bits():
    q, k, v = (norch.randn(2, 130, 3, 16).transpose(1, 2).requires_grad_() for _ in range(3))
    results = []
    threads = norch.get_num_threads()
    for n in (1, 2, 5):
        norch.set_num_threads(n)
        out = F.scaled_dot_product_attention(q, k, v, is_causal=True)
        results.append([out.detach(), *norch.autograd.grad(out.square().sum(), [q, k, v])])
    norch.set_num_threads(threads)
    assert out.transpose(1, 2).is_contiguous()  # as the layers around want it
    assert all(t.transpose(1, 2).is_contiguous() for t in results[0][1:])
    for other in results[1:]:
        assert all(norch.equal(x, y) for x, y in zip(results[0], other))


def test_nan_stays_in_its_row():
    q, k, v = (norch.randn(1, 300, 4) for _ in range(3))
    q[0, 40] = float("nan")
    out = F.scaled_dot_product_attention(q, k, v)
    assert out[0, 40].isnan().all() and out.isnan().sum() == 4


def test_empty():
    x = norch.randn(2, 4, 3)
    assert F.scaled_dot_product_attention(x, x[:, :0], x[:, :0]).abs().sum() == 0
    assert F.scaled_dot_product_attention(x[:, :0], x, x).shape == (2, 0, 3)
    out = F.scaled_dot_product_attention(*(x[:0].requires_grad_() for _ in range(3)))
    assert out.shape == (0, 4, 3) and out.requires_grad
    out.sum().backward()
    assert F.scaled_dot_product_attention(x, x, x[..., :0]).shape == (2, 4, 0)


def test_mask_that_does_not_fit():
    x = norch.randn(2, 4, 3)
    with pytest.raises(RuntimeError, match=r"attn_mask \[5, 4\] can't be expanded to the 4 queries and 4 keys"):
        F.scaled_dot_product_attention(x, x, x, norch.ones(5, 4))
