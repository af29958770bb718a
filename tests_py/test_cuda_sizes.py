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


# Rows of a warp, of several parts, not a multiple of 4; columns alone and in parts; very short lines; few neighbours.
SCANNED = [((3, 1), 1), ((50, 5), 1), ((40, 33), 1), ((30, 512), 1), ((3, 1000), 1), ((2, 40000), 1), ((1, 70001), 1),
           ((9000, 20), 1), ((700, 40), 0), ((30, 300, 50), 1), ((20000, 3), 0), ((16, 100), 0), ((5, 600, 2), 1)]  # fmt: skip


@pytest.mark.parametrize("dtype", ["float32", "float64", "bfloat16", "int64", "int32"])
@pytest.mark.parametrize("shape, dim", SCANNED, ids=str)
def test_scans(shape, dim, dtype):
    rng = np.random.default_rng(shape[dim])
    kind = getattr(norch, dtype)
    x = norch.tensor(rng.integers(-4, 5, shape) / 4, dtype=kind)
    y = x.cuda()
    same(norch.cummax(y, dim), norch.cummax(x, dim))
    same(norch.cummin(y, dim), norch.cummin(x, dim))
    small = norch.tensor(rng.integers(0, 2, shape), dtype=kind)  # sums are exact in float32
    if dtype != "bfloat16":
        same([norch.cumsum(small.cuda(), dim)], [norch.cumsum(small, dim)])
        signs = norch.tensor(rng.integers(0, 2, shape) * 2 - 1, dtype=kind)
        same([norch.cumprod(signs.cuda(), dim)], [norch.cumprod(signs, dim)])
    if x.is_floating_point():
        tolerance = 0.02 if dtype == "bfloat16" else 1e-4
        x.reshape(-1)[::7] = -float("inf")
        assert norch.allclose(norch.logcumsumexp(x.cuda(), dim).cpu(), norch.logcumsumexp(x, dim), rtol=tolerance, atol=1e-3)
    if dtype == "float32":
        # The gradient of cumprod is a scan from the end.
        a = (small * 0.01 + 0.995).requires_grad_()
        b = a.detach().cuda().requires_grad_()
        norch.cumprod(a, dim).sum().backward()
        norch.cumprod(b, dim).sum().backward()
        assert norch.allclose(b.grad.cpu(), a.grad, rtol=1e-3)
        c = a.detach().requires_grad_()
        d = b.detach().requires_grad_()
        norch.cumsum(c, dim).mul(c.detach()).sum().backward()
        norch.cumsum(d, dim).mul(d.detach()).sum().backward()
        assert norch.allclose(d.grad.cpu(), c.grad, rtol=1e-4)


def test_a_scan_keeps_what_is_not_a_number():
    x = norch.zeros(3, 3000)
    x[0, 700] = float("nan")
    x[1, 2500] = float("inf")
    x[2] = -float("inf")
    y = x.cuda()
    for f in (norch.cumsum, norch.logcumsumexp):
        assert norch.allclose(f(y, 1).cpu(), f(x, 1), equal_nan=True)
        assert norch.allclose(f(y.t().contiguous(), 0).cpu(), f(x.t().contiguous(), 0), equal_nan=True)
    same(norch.cummax(y, 1), norch.cummax(x, 1))


# Elements from `begin` on (rows that start between two boundaries of 16 bytes), reduced dim.
REDUCED = [((5, 3), 0, 1), ((3, 40), 1, 1), ((4, 1000), 0, 1), ((4, 999), 3, 1), ((2, 3000), 1, 1), ((70000,), 0, 0),
           ((300001,), 3, 0), ((2000, 5), 0, 0), ((300, 70), 1, 0), ((6, 50, 7), 0, 1)]  # fmt: skip


