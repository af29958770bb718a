"""Functions that make tensors."""

import zlib

import numpy as np
import pytest

import norch


def same(t, expected):
    np.testing.assert_array_equal(t.cpu().numpy(), np.asarray(expected))


@pytest.mark.parametrize("f,value", [(norch.zeros, 0), (norch.ones, 1)])
def test_filled(f, value, device):
    for shape in ((2, 3), ((2, 3),), ([2, 3],)):
        same(f(*shape, device=device), np.full((2, 3), value))
    for t in (f(2, 3, device=device), f(size=(2, 3), device=device)):
        assert t.shape == (2, 3) and t.dtype == norch.float32 and t.device.type == device
        same(t, np.full((2, 3), value))
    assert f((), device=device).shape == ()
    assert f(0, 4, device=device).numel() == 0
    assert f(2, dtype=norch.int8, device=device).dtype == norch.int8
    assert f(2, requires_grad=True, device=device).requires_grad


def test_full_infers_its_dtype(device):
    assert norch.full((2,), True, device=device).dtype == norch.bool
    assert norch.full((2,), 3, device=device).dtype == norch.int64
    assert norch.full((2,), 3.0, device=device).dtype == norch.float32
    same(norch.full((2, 2), 3, dtype=norch.float64, device=device), np.full((2, 2), 3.0))


def test_like_and_new(device):
    t = norch.ones(2, 3, dtype=norch.float64, device=device)
    for like in (norch.zeros_like(t), t.zeros_like(), t.new_zeros(2, 3), norch.empty_like(t).zero_()):
        assert like.dtype == norch.float64 and like.device == t.device
        same(like, np.zeros((2, 3)))
    assert norch.ones_like(t, dtype=norch.int32).dtype == norch.int32
    same(norch.full_like(t, 7), np.full((2, 3), 7.0))
    same(t.new_full((2,), 5), [5.0, 5.0])
    assert t.new_tensor([1, 2]).dtype == norch.float64
    assert t.new_empty((4,)).shape == (4,)


def test_bad_shapes(device):
    with pytest.raises(RuntimeError, match="negative dimension"):
        norch.zeros(-1, device=device)
    with pytest.raises(TypeError):
        norch.zeros(2.5, device=device)
    with pytest.raises(RuntimeError, match="does not fit"):
        norch.empty(2**62, 4, device=device)
    with pytest.raises(RuntimeError, match="dimensionality"):
        norch.empty_strided((2, 3), (1,), device=device)


@pytest.mark.parametrize(
    "args", [(5,), (0,), (2, 7), (7, 2, -2), (0, 1, 0.25), (1.0, 4.0), (-3, 3), (10, 0, -3), (0.0, 0.3, 0.1), (5, 5)]
)
def test_arange(args, device):
    got, expected = norch.arange(*args, device=device), np.arange(*args)
    assert got.dtype == (norch.float32 if any(isinstance(a, float) for a in args) else norch.int64)
    np.testing.assert_allclose(got.cpu().numpy(), expected.astype(got.cpu().numpy().dtype), rtol=1e-6)


def test_arange_dtypes_and_errors(device):
    for dtype in (norch.uint8, norch.int32, norch.float16, norch.bfloat16, norch.float64):
        same(norch.arange(5, dtype=dtype, device=device).float(), np.arange(5.0))
    assert norch.arange(start=1, end=4, device=device).tolist() == [1, 2, 3]
    with pytest.raises(RuntimeError, match="step must be nonzero"):
        norch.arange(0, 5, 0, device=device)
    with pytest.raises(RuntimeError, match="inconsistent with step sign"):
        norch.arange(5, 0, device=device)
    with pytest.raises(RuntimeError, match="unsupported range"):
        norch.arange(0, float("inf"), device=device)
    with pytest.raises(RuntimeError, match="unsupported range"):
        norch.arange(float("nan"), device=device)


