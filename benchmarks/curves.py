"""Whether the models in examples/ train as they do in PyTorch, and twice to the same bits.

    python benchmarks/curves.py                              # small models, for the CPU
    python benchmarks/curves.py --size full --device cuda    # GPT-2 124M, ResNet-50 at 224 x 224
    python benchmarks/curves.py --model gpt2 --dtype float32 --verbose

From the same initial weights and on the same batches, each model takes 50 steps in float32 and under bfloat16
autocast, in norch and, where it is installed, in PyTorch: with the same source, in which `norch` then means PyTorch.
The learning rate rises linearly over the steps, as in the examples: at its full height from the first step on
(`--warmup 1`) a ResNet enlarges rounding so much that PyTorch on CUDA differs from itself by more than the limit.
The table has the largest relative difference of the losses, the step it is at, and the largest difference between two
runs of PyTorch, some of whose CUDA kernels add in no fixed order. Then norch takes 20 steps twice: all losses and all
weights must have the same bits. The exit status says whether everything is within its limit.
"""

from __future__ import annotations

import argparse
import re
import sys
import types
from pathlib import Path
from typing import Any, Callable, NamedTuple

import numpy as np

try:
    import torch
except ImportError:
    torch = None

import norch

EXAMPLES = Path(__file__).resolve().parent.parent / "examples"
LIMITS = {"float32": 1e-3, "bfloat16": 2e-2}  # relative, at every step
GPT2_SIZES = {
    "small": {"layers": 4, "heads": 4, "width": 128, "tokens": 512, "context": 64, "batch": 4},
    "full": {"layers": 12, "heads": 12, "width": 768, "tokens": 50304, "context": 1024, "batch": 4},
}
RESNET_SIZES = {
    "small": {"width": 16, "image": 64, "classes": 10, "batch": 16},
    "full": {"width": 64, "image": 224, "classes": 1000, "batch": 64},
}


class Problem(NamedTuple):
    """A model to train: how to make it and its optimizer, its loss on a batch, and a batch for each step."""

    make: Callable[[Any], Any]
    optimizer: Callable[[Any, Any], Any]
    loss: Callable[[Any, Any, Any, Any], Any]
    batch: Callable[[int], tuple[np.ndarray, np.ndarray]]
    channels_last: bool


class Curve(NamedTuple):
    losses: np.ndarray
    weights: dict[str, np.ndarray]


def source(name: str, framework: Any) -> types.ModuleType:
    """examples/<name>/model.py, in which `norch` is the framework."""
    path = EXAMPLES / name / "model.py"
    module = types.ModuleType(f"{name}_in_{framework.__name__}")
    sys.modules[module.__name__] = module  # dataclasses look their module up
    text = re.sub(r"\bnorch\b", framework.__name__, path.read_text())
    exec(compile(text, str(path), "exec"), module.__dict__)
    return module


def gpt2(layers: int, heads: int, width: int, tokens: int, context: int, batch: int) -> Problem:
    def make(framework: Any) -> Any:
        module = source("gpt2", framework)
        return module.GPT2(module.Config(layers, heads, width, tokens, context))

    def optimizer(framework: Any, model: Any) -> Any:
        matrices = [p for p in model.parameters() if p.dim() >= 2]
        rest = [p for p in model.parameters() if p.dim() < 2]
        groups = [{"params": matrices, "weight_decay": 0.1}, {"params": rest, "weight_decay": 0.0}]
        return framework.optim.AdamW(groups, lr=6e-4, betas=(0.9, 0.95))

    def tokens_of(step: int) -> tuple[np.ndarray, np.ndarray]:
        """Few tokens are frequent and many are rare, so that there is something to learn at once."""
        rank = np.random.default_rng(step).uniform(0, np.log(tokens), (batch, context + 1))
        sequence = np.exp(rank).astype(np.int64).clip(0, tokens - 1)
        return sequence[:, :-1].copy(), sequence[:, 1:].copy()

    return Problem(make, optimizer, lambda framework, model, x, y: model(x, y), tokens_of, channels_last=False)


def resnet(depth: int, width: int, image: int, classes: int, batch: int) -> Problem:
    def loss(framework: Any, model: Any, x: Any, y: Any) -> Any:
        return framework.nn.functional.cross_entropy(model(x), y)

    def optimizer(framework: Any, model: Any) -> Any:
        return framework.optim.SGD(model.parameters(), lr=0.1 * batch / 256, momentum=0.9, weight_decay=1e-4)

    patterns = np.random.default_rng(0).normal(size=(min(classes, 10), 3, image, image)).astype(np.float32)

    def images(step: int) -> tuple[np.ndarray, np.ndarray]:
        generator = np.random.default_rng(1 + step)
        labels = generator.integers(0, len(patterns), batch)
        noise = generator.standard_normal((batch, 3, image, image), dtype=np.float32)
        return patterns[labels] + noise, labels

    def make(framework: Any) -> Any:
        return getattr(source("resnet", framework), f"resnet{depth}")(classes, width)

    return Problem(make, optimizer, loss, images, channels_last=True)


