"""Operation by operation beside PyTorch, worst first: elementwise, reductions, scans, sorts, indexing, normalisation.

    python benchmarks/ops.py                                # CPU, 1e3, 1e5 and 1e7 elements
    python benchmarks/ops.py --only '^sum' --sizes 1e5      # rows whose name matches
    python benchmarks/ops.py --device cuda                  # 1e8 elements
    python benchmarks/ops.py --dtype bfloat16 --threads 1

`ratio` is norch's time over PyTorch's, medians of alternating blocks (see run.py); above 1 norch is slower. With CUDA
the table is ordered by the share of the copy bandwidth of the same run: the bytes of an operation's inputs and results,
each counted once, over its time. The count is the same whatever an algorithm does, so some rows cannot come near 100 %,
which the last column says: `passes` for those that have to read or write something again (see PASSES), `arithmetic` for
those whose computation takes longer than memory does. The last line counts the others below 80 %."""

from __future__ import annotations

import argparse
import re
import sys
from typing import Any, Callable, Iterator, NamedTuple

import cases
import run

import norch

UNARY = """abs neg sign square sqrt rsqrt reciprocal exp exp2 expm1 log log2 log10 log1p sin cos tan asin acos atan sinh
cosh tanh asinh acosh atanh erf erfc sigmoid floor ceil round trunc frac relu gelu silu elu leaky_relu softplus selu
hardtanh logit isnan isfinite lgamma digamma""".split()
BINARY = """add sub mul div maximum minimum pow remainder fmod atan2 hypot copysign logaddexp floor_divide eq lt
logical_and xlogy""".split()
REDUCTIONS = """sum mean prod amax amin any all count_nonzero argmax argmin var std norm nansum median""".split()
SCANS = "cumsum cumprod logcumsumexp cummax".split()
# What moves more bytes than its inputs and results have: sorts and selections read the keys once for each digit; unique,
# mode, nonzero and x[mask] count before they write; take, scatter and scatter_add touch a sector of memory for each element
# that they pick; scatter, scatter_add and index_add start from a copy of their input; batch_norm and softmax over the first
# dim need the whole of a channel or column, more than a multiprocessor holds, before they write its first result.
PASSES = r"""(sort|argsort|topk|kthvalue|median|mode|unique|nonzero|take|scatter|scatter_add|index_add|batch_norm
|softmax first|log_softmax first)\b|x\[mask"""
ARITHMETIC = r"digamma\b"  # in double precision, as its recurrence and series need
ROWS = {1_000: 10, 100_000: 100, 10_000_000: 10_000, 100_000_000: 100_000}


class Row(NamedTuple):
    name: str
    inputs: str  # a letter each: see make_input
    call: Callable[..., Any]


def make_input(kind: str, fw: Any, n: int, dtype: str, device: str) -> Any:
    rows = ROWS.get(n, max(1, int(n**0.5)))
    columns = n // rows
    type_ = getattr(fw, dtype)
    if kind in "xy":  # a matrix of numbers above 0, for which every function is defined
        if not type_.is_floating_point:
            return fw.randint(1, 100, (rows, columns), device=device).to(type_)
        return (fw.rand(rows, columns, device=device) * 0.8 + 0.1).to(type_)
    if kind == "z":  # above 1
        return (fw.rand(rows, columns, device=device) + 1.1).to(type_)
    if kind == "r":  # a row
        return fw.rand(columns, device=device).to(type_)
    if kind == "m":  # half true
        return fw.rand(rows, columns, device=device) < 0.5
    if kind == "k":  # an index into each row
        return fw.randint(0, columns, (rows, columns), device=device)
    if kind == "i":  # rows in another order
        return fw.randperm(rows, device=device)
    if kind == "j":  # columns in another order
        return fw.randperm(columns, device=device)
    if kind == "f":  # every element in another order
        return fw.randperm(rows * columns, device=device)
    raise ValueError(kind)


def function(name: str) -> Callable[..., Any]:
    return lambda fw, *a: (getattr(fw, name, None) or getattr(fw.nn.functional, name))(*a)


