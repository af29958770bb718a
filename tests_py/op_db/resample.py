"""Images at another resolution, pixels and channels in another order, and sampling at given positions."""

import itertools
import re

import numpy as np

from .row import FLOATS, Error, OpRow, Sample, random_array

TOLERANCES = {"float16": (2e-3, 2e-3), "bfloat16": (1.6e-2, 2e-2), "float32": (2e-5, 1e-5), "float64": (1e-11, 1e-11)}


def keys(x, a):
    x = abs(x)
    if x < 1:
        return (a + 2) * x**3 - (a + 3) * x**2 + 1
    return a * x**3 - 5 * a * x**2 + 8 * a * x - 4 * a if x < 2 else 0.0


def lanczos(x):
    return np.sinc(x) * np.sinc(x / 3) if abs(x) < 3 else 0.0


def matrix(kind, n, out, factor, align, antialias):
    """The (out, n) matrix of a resampling along one dim."""
    m = np.zeros((out, n))
    scale = 1 / factor if factor else n / out
    if align:
        scale = (n - 1) / (out - 1) if out > 1 else 0
    for o in range(out):
        if kind in ("nearest", "nearest-exact"):
            at = np.float32(o + (0.5 if kind == "nearest-exact" else 0)) * np.float32(scale)
            m[o, min(int(np.floor(at)), n - 1)] = 1
        elif antialias:
            wide = max(scale, 1)
            reach, f = {
                "bilinear": (1, lambda x: max(0, 1 - abs(x))),
                "bicubic": (2, lambda x: keys(x, -0.5)),
                "lanczos": (3, lanczos),
            }[kind]
            center = scale * (o + 0.5)
            first, last = max(int(center - reach * wide + 0.5), 0), min(int(center + reach * wide + 0.5), n)
            for i in range(first, last):
                m[o, i] = f((i - center + 0.5) / wide)
            m[o] /= m[o].sum()
        else:
            at = o * scale if align else (o + 0.5) * scale - 0.5
            if kind != "bicubic":
                at = max(at, 0)
            i = int(np.floor(at))
            taps = range(i - 1, i + 3) if kind == "bicubic" else (i, i + 1)
            for t in taps:
                w = keys(at - t, -0.75) if kind == "bicubic" else max(0, 1 - abs(at - t))
                m[o, min(max(t, 0), n - 1)] += w
    return m


def interpolate(x, size=None, scale_factor=None, mode="nearest", align_corners=None, antialias=False):
    n = x.ndim - 2
    size = (size,) * n if isinstance(size, int) else size
    factors = (scale_factor,) * n if not isinstance(scale_factor, tuple) else scale_factor
    y = x
    for d in range(n):
        s = x.shape[2 + d]
        out = size[d] if size else int(np.floor(s * factors[d]))
        m = matrix(mode, s, out, factors[d], align_corners, antialias)
        y = np.moveaxis(np.tensordot(m, y, (1, 2 + d)), 0, 2 + d)
    return y


CASES = (
    ((2, 3, 5), (8,), {}),
    ((1, 2, 4), (), {"scale_factor": 1.7}),
    ((2, 1, 3, 4), ((5, 7),), {}),
    ((2, 1, 7, 6), ((3, 4),), {"mode": "nearest-exact"}),
    ((1, 2, 2, 3, 4), ((3, 5, 6),), {}),
    ((2, 3, 5), (8,), {"mode": "linear"}),
    ((1, 2, 6), (4,), {"mode": "linear", "align_corners": True}),
    ((2, 3, 4, 5), ((7, 3),), {"mode": "bilinear"}),
    ((1, 2, 4, 5), (), {"scale_factor": (1.6, 2.3), "mode": "bilinear"}),
    ((1, 1, 4, 3), ((9, 1),), {"mode": "bilinear", "align_corners": True}),
    ((1, 2, 5, 4), ((3, 9),), {"mode": "bicubic"}),
    ((1, 2, 3, 4), ((6, 6),), {"mode": "bicubic", "align_corners": True}),
    ((1, 1, 2, 3, 4), ((3, 5, 2),), {"mode": "trilinear"}),
    ((1, 2, 9, 8), ((4, 3),), {"mode": "bilinear", "antialias": True}),
    ((1, 1, 9, 6), ((4, 9),), {"mode": "bicubic", "antialias": True}),
    ((1, 1, 12, 9), ((5, 4),), {"mode": "lanczos", "antialias": True}),
    ((0, 2, 4), (8,), {}),
)


