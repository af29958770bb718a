"""Row kernels, convolutions and attention on the GPU beside PyTorch, timed by events: microseconds of both, and norch's
GB/s (each tensor counted once) as a share of a copy's, or its TFLOP/s.

    python benchmarks/gpu_rows.py
"""

import statistics

import norch

try:
    import torch
except ImportError:
    torch = None


def time_of(lib, f, repeats=20, blocks=7):
    """Median microseconds of one call."""
    for _ in range(3):
        f()
    times = []
    for _ in range(blocks):
        start, stop = lib.cuda.Event(enable_timing=True), lib.cuda.Event(enable_timing=True)
        start.record()
        for _ in range(repeats):
            f()
        stop.record()
        lib.cuda.synchronize()
        times.append(start.elapsed_time(stop) * 1e3 / repeats)
    return statistics.median(times)


def gradient(lib, make, inputs):
    """A call that runs the backward alone of make(*inputs)."""
    inputs = [x.detach().requires_grad_() for x in inputs]
    y = make(*inputs)
    g = lib.randn_like(y)
    return lambda: lib.autograd.grad(y, inputs, g, retain_graph=True)


def rows(lib, dtype, count, n):
    """(name, call, tensors of the input's size that it must move)"""
    x = lib.randn(count, n, device="cuda").to(getattr(lib, dtype))
    w, b = (lib.randn(n, device="cuda").to(getattr(lib, dtype)) for _ in range(2))
    f = lib.nn.functional
    yield "softmax", lambda: lib.softmax(x, -1), 2
    yield "softmax backward", gradient(lib, lambda t: lib.softmax(t, -1), [x]), 3
    yield "log_softmax", lambda: lib.log_softmax(x, -1), 2
    yield "log_softmax backward", gradient(lib, lambda t: lib.log_softmax(t, -1), [x]), 3
    yield "layer_norm", lambda: f.layer_norm(x, [n], w, b), 2
    yield "layer_norm backward", gradient(lib, lambda t, u, v: f.layer_norm(t, [n], u, v), [x, w, b]), 3
    yield "rms_norm", lambda: f.rms_norm(x, [n], w), 2
    yield "rms_norm backward", gradient(lib, lambda t, u: f.rms_norm(t, [n], u), [x, w]), 3
    yield "sum", lambda: x.sum(-1), 1


def convolutions(lib, dtype, batch, channels, size, kernel):
    """(name, call, floating-point operations)"""
    x = lib.randn(batch, channels, size, size, device="cuda").to(getattr(lib, dtype))
    w = lib.randn(channels, channels, kernel, kernel, device="cuda").to(getattr(lib, dtype))
    f, pad = lib.nn.functional.conv2d, kernel // 2
    work = 2 * batch * size * size * channels * channels * kernel * kernel
    yield "forward", lambda: f(x, w, padding=pad), work
    yield "by input and weight", gradient(lib, lambda a, b: f(a, b, padding=pad), [x, w]), 2 * work


def attention(lib, batch, heads, length, width):
    """(name, call, floating-point operations, of causal attention counted as its unmasked half)"""
    qkv = lib.randn(batch, length, 3, heads, width, device="cuda").to(lib.bfloat16)
    q, k, v = (t.transpose(1, 2) for t in qkv.unbind(2))
    work = 2 * batch * heads * length * length * width

    def attend(q, k, v):
        return lib.nn.functional.scaled_dot_product_attention(q, k, v, is_causal=True)

    yield "forward", lambda: attend(q, k, v), work
    yield "backward", gradient(lib, attend, [q, k, v]), 5 * work // 2


def main():
    big = norch.randn(1 << 28, device="cuda")
    to = norch.empty_like(big)
    copy = 2 * 4 * (1 << 28) / time_of(norch, lambda: to.copy_(big)) / 1e3
    del big, to
    print(f"copy of 1 GiB: {copy:.0f} GB/s")
    if torch is not None:
        torch.backends.cudnn.allow_tf32 = False  # norch computes float32 as float32
    for dtype, size in (("float32", 4), ("bfloat16", 2)):
        for count, n in ((1 << 18, 1024), (1 << 18, 768), (1 << 15, 4096), (1 << 13, 16384), (1 << 12, 32768),
                         (1 << 11, 50304), (1 << 16, 1001), (1 << 21, 64)):
            torch_rows = rows(torch, dtype, count, n) if torch is not None else None
            for name, call, tensors in rows(norch, dtype, count, n):
                mine = time_of(norch, call)
                theirs = time_of(torch, next(torch_rows)[1]) if torch_rows else float("nan")
                rate = tensors * size * count * n / mine / 1e3
                print(f"{name:22} {dtype:9} {count:7} x {n:5} {mine:8.1f} us, PyTorch {theirs:8.1f} us, "
                      f"{rate:6.0f} GB/s {100 * rate / copy:4.0f} %", flush=True)
    for dtype in ("float32", "bfloat16", "float16"):
        for shape in ((64, 64, 56, 3), (64, 256, 14, 3), (64, 256, 56, 1), (32, 512, 7, 3)):
            torch_calls = convolutions(torch, dtype, *shape) if torch is not None else None
            for name, call, work in convolutions(norch, dtype, *shape):
                mine = time_of(norch, call, 10, 5)
                theirs = time_of(torch, next(torch_calls)[1], 10, 5) if torch_calls else float("nan")
                print(f"conv {name:20} {dtype:9} {shape} {mine:8.1f} us, PyTorch {theirs:8.1f} us, "
                      f"{work / mine / 1e6:6.1f} TFLOP/s", flush=True)
    for shape in ((16, 16, 4096, 64), (16, 16, 4096, 128), (32, 12, 1024, 64)):
        torch_calls = attention(torch, *shape) if torch is not None else None
        for name, call, work in attention(norch, *shape):
            mine = time_of(norch, call, 10, 5)
            theirs = time_of(torch, next(torch_calls)[1], 10, 5) if torch_calls else float("nan")
            print(f"attention {name:10} bfloat16 {shape} {mine:8.1f} us, PyTorch {theirs:8.1f} us, "
                  f"{theirs / mine:4.2f} times as fast, {work / mine / 1e6:6.1f} TFLOP/s", flush=True)


if __name__ == "__main__":
    main()
