"""t[...], reading and writing, against NumPy."""

import itertools

import numpy as np
import pytest

import norch


def array(*shape):
    return np.arange(np.prod(shape, dtype=int), dtype=np.float64).reshape(shape)


def tensor(a, device):
    return norch.from_numpy(np.array(a)).to(device)


def to_device(key, device):
    """The key with its arrays as tensors."""
    if isinstance(key, tuple):
        return tuple(to_device(k, device) for k in key)
    return tensor(key, device) if isinstance(key, np.ndarray) else key


def numbers(t):
    return t.detach().cpu().numpy()


I1, I2 = np.array([1, 0, 1]), np.array([[0, -1], [1, 1]])
M = np.array([[True, False, True], [False, True, True]])  # for shape (2, 3)

# Keys for an array of shape (2, 3, 4).
BASIC = [
    0, -1, (0, 1), (0, 1, 2), (1, -3, -1), slice(None), slice(1, None), slice(None, None, 2), slice(-1, 9), slice(2, 1),
    (slice(None), slice(0, 3, 2)), (slice(None), 1), (Ellipsis, 1), (0, Ellipsis, 1), Ellipsis, None, (None, 0),
    (0, None, Ellipsis, None), (slice(None), None, 1), (), (slice(0, 0),), (1, slice(None), slice(3, None)),
    np.int64(1), (Ellipsis, slice(1, 3), None),
]
ADVANCED = [
    I1, I2, (I1, 1), (slice(None), I1), (I1, I1), (I1, slice(None), I1), (slice(None), I1, I1), (0, I1, I1),
    (I1, None, I1), (Ellipsis, I1), (I2, Ellipsis, I1[:2]), (I1[:, None], I1), (I1, I1, I1), (None, I1), (I1, None),
    (I1, 0, slice(1, 3)), [0, 1], [1], (slice(None), [0, 2]), [[0, 1], [1, 0]], range(2),
    M, (M, 0), (M, slice(1, 3)), (M, I1[:1]), (np.array([True, False]), 1), (slice(None), np.array([True, False, True])),
    (np.array([True, False]), slice(None), np.array([1, 2])), M[..., None] & np.ones(4, bool), M & False,
    np.zeros((2, 3, 4), bool), (Ellipsis, np.array([True, False, True, True])), np.zeros(0, int), True, False,
    (True, 0), (0, True, I1), np.array(1), (slice(None), np.array(2)), (I1, np.array(2)), np.bool_(True), [True, False],
]


@pytest.mark.parametrize("key", BASIC, ids=repr)
def test_basic_reading_gives_a_view(key, device):
    a = array(2, 3, 4)
    t = tensor(a, device)
    got = t[key]
    np.testing.assert_array_equal(numbers(got), a[key])
    if got.numel():
        got.fill_(-1)
        a[key] = -1
        np.testing.assert_array_equal(numbers(t), a)


@pytest.mark.parametrize("key", ADVANCED, ids=repr)
def test_advanced_reading_gives_a_copy(key, device):
    a = array(2, 3, 4)
    t = tensor(a, device)
    got = t[to_device(key, device)]
    assert tuple(got.shape) == a[key].shape
    np.testing.assert_array_equal(numbers(got), a[key])
    # The same of a tensor whose dims lie in another order.
    turned = tensor(a.T, device).permute(2, 1, 0)
    np.testing.assert_array_equal(numbers(turned[to_device(key, device)]), a[key])


@pytest.mark.parametrize("key", BASIC + ADVANCED, ids=repr)
def test_writing(key, device):
    a = array(2, 3, 4)
    shape = a[key].shape
    values = [100 + array(*shape), np.array(7.0), 50 + array(*shape[1:]), 60 + array(1, *shape)]
    if shape:
        values.append(70 + array(1, *shape[1:]))
    for value in values:
        # Where places repeat the last value stays; NumPy says so too.
        t, expected = tensor(a, device), a.copy()
        expected[key] = value if value.ndim <= len(shape) else value[0]
        t[to_device(key, device)] = tensor(value, device)
        np.testing.assert_array_equal(numbers(t), expected)
    t, expected = tensor(a, device), a.copy()
    t[to_device(key, device)] = 5
    expected[key] = 5
    np.testing.assert_array_equal(numbers(t), expected)


