"""flex_attention against attention with masks, and its own masks."""

import math

import pytest

import norch
from norch.nn import functional as F
from norch.nn.attention.flex_attention import (
    and_masks,
    create_block_mask,
    create_mask,
    flex_attention,
    noop_mask,
    or_masks,
)


def causal(b, h, q, kv):
    return q >= kv


def qkv(heads=2, kv_heads=2, length=5):
    g = norch.Generator().manual_seed(0)
    shapes = ((heads, length), (kv_heads, 7), (kv_heads, 7))
    return [norch.randn(2, h, n, 4, dtype=norch.float64, generator=g).requires_grad_() for h, n in shapes]


def test_block_mask_equals_attention_mask():
    q, k, v = qkv()
    mask = create_mask(causal, None, None, 5, 7)
    out = flex_attention(q, k, v, block_mask=create_block_mask(causal, None, None, 5, 7))
    expected = F.scaled_dot_product_attention(q, k, v, mask)
    assert norch.allclose(out, expected)
    grads = norch.autograd.grad(out.square().sum(), (q, k, v), retain_graph=True)
    assert all(map(norch.allclose, grads, norch.autograd.grad(expected.square().sum(), (q, k, v))))


def test_score_mod_may_index_tensors_by_position():
    q, k, v = qkv()
    slope = norch.tensor([0.5, 2.0], dtype=norch.float64, requires_grad=True)
    out = flex_attention(q, k, v, lambda s, b, h, i, j: s - slope[h] * (i - j).abs(), scale=0.3)
    distance = (norch.arange(5)[:, None] - norch.arange(7)).abs()
    expected = F.scaled_dot_product_attention(q, k, v, -slope.view(1, 2, 1, 1) * distance, scale=0.3)
    assert norch.allclose(out, expected)
    (grad,) = norch.autograd.grad(out.square().sum(), slope)
    assert norch.allclose(grad, norch.autograd.grad(expected.square().sum(), slope)[0])


def test_queries_that_see_nothing_give_zero():
    q, k, v = qkv()
    out, lse = flex_attention(q, k, v, block_mask=create_block_mask(lambda b, h, i, j: i > j, 2, 2, 5, 7), return_lse=True)
    assert out[:, :, 0].eq(0).all() and lse[0, 0, 0].item() == -math.inf
    out.sum().backward()
    assert q.grad.isfinite().all() and v.grad.isfinite().all()


def test_grouped_heads():
    q, k, v = qkv(heads=4)
    out = flex_attention(q, k, v, enable_gqa=True)
    expected = F.scaled_dot_product_attention(q, k.repeat_interleave(2, 1), v.repeat_interleave(2, 1))
    assert norch.allclose(out, expected)
    with pytest.raises(ValueError, match="Try setting enable_gqa=True"):
        flex_attention(q, k, v)


def test_masks_combine():
    near = and_masks(causal, lambda b, h, q, kv: q - kv < 2)
    assert create_mask(near, 1, 1, 3, 3)[0, 0].int().tolist() == [[1, 0, 0], [1, 1, 0], [0, 1, 1]]
    assert create_mask(or_masks(causal, noop_mask), 1, 1, 2, 2).all()
    scores = create_mask(lambda s, b, h, i, j: s + i - j, 1, 1, 2, 2)
    assert scores[0, 0].tolist() == [[0, -1], [1, 0]]


def test_block_mask_tells_its_blocks():
    block = create_block_mask(causal, None, None, 200, 200, BLOCK_SIZE=100)
    assert block.to_dense().tolist() == [[[[1, 0], [1, 1]]]] and block.sparsity() == 25
    assert repr(block) == "BlockMask(shape=(1, 1, 200, 200), sparsity=25.00%)"
    with pytest.raises(AssertionError, match="requires a mask_mod function"):
        create_block_mask(lambda s, b, h, i, j: s, None, None, 2, 2)
    q, k, v = qkv()
    with pytest.raises(ValueError, match="block_mask was created for"):
        flex_attention(q, k, v, block_mask=create_block_mask(causal, None, None, 2, 2))
