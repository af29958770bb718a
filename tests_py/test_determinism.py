"""Same program, same bits: run after run, and at any number of threads."""

import subprocess
import sys

import pytest

import norch
import norch.nn.functional as F
from norch import nn


def bits(t: norch.Tensor) -> bytes:
    return t.detach().cpu().contiguous()._to_bytes()


def work(device: str) -> list[bytes]:
    """Ops of every kind, large enough to be spread over threads, and a few training steps."""
    norch.manual_seed(7)
    x = norch.randn(300, 1000, device=device)
    results = [
        x.sum(),
        x.sum(0),
        x.sum(1),
        x.mean(),
        x.var(0),
        x.max(1).values,
        x.exp().log1p(),
        x.t().contiguous(),
        x @ x.t(),
        F.softmax(x, 1),
        x.cumsum(1),
        x.sort(1).values,
        F.layer_norm(x, (1000,)),
        x.norm(),
        norch.rand(100_000, device=device),
        norch.randperm(5000, device=device),
    ]
    index = norch.randint(0, 50, (300,), device=device)
    results.append(norch.zeros(50, 1000, device=device).index_add(0, index, x))
    model = nn.Sequential(
        nn.Conv2d(1, 8, 3), nn.BatchNorm2d(8), nn.ReLU(), nn.MaxPool2d(2), nn.Flatten(), nn.Dropout(0.2), nn.Linear(8 * 25, 10)
    ).to(device)
    optimizer = norch.optim.Adam(model.parameters())
    images, labels = norch.randn(64, 1, 12, 12, device=device), norch.randint(0, 10, (64,), device=device)
    for _ in range(3):
        optimizer.zero_grad()
        F.cross_entropy(model(images), labels).backward()
        optimizer.step()
    return [bits(r) for r in results] + [bits(p) for p in model.state_dict().values()]


def test_runs_repeat(device):
    assert work(device) == work(device)


def test_threads_do_not_matter():
    before = norch.get_num_threads()
    try:
        runs = []
        for n in (1, 2, 5):
            norch.set_num_threads(n)
            runs.append(work("cpu"))
    finally:
        norch.set_num_threads(before)
    assert runs[0] == runs[1] == runs[2]


def test_threads_argument():
    with pytest.raises(RuntimeError, match="positive integer"):
        norch.set_num_threads(0)


SEEDED = """
import random
random.seed(1)
import norch
print(norch.rand(3).tolist(), norch.nn.Linear(2, 2).weight.tolist(), random.random())
"""


def test_pythons_seed_makes_a_script_repeatable():
    runs = {subprocess.run([sys.executable, "-c", SEEDED], capture_output=True, text=True, check=True).stdout for _ in range(2)}
    assert len(runs) == 1
    # Python's own numbers go on as if norch were not there.
    plain = subprocess.run(
        [sys.executable, "-c", "import random; random.seed(1); print(random.random())"], capture_output=True, text=True, check=True
    ).stdout
    assert runs.pop().split()[-1] == plain.strip()
