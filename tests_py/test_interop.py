"""NumPy, DLPack, buffers, pickle, copy."""

import copy
import ctypes
import gc
import pickle
import sys
import weakref

import numpy as np
import pytest

import norch

DTYPES = ["bool", "uint8", "int8", "int16", "int32", "int64", "float16", "float32", "float64"]


@pytest.mark.parametrize("name", DTYPES)
def test_numpy_shares_memory_both_ways(name):
    array = np.arange(6).reshape(2, 3).astype(name)
    tensor = norch.from_numpy(array)
    assert tensor.dtype is getattr(norch, name) and tuple(tensor.shape) == (2, 3)
    array[1, 2] = 1
    assert tensor.tolist()[1][2] == 1
    back = tensor.numpy()
    assert np.shares_memory(back, array) and back.dtype == array.dtype
    assert np.array_equal(back, array)


def test_strided_arrays():
    array = np.arange(24.0).reshape(4, 6)
    view = array[1:, ::2].T
    tensor = norch.from_numpy(view)
    assert tensor.stride() == (2, 6) and tensor.tolist() == view.tolist()
    assert np.array_equal(norch.from_numpy(array).clone().numpy(), array)
    with pytest.raises(ValueError, match="negative"):
        norch.from_numpy(array[::-1])
    with pytest.raises(ValueError, match="not a multiple of the element byte size"):
        norch.from_numpy(np.zeros(3, dtype=[("a", "<f4"), ("b", "<i2")])["a"])


def test_memory_outlives_the_array_and_the_tensor():
    array = np.ones(1000)
    tensor = norch.from_numpy(array)
    del array
    gc.collect()
    assert tensor.tolist() == [1.0] * 1000
    back = tensor.numpy()
    del tensor
    gc.collect()
    assert back.sum() == 1000


def test_what_numpy_cannot_have():
    with pytest.raises(RuntimeError, match=r"requires grad. Use tensor.detach\(\).numpy\(\)"):
        norch.tensor([1.0], requires_grad=True).numpy()
    with pytest.raises(TypeError, match="BFloat16"):
        norch.tensor([1.0], dtype=norch.bfloat16).numpy()
    with pytest.raises(TypeError, match="only supported types"):
        norch.from_numpy(np.zeros(2, dtype=np.longdouble))
    with pytest.raises(TypeError, match="expected np.ndarray"):
        norch.from_numpy([1, 2])
    assert norch.tensor([1.0], requires_grad=True).numpy(force=True).tolist() == [1.0]


def test_read_only_arrays_are_copied():
    array = np.arange(3.0)
    array.flags.writeable = False
    tensor = norch.from_numpy(array)
    tensor.copy_(norch.tensor([9.0, 9.0, 9.0]))
    assert array.tolist() == [0.0, 1.0, 2.0]


def test_array_protocol():
    tensor = norch.tensor([[1, 2], [3, 4]])
    assert np.asarray(tensor).tolist() == [[1, 2], [3, 4]]
    assert np.array(tensor, dtype=np.float32).dtype == np.float32
    assert bytes(memoryview(norch.tensor([1, 2], dtype=norch.uint8))) == b"\x01\x02"


@pytest.mark.parametrize("name", DTYPES)
def test_dlpack_with_numpy(name):
    tensor = norch.tensor([[1, 0, 1], [0, 1, 1]]).to(getattr(norch, name))
    array = np.from_dlpack(tensor)
    assert np.shares_memory(array, tensor.numpy()) and array.tolist() == tensor.tolist()
    source = np.arange(6).reshape(2, 3).astype(name)
    taken = norch.from_dlpack(source)
    source[0, 0] = 1
    assert taken.tolist() == source.tolist()


def test_dlpack_round_trip(device):
    tensor = norch.tensor([[1.0, 2.0], [3.0, 4.0]], device=device)
    again = norch.from_dlpack(tensor)
    assert again.data_ptr() == tensor.data_ptr() and again.device == tensor.device
    assert again.tolist() == tensor.tolist()
    assert norch.from_dlpack(tensor.to(norch.bfloat16)).dtype is norch.bfloat16


