"""Calls of every op with one argument replaced by an odd one: they work or raise, and nothing else ever happens."""

import importlib
import math
import random
import sys

import numpy as np
import pytest
from op_db import all_rows

import norch

pytestmark = pytest.mark.filterwarnings("ignore")  # odd arguments may well be warned about

ROUNDS = 3
SIZES = [0, 1, -1, 2, -2, 7, -(2**31), 2**45, 2**62, -(2**63), 2**63 - 1, 2**63, 10**30]  # none that nearly fits
NUMBERS = [0.0, -0.0, 0.5, -1.5, 1e-300, 1e300, math.nan, math.inf, -math.inf, True, False, 1j]
SHAPES = [(), (0,), (1,), (3,), (5,), (2, 3), (0, 3), (3, 0), (1, 1), (2, 1, 3), (1, 2, 3, 4), (1,) * 9]
DTYPES = ["bool", "uint8", "int8", "int32", "int64", "float16", "bfloat16", "float32", "float64"]
TEXTS = ["", "mean", "none", "cpu", "no such thing", "ij,jk->", "i->ii", "a\0b", "\N{SNOWMAN}" * 40]
ALLOWED = (RuntimeError, TypeError, ValueError, IndexError, NotImplementedError, AssertionError)  # embedding's is the last


class NoIndex:
    def __index__(self):
        raise ValueError("no index")


class NoItems:
    def __len__(self):
        return 3

    def __getitem__(self, i):
        raise KeyError("no items")


OBJECTS = [None, ..., slice(0, 10**20, -3), b"bytes", {}, {"a": 1}, object(), NoIndex(), len, float, np.ones((2, 3)),
           np.float32(2), np.array("text"), np.array([None]), norch.device("cpu"), norch.float32]


def odd_tensor(r, device):
    dtype = getattr(norch, r.choice(DTYPES))
    shape = r.choice(SHAPES)
    if dtype.is_floating_point and r.random() < 0.6:
        t = norch.randn(shape, device=device).to(dtype)
    elif r.random() < 0.7:
        t = norch.randint(0, 5, shape, device=device).to(dtype)
    else:
        value = r.choice([math.nan, math.inf, -math.inf, 1e30] if dtype.is_floating_point else [-1, 100, -(2**63), 2**62])
        t = norch.full(shape, value, dtype=norch.float64 if dtype.is_floating_point else norch.int64, device=device).to(dtype)
    if t.dim() > 1 and r.random() < 0.3:
        t = t.transpose(0, -1)
    if t.dim() and t.shape[0] and r.random() < 0.2:
        t = t[:1].expand(4, *t.shape[1:])
    return t.requires_grad_() if dtype.is_floating_point and r.random() < 0.3 else t


def odd(r, device, depth=0):
    kind = r.random()
    if kind < 0.3:
        return odd_tensor(r, device)
    if kind < 0.5:
        return r.choice(SIZES)
    if kind < 0.6:
        return r.choice(NUMBERS)
    if kind < 0.7:
        return r.choice(TEXTS)
    if kind < 0.8 or depth > 1:
        return r.choice(OBJECTS)
    if kind < 0.9:
        return [r.choice(SIZES) for _ in range(r.randrange(5))]
    return tuple(odd(r, device, depth + 1) for _ in range(r.randrange(4)))


def spoil(r, args, kwargs, device):
    """The arguments with one of them replaced, left out, doubled or made up."""
    args, kwargs = list(args), dict(kwargs)
    kind = r.random()
    if kind < 0.65 and args:
        args[r.randrange(len(args))] = odd(r, device)
    elif kind < 0.75 and kwargs:
        kwargs[r.choice(sorted(kwargs))] = odd(r, device)
    elif kind < 0.8 and args:
        del args[r.randrange(len(args))]
    elif kind < 0.9:
        args.append(odd(r, device))
    else:
        kwargs[r.choice(["dim", "dtype", "out", "keepdim", "reduction", "weight", "size", "unknown"])] = odd(r, device)
    return args, kwargs


