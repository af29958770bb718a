"""Complex numbers and uint16, uint32, uint64: memory, conversions, parts, text."""

import copy
import io
import pickle

import numpy as np
import pytest

import norch

COMPLEX = ["complex64", "complex128"]
UNSIGNED = ["uint16", "uint32", "uint64"]
ALL = ["bool", "uint8", *UNSIGNED, "int8", "int16", "int32", "int64", "float16", "float32", "float64", *COMPLEX]


def z(shape=(3, 4), dtype="complex128", seed=0):
    r = np.random.default_rng(seed)
    return (r.normal(size=shape) + 1j * r.normal(size=shape)).astype(dtype)


@pytest.mark.parametrize("to", ALL)
@pytest.mark.parametrize("source", ALL)
def test_casts(source, to):
    values = np.array([0, 1, 3, 100, 5, 0, 127]).astype(source)
    if source in COMPLEX:
        values = values + np.array([0, 1, 0, 2, -1, 3, 0], source) * 1j
    with np.errstate(all="ignore"):
        expected = values.real.astype(to) if source in COMPLEX and to not in COMPLEX + ["bool"] else values.astype(to)
    t = norch.tensor(values)
    assert str(t.dtype) == "norch." + source
    got = t.to(getattr(norch, to))
    np.testing.assert_array_equal(got.numpy(), expected)
    # Strided, and into a part of a larger tensor.
    wide = norch.zeros(7, 3, dtype=getattr(norch, to))
    wide[:, 1] = norch.stack([t, t], 1)[:, 0]
    np.testing.assert_array_equal(wide[:, 1].numpy(), expected)


def test_casts_of_large_and_negative_numbers():
    large = norch.tensor([2**64 - 1, 2**63], dtype=norch.uint64)
    assert large.tolist() == [2**64 - 1, 2**63]
    assert large.double().tolist() == [2.0**64, 2.0**63]
    assert large.long().tolist() == [-1, -(2**63)]
    assert norch.tensor([-1, -2]).to(norch.uint16).tolist() == [65535, 65534]
    assert norch.tensor([2.0**63, 3.7]).to(norch.uint64).tolist() == [2**63, 3]
    assert norch.tensor([-1.0]).to(norch.uint64).tolist() == [2**64 - 1]
    assert large[0].item() == int(large[0]) == 2**64 - 1


def test_python_numbers():
    assert norch.tensor(1 + 2j).dtype == norch.complex64
    assert norch.tensor([1, 2.5, 3j]).tolist() == [1 + 0j, 2.5 + 0j, 3j]
    assert norch.tensor(np.complex64(1j)).item() == 1j
    assert complex(norch.tensor(1 + 2j)) == 1 + 2j
    assert float(norch.tensor(1 + 0j)) == 1.0
    for convert in (float, int):
        with pytest.raises(RuntimeError, match="imaginary part"):
            convert(norch.tensor(1 + 2j))
    assert bool(norch.tensor(1j)) and not bool(norch.tensor(0j))
    with pytest.raises(ValueError, match="Overflow"):
        norch.tensor([2**63])
    assert norch.tensor(0, dtype=complex).dtype == norch.complex64
    assert norch.full((2,), 1j).tolist() == [1j, 1j]
    with pytest.raises(RuntimeError, match="imaginary part"):
        norch.ones(2).fill_(1j)


@pytest.mark.parametrize("dtype", COMPLEX + UNSIGNED)
def test_interchange(dtype):
    a = z(dtype=dtype) if dtype in COMPLEX else np.arange(12).reshape(3, 4).astype(dtype)
    t = norch.from_numpy(a)
    assert t.data_ptr() == a.ctypes.data
    assert t.numpy().dtype == a.dtype
    np.testing.assert_array_equal(t.T.numpy(), a.T)
    np.testing.assert_array_equal(np.from_dlpack(t), a)
    np.testing.assert_array_equal(norch.from_dlpack(a).numpy(), a)
    for other in (pickle.loads(pickle.dumps(t)), copy.deepcopy(t), t.clone()):
        assert other.dtype == t.dtype
        np.testing.assert_array_equal(other.numpy(), a)
    file = io.BytesIO()
    norch.save({"t": t, "part": t[1:, 2]}, file)
    file.seek(0)
    loaded = norch.load(file)
    np.testing.assert_array_equal(loaded["t"].numpy(), a)
    np.testing.assert_array_equal(loaded["part"].numpy(), a[1:, 2])
    from norch.utils import safetensors

    np.testing.assert_array_equal(safetensors.load(safetensors.save({"t": t}))["t"].numpy(), a)


