"""Multi-head attention as a function, with all of its options."""

from __future__ import annotations

import math
import warnings
from typing import Any

from norch import _C
from norch._C import Tensor


def _none_or_dtype(input: Tensor | None) -> Any:
    """The dtype of a tensor, or None; as modules written after PyTorch's own call it."""
    if input is None or isinstance(input, Tensor):
        return None if input is None else input.dtype
    raise RuntimeError("input to _none_or_dtype() must be None or torch.Tensor")


def _canonical_mask(
    mask: Tensor | None,
    mask_name: str,
    other_type: Any,
    other_name: str,
    target_type: Any,
    check_other: bool = True,
) -> Tensor | None:
    """A bool mask (True: takes no part) as numbers of `target_type` to add; floats stay, with a warning where they
    have another dtype than `other_type`. As modules written after PyTorch's own call it."""
    if mask is None:
        return None
    if mask.dtype == _C.bool:
        return _C.zeros_like(mask, dtype=target_type).masked_fill_(mask, -math.inf)
    if not mask.is_floating_point():
        raise AssertionError(f"only bool and floating types of {mask_name} are supported")
    if check_other and other_type is not None and mask.dtype != other_type:
        warnings.warn(
            f"Support for mismatched {mask_name} and {other_name} is deprecated. Use same type for both instead.",
            stacklevel=5,
        )
    return mask


def _additive_mask(mask: Tensor | None, name: str, like: Tensor, other: Tensor | None = None) -> Tensor | None:
    """`_canonical_mask` for scores of like's dtype."""
    return _canonical_mask(mask, name, _none_or_dtype(other), "attn_mask", like.dtype)


def _check(condition: bool, text: str) -> None:
    if not condition:
        raise AssertionError(text)


def _mha_shape_check(
    query: Tensor, key: Tensor, value: Tensor, key_padding_mask: Tensor | None, attn_mask: Tensor | None, heads: int
) -> bool:
    """Whether the operands have a batch."""
    if query.ndim not in (2, 3):
        raise AssertionError(f"query should be unbatched 2D or batched 3D tensor but received {query.ndim}-D query tensor")
    batched = query.ndim == 3
    kind = "batched" if batched else "unbatched"
    _check(
        key.ndim == query.ndim and value.ndim == query.ndim,
        f"For {kind} ({query.ndim}-D) `query`, expected `key` and `value` to be {query.ndim}-D but found {key.ndim}-D "
        f"and {value.ndim}-D tensors respectively",
    )
    if key_padding_mask is not None:
        _check(
            key_padding_mask.ndim == query.ndim - 1,
            f"For {kind} ({query.ndim}-D) `query`, expected `key_padding_mask` to be `None` or {query.ndim - 1}-D but "
            f"found {key_padding_mask.ndim}-D tensor instead",
        )
    if attn_mask is not None:
        _check(
            attn_mask.ndim in (2, 3),
            f"For {kind} ({query.ndim}-D) `query`, expected `attn_mask` to be `None`, 2-D or 3-D but found "
            f"{attn_mask.ndim}-D tensor instead",
        )
        if not batched and attn_mask.ndim == 3:
            expected = (heads, query.shape[0], key.shape[0])
            _check(
                tuple(attn_mask.shape) == expected,
                f"Expected `attn_mask` shape to be {expected} but got {tuple(attn_mask.shape)}",
            )
    return batched


def _project(
    query: Tensor,
    key: Tensor,
    value: Tensor,
    weights: tuple[Tensor | None, Tensor | None, Tensor | None, Tensor | None],
    bias: Tensor | None,
    separate: bool,
) -> list[Tensor]:
    packed, *each = weights
    size = query.size(-1)
    if separate:
        for name, w in zip("qkv", each):
            _check(w is not None, f"use_separate_proj_weight is True but {name}_proj_weight is None")
        parts = [w for w in each if w is not None]
    else:
        if packed is None:
            raise AssertionError("use_separate_proj_weight is False but in_proj_weight is None")
        if query is key and key is value:
            return list(_C._nn.linear(query, packed, bias).chunk(3, -1))
        parts = list(packed.chunk(3))
    biases = [None] * 3 if bias is None else list(bias.split(size))
    return [_C._nn.linear(x, w, b) for x, w, b in zip((query, key, value), parts, biases)]


