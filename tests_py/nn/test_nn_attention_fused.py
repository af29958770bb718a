"""scaled_dot_product_attention on CUDA: the fused kernels of 16-bit floats and float32, and what takes their place."""

import numpy as np
import pytest

import norch
import norch.nn.functional as F

from test_nn_attention_blocks import reference

pytestmark = pytest.mark.cuda
# Of the norm of a result.
TOLERANCE = {"float64": 1e-12, "float32": 1e-5, "float16": 2e-3, "bfloat16": 1.2e-2}


def draw(*shape, dtype="bfloat16"):
    return norch.randn(*shape, dtype=norch.float64).to(getattr(norch, dtype)).cuda().requires_grad_()


def close(found, expected, dtype):
    for x, y in zip(found, expected):
        assert tuple(x.shape) == y.shape
        x = x.detach().double().cpu().numpy()
        # A gradient that cancels has an error of its terms' size.
        least = (1 if dtype == "float32" else 0.02) * x.size**0.5
        assert np.linalg.norm(x - y) <= TOLERANCE[dtype] * max(np.linalg.norm(y), least)


def results(q, k, v, g=None, **kwargs):
    out = F.scaled_dot_product_attention(q, k, v, **kwargs)
    g = draw(*out.shape, dtype=str(q.dtype).split(".")[1]) if g is None else g
    return [out, *norch.autograd.grad(out, [q, k, v], g)], g.detach()


def check(q, k, v, dtype, kept=None, scale=None, **kwargs):
    """Against float64 formulas; heads of k and v are repeated."""
    found, g = results(q, k, v, scale=scale, **kwargs)
    wide = [t.detach().double().cpu().numpy() for t in (q, k, v, g)]
    repeats = wide[0].shape[-3] // wide[1].shape[-3]
    wide[1:3] = [np.repeat(t, repeats, -3) for t in wide[1:3]]
    seen, added = np.ones((q.shape[-2], k.shape[-2]), bool), 0.0
    if kwargs.get("is_causal"):
        seen = np.tri(*seen.shape, dtype=bool)
    mask = kwargs.get("attn_mask")
    if mask is not None:
        m = (mask if mask.dtype == norch.bool else mask.double()).cpu().numpy()
        seen, added = (m, 0.0) if mask.dtype == norch.bool else (seen, m)
    expected = list(reference(*wide, seen, added, scale or q.shape[-1] ** -0.5, kept))
    for i in (2, 3):
        x = expected[i]
        expected[i] = x.reshape(*x.shape[:-3], -1, repeats, *x.shape[-2:]).sum(-3)
    close(found, expected, dtype)
    return found


@pytest.mark.parametrize("dtype", ["bfloat16", "float16", "float32"])
@pytest.mark.parametrize("width", [64, 128])
@pytest.mark.parametrize("rows, columns", [(1, 1), (1, 130), (130, 1), (65, 129), (150, 260)])
def test_lengths(rows, columns, width, dtype):
    q, k, v = (draw(1, 2, n, width, dtype=dtype) for n in (rows, columns, columns))
    check(q, k, v, dtype)
    check(q, k, v, dtype, is_causal=True)


@pytest.mark.parametrize("dtype", ["bfloat16", "float32"])
@pytest.mark.parametrize("width, value_width", [(1, 1), (8, 24), (20, 12), (72, 128), (100, 60), (160, 200)])
def test_sizes_of_heads(width, value_width, dtype):
    q, k, v = (draw(2, 2, *size, dtype=dtype) for size in ((40, width), (70, width), (70, value_width)))
    check(q, k, v, dtype, scale=0.3)


