"""Numbers outside of a dtype's range are refused where they would be written, as in PyTorch."""

import math

import pytest

import norch


def full(value, dtype):
    return norch.full((2,), value, dtype=dtype)


WRITES = {
    "full": full,
    "fill_": lambda value, dtype: norch.zeros(2, dtype=dtype).fill_(value),
    "full_like": lambda value, dtype: norch.full_like(norch.zeros(2, dtype=dtype), value),
    "new_full": lambda value, dtype: norch.zeros(2, dtype=dtype).new_full((2,), value),
    "masked_fill": lambda value, dtype: norch.zeros(2, dtype=dtype).masked_fill(norch.tensor([True, True]), value),
    "where": lambda value, dtype: norch.where(norch.tensor([False, False]), norch.zeros(2, dtype=dtype), value),
    "index_fill": lambda value, dtype: norch.zeros(2, dtype=dtype).index_fill(0, norch.tensor([0, 1]), value),
    "scatter": lambda value, dtype: norch.zeros(2, dtype=dtype).scatter(0, norch.tensor([0, 1]), value),
}


@pytest.mark.parametrize("write", WRITES)
def test_range(write):
    write = WRITES[write]
    for value, dtype in [(300, norch.uint8), (-256, norch.uint8), (128, norch.int8), (-129, norch.int8), (2**40, norch.int32),
                         (2**16, norch.uint16)]:
        with pytest.raises(RuntimeError, match=f"value cannot be converted to type {dtype} without overflow".replace("norch.", "")):
            write(value, dtype)
    for value, dtype in [(65520.0, norch.float16), (-1e39, norch.float32), (1e300, norch.bfloat16)]:
        with pytest.raises(RuntimeError, match="without overflow"):
            write(value, dtype)
    for value, dtype in [(255, norch.uint8), (-128, norch.int8), (2**63 - 1, norch.int64), (-(2**63), norch.int64),
                         (65504.0, norch.float16), (math.inf, norch.float16), (-math.inf, norch.float32)]:
        assert write(value, dtype).tolist() == [value] * 2
    assert write(-1, norch.uint8).tolist() == [255, 255]  # wraps around, as C's conversion does
    assert write(math.nan, norch.float32).isnan().all()


def test_floats_that_integers_do_not_hold():
    for value in (1e10, math.nan, math.inf):
        with pytest.raises(RuntimeError, match="without overflow"):
            norch.full((2,), value, dtype=norch.int32)
        with pytest.raises(RuntimeError, match="without overflow"):
            norch.tensor([1.0, value], dtype=norch.int32)
    assert norch.full((1,), 300, dtype=norch.bool).item() is True
    assert norch.full((1,), 2.9, dtype=norch.int32).item() == norch.tensor(2.9, dtype=norch.int32).item() == 2


def test_assigned_items():
    t = norch.zeros(3, dtype=norch.int8)
    for index in (0, slice(None), norch.tensor([True, False, True]), [0, 2]):
        with pytest.raises(RuntimeError, match="without overflow"):
            t[index] = 200
    assert t.tolist() == [0, 0, 0]


def test_data():
    for value, dtype in [(300, norch.uint8), ([1, 128], norch.int8), ([[2**40]], norch.int32), (-300, norch.uint8)]:
        with pytest.raises(RuntimeError, match="without overflow"):
            norch.tensor(value, dtype=dtype)
    assert norch.tensor([-1, 255], dtype=norch.uint8).tolist() == [255, 255]
    assert norch.tensor(1e300, dtype=norch.float16).item() == math.inf
    assert norch.tensor(2**64 - 1, dtype=norch.uint64).item() == 2**64 - 1
    with pytest.raises(ValueError, match="Overflow when unpacking"):
        norch.tensor([2**64])


def test_a_seed_that_does_not_fit():
    with pytest.raises(ValueError, match="2\\^64"):
        norch.manual_seed(2**64)


@pytest.mark.parametrize("number", [2**64, -(2**63) - 1, 10**30])
def test_integers_beside_tensors_have_64_bits(number):
    t = norch.ones(2)
    for use in (lambda: t * number, lambda: number - t, lambda: t < number, lambda: t == number, lambda: t.__iadd__(number)):
        with pytest.raises(OverflowError, match="int too big to convert"):
            use()
    with pytest.raises(ValueError, match="does not fit in 64 bits"):
        t[0] = number
    assert (t == "x") is False and t.tolist() == [1, 1]
