"""The iterators behind a DataLoader: in this process, or over worker processes."""

from __future__ import annotations

import multiprocessing
import os
import signal
import warnings
import weakref
from multiprocessing import connection as mp_connection
from typing import Any, Iterator

import norch
from norch._C._profiler import on as _profiling

from . import _transport, _worker
from ._utils.pin_memory import pin_memory
from .sampler import draw_seed

__all__ = ["LocalIterator", "WorkerIterator"]

_END = object()
_PIPE_BYTES = 1 << 16  # what a pipe surely takes while nobody reads


class _Iterator:
    """What both kinds share: the iteration, and what happens to a batch on its way out."""

    _profiled_as = "_MultiProcessingDataLoaderIter"  # PyTorch's name

    def __init__(self, loader: Any) -> None:
        self._loader = loader
        self._pin_memory = loader.pin_memory and norch.cuda.is_available()
        self._num_yielded = 0

    def __iter__(self) -> Iterator[Any]:
        return self

    def __len__(self) -> int:
        return len(self._loader)

    def __next__(self) -> Any:
        if _profiling():
            from norch.autograd.profiler import record_function

            with record_function(f"enumerate(DataLoader)#{self._profiled_as}.__next__"):
                batch = self._next_batch()
        else:
            batch = self._next_batch()
        self._num_yielded += 1
        expected = self._loader._IterableDataset_len_called
        if expected is not None and self._num_yielded > expected and self._loader._stream:
            message = (
                f"Length of IterableDataset {self._loader.dataset} was reported to be {expected} (when accessing "
                f"len(dataloader)), but {self._num_yielded} samples have been fetched. "
            )
            if self._loader.num_workers > 0:
                message += (
                    "For multiprocessing data-loading, this could be caused by not properly configuring the "
                    "IterableDataset replica at each worker: see get_worker_info()."
                )
            warnings.warn(message, stacklevel=2)
        return pin_memory(batch) if self._pin_memory else batch

    def _next_batch(self) -> Any:
        raise NotImplementedError


class LocalIterator(_Iterator):
    """Loads batches when they are asked for."""

    _profiled_as = "_SingleProcessDataLoaderIter"

    def __init__(self, loader: Any) -> None:
        super().__init__(loader)
        self._indices = iter(loader._index_sampler)
        draw_seed(loader.generator)  # as with workers: their number does not change what is drawn after
        self._fetch = _worker.make_fetch(
            loader.dataset, loader._auto_collation, loader._stream, loader.collate_fn, loader.drop_last
        )

    def _next_batch(self) -> Any:
        return self._fetch(next(self._indices))


def _stop(owner: int, connections: list, processes: list) -> None:
    """Ends the workers: closing their connection asks them to; those that are busy get a signal."""
    if os.getpid() != owner:
        return
    for c in connections:
        c.close()
    for p in processes:
        p.join(timeout=1.0)
        if p.is_alive():
            p.terminate()
            p.join(timeout=1.0)
        if p.is_alive():
            p.kill()
            p.join()


