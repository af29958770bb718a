"""What op_db's rows of reductions and normalisation can't say."""

import math
import pickle

import numpy as np
import pytest

import norch
import norch.nn.functional as F


def tensor(x, device, dtype=None):
    return norch.tensor(x, dtype=dtype, device=device)


def test_named_results(device):
    x = tensor([[1.0, 3.0, 2.0]], device)
    r = x.max(1)
    assert type(r).__name__ == "max" and r.values.tolist() == [3.0] and r.indices.tolist() == [1]
    assert x.sort(descending=True).indices.tolist() == [[1, 2, 0]]
    assert norch.aminmax(x).min.item() == 1.0
    values, indices = norch.topk(x, 2)
    assert values.tolist() == [[3.0, 2.0]] and indices.tolist() == [[1, 2]]


def test_max_of_two_tensors(device):
    assert norch.max(tensor([1, 5], device), tensor([3, 2], device)).tolist() == [3, 5]


def test_numpy_names(device):
    x = tensor([[1.0, 2.0], [3.0, 4.0]], device)
    assert x.sum(axis=0, keepdims=True).tolist() == [[4.0, 6.0]]
    assert x.sum(dim=0, keepdims=True).tolist() == x.sum(axis=0, keepdim=True).tolist() == [[4.0, 6.0]]
    assert norch.min(x, dim=1, keepdims=True)[0].tolist() == [[1.0], [3.0]]
    assert norch.mean(x, axis=-1).tolist() == [1.5, 3.5]


def test_dtype_argument(device):
    x = tensor([200, 100], device, norch.uint8)
    assert x.sum().dtype == norch.int64 and x.sum().item() == 300
    assert x.sum(dtype=norch.uint8).item() == 44
    assert x.sum(dtype=norch.bool).item() is True
    assert x.mean(dtype=norch.float64).item() == 150.0
    h = norch.full((70000,), 1.0, dtype=norch.float16, device=device)
    assert h.sum(dtype=norch.float32).item() == 70000.0
    assert h.cumsum(0, dtype=norch.float32)[-1].item() == 70000.0


@pytest.mark.parametrize("size", [1e30, 1e-30])
@pytest.mark.parametrize("shape,dim", [((3,), 0), ((3, 5000), 1), ((3, 5000), 0), ((2, 3, 7), (0, 2))])
def test_std_of_values_whose_squares_leave_float32(size, shape, dim):
    x = (np.random.default_rng(0).standard_normal(shape) * size).astype(np.float32)
    expected = x.astype(np.float64).std(dim, ddof=1)
    np.testing.assert_allclose(norch.std(norch.tensor(x), dim).numpy(), expected, rtol=1e-6)
    std, mean = norch.std_mean(norch.tensor(x), dim)
    np.testing.assert_allclose(std.numpy(), expected, rtol=1e-6)
    np.testing.assert_allclose(mean.numpy(), x.astype(np.float64).mean(dim), rtol=1e-4)
    assert norch.std(norch.full((100,), size)).item() == 0


def test_var_in_all_forms(device):
    x = tensor([[1.0, 2.0], [3.0, 5.0]], device)
    assert x.var(False).item() == pytest.approx(2.1875)
    assert x.var(0, False).tolist() == [1.0, 2.25]
    assert x.var(0, unbiased=False).tolist() == [1.0, 2.25]
    assert x.var(0, correction=0).tolist() == [1.0, 2.25]
    assert x.var(0, keepdim=True).shape == (1, 2)
    deviation, mean = norch.std_mean(x, 0, correction=0)
    assert deviation.tolist() == [1.0, 1.5] and mean.tolist() == [2.0, 3.5]
    assert np.isnan(tensor([1.0], device).var().item())


def test_var_of_nothing_is_nan_whatever_the_correction(device):
    x = norch.ones(0, 2, device=device)
    for t in (norch.var(x, correction=-3), norch.var(x, dim=0, correction=-1), *norch.std_mean(x, correction=-3)):
        assert t.isnan().all()


