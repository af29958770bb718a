"""Times norch beside PyTorch in one run.

    python benchmarks/run.py                      # on the CPU
    python benchmarks/run.py --device cuda
    python benchmarks/run.py --only 'seed|mlp'    # rows whose name matches
    python benchmarks/run.py --markdown           # a table to commit

Each row is one piece of work, written once and run with both frameworks. Blocks of it alternate between the two, so
that what else the machine does hits both; the figures are medians over the blocks, each after a short rest and a
warm-up. `ratio` is norch's time over PyTorch's: below 1 norch is faster. On the GPU a block ends with a
synchronisation, and rows that mainly move memory also show their share of the copy bandwidth measured in the same run.
PyTorch is kept from TF32, its default for float32 convolutions: norch computes float32 with all its digits. Without
PyTorch only norch is timed."""

from __future__ import annotations

import argparse
import platform
import re
import statistics
import sys
import time
from typing import Any, Callable, NamedTuple

try:
    import torch
except ImportError:
    torch = None

import norch

import cases

SETTLE = 0.02  # seconds
clock = time.perf_counter


class Result(NamedTuple):
    name: str
    norch: float  # seconds
    torch: float | None
    bytes: int | None


def synchronize(framework: Any, device: str) -> None:
    if device == "cuda":
        framework.cuda.synchronize()


def block_time(work: Callable[[], Any], repeats: int, framework: Any, device: str) -> float:
    start = clock()
    for _ in range(repeats):
        work()
    synchronize(framework, device)
    return (clock() - start) / repeats


def use_cpu_time() -> None:
    """From now on `measure` takes the CPU time of this thread: for one thread, on a machine that others use too."""
    global clock, SETTLE
    clock, SETTLE = time.thread_time, 0.0


def measure(name: str, make: Callable, size: int | None, device: str, seconds: float) -> Result:
    """Alternates blocks of about `seconds` / 20 until `seconds` have gone by for each framework."""
    sides = [(norch, make(norch, device))]
    if torch is not None:
        sides.append((torch, make(torch, device)))
    repeats = []
    for framework, work in sides:
        work()
        synchronize(framework, device)
        once = block_time(work, 3, framework, device)
        repeats.append(max(1, min(10000, int(seconds / 20 / max(once, 1e-9)))))
    times: list[list[float]] = [[] for _ in sides]
    deadline = clock() + seconds * len(sides)
    while len(times[0]) < 5 or clock() < deadline:
        for i, (framework, work) in enumerate(sides):
            # Idle threads of the other framework spin (PyTorch's for up to 10 ms) and would take part of the cores.
            time.sleep(SETTLE)
            block_time(work, 1 + repeats[i] // 10, framework, device)
            times[i].append(block_time(work, repeats[i], framework, device))
    medians = [statistics.median(t) for t in times]
    return Result(name, medians[0], medians[1] if len(medians) > 1 else None, size)


def text(seconds: float | None) -> str:
    if seconds is None:
        return "-"
    for unit, factor in (("ns", 1e9), ("us", 1e6), ("ms", 1e3)):
        if seconds * factor < 1000:
            return f"{seconds * factor:.3g} {unit}" if seconds * factor < 100 else f"{seconds * factor:.0f} {unit}"
    return f"{seconds:.2f} s"


def header(device: str) -> str:
    parts = [f"norch {norch.__version__}"]
    if torch is not None:
        parts.append(f"PyTorch {torch.__version__} without TF32")
    parts.append(f"Python {platform.python_version()}")
    if device == "cuda":
        parts.append(norch.cuda.get_device_name())
    else:
        model = platform.processor() or platform.machine()
        try:
            with open("/proc/cpuinfo") as f:
                model = next((line.split(":")[1].strip() for line in f if line.startswith("model name")), model)
        except OSError:
            pass
        parts.append(f"{model}, {norch.get_num_threads()} threads")
    return ", ".join(parts)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--device", default="cpu", choices=["cpu", "cuda"])
    parser.add_argument("--only", default="", help="regular expression on row names")
    parser.add_argument("--seconds", type=float, default=0.5, help="time per row and framework")
    parser.add_argument("--threads", type=int, help="CPU threads for both")
    parser.add_argument("--markdown", action="store_true")
    options = parser.parse_args()
    if options.threads:
        norch.set_num_threads(options.threads)
    if torch is not None:
        torch.set_num_threads(norch.get_num_threads())
        torch.backends.cudnn.allow_tf32 = torch.backends.cuda.matmul.allow_tf32 = False

    print(f"# {header(options.device)}")
    print(f"# python {' '.join(sys.argv)}")
    row = "| {:<34} | {:>9} | {:>9} | {:>6} | {:>10} |" if options.markdown else "{:<34} {:>9} {:>9} {:>6} {:>10}"
    print(row.format("work", "norch", "PyTorch", "ratio", "bandwidth"))
    if options.markdown:
        print("| --- | ---: | ---: | ---: | ---: |")
    copy_bandwidth = None
    for name, make, size in cases.all_cases(options.device):
        is_copy = name == "copy 1 GiB"
        if not re.search(options.only, name) and not is_copy:
            continue
        try:
            result = measure(name, make, size, options.device, options.seconds)
        except Exception as error:  # a row that one framework cannot run must not hide the others
            print(f"{name:<34} failed: {type(error).__name__}: {error}")
            continue
        bandwidth = ""
        if size and options.device == "cuda":
            rate = size / result.norch
            if is_copy:
                copy_bandwidth = rate
            bandwidth = f"{rate / 1e9:.0f} GB/s" if not copy_bandwidth else f"{100 * rate / copy_bandwidth:.0f} %"
            if is_copy:
                bandwidth = f"{rate / 1e9:.0f} GB/s"
        ratio = f"{result.norch / result.torch:.2f}" if result.torch else "-"
        print(row.format(name, text(result.norch), text(result.torch), ratio, bandwidth), flush=True)


if __name__ == "__main__":
    main()
