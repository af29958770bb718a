"""Losses of class scores with margins, ctc_loss, and cross entropy of linear scores."""

import itertools
import re

import numpy as np

from .row import Error, OpRow, Sample, random_array

TOLERANCES = {"float16": (4e-3, 4e-3), "bfloat16": (2e-2, 3e-2), "float32": (2e-5, 1e-5), "float64": (1e-11, 1e-11)}


def reduced(losses, reduction):
    return losses if reduction == "none" else losses.sum() if reduction == "sum" else losses.mean()


def multi_margin_loss(x, t, p=1, margin=1.0, weight=None, reduction="mean"):
    x2, t1 = np.atleast_2d(x), np.atleast_1d(t)
    losses = []
    for row, k in zip(x2, t1):
        w = 1 if weight is None else weight[k]
        losses.append(sum(w * max(0, margin - row[k] + v) ** p for i, v in enumerate(row) if i != k) / len(row))
    return reduced(np.array(losses if x.ndim == 2 else losses[0]), reduction)


def multilabel_margin_loss(x, t, reduction="mean"):
    losses = []
    for row, labels in zip(np.atleast_2d(x), np.atleast_2d(t)):
        chosen = list(itertools.takewhile(lambda k: k >= 0, labels))
        others = [i for i in range(len(row)) if i not in chosen]
        losses.append(sum(max(0, 1 - row[k] + row[i]) for k in chosen for i in others) / len(row))
    return reduced(np.array(losses if x.ndim == 2 else losses[0]), reduction)


def multilabel_soft_margin_loss(x, t, weight=None, reduction="mean"):
    losses = t * np.logaddexp(0, -x) + (1 - t) * np.logaddexp(0, x)
    return reduced((losses * (1 if weight is None else weight)).mean(-1), reduction)


def paths(labels, steps, blank):
    """All sequences of a length that collapse to the labels."""
    symbols = sorted({blank, *labels})
    for path in itertools.product(symbols, repeat=steps):
        merged = [k for k, _ in itertools.groupby(path)]
        if [k for k in merged if k != blank] == list(labels):
            yield path


def ctc_loss(scores, targets, input_lengths, target_lengths, blank=0, reduction="mean", zero_infinity=False):
    x = scores if scores.ndim == 3 else scores[:, None]
    starts = np.cumsum([0, *target_lengths])
    losses = []
    for n, (steps, length) in enumerate(zip(input_lengths, target_lengths)):
        labels = targets[n][:length] if targets.ndim == 2 else targets[starts[n]: starts[n] + length]
        total = sum(np.exp(sum(x[t, n, k] for t, k in enumerate(path))) for path in paths(list(labels), steps, blank))
        loss = -np.log(total) if total else np.inf
        losses.append(0.0 if zero_infinity and np.isinf(loss) else loss)
    losses = np.array(losses)
    if reduction == "mean":
        return (losses / np.maximum(target_lengths, 1)).mean()
    return reduced(losses if scores.ndim == 3 else losses[0], reduction)


def log_probs(shape, dtype):
    x = np.random.uniform(-2, 2, shape)
    x = x - np.log(np.exp(x).sum(-1, keepdims=True))
    return x.astype("float64" if dtype == "bfloat16" else dtype)


def ctc_samples(dtype):
    t = np.array([[1, 2, 2], [3, 1, 0]])
    return [
        Sample([log_probs((5, 2, 4), dtype), t, (5, 4), (3, 2)]),
        Sample([log_probs((5, 2, 4), dtype), t, (4, 5), (0, 1)], {"reduction": "none", "blank": 2}),
        Sample([log_probs((4, 2, 4), dtype), np.array([1, 3, 2]), (4, 3), (1, 2)], {"reduction": "sum"}),
        Sample([log_probs((3, 3), dtype), np.array([1, 2]), (3,), (2,)], {"reduction": "none"}),
        Sample([log_probs((3, 2, 4), dtype), t, (2, 3), (3, 1)], {"zero_infinity": True, "reduction": "none"}),
    ]


def softmax_cross_entropy(logits, t, weight, ignore_index):
    shifted = logits - logits.max(1, keepdims=True)
    logp = shifted - np.log(np.exp(shifted).sum(1, keepdims=True))
    kept = t != ignore_index
    k = np.where(kept, t, 0)
    w = (np.ones(logits.shape[1]) if weight is None else weight)[k] * kept
    return -np.take_along_axis(logp, np.expand_dims(k, 1), 1).squeeze(1) * w, w