def describe(name, args, kwargs):
    def text(a):
        return f"{a.dtype}{list(a.shape)}" if isinstance(a, norch.Tensor) else repr(a)[:60]

    return f"{name}({', '.join([*map(text, args), *(f'{k}={text(v)}' for k, v in kwargs.items())])})"


def attempt(function, args, kwargs, context):
    """The result, or None where the call raised as it may."""
    try:
        return function(*args, **kwargs)
    except ALLOWED as error:
        assert str(error), context
    except KeyError as error:  # NoItems' own
        assert "no items" in str(error), context
    except BaseException as error:
        pytest.fail(f"{context} raised {type(error).__name__}: {error}")
    return None


def samples(row, r):
    dtype = r.choice(row.dtypes)
    for sample in r.sample(row.samples(dtype), k=1):
        yield [norch.from_numpy(np.array(a)) if isinstance(a, np.ndarray) else a for a in sample.args], sample.kwargs


@pytest.mark.parametrize("row", [pytest.param(row, id=row.id) for row in all_rows()])
def test_functions(row, device, request):
    r = random.Random(request.node.nodeid)
    for _ in range(ROUNDS):
        for args, kwargs in samples(row, r):
            args, kwargs = spoil(r, [a.to(device) if isinstance(a, norch.Tensor) else a for a in args], kwargs, device)
            context = describe(row.name, args, kwargs)
            result = attempt(row.function, args, kwargs, context)
            if isinstance(result, norch.Tensor):
                attempt(repr, [result], {}, "text of " + context)  # where an index error of the GPU shows
                if result.requires_grad and result.is_floating_point():
                    attempt(result.backward, [norch.ones_like(result)], {}, "backward of " + context)


@pytest.mark.parametrize("row", [pytest.param(row, id=row.id) for row in all_rows() if row.in_place or row.method])
def test_failing_calls_leave_the_target_alone(row, device, request):
    r = random.Random(request.node.nodeid)
    name = row.in_place or row.method + "_"
    if not hasattr(norch.Tensor, name):
        return
    for _ in range(ROUNDS):
        for args, kwargs in samples(row, r):
            if not args or not isinstance(args[0], norch.Tensor):
                continue
            target = args[0].to(device).clone()
            before, version = repr(target.tolist()), target._version
            args, kwargs = spoil(r, [a.to(device) if isinstance(a, norch.Tensor) else a for a in args[1:]], kwargs, device)
            context = describe("Tensor." + name, [target, *args], kwargs)
            if attempt(getattr(target, name), args, kwargs, context) is None:
                assert repr(target.tolist()) == before and target._version == version, context


@pytest.mark.parametrize("edges", [False, True])
def test_what_stands_among_tensors_is_named(edges, monkeypatch):
    if edges:
        importlib.import_module("norch.autograd.graph")  # from then on grad() takes gradient edges too
    else:
        monkeypatch.delitem(sys.modules, "norch.autograd.graph", raising=False)
    x = norch.ones(2, requires_grad=True)
    for call, text in (
        (lambda: norch.autograd.grad([x.sum(), 3], [x]), "outputs must be a tensor or a sequence of tensors"),
        (lambda: norch.autograd.grad(x.sum(), {1: 2}), "inputs must be a tensor or a sequence of tensors alone, got dict"),
        (lambda: norch.autograd.backward(x.sum(), grad_tensors="x"), "grad_tensors must be"),
        (lambda: x.sum().backward(inputs=3), "inputs must be"),
        (lambda: norch.einsum("i,i", x, 3), r"einsum\(\): expected tensors, got int"),
        (lambda: norch.einsum("i", [None]), r"einsum\(\): expected tensors, got NoneType"),
        (lambda: norch.chain_matmul(norch.eye(2), 3), r"chain_matmul\(\): expected tensors, got int"),
    ):
        with pytest.raises(TypeError, match=text):
            call()
