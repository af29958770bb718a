"""What op_db's generic checks do not cover: promotion, operators, in-place with autograd, out=."""

import operator

import numpy as np
import pytest

import norch

INTS = [norch.uint8, norch.int8, norch.int16, norch.int32, norch.int64]
FLOATS = [norch.float16, norch.bfloat16, norch.float32, norch.float64]


def same(t, expected):
    np.testing.assert_array_equal(t.detach().cpu().numpy(), np.asarray(expected))


# ---- promotion


@pytest.mark.parametrize(
    "a,b,result",
    [
        (norch.uint8, norch.int8, norch.int16),
        (norch.uint8, norch.int64, norch.int64),
        (norch.bool, norch.uint8, norch.uint8),
        (norch.int64, norch.float16, norch.float16),
        (norch.float16, norch.bfloat16, norch.float32),
        (norch.float32, norch.float64, norch.float64),
    ],
)
def test_tensors_promote(a, b, result, device):
    x, y = norch.ones(2, dtype=a, device=device), norch.ones(2, dtype=b, device=device)
    assert (x * y).dtype == result
    assert (y * x).dtype == result


def test_numbers_raise_the_category_only(device):
    for dtype in INTS:
        x = norch.ones(2, dtype=dtype, device=device)
        assert (x + 300).dtype == dtype
        assert (x + True).dtype == dtype
        assert (x + 1.5).dtype == norch.float32
        assert (1.5 * x).dtype == norch.float32
    for dtype in FLOATS:
        assert (norch.ones(2, dtype=dtype, device=device) + 1.5).dtype == dtype
    assert (norch.ones(2, dtype=norch.bool, device=device) + 1).dtype == norch.int64


def test_0d_tensors_rank_between(device):
    x = norch.ones(2, dtype=norch.float16, device=device)
    assert (x + norch.tensor(1.0, dtype=norch.float64, device=device)).dtype == norch.float16
    assert (norch.ones(2, dtype=norch.int8, device=device) + norch.tensor(1, device=device)).dtype == norch.int8
    half = norch.tensor(1.0, dtype=norch.float16, device=device)
    assert (norch.ones(2, dtype=norch.int8, device=device) + half).dtype == norch.float16
    assert (half + 2.5).dtype == norch.float16


def test_a_number_keeps_its_precision(device):
    x = norch.ones(1, dtype=norch.float64, device=device)
    assert (x * 0.1).item() == 0.1
    assert norch.clamp(x, max=0.1).item() == 0.1
    assert norch.where(x > 0, 0.1, x).item() == 0.1


def narrow_samples(dtype, device):
    n = norch.arange(1, 1201, device=device)
    return ((n * 37 % 401 - 200.5) / 40).to(dtype), ((n * 11 % 301 - 150.5) / 70).to(dtype)


@pytest.mark.parametrize("dtype", [norch.float16, norch.bfloat16])
@pytest.mark.parametrize("layout", ["dense", "strided"])
def test_factors_and_divisors_of_16_bit_floats_stay_float32(dtype, layout, device):
    x, y = narrow_samples(dtype, device)
    if layout == "strided":
        x, y = x.view(30, 40).t()[1:], y.view(30, 40).t()[1:]
    ops = {
        "x * s": lambda x, y, s: x * s,
        "s * x": lambda x, y, s: s * x,
        "x / s": lambda x, y, s: x / s,
        "x // s": lambda x, y, s: x // s,
        "trunc": lambda x, y, s: norch.div(x, s, rounding_mode="trunc"),
        "lerp": lambda x, y, s: norch.lerp(x, y, s),
        "x * 0-d": lambda x, y, s: x * norch.tensor(s),
        "x / 0-d": lambda x, y, s: x / norch.tensor(s),
    }
    if device == "cuda":
        ops["x + s"] = lambda x, y, s: x + s
        ops["s - x"] = lambda x, y, s: s - x
        ops["x - s"] = lambda x, y, s: norch.sub(x, s, alpha=3)
        ops["rsub"] = lambda x, y, s: norch.rsub(x, s, alpha=3)
        ops["0-d * x"] = lambda x, y, s: norch.tensor(s) * x
    for name, op in ops.items():
        wide = op(x.float(), y.float(), 0.3).to(dtype)
        assert norch.equal(op(x, y, 0.3), wide), name
    assert norch.equal(x.clone().mul_(0.3), (x.float() * 0.3).to(dtype))
    assert (x[0, 0] if layout == "strided" else x[0]).mul(0.3).dtype == dtype