@pytest.mark.parametrize("dtype", ["bfloat16", "float32"])
@pytest.mark.parametrize("shape", [(70, 140), (2, 1, 70, 140), (2, 4, 1, 140), (1, 4, 70, 1), (140,), (1, 1)])
def test_masks(shape, dtype):
    bools = norch.rand(*shape) < 0.5
    if len(shape) > 1 and shape[-2] > 1:
        bools[..., 3, :] = False  # a row that sees nothing
    q, k, v = (draw(2, *size, 64, dtype=dtype) for size in ((4, 70), (2, 140), (2, 140)))
    check(q, k, v, dtype, attn_mask=bools.cuda(), enable_gqa=True)
    added = norch.where(bools, norch.randn(*shape), norch.tensor(-float("inf"))).to(q.dtype)
    out, dq, *_ = check(q, k, v, dtype, attn_mask=added.cuda(), enable_gqa=True)
    if len(shape) > 1 and shape[-2] > 1:
        assert out[..., 3, :].abs().sum() == 0 and dq[..., 3, :].abs().sum() == 0


@pytest.mark.parametrize("dtype", ["bfloat16", "float32"])
def test_groups_of_heads(dtype):
    q, k, v = draw(2, 6, 70, 64, dtype=dtype), draw(2, 2, 150, 64, dtype=dtype), draw(2, 2, 150, 64, dtype=dtype)
    check(q, k, v, dtype, enable_gqa=True)
    check(q, k, v, dtype, enable_gqa=True, is_causal=True)


@pytest.mark.parametrize("dtype, columns", [("bfloat16", 132), ("bfloat16", 131), ("float32", 132), ("float32", 131)])
def test_dropout_drops_what_dropout_drops(dtype, columns):
    q, k, v = draw(2, 2, 70, 32, dtype=dtype), draw(2, 2, columns, 32, dtype=dtype), draw(2, 2, columns, 32, dtype=dtype)
    norch.manual_seed(5)
    kept = F.dropout(norch.ones(2, 2, 70, columns, dtype=norch.float64), 0.3).numpy()
    assert 0.25 < (kept == 0).mean() < 0.35
    norch.manual_seed(5)
    found = check(q, k, v, dtype, kept, dropout_p=0.3)
    norch.manual_seed(5)
    again = F.scaled_dot_product_attention(q, k, v, dropout_p=0.3)
    assert norch.equal(found[0], again)
    assert not norch.equal(again, F.scaled_dot_product_attention(q, k, v, dropout_p=0.3))


@pytest.mark.parametrize("dtype", ["bfloat16", "float32"])
def test_views_of_one_projection(dtype):
    x = draw(2, 70, 3, 2, 64, dtype=dtype)
    q, k, v = (t.transpose(1, 2) for t in x.unbind(2))
    out = check(q, k, v, dtype, is_causal=True)[0]
    assert out.transpose(1, 2).is_contiguous()  # as the layers around want it
    whole = [t.detach().contiguous().requires_grad_() for t in (q, k, v)]
    found, g = results(q, k, v, is_causal=True)
    expected, _ = results(*whole, g, is_causal=True)
    assert all(norch.equal(a, b) for a, b in zip(found, expected))


@pytest.mark.parametrize("dtype", ["bfloat16", "float32"])
def test_memory_that_is_not_aligned(dtype):
    q, k, v = (draw(1, 2, 33, 72, dtype=dtype).detach()[..., 1:65].requires_grad_() for _ in range(3))
    check(q, k, v, dtype)
    flat = draw(2 * 33 * 64 + 1, dtype=dtype).detach()[1:].reshape(1, 2, 33, 64)
    check(flat.requires_grad_(), k, v, dtype)


def test_leading_dims_broadcast():
    q, k, v = draw(3, 1, 40, 16), draw(4, 70, 16), draw(2, 1, 4, 70, 8)
    full = [t.detach().expand(2, 3, 4, *t.shape[-2:]).contiguous().requires_grad_() for t in (q, k, v)]
    found, g = results(q, k, v)
    expected, _ = results(*full, g)
    assert norch.equal(found[0], expected[0])
    for x, y, t in zip(found[1:], expected[1:], (q, k, v)):
        norch.testing.assert_close(x.float(), y.float().sum_to_size(t.shape), rtol=2e-2, atol=2e-2)
    two = check(draw(1, 40, 16)[0][None], draw(1, 70, 16), draw(1, 70, 16), "bfloat16")[0]
    assert two.shape == (1, 40, 16)
    assert F.scaled_dot_product_attention(*(draw(5, 16) for _ in range(3))).shape == (5, 16)


