"""What norch.array_api does differently from module norch: the array API standard's names, dtypes and corner cases."""

import numpy as np
import pytest

import norch
import norch.array_api as xp


def test_namespace_of_a_tensor():
    x = norch.ones(2)
    assert x.__array_namespace__() is xp
    assert x.__array_namespace__(api_version="2024.12").__array_api_version__ == "2024.12"
    with pytest.raises(ValueError, match="up to 2024.12"):
        x.__array_namespace__(api_version="2031.12")


def test_0d_arrays_promote_as_any_other():
    assert xp.add(xp.asarray(1, dtype=xp.int64), xp.ones(2, dtype=xp.int16)).dtype == xp.int64
    assert xp.add(xp.ones(2, dtype=xp.uint16), xp.ones(2, dtype=xp.int8)).dtype == xp.int32
    assert xp.result_type(xp.uint8, 1.5) == norch.float32
    assert xp.can_cast(xp.uint8, xp.int16) and not xp.can_cast(xp.uint64, xp.int64)


def test_reductions():
    x = xp.asarray([[1, 2], [3, 4]], dtype=xp.uint8)
    assert xp.sum(x).dtype == xp.uint64 and int(xp.sum(x)) == 10
    assert xp.sum(x, axis=()).tolist() == [[1, 2], [3, 4]]
    assert xp.prod(x, axis=(0, 1)).tolist() == 24
    assert xp.max(x, axis=0).tolist() == [3, 4]
    assert float(xp.std(xp.asarray([1.0, 3.0]))) == 1.0
    assert xp.cumulative_sum(xp.asarray([1, 2]), include_initial=True).tolist() == [0, 1, 3]
    with pytest.raises(IndexError, match="out of bounds"):
        xp.sum(x, axis=2)


def test_unique_counts_every_nan():
    values, indices, inverse, counts = xp.unique_all(xp.asarray([3.0, float("nan"), 3.0, float("nan"), 1.0]))
    assert values.tolist()[:2] == [1.0, 3.0] and values.shape == (4,)
    assert indices.tolist()[:2] == [4, 0] and counts.tolist() == [1, 2, 1, 1]
    assert inverse.tolist()[:3] == [1, 2, 1]
    assert xp.unique_values(xp.asarray([1j, 1j, 0])).tolist() == [0j, 1j]


def test_special_values():
    inf = float("inf")
    assert xp.floor_divide(xp.asarray([inf, -inf]), xp.asarray([2.0, 2.0])).tolist() == [inf, -inf]
    assert np.signbit(xp.remainder(xp.asarray(0.0), xp.asarray(-2.0)).numpy())
    assert np.isnan(float(xp.sign(xp.asarray(float("nan")))))


def test_inspection():
    info = xp.__array_namespace_info__()
    assert info.default_dtypes()["complex floating"] == norch.complex64
    assert set(info.dtypes(kind="unsigned integer")) == {"uint8", "uint16", "uint32", "uint64"}
    assert info.capabilities()["boolean indexing"]
    with pytest.raises(ValueError, match="unknown kind"):
        info.dtypes(kind="quaternion")


def test_shapes():
    x = xp.reshape(xp.arange(6), (2, 3))
    assert xp.concat([x, x], axis=None).shape == (12,)
    assert xp.permute_dims(x, (1, 0)).shape == (3, 2)
    assert xp.take_along_axis(x, xp.asarray([[-1], [0]]), axis=1).tolist() == [[2], [3]]
    assert xp.repeat(xp.asarray([1, 2]), xp.asarray([2, 1], dtype=xp.int16)).tolist() == [1, 1, 2]
    assert [g.shape for g in xp.meshgrid(xp.arange(2), xp.arange(3))] == [(3, 2), (3, 2)]
    with pytest.raises(ValueError, match="copy=False"):
        xp.reshape(x.T, (6,), copy=False)
    with pytest.raises(ValueError, match="does not have size 1"):
        xp.squeeze(x, 0)
