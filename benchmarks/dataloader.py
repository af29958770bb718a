"""How fast DataLoader feeds small samples: batches per second, norch beside PyTorch where that is installed.

    python benchmarks/dataloader.py [--workers 4] [--seconds 2]

Samples: an image [3, 32, 32] and a label, made by a dataset of Python, in batches of 64; and a vector of 16
numbers in batches of 32, where what a batch costs beside its samples shows.
"""

from __future__ import annotations

import argparse
import time
from typing import Any


def dataset_of(module: Any, shape: tuple, n: int) -> Any:
    class Samples(module.utils.data.Dataset):
        def __init__(self) -> None:
            self.x = module.randn(256, *shape)

        def __len__(self) -> int:
            return n

        def __getitem__(self, i: int) -> Any:
            return self.x[i % 256], i % 10

    return Samples()


def batches_per_second(module: Any, shape: tuple, batch: int, workers: int, seconds: float) -> float:
    """The best of the epochs that fit into the time, without starting the workers."""
    data = dataset_of(module, shape, batch * 400)
    loader = module.utils.data.DataLoader(
        data, batch_size=batch, shuffle=True, num_workers=workers, persistent_workers=workers > 0
    )
    for _ in loader:
        pass
    best, end = 0.0, time.perf_counter() + seconds
    while time.perf_counter() < end:
        start = time.perf_counter()
        for x, _ in loader:
            x.shape  # noqa: B018
        best = max(best, len(loader) / (time.perf_counter() - start))
    return best


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--workers", type=int, nargs="+", default=[0, 1, 4])
    parser.add_argument("--seconds", type=float, default=2.0)
    options = parser.parse_args()
    import norch

    modules = {"norch": norch}
    try:
        import torch
        import torch.utils.data

        modules["torch"] = torch
    except ImportError:
        pass
    print(f"{'samples':14} {'workers':>7} " + " ".join(f"{name + ' batches/s':>18}" for name in modules))
    for label, shape, batch in (("[3, 32, 32]", (3, 32, 32), 64), ("[16]", (16,), 32)):
        for workers in options.workers:
            rates = [batches_per_second(m, shape, batch, workers, options.seconds) for m in modules.values()]
            print(f"{label:14} {workers:7} " + " ".join(f"{r:18.0f}" for r in rates), flush=True)


if __name__ == "__main__":
    main()