@pytest.mark.parametrize("key", BASIC + ADVANCED, ids=repr)
def test_gradient_of_reading(key, device):
    a = array(2, 3, 4)
    t = tensor(a, device).requires_grad_()
    got = t[to_device(key, device)]
    weights = 1 + array(*got.shape)
    got.backward(tensor(weights, device))
    expected = np.zeros_like(a)
    np.add.at(expected, key, weights)
    np.testing.assert_array_equal(numbers(t.grad), expected)


@pytest.mark.parametrize("key", BASIC + ADVANCED, ids=repr)
def test_gradient_of_writing(key, device):
    a = array(2, 3, 4)
    places = np.arange(a.size).reshape(a.shape)[key]
    if len(set(places.ravel().tolist())) != places.size:
        pytest.skip("places repeat")
    t, v = tensor(a, device).requires_grad_(), tensor(array(*places.shape), device).requires_grad_()
    out = t * 1
    out[to_device(key, device)] = v * 1
    weights = 1 + array(2, 3, 4)
    out.backward(tensor(weights, device))
    if key is False:
        assert v.grad is None  # nothing is written
    else:
        np.testing.assert_array_equal(numbers(v.grad), weights[key])
    weights[key] = 0
    np.testing.assert_array_equal(numbers(t.grad), weights)


def test_second_gradients(device):
    x = norch.randn(3, 4, dtype=norch.float64).to(device).requires_grad_()
    v = norch.randn(2, 4, dtype=norch.float64).to(device).requires_grad_()
    index = norch.tensor([2, 0]).to(device)
    repeated = norch.tensor([1, 1, 0]).to(device)
    mask = norch.tensor([[True, False, True, True]] * 3).to(device)

    def write(x, v):
        y = x * x
        y[index] = v * v
        return y

    functions = [lambda x, v: (x * x)[repeated], lambda x, v: (x * x)[:, 1:][:, repeated], lambda x, v: (x * x)[mask], write,
                 lambda x, v: (x * x).index_put((repeated[:2],), v * v, accumulate=True),
                 lambda x, v: (x * x)[0, 1:3], lambda x, v: (x * x).T[1:, None, 2]]
    for f in functions:
        assert norch.autograd.gradcheck(f, (x, v))
        assert norch.autograd.gradgradcheck(f, (x, v))


def test_accumulate(device):
    a, index = array(5, 3), np.array([0, 3, 0, 0, 4, 3])
    v = array(6, 3)
    t = tensor(a, device)
    t.index_put_((tensor(index, device),), tensor(v, device), accumulate=True)
    np.add.at(a, index, v)
    np.testing.assert_array_equal(numbers(t), a)


@pytest.mark.parametrize("dtype", ["float16", "bfloat16", "float32"])
def test_long_runs_of_one_index(dtype, device):
    """Sums keep float32's precision, in a fixed order."""
    n = 40000
    index = np.where(np.arange(n) % 7 == 0, 3, np.random.randint(0, 50, n))
    values = np.random.rand(n, 2)
    t = norch.zeros(50, 2, dtype=getattr(norch, dtype), device=device)
    v = tensor(values, device).to(t.dtype)
    first = t.index_add(0, tensor(index, device), v)
    assert first.equal(t.index_add(0, tensor(index, device), v))
    expected = np.zeros((50, 2))
    np.add.at(expected, index, v.double().cpu().numpy())
    np.testing.assert_allclose(first.double().cpu().numpy(), expected, rtol={"float16": 1e-3, "bfloat16": 8e-3}.get(dtype, 1e-4))


def test_last_of_repeated_writes_stays(device):
    n = 100000
    index = np.random.randint(0, 1000, n)
    t, expected = norch.zeros(1000, device=device, dtype=norch.float64), np.zeros(1000)
    t[tensor(index, device)] = tensor(np.arange(n, dtype=np.float64), device)
    expected[index] = np.arange(n)
    np.testing.assert_array_equal(numbers(t), expected)


