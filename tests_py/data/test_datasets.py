"""Datasets, samplers, collating."""

from collections import Counter, OrderedDict, namedtuple

import numpy as np
import pytest

import norch
from norch.utils.data import (
    BatchSampler,
    ChainDataset,
    ConcatDataset,
    Dataset,
    IterableDataset,
    RandomSampler,
    SequentialSampler,
    StackDataset,
    Subset,
    SubsetRandomSampler,
    TensorDataset,
    WeightedRandomSampler,
    default_collate,
    default_convert,
    random_split,
)


class Squares(Dataset):
    def __init__(self, n):
        self.n = n

    def __len__(self):
        return self.n

    def __getitem__(self, i):
        if not 0 <= i < self.n:
            raise IndexError(i)
        return i * i


def test_tensor_dataset():
    data = TensorDataset(norch.arange(6).view(3, 2), norch.tensor([7, 8, 9]))
    assert len(data) == 3
    x, y = data[1]
    assert x.tolist() == [2, 3] and y.item() == 8
    with pytest.raises(AssertionError, match="Size mismatch between tensors"):
        TensorDataset(norch.zeros(2), norch.zeros(3))


def test_concat_chain_stack_subset():
    both = Squares(3) + Squares(2)
    assert isinstance(both, ConcatDataset) and len(both) == 5
    assert [both[i] for i in range(-5, 5)] == [0, 1, 4, 0, 1] * 2
    with pytest.raises(IndexError):
        both[5]
    with pytest.raises(ValueError, match="should not exceed dataset length"):
        both[-6]
    with pytest.raises(AssertionError, match="empty iterable"):
        ConcatDataset([])

    class Stream(IterableDataset):
        def __iter__(self):
            return iter([1, 2])

    assert list(Stream() + Stream()) == [1, 2, 1, 2]
    with pytest.raises(AssertionError, match="only supports IterableDataset"):
        list(ChainDataset([Squares(2)]))
    with pytest.raises(AssertionError, match="does not support IterableDataset"):
        ConcatDataset([Stream()])
    assert StackDataset(Squares(3), Squares(3))[2] == (4, 4)
    assert StackDataset(a=Squares(3))[1] == {"a": 1}
    with pytest.raises(ValueError, match="Size mismatch"):
        StackDataset(Squares(3), Squares(2))
    part = Subset(Squares(10), [9, 3])
    assert len(part) == 2 and part[0] == 81 and part.__getitems__([1, 0]) == [9, 81]
    nested = Subset(part, [1])
    assert nested[0] == 9 and nested.__getitems__([0]) == [9]


def test_random_split():
    data = Squares(10)
    a, b = random_split(data, [7, 3], generator=norch.Generator().manual_seed(0))
    assert sorted(a.indices + b.indices) == list(range(10)) and len(a) == 7
    again, _ = random_split(data, [7, 3], generator=norch.Generator().manual_seed(0))
    assert again.indices == a.indices
    assert [len(p) for p in random_split(data, [0.5, 0.25, 0.25])] == [6, 2, 2]
    with pytest.raises(ValueError, match="Sum of input lengths"):
        random_split(data, [5, 6])
    with pytest.raises(ValueError, match="Fraction at index 0"):
        random_split(data, [-0.5, 1.5])


