"""Segments of a dim, places as coordinates, and small functions about tensors."""

import numpy as np
import pytest

import norch


def test_unravel_index(device):
    places = np.array([[5, 0], [23, 7]])
    got = norch.unravel_index(norch.tensor(places, device=device), (2, 3, 4))
    assert isinstance(got, tuple)
    for mine, theirs in zip(got, np.unravel_index(places, (2, 3, 4))):
        np.testing.assert_array_equal(mine.cpu().numpy(), theirs)
    assert norch.unravel_index(norch.tensor(3, dtype=norch.uint8), 7)[0].dtype == norch.int64
    with pytest.raises(TypeError, match="integer dtype"):
        norch.unravel_index(norch.tensor([1.0]), (2, 3))
    with pytest.raises(ValueError, match="negative"):
        norch.unravel_index(norch.tensor([1]), (2, -3))


@pytest.mark.parametrize("reduce", ["sum", "mean", "max", "min", "prod"])
def test_segment_reduce(reduce, device):
    x = np.random.uniform(-2, 2, (5, 3))
    lengths = [2, 0, 3]
    f = dict(sum=np.sum, mean=np.mean, max=np.max, min=np.min, prod=np.prod)[reduce]
    empty = dict(sum=0, mean=np.nan, max=-np.inf, min=np.inf, prod=1)[reduce]
    expected = np.stack([f(x[:2], 0), np.full(3, empty), f(x[2:], 0)])
    t = norch.tensor(x, device=device, requires_grad=True)
    got = norch.segment_reduce(t, reduce, lengths=norch.tensor(lengths, device=device))
    np.testing.assert_allclose(got.detach().cpu().numpy(), expected)
    same = norch.segment_reduce(t, reduce, offsets=norch.tensor([0, 2, 2, 5], device=device))
    np.testing.assert_array_equal(same.detach().cpu().numpy(), got.detach().cpu().numpy())
    got[0].sum().backward()
    gradient = {"sum": np.ones((2, 3)), "mean": np.full((2, 3), 0.5), "prod": x[1::-1]}.get(reduce, (x[:2] == expected[:1]) * 1.0)
    np.testing.assert_allclose(t.grad[:2].cpu().numpy(), gradient)
    if reduce == "sum":
        per_row = norch.segment_reduce(
            norch.tensor([[1.0, 2, 4], [8, 16, 32]]), "sum", lengths=norch.tensor([[1, 2], [3, 0]]), axis=1, initial=1
        )
        assert per_row.tolist() == [[2, 7], [57, 1]]


def test_segment_reduce_errors():
    x = norch.ones(3)
    with pytest.raises(RuntimeError, match="sum to data.size"):
        norch.segment_reduce(x, "sum", lengths=norch.tensor([1, 1]))
    with pytest.raises(RuntimeError, match="negative"):
        norch.segment_reduce(x, "sum", lengths=norch.tensor([4, -1]))
    with pytest.raises(RuntimeError, match="unsupported reduction"):
        norch.segment_reduce(x, "median", lengths=norch.tensor([3]))
    with pytest.raises(RuntimeError, match="Either lengths or offsets"):
        norch.segment_reduce(x, "sum")


def test_range_has_its_end():
    assert norch.range(1, 4).tolist() == [1, 2, 3, 4] and norch.range(3).dtype == norch.float32
    assert norch.range(1, 0, -0.5, dtype=norch.float64).tolist() == [1, 0.5, 0]
    with pytest.raises(RuntimeError, match="step"):
        norch.range(1, 0)


@pytest.mark.parametrize(
    "a, b, dtype",
    [
        (norch.tensor([1]), 1.5, norch.float32),
        (norch.tensor([1.0], dtype=norch.float16), norch.tensor(1.0), norch.float16),
        (norch.tensor([1], dtype=norch.uint8), norch.tensor([1], dtype=norch.int8), norch.int16),
        (2, 1j, norch.complex64),
    ],
    ids=str,
)
def test_result_type(a, b, dtype):
    assert norch.result_type(a, b) == dtype


def test_norms_by_old_names():
    w = np.random.uniform(-1, 1, (3, 4))
    t = norch.tensor(w)
    np.testing.assert_allclose(norch.norm_except_dim(t, 2, 1).numpy(), np.sqrt((w**2).sum(0, keepdims=True)))
    np.testing.assert_allclose(norch.norm_except_dim(t, 2, -1).numpy(), np.sqrt((w**2).sum()))
    np.testing.assert_allclose(norch.frobenius_norm(t, 1).numpy(), np.sqrt((w**2).sum(1)))
    np.testing.assert_allclose(norch.nuclear_norm(t).numpy(), np.linalg.svd(w)[1].sum())


def test_questions():
    t = norch.zeros(2, dtype=norch.uint8)
    assert not t.is_signed() and t.is_same_size(norch.ones(2)) and t.get_device() == -1 and not t.is_inference()
    assert not norch.is_nonzero(norch.zeros(1)) and norch.is_nonzero(norch.tensor(2j))
    with pytest.raises(RuntimeError, match="ambiguous"):
        t.is_nonzero()
