"""How long a training step of the models in examples/ takes, in norch and, where it is installed, in PyTorch.

    python benchmarks/steps.py                                               # small models, for the CPU
    python benchmarks/steps.py --size full --device cuda --dtype bfloat16    # GPT-2 124M, ResNet-50 at 224 x 224

The steps of the two frameworks alternate; the table has the median of each part. On a machine that others use too,
--cpu-time counts the processor's time of one thread instead.
"""

from __future__ import annotations

import argparse
import time
from typing import Any, Callable

import numpy as np

import norch
from curves import Problem, problem, torch

PARTS = ["forward", "backward", "clipping", "optimizer"]


def stepper(p: Problem, framework: Any, initial: dict, dtype: str, device: str, clock: Callable) -> Callable:
    """A function that takes a step and returns the seconds of each part."""
    model = p.make(framework)
    model.load_state_dict({name: framework.from_numpy(value.copy()) for name, value in initial.items()})
    model.to(device)
    x, y = (framework.from_numpy(array).to(device) for array in p.batch(0))
    if p.channels_last:
        model.to(memory_format=framework.channels_last)
        x = x.to(memory_format=framework.channels_last)
    optimizer = p.optimizer(framework, model)

    def now() -> float:
        if device == "cuda":
            framework.cuda.synchronize()
        return clock()

    def step() -> np.ndarray:
        times = [now()]
        with framework.autocast(device, framework.bfloat16, dtype != "float32"):
            loss = p.loss(framework, model, x, y)
        times.append(now())
        optimizer.zero_grad()
        loss.backward()
        times.append(now())
        framework.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        times.append(now())
        optimizer.step()
        times.append(now())
        return np.diff(times)

    return step


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    names = ["gpt2", "resnet18", "resnet50"]
    parser.add_argument("--model", choices=names, action="append", help="may be repeated; default: all")
    parser.add_argument("--dtype", choices=["float32", "bfloat16"], default="float32")
    parser.add_argument("--size", choices=["small", "full"], default="small")
    parser.add_argument("--device", choices=["cpu", "cuda"], default="cpu")
    parser.add_argument("--steps", type=int, default=10)
    parser.add_argument("--cpu-time", action="store_true")
    options = parser.parse_args()
    frameworks = [norch] if torch is None else [norch, torch]
    if options.cpu_time:
        for framework in frameworks:
            framework.set_num_threads(1)
    clock = time.process_time if options.cpu_time else time.perf_counter
    print(f"# {options.size} models, {options.dtype}, {options.device}, {norch.get_num_threads()} threads; milliseconds")
    print("| model | part | " + " | ".join(f.__name__ for f in frameworks) + (" | ratio |" if torch else " |"))
    print("| --- | --- |" + " ---: |" * (len(frameworks) + (torch is not None)))
    for name in options.model or names:
        p = problem(name, options.size)
        norch.manual_seed(0)
        initial = {key: t.numpy().copy() for key, t in p.make(norch).state_dict().items()}
        steppers = [stepper(p, f, initial, options.dtype, options.device, clock) for f in frameworks]
        times = np.array([[step() for step in steppers] for _ in range(2 + options.steps)])[2:] * 1e3
        parts = np.median(np.concatenate([times, times.sum(-1, keepdims=True)], -1), 0)  # frameworks x parts
        for part, row in zip([*PARTS, "step"], parts.T):
            ratio = f" {row[0] / row[1]:.2f} |" if torch else ""
            print(f"| {name} | {part} | " + " | ".join(f"{value:.2f}" for value in row) + f" |{ratio}", flush=True)


if __name__ == "__main__":
    main()
