"""Reductions, softmax, normalisation and sorting beside PyTorch on the CPU: time ratios (PyTorch / norch; above 1 is
faster than PyTorch). Blocks of both alternate, so that a busy machine slows both.

    python benchmarks/reductions.py [--sizes 1000 100000 10000000] [--threads 2] [--only sum]
"""

import argparse
import statistics
import time

import numpy as np
import torch

import norch

SHAPES = {"all": None, "last": 1, "first": 0}


def shape_for(size, where):
    if where == "all":
        return (size,)
    rows = {1000: 10, 100_000: 100}.get(size, 1000)
    return (rows, size // rows)


def reductions():
    for name in ("sum", "mean", "prod", "amax", "var", "std", "norm", "any", "count_nonzero", "argmax", "logsumexp"):
        for where, dim in SHAPES.items():

            def call(lib, x, name=name, dim=dim):
                f = getattr(lib, name)
                if name == "norm":
                    return f(x, 2, dim) if dim is not None else f(x)
                if dim is None:
                    return f(x, 0) if name == "logsumexp" else f(x)
                return f(x, dim)

            yield f"{name} {where}", where, call
    for name in ("max", "cumsum", "softmax", "log_softmax", "sort"):
        for where in ("last", "first"):
            yield f"{name} {where}", where, lambda lib, x, name=name, dim=SHAPES[where]: getattr(lib, name)(x, dim)
    yield "topk10 last", "last", lambda lib, x: lib.topk(x, min(10, x.shape[1]), 1)
    yield "median last", "last", lambda lib, x: lib.median(x, 1)


def seconds(f, repeats):
    start = time.perf_counter()
    for _ in range(repeats):
        f()
    return (time.perf_counter() - start) / repeats


def compare(f, g, blocks=7):
    """Median times of both, from alternating blocks of about 5 ms."""
    f(), g()
    repeats = max(1, int(0.005 / max(seconds(f, 2), seconds(g, 2), 1e-7)))
    times = [(seconds(f, repeats), seconds(g, repeats)) for _ in range(blocks)]
    return statistics.median(a for a, _ in times), statistics.median(b for _, b in times)


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--sizes", type=int, nargs="+", default=[1000, 100_000, 10_000_000])
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--only", default="")
    options = parser.parse_args()
    torch.set_num_threads(options.threads)
    norch.set_num_threads(options.threads)
    torch.set_grad_enabled(False)
    print(f"{'':24}" + "".join(f"{n:>30,}" for n in options.sizes))
    for label, where, call in reductions():
        if options.only not in label:
            continue
        line = f"{label:24}"
        for size in options.sizes:
            x = np.random.default_rng(0).random(shape_for(size, where), dtype=np.float32) + 0.5
            ours, theirs = norch.from_numpy(x), torch.from_numpy(x)
            a, b = compare(lambda: call(norch, ours), lambda: call(torch, theirs))
            line += f"{a * 1e6:>11.1f}us {b * 1e6:>8.1f}us {b / a:5.2f}x"
        print(line, flush=True)


if __name__ == "__main__":
    main()