def test_text():
    assert repr(norch.tensor([1 + 2j])) == "tensor([1.+2.j])"
    assert repr(norch.tensor([1 + 2j, 3.5 - 1e-5j])) == "tensor([1.0000+2.0000e+00j, 3.5000-1.0000e-05j])"
    assert repr(norch.tensor(0.5 + 2j)) == "tensor(0.5000+2.j)"
    assert repr(norch.tensor([complex("nan") + 1j, complex(1, float("inf"))])) == "tensor([nan+1.j, 1.+infj])"
    assert repr(norch.tensor([1j], dtype=norch.complex128)) == "tensor([0.+1.j], dtype=norch.complex128)"
    assert repr(norch.zeros(2, dtype=norch.uint32)) == "tensor([0, 0], dtype=norch.uint32)"
    assert f"{norch.tensor(1 + 2j):.2f}" == "1.00+2.00j"


@pytest.mark.parametrize("dtype", COMPLEX)
def test_moving_elements(dtype):
    a = z((4, 5), dtype)
    t = norch.tensor(a)
    pairs = [
        (t.T.contiguous(), a.T),
        (t[::2, 1:4:2], a[::2, 1:4:2]),
        (norch.cat([t, t[:1]]), np.concatenate([a, a[:1]])),
        (t[norch.tensor([2, 0])], a[[2, 0]]),
        (norch.where(norch.tensor(a.real > 0), t, t.flip(0)), np.where(a.real > 0, a, a[::-1])),
        (t.gather(1, norch.tensor([[0, 4]] * 4)), a[:, [0, 4]]),
        (norch.stack([t, t], 2), np.stack([a, a], 2)),
        (t.roll(1, 0), np.roll(a, 1, 0)),
        (t.masked_fill(norch.tensor(a.real > 0), 2j), np.where(a.real > 0, 2j, a)),
        (t.index_select(1, norch.tensor([3])), a[:, [3]]),
        (t.tril(), np.tril(a)),
        (norch.eye(3, dtype=t.dtype), np.eye(3)),
        (t.expand(2, 4, 5).reshape(8, 5), np.concatenate([a, a])),
    ]
    for got, expected in pairs:
        assert got.dtype == t.dtype
        np.testing.assert_array_equal(got.numpy(), expected)
    t[1, :] = 5
    assert t[1, 3].item() == 5


@pytest.mark.parametrize("dtype", COMPLEX)
def test_parts(dtype):
    a = z(dtype=dtype)
    t = norch.tensor(a)
    eps = 1e-6 if dtype == "complex64" else 1e-14
    np.testing.assert_array_equal(t.real.numpy(), a.real)
    np.testing.assert_array_equal(norch.imag(t).numpy(), a.imag)
    np.testing.assert_array_equal(norch.view_as_complex(norch.view_as_real(t)).numpy(), a)
    np.testing.assert_array_equal(t.conj().numpy(), a.conj())
    np.testing.assert_array_equal(t.mH.numpy(), a.conj().T)
    np.testing.assert_allclose(t.abs().numpy(), np.abs(a), eps)
    np.testing.assert_allclose(t.angle().numpy(), np.angle(a), eps)
    np.testing.assert_allclose(norch.sgn(t).numpy(), a / np.abs(a), eps)
    np.testing.assert_allclose(norch.polar(t.abs(), t.angle()).numpy(), a, 10 * eps)
    np.testing.assert_array_equal(norch.complex(t.real, t.imag).numpy(), a)
    assert norch.sgn(norch.tensor(0j)).item() == 0
    t.real = 2
    t.imag[0] = norch.ones(4)
    assert t[0].tolist() == [2 + 1j] * 4
    assert t.is_complex() and norch.is_complex(t) and not t.is_conj() and t.resolve_conj() is t
    assert norch.isreal(norch.tensor([1 + 0j, 1j])).tolist() == [True, False]
    assert norch.angle(norch.tensor([-1.0, 2.0, float("nan")])).tolist()[:2] == [pytest.approx(np.pi), 0]


