"""Where the time of one GPT-2 124M training step goes, kernel by kernel, and how near each kind of work is to what the card
can do.

    python benchmarks/profile_gpt2.py                # B=32 T=1024 under bfloat16 autocast
    python benchmarks/profile_gpt2.py --batch 4
    python benchmarks/profile_gpt2.py --kernels 30   # also the kernels by name

The work of a row is what it must compute or move at least, by the model's sizes: the floating-point operations of the
products, or the bytes of the tensors that an eager step reads and writes there, each once. Its floor is that work at the
speed of a bfloat16 product of 8192 x 8192 matrices, or of a copy of 1 GiB (reads and writes counted), both measured in the
same run. The step is profiled after five others.
"""

from __future__ import annotations

import argparse
import re
from typing import Callable, NamedTuple

import norch
from curves import GPT2_SIZES, gpt2
from norch.profiler import ProfilerActivity, profile
from training import model_step, time_kernel


class Entry(NamedTuple):
    """A kind of work: the kernels that do it and the operations that start them, by regular expressions on their names,
    and its floating-point operations or bytes."""

    name: str
    kernel: str
    operation: str = ""
    flops: float = 0
    bytes: float = 0


def entries(layers: int, width: int, tokens: int, context: int, batch: int, parameters: int, **_: int) -> list[Entry]:
    """The first entry that fits a kernel has it."""
    n = batch * context
    weights = 12 * layers * width**2 + tokens * width  # of the products
    product = r"nvjet|gemm|cutlass|splitKreduce"
    attention = 2 * n * context * width * layers  # two products of which causality leaves one half
    return [
        Entry("attention, forward", "fprop|attention.*forward", flops=attention),
        Entry("attention, backward", "bprop|matmul_dq|compute_dot_do_o|attention", flops=2.5 * attention),
        Entry("products, forward", product, "aten::", flops=2 * n * weights),
        Entry("products, backward", product, flops=4 * n * weights),
        Entry("layer_norm, forward", "forward_kernel", "layer_norm", bytes=(2 * layers + 1) * n * width * (4 + 4 + 2)),
        Entry("layer_norm, backward", "backward_kernel|join_parts", bytes=(2 * layers + 1) * n * width * (2 + 4 + 4 + 4 + 2)),
        Entry("GELU, forward", "ValueOf.*Gelu", bytes=layers * n * 4 * width * (2 + 2)),
        Entry("GELU, backward", "GradientOf.*Gelu", bytes=layers * n * 4 * width * (2 + 2 + 2)),
        # Of queries, keys and values together; the others are summed where their gradients are made.
        Entry("bias gradients", "columns_kernel|parts_kernel", bytes=layers * n * 3 * width * 2),
        Entry("residual sums", "baseline::Add", bytes=2 * layers * n * width * (4 + 2 + 4)),
        Entry("cross-entropy, forward", "class_loss::forward", bytes=n * tokens * 2),
        Entry("cross-entropy, backward", "class_loss::backward", bytes=n * tokens * (2 + 2)),
        Entry("AdamW", "AdamStep", bytes=parameters * 28),
        Entry("norm of the gradients", "norm_kernel", bytes=parameters * 4),
        Entry(
            "weights to bfloat16",
            "narrow_kernel|Convert<norch::BFloat16, float|Convert<float, norch::BFloat16",
            "aten::",
            bytes=weights * 6,
        ),
        Entry("gradients to float32", "Convert<", bytes=weights * 6),
        Entry("everything else", ""),
    ]


def speeds() -> tuple[float, float]:
    """FLOP/s of a product and bytes/s of a copy."""
    a = norch.randn(8192, 8192, device="cuda").bfloat16()
    product = time_kernel(norch, "cuda", lambda: a @ a, 0.2)
    source = norch.zeros(1 << 28, device="cuda")
    target = norch.empty_like(source)
    return 2 * 8192**3 / product, 2 * source.nbytes / time_kernel(norch, "cuda", lambda: target.copy_(source), 0.2)


def launches(step: Callable[[], None]) -> list[tuple[str, str, float]]:
    """The kernels of a step: their operations' names, their own, and their microseconds."""
    for _ in range(5):
        step()
    norch.cuda.synchronize()
    with profile(activities=[ProfilerActivity.CPU, ProfilerActivity.CUDA]) as recorded:
        step()
        norch.cuda.synchronize()
    return [(event.name, kernel.name, kernel.duration) for event in recorded.events() for kernel in event.kernels]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--batch", type=int, default=32)
    parser.add_argument("--kernels", type=int, default=0, help="how many kernels to list by name")
    options = parser.parse_args()

    sizes = {**GPT2_SIZES["full"], "batch": options.batch}
    problem = gpt2(**sizes)
    flops, bandwidth = speeds()
    run = launches(model_step(problem, "bfloat16")(norch, "cuda", False))
    total = sum(time for *_, time in run)
    kinds = entries(parameters=sum(p.numel() for p in problem.make(norch).parameters()), **sizes)
    print(f"norch {norch.__version__}, {norch.cuda.get_device_name()}: GPT-2 124M B={options.batch} T={sizes['context']} bfloat16")
    print(f"{total / 1e3:.2f} ms in {len(run)} kernels; a product {flops / 1e12:.0f} TFLOP/s, a copy {bandwidth / 1e9:.0f} GB/s\n")
    line = "| {:<24} | {:>8} | {:>9} | {:>7} | {:>13} | {:>9} | {:>5} |"
    print(line.format("work", "launches", "time", "share", "achieved", "floor", "ratio"))
    print("| --- |" + " ---: |" * 6)
    rest = run
    for kind in kinds:
        fits = [r for r in rest if re.search(kind.kernel, r[1]) and re.search(kind.operation, r[0])]
        rest = [r for r in rest if r not in fits]
        time = sum(t for *_, t in fits)
        if not time:
            continue
        work = kind.flops or kind.bytes
        floor = 1e6 * (kind.flops / flops + kind.bytes / bandwidth)
        rate = f"{work / time / 1e6:.0f} TFLOP/s" if kind.flops else f"{work / time / 1e3:.0f} GB/s"
        known = (rate, f"{floor / 1e3:.2f} ms", f"{time / floor:.2f}") if work else ("", "", "")
        print(line.format(kind.name, len(fits), f"{time / 1e3:.2f} ms", f"{100 * time / total:.1f} %", *known))
    by_name: dict[str, list[float]] = {}
    for _, name, time in run:
        by_name.setdefault(name, []).append(time)
    for name, times in sorted(by_name.items(), key=lambda item: -sum(item[1]))[: options.kernels]:
        print(f"{sum(times) / 1e3:9.3f} ms {len(times):5} x  {name[:150]}")


if __name__ == "__main__":
    main()
