"""DataLoader in the main process."""

import pytest

import norch
from norch.utils.data import DataLoader, Dataset, IterableDataset, SequentialSampler, Subset, TensorDataset


class Numbers(Dataset):
    def __init__(self, n=10):
        self.n = n

    def __len__(self):
        return self.n

    def __getitem__(self, i):
        return i


class Stream(IterableDataset):
    def __init__(self, n=10):
        self.n = n

    def __iter__(self):
        return iter(range(self.n))

    def __len__(self):
        return self.n


def lists(loader):
    return [b.tolist() if isinstance(b, norch.Tensor) else b for b in loader]


def test_batches_in_order():
    loader = DataLoader(Numbers(), batch_size=4)
    assert lists(loader) == [[0, 1, 2, 3], [4, 5, 6, 7], [8, 9]] and len(loader) == 3
    assert lists(loader) == lists(loader)
    assert len(iter(loader)) == 3
    loader = DataLoader(Numbers(), batch_size=4, drop_last=True)
    assert lists(loader) == [[0, 1, 2, 3], [4, 5, 6, 7]] and len(loader) == 2
    assert lists(DataLoader(Numbers(2))) == [[0], [1]]
    assert lists(DataLoader(Numbers(0), batch_size=3)) == []
    assert lists(DataLoader(Numbers(3), batch_size=None)) == [0, 1, 2]
    assert len(DataLoader(Numbers(3), batch_size=None)) == 3


def test_shuffling():
    loader = DataLoader(Numbers(50), batch_size=50, shuffle=True)
    a, b = lists(loader), lists(loader)
    assert a != b and sorted(a[0]) == sorted(b[0]) == list(range(50))
    norch.manual_seed(1)
    first = lists(loader)
    norch.manual_seed(1)
    assert lists(loader) == first
    own = [lists(DataLoader(Numbers(50), 50, shuffle=True, generator=norch.Generator().manual_seed(4))) for _ in "ab"]
    assert own[0] == own[1]


def test_samplers_and_collate_functions():
    assert lists(DataLoader(Numbers(), 2, sampler=[5, 3, 1])) == [[5, 3], [1]]
    assert lists(DataLoader(Numbers(), batch_sampler=[[1], [2, 3]])) == [[1], [2, 3]]
    assert list(DataLoader(Numbers(4), 2, collate_fn=sum)) == [1, 5]
    assert list(DataLoader(Numbers(2), None, collate_fn=str)) == ["0", "1"]
    assert list(DataLoader(Numbers(2), 2, collate_fn=lambda b: None)) == [None]


def test_streams():
    assert lists(DataLoader(Stream(5), batch_size=2)) == [[0, 1], [2, 3], [4]]
    assert lists(DataLoader(Stream(5), batch_size=2, drop_last=True)) == [[0, 1], [2, 3]]
    assert lists(DataLoader(Stream(4), batch_size=2)) == [[0, 1], [2, 3]]
    assert lists(DataLoader(Stream(2), batch_size=None)) == [0, 1]
    assert len(DataLoader(Stream(5), batch_size=2)) == 3 and len(DataLoader(Stream(5), batch_size=None)) == 5
    it = iter(DataLoader(Stream(1), batch_size=2))
    assert next(it).tolist() == [0]
    for _ in range(2):
        with pytest.raises(StopIteration):
            next(it)


def test_tensor_datasets_are_read_a_batch_at_a_time():
    data = TensorDataset(norch.arange(20).view(10, 2), norch.arange(10) * 1.5)
    got = list(DataLoader(data, 4))
    slow = list(DataLoader(data, 4, collate_fn=lambda b: norch.utils.data.default_collate(b)))
    assert all(norch.equal(x, y) for a, b in zip(got, slow) for x, y in zip(a, b))
    assert isinstance(got[0], list) and got[2][1].tolist() == [12, 13.5]
    part = list(DataLoader(Subset(Subset(data, [9, 8, 1]), [2, 0]), 2))
    assert part[0][1].tolist() == [1.5, 13.5]

    class Mine(TensorDataset):
        def __getitem__(self, i):
            return i

    assert lists(DataLoader(Mine(norch.zeros(3)), 3)) == [[0, 1, 2]]


def test_datasets_that_fetch_many_at_once():
    class Many(Numbers):
        def __getitems__(self, indices):
            return [i * 100 for i in indices]

    assert lists(DataLoader(Many(3), 2)) == [[0, 100], [200]]


def test_errors_of_datasets_come_through():
    class Bad(Numbers):
        def __getitem__(self, i):
            raise KeyError("gone")

    with pytest.raises(KeyError, match="gone"):
        next(iter(DataLoader(Bad())))


@pytest.mark.parametrize(
    "dataset, options, text",
    [
        (Numbers(), dict(num_workers=-1), "num_workers option should be non-negative"),
        (Numbers(), dict(timeout=-1), "timeout option should be non-negative"),
        (Numbers(), dict(prefetch_factor=2), "prefetch_factor option could only be specified"),
        (Numbers(), dict(num_workers=1, prefetch_factor=0), "prefetch_factor option should be positive"),
        (Numbers(), dict(persistent_workers=True), "persistent_workers option needs num_workers > 0"),
        (Numbers(), dict(sampler=SequentialSampler(Numbers()), shuffle=True), "mutually exclusive with shuffle"),
        (Numbers(), dict(batch_sampler=[[1]], batch_size=2), "batch_sampler option is mutually exclusive"),
        (Numbers(), dict(batch_size=None, drop_last=True), "disables auto-batching"),
        (Numbers(), dict(batch_size=0), "batch_size should be a positive integer value, but got batch_size=0"),
        (Stream(), dict(shuffle=True), "expected unspecified shuffle option, but got shuffle=True"),
        (Stream(), dict(sampler=[1]), "expected unspecified sampler option"),
        (Stream(), dict(batch_sampler=[[1]]), "expected unspecified batch_sampler option"),
        (Numbers(), dict(multiprocessing_context="fork"), "can only be used with multi-process loading"),
        (Numbers(), dict(num_workers=1, multiprocessing_context="magic"), "should specify a valid start method"),
    ],
)
def test_wrong_options(dataset, options, text):
    with pytest.raises(ValueError, match=text):
        DataLoader(dataset, **options)