@pytest.mark.parametrize("args", [(0, 1, 5), (3, -3, 7), (2.5, 2.5, 3), (0, 10, 1), (0, 1, 0)])
def test_linspace(args, device):
    got = norch.linspace(*args, device=device)
    assert got.dtype == norch.float32
    np.testing.assert_allclose(got.cpu().numpy(), np.linspace(*args), rtol=1e-6, atol=1e-7)
    if args[2] > 1:
        assert got[-1].item() == args[1]
    with pytest.raises(RuntimeError, match="non-negative"):
        norch.linspace(0, 1, -1, device=device)


def test_logspace(device):
    np.testing.assert_allclose(norch.logspace(0, 3, 4, device=device).cpu().numpy(), [1, 10, 100, 1000], rtol=1e-6)
    np.testing.assert_allclose(norch.logspace(0, 3, 4, base=2, device=device).cpu().numpy(), [1, 2, 4, 8], rtol=1e-6)


def test_eye(device):
    for shape in ((3,), (2, 4), (4, 2), (0,), (3, 0)):
        same(norch.eye(*shape, device=device), np.eye(*shape))
    assert norch.eye(2, dtype=norch.int64, device=device).dtype == norch.int64


@pytest.mark.parametrize("k", [-5, -1, 0, 1, 2, 5])
def test_triangles(k, device):
    a = np.random.randn(2, 3, 4)
    t = norch.from_numpy(a).to(device)
    same(norch.tril(t, k), np.tril(a, k))
    same(norch.triu(t, diagonal=k), np.triu(a, k))
    same(t.clone().tril_(k), np.tril(a, k))
    same(norch.tril_indices(3, 4, k, device=device), np.stack(np.tril_indices(3, k, 4)))
    same(norch.triu_indices(3, 4, k, device=device), np.stack(np.triu_indices(3, k, 4)))
    mask = norch.ones(3, 3, dtype=norch.bool, device=device)
    assert norch.tril(mask).dtype == norch.bool
    x = t.clone().requires_grad_()
    norch.tril(x, k).sum().backward()
    same(x.grad, np.tril(np.ones_like(a), k))


def test_triangle_errors(device):
    with pytest.raises(RuntimeError, match="at least 2 dimensions"):
        norch.tril(norch.ones(3, device=device))


@pytest.mark.parametrize("shape", [(0, 0), (0, 3), (3, 0), (1, 5), (5, 1), (4, 4)])
def test_triangle_indices_of_any_shape(shape):
    for k in range(-7, 8):
        same(norch.tril_indices(*shape, k), np.stack(np.tril_indices(shape[0], k, shape[1])))
        same(norch.triu_indices(*shape, k), np.stack(np.triu_indices(shape[0], k, shape[1])))


def test_triangles_that_are_far_too_large_raise_at_once():
    for shape in [(2**40, 2**40), (2**62, 0), (2**63 - 1, 2**63 - 1)]:
        with pytest.raises(RuntimeError, match="does not fit in memory"):
            norch.tril_indices(*shape)
    assert norch.tril_indices(2**60, 1, 1 - 2**60).tolist() == [[2**60 - 1], [0]]
    assert norch.triu_indices(2**60, 1).tolist() == [[0], [0]]


def test_meshgrid(device):
    x, y = norch.arange(3, device=device), norch.arange(4, device=device)
    for indexing in ("ij", "xy"):
        for got, expected in zip(
            norch.meshgrid(x, y, indexing=indexing), np.meshgrid(np.arange(3), np.arange(4), indexing=indexing)
        ):
            same(got, expected)
    assert len(norch.meshgrid([x, y])) == 2
    with pytest.raises(RuntimeError, match="indexing must be one of"):
        norch.meshgrid(x, indexing="no")


def test_fill(device):
    t = norch.empty(2, 3, device=device)
    assert t.fill_(2.5) is t
    same(t, np.full((2, 3), 2.5))
    v = norch.tensor(3.0, device=device, requires_grad=True)
    u = norch.zeros(2, device=device)
    u.fill_(v)
    u.sum().backward()
    assert v.grad.item() == 2
    with pytest.raises(RuntimeError, match="0-dimension"):
        t.fill_(norch.ones(2, device=device))


