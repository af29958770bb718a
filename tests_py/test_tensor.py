"""Making tensors, looking at them, printing, conversions. The expected texts are what PyTorch 2.13 prints."""

import math
from collections import deque

import numpy as np
import pytest

import norch


def test_tensor_infers_dtype_and_shape(device):
    for data, dtype, shape in [
        (1, norch.int64, ()),
        (1.5, norch.float32, ()),
        (True, norch.bool, ()),
        ([], norch.float32, (0,)),
        ([[], []], norch.float32, (2, 0)),
        ([[1, 2], [3, 4]], norch.int64, (2, 2)),
        ([1, 2.5], norch.float32, (2,)),
        ([True, 2], norch.int64, (2,)),
        ((1, (2),), norch.int64, (2,)),
        (range(3), norch.int64, (3,)),
        (deque([1.0]), norch.float32, (1,)),
        (np.float64(2), norch.float64, ()),
        (np.arange(3, dtype=np.int16), norch.int16, (3,)),
        ([np.arange(3), np.arange(3)], norch.int64, (2, 3)),
    ]:
        t = norch.tensor(data, device=device)
        assert (t.dtype, tuple(t.shape), t.device.type) == (dtype, shape, device), data
    assert norch.tensor([norch.tensor(1.0), norch.tensor(2.0)]).tolist() == [1.0, 2.0]
    assert norch.tensor([1.9, -1.9], dtype=norch.int32).tolist() == [1, -1]
    assert norch.tensor([1, 0], dtype=bool).dtype is norch.bool


def test_tensor_copies():
    array = np.zeros(2)
    t = norch.tensor(array)
    array[0] = 1
    assert t.tolist() == [0.0, 0.0]
    u = norch.tensor(t)
    assert u.data_ptr() != t.data_ptr()


@pytest.mark.parametrize(
    "data, error, text",
    [
        ([[1, 2], [3]], ValueError, r"expected sequence of length 2 at dim 1 \(got 1\)"),
        ([1, [2]], TypeError, "at dim"),
        ([[1], 2], TypeError, "at dim"),
        ("text", TypeError, "invalid data type 'str'"),
        (["text"], ValueError, "too many dimensions 'str'"),
        ([object()], RuntimeError, "Could not infer dtype of object"),
        (None, RuntimeError, "NoneType"),
        (2**70, ValueError, "Overflow"),
        ({1: 2}, RuntimeError, "dict"),
    ],
)
def test_tensor_errors(data, error, text):
    with pytest.raises(error, match=text):
        norch.tensor(data)


def test_data_that_contains_itself():
    loop = []
    loop.append(loop)
    with pytest.raises((ValueError, RecursionError)):
        norch.tensor(loop)


def test_legacy_constructor(device):
    assert norch.Tensor([[1, 2]]).dtype is norch.float32
    assert tuple(norch.Tensor(2, 3).shape) == (2, 3) and tuple(norch.Tensor().shape) == (0,)
    assert norch.Tensor([3]).tolist() == [3.0]
    assert tuple(norch.Tensor(norch.Size([4])).shape) == (4,)
    x = norch.Tensor([[0.5]]).T.to(device)
    assert x.shape == (1, 1) and x.item() == 0.5
    with pytest.raises(TypeError):
        norch.Tensor(2, 3, dtype=norch.float32)
    with pytest.raises(RuntimeError, match="negative"):
        norch.Tensor(-1)


def test_size():
    size = norch.tensor([[1, 2, 3]]).shape
    assert repr(size) == "norch.Size([1, 3])" and size.numel() == 3 and size == (1, 3) and size[0] == 1
    assert type(size[:1]) is norch.Size and type(size + (2,)) is norch.Size and hash(size) == hash((1, 3))
    rows, columns = size
    assert (rows, columns) == (1, 3)


def test_attributes(device):
    t = norch.tensor([[1.0, 2.0, 3.0]], device=device)
    assert (t.ndim, t.dim(), t.numel(), t.itemsize, t.nbytes, len(t)) == (2, 2, 3, 4, 12, 1)
    assert t.size() == (1, 3) and t.size(-1) == 3 and t.stride() == (3, 1) and t.stride(1) == 1
    assert t.is_leaf and not t.requires_grad and t.grad is None and t.grad_fn is None
    assert t.is_contiguous() and t.storage_offset() == 0 and t.is_floating_point() and t.element_size() == 4
    with pytest.raises(IndexError, match=r"expected to be in range of \[-2, 1\], but got 2"):
        t.size(2)
    with pytest.raises(TypeError, match="0-d"):
        len(norch.tensor(1))
    assert {t: 1}[t] == 1 and t in [t]


