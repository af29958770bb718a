"""DataLoader with worker processes."""

import gc
import multiprocessing
import os
import random
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest

import norch
from norch.utils.data import DataLoader, Dataset, IterableDataset, get_worker_info

pytestmark = pytest.mark.filterwarnings("ignore:This DataLoader will create")


class Mixed(Dataset):
    """Samples of many kinds; `size` makes them large enough for shared memory."""

    def __init__(self, n=30, size=3):
        self.n, self.size = n, size

    def __len__(self):
        return self.n

    def __getitem__(self, i):
        return {
            "t": norch.full((self.size,), float(i)),
            "b": norch.full((2,), i, dtype=norch.bfloat16),
            "a": np.full(self.size, i),
            "s": str(i),
            "empty": norch.zeros(0, 2),
        }


class Stream(IterableDataset):
    def __iter__(self):
        info = get_worker_info()
        return iter(range(23) if info is None else range(info.id, 23, info.num_workers))


class Script(Dataset):
    """Does to sample 5 what `action` says."""

    def __init__(self, action):
        self.action = action

    def __len__(self):
        return 20

    def __getitem__(self, i):
        if i == 5:
            self.action()
        return i


def children():
    deadline = time.time() + 5
    while multiprocessing.active_children() and time.time() < deadline:
        time.sleep(0.02)
    return multiprocessing.active_children()


@pytest.fixture(autouse=True)
def no_process_is_left():
    yield
    gc.collect()  # an exception that a test caught holds on to its loader through its traceback
    assert children() == []


@pytest.mark.parametrize("context", ["fork", "spawn", "forkserver"])
@pytest.mark.parametrize("size", [3, 50_000])
def test_batches_come_whole_and_in_order(context, size):
    loader = DataLoader(Mixed(size=size), 4, num_workers=2, multiprocessing_context=context)
    seen = 0
    for k, batch in enumerate(loader):
        expected = list(range(4 * k, min(4 * k + 4, 30)))
        assert batch["t"].shape == (len(expected), size) and batch["t"][:, -1].tolist() == expected
        assert batch["b"].dtype == norch.bfloat16 and batch["b"][:, 0].tolist() == expected
        assert batch["a"].dtype == norch.int64 and batch["a"][:, 0].tolist() == expected
        assert batch["s"] == list(map(str, expected)) and batch["empty"].shape == (len(expected), 0, 2)
        batch["t"].add_(1)  # ordinary, writable memory
        seen += len(expected)
    assert seen == 30


def test_many_batches_can_be_kept():
    batches = list(DataLoader(Mixed(300, 20_000), 1, num_workers=2))
    assert [b["t"][0, 0].item() for b in batches] == list(range(300))
    assert len(os.listdir("/proc/self/fd")) < 400


def test_workers_and_no_workers_shuffle_alike():
    def run(workers):
        norch.manual_seed(7)
        found = [b["a"][:, 0].tolist() for b in DataLoader(Mixed(), 4, shuffle=True, num_workers=workers)]
        return found, norch.rand(1).item()

    assert run(0) == run(1) == run(3)


def test_streams():
    assert sorted(i for b in DataLoader(Stream(), 4, num_workers=3) for i in b.tolist()) == list(range(23))
    assert list(DataLoader(Stream(), None, num_workers=2)) == list(range(23))
    assert sum(len(b) for b in DataLoader(Stream(), 4, drop_last=True, num_workers=3)) == 20


def test_out_of_order():
    class Slow(Script):
        def __getitem__(self, i):
            time.sleep(0.5 if i == 0 else 0)
            return i

    found = [b.item() for b in DataLoader(Slow(None), 1, num_workers=2, in_order=False)]
    assert sorted(found) == list(range(20)) and found[0] != 0


def seeds(_):
    return get_worker_info().seed, random.random(), float(np.random.rand()), norch.rand(1).item(), os.getpid()


def test_every_worker_has_a_seed_of_its_own_that_repeats():
    class Random(Script):
        def __getitem__(self, i):
            return seeds(i)

    def run():
        return list(DataLoader(Random(None), None, num_workers=2, generator=norch.Generator().manual_seed(5)))

    a, b = run(), run()
    assert [s[:4] for s in a] == [s[:4] for s in b] and a[0][4] != b[0][4]
    assert a[1][0] == a[0][0] + 1
    for k in range(1, 4):
        assert a[0][k] != a[1][k]
    assert get_worker_info() is None


def test_worker_init_fn_and_worker_info():
    made = []

    def start(worker):
        made.append(worker)
        get_worker_info().dataset.note = worker * 10

    class Noted(Script):
        note = None

        def __getitem__(self, i):
            return self.note, len(made), get_worker_info().num_workers

    assert list(DataLoader(Noted(None), None, num_workers=2, worker_init_fn=start))[:2] == [[0, 1, 2], [10, 1, 2]]
    assert made == []