def linear_cross_entropy(x, w, t, linear_bias=None, weight=None, reduction="mean", ignore_index=None):
    logits = np.einsum("ni,c...i->nc...", np.atleast_2d(x), w)
    losses, weights = softmax_cross_entropy(logits, t if x.ndim == 2 else t[None], weight, ignore_index)
    if reduction == "mean":
        return losses.sum() / weights.sum()
    return losses.sum() if reduction == "sum" else losses if x.ndim == 2 else losses[0]


def scores(shape, dtype):
    # Clear of the hinges' kinks: multiples of a step that 1 is not.
    return (np.random.permutation(int(np.prod(shape))).reshape(shape) * 0.37 % 3).astype(
        "float64" if dtype == "bfloat16" else dtype
    )


def margin_samples(dtype):
    x, t = scores((3, 5), dtype), np.array([0, 4, 2])
    return [Sample([x, t]), Sample([x, t, 2, 0.7], {"reduction": "none"}), Sample([x[0], t[:1].reshape(())], {"reduction": "sum"})]


def multilabel_samples(dtype):
    x, t = scores((3, 4), dtype), np.array([[0, 2, -1, 1], [3, -1, -1, -1], [-1, 0, 1, 2]])
    return [Sample([x, t]), Sample([x, t], {"reduction": "none"}), Sample([x[0], t[0]])]


def soft_samples(dtype):
    x, t = random_array((3, 4), dtype), np.random.randint(0, 2, (3, 4))
    return [Sample([x, t]), Sample([x, t], {"reduction": "none"}), Sample([x[0], t[0]], {"reduction": "sum"})]


def linear_samples(dtype):
    x, w, t = random_array((3, 4), dtype, -1, 1), random_array((5, 4), dtype, -1, 1), np.array([1, 0, 4])
    return [Sample([x, w, t]), Sample([x, w, t], {"reduction": "none", "ignore_index": 0}), Sample([x[0], w, t[:1].reshape(())]),
            Sample([x, random_array((5, 2, 4), dtype, -1, 1), np.array([[1, 0], [4, 4], [2, 3]])], {"reduction": "sum"})]


def row(name, samples, ref, dtypes=("float16", "bfloat16", "float32", "float64"), **more):
    return OpRow(f"nn.functional.{name}", samples, ref, dtypes, lambda: samples("float64"), method=None,
                 tolerances=TOLERANCES, same_bits=False, **more)


def error(kind, text, args, **kwargs):
    return Error(kind, re.escape(text), args, kwargs)


def f(*shape):
    return np.ones(shape, "float32")


def i(*values):
    return np.array(values)


ROWS = [
    row("multi_margin_loss", margin_samples, multi_margin_loss, errors=[
        error(RuntimeError, "only p == 1 and p == 2 supported", [f(2, 3), i(0, 1), 3]),
        error(RuntimeError, "inconsistent target size, expected 2 but got [3]", [f(2, 3), i(0, 1, 2)]),
    ]),
    row("multilabel_margin_loss", multilabel_samples, multilabel_margin_loss, errors=[
        error(RuntimeError, "inconsistent target size: [3] for input of size: [2, 3]", [f(2, 3), i(0, 1, 2)]),
    ]),
    row("multilabel_soft_margin_loss", soft_samples, multilabel_soft_margin_loss),
    OpRow("nn.functional.ctc_loss", ctc_samples, ctc_loss, ("float16", "bfloat16", "float32"), method=None,
          tolerances=TOLERANCES, same_bits=False, errors=[  # float64 and gradients: nn/test_nn_attention.py
              error(RuntimeError, "blank must be in label range", [f(3, 1, 2), i(1).reshape(1, 1), (3,), (1,)], blank=2),
              error(RuntimeError, "input_lengths must be of size batch_size", [f(3, 1, 2), i(1).reshape(1, 1), (3, 3), (1,)]),
              error(RuntimeError, "Expected input_lengths to have value at most 3", [f(3, 1, 2), i(1).reshape(1, 1), (4,), (1,)]),
              error(IndexError, "out of", [f(3, 1, 2), i(5).reshape(1, 1), (3,), (1,)]),
          ]),
    row("linear_cross_entropy", linear_samples, linear_cross_entropy, errors=[
        error(RuntimeError, "expected input with dimensionality 1 or 2, got 3", [f(2, 3, 3), f(2, 3), f(3, 2)]),
        error(RuntimeError, "ignore_index cannot be specified when target contains probabilities",
              [f(2, 3), f(2, 3), f(2, 2)], ignore_index=0),
    ]),
]
