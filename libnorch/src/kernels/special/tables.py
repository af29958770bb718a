"""Writes tables.h: Chebyshev series of the smooth factors of special functions.

    python tables.py > tables.h

Each factor is interpolated in 60-digit arithmetic (mpmath) at the Chebyshev points of t in [-1, 1]; coefficients that
do not matter in double precision are dropped. What the factors are: DLMF 10.31, 10.40 (modified Bessel functions), 10.8,
10.17 (Bessel functions: series with the logarithm, modulus and phase), 9.7 (Airy), Shepherd and Laframboise 1981 (erfcx).
"""

from mpmath import (airyai, airybi, besseli, besselj, besseljzero, besselk, bessely, cos, erfc, exp, log, mp,
                    mpf, nstr, pi, sin, sqrt)

mp.dps = 60


def series(f, tolerance="1e-18", n=80):
    nodes = [cos(pi * (k + mpf(1) / 2) / n) for k in range(n)]
    values = [f(t) for t in nodes]
    c = [2 * sum(v * cos(pi * j * (k + mpf(1) / 2) / n) for k, v in enumerate(values)) / n for j in range(n)]
    c[0] /= 2
    size = max(abs(x) for x in c)
    while len(c) > 1 and abs(c[-1]) < mpf(tolerance) * size:
        c.pop()
    assert len(c) < n - 8, "the factor is not smooth"
    return c


def from_zero(f, end):
    """f(x) for x in [0, end], t = 2 x / end - 1."""
    return lambda t: f(end * (t + 1) / 2)


def of_square(f, end):
    """f(x) for x in [0, end], t = 2 (x / end)^2 - 1."""
    return lambda t: f(end * sqrt((t + 1) / 2))


def to_infinity(f, start):
    """f(x) for x >= start, t = 2 start / x - 1."""
    return lambda t: f(2 * start / (t + 1))


def to_infinity_squared(f, start):
    """f(x) for x >= start, t = 2 (start / x)^2 - 1."""
    return lambda t: f(start / sqrt((t + 1) / 2))


def zeros(order):
    return [besseljzero(order, 1), besseljzero(order, 2)]


def without_zeros(order, f):
    a, b = zeros(order)
    return lambda x: f(x) / ((x * x - a * a) * (x * x - b * b))


def phase(order, x):
    """sqrt(pi x / 2) (J, Y) turned back by chi = x - (order / 2 + 1 / 4) pi: the factors P and Q."""
    chi = x - (mpf(order) / 2 + mpf(1) / 4) * pi
    j, y = besselj(order, x), bessely(order, x)
    scale = sqrt(pi * x / 2)
    return scale * (j * cos(chi) + y * sin(chi)), scale * (y * cos(chi) - j * sin(chi))


def airy_zeta(x):
    return 2 * x * sqrt(x) / 3


def airy_from_zeta(z):
    return (3 * z / 2) ** (mpf(2) / 3)


def airy_phase(z):
    x = airy_from_zeta(z)
    theta = z + pi / 4
    a, b = airyai(-x), airybi(-x)
    scale = sqrt(pi) * x ** (mpf(1) / 4)
    return scale * (a * sin(theta) + b * cos(theta)), scale * (b * sin(theta) - a * cos(theta))


def erfcx(x):
    return exp(x * x) * erfc(x)


AIRY_START = airy_zeta(mpf(2))
TABLES = {
    "i0e_small": from_zero(lambda x: exp(-x) * besseli(0, x), 8),
    "i0e_large": to_infinity(lambda x: sqrt(x) * exp(-x) * besseli(0, x), 8),
    "i1e_small": from_zero(lambda x: exp(-x) * besseli(1, x) / x, 8),
    "i1e_large": to_infinity(lambda x: sqrt(x) * exp(-x) * besseli(1, x), 8),
    "k0_small": of_square(lambda x: besselk(0, x) + log(x / 2) * besseli(0, x), 2),
    "k0e_large": to_infinity(lambda x: sqrt(x) * exp(x) * besselk(0, x), 2),
    "k1_small": of_square(lambda x: x * (besselk(1, x) - log(x / 2) * besseli(1, x)), 2),
    "k1e_large": to_infinity(lambda x: sqrt(x) * exp(x) * besselk(1, x), 2),
    "j0_small": of_square(without_zeros(0, lambda x: besselj(0, x)), 8),
    "j1_small": of_square(without_zeros(1, lambda x: besselj(1, x) / x), 8),
    "y0_small": of_square(lambda x: bessely(0, x) - 2 / pi * log(x) * besselj(0, x), 8),
    "y1_small": of_square(lambda x: (bessely(1, x) - 2 / pi * (log(x) * besselj(1, x) - 1 / x)) / x, 8),
    "p0": to_infinity_squared(lambda x: phase(0, x)[0], 8),
    "q0": to_infinity_squared(lambda x: x * phase(0, x)[1], 8),
    "p1": to_infinity_squared(lambda x: phase(1, x)[0], 8),
    "q1": to_infinity_squared(lambda x: x * phase(1, x)[1], 8),
    "airy_middle": lambda t: airyai(2 * t),
    "airy_positive": to_infinity(
        lambda z: airyai(airy_from_zeta(z)) * exp(z) * airy_from_zeta(z) ** (mpf(1) / 4), AIRY_START
    ),
    "airy_f": to_infinity_squared(lambda z: airy_phase(z)[0], AIRY_START),
    "airy_g": to_infinity_squared(lambda z: z * airy_phase(z)[1], AIRY_START),
    "erfcx_scaled": lambda t: (lambda x: (1 + 2 * x) * erfcx(x))(mpf(15) / 4 * (1 + t) / (1 - t)),
}


def split(x):
    high = mpf(float(x))
    return repr(float(high)), repr(float(x - high))


def main():
    print("// Written by tables.py: Chebyshev series of smooth factors of special functions.")
    print("#pragma once\n\n#include \"kernels/special/chebyshev.h\"\n")
    print("namespace norch::kernels {\ninline namespace NORCH_ISA {\n")
    for order in (0, 1):
        for k, z in enumerate(zeros(order), 1):
            high, low = split(z)
            print(f"/// x^2 - z^2 for zero {k} of J{order}, z = {high} + {low}: right to the last place near z too.")
            print(f"NORCH_HD double beside_j{order}_zero{k}(double x) {{")
            print(f"  return ((x - {high}) - {low}) * (x + {high});\n}}")
    print()
    for name, f in TABLES.items():
        c = series(f)
        lines, line = [], "     "
        for x in c:
            text = " " + nstr(x, 19, strip_zeros=False) + ","
            if len(line) + len(text) > 118:
                lines.append(line)
                line = "     "
            line += text
        lines.append(line.rstrip(","))
        print(f"NORCH_HD_LONG double {name}(double t) {{\n  const double c[] = {{")
        print("\n".join(lines) + "};\n  return chebyshev(c, t);\n}")
    print("\n}  // namespace NORCH_ISA\n}  // namespace norch::kernels")


if __name__ == "__main__":
    main()