def test_gradient_of_products_with_zeros(device):
    x = tensor([[2.0, 0.0, 3.0], [0.0, 0.0, 4.0]], device, norch.float64).requires_grad_()
    x.prod(1).sum().backward()
    assert x.grad.tolist() == [[0.0, 6.0, 0.0], [0.0, 0.0, 0.0]]


def test_extremes_share_the_gradient(device):
    x = tensor([2.0, 5.0, 5.0, 1.0], device).requires_grad_()
    x.amax().backward()
    assert x.grad.tolist() == [0.0, 0.5, 0.5, 0.0]
    x.grad = None
    x.max(0).values.backward()
    assert x.grad.tolist() == [0.0, 1.0, 0.0, 0.0]


def test_nan_order(device):
    x = tensor([2.0, float("nan"), 1.0], device)
    assert norch.sort(x).indices.tolist() == [2, 0, 1]
    assert norch.sort(x, descending=True).indices.tolist() == [1, 0, 2]
    assert np.isnan(x.median().item()) and x.nanmedian().item() == 1.0
    assert x.argmax().item() == 1 and x.argmin().item() == 1


def test_negative_zero_keeps_its_place(device):
    x = tensor([0.0, -0.0, 0.0], device)
    assert norch.argsort(x).tolist() == [0, 1, 2]
    assert norch.argsort(x, descending=True).tolist() == [0, 1, 2]


def test_infinite_logsumexp(device):
    inf = float("inf")
    assert norch.logsumexp(tensor([-inf, -inf], device), 0).item() == -inf
    assert norch.logsumexp(tensor([inf, 1.0], device), 0).item() == inf
    assert norch.logsumexp(tensor([inf, float("nan")], device), 0).isnan().item()
    assert norch.logsumexp(norch.zeros(2, 0, device=device), 1).tolist() == [-inf, -inf]


# Rows that a few threads hold, a warp, a block and none; columns by vectors and one by one, whole and in parts.
@pytest.mark.parametrize("shape", [(9, 40), (5, 1000), (3, 4200), (2, 20000), (3, 700, 12), (1, 3000, 8), (1, 3000, 7)])
def test_sums_of_exponentials(device, shape):
    x = np.random.default_rng(1).normal(size=shape) * 5
    for dtype, tolerance in (("float32", 1e-5), ("bfloat16", 1e-2)):
        t = norch.tensor(x, dtype=getattr(norch, dtype), device=device)
        wide = t.double().cpu().numpy()
        high = wide.max(1, keepdims=True)
        total = np.log(np.exp(wide - high).sum(1, keepdims=True)) + high
        np.testing.assert_allclose(norch.logsumexp(t, 1, True).double().cpu().numpy(), total, rtol=tolerance)
        y = norch.log_softmax(t, 1).double().cpu().numpy()
        np.testing.assert_allclose(y, wide - total, rtol=tolerance, atol=tolerance)
        np.testing.assert_allclose(norch.softmax(t, 1).double().cpu().numpy(), np.exp(wide - total), rtol=tolerance * 10,
                                   atol=tolerance / 10)


def test_logsumexp_over_several_dims(device):
    x = np.random.default_rng(1).normal(size=(4, 30, 6))
    for dims in ((0, 2), (0, 1), (1, 2), (2,), (0, 1, 2)):
        y = norch.logsumexp(norch.tensor(x, device=device), dims)
        np.testing.assert_allclose(y.cpu().numpy(), np.log(np.exp(x).sum(dims)), rtol=1e-12)


def test_unique_consecutive(device):
    values, index, counts = norch.unique_consecutive(tensor([1, 1, 2, 2, 1], device), True, True)
    assert values.tolist() == [1, 2, 1] and index.tolist() == [0, 0, 1, 1, 2] and counts.tolist() == [2, 2, 1]