def test_uint8_masks_are_masks(device):
    a = array(2, 3)
    np.testing.assert_array_equal(numbers(tensor(a, device)[tensor(M.astype(np.uint8), device)]), a[M])


def test_ints_are_taken_before_tensors(device):
    """As in PyTorch; NumPy counts an int among the index arrays and moves their dims to the front."""
    a = array(2, 3, 4)
    np.testing.assert_array_equal(numbers(tensor(a, device)[0, :, tensor(I1, device)]), a[0][:, I1])


def test_index_on_cpu_for_any_device(device):
    a = array(4, 3)
    t = tensor(a, device)
    np.testing.assert_array_equal(numbers(t[norch.tensor([2, 0])]), a[[2, 0]])
    np.testing.assert_array_equal(numbers(t[:, norch.tensor([True, False, True])]), a[:, [0, 2]])


# ---- 0-d


def test_only_zero_indexes_a_0d_tensor(device):
    loss = norch.tensor(2.5, device=device, requires_grad=True)
    assert loss[0].item() == 2.5 and loss[0].shape == ()
    loss[0].backward()
    assert loss.grad.item() == 1
    for key in (1, -1, (0, 0), slice(None), norch.tensor([0])):
        with pytest.raises(IndexError):
            loss[key]
    assert loss[None].shape == (1,) and loss[...].shape == () and loss[True].shape == (1,)


# ---- errors

x23 = np.zeros((2, 3))
ERRORS = [
    (2, IndexError, "index 2 is out of bounds for dimension 0 with size 2"),
    (-3, IndexError, "index -3 is out of bounds for dimension 0 with size 2"),
    ((0, 3), IndexError, "index 3 is out of bounds for dimension 1 with size 3"),
    ((0, 0, 0), IndexError, "too many indices for tensor of dimension 2"),
    ((slice(None),) * 3, IndexError, "too many indices for tensor of dimension 2"),
    (([0], [0], [0]), IndexError, "too many indices for tensor of dimension 2"),
    (slice(None, None, -1), ValueError, "step must be greater than zero"),
    (slice(None, None, 0), ValueError, "zero"),
    ([2], IndexError, "index 2 is out of bounds for dimension 0 with size 2"),
    (([0], [0, -4]), IndexError, "index -4 is out of bounds for dimension 1 with size 3"),
    (([0, 1], [0, 1, 2]), IndexError,
     r"shape mismatch: indexing tensors could not be broadcast together with shapes \[2\], \[3\]"),
    (np.array([True, False, True]), IndexError,
     r"The shape of the mask \[3\] at index 0 does not match the shape of the indexed tensor \[2, 3\] at index 0"),
    (0.5, IndexError, r"only integers, slices .* are valid indices \(got float\)"),
    ("a", TypeError, "got str"),
    ([0.5], IndexError, "tensors used as indices must be long, int, byte or bool tensors"),
    (np.array([1], np.int16), IndexError, "tensors used as indices must be long, int, byte or bool tensors"),
    (2**70, ValueError, "cannot fit"),
    (slice(1.0, 2), TypeError, "slice indices"),
    ([slice(0, 1)], IndexError, "a tuple"),
]


@pytest.mark.parametrize("key,kind,text", ERRORS, ids=lambda v: repr(v)[:40])
def test_errors(key, kind, text):
    t = norch.ones(2, 3)
    with pytest.raises(kind, match=text):
        t[to_device(key, "cpu")]
    with pytest.raises(kind, match=text):
        t[to_device(key, "cpu")] = 5
    assert t.equal(norch.ones(2, 3)), "nothing is half done"


def test_numbers_of_any_integer_dtype(device):
    t = norch.arange(6.0, device=device).reshape(2, 3)
    for dtype in (norch.int8, norch.int16, norch.int64, norch.uint16, norch.uint64):
        assert t[norch.tensor(1, dtype=dtype)].tolist() == [3, 4, 5] and t[0, norch.tensor(2, dtype=dtype)].item() == 2
    t[norch.tensor(1, dtype=norch.int8)] = 0
    assert t.sum().item() == 3