def test_to_in_all_forms(device):
    t = norch.tensor([1.5, 2.5])
    other = norch.tensor([1], dtype=norch.int32, device=device)
    assert t.to(norch.float32) is t and t.to("cpu") is t and t.to(norch.float32, copy=True) is not t
    assert t.to(norch.int64).tolist() == [1, 2]
    for moved in [t.to(device), t.to(norch.device(device)), t.to(device=device), t.to(device, non_blocking=True)]:
        assert moved.device.type == device and moved.tolist() == [1.5, 2.5]
    both = t.to(device, norch.float64)
    assert both.dtype is norch.float64 and both.device.type == device
    assert t.to(other).dtype is norch.int32 and t.to(other).device == other.device
    assert t.to(dtype=norch.float16).dtype is norch.float16 and t.double().half().float().dtype is norch.float32
    assert t.cpu() is t
    with pytest.raises(TypeError, match="to\\(\\)"):
        t.to(1.5)
    with pytest.raises(RuntimeError, match="device"):
        t.to("gpu")


def test_casts_follow_c():
    t = norch.tensor([-1.0, 300.0, 0.5, 0.0])
    assert t.to(norch.bool).tolist() == [True, True, True, False]
    assert t.to(norch.int8).tolist()[0] == -1 and t.to(norch.uint8).tolist()[0] == 255
    assert norch.tensor([True, False]).to(norch.float32).tolist() == [1.0, 0.0]
    assert math.isinf(norch.tensor([70000.0]).half().item())
    assert norch.tensor([257]).to(norch.uint8).item() == 1


def test_item_bool_int_float(device):
    assert norch.tensor(3, device=device).item() == 3 and isinstance(norch.tensor(3).item(), int)
    assert norch.tensor(True).item() is True and norch.tensor([[2.5]], device=device).item() == 2.5
    assert int(norch.tensor([7.9])) == 7 and float(norch.tensor(2)) == 2.0 and bool(norch.tensor([0.0])) is False
    assert [10, 20, 30][norch.tensor(1)] == 20
    for bad in [norch.tensor([1.0, 2.0]), norch.tensor([])]:
        with pytest.raises(RuntimeError):
            bad.item()
        with pytest.raises(RuntimeError, match="ambiguous"):
            bool(bad)
    with pytest.raises(TypeError, match="only integer tensors"):
        [1][norch.tensor(0.0)]
    with pytest.raises(ValueError):
        int(norch.tensor(float("nan")))


def test_format():
    assert f"{norch.tensor(1.23456):.2f}" == "1.23" and f"{norch.tensor(7):03d}" == "007"
    assert f"{norch.tensor([1.0])}" == "tensor([1.])"
    loss = norch.tensor(0.5)
    assert f"{loss[0]:.4f}" == "0.5000"
    with pytest.raises(TypeError):
        f"{norch.tensor([1.0, 2.0]):.2f}"


@pytest.mark.parametrize(
    "data, text",
    [
        ([1.0, 2.0, 3.0], "tensor([1., 2., 3.])"),
        ([1.5, 2e-05, 3e7], "tensor([1.5000e+00, 2.0000e-05, 3.0000e+07])"),
        ([[1, -2], [30, 4]], "tensor([[ 1, -2],\n        [30,  4]])"),
        ([True, False], "tensor([ True, False])"),
        ([], "tensor([])"),
        (3.25, "tensor(3.2500)"),
        ([float("nan"), 1.0, float("-inf")], "tensor([nan, 1., -inf])"),
        ([1e10, 1.0], "tensor([1.0000e+10, 1.0000e+00])"),
        ([0.1] * 12, "tensor([0.1000, 0.1000, 0.1000, 0.1000, 0.1000, 0.1000, 0.1000, 0.1000, 0.1000,\n        0.1000, 0.1000, 0.1000])"),
        ([[[1], [2]], [[3], [4]]], "tensor([[[1],\n         [2]],\n\n        [[3],\n         [4]]])"),
    ],
)
def test_repr(data, text):
    assert repr(norch.tensor(data)) == text


def test_repr_suffixes(device):
    where = "" if device == "cpu" else ", device='cuda:0'"
    t = norch.tensor([1.0], device=device, requires_grad=True)
    assert repr(t) == f"tensor([1.]{where}, requires_grad=True)"
    assert repr(t * 2) == f"tensor([2.]{where}, grad_fn=<MulBackward0>)"
    assert repr(t.detach().double()) == f"tensor([1.]{where}, dtype=norch.float64)"
    assert repr(norch.nn.Parameter(norch.tensor([1.0]))) == "Parameter containing:\ntensor([1.], requires_grad=True)"
    assert str(norch.tensor([1])) == repr(norch.tensor([1]))