def problem(model: str, size: str) -> Problem:
    return gpt2(**GPT2_SIZES[size]) if model == "gpt2" else resnet(int(model[6:]), **RESNET_SIZES[size])


def train(p: Problem, framework: Any, initial: dict, dtype: str, device: str, warmup: int, steps: int) -> Curve:
    """Takes `steps` steps from the weights `initial`; step `warmup` is the first at the full learning rate."""
    model = p.make(framework)
    model.load_state_dict({name: framework.from_numpy(value.copy()) for name, value in initial.items()})
    model.to(device)
    if p.channels_last:
        model.to(memory_format=framework.channels_last)
    optimizer = p.optimizer(framework, model)
    schedule = framework.optim.lr_scheduler.LambdaLR(optimizer, lambda step: min(1.0, (step + 1) / warmup))
    losses = []
    for step in range(steps):
        x, y = (framework.from_numpy(array).to(device) for array in p.batch(step))
        if p.channels_last:
            x = x.to(memory_format=framework.channels_last)
        with framework.autocast(device, framework.bfloat16, dtype != "float32"):
            loss = p.loss(framework, model, x, y)
        optimizer.zero_grad()
        loss.backward()
        framework.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step()
        schedule.step()
        losses.append(loss.detach())
    values = np.array([value.item() for value in losses])
    return Curve(values, {name: t.detach().cpu().numpy() for name, t in model.state_dict().items()})


def differences(losses: np.ndarray, expected: np.ndarray) -> np.ndarray:
    """Relative, of each step; not finite losses differ by infinity."""
    relative = np.abs(losses - expected) / np.abs(expected)
    return np.where(np.isfinite(relative), relative, np.inf)


def same_bits(a: Curve, b: Curve) -> bool:
    arrays = [(a.losses, b.losses), *((a.weights[name], b.weights[name]) for name in a.weights)]
    return all(x.tobytes() == y.tobytes() for x, y in arrays)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    names = ["gpt2", "resnet18", "resnet50"]
    parser.add_argument("--model", choices=names, action="append", help="may be repeated; default: all")
    parser.add_argument("--dtype", choices=list(LIMITS), action="append", help="may be repeated; default: all")
    parser.add_argument("--size", choices=["small", "full"], default="small")
    parser.add_argument("--device", choices=["cpu", "cuda"], default="cpu")
    parser.add_argument("--steps", type=int, default=50)
    parser.add_argument("--warmup", type=int, default=50, help="steps until the full learning rate")
    parser.add_argument("--repeat-steps", type=int, default=20, help="of the two runs that are compared by bits")
    parser.add_argument("--verbose", action="store_true", help="print the losses of every step")
    options = parser.parse_args()
    if torch is not None:
        torch.backends.cudnn.allow_tf32 = torch.backends.cuda.matmul.allow_tf32 = False
        print(f"# norch {norch.__version__} beside PyTorch {torch.__version__}, {options.size} models, {options.device}")
    else:
        print(f"# norch {norch.__version__}, {options.size} models, {options.device}; no PyTorch to compare with")
    row = "| {:<9} | {:<8} | {:>14} | {:>18} | {:>4} | {:>6} | {:<6} | {:>13} | {:<9} |"
    heads = ["model", "dtype", "loss", "largest difference", "step", "limit", "within", "PyTorch again", "same bits"]
    print(row.format(*heads))
    print("| --- | --- | ---: | ---: | ---: | ---: | --- | ---: | --- |")
    failed = False
    for model in options.model or names:
        p = problem(model, options.size)
        norch.manual_seed(0)
        initial = {name: t.numpy().copy() for name, t in p.make(norch).state_dict().items()}
        for dtype in options.dtype or list(LIMITS):
            run = [initial, dtype, options.device, options.warmup]
            losses = train(p, norch, *run, options.steps).losses
            beside_pytorch = ["-", "-", f"{LIMITS[dtype]:g}", "-", "-"]
            if torch is not None:
                expected, again = (train(p, torch, *run, options.steps).losses for _ in range(2))
                relative = differences(losses, expected)
                largest = relative.max()
                good = largest <= LIMITS[dtype]
                failed |= not good
                beside_pytorch[:2] = f"{largest:.1e}", str(relative.argmax() + 1)
                beside_pytorch[3:] = "yes" if good else "NO", f"{differences(again, expected).max():.1e}"
                if options.verbose:
                    for n, pair in enumerate(zip(losses, expected), 1):
                        print(f"step {n:>3}: norch {pair[0]:.6f}, PyTorch {pair[1]:.6f}")
            repeated = same_bits(*(train(p, norch, *run, options.repeat_steps) for _ in range(2)))
            failed |= not repeated
            course = f"{losses[0]:.3f} -> {losses[-1]:.3f}"
            bits = "yes" if repeated else "NO"
            print(row.format(model, dtype, course, *beside_pytorch, bits), flush=True)
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
