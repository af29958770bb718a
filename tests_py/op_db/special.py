"""Special functions, against SciPy."""

import numpy as np
import scipy.special as sp

from .row import (
    FLOATS,
    INTS,
    Error,
    OpRow,
    Sample,
    binary_grad,
    binary_samples,
    random_array,
    to_float,
    unary_grad,
    unary_samples,
)

WIDE = ("bool",) + INTS + ("float32", "float64")
TOLERANCES = {"float16": (5e-3, 1e-3), "bfloat16": (3e-2, 1e-2), "float32": (2e-5, 2e-6), "float64": (2e-12, 2e-13)}


def real(name, ref, low=-8, high=8, grad=None, special=False, dtypes=WIDE, method=None, **row):
    return OpRow(
        name,
        unary_samples(low, high, special),
        lambda x: ref(np.asarray(x, np.float64)),
        dtypes,
        unary_grad(*grad) if grad else None,
        to_float,
        method=method,
        tolerances=TOLERANCES,
        **row,
    )


def polynomial(name, ref):
    def samples(dtype):
        out = []
        for shape in ((), (5,), (2, 3)):
            x = random_array(shape, dtype, -1, 1)
            out.append(Sample([x, np.full(shape, 3, dtype)]))
            out.append(Sample([x, 11]))
        out.append(Sample([np.array([-1, 1, 0.5, 1.25], dtype)[:, None], np.array([-1, 0, 1, 2, 5, 12], dtype)]))
        return out

    def guarded(x, n):
        n = np.asarray(n).astype(int)
        with np.errstate(all="ignore"):
            return np.where(n < 0, 0, ref(np.maximum(n, 0), np.asarray(x, np.float64)))

    return OpRow("special." + name, samples, guarded, ("float32", "float64"), method=None, tolerances=TOLERANCES)


def second_only(low, high):
    """The first number as float32, so that only the second is differentiated."""

    def samples():
        return [
            Sample([np.random.uniform(1.5, 6, s).astype(np.float32), np.random.uniform(low, high, s)]) for s in ((), (4,))
        ]

    return samples


def airy(x):
    return sp.airy(x)[0]


def chebyshev_v(n, x):
    """cos((n + 1/2) t) / cos(t / 2), as differences of the second kind."""
    return sp.eval_chebyu(n, x) - np.where(n > 0, sp.eval_chebyu(np.maximum(n - 1, 0), x), 0)


def chebyshev_w(n, x):
    return sp.eval_chebyu(n, x) + np.where(n > 0, sp.eval_chebyu(np.maximum(n - 1, 0), x), 0)


def shifted(f):
    return lambda n, x: f(n, 2 * x - 1)


def mvlgamma_ref(x, p):
    x = np.asarray(x, np.float64)
    return p * (p - 1) / 4 * np.log(np.pi) + sum(sp.gammaln(x - j / 2) for j in range(p))


def heaviside_ref(x, values):
    return np.where(x == 0, values, np.where(x > 0, 1, 0)).astype(np.asarray(x).dtype)


def ldexp_ref(x, e):
    return np.asarray(x, np.float64) * 2.0 ** np.asarray(e, np.float64)