@pytest.mark.parametrize("dtype", ["float32", "float16", "int64", "uint8"])
@pytest.mark.parametrize("shape, begin, dim", REDUCED, ids=str)
def test_reductions(shape, begin, dim, dtype):
    rng = np.random.default_rng(shape[dim])
    count = int(np.prod(shape))
    flat = norch.tensor(rng.integers(0, 9, count + begin), dtype=getattr(norch, dtype))
    x, y = flat[begin:].reshape(shape), flat.cuda()[begin:].reshape(shape)
    for nan in (False, True) if x.is_floating_point() else (False,):
        if nan:
            x[..., shape[-1] // 2 :: 97] = float("nan")
            y[..., shape[-1] // 2 :: 97] = float("nan")
        for f in (norch.argmax, norch.argmin):
            assert norch.equal(f(y, dim).cpu(), f(x, dim)) and norch.equal(f(y).cpu(), f(x))
        for f in (norch.max, norch.min):
            same(f(y, dim), f(x, dim))
    for f in (norch.any, norch.all, norch.count_nonzero, norch.sum):
        if f is not norch.sum or dtype in ("int64", "uint8"):
            assert norch.equal(f(y, dim).cpu(), f(x, dim)) and norch.equal(f(y).cpu(), f(x))
    if dtype == "float32":
        x, y = norch.nan_to_num(x) + 1000, norch.nan_to_num(y) + 1000
        for a, b in zip(norch.var_mean(y, dim), norch.var_mean(x, dim)):
            assert norch.allclose(a.cpu(), b, rtol=1e-4)
        assert norch.allclose(norch.std(y).cpu(), norch.std(x), rtol=1e-4)
        assert norch.allclose(norch.norm(y, 2, dim).cpu(), norch.norm(x, 2, dim))
        x[0] = float("inf")
        assert norch.allclose(norch.mean(x.cuda(), dim).cpu(), norch.mean(x, dim), equal_nan=True)
        assert norch.allclose(norch.var(x.cuda(), dim).cpu(), norch.var(x, dim), rtol=1e-4, equal_nan=True)


@pytest.mark.parametrize("log", [False, True])
@pytest.mark.parametrize("shape, dim", [((7, 3), 0), ((400, 40), 0), ((5000, 5), 0), ((3, 700, 33), 1), ((2, 9, 2000), 1)], ids=str)
def test_softmax_along_columns(shape, dim, log):
    f = norch.log_softmax if log else norch.softmax
    x = numbers(shape, distinct=True)
    x.select(dim, 0)[0] = -float("inf")
    x.select(-1 if dim == 0 else 0, 1)[:] = -float("inf") if not log else 3.0
    a, b = x.clone().requires_grad_(), x.cuda().requires_grad_()
    ya, yb = f(a, dim), f(b, dim)
    assert norch.allclose(yb.cpu(), ya, rtol=1e-4, atol=1e-6, equal_nan=True)
    g = numbers(shape, distinct=True)
    ya.backward(g)
    yb.backward(g.cuda())
    assert norch.allclose(b.grad.cpu(), a.grad, rtol=1e-3, atol=1e-5, equal_nan=True)


@pytest.mark.parametrize("dtype", ["float32", "float16", "float64", "uint8"])
def test_moving_elements(dtype):
    rng = np.random.default_rng(5)
    for shape in ((3, 5), (4, 64), (300, 96), (2, 300, 128), (270, 1000), (260, 333)):
        count = int(np.prod(shape))
        flat = norch.tensor(rng.integers(0, 9, count + 1), dtype=getattr(norch, dtype))
        for begin in (0, 1):
            x, y = flat[begin : count + begin].reshape(shape), flat.cuda()[begin : count + begin].reshape(shape)
            for dims in ([-1], [0], list(range(len(shape)))):
                assert norch.equal(norch.flip(y, dims).cpu(), norch.flip(x, dims))
            for diagonal in (-2, 0, 5, 2000):
                assert norch.equal(norch.tril(y, diagonal).cpu(), norch.tril(x, diagonal))
                assert norch.equal(norch.triu(y, diagonal).cpu(), norch.triu(x, diagonal))
            n = shape[-1]
            columns = norch.tensor(rng.integers(0, n, (n + 40,)))
            assert norch.equal(norch.index_select(y, -1, columns.cuda()).cpu(), norch.index_select(x, -1, columns))
            assert norch.equal(y[..., columns.cuda() - n].cpu(), x[..., columns])
            index = norch.tensor(rng.integers(0, n, (*shape[:-1], n - 1)))
            assert norch.equal(norch.gather(y, -1, index.cuda()).cpu(), norch.gather(x, -1, index))
            assert norch.equal(norch.nonzero(y > 4).cpu(), norch.nonzero(x > 4))
    with pytest.raises(IndexError):
        norch.index_select(y, -1, (columns + n).cuda()).cpu()


# Rows that a warp takes, whole and in turns; rows and columns of several tiles, of several groups of tiles.
SCANS = [((3, 130), 1), ((5, 1001), 1), ((3, 20000), 1), ((2, 9001), 1), ((150000,), 0), ((130, 3), 0), ((2, 2100, 40), 1),
         ((9000, 3), 0)]


@pytest.mark.parametrize("dtype", ["float32", "float64", "int64"])
@pytest.mark.parametrize("shape, dim", SCANS, ids=str)
def test_scans_over_tiles(shape, dim, dtype):
    x = numbers(shape, dtype)
    y = x.cuda()
    same(norch.cummax(y, dim), norch.cummax(x, dim))
    same(norch.cummin(y, dim), norch.cummin(x, dim))
    x = norch.nan_to_num(x, nan=0.0, posinf=1.0, neginf=-1.0)
    y = x.cuda()
    close = dict(rtol=1e-5, atol=1e-3) if dtype == "float32" else dict(rtol=1e-12, atol=1e-9)
    assert norch.equal(norch.cumsum(y, dim), norch.cumsum(y, dim))
    assert norch.allclose(norch.cumsum(y, dim).cpu(), norch.cumsum(x, dim), **close)
    if dtype == "int64":
        return
    assert norch.allclose(norch.cumprod(1 + y / 1000, dim).cpu(), norch.cumprod(1 + x / 1000, dim), **close)
    for scale in (1, 30):  # elements near each other, and far
        scaled = norch.logcumsumexp(x * scale, dim)
        assert norch.allclose(norch.logcumsumexp(y * scale, dim).cpu(), scaled, **close)
        back = norch.flip(norch.logcumsumexp(norch.flip(y * scale, [dim]), dim), [dim])
        assert norch.allclose(back.cpu(), norch.flip(norch.logcumsumexp(norch.flip(x * scale, [dim]), dim), [dim]), **close)


@pytest.mark.parametrize("shape, dim", [((600001,), 0), ((200000, 3), 0)], ids=str)
def test_scans_over_groups_of_tiles(shape, dim):
    x = norch.tensor(np.random.default_rng(0).integers(-1000, 1000, shape))
    same(norch.cummax(x.cuda(), dim), norch.cummax(x, dim))
    same([norch.cumsum(x.cuda(), dim)], [norch.cumsum(x, dim)])


@pytest.mark.parametrize("given", [-np.inf, np.inf, np.nan])
def test_logcumsumexp_of_infinities(given):
    for shape, dim in SCANS:
        x = numbers(shape)
        x.view(-1)[: x.numel() // 2 : 3] = given
        norch.testing.assert_close(norch.logcumsumexp(x.cuda(), dim).cpu(), norch.logcumsumexp(x, dim), equal_nan=True,
                                   rtol=1e-5, atol=1e-5)
