"""The pieces of work that run.py times. Each is written once, for norch and PyTorch alike: `fw` is the module."""

from __future__ import annotations

import math
from typing import Any, Callable, Iterator

Case = tuple[str, Callable[[Any, str], Callable[[], Any]], int | None]


def copy_large(fw: Any, device: str) -> Callable[[], Any]:
    source = fw.ones(1 << 27, device=device)
    target = fw.zeros(1 << 27, device=device)
    return lambda: target.copy_(source)


def seed_step(fw: Any, device: str) -> Callable[[], Any]:
    """One step of the seed's training program, data included."""
    nn = fw.nn

    class MyModel(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.fc1 = nn.Linear(1, 10)
            self.sigmoid = nn.Sigmoid()
            self.fc2 = nn.Linear(10, 1)

        def forward(self, x: Any) -> Any:
            return self.fc2(self.sigmoid(self.fc1(x)))

    model = MyModel().to(device)
    criterion = nn.MSELoss()
    optimizer = fw.optim.SGD(model.parameters(), lr=0.001)
    value = [[math.sin(0.4) ** 2]]

    def step() -> None:
        x = fw.Tensor([[0.4]]).T.to(device)
        target = fw.Tensor(value).T.to(device)
        loss = criterion(model(x), target)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()

    return step


def small_mul(fw: Any, device: str) -> Callable[[], Any]:
    """Forward and backward of a multiplication of 8 elements."""
    a = fw.ones(8, device=device, requires_grad=True)
    b = fw.ones(8, device=device, requires_grad=True)
    g = fw.ones(8, device=device)

    def step() -> None:
        (a * b).backward(g)
        a.grad = b.grad = None

    return step


def mlp_step(fw: Any, device: str) -> Callable[[], Any]:
    nn = fw.nn
    model = nn.Sequential(nn.Linear(784, 256), nn.ReLU(), nn.Linear(256, 128), nn.ReLU(), nn.Linear(128, 10)).to(device)
    criterion = nn.CrossEntropyLoss()
    optimizer = fw.optim.Adam(model.parameters(), lr=1e-3)
    x = fw.randn(64, 784, device=device)
    y = fw.randint(0, 10, (64,), device=device)

    def step() -> None:
        optimizer.zero_grad()
        loss = criterion(model(x), y)
        loss.backward()
        optimizer.step()

    return step


def unary(name: str, n: int) -> Callable:
    def make(fw: Any, device: str) -> Callable[[], Any]:
        x = fw.rand(n, device=device) + 0.1
        f = getattr(fw, name, None) or getattr(fw.nn.functional, name)
        return lambda: f(x)

    return make


def binary(name: str, n: int) -> Callable:
    def make(fw: Any, device: str) -> Callable[[], Any]:
        a, b = fw.rand(n, device=device) + 0.1, fw.rand(n, device=device) + 0.1
        f = getattr(fw, name)
        return lambda: f(a, b)

    return make


def bias_add(rows: int, columns: int) -> Callable:
    def make(fw: Any, device: str) -> Callable[[], Any]:
        a, b = fw.rand(rows, columns, device=device), fw.rand(columns, device=device)
        return lambda: a + b

    return make


def reduction(name: str, shape: tuple[int, ...], dim: int | None) -> Callable:
    def make(fw: Any, device: str) -> Callable[[], Any]:
        x = fw.rand(*shape, device=device)
        f = getattr(fw, name)
        return (lambda: f(x)) if dim is None else (lambda: f(x, dim))

    return make


def transpose_copy(rows: int, columns: int) -> Callable:
    def make(fw: Any, device: str) -> Callable[[], Any]:
        x = fw.rand(rows, columns, device=device).t()
        return lambda: x.contiguous()

    return make


def strided_copy(rows: int, columns: int) -> Callable:
    """Rows with gaps between them."""

    def make(fw: Any, device: str) -> Callable[[], Any]:
        x = fw.rand(rows, columns + 64, device=device)[:, :columns]
        return lambda: x.contiguous()

    return make


def matmul(n: int, dtype: str = "float32") -> Callable:
    def make(fw: Any, device: str) -> Callable[[], Any]:
        a = fw.rand(n, n, device=device).to(getattr(fw, dtype))
        b = fw.rand(n, n, device=device).to(getattr(fw, dtype))
        return lambda: a @ b

    return make


def conv(batch: int, channels: int, size: int, backward: bool) -> Callable:
    def make(fw: Any, device: str) -> Callable[[], Any]:
        x = fw.rand(batch, channels, size, size, device=device)
        layer = fw.nn.Conv2d(channels, channels, 3, padding=1).to(device)
        if not backward:

            def forward() -> Any:
                with fw.no_grad():
                    return layer(x)

            return forward
        x.requires_grad_()
        g = fw.rand(batch, channels, size, size, device=device)

        def step() -> None:
            layer(x).backward(g)
            x.grad = None
            for p in layer.parameters():
                p.grad = None

        return step

    return make


def attention(batch: int, heads: int, length: int, dtype: str, backward: bool) -> Callable:
    """Causal, heads of 64, laid out as a linear layer gives them."""

    def make(fw: Any, device: str) -> Callable[[], Any]:
        shape = (batch, length, heads, 64)
        qkv = [fw.randn(*shape, device=device, dtype=getattr(fw, dtype)).transpose(1, 2) for _ in range(3)]
        g = fw.ones_like(qkv[0])
        for t in qkv:
            t.requires_grad_(backward)

        def step() -> None:
            y = fw.nn.functional.scaled_dot_product_attention(*qkv, is_causal=True)
            if backward:
                y.backward(g)
                for t in qkv:
                    t.grad = None

        return step

    return make


def all_cases(device: str) -> Iterator[Case]:
    gpu = device == "cuda"
    if gpu:
        yield "copy 1 GiB", copy_large, 2 << 29
    yield "seed's training step", seed_step, None
    yield "small mul, forward and backward", small_mul, None
    yield "MLP 784-256-128-10 B=64 Adam step", mlp_step, None

    sizes = [1_000, 100_000, 100_000_000] if gpu else [1_000, 100_000, 10_000_000]
    for n in sizes:
        tag = f"{n:.0e}".replace("e+0", "e")
        large = n >= 10_000_000
        for name in ("add", "mul", "div"):
            yield f"{name} {tag}", binary(name, n), 12 * n if large else None
        for name in ("exp", "log", "tanh", "sigmoid", "sqrt", "relu", "gelu"):
            yield f"{name} {tag}", unary(name, n), 8 * n if large else None
        for name in ("sum", "max"):
            yield f"{name} {tag}", reduction(name, (n,), None), 4 * n if large else None
    rows, columns = (262_144, 1_024) if gpu else (10_000, 1_000)
    n = rows * columns
    yield f"add row {rows}x{columns}", bias_add(rows, columns), 8 * n
    for dim in (0, 1):
        yield f"sum dim {dim} {rows}x{columns}", reduction("sum", (rows, columns), dim), 4 * n
        yield f"mean dim {dim} {rows}x{columns}", reduction("mean", (rows, columns), dim), 4 * n
        yield f"amax dim {dim} {rows}x{columns}", reduction("amax", (rows, columns), dim), 4 * n
    for r, c in ((32, 32), (128, 1_000), (rows, columns)):
        yield f"softmax {r}x{c}", reduction("softmax", (r, c), 1), 8 * r * c if (r, c) == (rows, columns) else None
    yield f"transpose copy {rows}x{columns}", transpose_copy(rows, columns), 8 * n
    yield f"strided copy {rows}x{columns}", strided_copy(rows, columns), 8 * n

    for n in (64, 128, 512, 1024, 4096 if gpu else 2048):
        yield f"matmul {n}", matmul(n), None
    if gpu:
        yield "matmul 8192 bfloat16", matmul(8192, "bfloat16"), None
    batch = 64 if gpu else 8
    yield f"conv 3x3 64->64 56x56 B={batch}", conv(batch, 64, 56, False), None
    yield f"conv 3x3 64->64 56x56 B={batch} both ways", conv(batch, 64, 56, True), None
    case = (16, 16, 4096, "bfloat16") if gpu else (1, 12, 1024, "float32")
    yield "attention B={} H={} T={} {}".format(*case), attention(*case, False), None
    yield "attention B={} H={} T={} {} both ways".format(*case), attention(*case, True), None
