"""DistributedSampler, extensible collating, pinning, warnings, and what programs do with DataLoader's attributes."""

import warnings
from collections import namedtuple

import numpy as np
import pytest

import norch
from norch.utils.data import (
    DataLoader,
    Dataset,
    DistributedSampler,
    IterableDataset,
    StackDataset,
    TensorDataset,
    _utils,
    dataloader,
    default_collate,
    random_split,
)

pytestmark = pytest.mark.filterwarnings("ignore:This DataLoader will create")


@pytest.mark.parametrize("n", [0, 1, 7, 12])
@pytest.mark.parametrize("drop_last", [False, True])
def test_distributed_sampler_shares_everything(n, drop_last):
    parts = [DistributedSampler(range(n), 3, rank, drop_last=drop_last) for rank in range(3)]
    drawn = [list(p) for p in parts]
    assert [len(d) for d in drawn] == [len(p) for p in parts] and len(set(map(len, drawn))) == 1
    everything = sorted(i for d in drawn for i in d)
    if drop_last:
        assert len(everything) == n // 3 * 3 and len(set(everything)) == len(everything)
    else:
        assert set(everything) == set(range(n)) and len(everything) == -(-n // 3) * 3


def test_distributed_sampler_epochs():
    s = DistributedSampler(range(50), 2, 0, seed=3)
    first = list(s)
    assert list(s) == first
    s.set_epoch(1)
    assert list(s) != first
    s.set_epoch(0)
    assert list(s) == first and sorted(first) != first
    assert list(DistributedSampler(range(5), 2, 1, shuffle=False)) == [1, 3, 0]
    assert list(DistributedSampler(range(2), 5, 4, shuffle=False)) == [0]
    with pytest.raises(ValueError, match="Invalid rank 2"):
        DistributedSampler(range(5), 2, 2)


Point = namedtuple("Point", "x y")


class Name(str):
    pass


def test_collating_with_functions_of_ones_own():
    own = {Name: lambda batch, *, collate_fn_map: "+".join(batch), **_utils.collate.default_collate_fn_map}
    batch = [{"n": Name("a"), "p": Point(1, [2.0, np.float32(3)])}, {"n": Name("b"), "p": Point(4, [5.0, np.float32(6)])}]
    out = _utils.collate.collate(batch, collate_fn_map=own)
    assert out["n"] == "a+b" and out["p"].x.tolist() == [1, 4]
    assert out["p"].y[0].dtype == norch.float64 and out["p"].y[1].dtype == norch.float32
    assert default_collate(batch)["n"] == ["a", "b"]
    assert default_collate([np.complex64(1j), np.complex64(2)]).dtype == norch.complex64
    with pytest.raises(TypeError, match="batch must contain tensors"):
        default_collate([object()])


class Pinned:
    def __init__(self, value):
        self.value, self.pinned = value, False

    def pin_memory(self):
        self.pinned = True
        return self


def test_pinning():
    out = _utils.pin_memory.pin_memory({"a": [Pinned(1), "text"], "b": Point(Pinned(2), (Pinned(3), 4))})
    assert out["a"][0].pinned and out["a"][1] == "text" and out["b"].x.pinned and out["b"].y[0].pinned and out["b"].y[1] == 4
    loader = DataLoader(TensorDataset(norch.arange(4)), 2, pin_memory=True, collate_fn=lambda b: Pinned(b))
    assert all(b.pinned == norch.cuda.is_available() for b in loader)


class Wrong(IterableDataset):
    def __iter__(self):
        return iter(range(6))

    def __len__(self):
        return 2


@pytest.mark.parametrize("workers", [0, 1])
def test_streams_that_are_longer_than_they_say(workers):
    loader = DataLoader(Wrong(), None, num_workers=workers)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert [b for b in loader] == list(range(6))  # nobody asked for the length (list(loader) does)
    assert len(loader) == 2
    with pytest.warns(UserWarning, match="was reported to be 2 .* samples have been fetched"):
        list(loader)


def test_attributes_that_stay():
    loader = DataLoader(TensorDataset(norch.arange(4)), 2)
    for name in ("batch_size", "batch_sampler", "sampler", "drop_last", "dataset", "persistent_workers"):
        with pytest.raises(ValueError, match=f"{name} attribute should not be set after DataLoader is initialized"):
            setattr(loader, name, None)
    loader.collate_fn = len
    assert list(loader) == [2, 2] and isinstance(iter(loader), dataloader._SingleProcessDataLoaderIter)


class Endless:
    def __init__(self, sampler):
        self.sampler = sampler

    def __iter__(self):
        while True:
            yield from self.sampler


class OneIterator(DataLoader):
    """As loaders that keep their workers do in PyTorch programs: by putting an endless sampler in place."""

    def __init__(self, *args, **kwargs):
        super().__init__(*args, **kwargs)
        self._DataLoader__initialized = False
        self.batch_sampler = Endless(self.batch_sampler)
        self._DataLoader__initialized = True
        self.iterator = super().__iter__()

    def __len__(self):
        return len(self.batch_sampler.sampler)

    def __iter__(self):
        for _ in range(len(self)):
            yield next(self.iterator)


def test_a_loader_whose_sampler_is_replaced():
    loader = OneIterator(TensorDataset(norch.arange(4)), 3, num_workers=1)
    for _ in range(2):
        assert [b[0].tolist() for b in loader] == [[0, 1, 2], [3]]


class Draws(Dataset):
    def __len__(self):
        return 2

    def __getitem__(self, i):
        return norch.randint(0, 2**30, ()).item()


def test_seeds_of_persistent_workers_go_on():
    def two_epochs():
        norch.manual_seed(5)
        loader = DataLoader(Draws(), None, num_workers=1, persistent_workers=True)
        epochs = list(loader), list(loader)
        loader._iterator._stop()
        return *epochs, norch.rand(1).item()

    first, second, after = two_epochs()
    assert first != second and (first, second, after) == two_epochs()
    norch.manual_seed(5)
    assert list(DataLoader(Draws(), None, num_workers=1)) == first
    assert norch.rand(1).item() == after  # the second epoch drew no seed


class Many(Dataset):
    def __len__(self):
        return 3

    def __getitem__(self, i):
        raise AssertionError

    def __getitems__(self, indices):
        return [-i for i in indices]


def test_stacked_datasets_fetch_many_at_once():
    tensors = TensorDataset(norch.arange(3))
    assert StackDataset(Many(), range(3)).__getitems__([2, 0]) == [(-2, 2), (0, 0)]
    assert [b["a"].tolist() for b in DataLoader(StackDataset(a=Many(), b=tensors), 2)] == [[0, -1], [-2]]


def test_splits_that_are_empty():
    with pytest.warns(UserWarning, match="Length of split at index 1 is 0"):
        random_split(range(2), [0.9, 0.1])