def test_histc_and_weighted_bincount(device):
    assert norch.histc(tensor([1.0, 2.0, 1.0, 4.0, 9.0], device), 4, 0, 4).tolist() == [0.0, 2.0, 1.0, 1.0]
    weighted = norch.bincount(tensor([0, 2, 2], device), tensor([1.0, 0.5, 2.0], device))
    assert weighted.tolist() == [1.0, 0.0, 2.5]


def test_quantile_of_a_list(device):
    x = tensor([[0.0, 1.0, 2.0, 3.0]], device)
    assert norch.quantile(x, tensor([0.0, 0.5, 1.0], device), dim=1).tolist() == [[0.0], [1.5], [3.0]]
    with pytest.raises(RuntimeError, match="range"):
        norch.quantile(x, 1.5)


def test_running_statistics(device):
    x = np.random.randn(5, 3, 4).astype(np.float32)
    mean, var = norch.zeros(3, device=device), norch.ones(3, device=device)
    version = mean._version
    F.batch_norm(norch.from_numpy(x).to(device), mean, var, training=True, momentum=0.25)
    assert mean._version > version
    np.testing.assert_allclose(mean.cpu().numpy(), 0.25 * x.mean((0, 2)), rtol=1e-5, atol=1e-6)
    np.testing.assert_allclose(var.cpu().numpy(), 0.75 + 0.25 * x.var((0, 2), ddof=1), rtol=1e-5)
    with pytest.raises(RuntimeError, match="running_mean"):
        F.batch_norm(norch.from_numpy(x).to(device), None, None)


@pytest.mark.parametrize("shape", [(3, 40), (2, 3000), (1, 20000)])
def test_fused_backward_equals_the_differentiable_one(shape, device):
    """The gradient without create_graph comes from a kernel, with it from ordinary ops."""
    n = shape[1]
    x, w, b = (norch.from_numpy(np.random.randn(*s)).to(device).requires_grad_() for s in (shape, (n,), (n,)))
    g = norch.from_numpy(np.random.randn(*shape)).to(device)
    for f in (
        lambda: F.layer_norm(x, (n,), w, b),
        lambda: F.rms_norm(x, (n,), w) + b,
        lambda: F.group_norm(x, 2, w, b),
        lambda: F.batch_norm(x, None, None, w, b, True) if shape[0] > 1 else F.layer_norm(x, (n,), w, b),
        lambda: norch.log_softmax(x * w + b, 1),
    ):
        fused = norch.autograd.grad([f()], [x, w, b], [g])
        plain = norch.autograd.grad([f()], [x, w, b], [g], create_graph=True)
        for a, c in zip(fused, plain):
            np.testing.assert_allclose(a.cpu().numpy(), c.detach().cpu().numpy(), rtol=1e-9, atol=1e-9)


def test_types_of_named_results():
    found = norch.max(norch.tensor([[1, 5], [7, 2]]), dim=1)
    values, indices = found
    assert values is found.values and indices is found[1] and isinstance(found, tuple)
    assert repr(found) == "norch.return_types.max(\nvalues=tensor([5, 7]),\nindices=tensor([1, 0]))"
    assert type(found) is norch.return_types.max and type(found)([1, 2]).indices == 2
    with pytest.raises(TypeError, match="2-sequence"):
        type(found)([1])
    copied = pickle.loads(pickle.dumps(found))
    assert type(copied) is type(found) and copied.values.tolist() == [5, 7]


def test_functions_of_the_module_take_pytorchs_order():
    """batch_norm, instance_norm and embedding have another order of arguments than in nn.functional."""
    x, w, b = norch.randn(4, 3, 5), norch.randn(3), norch.randn(3)
    mean, var = norch.zeros(3), norch.ones(3)
    assert norch.batch_norm(x, w, b, mean, var, False, 0.1, 1e-5, True).equal(F.batch_norm(x, mean, var, w, b))
    same = norch.instance_norm(x, w, b, None, None, True, 0.1, 1e-5, True)
    assert same.equal(F.instance_norm(x, None, None, w, b))
    index = norch.tensor([2, 0])
    assert norch.embedding(x[0], index).equal(F.embedding(index, x[0]))
    values, places = norch.adaptive_max_pool1d(x, 2)
    assert values.equal(F.adaptive_max_pool1d(x, 2)) and places.dtype == norch.int64