def test_dlpack_capsules_are_consumed_once():
    tensor = norch.tensor([1.0, 2.0])
    capsule = tensor.__dlpack__()
    assert norch.from_dlpack(capsule).tolist() == [1.0, 2.0]
    with pytest.raises(RuntimeError, match="consumed only once"):
        norch.from_dlpack(capsule)
    tensor.__dlpack__(max_version=(1, 0))  # never consumed: must not leak or crash
    with pytest.raises(TypeError, match="DLPack capsule"):
        norch.from_dlpack(3)
    with pytest.raises(BufferError, match="detach"):
        norch.tensor([1.0], requires_grad=True).__dlpack__()


def test_foreign_capsules_are_refused():
    import ctypes

    new = ctypes.pythonapi.PyCapsule_New
    new.restype, new.argtypes = ctypes.py_object, [ctypes.c_void_p, ctypes.c_char_p, ctypes.c_void_p]
    block = ctypes.create_string_buffer(64)
    foreign = new(ctypes.addressof(block), b"something else", None)
    with pytest.raises(RuntimeError, match="invalid capsule"):
        norch.from_dlpack(foreign)


def test_a_dlpack_tensor_keeps_its_producer():
    source = norch.tensor([1.0, 2.0])
    taken = norch.from_dlpack(source)
    del source
    gc.collect()
    assert taken.tolist() == [1.0, 2.0]


@pytest.mark.parametrize("protocol", range(2, pickle.HIGHEST_PROTOCOL + 1))
def test_pickle(protocol, device):
    for tensor in [
        norch.tensor([[1.0, 2.0]], requires_grad=True, device=device),
        norch.tensor([1, 2, 3], dtype=norch.int16, device=device),
        norch.tensor([1.5], dtype=norch.bfloat16, device=device),
        norch.tensor([], device=device),
        norch.tensor(3.5, device=device),
    ]:
        again = pickle.loads(pickle.dumps(tensor, protocol))
        assert again.dtype is tensor.dtype and again.shape == tensor.shape and again.device == tensor.device
        assert again.tolist() == tensor.tolist() and again.requires_grad == tensor.requires_grad
    parameter = norch.nn.Parameter(norch.tensor([1.0]), requires_grad=False)
    again = pickle.loads(pickle.dumps(parameter, protocol))
    assert type(again) is norch.nn.Parameter and not again.requires_grad
    again = pickle.loads(pickle.dumps(norch.tensor([1.0], requires_grad=True) * 2, protocol))
    assert again.tolist() == [2] and again.requires_grad and again.is_leaf


def test_copies(device):
    tensor = norch.tensor([1.0, 2.0], requires_grad=True, device=device)
    tensor.note = ["mine"]
    tensor.grad = norch.tensor([3.0, 4.0], device=device)
    deep = copy.deepcopy(tensor)
    assert deep.tolist() == tensor.tolist() and deep.data_ptr() != tensor.data_ptr()
    assert deep.requires_grad and deep.grad.tolist() == [3.0, 4.0] and deep.note == ["mine"]
    assert deep.note is not tensor.note
    shallow = copy.copy(tensor)
    assert shallow is not tensor and shallow.data_ptr() == tensor.data_ptr() and shallow.note is tensor.note
    twice = copy.deepcopy([tensor, tensor])
    assert twice[0] is twice[1]
    with pytest.raises(RuntimeError, match="deepcopy"):
        copy.deepcopy(tensor * 2)


def test_dtypes_and_devices_are_values():
    assert pickle.loads(pickle.dumps(norch.float32)) is norch.float32 and copy.deepcopy(norch.int8) is norch.int8
    assert norch.float32.itemsize == 4 and norch.int8.is_signed and not norch.uint8.is_signed
    assert norch.half is norch.float16 and norch.long is norch.int64
    assert norch.device("cuda:1") == norch.device("cuda", 1) != norch.device("cuda:0")
    assert hash(norch.device("cpu")) == hash(norch.device("cpu"))
    assert pickle.loads(pickle.dumps(norch.device("cuda:1"))).index == 1
    for bad in ["tpu", "cuda:", "cuda:-1", "cuda:x", "cpu:1", "cuda:1000", ""]:
        with pytest.raises(RuntimeError, match="device"):
            norch.device(bad)


