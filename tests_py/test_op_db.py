"""Every generic check of every op in op_db."""

import numpy as np
import pytest
from op_db import Sample, all_rows
from op_db.row import TOLERANCES

import norch

ROWS = all_rows()
by_dtype = pytest.mark.parametrize(
    "row,dtype", [pytest.param(r, d, id=f"{r.id}-{d}") for r in ROWS for d in r.dtypes]
)


def by_row(condition=lambda row: True):
    return pytest.mark.parametrize("row", [pytest.param(r, id=r.id) for r in ROWS if condition(r)])


def tensor(array, device, dtype=None):
    t = norch.from_numpy(np.array(array)).to(device)
    return t.to(getattr(norch, dtype)) if dtype else t


def numbers(t):
    """The values of a tensor, bfloat16 as float32."""
    t = t.detach().cpu()
    return (t.float() if t.dtype == norch.bfloat16 else t).numpy()


def arguments(sample, device, dtype=None):
    """The tensors of a sample, and the arguments for the reference: the values that the tensors really hold."""
    args, ref_args = [], []
    for a in sample.args:
        if isinstance(a, np.ndarray):
            rounded = dtype if dtype == "bfloat16" and a.dtype == np.float64 else None
            t = tensor(a, device, rounded)
            args.append(t)
            exact = numbers(t)
            ref_args.append(widest(exact))
        else:
            args.append(a)
            ref_args.append(a)
    return args, ref_args


def widest(a):
    """The array in float64 or complex128; integers and bools as they are."""
    return a.astype({"f": np.float64, "c": np.complex128}.get(a.dtype.kind, a.dtype))


def as_list(result):
    return list(result) if isinstance(result, (tuple, list)) else [result]


def assert_values(row, got, expected, dtype, context):
    expected = np.asarray(expected)
    assert list(got.shape) == list(expected.shape), context
    got = numbers(got)
    if got.dtype.kind not in "fc":
        np.testing.assert_array_equal(got, expected.astype(got.dtype), err_msg=context)
        return
    rtol, atol = {**TOLERANCES, **row.tolerances}[dtype]
    if got.dtype.kind == "c":
        np.testing.assert_allclose(widest(got), expected, rtol=rtol, atol=atol, err_msg=context)
        return
    with np.errstate(all="ignore"):
        limit = np.finfo(np.float16 if dtype == "float16" else np.float64 if dtype == "float64" else np.float32).max
        expected = np.where(np.abs(expected) > limit, np.sign(expected) * np.inf, expected)
    np.testing.assert_allclose(got.astype(np.float64), expected, rtol=rtol, atol=atol, err_msg=context)


@by_dtype
def test_values(row, dtype, device):
    for sample in row.samples(dtype):
        args, ref_args = arguments(sample, device, dtype)
        with np.errstate(all="ignore"):
            expected = as_list(row.ref(*ref_args, **sample.kwargs))
        results = as_list(row.function(*args, **sample.kwargs))
        assert len(results) == len(expected)
        context = f"{row.name}{tuple(ref_args)!r} {sample.kwargs}"
        for got, want in zip(results, expected):
            assert str(got.dtype) in (f"norch.{row.result(dtype)}", "norch.bool", "norch.int32", "norch.int64"), context
            assert got.device.type == device
            assert_values(row, got, want, str(got.dtype).removeprefix("norch."), context)


@by_row()
def test_result_dtype(row, device):
    for dtype in row.dtypes:
        sample = row.samples(dtype)[0]
        args, _ = arguments(sample, device, dtype)
        first = as_list(row.function(*args, **sample.kwargs))[0]
        assert str(first.dtype) == f"norch.{row.result(dtype)}", dtype


def layouts(a):
    """The same values in other memory: transposed, every second element, reversed and back."""
    yield np.array(a.T).T
    spread = np.zeros((*a.shape[:-1], a.shape[-1] * 2), a.dtype)
    spread[..., ::2] = a
    yield spread[..., ::2]
    yield np.concatenate([a[:1], a])[1:]


@by_row(lambda row: row.same_bits)
def test_layout_does_not_change_a_bit(row, device):
    dtype = "float32" if "float32" in row.dtypes else row.dtypes[0]
    for sample in row.samples(dtype):
        arrays = [a for a in sample.args if isinstance(a, np.ndarray)]
        if device != "cpu" or any(a.ndim == 0 or a.size == 0 for a in arrays):
            continue
        args, _ = arguments(sample, device)
        expected = as_list(row.function(*args, **sample.kwargs))
        for kind in range(3):
            args = [norch.from_numpy(list(layouts(a))[kind]) if isinstance(a, np.ndarray) else a for a in sample.args]
            for got, want in zip(as_list(row.function(*args, **sample.kwargs)), expected):
                np.testing.assert_array_equal(numbers(got), numbers(want), err_msg=f"{row.name} layout {kind}")