def test_one_value_by_a_mask_is_cast(device):
    t = norch.zeros(2, 3, device=device)
    t[t == 0] = norch.tensor(5)
    t[norch.tensor([True, False])] = norch.tensor([2], dtype=norch.int32)
    assert t.tolist() == [[2, 2, 2], [5, 5, 5]]
    x = norch.tensor(3, dtype=norch.float64, device=device, requires_grad=True)
    t[t == 2] = x
    t.sum().backward()
    assert x.grad.item() == 3 and t.dtype == norch.float32


def test_writing_by_truth_values(device):
    t = norch.zeros(3, device=device)
    t[True] = norch.tensor([1, 2, 3])
    assert t.tolist() == [1, 2, 3]
    t[False] = norch.zeros(7)
    t[False] = 4
    assert t.tolist() == [1, 2, 3]
    t[True] = 5
    assert t.tolist() == [5, 5, 5]


def test_errors_of_values():
    t = norch.ones(2, 3)
    index = norch.tensor([0, 1])
    for kind, text, key, value in [
        (RuntimeError, r"shape mismatch: value tensor of shape \[3, 3\] cannot be broadcast to indexing result of shape "
         r"\[2, 3\]", index, norch.ones(3, 3)),
        (RuntimeError, r"expanded size of the tensor \(3\) must match the existing size \(2\)", 0, norch.ones(2)),
        (RuntimeError, "Index put requires the source and destination dtypes match", index, norch.ones(3, dtype=norch.float64)),
        (TypeError, "can't assign a list", 0, [1, 2, 3]),
        (TypeError, "can't assign a str", 0, "a"),
    ]:
        with pytest.raises(kind, match=text):
            t[key] = value
    assert t.equal(norch.ones(2, 3))
    with pytest.raises(TypeError, match="deleted"):
        del t[0]


@pytest.mark.cuda
def test_bad_index_on_cuda_raises_and_leaves_the_process_alive():
    t = norch.zeros(3, device="cuda")
    for bad in (lambda i: t[i], lambda i: t.index_put_((i,), norch.ones((), device="cuda")), lambda i: t.gather(0, i),
                lambda i: t.scatter_add(0, i, norch.ones(2, device="cuda")), lambda i: t.index_select(0, i)):
        with pytest.raises(IndexError, match="index 5 is out of bounds for dimension 0 with size 3"):
            bad(norch.tensor([0, 5], device="cuda"))
            norch.cuda.synchronize()
        assert (t + 1)[0].item() >= 1


# ---- more reading


def test_embedding_padding_and_frequency(device):
    weight = tensor(array(4, 2), device).requires_grad_()
    index = norch.tensor([[1, 3, 1], [1, 0, 3]], device=device)
    embedding = norch.nn.functional.embedding
    ones = norch.ones(2, 3, 2, dtype=norch.float64, device=device)
    embedding(index, weight, padding_idx=1).backward(ones)
    assert weight.grad[:, 0].tolist() == [1, 0, 0, 2]
    weight.grad = None
    embedding(index, weight, scale_grad_by_freq=True).backward(ones)
    assert weight.grad[:, 0].tolist() == [1, 1, 0, 1]


def test_any_slice_agrees_with_python(device):
    a = array(7)
    t = tensor(a, device)
    bounds = [None, -9, -7, -2, 0, 1, 6, 7, 20]
    for start, stop, step in itertools.product(bounds, bounds, [None, 1, 2, 5, 100, 2**62]):
        np.testing.assert_array_equal(numbers(t[start:stop:step]), a[start:stop:step])


@pytest.mark.parametrize("dtype", ["bool", "int8", "float64"])
def test_nonzero_of_permuted_memory(dtype, device):
    a = (array(2, 3, 4) % 5 > 0).astype(dtype)
    t = norch.tensor(a, device=device).permute(2, 0, 1)
    assert t.nonzero().tolist() == np.argwhere(a.transpose(2, 0, 1)).tolist()
    assert t[t.bool()].tolist() == a.transpose(2, 0, 1)[a.transpose(2, 0, 1) != 0].tolist()


def test_put(device):
    t = norch.zeros(2, 2, device=device)
    assert norch.put(t, norch.tensor([3, 0], device=device), norch.tensor([1.0, 2.0], device=device)).tolist() == [[2, 0], [0, 1]]
    assert t.sum() == 0