@pytest.mark.parametrize("dtype", ["bfloat16", "float32"])
def test_same_bits(dtype):
    q, k, v = (draw(2, heads, 300, 64, dtype=dtype) for heads in (4, 2, 2))
    runs = []
    for _ in range(3):
        norch.manual_seed(3)
        runs.append(results(q, k, v, norch.ones_like(q), is_causal=True, dropout_p=0.1, enable_gqa=True)[0])
    for other in runs[1:]:
        assert all(norch.equal(a, b) for a, b in zip(runs[0], other))


def test_second_derivatives():
    q, k, v = (draw(1, n, 20, 16) for n in (4, 2, 2))
    wide = [t.detach().float().cpu().requires_grad_() for t in (q, k, v)]
    norms = []
    for operands in ((q, k, v), wide):
        out = F.scaled_dot_product_attention(*operands, is_causal=True, enable_gqa=True)
        first = norch.autograd.grad(out.float().square().sum(), operands, create_graph=True)
        norms.append(norch.autograd.grad(sum(g.float().square().sum() for g in first), operands))
    close(norms[0], [t.double().numpy() for t in norms[1]], "bfloat16")


def test_a_mask_with_a_gradient():
    q, k, v = (draw(1, 2, 20, 16) for _ in range(3))
    mask = draw(20, 20)
    out = F.scaled_dot_product_attention(q, k, v, mask)
    wide = [t.detach().float().cpu().requires_grad_() for t in (q, k, v, mask)]
    expected = F.scaled_dot_product_attention(*wide)
    close([out], [expected.detach().double().numpy()], "bfloat16")
    out.sum().backward()
    expected.sum().backward()
    close([mask.grad], [wide[3].grad.double().numpy()], "bfloat16")


@pytest.mark.parametrize("scale", [0.0, -0.7])
def test_scales_that_are_not_positive(scale):
    check(*(draw(1, 2, 33, 64) for _ in range(3)), "bfloat16", scale=scale or 1e-30)
    out = F.scaled_dot_product_attention(*(draw(1, 2, 33, 64) for _ in range(3)), scale=scale)
    assert out.isfinite().all()


def test_nan_and_large_scores():
    q, k, v = (draw(1, 1, 130, 64).detach() for _ in range(3))
    q[0, 0, 40] = float("nan")
    out = F.scaled_dot_product_attention(q, k, v)
    assert out[0, 0, 40].isnan().all() and out.isnan().sum() == 64
    large = check(*((t.nan_to_num() * 100).requires_grad_() for t in (q, k)), v.requires_grad_(), "bfloat16")
    assert all(t.isfinite().all() for t in large)


def test_empty():
    x = draw(2, 4, 64)
    assert F.scaled_dot_product_attention(x, x[:, :0], x[:, :0]).abs().sum() == 0
    assert F.scaled_dot_product_attention(x[:, :0], x, x).shape == (2, 0, 64)
    out = F.scaled_dot_product_attention(x[:0], x[:0], x[:0])
    assert out.shape == (0, 4, 64)
    out.sum().backward()
    assert x.grad.abs().sum() == 0


def test_in_a_graph():
    q, k, v = (draw(1, 2, 140, 64) for _ in range(3))
    g = norch.ones_like(q)

    def step():
        return results(q, k, v, g, is_causal=True)[0]

    expected = step()
    graph = norch.cuda.CUDAGraph()
    with norch.cuda.graph(graph):
        captured = step()
    for _ in range(2):
        graph.replay()
        assert all(norch.equal(a, b) for a, b in zip(captured, expected))
