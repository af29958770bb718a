"""where, clamp, lerp and fused arithmetic."""

import numpy as np

from .row import ALL, FLOATS, NUMBERS, Error, OpRow, Sample, random_array

SHAPE_TRIPLES = (((), (), ()), ((5,), (5,), (5,)), ((0,), (0,), (0,)), ((2, 3), (3,), ()), ((2, 1, 4), (3, 1), (4,)))


def mask(shape):
    return np.random.randint(0, 2, shape).astype(bool)


def triples(low=-4, high=4, c=None, **kwargs):
    def samples(dtype):
        start = low if dtype != "uint8" else max(low, 0)
        return [
            Sample([random_array(x, dtype, start, high), random_array(y, dtype, start, high),
                    random_array(z, dtype, *(c or (start, high)))], kwargs)
            for x, y, z in SHAPE_TRIPLES
        ]

    return samples


def grad_triples(low=-4.0, high=4.0, c=None, **kwargs):
    def samples():
        return [
            Sample([np.asarray(np.random.uniform(low, high, x)), np.asarray(np.random.uniform(low, high, y)),
                    np.asarray(np.random.uniform(*(c or (low, high)), z))], kwargs)
            for x, y, z in (((3,), (3,), (3,)), ((2, 3), (3,), ()))
        ]

    return samples


def where_samples(dtype):
    out = [
        Sample([mask(x), random_array(y, dtype), random_array(z, dtype)])
        for x, y, z in SHAPE_TRIPLES
    ]
    return out


def where_grad():
    return [Sample([mask((2, 3)), np.random.randn(3), np.random.randn(2, 1)])]


def masked_fill_samples(dtype):
    value = True if dtype == "bool" else 3
    shapes = (((5,), (5,)), ((2, 3), (3,)), ((), ()), ((0,), (0,)))
    return [Sample([random_array(x, dtype), mask(y), value]) for x, y in shapes]


def masked_fill_grad():
    return [
        Sample([np.random.randn(2, 3), mask((3,)), 2.0]),
        Sample([np.random.randn(3), mask(3), np.array(2.0)]),
    ]


def addcmul_ref(x, a, b, value):
    return x + a * b * np.asarray(value, np.asarray(x).dtype)


def clamp_grad():
    x = np.random.uniform(-4, 4, (2, 3))
    return [Sample([x, np.full(3, -1.0), np.full((2, 1), 1.5)]), Sample([x, -1.0, 1.5]), Sample([x, None, 1.5])]


def clamp_ref(x, low=None, high=None):
    if low is not None:
        x = np.maximum(x, low)
    return x if high is None else np.minimum(x, high)


LOOSE = {"float16": (1e-2, 2e-2), "bfloat16": (6e-2, 1e-1), "float32": (1e-5, 1e-5)}

ROWS = [
    OpRow(
        "where",
        where_samples,
        np.where,
        ALL,
        where_grad,
        method=None,
        errors=[Error(RuntimeError, "condition to be a boolean tensor", [np.array([1]), 1.0, 2.0])],
    ),
    OpRow(
        "masked_fill",
        masked_fill_samples,
        lambda x, m, v: np.where(m, np.asarray(v, np.asarray(x).dtype), x),
        ALL,
        masked_fill_grad,
        in_place="masked_fill_",
        errors=[
            Error(RuntimeError, "only supports boolean masks", [np.ones(2), np.array([0, 1]), 1.0]),
            Error(RuntimeError, "only supports a 0-dimensional value", [np.ones(2), mask(2), np.ones(1)]),
        ],
    ),
    OpRow("clamp", triples(), clamp_ref, NUMBERS, clamp_grad, in_place="clamp_",
          errors=[Error(RuntimeError, "At least one of 'min' or 'max' must not be None", [np.ones(2)])]),
    OpRow("clamp_min", lambda d: [Sample([random_array((2, 3), d), 1])], np.maximum, NUMBERS,
          lambda: [Sample([np.random.uniform(-4, 4, 5), 0.5])], in_place="clamp_min_"),
    OpRow("clamp_max", lambda d: [Sample([random_array((2, 3), d), 1])], np.minimum, NUMBERS,
          lambda: [Sample([np.random.uniform(-4, 4, 5), 0.5])], in_place="clamp_max_"),
    OpRow("lerp", triples(c=(0, 1)), lambda a, b, w: a + w * (b - a), FLOATS, grad_triples(c=(0, 1)), in_place="lerp_",
          tolerances=LOOSE),
    OpRow("addcmul", triples(value=2), addcmul_ref, NUMBERS,
          grad_triples(value=2.5), in_place="addcmul_", tolerances=LOOSE),
    OpRow("addcdiv", triples(1, 4, value=0.5), lambda x, a, b, value: x + value * a / b, FLOATS,
          grad_triples(1, 4, value=0.5), in_place="addcdiv_", tolerances=LOOSE,
          errors=[Error(RuntimeError, "Integer division", [np.array([1]), np.array([1]), np.array([1])])]),
]