def test_no_dims_are_no_reduction_for_truth_values(device):
    x = norch.tensor([[0.0, 2.0]], device=device)
    assert norch.all(x, dim=()).tolist() == [[False, True]] and x.any(dim=(), keepdim=True).tolist() == [[False, True]]
    assert norch.all(x).item() is False and x.sum(dim=()).item() == 2
    assert norch.any(norch.tensor([0, 5], dtype=norch.uint8, device=device), dim=()).tolist() == [0, 1]


def test_narrow_dtypes_of_products(device):
    assert norch.prod(norch.tensor([2.0, 3.0], device=device), dtype=norch.int8).dtype == norch.int8
    assert norch.einsum("ij->", norch.ones(1, 2, dtype=norch.int32, device=device)).dtype == norch.int64
    half = norch.ones(2, dtype=norch.float16, device=device)
    assert norch.ldexp(half, norch.tensor([1, 2], device=device)).dtype == norch.float16


def test_equal_elements_share_the_medians_gradient(device):
    for function, numbers, gradient in (
        (norch.median, [1.0, 2, 2, 2, 3], [0, 1 / 3, 1 / 3, 1 / 3, 0]),
        (norch.nanmedian, [2.0, math.nan, 2, 5], [0.5, 0, 0.5, 0]),
        (norch.median, [2.0, math.nan, math.nan], [0, 0.5, 0.5]),
    ):
        x = norch.tensor(numbers, device=device, requires_grad=True)
        function(x).backward()
        np.testing.assert_allclose(x.grad.tolist(), gradient)


def test_area_of_wrapped_integers(device):
    y = norch.tensor([248, 255, 252, 254, 249], dtype=norch.uint8, device=device)
    assert norch.trapezoid(y, dx=2.0).item() == 2 * (1258 - (248 + 249) % 256 / 2)


def test_logsumexp_of_a_complex_number(device):
    z = norch.tensor(1000 + 7j, device=device)
    np.testing.assert_allclose(z.logsumexp(0).item(), 1000 + (7 - 2 * math.pi) * 1j, rtol=1e-6)


# Rows of whole vectors, by parts of a warp, a warp, a block and several blocks, and rows that are none; so for columns.
@pytest.mark.parametrize("shape", [(33, 4), (9, 100), (33, 1000), (3, 16384), (1, 40000), (3000, 12), (5, 7)])
def test_first_of_the_extreme_elements(device, shape):
    rng = np.random.default_rng(1)
    kinds = [rng.normal(size=shape), rng.integers(0, 3, size=shape), np.where(rng.random(shape) < 0.5, -0.0, 0.0)]
    kinds += [np.full(shape, np.inf), np.full(shape, -np.inf), np.where(rng.random(shape) < 0.02, np.nan, kinds[0])]
    for x in kinds:
        for dtype in ("float32", "bfloat16", "float64"):
            t = norch.tensor(x, dtype=getattr(norch, dtype), device=device)
            a = t.double().cpu().numpy()
            for largest in (True, False):
                pick, best = (norch.argmax, norch.max) if largest else (norch.argmin, norch.min)
                for dim in (0, 1):
                    place = (np.argmax if largest else np.argmin)(a, dim)  # NumPy, too, takes the first NaN
                    values, found = best(t, dim)
                    assert found.tolist() == place.tolist() == pick(t, dim).tolist()
                    want = np.take_along_axis(a, np.expand_dims(place, dim), dim).squeeze(dim)
                    np.testing.assert_array_equal(values.double().cpu().numpy(), want)
                assert pick(t).item() == (np.argmax if largest else np.argmin)(a)


