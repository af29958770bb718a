"""Attention, distances, bags of embeddings, activations with a parameter."""

import re

import numpy as np

from .row import FLOATS, Error, OpRow, Sample, random_array

TOLERANCES = {"float16": (5e-3, 5e-3), "bfloat16": (3e-2, 3e-2), "float32": (2e-5, 1e-5), "float64": (1e-11, 1e-11)}


def attention(q, k, v, attn_mask=None, dropout_p=0.0, is_causal=False, scale=None, enable_gqa=False):
    if enable_gqa:
        k, v = (np.repeat(t, q.shape[-3] // t.shape[-3], -3) for t in (k, v))
    s = q @ np.swapaxes(k, -1, -2) * (scale or 1 / np.sqrt(q.shape[-1]))
    if is_causal:
        s = np.where(np.tril(np.ones(s.shape[-2:], bool)), s, -np.inf)
    if attn_mask is not None:
        s = np.where(attn_mask, s, -np.inf) if attn_mask.dtype == bool else s + attn_mask
    with np.errstate(invalid="ignore"):
        e = np.exp(s - s.max(-1, keepdims=True))
        w = np.where(np.isneginf(s).all(-1, keepdims=True), 0, e / e.sum(-1, keepdims=True))
    return w @ v


def attention_samples(dtype):
    def r(*shape):
        return random_array(shape, dtype, -2, 2)

    mask = np.random.rand(2, 1, 3, 5) < 0.5
    mask[0, 0, 1] = False  # a row that sees nothing
    return [
        Sample([r(2, 3, 4), r(2, 5, 4), r(2, 5, 6)]),
        Sample([r(2, 2, 3, 4), r(2, 2, 5, 4), r(2, 2, 5, 4), mask]),
        Sample([r(2, 3, 4), r(2, 5, 4), r(2, 5, 4), r(3, 5)], {"scale": 0.3}),
        Sample([r(1, 4, 4), r(1, 6, 4), r(1, 6, 2)], {"is_causal": True}),
        Sample([r(1, 4, 3, 2), r(1, 2, 5, 2), r(1, 2, 5, 3)], {"enable_gqa": True}),
    ]


def norm(d, p):
    return np.linalg.norm(d, p, -1) if d.shape[-1] else np.zeros(d.shape[:-1])


def cdist(a, b, p=2.0, compute_mode=None):
    d = np.abs(a[..., :, None, :] - b[..., None, :, :])
    return (d != 0).sum(-1).astype(d.dtype) if p == 0 else d.max(-1) if p == np.inf else (d**p).sum(-1) ** (1 / p)


def cdist_samples(dtype):
    def r(*shape):
        return random_array(shape, dtype, -2, 2)

    out = [Sample([r(3, 4), r(5, 4)]), Sample([r(2, 1, 3, 4), r(2, 5, 4), 1.0]), Sample([r(2, 3), r(4, 3), np.inf]),
           Sample([r(3, 4), r(2, 4), 3.0])]
    if dtype in ("float32", "float64"):
        out.append(Sample([r(30, 4), r(5, 4), 2.0, "use_mm_for_euclid_dist"]))
    return out


def pdist(x, p=2.0):
    return cdist(x, x, p)[np.triu_indices(len(x), 1)]


def embedding_bag(index, weight, offsets=None, mode="mean", padding_idx=None, include_last_offset=False):
    if index.ndim == 2:
        bags = list(index)
    else:
        ends = list(offsets[1:]) + ([] if include_last_offset else [len(index)])
        bags = [index[b:e] for b, e in zip(offsets, ends)]
    out = []
    for bag in bags:
        rows = weight[[i for i in bag if i != padding_idx]]
        f = {"sum": lambda r: r.sum(0), "mean": lambda r: r.mean(0), "max": lambda r: r.max(0)}[mode]
        out.append(f(rows) if len(rows) else np.zeros(weight.shape[1]))
    return np.array(out)


def bag_samples(dtype):
    w = np.random.permutation(24).reshape(6, 4).astype("float64" if dtype == "bfloat16" else dtype) / 8
    index, offsets = np.array([0, 5, 2, 2, 1, 3]), np.array([0, 2, 2, 5])
    out = [Sample([index.reshape(2, 3), w], {"mode": m}) for m in ("sum", "mean", "max")]
    out += [Sample([index, w, offsets], {"mode": m}) for m in ("sum", "mean", "max")]
    out += [Sample([index, w, offsets], {"mode": m, "padding_idx": 2}) for m in ("mean", "max")]
    return out + [Sample([index, w, np.array([0, 4, 6])], {"include_last_offset": True})]


def prelu(x, w):
    return np.where(x > 0, x, x * (w.reshape(-1, *(1,) * (x.ndim - 2)) if w.size > 1 else w.reshape(())))


def prelu_samples(dtype):
    shapes = (((), (1,)), ((5,), (1,)), ((2, 3), (3,)), ((2, 3, 4), (3,)), ((4, 0, 2), (1,)), ((2, 3), ()))
    return [Sample([random_array(s, dtype), random_array(w, dtype)]) for s, w in shapes]


def error(kind, text, args, **kwargs):
    return Error(kind, re.escape(text), args, kwargs)


def f(*shape):
    return np.ones(shape, "float32")


def clear_of_zero():
    x = np.random.uniform(0.2, 2, (2, 3, 4)) * np.random.choice([-1, 1], (2, 3, 4))
    return [Sample([x, np.random.rand(3)]), Sample([x[0, 0], np.random.rand(1)])]


ROWS = [
    OpRow("nn.functional.scaled_dot_product_attention", attention_samples, attention, FLOATS,
          lambda: attention_samples("float64"), method=None, tolerances=TOLERANCES, same_bits=False, errors=[
              error(RuntimeError, "Explicit attn_mask should not be set when is_causal=True",
                    [f(1, 2, 3), f(1, 2, 3), f(1, 2, 3), f(2, 2)], is_causal=True),
              error(RuntimeError, "to all be  at least 2 dimensional", [f(3), f(3), f(3)]),
              error(RuntimeError, "do not fit", [f(1, 2, 3), f(1, 2, 4), f(1, 2, 3)]),
          ]),
    OpRow("cdist", cdist_samples, cdist, FLOATS, lambda: [s for s in cdist_samples("float64") if s.args[2:] != [np.inf]],
          method=None, tolerances={**TOLERANCES, "float32": (2e-4, 1e-4), "float64": (1e-7, 1e-8)}, same_bits=False, errors=[
              error(RuntimeError, "X1 and X2 must have the same number of columns. X1: 3 X2: 4", [f(2, 3), f(2, 4)]),
              error(RuntimeError, "cdist only supports at least 2D tensors, X1 got: 1D", [f(3), f(2, 3)]),
              error(RuntimeError, "cdist only supports non-negative p values", [f(2, 3), f(2, 3), -1.0]),
          ]),
    OpRow("pdist", lambda dtype: [Sample([random_array((5, 3), dtype)]), Sample([random_array((4, 2), dtype), 1.0]),
                                  Sample([random_array((1, 2), dtype)])], pdist, FLOATS,
          lambda: [Sample([random_array((4, 3), "float64")])], method=None, tolerances=TOLERANCES, same_bits=False),
    OpRow("dist", lambda dtype: [Sample([random_array((2, 3), dtype), random_array((3,), dtype), p]) for p in (2, 1, 3.0)],
          lambda a, b, p=2: norm((a - b).reshape(-1), p), FLOATS,
          lambda: [Sample([random_array((2, 3), "float64"), random_array((3,), "float64")])], tolerances=TOLERANCES,
          same_bits=False),
    OpRow("nn.functional.embedding_bag", bag_samples, embedding_bag, FLOATS, lambda: bag_samples("float64"), method=None,
          tolerances=TOLERANCES, same_bits=False, errors=[
              error(ValueError, "offsets has to be a 1D Tensor but got None", [np.array([0]), f(2, 2)]),
              error(ValueError, "mode has to be one of sum, mean or max", [np.array([[0]]), f(2, 2)], mode="min"),
              Error(RuntimeError, r"offsets\[0\] has to be 0", [np.array([0, 1]), f(2, 2), np.array([1])], cpu_only=True),
          ]),
    OpRow("prelu", prelu_samples, prelu, FLOATS, clear_of_zero, errors=[
        error(RuntimeError, "Mismatch of parameter numbers and input channel size", [f(2, 4), f(3)]),
    ]),
]