class WorkerIterator(_Iterator):
    """Loads batches in worker processes, ahead of need, and yields them in the sampler's order.

    Each worker has one connection; it answers its tasks in order, so the next batch is always the next
    message of a known worker, and a worker that died shows as the end of its connection."""

    def __init__(self, loader: Any) -> None:
        super().__init__(loader)
        self._workers = loader.num_workers
        self._prefetch = loader.prefetch_factor
        self._timeout = loader.timeout
        context = loader.multiprocessing_context or multiprocessing.get_context()
        iter(loader._index_sampler)  # a sampler that draws when asked does so before and after the seed, as in PyTorch
        base_seed = draw_seed(loader.generator)
        self._connections: list[Any] = []
        self._processes: list[Any] = []
        self._stop = weakref.finalize(self, _stop, os.getpid(), self._connections, self._processes)
        forked = context.get_start_method() == "fork"
        for i in range(self._workers):
            ours, theirs = context.Pipe(duplex=True)
            self._connections.append(ours)
            spec = _worker.Spec(
                dataset=loader.dataset,
                batched=loader._auto_collation,
                stream=loader._stream,
                collate_fn=loader.collate_fn,
                drop_last=loader.drop_last,
                init_fn=loader.worker_init_fn,
                worker_id=i,
                num_workers=self._workers,
                inline_limit=_PIPE_BYTES // self._prefetch,
                # A fork server is the parent of its processes, and ends with this one.
                parent_pid=None if context.get_start_method() == "forkserver" else os.getpid(),
            )
            inherited = list(self._connections) if forked else []
            process = context.Process(target=_worker.run, args=(spec, base_seed, theirs, inherited), daemon=True)
            process.start()
            theirs.close()
            self._processes.append(process)
        self._begin()

    def _begin(self) -> None:
        self._indices = iter(self._loader._index_sampler)
        self._sent = 0
        self._next = 0
        self._turn = 0
        self._tasks: dict[int, int] = {}  # number -> worker, of the tasks that have no answer yet
        self._ready: dict[int, Any] = {}  # answers that came before their turn
        self._active = [True] * self._workers
        for _ in range(self._prefetch * self._workers):
            self._give_task()

    def restart(self) -> None:
        """A new epoch on the same workers; what is left of the old one is read and dropped."""
        while self._tasks:
            worker = next(iter(self._tasks.values()))
            self._tasks.pop(self._receive(worker)[0])
        for worker, c in enumerate(self._connections):
            try:
                c.send((None, None))
            except (BrokenPipeError, ConnectionResetError):
                self._report_death(worker)
        self._num_yielded = 0
        self._begin()

    def _give_task(self) -> None:
        try:
            index = next(self._indices)
        except StopIteration:
            return
        for _ in range(self._workers):
            worker = self._turn
            self._turn = (worker + 1) % self._workers
            if self._active[worker]:
                break
        else:
            return
        try:
            self._connections[worker].send((self._sent, index))
        except (BrokenPipeError, ConnectionResetError):
            self._report_death(worker)
        self._tasks[self._sent] = worker
        self._sent += 1

    def _receive(self, worker: int) -> tuple[int, Any]:
        c = self._connections[worker]
        try:
            if self._timeout > 0 and not c.poll(self._timeout):
                self._stop()
                raise RuntimeError(f"DataLoader timed out after {self._timeout} seconds")
            return _transport.receive(c)
        except (EOFError, ConnectionResetError):
            return self._report_death(worker)

    def _report_death(self, worker: int) -> Any:
        process = self._processes[worker]
        process.join(timeout=1.0)
        code = process.exitcode
        self._stop()
        if code is not None and code < 0:
            raise RuntimeError(
                f"DataLoader worker (pid {process.pid}) is killed by signal: {signal.strsignal(-code) or -code}. "
            ) from None
        raise RuntimeError(
            f"DataLoader worker (pid(s) {process.pid}) exited unexpectedly with exit code {code}. Details are lost "
            "due to multiprocessing. Rerunning with num_workers=0 may give better error trace."
        ) from None

    def _answer(self) -> Any:
        """The next batch, in order if the loader asks for it; _END when there is no more."""
        while self._tasks or self._ready:
            if self._next in self._ready:
                answer = self._ready.pop(self._next)
                self._next += 1
                return answer
            if self._loader.in_order:
                worker = self._tasks.get(self._next)
                if worker is None:  # the task of a stream that had ended
                    self._next += 1
                    continue
            else:
                waiting = {self._connections[w]: w for w in set(self._tasks.values())}
                found = mp_connection.wait(list(waiting), self._timeout or None)
                worker = waiting[found[0]] if found else next(iter(waiting.values()))
            number, answer = self._receive(worker)
            del self._tasks[number]
            if isinstance(answer, _worker.EndOfStream):
                self._active[worker] = False
                self._give_task()
                continue
            if not self._loader.in_order:
                return answer
            self._ready[number] = answer
        return _END

    def _next_batch(self) -> Any:
        if not self._stop.alive:
            raise StopIteration
        answer = self._answer()
        if answer is _END:
            if not self._loader.persistent_workers:
                self._stop()
            raise StopIteration
        self._give_task()
        if isinstance(answer, _worker.Failure):
            answer.reraise()
        return answer
