"""Values of elementwise operations that generic samples miss: rounding, ties, edges, accuracy."""

import math
import platform

import numpy as np
import pytest

import norch

from test_elementwise import same


def test_rounding_modes(device):
    a, b = norch.tensor([-7.0, 7.0, -7.5], device=device), norch.tensor([2.0, -2.0, 2.0], device=device)
    same(norch.div(a, b, rounding_mode="floor"), [-4.0, -4.0, -4.0])
    same(norch.div(a, b, rounding_mode="trunc"), [-3.0, -3.0, -3.0])
    i = norch.tensor([-7, 7], device=device)
    assert norch.div(i, 2, rounding_mode="floor").dtype == norch.int64
    same(norch.div(i, 2, rounding_mode="trunc"), [-3, 3])
    with pytest.raises(RuntimeError, match="rounding_mode to be one of"):
        norch.div(a, b, rounding_mode="up")


def test_floor_division_by_zero_and_signed_zero(device):
    x = norch.tensor([1.0, -1.0, 0.0, -0.0], device=device)
    same(x // 0.0, [math.inf, -math.inf, math.nan, math.nan])
    assert math.copysign(1, (norch.tensor([-0.0], device=device) // 2.0).item()) == -1


def test_maximum_and_nan(device):
    a = norch.tensor([1.0, math.nan, math.nan], device=device)
    b = norch.tensor([math.nan, 1.0, math.nan], device=device)
    same(norch.maximum(a, b), [math.nan] * 3)
    same(norch.fmax(a, b), [1.0, 1.0, math.nan])


def test_ties_share_the_gradient(device):
    a = norch.tensor([1.0, 2.0], device=device, requires_grad=True)
    b = norch.tensor([1.0, 1.0], device=device, requires_grad=True)
    norch.maximum(a, b).sum().backward()
    same(a.grad, [0.5, 1.0])
    same(b.grad, [0.5, 0.0])


def test_polygamma(device):
    scipy_special = pytest.importorskip("scipy.special")
    x = np.array([0.3, 1.0, 2.5, 7.0, 40.0])
    for n in range(4):
        np.testing.assert_allclose(
            norch.polygamma(n, norch.from_numpy(x).to(device)).cpu().numpy(), scipy_special.polygamma(n, x), rtol=1e-10
        )
    with pytest.raises(RuntimeError, match="must not be negative"):
        norch.polygamma(-1, norch.ones(1, device=device))


def test_close_and_equal(device):
    a = norch.tensor([1.0, math.nan, math.inf], device=device)
    same(norch.isclose(a, a), [True, False, True])
    same(norch.isclose(a, a, equal_nan=True), [True, True, True])
    assert norch.allclose(a[:1], a[:1] + 1e-7)
    assert not norch.allclose(a[:1], a[:1] + 1e-2)
    assert norch.equal(a[:1], norch.tensor([1.0], device=device))
    assert not norch.equal(a, a)
    assert not norch.equal(a[:1], a)
    with pytest.raises(RuntimeError, match="greater than or equal to zero"):
        norch.isclose(a, a, rtol=-1.0)


def gradient(f, values, device):
    x = norch.tensor(values, dtype=norch.float64, device=device, requires_grad=True)
    f(x).sum().backward()
    return x.grad.tolist()


def test_gradients_at_the_edges(device):
    inf = np.inf
    np.testing.assert_array_equal(gradient(norch.nn.functional.softsign, [0, inf, -inf], device), [1, np.nan, np.nan])
    np.testing.assert_allclose(gradient(norch.sinc, [0, 1e-6, 0.03, 0.04], device),
                               [0, -np.pi**2 * 1e-6 / 3, -0.098608, -0.131387], rtol=1e-3)
    zero = norch.zeros(3, dtype=norch.float64, device=device, requires_grad=True)
    y = norch.tensor([0.0, -1.0, 2.0], dtype=norch.float64, device=device)
    norch.xlogy(zero, y).sum().backward()
    np.testing.assert_allclose(zero.grad.tolist(), [0, 0, np.log(2)])
    assert np.isnan(gradient(norch.digamma, [-inf], device)[0])


def test_zeta_far_below_zero(device):
    q = norch.tensor([-20.25, -100000.25], dtype=norch.float64, device=device)
    expected = [sum((x + k) ** -3.0 for k in range(200000)) for x in q.tolist()]
    np.testing.assert_allclose(norch.special.zeta(3, q).tolist(), expected, rtol=1e-8)


def test_polynomials_take_the_dtype_of_a_0d_tensor(device):
    assert norch.special.hermite_polynomial_h(norch.tensor(0.5, device=device), 2.5).dtype == norch.float32


@pytest.mark.parametrize("name,low,high", [("exp", -104, 89), ("log", -103, 88.7)])
def test_exp_and_log_of_floats_are_exact_to_the_last_place_or_so(name, low, high, device):
    x = np.linspace(low, high, 20_001)
    x = (x if name == "exp" else np.exp(x)).astype(np.float32)
    x = np.concatenate([x, np.array([0, -0.0, 1, -1, np.inf, -np.inf, np.nan, 1e-45], np.float32)])
    found = getattr(norch.tensor(x, device=device), name)().cpu().numpy()
    with np.errstate(all="ignore"):
        expected = getattr(np, name)(x.astype(np.float64))
        rounded = expected.astype(np.float32)
    finite = np.isfinite(rounded)
    np.testing.assert_array_equal(found[~finite], rounded[~finite])
    error = np.abs(found[finite] - expected[finite]) / np.spacing(np.abs(rounded[finite]))
    assert error.max() < 2.0


def test_elementary_functions_of_floats_are_rounded_correctly_nearly_always():
    x = np.random.default_rng(0).uniform(-9, 9, 20000).astype(np.float32)
    for name in ["exp", "expm1", "sin", "cos", "tan", "sinh", "cosh", "tanh"]:
        exact = getattr(np, name)(x.astype(np.float64))
        rounded = exact.astype(np.float32)
        result = getattr(norch, name)(norch.tensor(x)).numpy()
        assert np.mean(result != rounded) < 0.002, name
        assert np.max(np.abs(result - exact) / np.spacing(np.abs(rounded)).astype(np.float64)) < 0.52, name


def test_elementary_functions_of_floats_at_the_edges():
    inf, nan = math.inf, math.nan
    x = norch.tensor([0.0, -0.0, inf, -inf, nan, 1e-40, 3e38, -3e38])
    expected = {
        "exp": [1, 1, inf, 0, nan, 1, inf, 0],
        "expm1": [0, -0.0, inf, -1, nan, 1e-40, inf, -1],
        "tanh": [0, -0.0, 1, -1, nan, 1e-40, 1, -1],
        "sinh": [0, -0.0, inf, -inf, nan, 1e-40, inf, -inf],
        "cosh": [1, 1, inf, inf, nan, 1, inf, inf],
        "sin": [0, -0.0, nan, nan, nan, 1e-40, math.sin(x[6]), -math.sin(x[6])],
        "cos": [1, 1, nan, nan, nan, 1, math.cos(x[6]), math.cos(x[6])],
        "tan": [0, -0.0, nan, nan, nan, 1e-40, math.tan(x[6]), -math.tan(x[6])],
    }
    for name, values in expected.items():
        result = getattr(norch, name)(x).numpy()
        np.testing.assert_allclose(result, np.array(values, np.float32), rtol=2e-7, err_msg=name)
        assert (np.signbit(result[:2]) == np.signbit(np.array(values[:2], np.float32))).all(), name
    # The reduction of the argument is exact up to where another one takes over, and beyond.
    far = np.array([999999.94, 1e6, 1000000.06, 12345678.0, 1e22, 355.0, 103993.0, 1e5 * math.pi], np.float32)
    for name in ["sin", "cos", "tan"]:
        exact = [getattr(math, name)(float(v)) for v in far]
        np.testing.assert_allclose(getattr(norch, name)(norch.tensor(far)).numpy(), exact, rtol=2e-7)


def test_powers_of_floats(device):
    rng = np.random.default_rng(0)
    x, y = rng.uniform(0.01, 10, 20000).astype(np.float32), rng.uniform(-9, 9, 20000).astype(np.float32)
    rounded = (x.astype(np.float64) ** y.astype(np.float64)).astype(np.float32)
    result = norch.pow(norch.tensor(x, device=device), norch.tensor(y, device=device)).cpu().numpy()
    if device == "cpu":
        assert np.mean(result != rounded) < 0.002
    np.testing.assert_allclose(result, rounded, rtol=2e-7)

    values = [0.0, 0.5, 1.0, 2.0, 3.0, math.inf, 1e-45, 1e-38, 3e38, 16777216.0, 33554433.0, 127.0, 149.0, 1.0000001]
    values = np.array([*values, *[-v for v in values], math.nan], np.float32)
    x, y = (v.ravel() for v in np.meshgrid(values, values))
    with np.errstate(all="ignore"):
        expected = (x.astype(np.float64) ** y.astype(np.float64)).astype(np.float32)
    result = norch.pow(norch.tensor(x, device=device), norch.tensor(y, device=device)).cpu().numpy()
    np.testing.assert_allclose(result, expected, rtol=2e-7, atol=2e-45)
    zero = expected == 0
    np.testing.assert_array_equal(np.signbit(result[zero]), np.signbit(expected[zero]))


@pytest.mark.cuda
def test_floored_quotients_are_the_same_on_both_devices():
    rng = np.random.default_rng(0)
    values = [0.0, 0.5, 1.0, 3.0, 7.0, math.inf, math.nan, 1e-45, 1e-38, 1e-20, 3e38, 16777216.0, 2147483648.0, 0.99999994]
    values = np.array([*values, *[-v for v in values], *rng.uniform(-500, 500, 300), *rng.integers(-20, 20, 100)], np.float32)
    x, y = (norch.tensor(v.ravel()) for v in np.meshgrid(values, values))
    here, there = norch.floor_divide(x, y).numpy(), norch.floor_divide(x.cuda(), y.cuda()).cpu().numpy()
    np.testing.assert_array_equal(there, here)
    np.testing.assert_array_equal(np.signbit(there[here == 0]), np.signbit(here[here == 0]))


def test_divisors_in_the_common_dtype(device):
    # A 0-d tensor of a wider dtype doesn't widen the result: -7 is 249 there, as in other operations.
    a, b = norch.tensor([1, 2, 3], dtype=norch.uint8, device=device), norch.tensor(-7, dtype=norch.int16, device=device)
    assert norch.gcd(a, b).tolist() == [1, 1, 3] and norch.lcm(a, b).tolist() == [249, 242, 249]
    assert norch.lcm(a, b).dtype == norch.uint8


def test_an_exponent_that_does_not_fit():
    with pytest.raises(RuntimeError, match="without overflow"):
        norch.tensor([1, 2], dtype=norch.int16) ** 70000


def test_rounding_and_signs_of_complex_numbers_are_not_implemented():
    z = norch.ones(2, dtype=norch.complex64)
    for function in (norch.ceil, norch.floor, norch.trunc, norch.round, norch.sign):
        with pytest.raises(NotImplementedError):
            function(z)


@pytest.mark.skipif(platform.machine() not in ("x86_64", "AMD64"), reason="other processors convert otherwise")
def test_floats_that_integers_do_not_hold(device):
    # As C's conversion on x86 has it, on every device: the smallest number, cut to its lower bits in short integers.
    x = [math.nan, math.inf, -math.inf, 3e9, -3e9, 300.7, -300.7, 70000.0, 2.0**31, -(2.0**31)]
    low = -(2**31)
    expected = {
        norch.int32: [low, low, low, low, low, 300, -300, 70000, low, low],
        norch.int64: [-(2**63)] * 3 + [3000000000, -3000000000, 300, -300, 70000, 2**31, low],
        norch.int16: [0, 0, 0, 0, 0, 300, -300, 4464, 0, 0],
        norch.int8: [0, 0, 0, 0, 0, 44, -44, 112, 0, 0],
        norch.uint8: [0, 0, 0, 3000000000 % 256, -3000000000 % 256, 44, 212, 112, 0, 0],
    }
    for dtype, values in expected.items():
        for source in (norch.float32, norch.float64):
            assert norch.tensor(x, dtype=source, device=device).to(dtype).tolist() == values, (dtype, source)


def test_slopes_keep_the_digits_of_their_steps():
    x = np.random.default_rng(0).normal(size=(5, 6))
    for order in (1, 2):
        for step in ([2.0, 2.1], 0.3):
            expected = np.gradient(x, *(step if isinstance(step, list) else [step]), edge_order=order)
            for got, exact in zip(norch.gradient(norch.tensor(x), spacing=step, edge_order=order), expected):
                np.testing.assert_allclose(got.numpy(), exact, rtol=1e-12)


def test_powers_of_two_beyond_the_range(device):
    x = norch.tensor([0.0, -0.0, math.inf, 1e-30, 1e30, 1.5, 1e-45, 3.0], device=device)
    e = norch.tensor([10**10, 10**10, -(10**10), 200, -200, -149, 260, 10**12], device=device)
    for dtype in (norch.float32, norch.float64):
        got = norch.ldexp(x.to(dtype), e).cpu().numpy()
        exact = np.ldexp(x.to(dtype).cpu().numpy().astype(np.longdouble), e.clamp(-9999, 9999).cpu().numpy().astype(np.int32))
        with np.errstate(over="ignore"):
            exact = exact.astype(got.dtype)
        np.testing.assert_array_equal(got, exact)
        assert (np.signbit(got) == np.signbit(exact)).all()
    assert norch.ldexp(norch.tensor([3.0], dtype=norch.float16, device=device), norch.tensor([-2], device=device)).item() == 0.75
