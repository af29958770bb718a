"""torch.futures: results that may come later. norch runs what is asked for at once, in the calling thread, so that the
futures of jit.fork are done when they are made."""

from __future__ import annotations

import threading
from typing import Any, Callable, Generic, Iterable, TypeVar

__all__ = ["Future", "collect_all", "wait_all"]

T = TypeVar("T")


class Future(Generic[T]):
    """A place for a result that set_result or set_exception fills once, and for which wait() waits.

        >>> future = norch.futures.Future()
        >>> doubled = future.then(lambda f: f.value() * 2)
        >>> future.set_result(21)
        >>> doubled.wait()
        42"""

    def __init__(self, *, devices: Any = None) -> None:
        self._done = threading.Event()
        self._lock = threading.Lock()
        self._result: Any = None
        self._exception: BaseException | None = None
        self._callbacks: list[Callable[[Future], Any]] = []

    def done(self) -> bool:
        """Whether there is a result or an exception."""
        return self._done.is_set()

    def wait(self) -> T:
        """Waits for the result; raises the exception if there is one."""
        self._done.wait()
        return self._get()

    def value(self) -> T:
        """The result, which must be there. Raises RuntimeError if it is not, and the exception if there is one."""
        if not self.done():
            raise RuntimeError("Future.value: the future has no result yet; wait() waits for it")
        return self._get()

    def _get(self) -> T:
        if self._exception is not None:
            raise self._exception
        return self._result

    def _finish(self, result: Any, exception: BaseException | None) -> None:
        with self._lock:
            if self.done():
                raise RuntimeError("Future: the result is set already; it can be set once")
            self._result, self._exception = result, exception
            self._done.set()
            callbacks, self._callbacks = self._callbacks, []
        for callback in callbacks:
            callback(self)

    def set_result(self, result: T) -> None:
        """Sets the result, and calls what waits for it."""
        self._finish(result, None)

    def set_exception(self, result: BaseException) -> None:
        """Sets an exception, which wait() raises."""
        if not isinstance(result, Exception):
            raise AssertionError(f"{result} is of type {type(result)}, not an Exception.")
        self._finish(None, result)

    def add_done_callback(self, callback: Callable[[Future], Any]) -> None:
        """Calls callback(self) when the future is done, or now if it is."""
        with self._lock:
            if not self.done():
                self._callbacks.append(callback)
                return
        callback(self)

    def then(self, callback: Callable[[Future], Any]) -> Future:
        """A future of callback(self), which is called when this one is done."""
        following: Future = Future()

        def run(done: Future) -> None:
            try:
                result = callback(done)
            except Exception as e:
                following.set_exception(e)
            else:
                following.set_result(result)

        self.add_done_callback(run)
        return following


def collect_all(futures: list[Future]) -> Future[list[Future]]:
    """A future of the list, done when all in it are."""
    collected: Future[list[Future]] = Future()
    left = len(futures)
    lock = threading.Lock()

    def count(_: Future) -> None:
        nonlocal left
        with lock:
            left -= 1
            last = left == 0
        if last:
            collected.set_result(futures)

    if not futures:
        collected.set_result(futures)
    for future in futures:
        future.add_done_callback(count)
    return collected


def wait_all(futures: Iterable[Future]) -> list:
    """The results of all; raises the first exception.

        >>> norch.futures.wait_all([norch.jit.fork(norch.add, norch.ones(1), 1)])
        [tensor([2.])]"""
    return [future.wait() for future in futures]
