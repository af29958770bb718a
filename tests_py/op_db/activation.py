"""Activation functions."""

import numpy as np
import scipy.special as sp

from .row import FLOATS, INTS, Error, OpRow, unary_grad, unary_samples


def activation(
    name, ref, clear_of=(), dtypes=FLOATS, in_place=None, method=None, special=True, id="", errors=None, **kwargs
):
    if errors is None:
        errors = [Error(NotImplementedError, "int64", [np.array([1, 2])], kwargs)]
    return OpRow(
        f"nn.functional.{name}" if method is None else name,
        unary_samples(special=special, **kwargs),
        ref,
        dtypes,
        unary_grad(clear_of=clear_of, **kwargs),
        method=method,
        in_place=in_place,
        id=id or name,
        tolerances={"float16": (4e-3, 1e-3), "bfloat16": (2e-2, 2e-2), "float32": (1e-5, 2e-6)},
        errors=errors,
    )


def positive(x):
    return np.where(x < 0, 0, x)


def elu(x, alpha=1.0, scale=1.0, input_scale=1.0):
    below = scale * alpha * np.expm1(np.minimum(x, 0) * input_scale)
    return np.where(x > 0, scale * x, below)


def gelu(x, approximate="none"):
    if approximate == "tanh":
        return 0.5 * x * (1 + np.tanh(np.sqrt(2 / np.pi) * (x + 0.044715 * x**3)))
    return x * sp.ndtr(x)


def softplus(x, beta=1.0, threshold=20.0):
    return np.where(x * beta > threshold, x, np.logaddexp(0, x * beta) / beta)


def limit(x, low, high):
    return np.clip(x, low, high)


ROWS = [
    activation("relu", positive, (0,), FLOATS + INTS, "relu_", "relu",
               errors=[Error(RuntimeError, "Boolean inputs not supported", [np.array([True])])]),
    activation("relu6", lambda x: limit(x, 0, 6), (0, 6), FLOATS + INTS, errors=()),
    activation(
        "leaky_relu", lambda x, negative_slope: np.where(x > 0, x, x * negative_slope), (0,), negative_slope=0.2
    ),
    activation("elu", elu, (0,), alpha=1.3),
    activation("selu", lambda x: elu(x, 1.6732632423543772, 1.0507009873554805), (0,)),
    activation("celu", lambda x, alpha: elu(x, alpha, 1, 1 / alpha), (0,), alpha=1.4,
               errors=[Error(RuntimeError, "alpha cannot be 0", [np.ones(2)], {"alpha": 0.0})]),
    activation("gelu", gelu, special=False,
               errors=[Error(RuntimeError, "approximate argument must be either none or tanh", [np.ones(2)],
                             {"approximate": "x"})]),
    activation("gelu", gelu, id="gelu_tanh", special=False, approximate="tanh"),
    activation("silu", lambda x: x * sp.expit(x), special=False),
    activation("mish", lambda x: x * np.tanh(np.logaddexp(0, x)), special=False),
    activation("softplus", softplus, special=False, beta=1.5, threshold=3.0, clear_of=(2.0,)),
    activation("hardtanh", lambda x, min_val, max_val: limit(x, min_val, max_val), (-1, 2), min_val=-1.0, max_val=2.0,
               errors=[Error(ValueError, "min_val cannot be greater than max_val", [np.ones(2)],
                             {"min_val": 1.0, "max_val": 0.0})]),
    activation("hardsigmoid", lambda x: limit(x + 3, 0, 6) / 6, (-3, 3)),
    activation("hardswish", lambda x: x * limit(x + 3, 0, 6) / 6, (-3, 3)),
    activation("logsigmoid", lambda x: -np.logaddexp(0, -x)),
    activation("softsign", lambda x: x / (1 + np.abs(x)), (0,), errors=()),
    activation("tanhshrink", lambda x: x - np.tanh(x), errors=()),
    activation("hardshrink", lambda x, lambd: np.where(np.abs(x) <= lambd, 0, x), (-0.5, 0.5), lambd=0.5),
    activation("softshrink", lambda x, lambd: np.sign(x) * np.maximum(np.abs(x) - lambd, 0), (-0.5, 0.5), lambd=0.5,
               errors=[Error(RuntimeError, "lambda must be", [np.ones(2)], {"lambd": -1.0})]),
    activation("threshold", lambda x, threshold, value: np.where(x <= threshold, value, x), (0.5,),
               threshold=0.5, value=-1.0, errors=()),
]
