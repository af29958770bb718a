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


# Shape of the tensor, that of the index and the source, dim: lines of a warp each, several in a block; long ones; a thread
# each; few, which are sorted.
LINES = [
    ((40, 1000), (40, 700), 1),
    ((5, 8, 130), (5, 8, 300), 2),
    ((33, 5000), (33, 5000), 1),
    ((64, 3), (64, 1), 1),
    ((9, 4100), (20, 4097), 0),
    ((4, 7, 1200), (4, 9, 1200), 1),
    ((5000, 6), (5000, 7), 1),
    ((3, 1000), (3, 2000), 1),
    ((100, 3), (3000, 3), 0),
    ((50,), (3000,), 0),
]


@pytest.mark.parametrize("dtype", ["float32", "float16", "int64"])
@pytest.mark.parametrize("shape, given, dim", LINES, ids=str)
def test_scattering(shape, given, dim, dtype):
    rng = np.random.default_rng(given[dim])
    kind = getattr(norch, dtype)
    x = norch.tensor(rng.integers(-3, 3, shape), dtype=kind)
    source = norch.tensor(rng.integers(-3, 3, given), dtype=kind)
    index = rng.integers(0, shape[dim], given)
    index.reshape(-1)[::3] = index.reshape(-1)[0]  # many for one place
    index = norch.tensor(index)
    y, s, i = x.cuda(), source.cuda(), index.cuda()
    assert norch.equal(norch.scatter(y, dim, i, s).cpu(), norch.scatter(x, dim, index, source))
    assert norch.equal(norch.scatter(y, dim, i, 7).cpu(), norch.scatter(x, dim, index, 7))
    for reduce in ("sum", "amax", "amin", "prod") if dtype != "float16" else ("sum", "amax"):
        want = norch.scatter_reduce(x, dim, index, source, reduce)
        assert norch.equal(norch.scatter_reduce(y, dim, i, s, reduce).cpu(), want)
    # Strided operands.
    t = y.transpose(0, -1).contiguous().transpose(0, -1)
    assert norch.equal(norch.scatter(t, dim, i, s).cpu(), norch.scatter(x, dim, index, source))
    i[-1] = shape[dim]
    with pytest.raises(IndexError):
        norch.scatter(y, dim, i, s).cpu()


def test_the_order_of_a_sum_is_that_of_the_index():
    rng = np.random.default_rng(3)
    source = rng.standard_normal((64, 500)).astype(np.float32)
    index = rng.integers(0, 4, (64, 500))
    want = np.zeros((64, 20), np.float32)
    for k in range(500):
        want[np.arange(64), index[:, k]] += source[:, k]
    zeros = norch.zeros(64, 20, device="cuda")
    got = norch.scatter_add(zeros, 1, norch.tensor(index).cuda(), norch.tensor(source).cuda())
    assert np.array_equal(got.cpu().numpy(), want)