def test_means_in_16_bits_of_what_does_not_fit(device):
    x = tensor([1e5, -1e5, 3.0], device)
    assert norch.mean(x, dtype=norch.float16).item() == 1
    assert norch.mean(tensor([100000, -99998], device), 0, dtype=norch.float16).item() == 1
    x = tensor([2.0, 4.0], device).requires_grad_()
    norch.mean(x, dtype=norch.bfloat16).backward()
    assert x.grad.tolist() == [0.5, 0.5]


def test_mean_of_one_infinite_number(device):
    for function in (norch.var_mean, norch.std_mean):
        spread, mean = function(tensor([[math.inf], [1.0]], device), 1)
        assert mean.tolist() == [math.inf, 1] and spread.isnan().all()


@pytest.mark.parametrize("shape, dim", [((300, 7), 1), ((7, 300), 0), ((3, 5000), 1), ((3, 90000), 1), ((4000, 2, 3), 0)])
@pytest.mark.parametrize("dtype", [norch.float32, norch.float64])
def test_softmax_gradient_of_weights_of_nearly_0_and_1(shape, dim, dtype, device):
    rng = np.random.default_rng(0)
    x, g = rng.normal(size=shape) * 3, rng.normal(size=shape)
    np.moveaxis(x, dim, 0)[0] += 25  # its weight is 1 but for 1e-7 or so
    inputs = norch.tensor(x, dtype=dtype, device=device).requires_grad_()
    upper = norch.tensor(g, dtype=dtype, device=device)
    (got,) = norch.autograd.grad([norch.softmax(inputs, dim)], [inputs], [upper])
    exact = inputs.detach().cpu().numpy().astype(np.longdouble)
    e = np.exp(exact - exact.max(dim, keepdims=True))
    y, g = e / e.sum(dim, keepdims=True), upper.cpu().numpy().astype(np.longdouble)
    top = np.expand_dims(np.take(g, 0, dim), dim)
    parts = (g - top) * y
    # The weights have the dtype's digits, the mean those of double.
    eps, last = norch.finfo(dtype).eps, norch.finfo(norch.float64).eps
    bound = 64 * eps * (abs(parts) + y * abs(parts).sum(dim, keepdims=True)) + (16 * eps * eps + 4 * last) * y * abs(top)
    error = abs(got.cpu().numpy() - (parts - y * parts.sum(dim, keepdims=True)))
    assert (error <= bound).all(), (error / bound).max()


def test_softmax_gradient_of_infinite_gradients(device):
    x = norch.zeros(2, 2, device=device).requires_grad_()
    upper = tensor([[math.inf, 1.0], [2.0, 1.0]], device)
    (got,) = norch.autograd.grad([norch.softmax(x, 1)], [x], [upper])
    assert got[0, 0].isnan() and got[0, 1].item() == -math.inf and got[1].tolist() == [0.25, -0.25]


def test_softmax_asks_for_the_dim_first():
    with pytest.raises(IndexError, match="Dimension out of range"):
        norch.softmax(norch.ones(3, dtype=norch.int64), 1)


def test_topk_of_a_number(device):
    for k in (0, 1):
        values, indices = norch.topk(tensor(5.0, device), k)
        assert values.item() == 5 and indices.item() == 0


def test_products_by_alpha_0(device):
    a, b = tensor([[math.nan, 1.0], [math.inf, 2.0]], device), norch.ones(2, 2, device=device)
    for alpha, beta, expected in ((0, 0, 0), (0, 1, 3), (0, 2, 6)):
        bias = tensor(3.0 if beta else math.nan, device)
        assert (norch.addmm(bias, a, b, beta=beta, alpha=alpha) == expected).all()
        assert (norch.baddbmm(bias, a[None], b[None], beta=beta, alpha=alpha) == expected).all()
        assert (norch.addmv(bias, a, b[0], beta=beta, alpha=alpha) == expected).all()
