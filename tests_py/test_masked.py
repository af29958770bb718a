"""norch.masked against plain ops on the elements that count."""

import math

import numpy as np
import pytest

import norch

X = np.array([[1.0, -2.0, 3.5], [4.0, 0.5, -6.0]])
MASK = np.array([[True, False, True], [False, False, False]])


def tensor(a, **kwargs):
    return norch.tensor(a.tolist(), **kwargs)


@pytest.mark.parametrize(
    "name,neutral,reduce",
    [("sum", 0, np.sum), ("prod", 1, np.prod), ("amax", -math.inf, np.max), ("amin", math.inf, np.min)],
)
@pytest.mark.parametrize("dim", [None, 0, 1, (0, 1)])
def test_reductions(name, neutral, reduce, dim):
    got = getattr(norch.masked, name)(tensor(X), dim, mask=tensor(MASK))
    np.testing.assert_allclose(got.numpy(), reduce(np.where(MASK, X, neutral), axis=dim))


def test_moments_and_means():
    x, mask = tensor(X), tensor(MASK)
    np.testing.assert_allclose(norch.masked.mean(x, 1, mask=mask).numpy(), [2.25, math.nan])
    np.testing.assert_allclose(norch.masked.var(x, 1, mask=mask).numpy()[0], np.var([1.0, 3.5], ddof=1))
    np.testing.assert_allclose(norch.masked.std(x, unbiased=False, mask=mask).item(), np.std([1.0, 3.5]), rtol=1e-6)
    np.testing.assert_allclose(norch.masked.median(x, 1, mask=mask).numpy(), [1.0, math.nan])
    with pytest.raises(ValueError, match="Could not infer output dtype"):
        norch.masked.mean(norch.tensor([1, 2]))


def test_normalisations_leave_masked_out():
    x, mask = tensor(X[:1]), tensor(MASK[:1])
    weights = np.exp([1.0, 3.5]) / np.exp([1.0, 3.5]).sum()
    np.testing.assert_allclose(norch.masked.softmax(x, 1, mask=mask).numpy(), [[weights[0], 0, weights[1]]], rtol=1e-6)
    size = math.hypot(1.0, 3.5)
    np.testing.assert_allclose(norch.masked.normalize(x, 2.0, 1, mask=mask).numpy(), [[1 / size, 0, 3.5 / size]], rtol=1e-6)
    assert norch.masked.logsumexp(x, 1, mask=mask).item() == pytest.approx(np.logaddexp(1.0, 3.5))


def test_integers_and_scans():
    x, mask = norch.tensor([3, 1, 2]), norch.tensor([True, False, True])
    assert norch.masked.sum(x.int(), mask=mask).dtype == norch.int64
    assert norch.masked.amin(x, mask=mask).item() == 2
    assert norch.masked.cumsum(x, 0, mask=mask).tolist() == [3, 3, 5]
    assert norch.masked.argmax(x, mask=mask).item() == 0


def test_bad_dims_and_masks():
    with pytest.raises(IndexError, match="out of range"):
        norch.masked.sum(tensor(X), 2)
    with pytest.raises(RuntimeError, match="multiple times"):
        norch.masked.sum(tensor(X), (0, 0))
    with pytest.raises(IndexError, match="broadcastable mask"):
        norch.masked.sum(norch.ones(2), mask=norch.ones(1, 2, dtype=norch.bool))


def test_extremes_of_truth_values():
    x, mask = norch.tensor([[True, False], [False, False]]), norch.tensor([[True, False], [True, True]])
    assert norch.masked.amax(x, 1, mask=mask).tolist() == [True, False] and norch.masked.amin(x, 1, mask=mask).tolist() == [True, False]
    assert norch.masked.amax(x).item() is True and norch.masked.amin(x).item() is False