@pytest.mark.parametrize("dtype", [norch.float16, norch.bfloat16])
def test_other_numbers_round_to_16_bits(dtype, device):
    x, y = narrow_samples(dtype, device)
    rounded = norch.tensor(0.3, dtype=dtype).item()
    ops = {
        "x % s": lambda x, y, s: x % s,
        "fmod": lambda x, y, s: norch.fmod(x, s),
        "power": lambda x, y, s: x.abs() ** s,
        "0-d / x": lambda x, y, s: norch.div(norch.tensor(s), x),
    }
    if device == "cpu":
        ops["x + s"] = lambda x, y, s: x + s
        ops["s - x"] = lambda x, y, s: s - x
        ops["alpha"] = lambda x, y, s: norch.add(x, y, alpha=s)
        ops["0-d * x"] = lambda x, y, s: norch.mul(norch.tensor(s), x)
    for name, op in ops.items():
        assert norch.equal(op(x, y, 0.3), op(x.float(), y.float(), rounded).to(dtype)), name


@pytest.mark.parametrize("dtype", FLOATS)
def test_a_number_over_a_tensor_multiplies_the_reciprocal(dtype, device):
    x = narrow_samples(dtype, device)[0].requires_grad_()
    y = 0.3 / x
    assert norch.equal(y, norch.reciprocal(x) * 0.3)
    assert norch.equal(1 / x, norch.reciprocal(x))
    (g,) = norch.autograd.grad(y.sum(), x)
    np.testing.assert_allclose(g.double().cpu().numpy(), -0.3 / x.detach().double().cpu().numpy() ** 2, rtol=3e-2)
    same(3 / norch.tensor([2, 4], device=device), [1.5, 0.75])