def test_filling_an_expanded_tensor(device):
    t = norch.ones(2, 3, device=device)
    row = t[:, :1].expand(2, 5)
    assert row.fill_(4) is row and row._version == t._version == 1
    same(t, [[4, 1, 1], [4, 1, 1]])
    row.zero_()
    same(t, [[0, 1, 1], [0, 1, 1]])
    x = norch.ones(2, 1, device=device, requires_grad=True)
    (x * 2).expand(2, 3).zero_().sum().backward()
    same(x.grad, [[0], [0]])
    with pytest.raises(RuntimeError, match="single memory location"):
        row.add_(1)


@pytest.mark.parametrize(
    "make",
    [
        lambda **k: norch.rand(2, **k),
        lambda **k: norch.randn(2, **k),
        lambda **k: norch.randint(0, 3, (2,), **k),
        lambda **k: norch.randint(3, (2,), **k),
        lambda **k: norch.randperm(3, **k),
        lambda **k: norch.normal(0.0, 1.0, (2,), **k),
        lambda **k: norch.rand_like(norch.ones(2), **k),
        lambda **k: norch.randint_like(norch.ones(2), 3, **k),
        lambda **k: norch.tril_indices(2, 2, **k),
        lambda **k: norch.fft.fftfreq(4, **k),
        lambda **k: norch.ones(2).new_tensor([2], **k),
    ],
)
def test_layout_and_pinned_memory_are_taken(make):
    assert make(layout=norch.strided, pin_memory=False).numel() > 0


def test_tensor_takes_pin_memory():
    assert norch.tensor([1], pin_memory=False).item() == 1


# Checksums of PyTorch's results: the order of rounding is part of what these functions compute.
@pytest.mark.parametrize(
    "name, arguments, sums",
    [
        ("linspace", (-1.3, 2.9, 1001), [3019789708, 1608870995, 2067994315, 2425561878, 42445727, 496701758]),
        ("linspace", (1e-4, 0.02, 1000), [3804061890, 671889300, 2096734727, 2813242693, 982225854, 3994473679]),
        ("arange", (0.1, 70.3, 0.1), [1468873651, 156470981, 1742154927, 2926638786]),
        ("arange", (-3, 500, 0.37), [2182260439, 1413950372, 417401625, 1667620850]),
        ("range", (0, 250.0, 0.3), [55806165, 830642818, 2529376159, 915690137]),
    ],
)
def test_last_bits(name, arguments, sums):
    for dtype, expected in zip(("float32", "float64", "float16", "bfloat16", "int32", "complex64"), sums):
        t = getattr(norch, name)(*arguments, dtype=getattr(norch, dtype))
        t = t.view(norch.int16) if dtype == "bfloat16" else t
        assert zlib.crc32(t.numpy().tobytes()) == expected, dtype


def test_logspace_of_other_dtypes():
    np.testing.assert_allclose(norch.logspace(-2, 1.5, 7, dtype=norch.float64).numpy(), np.logspace(-2, 1.5, 7), rtol=1e-15)
    assert norch.logspace(3.5, 0, 1, base=2, dtype=norch.int64).tolist() == [11]
    z = norch.logspace(1j, 2 + 1j, 3, base=2.0, dtype=norch.complex128)
    np.testing.assert_allclose(z.numpy(), 2.0 ** np.linspace(1j, 2 + 1j, 3), rtol=1e-14)
    assert norch.logspace(0, 2, 3, dtype=norch.uint8, base=10).tolist() == [1, 10, 100]


def test_too_large_ends():
    for f, arguments in ((norch.linspace, (0, 1e6, 3)), (norch.logspace, (1e6, 0, 3))):
        for dtype in (norch.float16, norch.int16):
            with pytest.raises(RuntimeError, match="without overflow"):
                f(*arguments, dtype=dtype)
    with pytest.raises(RuntimeError, match="the step of a range of norch.int64"):
        norch.range(0, 1, 0.1, dtype=norch.int64)
