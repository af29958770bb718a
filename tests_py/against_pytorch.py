"""Every row of op_db on norch and on PyTorch: values, shapes, dtypes and gradients (`nox -s conformance`).

It is no part of the usual run (its name does not begin with test_), for that needs no PyTorch.
"""

import numpy as np
import pytest
import torch
from op_db import all_rows
from op_db.row import TOLERANCES
from test_op_db import as_list, numbers

import norch

pytestmark = pytest.mark.filterwarnings("ignore")
ROWS = all_rows()

# Of equal elements each framework may take another, so that only the values are compared, not where they were found.
ANY_OF_EQUALS = {"sort", "msort", "argsort", "topk", "kthvalue", "mode", "median", "nanmedian", "max", "min", "argmax",
                 "argmin", "aminmax", "cummax", "cummin"}
# How far PyTorch may be from the truth: it computes Bessel functions and incomplete gammas in less than float32's and
# float64's precision, and some losses with every step rounded to 16 bits. What norch may be off by is in the rows.
OF_PYTORCH = {"float16": (2e-2, 1e-2), "bfloat16": (1e-1, 5e-2), "float32": (2e-4, 2e-5), "float64": (1e-6, 1e-7),
              "complex64": (2e-4, 2e-5), "complex128": (1e-8, 1e-9)}
# Of these, PyTorch's float64 results have the digits of float32; norch's agree with SciPy (test_op_db.py).
INEXACT = ("special.bessel_", "special.airy_ai")
# PyTorch gives the triangle that cholesky_inverse does not read a gradient (docs/differences.md).
OTHER_GRADIENTS = {"cholesky_inverse"}


def torch_function(row):
    try:
        return row.of(torch)
    except AttributeError:
        pytest.skip(f"PyTorch has no {row.name}")


def translated(value, dtype, requires_grad=False):
    """(norch's, PyTorch's) argument for one of a sample. Arrays have the dtype of the test."""
    if isinstance(value, np.ndarray):
        ours, theirs = norch.from_numpy(np.array(value)), torch.from_numpy(np.array(value))
        if dtype == "bfloat16" and value.dtype == np.float64:
            ours, theirs = ours.to(norch.bfloat16), theirs.to(torch.bfloat16)
        if requires_grad and value.dtype in (np.float64, np.complex128):
            ours.requires_grad_()
            theirs.requires_grad_()
        return ours, theirs
    if isinstance(value, norch.dtype):
        return value, getattr(torch, str(value).removeprefix("norch."))
    if type(value) in (list, tuple):
        pairs = [translated(v, dtype, requires_grad) for v in value]
        return type(value)(p[0] for p in pairs), type(value)(p[1] for p in pairs)
    return value, value


def calls(row, sample, dtype, requires_grad=False):
    """(function, args, kwargs) of norch, and of PyTorch."""
    args = [translated(a, dtype, requires_grad) for a in sample.args]
    kwargs = {k: translated(v, dtype, requires_grad) for k, v in sample.kwargs.items()}
    return [
        (function, [a[side] for a in args], {k: v[side] for k, v in kwargs.items()})
        for side, function in enumerate((row.function, torch_function(row)))
    ]


def run_torch(function, args, kwargs):
    """PyTorch's results; None where it has no kernel for the dtype or refuses what norch extends."""
    try:
        return as_list(function(*args, **kwargs))
    except (RuntimeError, TypeError, ValueError, NotImplementedError):
        return None


def torch_numbers(t):
    t = t.detach().resolve_conj().resolve_neg()
    return (t.float() if t.dtype == torch.bfloat16 else t).numpy()


def described(row, sample):
    def brief(value):
        return f"{value.dtype}{list(value.shape)}" if isinstance(value, np.ndarray) and value.size > 20 else repr(value)

    arguments = [*map(brief, sample.args), *(f"{k}={brief(v)}" for k, v in sample.kwargs.items())]
    return f"{row.name}({', '.join(arguments)})"


def assert_same(row, got, want, context):
    assert str(got.dtype).removeprefix("norch.") == str(want.dtype).removeprefix("torch."), context
    assert list(got.shape) == list(want.shape), context
    dtype = str(got.dtype).removeprefix("norch.")
    if dtype not in TOLERANCES:
        np.testing.assert_array_equal(numbers(got), torch_numbers(want), err_msg=context)
        return
    own = {**TOLERANCES, **row.tolerances}[dtype]
    rtol, atol = np.add(own, OF_PYTORCH["float32" if row.name.startswith(INEXACT) and dtype == "float64" else dtype])
    np.testing.assert_allclose(numbers(got), torch_numbers(want), rtol=rtol, atol=atol, err_msg=context)


@pytest.mark.parametrize("row,dtype", [pytest.param(r, d, id=f"{r.id}-{d}") for r in ROWS for d in r.dtypes])
def test_values(row, dtype):
    compared = 0
    for sample in row.samples(dtype):
        (ours, args, kwargs), theirs = calls(row, sample, dtype)
        want = run_torch(*theirs)
        if want is None:
            continue
        got = as_list(ours(*args, **kwargs))
        assert len(got) == len(want)
        compared += 1
        for i, (g, w) in enumerate(zip(got, want)):
            if not isinstance(w, torch.Tensor):
                continue
            if row.name in ANY_OF_EQUALS and g.dtype == norch.int64 and (i > 0 or row.name.startswith("arg")):
                assert list(g.shape) == list(w.shape)
                continue
            assert_same(row, g, w, described(row, sample))
    if not compared:
        pytest.skip("PyTorch computes none of the samples")


@pytest.mark.parametrize("row", [pytest.param(r, id=r.id) for r in ROWS if r.grad_samples and r.name not in OTHER_GRADIENTS])
def test_gradients(row):
    compared = 0
    for sample in row.grad_samples():
        (ours, args, kwargs), (theirs, torch_args, torch_kwargs) = calls(row, sample, "float64", requires_grad=True)
        want = run_torch(theirs, torch_args, torch_kwargs)
        if want is None:
            continue
        got = as_list(ours(*args, **kwargs))
        leaves = [a for a in flat([args, list(kwargs.values())]) if isinstance(a, norch.Tensor) and a.requires_grad]
        torch_leaves = [a for a in flat([torch_args, list(torch_kwargs.values())])
                        if isinstance(a, torch.Tensor) and a.requires_grad]
        pairs = [(g, w) for g, w in zip(got, want) if isinstance(w, torch.Tensor) and w.requires_grad]
        weights = [np.random.standard_normal(tuple(w.shape)) for _, w in pairs]
        grads = norch.autograd.grad([g for g, _ in pairs], leaves,
                                    [norch.tensor(v).to(g.dtype) for v, (g, _) in zip(weights, pairs)],
                                    allow_unused=True)
        try:
            torch_grads = torch.autograd.grad([w for _, w in pairs], torch_leaves,
                                              [torch.tensor(v).to(w.dtype) for v, (_, w) in zip(weights, pairs)],
                                              allow_unused=True)
        except RuntimeError:  # PyTorch's backward refuses what its forward took
            continue
        compared += 1
        for g, w in zip(grads, torch_grads):
            g = norch.zeros(()) if g is None else g
            w = torch.zeros(()) if w is None else w
            np.testing.assert_allclose(numbers(g), torch_numbers(w), rtol=2e-6, atol=1e-8,
                                       err_msg=described(row, sample))
    if not compared:
        pytest.skip("PyTorch computes none of the samples")


def flat(value):
    if isinstance(value, (list, tuple)):
        for v in value:
            yield from flat(v)
    else:
        yield value