def test_layouts_of_long_rows_agree(device):
    """Long enough for several threads and whole vectors with a rest."""
    x = np.random.uniform(-3, 3, (3, 40003)).astype(np.float32)
    for name in ("exp", "sin", "tanh", "erf", "sigmoid"):
        f = getattr(norch, name)
        whole = numbers(f(tensor(x, device)))
        for row in range(3):
            np.testing.assert_array_equal(numbers(f(tensor(x[row], device))), whole[row])
        np.testing.assert_array_equal(numbers(f(tensor(x[:, 5:77], device))), whole[:, 5:77])
        strided = norch.from_numpy(np.array(x.T).T).to(device)
        np.testing.assert_array_equal(numbers(f(strided)), whole)


def leaf_arguments(row, sample, device):
    args, leaves = [], []
    for i, a in enumerate(sample.args):
        if isinstance(a, np.ndarray):
            t = tensor(a, device)
            if a.dtype in (np.float64, np.complex128) and i not in row.constant:
                t.requires_grad_()
                leaves.append(t)
            args.append(t)
        else:
            args.append(a)
    return args, leaves


def of_leaves(row, sample, args):
    def call(*leaves):
        given = iter(leaves)
        return row.function(*[next(given) if isinstance(a, norch.Tensor) and a.requires_grad else a for a in args],
                            **sample.kwargs)

    return call


@by_row(lambda row: row.grad_samples)
def test_gradients(row, device):
    for sample in row.grad_samples():
        args, leaves = leaf_arguments(row, sample, device)
        assert norch.autograd.gradcheck(of_leaves(row, sample, args), tuple(leaves))


@by_row(lambda row: row.grad_samples and row.double_backward)
def test_second_gradients(row, device):
    for sample in row.grad_samples()[:2]:
        args, leaves = leaf_arguments(row, sample, device)
        assert norch.autograd.gradgradcheck(of_leaves(row, sample, args), tuple(leaves))


@by_row(lambda row: row.grad_samples is None and "float64" in row.dtypes)
def test_no_gradient(row, device):
    args, leaves = leaf_arguments(row, row.samples("float64")[0], device)
    try:
        results = as_list(row.function(*args, **row.samples("float64")[0].kwargs))
    except RuntimeError:
        return
    assert not any(r.requires_grad for r in results)


@by_row(lambda row: row.method)
def test_method_is_the_function(row, device):
    for sample in row.samples(row.dtypes[-1])[:6]:
        args, _ = arguments(sample, device)
        if not isinstance(args[0], norch.Tensor):
            continue
        got = as_list(getattr(args[0], row.method)(*args[1:], **sample.kwargs))
        for g, want in zip(got, as_list(row.function(*args, **sample.kwargs))):
            np.testing.assert_array_equal(numbers(g), numbers(want))


@by_row(lambda row: row.in_place)
def test_in_place(row, device):
    for sample in row.samples(row.dtypes[-1]):
        args, _ = arguments(sample, device)
        expected = row.function(*args, **sample.kwargs)
        if expected.shape != args[0].shape:
            with pytest.raises(RuntimeError):
                getattr(args[0].clone(), row.in_place)(*args[1:], **sample.kwargs)
            continue
        x = args[0].clone()
        version = x._version
        assert getattr(x, row.in_place)(*args[1:], **sample.kwargs) is x
        assert x._version == version + 1
        np.testing.assert_array_equal(numbers(x), numbers(expected.to(x.dtype)))


@by_row(lambda row: row.in_place and row.grad_samples)
def test_in_place_gradients(row, device):
    for sample in row.grad_samples()[1:2]:
        args, leaves = leaf_arguments(row, sample, device)

        def call(*values):
            given = iter(values)
            full = [next(given) if isinstance(a, norch.Tensor) and a.requires_grad else a for a in args]
            return getattr(full[0].clone(), row.in_place)(*full[1:], **sample.kwargs)

        assert norch.autograd.gradcheck(call, tuple(leaves))


@pytest.mark.cuda
@by_row()
def test_cuda_agrees_with_cpu(row):
    for dtype in row.dtypes:
        for sample in row.samples(dtype):
            on_cpu, _ = arguments(sample, "cpu", dtype)
            on_gpu, _ = arguments(sample, "cuda", dtype)
            expected = as_list(row.function(*on_cpu, **sample.kwargs))
            for got, want in zip(as_list(row.function(*on_gpu, **sample.kwargs)), expected):
                assert got.dtype == want.dtype and got.shape == want.shape
                kind = str(got.dtype).removeprefix("norch.")
                rtol, atol = {**TOLERANCES, **row.tolerances}.get(kind, (0, 0))
                np.testing.assert_allclose(
                    widest(numbers(got)), widest(numbers(want)), rtol=4 * rtol, atol=4 * atol
                )


@by_row(lambda row: row.errors)
def test_errors(row, device):
    for error in row.errors:
        if error.cpu_only and device != "cpu":
            continue
        args, _ = arguments(Sample(error.args), device)
        with pytest.raises(error.kind, match=error.text):
            row.function(*args, **error.kwargs)
            if device != "cpu":
                norch.cuda.synchronize()  # an index error of a kernel shows at the next wait