def test_samplers():
    data = Squares(10)
    assert list(SequentialSampler(data)) == list(range(10))
    sampler = RandomSampler(data)
    a, b = list(sampler), list(sampler)
    assert sorted(a) == sorted(b) == list(range(10)) and a != b and len(sampler) == 10
    assert len(list(RandomSampler(data, num_samples=25))) == 25
    drawn = list(RandomSampler(data, replacement=True, num_samples=5000))
    assert len(drawn) == 5000 and min(Counter(drawn).values()) > 350
    seeded = [list(RandomSampler(data, generator=norch.Generator().manual_seed(3))) for _ in range(2)]
    assert seeded[0] == seeded[1]
    assert sorted(SubsetRandomSampler([4, 5, 6])) == [4, 5, 6]
    assert list(BatchSampler(SequentialSampler(data), 4, False)) == [[0, 1, 2, 3], [4, 5, 6, 7], [8, 9]]
    assert list(BatchSampler(SequentialSampler(data), 4, True)) == [[0, 1, 2, 3], [4, 5, 6, 7]]
    assert len(BatchSampler(SequentialSampler(data), 4, False)) == 3
    assert len(BatchSampler(SequentialSampler(data), 4, True)) == 2
    with pytest.raises(ValueError, match="batch_size should be a positive integer"):
        BatchSampler([1], 0, False)
    with pytest.raises(TypeError, match="replacement should be a boolean"):
        RandomSampler(data, replacement=1)
    for source, samples in ((data, 0), (data, 2.5), (Squares(0), None)):
        with pytest.raises(ValueError, match="positive integer"):
            RandomSampler(source, num_samples=samples)
    with pytest.raises(ValueError, match="empty dataset"):
        list(RandomSampler(Squares(0), num_samples=2))


def test_weighted_sampler():
    weights = [0.0, 1.0, 3.0, 0.0]
    counts = Counter(WeightedRandomSampler(weights, 8000))
    assert set(counts) == {1, 2} and abs(counts[2] / 8000 - 0.75) < 0.03
    assert sorted(WeightedRandomSampler(weights, 2, replacement=False)) == [1, 2]
    first = Counter(next(iter(WeightedRandomSampler(weights, 1, replacement=False))) for _ in range(2000))
    assert abs(first[2] / 2000 - 0.75) < 0.06
    with pytest.raises(RuntimeError, match="without replacement"):
        WeightedRandomSampler(weights, 3, replacement=False)
    with pytest.raises(RuntimeError, match="non-negative"):
        WeightedRandomSampler([1.0, -1.0], 1)
    with pytest.raises(ValueError, match="positive integer"):
        WeightedRandomSampler(weights, 0)


Point = namedtuple("Point", "x y")


def test_collate():
    batch = default_collate([norch.tensor([1, 2]), norch.tensor([3, 4])])
    assert batch.tolist() == [[1, 2], [3, 4]]
    assert default_collate([1, 2]).dtype == norch.int64
    assert default_collate([1.5, 2]).dtype == norch.float64
    assert default_collate([True, False]).dtype == norch.bool
    assert default_collate(["a", "b"]) == ["a", "b"]
    array = default_collate([np.ones(2, np.float32), np.zeros(2, np.float32)])
    assert array.dtype == norch.float32 and array.tolist() == [[1, 1], [0, 0]]
    assert default_collate([np.float32(1), np.float32(2)]).dtype == norch.float32
    assert default_collate([np.array(3), np.array(4)]).tolist() == [3, 4]
    nested = default_collate([{"a": (1, [2.0])}, {"a": (3, [4.0])}])
    assert nested["a"][0].tolist() == [1, 3] and nested["a"][1][0].tolist() == [2, 4]
    assert isinstance(default_collate([OrderedDict(a=1), OrderedDict(a=2)]), OrderedDict)
    point = default_collate([Point(1, 2), Point(3, 4)])
    assert isinstance(point, Point) and point.y.tolist() == [2, 4]
    with pytest.raises(RuntimeError, match="should be of equal size"):
        default_collate([[1], [1, 2]])
    with pytest.raises(TypeError, match="batch must contain tensors, numpy arrays, numbers, dicts or lists; found"):
        default_collate([object()])
    with pytest.raises(TypeError, match="found"):
        default_collate([np.array(["text"])])
    with pytest.raises(RuntimeError, match="equal size"):
        default_collate([np.ones(2), np.ones(3)])


def test_convert():
    out = default_convert({"a": np.ones(2), "b": ("x", 3), "c": norch.ones(1), "d": np.array(["t"])})
    assert out["a"].dtype == norch.float64 and out["b"] == ["x", 3] and out["d"].tolist() == ["t"]
    point = default_convert(Point(np.ones(1), 2))
    assert isinstance(point, Point) and isinstance(point.x, norch.Tensor)