def samples(cases):
    return lambda dtype: [Sample([random_array(s, dtype), *args], kwargs) for s, args, kwargs in cases]


def grads(cases):
    return lambda: [Sample([random_array(s, "float64"), *args], kwargs) for s, args, kwargs in cases if 0 not in s]


def pixel_shuffle(x, r):
    *lead, c, h, w = x.shape
    y = np.zeros((*lead, c // r**2, h * r, w * r), x.dtype)
    for i, j in itertools.product(range(r), range(r)):
        y[..., i::r, j::r] = x[..., i * r + j :: r * r, :, :]
    return y


def pixel_unshuffle(x, r):
    *lead, c, h, w = x.shape
    y = np.zeros((*lead, c * r**2, h // r, w // r), x.dtype)
    for i, j in itertools.product(range(r), range(r)):
        y[..., i * r + j :: r * r, :, :] = x[..., i::r, j::r]
    return y


def channel_shuffle(x, groups):
    n = x.shape[1] // groups
    return x[:, [g * n + i for i in range(n) for g in range(groups)]]


def reflect(at, low, high):
    if low == high:
        return 0.0
    span = high - low
    off = abs(at - low)
    flips = np.floor(off / span)
    extra = off - flips * span
    return low + (span - extra if flips % 2 else extra)


def placed(at, n, padding, align):
    if padding == "reflection":
        at = reflect(at, 0, n - 1) if align else reflect(at, -0.5, n - 0.5)
    return at if padding == "zeros" else min(max(at, 0), n - 1)


def grid_sample(x, grid, mode="bilinear", padding_mode="zeros", align_corners=False):
    dims = x.ndim - 2
    y = np.zeros((*x.shape[:2], *grid.shape[1:-1]))
    for at in itertools.product(*(range(n) for n in (grid.shape[0], *grid.shape[1:-1]))):
        taps = []
        for d in range(dims):
            n = x.shape[2 + d]
            g = grid[at][dims - 1 - d]
            p = (g + 1) / 2 * (n - 1) if align_corners else ((g + 1) * n - 1) / 2
            if mode == "bicubic":
                i = int(np.floor(p))
                taps.append([(placed(k, n, padding_mode, align_corners), keys(p - k, -0.75)) for k in range(i - 1, i + 3)])
                continue
            p = placed(p, n, padding_mode, align_corners)
            i = int(np.floor(p))
            taps.append([(np.round(p), 1.0)] if mode == "nearest" else [(i, 1 - (p - i)), (i + 1, p - i)])
        for combination in itertools.product(*taps):
            place = tuple(int(k) for k, _ in combination)
            if all(0 <= k < n for k, n in zip(place, x.shape[2:])):
                y[(at[0], slice(None), *at[1:])] += np.prod([w for _, w in combination]) * x[(at[0], slice(None), *place)]
    return y


def grid_samples(dtype):
    if dtype in ("float16", "bfloat16"):
        grid = np.zeros((1, 2, 2, 2), "float64" if dtype == "bfloat16" else dtype)
        return [Sample([random_array((1, 2, 3, 4), dtype), grid], {"align_corners": False})]
    out = []
    for mode, padding, align in itertools.product(
        ("bilinear", "nearest", "bicubic"), ("zeros", "border", "reflection"), (False, True)
    ):
        args = [random_array((2, 2, 3, 4), dtype), random_array((2, 3, 2, 2), dtype, -2, 2)]
        out.append(Sample(args, {"mode": mode, "padding_mode": padding, "align_corners": align}))
    out.append(Sample([random_array((1, 2, 2, 3, 4), dtype), random_array((1, 2, 1, 3, 3), dtype, -2, 2)]))
    return [Sample(s.args, {"align_corners": False, **s.kwargs}) for s in out]


def affine_grid(theta, size, align_corners=False):
    spatial = size[2:]
    axes = []
    for n in spatial:
        a = np.linspace(-1, 1, n) if n > 1 else np.zeros(1)
        axes.append(a if align_corners else a * (n - 1) / n)
    mesh = np.meshgrid(*axes, indexing="ij")
    base = np.stack([*reversed(mesh), np.ones(spatial)], -1)
    return np.einsum("...k,nik->n...i", base, theta)


def error(kind, text, args, **kwargs):
    return Error(kind, re.escape(text), args, kwargs)


def f(*shape):
    return np.ones(shape, "float32")


def row(name, ref, cases, **more):
    return OpRow(f"nn.functional.{name}", samples(cases), ref, FLOATS, grads(cases), method=None, tolerances=TOLERANCES, **more)


SHUFFLED = (((2, 8, 3, 2), (2,), {}), ((9, 2, 2), (3,), {}))
UNSHUFFLED = (((2, 2, 6, 4), (2,), {}), ((1, 3, 6), (3,), {}))
CHANNELS = (((2, 6, 3, 2), (3,), {}), ((1, 4, 5), (2,), {}))
AFFINE = (((2, 2, 3), ((2, 1, 3, 4),), {"align_corners": False}), ((1, 3, 4), ((1, 2, 2, 3, 1),), {"align_corners": False}),
          ((1, 2, 3), ((1, 2, 4, 2),), {"align_corners": True}))

ROWS = [
    row("interpolate", interpolate, CASES, errors=[
        error(ValueError, "either size or scale_factor should be defined", [f(1, 1, 4)]),
        error(ValueError, "only one of size or scale_factor", [f(1, 1, 4), 2, 2.0]),
        error(NotImplementedError, "Got 4D input, but linear mode needs 3D input", [f(1, 1, 4, 4), 2], mode="linear"),
        error(RuntimeError, "Input and output sizes should be greater than 0", [f(1, 1, 4, 4), 0], mode="bilinear"),
        error(ValueError, "align_corners option can only be set", [f(1, 1, 4), 2], align_corners=True),
        error(ValueError, "Anti-alias option is restricted", [f(1, 1, 4), 2], antialias=True),
    ]),
    row("pixel_shuffle", pixel_shuffle, SHUFFLED, errors=[
        error(RuntimeError, "pixel_shuffle expects input to have at least 3 dimensions", [f(4, 4), 2]),
        error(RuntimeError, "is not divisible by 2^2", [f(6, 4, 4), 2]),
    ]),
    row("pixel_unshuffle", pixel_unshuffle, UNSHUFFLED, errors=[
        error(RuntimeError, "expects height to be divisible by downscale_factor", [f(1, 3, 4), 2]),
    ]),
    row("channel_shuffle", channel_shuffle, CHANNELS, errors=[
        error(RuntimeError, "Number of channels must be divisible by groups. Got 4 channels and 3 groups.", [f(1, 4, 2), 3]),
    ]),
    OpRow("nn.functional.grid_sample", grid_samples, grid_sample, FLOATS,
          lambda: [s for s in grid_samples("float64") if s.kwargs.get("mode") != "nearest"][::3], method=None,
          tolerances=TOLERANCES, same_bits=False, errors=[
              error(RuntimeError, "to have same batch size", [f(1, 1, 2, 2), f(2, 1, 1, 2)], align_corners=False),
              error(ValueError, "to be 'bilinear', 'nearest' or 'bicubic'", [f(1, 1, 2, 2), f(1, 1, 1, 2)], mode="cubic",
                    align_corners=False),
          ]),
    row("affine_grid", affine_grid, AFFINE, same_bits=False, errors=[
        error(ValueError, "Expected a batch of 2D affine matrices", [f(1, 2, 2), (1, 1, 2, 2)], align_corners=False),
    ]),
]