def test_printoptions():
    t = norch.tensor([1.23456789, 1000.0])
    try:
        norch.set_printoptions(precision=2)
        assert repr(t) == "tensor([   1.23, 1000.00])"
        norch.set_printoptions(sci_mode=True)
        assert repr(t) == "tensor([1.23e+00, 1.00e+03])"
        norch.set_printoptions(profile="full")
        assert "..." not in repr(norch.zeros(2000))
    finally:
        norch.set_printoptions(profile="default", sci_mode=None)
    assert "..." in repr(norch.zeros(2000))
    with pytest.raises(ValueError):
        norch.set_printoptions(precision=-1)


def test_data_and_grad_attributes(device):
    t = norch.tensor([1.0, 2.0], requires_grad=True, device=device)
    t.grad = norch.tensor([5.0, 6.0], device=device)
    assert t.grad.tolist() == [5.0, 6.0] and t.grad is t.grad
    with pytest.raises(RuntimeError, match="different size"):
        t.grad = norch.tensor([1.0], device=device)
    with pytest.raises(RuntimeError, match="different type"):
        t.grad = norch.tensor([1, 2], device=device)
    with pytest.raises(TypeError, match="must be a Tensor"):
        t.grad = 3
    assert t.grad.tolist() == [5.0, 6.0]
    t.grad = None
    version = t._version
    t.data.mul_(10)
    assert t.tolist() == [10.0, 20.0] and t._version == version and t.requires_grad
    t.data = norch.tensor([[7.0]], device=device)
    assert t.tolist() == [[7.0]] and t.requires_grad
    (t * 3).sum().backward()
    assert t.grad.tolist() == [[3.0]]


def test_unusual_sizes():
    with pytest.raises(RuntimeError, match="does not fit"):
        norch.Tensor(2**40, 2**40)
    with pytest.raises((RuntimeError, norch.OutOfMemoryError)):
        norch.Tensor(2**55)
    assert norch.tensor([1.0]).tolist() == [1.0]  # and life goes on
    deep = norch.tensor(1.0).reshape([1] * 64)
    assert deep.dim() == 64


def test_text_of_rare_kinds():
    assert repr(norch.empty(0, 3, dtype=norch.complex64)) == "tensor([], size=(0, 3), dtype=norch.complex64)"
    x = norch.ones(2, dtype=norch.complex64, requires_grad=True)
    assert repr(x.t()).endswith("grad_fn=<TBackward0>)") and repr(x.sum()) == "tensor(2.+0.j, grad_fn=<SumBackward0>)"
    assert repr(x.mean(0, keepdim=True)) == "tensor([1.+0.j], grad_fn=<MeanBackward1>)"
    y = norch.ones(1, 2, requires_grad=True)
    for t, name in ((y.sum(), "SumBackward0"), (y.mean(), "MeanBackward0"), (y.sum(0), "SumBackward1")):
        assert t.grad_fn.name() == name
    assert norch.nn.functional.cross_entropy(y, norch.tensor([1])).grad_fn.name() == "NllLossBackward0"
    assert f"{norch.tensor(2.0)}" == "2.0" and f"{norch.nn.Parameter(norch.tensor(2.0))}".startswith("Parameter containing")


@pytest.mark.parametrize(
    "call, error, text",
    [
        (lambda: float(norch.ones(2)), ValueError, "only one element tensors can be converted to Python scalars"),
        (lambda: int(norch.ones(0)), ValueError, "only one element tensors can be converted"),
        (lambda: norch.stack([]), RuntimeError, "stack expects a non-empty TensorList"),
        (lambda: norch.cat([]), ValueError, "expected a non-empty list of Tensors"),
        (lambda: norch.bernoulli(norch.tensor([0.5, 2.0])), RuntimeError, "at least 0 and at most 1"),
        (lambda: norch.bernoulli(norch.tensor([float("nan")])), RuntimeError, "at least 0 and at most 1"),
        (lambda: norch.normal(norch.ones(2), norch.tensor([1.0, -1.0])), RuntimeError, "all elements of std >= 0.0"),
        (lambda: norch.bincount(norch.ones(2)), NotImplementedError, "bincount: not implemented for"),
        (lambda: norch.set_num_threads(0), RuntimeError, "expects a positive integer"),
        (lambda: norch.nn.functional.binary_cross_entropy(norch.rand(2), norch.tensor([0, 1])), RuntimeError, "Found dtype"),
        (lambda: norch.hub.load("a/b", "c", source="x"), ValueError, 'Unknown source: "x"'),
    ],
)
def test_mistakes(call, error, text):
    with pytest.raises(error, match=text):
        call()