def test_gradients_of_parts():
    t = norch.tensor(z(dtype="complex128"), requires_grad=True)
    (2 * t.imag.sum()).backward()
    np.testing.assert_array_equal(t.grad.numpy(), np.full((3, 4), 2j))
    # A real input of a complex result: the real part of the gradient.
    x = norch.ones(3, dtype=norch.float64, requires_grad=True)
    norch.view_as_real(x.to(norch.complex128)).sum().backward()
    np.testing.assert_array_equal(x.grad.numpy(), np.ones(3))
    # Writing to a part of a result, seen as real numbers.
    leaf = norch.tensor(z(dtype="complex128"), requires_grad=True)
    y = leaf.clone()
    norch.view_as_real(y)[..., 1].mul_(3)
    norch.view_as_real(y).sum().backward()
    np.testing.assert_array_equal(leaf.grad.numpy(), np.full((3, 4), 1 + 3j))
    pairs = norch.ones(3, 2, dtype=norch.float64, requires_grad=True)
    base = pairs * 1
    norch.view_as_complex(base)[1].fill_(0)
    base.sum().backward()
    np.testing.assert_array_equal(pairs.grad.numpy(), [[1, 1], [0, 0], [1, 1]])


def test_errors():
    r = norch.ones(2)
    for call, error, text in [
        (lambda: norch.view_as_real(r), RuntimeError, "only supported for complex"),
        (lambda: norch.view_as_complex(norch.ones(3)), RuntimeError, "last dimension of size 2"),
        (lambda: norch.view_as_complex(norch.ones(2, 2).T), RuntimeError, "stride 1"),
        (lambda: r.imag, RuntimeError, "non-complex"),
        (lambda: norch.complex(r, r.double()), RuntimeError, "scalar type"),
        (lambda: r.add_(1j), RuntimeError, "can't be cast"),
        (lambda: norch.tensor([1j]).abs_(), RuntimeError, "In-place abs"),
        (lambda: norch.promote_types(norch.uint64, norch.int8), RuntimeError, "no integer type holds both"),
        (lambda: norch.int32.to_complex(), RuntimeError, "to_complex"),
        (lambda: norch.tensor([1j], requires_grad=True).conj().backward(), RuntimeError, "real scalar outputs"),
    ]:
        with pytest.raises(error, match=text):
            call()


def test_losses_and_patches():
    a, b = norch.tensor([3 + 4j, 1.0]), norch.tensor([0j, 1.0])
    assert norch.nn.functional.l1_loss(a, b, reduction="none").tolist() == [5, 0]
    z = norch.randn(2, 3, 4, 4, dtype=norch.complex128, requires_grad=True)
    columns = norch.nn.functional.unfold(z, 2, stride=2)
    assert norch.equal(norch.nn.functional.fold(columns, (4, 4), 2, stride=2), z)
    (g,) = norch.autograd.grad(columns.abs().square().sum(), z)
    np.testing.assert_allclose(g.numpy(), 2 * z.detach().numpy())


def test_random_parts():
    z = norch.empty(20000, dtype=norch.complex64).normal_(1, 2)
    assert abs(z.real.std() - 2**0.5) < 0.05 and abs(z.imag.mean()) < 0.05 and abs(z.real.mean() - 1) < 0.05
    u = z.uniform_(-1, 1)
    assert u is z and u.imag.abs().max() <= 1 and u.imag.min() < -0.9


def test_infinite_sums_of_exponentials():
    low = norch.tensor([complex(-np.inf, 0)])
    assert norch.logaddexp(low, low).real.item() == -np.inf
    assert norch.logaddexp(low, norch.tensor([1 + 2j])).item() == 1 + 2j
    z = norch.zeros(2, dtype=norch.complex128, requires_grad=True)
    norch.linalg.vector_norm(z, 1).backward(create_graph=True)
    (second,) = norch.autograd.grad(z.grad.real.sum(), z)
    assert second.tolist() == [0, 0]  # no slope at 0, and no NaN


def test_conjugates_keep_the_layout():
    z = norch.randn(2, 3, 4, dtype=norch.complex64).permute(2, 0, 1)
    assert z.conj().stride() == z.stride() and (z.conj() == norch.complex(z.real, -z.imag)).all()


def test_inverse_functions_far_from_0(device):
    for name in ("asin", "acos", "atan", "asinh", "acosh", "atanh", "sqrt"):
        for dtype, close in ((norch.complex64, 1e-6), (norch.complex128, 1e-14)):
            z = np.array([-1e5 + 1j, -30 + 0.5j, -3 - 0.1j, 1e-3 + 1e-3j, 40 - 2j, -1e-3 - 5j, 1e6j, -1e6 - 1e6j])
            name_of = {"asin": "arcsin", "acos": "arccos", "atan": "arctan", "asinh": "arcsinh", "acosh": "arccosh",
                       "atanh": "arctanh"}.get(name, name)
            x = norch.tensor(z, dtype=dtype, device=device)
            exact = getattr(np, name_of)(x.cpu().numpy().astype(np.complex128))
            got = getattr(norch, name)(x).cpu().numpy()
            assert (abs(got - exact) <= close * abs(exact)).all(), (name, dtype, got, exact)
