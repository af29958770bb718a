"""Convolution."""

import itertools
import re

import numpy as np

from .row import FLOATS, Error, OpRow, Sample, random_array

TOLERANCES = {"float16": (4e-3, 8e-3), "bfloat16": (2e-2, 8e-2), "float32": (1e-5, 1e-5), "float64": (1e-12, 1e-12)}


def per_dim(v, dims):
    return (v,) * dims if isinstance(v, int) else tuple(v)


def conv_ref(x, w, b=None, stride=1, padding=0, dilation=1, groups=1):
    """By definition: one shifted, strided slice of the padded input for each tap."""
    dims = w.ndim - 2
    if x.ndim == dims + 1:
        return conv_ref(x[None], w, b, stride, padding, dilation, groups)[0]
    stride, dilation = per_dim(stride, dims), per_dim(dilation, dims)
    if padding == "same":
        total = [d * (k - 1) for d, k in zip(dilation, w.shape[2:])]
        pads = [(t // 2, t - t // 2) for t in total]
    else:
        pads = [(p, p) for p in per_dim(0 if padding == "valid" else padding, dims)]
    x = np.pad(x, [(0, 0), (0, 0), *pads])
    out = [(n - d * (k - 1) - 1) // s + 1 for n, k, s, d in zip(x.shape[2:], w.shape[2:], stride, dilation)]
    y = np.zeros((x.shape[0], w.shape[0], *out), x.dtype)
    o, c = w.shape[0] // groups, w.shape[1]
    for g in range(groups):
        for tap in itertools.product(*map(range, w.shape[2:])):
            window = tuple(slice(t * d, t * d + (n - 1) * s + 1, s) for t, d, n, s in zip(tap, dilation, out, stride))
            part = x[(slice(None), slice(g * c, (g + 1) * c), *window)]
            y[:, g * o : (g + 1) * o] += np.einsum("nc...,oc->no...", part, w[(slice(g * o, (g + 1) * o), slice(None), *tap)])
    return y if b is None else y + b.reshape(-1, *[1] * dims)


def transposed_ref(x, w, b=None, stride=1, padding=0, output_padding=0, groups=1, dilation=1):
    """Every input element adds the kernel, times itself, to the output."""
    dims = w.ndim - 2
    stride, dilation, padding, extra = (per_dim(v, dims) for v in (stride, dilation, padding, output_padding))
    size = [(n - 1) * s + d * (k - 1) + 1 + e for n, k, s, d, e in zip(x.shape[2:], w.shape[2:], stride, dilation, extra)]
    y = np.zeros((x.shape[0], w.shape[1] * groups, *size), x.dtype)
    o, c = w.shape[1], w.shape[0] // groups
    for g in range(groups):
        for tap in itertools.product(*map(range, w.shape[2:])):
            window = tuple(slice(t * d, t * d + (n - 1) * s + 1, s) for t, d, n, s in zip(tap, dilation, x.shape[2:], stride))
            y[(slice(None), slice(g * o, (g + 1) * o), *window)] += np.einsum(
                "nc...,co->no...", x[:, g * c : (g + 1) * c], w[(slice(g * c, (g + 1) * c), slice(None), *tap)])
    y = y[(slice(None), slice(None), *(slice(p, n - p) for p, n in zip(padding, size)))]
    return y if b is None else y + b.reshape(-1, *[1] * dims)


def cases(*each):
    def samples(dtype):
        return [Sample([random_array(s, dtype, -2, 2) for s in shapes], kwargs) for shapes, kwargs in each]

    return samples


def grads(*each):
    return lambda: [Sample([np.random.uniform(-1, 1, s) for s in shapes], kwargs) for shapes, kwargs in each]


def error(kind, text, args, kwargs=None):
    return Error(kind, re.escape(text), args, kwargs or {})


def f(*shape):
    return np.ones(shape, "float32")


def unfold_ref(x, kernel_size, dilation=1, padding=0, stride=1):
    if x.ndim == 3:
        return unfold_ref(x[None], kernel_size, dilation, padding, stride)[0]
    taps = int(np.prod(kernel_size))
    each = np.eye(taps).reshape(taps, 1, *kernel_size)
    return conv_ref(x.reshape(-1, 1, *x.shape[2:]), each, None, stride, padding, dilation).reshape(
        x.shape[0], x.shape[1] * taps, -1)


def fold_ref(columns, output_size, kernel_size, dilation=1, padding=0, stride=1):
    """The transpose of unfold's matrix."""
    n, pixels = columns.shape[0], int(np.prod(output_size))
    matrix = unfold_ref(np.eye(pixels).reshape(pixels, 1, *output_size), kernel_size, dilation, padding, stride)
    return (columns.reshape(-1, matrix[0].size) @ matrix.reshape(pixels, -1).T).reshape(n, -1, *output_size)


PAD_MODES = {"constant": "constant", "reflect": "reflect", "replicate": "edge", "circular": "wrap"}


def pad_ref(x, pad, mode="constant", value=None):
    pairs = [(0, 0)] * (x.ndim - len(pad) // 2) + [tuple(pad[i : i + 2]) for i in range(len(pad) - 2, -1, -2)]
    more = {"constant_values": value or 0} if mode == "constant" else {}
    return np.pad(x, pairs, PAD_MODES[mode], **more)


def pad_cases(mode):
    extra = {"value": 3} if mode == "constant" else {}
    return lambda dtype: [Sample([random_array(s, dtype, -2, 2), p], {"mode": mode, **extra})
                          for s, p in (((2, 3, 4), [2, 1]), ((1, 2, 3, 4), [2, 1, 0, 2]), ((2, 3), [1, 1]))]


def pad_grads(mode):
    return lambda: [Sample([np.random.randn(1, 2, 3, 4), [2, 1, 0, 2]], {"mode": mode})]


UNFOLDED = ((((2, 3, 5, 6),), {}), (((3, 5, 6),), {"stride": (2, 1), "padding": 1, "dilation": (1, 2)}))
FOLDED = (
    (((2, 12, 9),), {"output_size": (4, 5), "kernel_size": (2, 3)}),
    (((1, 4, 9),), {"output_size": (5, 5), "kernel_size": (2, 2), "stride": 2, "padding": 1, "dilation": 2}),
)
ONE = (
    (((2, 3, 9), (4, 3, 3), (4,)), {}),
    (((2, 4, 9), (6, 2, 2)), {"stride": 2, "padding": 1, "groups": 2}),
    (((3, 9), (4, 3, 2), (4,)), {"padding": "same", "dilation": 2}),
)
TWO = (
    (((2, 3, 6, 7), (4, 3, 3, 3), (4,)), {"padding": 1}),
    (((1, 2, 7, 8), (3, 2, 3, 2)), {"stride": (2, 3), "padding": (1, 0)}),
    (((1, 4, 6, 6), (4, 1, 3, 3)), {"groups": 4, "dilation": 2, "padding": 2}),
    (((2, 3, 4, 5), (6, 3, 1, 1), (6,)), {}),
    (((3, 5, 5), (2, 3, 2, 4), (2,)), {"padding": "same"}),
    (((0, 3, 6, 7), (4, 3, 3, 3), (4,)), {"padding": "valid"}),
)
THREE = ((((1, 2, 4, 5, 4), (3, 2, 2, 3, 2), (3,)), {"stride": (1, 2, 1), "padding": 1}),)
BACK = (
    (((2, 4, 3, 4), (4, 3, 3, 2), (6,)), {"stride": (2, 3), "padding": (1, 0), "output_padding": (1, 2), "groups": 2}),
    (((1, 2, 3, 3), (2, 3, 2, 2)), {"dilation": 2}),
)
BACK_ONE = ((((2, 3, 5), (3, 2, 3), (2,)), {"stride": 2, "padding": 1}),)


def row(name, ref, each, grad=None, errors=()):
    return OpRow(f"nn.functional.{name}", cases(*each), ref, FLOATS, grads(*(grad or each)), method=None,
                 tolerances=TOLERANCES, errors=errors)


ROWS = [
    row("conv1d", conv_ref, ONE),
    row("conv2d", conv_ref, TWO, TWO[:5], errors=[
        error(RuntimeError, "Expected 3D (unbatched) or 4D (batched) input to conv2d, but got input of size: [5, 5]",
              [f(5, 5), f(4, 3, 3, 3)]),
        error(RuntimeError, "expected input[1, 2, 5, 5] to have 3 channels, but got 2 channels instead",
              [f(1, 2, 5, 5), f(4, 3, 3, 3)]),
        error(RuntimeError, "Kernel size can't be greater than actual input size", [f(1, 3, 2, 2), f(4, 3, 3, 3)]),
        error(RuntimeError, "padding='same' is not supported for strided convolutions", [f(1, 3, 5, 5), f(4, 3, 3, 3)],
              {"stride": 2, "padding": "same"}),
        error(RuntimeError, "Invalid padding string: 'full', should be one of 'valid', 'same'",
              [f(1, 3, 5, 5), f(4, 3, 3, 3)], {"padding": "full"}),
        error(RuntimeError, "non-positive stride is not supported", [f(1, 3, 5, 5), f(4, 3, 3, 3)], {"stride": 0}),
    ]),
    row("conv3d", conv_ref, THREE),
    row("conv_transpose1d", transposed_ref, BACK_ONE),
    row("conv_transpose2d", transposed_ref, BACK, errors=[
        error(RuntimeError, "output padding must be smaller than either stride or dilation",
              [f(1, 2, 3, 3), f(2, 3, 2, 2)], {"output_padding": 1}),
    ]),
    OpRow("nn.functional.unfold", cases(*((x, {**k, "kernel_size": (2, 3)}) for x, k in UNFOLDED)), unfold_ref, FLOATS,
          grads(*((x, {**k, "kernel_size": (2, 3)}) for x, k in UNFOLDED)), method=None, errors=[
              error(RuntimeError, "its components must be at least one", [f(1, 1, 2, 2)], {"kernel_size": 3}),
          ]),
    OpRow("nn.functional.fold", cases(*FOLDED), fold_ref, FLOATS, grads(*FOLDED), method=None, tolerances=TOLERANCES,
          errors=[
              error(RuntimeError, "to match the calculated number of sliding blocks 2 * 2 = 4, but got input.size(2)=5",
                    [f(1, 4, 5)], {"output_size": 3, "kernel_size": 2}),
          ]),
    *(OpRow("nn.functional.pad", pad_cases(mode), pad_ref, FLOATS, pad_grads(mode), method=None, id=f"pad_{mode}")
      for mode in PAD_MODES),
]