ROWS = [
    real("i0", sp.i0, method="i0", in_place="i0_", grad=(-3, 3)),
    real("special.i0e", sp.i0e, -20, 20, grad=(0.2, 12)),
    real("special.i1", sp.i1, grad=(-3, 3)),
    real("special.i1e", sp.i1e, -20, 20, grad=(0.2, 12)),
    real("special.modified_bessel_i0", sp.i0),
    real("special.modified_bessel_i1", sp.i1),
    real("special.modified_bessel_k0", sp.k0, 0.1, 20, dtypes=("float32", "float64")),
    real("special.modified_bessel_k1", sp.k1, 0.1, 20, dtypes=("float32", "float64")),
    real("special.scaled_modified_bessel_k0", sp.k0e, 0.1, 20, dtypes=("float32", "float64")),
    real("special.scaled_modified_bessel_k1", sp.k1e, 0.1, 20, dtypes=("float32", "float64")),
    real("special.bessel_j0", sp.j0, -30, 30),
    real("special.bessel_j1", sp.j1, -30, 30),
    real("special.bessel_y0", sp.y0, 0.1, 30, dtypes=("float32", "float64")),
    real("special.bessel_y1", sp.y1, 0.1, 30, dtypes=("float32", "float64")),
    real("special.spherical_bessel_j0", lambda x: np.sinc(x / np.pi)),
    real("special.airy_ai", airy, -12, 8),
    real("special.erfcx", sp.erfcx, -3, 30, grad=(-2, 5)),
    real("special.ndtr", sp.ndtr, grad=(-3, 3), dtypes=WIDE + ("float16", "bfloat16")),
    real("special.log_ndtr", sp.log_ndtr, -30, 8, grad=(-8, 3)),
    real("special.ndtri", sp.ndtri, 0.001, 0.999, grad=(0.1, 0.9), dtypes=("float32", "float64")),
    real("special.entr", sp.entr, 0.1, 5, grad=(0.3, 4), dtypes=FLOATS),
    OpRow(
        "special.xlog1py",
        binary_samples(b=(-0.9, 4), numbers=(2.5,), special=False),
        lambda a, b: sp.xlog1py(np.asarray(a, np.float64), b),
        ("float32", "float64"),
        binary_grad(a=(0.3, 2), b=(-0.5, 4)),
        method=None,
        tolerances=TOLERANCES,
    ),
    OpRow(
        "special.zeta",
        binary_samples(a=(1.5, 9), b=(0.1, 20), special=False, numbers=(2.0,)),
        lambda a, b: sp.zeta(np.asarray(a, np.float64), b),
        ("float32", "float64"),
        second_only(0.5, 8),
        method=None,
        tolerances={"float32": (2e-5, 2e-6), "float64": (1e-11, 1e-12)},
    ),
    OpRow(
        "igamma",
        binary_samples(a=(0.1, 60), b=(0, 60), special=False),
        sp.gammainc,
        ("float32", "float64"),
        second_only(0.5, 8),
        tolerances={"float32": (1e-4, 1e-6), "float64": (1e-10, 1e-13)},
    ),
    OpRow(
        "igammac",
        binary_samples(a=(0.1, 60), b=(0, 60), special=False),
        sp.gammaincc,
        ("float32", "float64"),
        second_only(0.5, 8),
        tolerances={"float32": (1e-4, 1e-6), "float64": (1e-10, 1e-13)},
    ),
    OpRow(
        "mvlgamma",
        unary_samples(2.2, 9, special=False, args=(3,)),
        mvlgamma_ref,
        ("float32", "float64"),
        unary_grad(2.2, 9, args=(3,)),
        in_place="mvlgamma_",
        tolerances=TOLERANCES,
        errors=[Error(RuntimeError, "greater than or equal to 1", [np.ones(2), 0])],
    ),
    OpRow(
        "gcd",
        binary_samples(a=(-60, 60), b=(-60, 60)),
        np.gcd,
        INTS,
        in_place="gcd_",
        errors=[Error(NotImplementedError, "not implemented for float64", [np.ones(2), np.ones(2)])],
    ),
    OpRow("lcm", binary_samples(a=(-10, 10), b=(-10, 10)), np.lcm, INTS, in_place="lcm_"),
    OpRow(
        "frexp",
        unary_samples(special=False),
        lambda x: list(np.frexp(x)),
        ("float16", "float32", "float64"),
        unary_grad(0.6, 0.9),
    ),
    OpRow(
        "ldexp",
        binary_samples(b=(-3, 3), special=False),
        ldexp_ref,
        ("float32", "float64"),
        binary_grad(),
        in_place="ldexp_",
    ),
    OpRow(
        "heaviside",
        binary_samples(special=False),
        heaviside_ref,
        INTS + ("float32", "float64"),
        in_place="heaviside_",
        errors=[Error(RuntimeError, "different dtypes", [np.ones(2), np.ones(2, np.int64)])],
    ),
    polynomial("chebyshev_polynomial_t", sp.eval_chebyt),
    polynomial("chebyshev_polynomial_u", sp.eval_chebyu),
    polynomial("chebyshev_polynomial_v", chebyshev_v),
    polynomial("chebyshev_polynomial_w", chebyshev_w),
    polynomial("shifted_chebyshev_polynomial_t", shifted(sp.eval_chebyt)),
    polynomial("shifted_chebyshev_polynomial_u", shifted(sp.eval_chebyu)),
    polynomial("shifted_chebyshev_polynomial_v", shifted(chebyshev_v)),
    polynomial("shifted_chebyshev_polynomial_w", shifted(chebyshev_w)),
    polynomial("hermite_polynomial_h", sp.eval_hermite),
    polynomial("hermite_polynomial_he", sp.eval_hermitenorm),
    polynomial("laguerre_polynomial_l", sp.eval_laguerre),
    polynomial("legendre_polynomial_p", sp.eval_legendre),
]