class Tagged(norch.Tensor):
    """A user's subclass."""


def test_objects_keep_their_identity_and_state():
    tensor = norch.tensor([1.0], requires_grad=True)
    doubled = tensor * 2
    assert doubled.grad_fn.next_functions[0][0].variable is tensor
    tagged = Tagged([1.0, 2.0])
    tagged.requires_grad_()
    tagged.tag = "kept"
    reference = weakref.ref(tagged)
    result = tagged * 2
    address = id(tagged)
    del tagged
    gc.collect()
    # Only the graph holds it now; its Python object lives on with its state.
    alive = reference()
    assert alive is not None and id(alive) == address and type(alive) is Tagged and alive.tag == "kept"
    del alive, result
    gc.collect()
    assert reference() is None


def test_tensors_do_not_leak():
    before = sys.getrefcount(norch.Tensor)
    tensors = [norch.tensor([1.0]) * 2 for _ in range(1000)]
    for t in tensors:
        t.self = t  # a cycle through the attribute
    del tensors, t
    gc.collect()
    assert abs(sys.getrefcount(norch.Tensor) - before) < 10


def test_hooks_that_refer_to_their_tensor_are_collected():
    tensor = norch.tensor([1.0], requires_grad=True)
    tensor.register_hook(lambda g, t=tensor: g)
    reference = weakref.ref(tensor)
    del tensor
    gc.collect()
    assert reference() is None


def test_operators_with_arrays_give_tensors():
    t, a = norch.arange(1.0, 4), np.arange(1.0, 4)
    for result in (t + a, t * a, t / a, a / t, t**a, t @ a, norch.tensor(2.0) * a, np.exp(t), np.add(a, t), t * np.array(2.0)):
        assert isinstance(result, norch.Tensor)
    assert (t * a).dtype == norch.float64 and (t * a.astype(np.float32)).dtype == norch.float32
    assert (norch.tensor(2.0) / norch.tensor([4.0]).numpy()).tolist() == [0.5]
    assert (np.array([1, 3]) / norch.tensor([2, 4])).tolist() == [0.5, 0.75]
    assert np.isnan(t).dtype == norch.uint8
    for f in (lambda: a + t, lambda: a - t, lambda: a * t, lambda: a @ t, lambda: t < a):
        with pytest.raises(TypeError):
            f()
    with pytest.raises(RuntimeError, match="requires grad"):
        a / t.requires_grad_()


def test_equality_with_arrays_is_by_element():
    t = norch.arange(3.0)
    assert (t == np.array([0, 5, 2])).tolist() == [True, False, True]
    assert (np.array([0, 5, 2]) == t).tolist() == [True, False, True]
    assert (t == np.arange(3.0)[:, None]).shape == (3, 3)
    assert (t == np.array(["x"])) is False and (t == [0, 1, 2]) is False
    with pytest.raises(RuntimeError, match="do not broadcast"):
        t == np.arange(2.0)


@pytest.mark.parametrize(
    "data, dtype, error",
    [
        ([[1, 2], 3], None, TypeError),
        ([1, [2]], None, TypeError),
        ([[1, 2], [3]], None, ValueError),
        ([[1, 2], {}], None, RuntimeError),
        ([[1, 2], {}], norch.float32, ValueError),
        ([{}], norch.float32, TypeError),
        ([None], norch.float32, TypeError),
        ([None], None, RuntimeError),
    ],
)
def test_uneven_data_raises_pytorchs_class(data, dtype, error):
    with pytest.raises(error):
        norch.tensor(data, dtype=dtype)


def test_array_beside_a_dict():
    with pytest.raises(ValueError, match=r"expected sequence of length 4 at dim 1 \(got 0\)"):
        norch.FloatTensor((np.zeros(4), {}))
    with pytest.raises(RuntimeError, match="Could not infer dtype of dict"):
        norch.tensor((np.zeros(4), {}))


