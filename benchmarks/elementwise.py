"""Every elementwise op beside PyTorch, at sizes from overhead to memory bandwidth.

    python benchmarks/elementwise.py [--dtype float32] [--only PATTERN] [--threads 2] [--sizes 1000 100000 10000000]

Blocks of norch and PyTorch alternate; the figures are medians. A ratio below 1 means that norch is faster.
"""

import argparse
import re
import statistics
import time

import torch

import norch

UNARY = """abs acos acosh asin asinh atan atanh ceil cos cosh digamma erf erfc erfinv exp exp2 expm1 floor frac isfinite
isnan lgamma log log10 log1p log2 logical_not neg reciprocal round rsqrt sigmoid sign sin sinh sqrt square tan tanh
trunc""".split()
BINARY = """add sub mul div floor_divide remainder fmod pow atan2 hypot copysign maximum minimum fmax logaddexp xlogy
eq lt logical_and""".split()
FUNCTIONAL = """relu relu6 leaky_relu elu selu celu gelu silu mish softplus hardtanh hardsigmoid hardswish logsigmoid
softsign tanhshrink hardshrink softshrink""".split()


def works(size, dtype):
    """(name, f(framework, tensors)) for tensors x, y of numbers in [0.1, 0.9)."""
    for name in UNARY:
        yield name, lambda fw, x, y, name=name: getattr(fw, name)(x)
    for name in BINARY:
        yield name, lambda fw, x, y, name=name: getattr(fw, name)(x, y)
    for name in FUNCTIONAL:
        yield name, lambda fw, x, y, name=name: getattr(fw.nn.functional, name)(x)
    yield "x + 1", lambda fw, x, y: x + 1
    yield "x ** 2", lambda fw, x, y: x**2
    yield "x ** 3", lambda fw, x, y: x**3
    yield "x += y", lambda fw, x, y: x.add_(y, alpha=1e-9)
    yield "clamp", lambda fw, x, y: fw.clamp(x, 0.2, 0.8)
    yield "where", lambda fw, x, y: fw.where(x > y, x, y)
    yield "lerp", lambda fw, x, y: fw.lerp(x, y, 0.3)
    yield "addcmul", lambda fw, x, y: fw.addcmul(x, x, y)
    yield "to half", lambda fw, x, y: x.to(fw.float16)
    yield "to int32", lambda fw, x, y: x.to(fw.int32)
    if size >= 1000:
        side = 100
        yield "row broadcast", lambda fw, x, y: x.view(-1, side) + y[:side]
        yield "column broadcast", lambda fw, x, y: x.view(-1, side) + y[: x.shape[0] // side].view(-1, 1)
        yield "short rows", lambda fw, x, y: x.view(-1, 4) * y[:4]
        yield "strided", lambda fw, x, y: fw.exp(x[::2])
        yield "transposed", lambda fw, x, y: x.view(-1, side).t() + y.view(side, -1)


def block(f, args, repeats):
    start = time.perf_counter()
    for _ in range(repeats):
        f(*args)
    return (time.perf_counter() - start) / repeats


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--dtype", default="float32")
    parser.add_argument("--only", default="")
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--sizes", type=int, nargs="+", default=[1000, 100_000, 10_000_000])
    parser.add_argument("--rounds", type=int, default=11)
    options = parser.parse_args()
    torch.set_num_threads(options.threads)
    if hasattr(norch, "set_num_threads"):
        norch.set_num_threads(options.threads)
    for size in options.sizes:
        a, b = torch.rand(size) * 0.8 + 0.1, torch.rand(size) * 0.8 + 0.1
        ours = [norch.from_numpy(t.numpy().copy()).to(getattr(norch, options.dtype)) for t in (a, b)]
        theirs = [t.to(getattr(torch, options.dtype)) for t in (a, b)]
        for name, f in works(size, options.dtype):
            if not re.search(options.only, name):
                continue
            once = max(block(f, (torch, *theirs), 2), 1e-7)
            block(f, (norch, *ours), 2)
            repeats = max(1, int(2e-3 / once))
            pairs = [
                (block(f, (norch, *ours), repeats), block(f, (torch, *theirs), repeats)) for _ in range(options.rounds)
            ]
            n, t = (statistics.median(times) for times in zip(*pairs))
            ratio = statistics.median(x / y for x, y in pairs)
            mark = "  <-- slower" if ratio > 1 else ""
            print(f"{size:>9} {name:<18} norch {n * 1e6:10.2f} us   torch {t * 1e6:10.2f} us   ratio {ratio:.2f}{mark}")


if __name__ == "__main__":
    main()