def test_integers_wrap_around(device):
    same(norch.tensor([255], dtype=norch.uint8, device=device) + 1, np.array([0], np.uint8))
    same(norch.tensor([1], dtype=norch.uint8, device=device) + 300, np.array([45], np.uint8))
    same(-norch.tensor([-128], dtype=norch.int8, device=device), np.array([-128], np.int8))
    low = norch.tensor([-(2**63)], device=device)
    same(low // -1, [-(2**63)])
    same(low % -1, [0])
    same(abs(low), [-(2**63)])


# ---- operators

BINARY = [
    operator.add, operator.sub, operator.mul, operator.truediv, operator.floordiv, operator.mod, operator.pow,
    operator.lt, operator.le, operator.gt, operator.ge, operator.eq, operator.ne,
]  # fmt: skip


@pytest.mark.parametrize("op", BINARY, ids=lambda op: op.__name__)
def test_operators(op, device):
    a, b = np.array([5.5, 7.0, 2.0], np.float32), np.array([2.0, 3.5, 2.0], np.float32)
    x, y = norch.from_numpy(a).to(device), norch.from_numpy(b).to(device)
    np.testing.assert_allclose(op(x, y).cpu().numpy(), op(a, b), rtol=1e-6)
    np.testing.assert_allclose(op(x, 2).cpu().numpy(), op(a, np.float32(2)), rtol=1e-6)
    np.testing.assert_allclose(op(2.5, x).cpu().numpy(), op(np.float32(2.5), a), rtol=1e-6)


@pytest.mark.parametrize(
    "op", [operator.and_, operator.or_, operator.xor, operator.lshift, operator.rshift], ids=lambda op: op.__name__
)
def test_integer_operators(op, device):
    a, b = np.array([5, -7, 12]), np.array([1, 2, 3])
    x, y = norch.from_numpy(a).to(device), norch.from_numpy(b).to(device)
    same(op(x, y), op(a, b))
    same(op(x, 1), op(a, 1))
    same(op(6, y), op(6, b))


@pytest.mark.parametrize(
    "op",
    [operator.iadd, operator.isub, operator.imul, operator.itruediv, operator.ifloordiv, operator.imod, operator.ipow],
    ids=lambda op: op.__name__,
)
def test_in_place_operators(op, device):
    a = np.array([5.5, 7.0, 2.0], np.float32)
    x = norch.from_numpy(a.copy()).to(device)
    y = x
    x = op(x, 2)
    assert x is y
    np.testing.assert_allclose(x.cpu().numpy(), op(a.copy(), np.float32(2)), rtol=1e-6)


def test_unary_operators(device):
    x = norch.tensor([1.5, -2.0], device=device)
    same(-x, [-1.5, 2.0])
    same(abs(x), [1.5, 2.0])
    assert (+x) is x
    same(~norch.tensor([True, False], device=device), [False, True])
    with pytest.raises(TypeError, match="integer and Boolean"):
        ~x


def test_foreign_operands_are_refused(device):
    x = norch.ones(2, device=device)
    for op in (operator.add, operator.mul, operator.lt, operator.and_):
        with pytest.raises(TypeError):
            op(x, "text")
    assert (x == "text") is False
    assert (x != None) is True  # noqa: E711


# ---- errors


def test_integer_division_by_zero_leaves_its_target(device):
    if device != "cpu":
        pytest.skip("a GPU would have to wait for the answer")
    x = norch.tensor([1, 2, 3])
    for op in (operator.floordiv, operator.mod):
        with pytest.raises(RuntimeError, match="ZeroDivisionError"):
            op(x, 0)
    with pytest.raises(RuntimeError, match="ZeroDivisionError"):
        x.floor_divide_(norch.tensor([1, 0, 1]))
    same(x, [1, 2, 3])


def test_in_place_result_must_fit(device):
    x = norch.tensor([1, 2], device=device)
    with pytest.raises(RuntimeError, match="result type float32 can't be cast to the desired output type int64"):
        x.add_(1.5)
    with pytest.raises(RuntimeError, match="can't be cast"):
        x.div_(2)
    with pytest.raises(RuntimeError, match=r"output with shape \[2\] doesn't match the broadcast shape \[3, 2\]"):
        x.mul_(norch.ones(3, 2, dtype=norch.int64, device=device))
    same(x, [1, 2])


def test_overlapping_operands(device):
    x = norch.arange(6, device=device)
    with pytest.raises(RuntimeError, match="refer to a single memory location"):
        x[1:].add_(x[:-1])
    y = norch.arange(6, device=device)
    y[::2].add_(y[1::2])
    same(y, [1, 1, 5, 3, 9, 5])
    z = norch.ones(1, device=device).expand(3)
    with pytest.raises(RuntimeError, match="more than one element of the written-to tensor"):
        z.add_(1)


def test_alpha(device):
    x, y = norch.tensor([1, 2], device=device), norch.tensor([3, 4], device=device)
    same(norch.add(x, y, alpha=2), [7, 10])
    same(norch.sub(x, y, alpha=2), [-5, -6])
    same(norch.rsub(x, y, alpha=2), [1, 0])
    with pytest.raises(RuntimeError, match="alpha must not be a floating point"):
        norch.add(x, y, alpha=0.5)
    with pytest.raises(RuntimeError, match="Boolean alpha"):
        norch.add(x, y, alpha=True)


# ---- in place with autograd


def test_saved_operand_of_an_in_place_op_is_the_old_value(device):
    """x.mul_(w) needs the old x for w's gradient, and x's memory is about to be overwritten."""
    start = norch.tensor([1.0, 2.0, 3.0], dtype=norch.float64, device=device, requires_grad=True)
    w = norch.tensor([4.0, 5.0, 6.0], dtype=norch.float64, device=device, requires_grad=True)

    for f in (
        lambda x, w: x.mul_(w),
        lambda x, w: x.div_(w),
        lambda x, w: x.pow_(w),
        lambda x, w: x.sin_(),
        lambda x, w: x.log_().mul_(w),
        lambda x, w: x.atan2_(w),
        lambda x, w: x.mul_(x),
        lambda x, w: x.addcmul_(x, w),
        lambda x, w: x.mul_(w).sqrt_(),
    ):
        assert norch.autograd.gradcheck(lambda x, w: f(x.clone(), w), (start, w))
    # exp_ keeps its result for backward, and nobody may overwrite that (PyTorch raises here too).
    with pytest.raises(RuntimeError, match="output 0 of ExpBackward0, is at version"):
        start.clone().exp_().mul_(w).sum().backward()


def test_comparison_in_place_cuts_the_gradient(device):
    x = norch.tensor([1.0, 3.0], device=device, requires_grad=True)
    y = x * 2
    y.gt_(3)
    same(y, [0.0, 1.0])
    y.sum().backward()
    same(x.grad, [0.0, 0.0])


# ---- out=


def test_out(device):
    a, b = norch.tensor([1.0, 2.0], device=device), norch.tensor([3.0, 4.0], device=device)
    out = norch.empty(2, device=device)
    assert norch.add(a, b, out=out) is out
    same(out, [4.0, 6.0])
    wide = norch.empty(2, dtype=norch.float64, device=device)
    norch.exp(a, out=wide)
    np.testing.assert_allclose(wide.cpu().numpy(), np.exp([1.0, 2.0]), rtol=1e-6)
    grown = norch.empty(0, device=device)
    norch.mul(a, b, out=grown)
    same(grown, [3.0, 8.0])
    with pytest.raises(RuntimeError, match="can't be cast"):
        norch.add(a, b, out=norch.empty(2, dtype=norch.int64, device=device))
    with pytest.raises(RuntimeError, match="don't support automatic differentiation"):
        norch.add(a.clone().requires_grad_(), b, out=out)


# ---- memory layout


def test_dense_layout_is_kept(device):
    x = norch.ones(3, 4, device=device).t()
    assert (x + 1).stride() == (1, 4)
    assert (x * x).stride() == (1, 4)
    # The first operand of the result's shape decides.
    assert (x + norch.ones(4, 3, device=device)).stride() == (1, 4)
    assert (norch.ones(4, 3, device=device) + x).stride() == (3, 1)
    assert norch.exp(x).stride() == (1, 4)


def test_short_rows(device):
    """Inner dims of a few elements, which the CPU gathers."""
    a = np.random.randn(1000, 3).astype(np.float32)
    b = np.random.randn(3).astype(np.float32)
    c = np.random.randn(1000, 1).astype(np.float32)
    x, y, z = (norch.from_numpy(v).to(device) for v in (a, b, c))
    same(x + y, a + b)
    same(x * z, a * c)
    same(x.t() + z.t(), a.T + c.T)
    np.testing.assert_allclose(norch.exp(x[:, 1:]).cpu().numpy(), np.exp(a[:, 1:]), rtol=1e-6)
    out = norch.zeros(1000, 5, device=device)
    out[:, 1:4].add_(x)
    same(out[:, 1:4], a)
    same(out[:, 0], np.zeros(1000))


@pytest.mark.parametrize(
    "op",
    ["dist", "heaviside", "isclose", "ldexp", "nn.functional.hinge_embedding_loss",
     "nn.functional.multilabel_soft_margin_loss", "nn.functional.pairwise_distance", "nn.functional.poisson_nll_loss",
     "nn.functional.soft_margin_loss", "polar"],
)  # fmt: skip
def test_composed_ops_name_themselves_where_shapes_do_not_broadcast(op):
    f = norch
    for name in op.split("."):
        f = getattr(f, name)
    with pytest.raises(RuntimeError, match=rf"^{name}: shapes .* do not broadcast: .* size of tensor a"):
        f(norch.ones(2, 3), norch.ones(2, 4))