def _in_projection_packed(q: Tensor, k: Tensor, v: Tensor, w: Tensor, b: Tensor | None = None) -> list[Tensor]:
    """The queries, keys and values that the joined weight (3E, E) and bias (3E) make, under PyTorch's name."""
    return _project(q, k, v, (w, None, None, None), b, False)


def _in_projection(
    q: Tensor,
    k: Tensor,
    v: Tensor,
    w_q: Tensor,
    w_k: Tensor,
    w_v: Tensor,
    b_q: Tensor | None = None,
    b_k: Tensor | None = None,
    b_v: Tensor | None = None,
) -> tuple[Tensor, Tensor, Tensor]:
    """The same with a weight and a bias for each."""
    linear = _C._nn.linear
    return linear(q, w_q, b_q), linear(k, w_k, b_k), linear(v, w_v, b_v)


def _by_heads(x: Tensor, batch: int, heads: int) -> Tensor:
    """(length, batch, heads * size) -> (batch * heads, length, size)."""
    return x.reshape(x.size(0), batch * heads, x.size(2) // heads).transpose(0, 1)


def _static(given: Tensor | None, name: str, x: Tensor, rows: int, size: int) -> Tensor:
    if given is None:
        return x
    _check(given.size(0) == rows, f"expecting {name}.size(0) of {rows}, but got {given.size(0)}")
    _check(given.size(2) == size, f"expecting {name}.size(2) of {size}, but got {given.size(2)}")
    return given


def _one_more(mask: Tensor | None) -> Tensor | None:
    return None if mask is None else _C._nn.pad(mask, (0, 1))


def _by_rows(mask: Tensor | None, rows: int, target: int, source: int) -> Tensor | None:
    """The mask of attention weights (rows or 1, target, source), from one with or without the first dim."""
    if mask is None:
        return None
    expected = (target, source) if mask.ndim == 2 else (rows, target, source)
    if tuple(mask.shape) != expected:
        raise RuntimeError(f"The shape of the {mask.ndim}D attn_mask is {mask.shape}, but should be {expected}.")
    return mask.unsqueeze(0) if mask.ndim == 2 else mask


def _attend(
    q: Tensor,
    k: Tensor,
    v: Tensor,
    mask: Tensor | None,
    heads: int,
    dropout_p: float,
    is_causal: bool,
    need_weights: bool,
) -> tuple[Tensor, Tensor | None]:
    """Attention of q (batch * heads, target, size) to k and v (batch * heads, source, size): the result in q's shape and,
    with `need_weights`, the weights (batch, heads, target, source)."""
    rows, target, size = q.shape
    batch, source = rows // heads, k.size(1)
    if need_weights:
        q, keys = q * math.sqrt(1 / size), k.transpose(-2, -1)
        weights = _C.softmax(_C.bmm(q, keys) if mask is None else _C.baddbmm(mask, q, keys), -1)
        weights = _C._nn.dropout(weights, dropout_p) if dropout_p > 0 else weights
        return _C.bmm(weights, v), weights.view(batch, heads, target, source)
    if mask is not None:
        mask = mask.unsqueeze(0) if mask.size(0) == 1 else mask.view(batch, heads, mask.size(1), source)
    q, k, v = (x.reshape(batch, heads, x.size(1), size) for x in (q, k, v))
    out = _C._nn.scaled_dot_product_attention(q, k, v, mask, dropout_p, is_causal)
    return out.reshape(rows, target, size), None


def multi_head_attention_forward(
    query: Tensor,
    key: Tensor,
    value: Tensor,
    embed_dim_to_check: int,
    num_heads: int,
    in_proj_weight: Tensor | None,
    in_proj_bias: Tensor | None,
    bias_k: Tensor | None,
    bias_v: Tensor | None,
    add_zero_attn: bool,
    dropout_p: float,
    out_proj_weight: Tensor,
    out_proj_bias: Tensor | None,
    training: bool = True,
    key_padding_mask: Tensor | None = None,
    need_weights: bool = True,
    attn_mask: Tensor | None = None,
    use_separate_proj_weight: bool = False,
    q_proj_weight: Tensor | None = None,
    k_proj_weight: Tensor | None = None,
    v_proj_weight: Tensor | None = None,
    static_k: Tensor | None = None,
    static_v: Tensor | None = None,
    average_attn_weights: bool = True,
    is_causal: bool = False,
) -> tuple[Tensor, Tensor | None]:
    """What :class:`norch.nn.MultiheadAttention` computes ("Attention Is All You Need", 2017): query (L, N, E), key and
    value (S, N, E), or all without N; masks are bool (True: takes no part) or added. Returns the output (L, N, E) and,
    with `need_weights`, the attention weights (N, L, S), averaged over the heads or not."""
    batched = _mha_shape_check(query, key, value, key_padding_mask, attn_mask, num_heads)
    if not batched:
        same_kv, same_q = value is key, key is query
        query = query.unsqueeze(1)
        key = query if same_q else key.unsqueeze(1)
        value = key if same_kv else value.unsqueeze(1)
        key_padding_mask = None if key_padding_mask is None else key_padding_mask.unsqueeze(0)
    target, batch, size = query.shape
    source = key.shape[0]
    key_padding_mask = _additive_mask(key_padding_mask, "key_padding_mask", query, attn_mask)
    if is_causal and attn_mask is None:
        raise RuntimeError(
            "Need attn_mask if specifying the is_causal hint. You may use the Transformer module method "
            "`generate_square_subsequent_mask` to create this mask."
        )
    is_causal = is_causal and key_padding_mask is None and not need_weights  # else the mask says it
    attn_mask = None if is_causal else _additive_mask(attn_mask, "attn_mask", query)
    _check(size == embed_dim_to_check, f"was expecting embedding dimension of {embed_dim_to_check}, but got {size}")
    _check(size % num_heads == 0, f"embed_dim {size} not divisible by num_heads {num_heads}")
    head = size // num_heads
    if use_separate_proj_weight:
        _check(
            key.shape[:2] == value.shape[:2],
            f"key's sequence and batch dims {key.shape[:2]} do not match value's {value.shape[:2]}",
        )
    else:
        _check(key.shape == value.shape, f"key shape {key.shape} does not match value shape {value.shape}")
    weights = (in_proj_weight, q_proj_weight, k_proj_weight, v_proj_weight)
    q, k, v = _project(query, key, value, weights, in_proj_bias, use_separate_proj_weight)

    rows = batch * num_heads
    attn_mask = _by_rows(attn_mask, rows, target, source)
    _check((bias_k is None) == (bias_v is None), "bias_k and bias_v must be given together")
    if bias_k is not None and bias_v is not None:
        _check(static_k is None, "bias cannot be added to static key.")
        _check(static_v is None, "bias cannot be added to static value.")
        k = _C.cat([k, bias_k.repeat(1, batch, 1)])
        v = _C.cat([v, bias_v.repeat(1, batch, 1)])
        attn_mask, key_padding_mask = _one_more(attn_mask), _one_more(key_padding_mask)
    q = _by_heads(q, batch, num_heads)
    k = _static(static_k, "static_k", _by_heads(k, batch, num_heads), rows, head)
    v = _static(static_v, "static_v", _by_heads(v, batch, num_heads), rows, head)
    if add_zero_attn:
        zero = _C.zeros((rows, 1, head), dtype=k.dtype, device=k.device)
        k, v = _C.cat([k, zero], 1), _C.cat([v, zero], 1)
        attn_mask, key_padding_mask = _one_more(attn_mask), _one_more(key_padding_mask)
    source = k.size(1)
    if key_padding_mask is not None:
        _check(
            tuple(key_padding_mask.shape) == (batch, source),
            f"Expected key_padding_mask of shape {(batch, source)}, but got {tuple(key_padding_mask.shape)}",
        )
        padding = key_padding_mask.view(batch, 1, 1, source).expand(-1, num_heads, -1, -1).reshape(rows, 1, source)
        attn_mask = padding if attn_mask is None else attn_mask + padding
    dropout_p = dropout_p if training else 0.0

    out, attention = _attend(q, k, v, attn_mask, num_heads, dropout_p, is_causal, need_weights)
    if attention is not None:
        attention = attention.mean(1) if average_attn_weights else attention
        attention = attention if batched else attention.squeeze(0)
    out = out.transpose(0, 1).reshape(target * batch, size)
    out = _C._nn.linear(out, out_proj_weight, out_proj_bias)
    out = out.view(target, batch, out.size(1))
    return out if batched else out.squeeze(1), attention
