"""Elementwise ops of one tensor."""

import numpy as np
import scipy.special as sp

from .row import (
    ALL,
    FLOATS,
    INTS,
    NUMBERS,
    Error,
    OpRow,
    to_bool,
    to_float,
    unary_grad,
    unary_samples,
)

ANY_INPUT = ("bool",) + NUMBERS


def real(name, ref, low=-4, high=4, grad=None, special=True, tolerances=None, **row):
    """A function of a real number: integers give float32."""
    return OpRow(
        name,
        unary_samples(low, high, special),
        lambda x: ref(np.asarray(x, np.float64)),
        ANY_INPUT,
        unary_grad(*(grad or (low, high)), **row.pop("grad_kwargs", {})),
        to_float,
        in_place=name + "_",
        tolerances=tolerances or {},
        **row,
    )


def rounding(name, ref):
    return OpRow(
        name,
        unary_samples(),
        ref,
        NUMBERS,
        unary_grad(clear_of=np.arange(-5, 5.5, 0.5)),
        in_place=name + "_",
        double_backward=False,
    )


def check(name, ref):
    return OpRow(name, unary_samples(), ref, ALL, None, to_bool)


def sinc_ref(x):
    return np.where(np.isinf(x), np.nan, np.sinc(x))


def erfinv_ref(x):
    return np.where(np.abs(x) > 1, np.nan, sp.erfinv(x))


def logit_ref(x, eps=None):
    x = np.asarray(x, np.float64)
    return sp.logit(x if eps is None else np.clip(x, eps, 1 - eps))


def digamma_ref(x):
    return np.where(x == 0, np.copysign(np.inf, -x), np.where((x < 0) & (x == np.floor(x)), np.nan, sp.digamma(x)))


HALF_WIDE = {"float16": (5e-3, 1e-3), "bfloat16": (3e-2, 1e-2)}
# Functions with poles or steep slopes within the samples' range amplify the rounding of their argument.
WIDE = {**HALF_WIDE, "float32": (2e-5, 2e-6), "float64": (1e-10, 1e-11)}

ROWS = [
    real("acos", np.arccos, -1, 1, (-0.9, 0.9)),
    real("acosh", np.arccosh, 1, 5, (1.2, 5)),
    real("asin", np.arcsin, -1, 1, (-0.9, 0.9)),
    real("asinh", np.arcsinh),
    real("atan", np.arctan),
    real("atanh", np.arctanh, -1, 1, (-0.9, 0.9)),
    real("cos", np.cos, special=False),
    real("cosh", np.cosh),
    real("digamma", digamma_ref, -4, 4, (0.3, 4), tolerances=WIDE, special=False),
    real("erf", sp.erf),
    real("erfc", sp.erfc, tolerances={"float32": (1e-5, 1e-6)}),
    real("erfinv", erfinv_ref, -1, 1, (-0.9, 0.9)),
    real("exp", np.exp),
    real("exp2", np.exp2),
    real("expm1", np.expm1),
    real("lgamma", lambda x: np.where(np.isinf(x), np.inf, sp.gammaln(x)), -4, 4, (0.3, 4), tolerances=WIDE),
    real("log", np.log, 0.01, 5, (0.3, 5)),
    real("log10", np.log10, 0.01, 5, (0.3, 5)),
    real("log1p", np.log1p, -0.9, 5, (-0.7, 5)),
    real("log2", np.log2, 0.01, 5, (0.3, 5)),
    real("reciprocal", lambda x: 1 / x, grad=(0.4, 3)),
    real("rsqrt", lambda x: 1 / np.sqrt(x), 0, 5, (0.3, 4)),
    real("sigmoid", sp.expit),
    real("sin", np.sin, special=False),
    real("sinc", sinc_ref, special=False, tolerances={"float32": (3e-6, 3e-6)}, grad_kwargs={"clear_of": (0,)}),
    real("sinh", np.sinh),
    real("sqrt", np.sqrt, 0, 5, (0.3, 5)),
    real("tan", np.tan, -1.4, 1.4, (-1.2, 1.2), special=False),
    real("tanh", np.tanh),
    real("deg2rad", np.deg2rad),
    real("rad2deg", np.rad2deg),
    OpRow(
        "logit",
        unary_samples(0, 1, special=False),
        logit_ref,
        FLOATS,
        unary_grad(0.1, 0.9),
        in_place="logit_",
        tolerances=WIDE,
    ),
    OpRow(
        "logit",
        unary_samples(-1, 2, args=(0.2,)),
        lambda x, eps: logit_ref(x, eps),
        FLOATS,
        unary_grad(-0.5, 1.5, clear_of=(0.2, 0.8), args=(0.2,)),
        in_place="logit_",
        id="logit_eps",
    ),
    OpRow(
        "abs",
        unary_samples(),
        np.abs,
        NUMBERS,
        unary_grad(clear_of=(0,)),
        in_place="abs_",
        errors=[Error(NotImplementedError, "bool", [np.array([True])])],
    ),
    OpRow(
        "neg",
        unary_samples(),
        lambda x: -x,
        NUMBERS,
        unary_grad(),
        in_place="neg_",
        errors=[Error(RuntimeError, "on a bool tensor is not supported", [np.array([True])])],
    ),
    OpRow(
        "sign",
        unary_samples(),
        lambda x: np.where(np.isnan(x), 0, np.sign(x)),
        NUMBERS,
        unary_grad(clear_of=(0,)),
        in_place="sign_",
        double_backward=False,
    ),
    OpRow("square", unary_samples(), lambda x: x * x, NUMBERS, unary_grad(), in_place="square_"),
    OpRow("positive", unary_samples(), lambda x: x, NUMBERS, unary_grad()),
    rounding("ceil", np.ceil),
    rounding("floor", np.floor),
    rounding("trunc", np.trunc),
    rounding("round", np.round),
    OpRow(
        "frac",
        unary_samples(),
        lambda x: np.where(np.isinf(x), np.nan, x - np.trunc(x)),
        FLOATS,
        unary_grad(clear_of=range(-5, 6)),
        in_place="frac_",
        errors=[Error(NotImplementedError, "int64", [np.array([1])])],
    ),
    OpRow(
        "round",
        unary_samples(special=False, decimals=1),
        lambda x, decimals: np.round(x, decimals),
        ("float64",),
        lambda: [],
        id="round_decimals",
    ),
    OpRow(
        "bitwise_not",
        unary_samples(),
        np.bitwise_not,
        ("bool",) + INTS,
        in_place="bitwise_not_",
        errors=[Error(NotImplementedError, "float32", [np.zeros(2, np.float32)])],
    ),
    OpRow(
        "nan_to_num",
        unary_samples(nan=2.0, posinf=3.0, neginf=-4.0),
        lambda x, nan, posinf, neginf: np.nan_to_num(x, nan=nan, posinf=posinf, neginf=neginf),
        NUMBERS,
        unary_grad(nan=2.0),
        in_place="nan_to_num_",
    ),
    check("isnan", np.isnan),
    check("isinf", np.isinf),
    check("isfinite", np.isfinite),
    check("isposinf", lambda x: np.isinf(x) & (x > 0)),
    check("isneginf", lambda x: np.isinf(x) & (x < 0)),
    check("isreal", lambda x: np.ones(np.shape(x), bool)),
    check("signbit", lambda x: (x < 0) if np.asarray(x).dtype.kind in "iub" else np.signbit(x)),
    check("logical_not", np.logical_not),
]