def test_persistent_workers():
    class Pid(Script):
        def __getitem__(self, i):
            return os.getpid()

    loader = DataLoader(Pid(None), None, num_workers=2, persistent_workers=True)
    first = set(loader)
    assert set(loader) == first and len(first) == 2
    for _ in loader:
        break  # what is under way is dropped
    assert set(loader) == first and len(list(loader)) == 20
    loader._iterator._stop()
    assert set(loader).isdisjoint(first)
    loader._iterator._stop()
    streams = DataLoader(Stream(), 4, num_workers=2, persistent_workers=True)
    for _ in range(3):
        assert sorted(i for b in streams for i in b.tolist()) == list(range(23))
    streams._iterator._stop()


class Picky(Exception):
    def __init__(self, a, b):
        super().__init__(a, b)


def fail(error):
    raise error


@pytest.mark.parametrize(
    "error, kind",
    [(ValueError("bad sample"), ValueError), (KeyError("key"), KeyError), (Picky(1, 2), RuntimeError)],
)
def test_a_worker_that_raises_is_reported_with_its_traceback(error, kind):
    with pytest.raises(kind) as e:
        list(DataLoader(Script(lambda: fail(error)), 2, num_workers=2))
    text = str(e.value)
    assert f"Caught {type(error).__name__} in DataLoader worker process 0.\nOriginal Traceback" in text
    assert "in __getitem__" in text


def test_results_that_cannot_travel_and_classes_that_cannot_be_found():
    class Local(Exception):
        pass

    with pytest.raises(RuntimeError, match="Caught Local in DataLoader worker"):
        list(DataLoader(Script(lambda: fail(Local())), 2, num_workers=1))
    with pytest.raises(Exception, match="DataLoader worker process 0"):
        list(DataLoader(Script(None), 2, num_workers=1, collate_fn=lambda b: lambda: b))
    with pytest.raises(ZeroDivisionError, match="DataLoader worker process"):
        list(DataLoader(Script(int), 2, num_workers=1, worker_init_fn=lambda i: 1 / 0))


def test_the_rest_can_be_read_after_an_error():
    it = iter(DataLoader(Script(lambda: fail(ValueError("bad"))), 1, num_workers=2))
    found = []
    while True:
        try:
            found.append(next(it).item())
        except ValueError:
            found.append("error")
        except StopIteration:
            break
    assert found == [*range(5), "error", *range(6, 20)]


def test_a_worker_that_dies_is_reported():
    with pytest.raises(RuntimeError, match=r"DataLoader worker \(pid \d+\) is killed by signal: Killed"):
        list(DataLoader(Script(lambda: os.kill(os.getpid(), signal.SIGKILL)), 2, num_workers=2))
    with pytest.raises(RuntimeError, match=r"exited unexpectedly with exit code 3"):
        list(DataLoader(Script(lambda: os._exit(3)), 2, num_workers=2))


def test_timeout():
    start = time.time()
    with pytest.raises(RuntimeError, match="DataLoader timed out after 0.3 seconds"):
        list(DataLoader(Script(lambda: time.sleep(60)), 2, num_workers=2, timeout=0.3))
    assert time.time() - start < 10


def test_leaving_early_ends_the_workers_at_once():
    start = time.time()
    for _ in DataLoader(Mixed(1000, 20_000), 2, num_workers=2):
        break
    assert children() == [] and time.time() - start < 5


PROGRAM = """
import sys, time
from norch.utils.data import DataLoader, Dataset
import multiprocessing, signal

# A shell's background jobs ignore Ctrl-C, and their children inherit that.
signal.signal(signal.SIGINT, signal.default_int_handler)

class Slow(Dataset):
    def __len__(self):
        return 1000
    def __getitem__(self, i):
        time.sleep(0.05)
        return i

it = iter(DataLoader(Slow(), 2, num_workers=2))
next(it)
print(*[p.pid for p in multiprocessing.active_children()], flush=True)
for _ in it:
    pass
"""


def alive(pid):
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except FileNotFoundError:
        return False


@pytest.mark.parametrize("how", [signal.SIGINT, signal.SIGTERM, signal.SIGKILL])
def test_no_process_outlives_the_program(how):
    program = subprocess.Popen(
        [sys.executable, "-c", PROGRAM],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )
    pids = [int(p) for p in program.stdout.readline().split()]
    assert len(pids) == 2
    if how == signal.SIGINT:
        os.killpg(program.pid, how)  # as a terminal does
    else:
        program.send_signal(how)
    _, errors = program.communicate(timeout=20)
    if how == signal.SIGINT:
        assert "KeyboardInterrupt" in errors and "Process ForkProcess" not in errors
    deadline = time.time() + 15
    while any(map(alive, pids)) and time.time() < deadline:
        time.sleep(0.05)
    assert not any(map(alive, pids))
