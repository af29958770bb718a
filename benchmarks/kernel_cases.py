"""The kernels that training.py times, with the bytes that they must move or the operations that they must do. Each is
written once, for norch and PyTorch alike: `fw` is the module."""

from __future__ import annotations

from typing import Any, Callable, Iterator, NamedTuple


class Kernel(NamedTuple):
    """`bytes` counts every tensor that must be read or written once; without it, `flops` counts operations."""

    name: str
    make: Callable[[Any, str], Callable[[], Any]]
    bytes: int = 0
    flops: int = 0
    is_copy: bool = False
    tf32: bool = False


def normal(fw: Any, device: str, *shape: int, dtype: str = "bfloat16") -> Any:
    return fw.randn(*shape, device=device).to(getattr(fw, dtype))


def backward_of(fw: Any, f: Callable, inputs: list) -> Callable[[], Any]:
    """The backward alone of f(*inputs)."""
    inputs = [x.detach().requires_grad_() for x in inputs]
    y = f(*inputs)
    g = fw.randn_like(y)
    return lambda: fw.autograd.grad(y, inputs, g, retain_graph=True)


def copy(n: int) -> Callable:
    def make(fw: Any, device: str) -> Callable[[], Any]:
        source, target = fw.ones(n, device=device), fw.zeros(n, device=device)
        return lambda: target.copy_(source)

    return make


def transpose(rows: int, columns: int) -> Callable:
    def make(fw: Any, device: str) -> Callable[[], Any]:
        x = normal(fw, device, rows, columns, dtype="float32").t()
        return lambda: x.contiguous()

    return make


def layer_norm(rows: int, n: int, backward: bool) -> Callable:
    def make(fw: Any, device: str) -> Callable[[], Any]:
        x, w, b = normal(fw, device, rows, n), normal(fw, device, n), normal(fw, device, n)

        def f(x: Any, w: Any, b: Any) -> Any:
            return fw.nn.functional.layer_norm(x, [n], w, b)

        return backward_of(fw, f, [x, w, b]) if backward else lambda: f(x, w, b)

    return make


def cross_entropy(rows: int, classes: int) -> Callable:
    def make(fw: Any, device: str) -> Callable[[], Any]:
        x = normal(fw, device, rows, classes).requires_grad_()
        y = fw.randint(0, classes, (rows,), device=device)
        return lambda: fw.autograd.grad(fw.nn.functional.cross_entropy(x, y), x)

    return make


def elementwise(f: Callable[[Any, Any], Any], *shape: int, dtype: str = "bfloat16", backward: bool = False) -> Callable:
    def make(fw: Any, device: str) -> Callable[[], Any]:
        x = normal(fw, device, *shape, dtype=dtype)
        return backward_of(fw, lambda t: f(fw, t), [x]) if backward else lambda: f(fw, x)

    return make


def add_mixed(rows: int, n: int) -> Callable:
    def make(fw: Any, device: str) -> Callable[[], Any]:
        x, y = normal(fw, device, rows, n, dtype="float32"), normal(fw, device, rows, n)
        return lambda: x + y

    return make


def gpt2_parameters(fw: Any, device: str, layers: int, width: int, tokens: int, context: int) -> list:
    w = width
    block = [(w,), (w,), (3 * w, w), (3 * w,), (w, w), (w,), (w,), (w,), (4 * w, w), (4 * w,), (w, 4 * w), (w,)]
    shapes = block * layers + [(tokens, w), (context, w), (w,), (w,)]
    parameters = [normal(fw, device, *shape, dtype="float32").requires_grad_() for shape in shapes]
    for p in parameters:
        p.grad = fw.randn_like(p)
    return parameters


def adamw(sizes: dict) -> Callable:
    def make(fw: Any, device: str) -> Callable[[], Any]:
        fused = {"fused": True} if fw.__name__ == "torch" and device == "cuda" else {}
        return fw.optim.AdamW(gpt2_parameters(fw, device, **sizes), lr=1e-4, **fused).step

    return make


def clipping(sizes: dict) -> Callable:
    def make(fw: Any, device: str) -> Callable[[], Any]:
        parameters = gpt2_parameters(fw, device, **sizes)
        return lambda: fw.nn.utils.clip_grad_norm_(parameters, 1.0)

    return make


def attention(batch: int, heads: int, length: int, width: int, backward: bool) -> Callable:
    def make(fw: Any, device: str) -> Callable[[], Any]:
        q, k, v = (normal(fw, device, batch, heads, length, width) for _ in range(3))

        def f(q: Any, k: Any, v: Any) -> Any:
            return fw.nn.functional.scaled_dot_product_attention(q, k, v, is_causal=True)

        return backward_of(fw, f, [q, k, v]) if backward else lambda: f(q, k, v)

    return make


def matmul(n: int, dtype: str) -> Callable:
    def make(fw: Any, device: str) -> Callable[[], Any]:
        a, b = normal(fw, device, n, n, dtype=dtype), normal(fw, device, n, n, dtype=dtype)
        return lambda: a @ b

    return make


def linear(rows: int, inputs: int, outputs: int, backward: bool) -> Callable:
    def make(fw: Any, device: str) -> Callable[[], Any]:
        x, w, b = (normal(fw, device, *shape) for shape in ((rows, inputs), (outputs, inputs), (outputs,)))
        f = fw.nn.functional.linear
        return backward_of(fw, f, [x, w, b]) if backward else lambda: f(x, w, b)

    return make


