"""CUDA kernels that go different ways by the sizes of their input: on each way the CPU's results."""

import numpy as np
import pytest

import norch

pytestmark = pytest.mark.cuda


def numbers(shape, dtype="float32", distinct=False):
    """Numbers with ties, and with zeros of both signs, infinities and NaNs among floats."""
    rng = np.random.default_rng(len(shape) + shape[-1])
    if dtype.startswith("int"):
        return norch.tensor(rng.integers(-50, 50, shape), dtype=getattr(norch, dtype))
    x = rng.standard_normal(shape)
    if not distinct:
        x = np.round(x * 4) / 4
        flat = x.reshape(-1)
        for k, v in enumerate((np.nan, -0.0, np.inf, -np.inf)):
            flat[k + 5 :: 61 + k] = v
    return norch.tensor(x, dtype=getattr(norch, dtype))


def same(on_gpu, on_cpu):
    for a, b in zip(on_gpu, on_cpu):
        assert a.dtype == b.dtype
        a, b = a.cpu(), b
        if a.is_floating_point():
            assert norch.equal(norch.signbit(norch.nan_to_num(a)), norch.signbit(norch.nan_to_num(b)))
            a, b = norch.nan_to_num(a, nan=123.0), norch.nan_to_num(b, nan=123.0)
        assert norch.equal(a, b)


ROWS = [(3, 1), (4, 33), (3, 129), (3, 513), (2, 1024), (2, 1025), (2, 2049), (2, 4096), (2, 4097), (2, 9000), (3, 70000)]


@pytest.mark.parametrize("dtype", ["float32", "float16", "int64"])
@pytest.mark.parametrize("shape", ROWS, ids=str)
def test_sorting(shape, dtype):
    x = numbers(shape, dtype)
    y = x.cuda()
    n = shape[-1]
    for descending in (False, True):
        same(norch.sort(y, -1, descending), norch.sort(x, -1, descending))
        for k in {1, min(n, 5), n // 2 or 1, n}:
            same(norch.topk(y, k, -1, descending), norch.topk(x, k, -1, descending))
    for k in {1, (n + 1) // 2, n}:
        same(norch.kthvalue(y, k), norch.kthvalue(x, k))
