"""The worker process of a DataLoader."""

from __future__ import annotations

import os
import pickle
import random
import signal
import traceback
from typing import Any, NamedTuple

import numpy as np

import norch

from . import _transport

__all__ = ["EndOfStream", "Failure", "Spec", "WorkerInfo", "get_worker_info", "make_fetch", "run"]


class WorkerInfo(NamedTuple):
    """What `get_worker_info()` returns in a worker: its number, of how many, its seed, its dataset."""

    id: int
    num_workers: int
    seed: int
    dataset: Any


_info: WorkerInfo | None = None


def get_worker_info() -> WorkerInfo | None:
    """The present worker process's WorkerInfo; None in the main process."""
    return _info


class Spec(NamedTuple):
    """What a worker needs to know."""

    dataset: Any
    batched: bool
    stream: bool
    collate_fn: Any
    drop_last: bool
    init_fn: Any
    worker_id: int
    num_workers: int
    inline_limit: int
    parent_pid: int | None


class EndOfStream:
    """A worker's answer once its copy of an IterableDataset has ended."""


class _KeyErrorMessage(str):
    """KeyError shows the repr of its argument; this one's repr is the text itself."""

    def __repr__(self) -> str:
        return str(self)


class Failure:
    """An exception of a worker, with its traceback, to be raised again in the main process."""

    def __init__(self, error: BaseException, worker_id: int) -> None:
        self.type: Any = type(error)
        self.text = (
            f"Caught {type(error).__name__} in DataLoader worker process {worker_id}.\n"
            "Original " + "".join(traceback.format_exception(type(error), error, error.__traceback__))
        )
        try:
            pickle.loads(pickle.dumps(self.type))
        except Exception:
            self.type = RuntimeError  # a class that the main process could not find

    def reraise(self) -> None:
        if self.type is KeyError:
            raise KeyError(_KeyErrorMessage(self.text))
        try:
            error = self.type(self.text)
        except Exception:
            error = RuntimeError(self.text)  # a class whose constructor wants more than a text
        try:
            raise error
        finally:
            del error  # no cycle of this frame and the traceback: the caller's iterator goes with the exception


def make_fetch(dataset: Any, batched: bool, stream: bool, collate_fn: Any, drop_last: bool) -> Any:
    """A function from what the sampler yields to what the loader yields. Streams raise StopIteration."""
    from .collate import default_collate
    from .dataset import take_batch

    if stream:
        samples = iter(dataset)
        ended = False

        def fetch_stream(index: Any) -> Any:
            nonlocal ended
            if not batched:
                return collate_fn(next(samples))
            if ended:
                raise StopIteration
            batch = []
            for _ in index:
                try:
                    batch.append(next(samples))
                except StopIteration:
                    ended = True
                    break
            if not batch or (drop_last and len(batch) < len(index)):
                raise StopIteration
            return collate_fn(batch)

        return fetch_stream

    if not batched:
        return lambda index: collate_fn(dataset[index])

    def fetch(indices: Any) -> Any:
        if collate_fn is default_collate:
            batch = take_batch(dataset, indices)
            if batch is not None:
                return batch
        many = getattr(dataset, "__getitems__", None)
        return collate_fn(many(indices) if callable(many) else [dataset[i] for i in indices])

    return fetch


def _seed(base_seed: int, worker_id: int) -> int:
    seed = (base_seed + worker_id) % 2**64
    random.seed(seed)
    norch.manual_seed(seed)
    entropy = [worker_id, base_seed & 0xFFFFFFFF, base_seed >> 32, 0]
    np.random.seed(np.random.SeedSequence(entropy).generate_state(4))
    return seed


def run(spec: Spec, base_seed: int, connection: Any, inherited: list) -> None:
    """Answers tasks `(number, index)` with `(number, batch | Failure | EndOfStream)`, in order, until the
    main process closes the connection, stops the worker, or is gone."""
    global _info
    # Ctrl-C reaches every process of the terminal; the main one decides what happens then.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    for other in inherited:  # ends of the main process that fork() copied: they would hide its death
        other.close()
    norch.set_num_threads(1)
    parent_pid = spec.parent_pid or os.getppid()
    seed = _seed(base_seed, spec.worker_id)
    _info = WorkerInfo(spec.worker_id, spec.num_workers, seed, spec.dataset)
    failure, fetch = _start(spec, spec.init_fn)
    try:
        while True:
            while not connection.poll(5.0):
                if os.getppid() != parent_pid:
                    return
            number, index = connection.recv()
            if number is None:  # a new epoch of a persistent worker, whose generators go on
                failure, fetch = _start(spec, None)
                continue
            answer: Any = failure
            if failure is None:
                try:
                    answer = fetch(index)
                except StopIteration as e:
                    answer = EndOfStream() if spec.stream else Failure(e, spec.worker_id)
                except Exception as e:
                    answer = Failure(e, spec.worker_id)
            try:
                _transport.send(connection, (number, answer), spec.inline_limit)
            except (BrokenPipeError, ConnectionResetError):
                return
            except Exception as e:  # what can't be pickled
                _transport.send(connection, (number, Failure(e, spec.worker_id)), spec.inline_limit)
            del answer
    except (EOFError, BrokenPipeError, ConnectionResetError):
        return


def _start(spec: Spec, init_fn: Any) -> tuple[Any, Any]:
    """(None, fetch), or (Failure, None): the worker then answers every task with that."""
    try:
        if init_fn is not None:
            init_fn(spec.worker_id)
        return None, make_fetch(spec.dataset, spec.batched, spec.stream, spec.collate_fn, spec.drop_last)
    except Exception as e:
        return Failure(e, spec.worker_id), None
