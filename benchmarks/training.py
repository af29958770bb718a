"""The training tables: how long a step of the reference models takes and how much memory it needs, and how near the kernels
that it is made of come to the card, in norch and, where it is installed, in PyTorch.

    python benchmarks/training.py                          # both tables, on the GPU
    python benchmarks/training.py --table kernels --only norm
    python benchmarks/training.py --compile                # also PyTorch with torch.compile
    python benchmarks/training.py --device cpu             # small sizes: whether everything still runs

Steps are timed one by one, from the first forward launch to the end of the optimizer's last kernel, and the table has the
median; the peak is what the framework's allocator gave out at most. Kernels are timed in blocks by events. PyTorch's AdamW
is its fused one, and neither framework uses TF32 but in the row that says so. `ratio` is norch's time over PyTorch's.
"""

from __future__ import annotations

import argparse
import gc
import re
import statistics
import time
from typing import Any, Callable, Iterator, NamedTuple

import norch
from curves import GPT2_SIZES, RESNET_SIZES, Problem, gpt2, resnet, torch
from kernel_cases import Kernel, kernels


class Step(NamedTuple):
    """A row of the first table: what takes a step, and how many units of work that does."""

    name: str
    make: Callable[[Any, str, bool], Callable[[], Any]]  # framework, device, compiled
    work: int
    unit: str
    block: int = 1  # steps between two synchronizations


def model_step(p: Problem, dtype: str) -> Callable:
    """Forward, backward, clipping and optimizer on one batch that stays on the device."""

    def make(fw: Any, device: str, compiled: bool) -> Callable[[], Any]:
        fw.manual_seed(0)
        model = p.make(fw).to(device)
        x, y = (fw.from_numpy(array).to(device) for array in p.batch(0))
        if p.channels_last:
            model.to(memory_format=fw.channels_last)
            x = x.to(memory_format=fw.channels_last)
        optimizer = p.optimizer(fw, model)
        if fw is torch and device == "cuda" and isinstance(optimizer, torch.optim.AdamW):
            for group in optimizer.param_groups:
                group.update(fused=True, foreach=False)
        runs = fw.compile(model) if compiled else model

        def step() -> None:
            with fw.autocast(device, fw.bfloat16, dtype != "float32"):
                loss = p.loss(fw, runs, x, y)
            optimizer.zero_grad()
            loss.backward()
            if not p.channels_last:
                fw.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
            optimizer.step()

        return step

    return make


def mlp(fw: Any, device: str, capturable: bool) -> Callable[[], Any]:
    nn = fw.nn
    layers = [nn.Linear(784, 256), nn.ReLU(), nn.Linear(256, 128), nn.ReLU(), nn.Linear(128, 10)]
    model = nn.Sequential(*layers).to(device)
    criterion = nn.CrossEntropyLoss()
    optimizer = fw.optim.Adam(model.parameters(), lr=1e-3, capturable=capturable)
    x, y = fw.randn(64, 784, device=device), fw.randint(0, 10, (64,), device=device)

    def step() -> None:
        optimizer.zero_grad()
        criterion(model(x), y).backward()
        optimizer.step()

    return step


def mlp_eager(fw: Any, device: str, compiled: bool) -> Callable[[], Any]:
    step = mlp(fw, device, capturable=False)
    return fw.compile(step) if compiled else step


def mlp_replayed(fw: Any, device: str, compiled: bool) -> Callable[[], Any]:
    step = mlp(fw, device, capturable=True)
    aside = fw.cuda.Stream()
    aside.wait_stream(fw.cuda.current_stream())
    with fw.cuda.stream(aside):
        for _ in range(3):
            step()
    fw.cuda.current_stream().wait_stream(aside)
    graph = fw.cuda.CUDAGraph()
    with fw.cuda.graph(graph):
        step()
    return graph.replay


def steps(device: str) -> Iterator[Step]:
    full = device == "cuda"
    size = "full" if full else "small"
    for batch, dtype in ((32, "bfloat16"), (4, "bfloat16"), (8, "float32")):
        sizes = {**GPT2_SIZES[size], "batch": batch}
        name = f"GPT-2 {'124M' if full else size} B={batch} T={sizes['context']} {dtype}"
        yield Step(name, model_step(gpt2(**sizes), dtype), batch * sizes["context"], "tok")
    sizes = {**RESNET_SIZES[size], "batch": 256 if full else 8}
    name = f"ResNet-{50 if full else 18} B={sizes['batch']} bfloat16 channels-last"
    yield Step(name, model_step(resnet(50 if full else 18, **sizes), "bfloat16"), sizes["batch"], "img")
    yield Step("MLP 784-256-128-10 B=64 Adam", mlp_eager, 64, "img", 50)
    if full:
        yield Step("the same as a CUDA graph", mlp_replayed, 64, "img", 50)


class Measured(NamedTuple):
    seconds: float
    peak: float | None  # GiB


def collect(fw: Any, device: str) -> None:
    gc.collect()
    if device == "cuda":
        fw.cuda.synchronize()
        fw.cuda.empty_cache()
        fw.cuda.reset_peak_memory_stats()


def time_step(row: Step, fw: Any, device: str, compiled: bool, count: int) -> Measured:
    def wait() -> None:
        if device == "cuda":
            fw.cuda.synchronize()

    collect(fw, device)
    step = row.make(fw, device, compiled)
    times = []
    for _ in range(3 + count):
        wait()
        start = time.perf_counter()
        for _ in range(row.block):
            step()
        wait()
        times.append((time.perf_counter() - start) / row.block)
    peak = fw.cuda.max_memory_allocated() / 2**30 if device == "cuda" else None
    del step
    collect(fw, device)
    return Measured(statistics.median(times[3:]), peak)


