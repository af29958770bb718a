"""Softmax and normalisation."""

import numpy as np

from .row import FLOATS, Error, OpRow, Sample, random_array

SOFT = (((5,), 0), ((3, 37), 1), ((37, 3), 0), ((2, 5, 3), -2), ((1,), 0), ((2, 3000), 1), ((0, 3), 1))
LOOSE = {"float16": (4e-3, 2e-3), "bfloat16": (2e-2, 1e-2), "float32": (2e-5, 1e-5), "float64": (1e-10, 1e-11)}


def soft_samples(dtype):
    return [Sample([random_array(s, dtype)], {"dim": d}) for s, d in SOFT]


def soft_grads():
    return [Sample([np.random.randn(*s)], {"dim": d}) for s, d in SOFT if 0 < np.prod(s) < 40]


def softmax(x, dim):
    if x.size == 0:
        return x
    e = np.exp(x - x.max(axis=dim, keepdims=True))
    return e / e.sum(axis=dim, keepdims=True)


def make(*shapes, positive=(), **kwargs):
    """Samples of tensors of these shapes; those numbered in `positive` are."""

    def samples(dtype="float64"):
        arrays = [random_array(s, dtype, 0.5 if i in positive else -2, 2) for i, s in enumerate(shapes)]
        return [Sample(arrays, kwargs)]

    return samples


def together(*makers):
    return lambda dtype="float64": [s for m in makers for s in m(dtype)]


def normal(x, axes, eps):
    return (x - x.mean(axis=axes, keepdims=True)) / np.sqrt(x.var(axis=axes, keepdims=True) + eps)


def channels(v, x):
    return v.reshape((1, -1) + (1,) * (x.ndim - 2))


def layer_norm(x, weight=None, bias=None, shape=(), eps=1e-5):
    y = normal(x, tuple(range(x.ndim - len(shape), x.ndim)), eps)
    y = y * weight if weight is not None else y
    return y + bias if bias is not None else y


def rms_norm(x, weight, shape, eps):
    return x / np.sqrt((x**2).mean(axis=-1, keepdims=True) + eps) * weight


def batch_norm(x, weight, bias, eps=1e-5):
    axes = (0, *range(2, x.ndim))
    return normal(x, axes, eps) * channels(weight, x) + channels(bias, x)


def batch_norm_fixed(x, mean, var, weight, bias, eps=1e-5):
    return (x - channels(mean, x)) / np.sqrt(channels(var, x) + eps) * channels(weight, x) + channels(bias, x)


def group_norm(x, weight, bias, groups, eps=1e-5):
    y = normal(x.reshape(x.shape[0], groups, -1), 2, eps).reshape(x.shape)
    return y * channels(weight, x) + channels(bias, x)


class Rows(OpRow):
    """A row whose function takes the tensors first and the rest by keyword: call(nn.functional, ...)."""

    call = None

    def of(self, framework):
        return lambda *args, **kwargs: self.call(framework.nn.functional, *args, **kwargs)


def row(name, call, *args, **kwargs):
    r = Rows(name, *args, method=None, tolerances=LOOSE, same_bits=False, **kwargs)
    r.call = call
    return r


C = np.zeros(3)
BAD_SHAPE = [Error(RuntimeError, "Given normalized_shape", [np.zeros((2, 4))], {"shape": (3,)})]
BAD_GROUPS = [Error(RuntimeError, "divisible by", [np.zeros((2, 3, 2)), C, C], {"groups": 2})]
SINGLE = [Error(ValueError, "more than 1 value per channel", [np.zeros((1, 3)), C, C])]

ROWS = [
    OpRow("softmax", soft_samples, softmax, FLOATS, soft_grads, tolerances=LOOSE, same_bits=False,
          errors=[Error(IndexError, "Dimension out of range", [np.zeros(3)], {"dim": 1}),
                  Error(NotImplementedError, "not implemented for int64", [np.zeros(3, np.int64)], {"dim": 0})]),
    OpRow("log_softmax", soft_samples, lambda x, dim: np.log(softmax(x, dim)) if x.size else x, FLOATS, soft_grads,
          tolerances=LOOSE, same_bits=False),
    row("nn.functional.layer_norm", lambda F, x, w=None, b=None, shape=(): F.layer_norm(x, shape, w, b),
        together(make((5, 37), (37,), (37,), shape=(37,)), make((2, 3, 4), (3, 4), shape=(3, 4)), make((3, 2000), shape=(2000,))),
        layer_norm, FLOATS, together(make((3, 4), (4,), (4,), shape=(4,)), make((2, 3), shape=(3,))), errors=BAD_SHAPE),
    row("nn.functional.rms_norm", lambda F, x, w, shape, eps: F.rms_norm(x, shape, w, eps),
        make((5, 37), (37,), shape=(37,), eps=1e-3), rms_norm, FLOATS, make((3, 4), (4,), shape=(4,), eps=1e-3)),
    row("nn.functional.batch_norm", lambda F, x, w, b: F.batch_norm(x, None, None, w, b, True),
        together(make((7, 5), (5,), (5,)), make((3, 4, 6), (4,), (4,)), make((70, 3, 5, 7), (3,), (3,))), batch_norm, FLOATS,
        together(make((5, 2), (2,), (2,)), make((3, 2, 3), (2,), (2,))), errors=SINGLE),
    row("nn.functional.batch_norm", lambda F, x, m, v, w, b: F.batch_norm(x, m, v, w, b),
        make((3, 4, 6), (4,), (4,), (4,), (4,), positive=(2,)), batch_norm_fixed, FLOATS, list, id="batch_norm-eval"),
    row("nn.functional.group_norm", lambda F, x, w, b, groups: F.group_norm(x, groups, w, b),
        together(make((3, 4, 6), (4,), (4,), groups=2), make((3, 6), (6,), (6,), groups=2)), group_norm, FLOATS,
        make((2, 4, 2), (4,), (4,), groups=2), errors=BAD_GROUPS),
    row("nn.functional.instance_norm", lambda F, x, w, b: F.instance_norm(x, None, None, w, b), make((3, 4, 6), (4,), (4,)),
        lambda x, w, b: group_norm(x, w, b, x.shape[1]), FLOATS, make((2, 2, 3), (2,), (2,))),
]