def test_tensors_in_lists_are_numbers():
    one = norch.ones(1)
    assert norch.tensor([one, one]).tolist() == norch.Tensor([one, one]).tolist() == norch.as_tensor((one, 1)).tolist() == [1, 1]
    assert norch.tensor([[one, 2], [norch.ones(1, 1), norch.tensor(3)]]).tolist() == [[1, 2], [1, 3]]
    assert norch.tensor([norch.tensor(1, dtype=norch.float64)]).dtype == norch.float64
    assert norch.tensor([norch.tensor(1, dtype=norch.int8), 2]).dtype == norch.int64
    for several in (norch.ones(2), norch.ones(0)):
        with pytest.raises(ValueError, match="only one element tensors"):
            norch.tensor([several, several])


def test_numpys_numbers_keep_their_dtype():
    assert norch.tensor([np.float16(1)]).dtype == norch.float16 and norch.tensor(np.float64(1)).dtype == norch.float64
    assert norch.tensor([np.float32(1), 2]).dtype == norch.float32 and norch.tensor([np.float16(1), 2.5]).dtype == norch.float32
    assert norch.tensor([np.float64(1)]).dtype == norch.float32 and norch.tensor([np.int8(1)]).dtype == norch.int64


def test_a_capsule_is_freed_once_where_its_copy_does_not_fit():
    class Managed(ctypes.Structure):  # DLManagedTensorVersioned, one flat list of fields
        _fields_ = [
            ("major", ctypes.c_uint32), ("minor", ctypes.c_uint32), ("context", ctypes.c_void_p),
            ("deleter", ctypes.c_void_p), ("flags", ctypes.c_uint64), ("data", ctypes.c_void_p),
            ("device_type", ctypes.c_int32), ("device_id", ctypes.c_int32), ("ndim", ctypes.c_int32),
            ("code", ctypes.c_uint8), ("bits", ctypes.c_uint8), ("lanes", ctypes.c_uint16),
            ("shape", ctypes.c_void_p), ("strides", ctypes.c_void_p), ("byte_offset", ctypes.c_uint64),
        ]  # fmt: skip

    freed = []
    deleter = ctypes.CFUNCTYPE(None, ctypes.c_void_p)(freed.append)
    number, shape, strides = ctypes.c_float(3), (ctypes.c_int64 * 1)(2**50), (ctypes.c_int64 * 1)(0)
    read_only = 1
    managed = Managed(
        1, 0, None, ctypes.cast(deleter, ctypes.c_void_p), read_only, ctypes.addressof(number), 1, 0, 1, 2, 32, 1,
        ctypes.addressof(shape), ctypes.addressof(strides), 0,
    )  # fmt: skip
    new = ctypes.pythonapi.PyCapsule_New
    new.restype, new.argtypes = ctypes.py_object, (ctypes.c_void_p, ctypes.c_char_p, ctypes.c_void_p)
    capsule = new(ctypes.addressof(managed), b"dltensor_versioned", None)
    with pytest.raises(norch.OutOfMemoryError):
        norch.from_dlpack(capsule)
    assert len(freed) == 1
    with pytest.raises(RuntimeError, match="consumed only once"):  # so that its producer frees nothing
        norch.from_dlpack(capsule)


def test_dlpack_for_a_device_that_norch_does_not_have():
    with pytest.raises(RuntimeError, match="device type 99 is not supported"):
        norch.ones(2).__dlpack__(dl_device=(99, 0))


def test_arrays_of_the_other_byte_order_are_refused():
    for make in (norch.from_numpy, norch.tensor, norch.as_tensor):
        with pytest.raises(ValueError, match="byte order"):
            make(np.ones(2, ">f4"))


def test_tensor_on_a_file(tmp_path):
    path = str(tmp_path / "numbers")
    with pytest.raises(RuntimeError, match="unable to open|has 0 bytes"):
        norch.from_file(path, size=3)
    shared = norch.from_file(path, shared=True, size=3)
    assert shared.tolist() == [0.0, 0.0, 0.0]
    shared[1] = 5.0
    assert norch.from_file(path, shared=True, size=3).tolist() == [0.0, 5.0, 0.0]
    private = norch.from_file(path, size=3)
    private.fill_(7.0)
    assert norch.from_file(path, size=3, dtype=norch.float32).tolist() == [0.0, 5.0, 0.0]
    with pytest.raises(RuntimeError, match="has 12 bytes, and 4 elements"):
        norch.from_file(path, size=4)
    assert norch.from_file(path).numel() == 0