def tried(what: Callable[[], Any]) -> tuple[Any, str]:
    """What it returns, and why it did not: a row that cannot run must not hide the others."""
    try:
        return what(), ""
    except Exception as error:
        return None, f"{type(error).__name__}: {str(error).splitlines()[0][:160]}"


def step_text(m: Measured | None, row: Step) -> str:
    if m is None:
        return "-"
    shown = f"{m.seconds * 1e3:.2f} ms" if m.seconds >= 1e-3 else f"{m.seconds * 1e6:.0f} us"
    rate = row.work / m.seconds
    shown += f", {rate / 1e3:.0f}k {row.unit}/s" if rate >= 1e4 else f", {rate:.0f} {row.unit}/s"
    return shown if m.peak is None else f"{shown}, {m.peak:.1f} GiB"


def print_steps(device: str, only: str, count: int, compiled: bool) -> None:
    sides: list[tuple[str, Any, bool]] = []
    if torch is not None:
        sides.append(("PyTorch", torch, False))
        if compiled:
            sides.append(("torch.compile", torch, True))
    sides.append(("norch", norch, False))
    line = "| {:<38} |" + " {:>36} |" * len(sides) + " {:>5} |"
    print(line.format("step", *(name for name, _, _ in sides), "ratio"))
    print("| --- |" + " ---: |" * (len(sides) + 1))
    for row in steps(device):
        if not re.search(only, row.name):
            continue
        results = [tried(lambda: time_step(row, fw, device, compile_it, count)) for _, fw, compile_it in sides]
        eager, own = results[0][0], results[-1][0]
        ratio = f"{own.seconds / eager.seconds:.2f}" if torch is not None and own and eager else "-"
        print(line.format(row.name, *(step_text(m, row) for m, _ in results), ratio), flush=True)
        for (name, _, _), (_, why) in zip(sides, results):
            if why:
                print(f"{name}: {why}", flush=True)


def time_kernel(fw: Any, device: str, call: Callable[[], Any], seconds: float) -> float:
    """Median over blocks of the seconds of one call."""
    for _ in range(3):
        call()
    if device != "cuda":
        start = time.perf_counter()
        call()
        return time.perf_counter() - start
    times: list[float] = []
    repeats = 5
    deadline = time.perf_counter() + seconds
    while len(times) < 5 or time.perf_counter() < deadline:
        start, stop = (fw.cuda.Event(enable_timing=True) for _ in range(2))
        start.record()
        for _ in range(repeats):
            call()
        stop.record()
        fw.cuda.synchronize()
        times.append(start.elapsed_time(stop) / 1e3 / repeats)
    return statistics.median(times)


def time_one(fw: Any, device: str, kernel: Kernel, seconds: float) -> float:
    collect(fw, device)
    before = fw.get_float32_matmul_precision()
    fw.set_float32_matmul_precision("high" if kernel.tf32 else "highest")
    try:
        return time_kernel(fw, device, kernel.make(fw, device), seconds)
    finally:
        fw.set_float32_matmul_precision(before)


def kernel_text(seconds: float | None, kernel: Kernel) -> str:
    if seconds is None:
        return "-"
    rate = f"{kernel.bytes / seconds / 1e9:.0f} GB/s" if kernel.bytes else f"{kernel.flops / seconds / 1e12:.0f} TFLOP/s"
    return f"{seconds * 1e6:.0f} us, {rate}"


def print_kernels(device: str, only: str, seconds: float) -> None:
    sides = [norch] if torch is None else [torch, norch]
    line = "| {:<44} |" + " {:>24} |" * len(sides) + " {:>5} | {:>7} |"
    print(line.format("kernel", *("norch" if fw is norch else "PyTorch" for fw in sides), "ratio", "of copy"))
    print("| --- |" + " ---: |" * (len(sides) + 2))
    copy = None
    for kernel in kernels(device):
        if not re.search(only, kernel.name) and not kernel.is_copy:
            continue
        results = [tried(lambda: time_one(fw, device, kernel, seconds)) for fw in sides]
        own = results[-1][0]
        ratio = f"{own / results[0][0]:.2f}" if torch is not None and own and results[0][0] else "-"
        rate = kernel.bytes / own if own and kernel.bytes else None
        copy = rate if kernel.is_copy else copy
        share = f"{100 * rate / copy:.0f} %" if rate and copy else ""
        print(line.format(kernel.name, *(kernel_text(t, kernel) for t, _ in results), ratio, share), flush=True)
        for fw, (_, why) in zip(sides, results):
            if why:
                print(f"{fw.__name__}: {why}", flush=True)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--device", choices=["cuda", "cpu"], default="cuda")
    parser.add_argument("--table", choices=["steps", "kernels"], action="append", help="default: both")
    parser.add_argument("--only", default="", help="regular expression on row names")
    parser.add_argument("--steps", type=int, default=10, help="timed steps per row")
    parser.add_argument("--seconds", type=float, default=0.2, help="time per kernel and framework")
    parser.add_argument("--compile", action="store_true", help="a column for torch.compile")
    options = parser.parse_args()
    names = [f"norch {norch.__version__}"]
    if torch is not None:
        torch.backends.cudnn.allow_tf32 = False
        names.append(f"PyTorch {torch.__version__}")
    print("# " + ", ".join(names + ([norch.cuda.get_device_name()] if options.device == "cuda" else ["CPU"])))
    tables = options.table or ["steps", "kernels"]
    if "steps" in tables:
        print_steps(options.device, options.only, options.steps, options.compile)
    if "kernels" in tables:
        print()
        print_kernels(options.device, options.only, options.seconds)


if __name__ == "__main__":
    main()