def table() -> Iterator[Row]:
    for name in UNARY:
        yield Row(name, "z" if name == "acosh" else "x", function(name))
    for name in BINARY:
        yield Row(name, "xy", function(name))
    yield Row("add a number", "x", lambda fw, x: x + 2)
    yield Row("add a row", "xr", lambda fw, x, r: x + r)
    yield Row("where", "mxy", lambda fw, m, x, y: fw.where(m, x, y))
    yield Row("clamp", "x", lambda fw, x: fw.clamp(x, 0.2, 0.8))
    yield Row("lerp", "xy", lambda fw, x, y: fw.lerp(x, y, 0.3))
    yield Row("addcmul", "xyx", lambda fw, a, b, c: fw.addcmul(a, b, c))
    yield Row("masked_fill", "xm", lambda fw, x, m: x.masked_fill(m, 0))
    yield Row("transposed copy", "x", lambda fw, x: x.t().contiguous())
    yield Row("to float64", "x", lambda fw, x: x.to(fw.float64))
    yield Row("cat", "xy", lambda fw, x, y: fw.cat([x, y], 1))
    yield Row("flip", "x", lambda fw, x: fw.flip(x, [1]))
    yield Row("roll", "x", lambda fw, x: fw.roll(x, 3, 1))
    yield Row("tril", "x", lambda fw, x: fw.tril(x))

    for name in REDUCTIONS:
        yield Row(name, "x", function(name))
        for dim, where in ((0, "first"), (1, "last")):
            if name == "norm":
                yield Row(f"norm {where}", "x", lambda fw, x, d=dim: fw.norm(x, 2, d))
            else:
                yield Row(f"{name} {where}", "x", lambda fw, x, d=dim, f=function(name): f(fw, x, d))
    for dim, where in ((0, "first"), (1, "last")):
        for name in (*SCANS, "max", "logsumexp", "softmax", "log_softmax", "sort", "argsort", "mode"):
            yield Row(f"{name} {where}", "x", lambda fw, x, d=dim, f=function(name): f(fw, x, d))
        yield Row(f"topk 5 {where}", "x", lambda fw, x, d=dim: fw.topk(x, 5, d))
        yield Row(f"topk half {where}", "x", lambda fw, x, d=dim: fw.topk(x, x.shape[d] // 2, d))
        yield Row(f"kthvalue {where}", "x", lambda fw, x, d=dim: fw.kthvalue(x, 5, d))
    yield Row("sort all", "x", lambda fw, x: fw.sort(x.view(-1)))
    yield Row("cumsum all", "x", lambda fw, x: fw.cumsum(x.view(-1), 0))
    yield Row("topk 100 all", "x", lambda fw, x: fw.topk(x.view(-1), 100))
    yield Row("unique", "k", lambda fw, k: fw.unique(k))

    yield Row("index_select rows", "xi", lambda fw, x, i: fw.index_select(x, 0, i))
    yield Row("index_select columns", "xj", lambda fw, x, j: fw.index_select(x, 1, j))
    yield Row("gather", "xk", lambda fw, x, k: fw.gather(x, 1, k))
    yield Row("take", "xf", lambda fw, x, f: fw.take(x, f))
    yield Row("x[rows]", "xi", lambda fw, x, i: x[i])
    yield Row("x[:, columns]", "xj", lambda fw, x, j: x[:, j])
    yield Row("x[mask]", "xm", lambda fw, x, m: x[m])
    yield Row("nonzero", "m", lambda fw, m: fw.nonzero(m))
    yield Row("index_add", "xiy", lambda fw, x, i, y: fw.index_add(x, 0, i, y))
    yield Row("scatter", "xky", lambda fw, x, k, y: fw.scatter(x, 1, k, y))
    yield Row("scatter_add", "xky", lambda fw, x, k, y: fw.scatter_add(x, 1, k, y))

    yield Row("layer_norm", "xrr", lambda fw, x, w, b: fw.nn.functional.layer_norm(x, (x.shape[1],), w, b))
    yield Row("rms_norm", "xr", lambda fw, x, w: fw.nn.functional.rms_norm(x, (x.shape[1],), w))
    yield Row("group_norm", "x", lambda fw, x: fw.nn.functional.group_norm(x.view(x.shape[0], 10, -1), 5))
    yield Row("batch_norm", "x",
              lambda fw, x: fw.nn.functional.batch_norm(x.view(10, 10, -1), None, None, training=True))
    yield Row("normalize", "x", lambda fw, x: fw.nn.functional.normalize(x, dim=1))


def bound(name: str) -> str:
    """What keeps a row from the copy's bandwidth, if it is not memory in one pass."""
    if re.match(PASSES.replace("\n", ""), name):
        return "passes"
    return "arithmetic" if re.match(ARITHMETIC, name) else ""


def tensors(value: Any) -> list[Any]:
    return [value] if hasattr(value, "numel") else [t for t in value if hasattr(t, "numel")]


def case(row: Row, n: int, dtype: str) -> Callable[[Any, str], Callable[[], Any]]:
    def make(fw: Any, device: str) -> Callable[[], Any]:
        inputs = [make_input(kind, fw, n, dtype, device) for kind in row.inputs]
        return lambda: row.call(fw, *inputs)

    return make


def bytes_moved(row: Row, n: int, dtype: str, device: str) -> int:
    inputs = [make_input(kind, norch, n, dtype, device) for kind in row.inputs]
    return sum(t.numel() * t.element_size() for t in [*inputs, *tensors(row.call(norch, *inputs))])


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--device", default="cpu", choices=["cpu", "cuda"])
    parser.add_argument("--only", default="", help="regular expression on row names")
    parser.add_argument("--sizes", type=float, nargs="+", help="numbers of elements")
    parser.add_argument("--dtype", default="float32")
    parser.add_argument("--seconds", type=float, default=0.1, help="time per row and framework")
    parser.add_argument("--threads", type=int, help="CPU threads for both")
    parser.add_argument("--cpu-time", action="store_true",
                        help="one thread, timed by the CPU time that it takes: on machines that others use too")
    parser.add_argument("--most", type=int, default=sys.maxsize, help="rows to print")
    options = parser.parse_args()
    cuda = options.device == "cuda"
    if options.cpu_time:
        run.use_cpu_time()
        options.threads = 1
    if options.threads:
        norch.set_num_threads(options.threads)
    if run.torch is not None:
        run.torch.set_num_threads(norch.get_num_threads())
    copy = 0.0
    if cuda:
        copied = run.measure("copy", cases.copy_large, None, "cuda", options.seconds)
        copy = (2 << 29) / copied.norch

    print(f"# {run.header(options.device)}, {options.dtype}")
    results, failed = [], []
    for n in map(int, options.sizes or ([1e8] if cuda else [1e3, 1e5, 1e7])):
        for row in table():
            if not re.search(options.only, row.name):
                continue
            try:
                result = run.measure(row.name, case(row, n, options.dtype), None, options.device, options.seconds)
                share = bytes_moved(row, n, options.dtype, "cuda") / result.norch / copy if cuda else 0.0
            except Exception as error:  # a row that one framework can't run must not hide the others
                failed.append(f"{row.name} {n:.0e}: {type(error).__name__}: {str(error).splitlines()[0][:100]}")
                continue
            ratio = result.norch / result.torch if result.torch else 0.0
            results.append((share if cuda else -ratio, ratio, share, n, result))
            if sys.stderr.isatty():
                print(f"\r{row.name:<40}", end="", file=sys.stderr, flush=True)
    results.sort(key=lambda r: r[0])
    print(f"{'operation':<24} {'elements':>8} {'norch':>9} {'PyTorch':>9} {'ratio':>6}" + ("   copy" if cuda else ""))
    for _, ratio, share, n, result in results[: options.most]:
        line = f"{result.name:<24} {n:>8.0e} {run.text(result.norch):>9} {run.text(result.torch):>9} {ratio:>6.2f}"
        print(line + (f" {100 * share:>4.0f} %  {bound(result.name)}".rstrip() if cuda else ""))
    slower = sum(r[1] > 1 for r in results)
    print(f"# {len(results)} rows, slower than PyTorch: {slower}; failed: {len(failed)}")
    if cuda:
        once = [r for r in results if not bound(r[4].name)]
        print(f"# memory in one pass: {len(once)} rows, below 80 % of copy: {sum(r[2] < 0.8 for r in once)}")
    for line in failed:
        print("# failed:", line)


if __name__ == "__main__":
    main()