def conv(batch: int, channels: int, size: int) -> Callable:
    def make(fw: Any, device: str) -> Callable[[], Any]:
        x = normal(fw, device, batch, channels, size, size).to(memory_format=fw.channels_last)
        w = normal(fw, device, channels, channels, 3, 3).to(memory_format=fw.channels_last)
        return lambda: fw.nn.functional.conv2d(x, w, padding=1)

    return make


def embedding_backward(tokens: int, count: int, width: int) -> Callable:
    def make(fw: Any, device: str) -> Callable[[], Any]:
        table = normal(fw, device, tokens, width, dtype="float32")
        index = fw.randint(0, tokens, (count,), device=device)
        return backward_of(fw, lambda t: fw.nn.functional.embedding(index, t), [table])

    return make


def kernels(device: str) -> Iterator[Kernel]:
    """The copy comes first: the others' bandwidths are measured by it."""
    full = device == "cuda"
    k = 1 if full else 64  # sizes are divided by it
    yield Kernel(f"copy of {1024 // k} MiB", copy((1 << 28) // k), 8 * (1 << 28) // k, is_copy=True)
    rows, n = (1 << 18) // k, 1024
    yield Kernel(f"transpose copy float32 {rows}x{n}", transpose(rows, n), 8 * rows * n)
    for rows, n in ((32768 // k, 4096), (32768 // k, 768)):
        yield Kernel(f"layer_norm forward bfloat16 {rows}x{n}", layer_norm(rows, n, False), 4 * rows * n)
        yield Kernel(f"layer_norm backward bfloat16 {rows}x{n}", layer_norm(rows, n, True), 6 * rows * n)
    rows, n = 8192 // k, 50304
    yield Kernel(f"cross-entropy both ways bfloat16 {rows}x{n}", cross_entropy(rows, n), 6 * rows * n)
    rows, n = 32768 // k, 3072
    for way in ("none", "tanh"):

        def gelu(fw: Any, x: Any, way: str = way) -> Any:
            return fw.nn.functional.gelu(x, approximate=way)

        name = "GELU" if way == "none" else "GELU (tanh)"
        yield Kernel(f"{name} bfloat16 {rows}x{n}", elementwise(gelu, rows, n), 4 * rows * n)
        yield Kernel(f"{name} backward bfloat16", elementwise(gelu, rows, n, backward=True), 6 * rows * n)
    yield Kernel(f"float32 + bfloat16 {rows}x768", add_mixed(rows, 768), 10 * rows * 768)
    rows, n = (1 << 18) // k, 1024
    softmax = elementwise(lambda fw, x: fw.softmax(x, -1), rows, n, dtype="float32")
    yield Kernel(f"softmax float32 {rows}x{n}", softmax, 8 * rows * n)
    total = elementwise(lambda fw, x: x.sum(0), rows, n, dtype="float32")
    yield Kernel(f"sum over dim 0 float32 {rows}x{n}", total, 4 * rows * n)
    bias = elementwise(lambda fw, x: x.sum(0), 32768 // k, 3072)
    yield Kernel(f"sum over dim 0 bfloat16 {32768 // k}x3072", bias, 2 * 32768 // k * 3072)
    sizes = {"layers": 12 if full else 1, "width": 768 if full else 64, "tokens": 50304 if full else 512, "context": 1024}
    count = sizes["width"] * (sizes["tokens"] + sizes["context"] + 2)
    count += sizes["layers"] * sizes["width"] * (12 * sizes["width"] + 13)
    yield Kernel(f"AdamW over {count} parameters", adamw(sizes), 28 * count)
    yield Kernel("clip_grad_norm_ over the same", clipping(sizes), 12 * count)
    tokens, width = 32768 // k, sizes["width"]
    moved = 4 * width * (sizes["tokens"] + tokens)
    name = f"embedding backward {sizes['tokens']}x{width}, {tokens} tokens"
    yield Kernel(name, embedding_backward(sizes["tokens"], tokens, width), moved)
    b, h, t = (16, 16, 4096) if full else (1, 2, 256)
    for d in (64, 128):
        work = 2 * b * h * t * t * d  # half of the scores, two products
        yield Kernel(f"attention causal bfloat16 D={d} forward", attention(b, h, t, d, False), flops=work)
        yield Kernel(f"attention causal bfloat16 D={d} backward", attention(b, h, t, d, True), flops=5 * work // 2)
    n = 8192 if full else 256
    for label, dtype, tf32 in (("float32", "float32", False), ("TF32", "float32", True), ("bfloat16", "bfloat16", False)):
        yield Kernel(f"matmul {n} {label}", matmul(n, dtype), flops=2 * n**3, tf32=tf32)
    rows = 32768 // k
    for inputs, outputs in ((768, 3072), (3072, 768)):
        work = 2 * rows * inputs * outputs
        name = f"linear {rows}x{inputs} -> {outputs} bfloat16"
        yield Kernel(name, linear(rows, inputs, outputs, False), flops=work)
        yield Kernel(f"{name} backward", linear(rows, inputs, outputs, True), flops=2 * work)
    batch = 64 if full else 1
    work = 2 * batch * 56 * 56 * 64 * 64 * 9
    yield Kernel("conv 3x3 64->64 56x56 bfloat16 channels-last", conv(batch, 64, 56), flops=work)
