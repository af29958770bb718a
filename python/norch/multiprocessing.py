"""Python's multiprocessing, with `spawn` to start several processes of one function.

Tensors in memory that processes share (`Tensor.share_memory_`, `Module.share_memory`) stay shared when they travel
through queues and pipes or are arguments of a process; of others the values arrive, as a copy."""

from __future__ import annotations

import multiprocessing as _mp
import signal
import sys
import time
import traceback
import warnings
from multiprocessing import *  # noqa: F403
from typing import Any, Callable

from norch._sharing import register as _register

__all__ = [
    *_mp.__all__,  # type: ignore[attr-defined]
    "ProcessContext",
    "ProcessException",
    "ProcessExitedException",
    "ProcessRaisedException",
    "SpawnContext",
    "get_all_sharing_strategies",
    "get_sharing_strategy",
    "set_sharing_strategy",
    "spawn",
    "start_processes",
]


_register()


class ProcessException(Exception):
    """A process that start_processes started has failed."""

    def __init__(self, msg: str, error_index: int, error_pid: int) -> None:
        super().__init__(msg)
        self.msg, self.error_index, self.pid = msg, error_index, error_pid


class ProcessRaisedException(ProcessException):
    """The process raised; the text holds its traceback."""


class ProcessExitedException(ProcessException):
    """The process ended with an exit code, or by a signal."""

    def __init__(self, msg: str, error_index: int, error_pid: int, exit_code: int, signal_name: str | None = None) -> None:
        super().__init__(msg, error_index, error_pid)
        self.exit_code, self.signal_name = exit_code, signal_name


def get_all_sharing_strategies() -> set[str]:
    """The names that set_sharing_strategy accepts."""
    return {"file_descriptor", "file_system"}


_strategy = "file_descriptor"


def set_sharing_strategy(new_strategy: str) -> None:
    """Accepts PyTorch's names: what tensors share between processes depends on `share_memory_`, whatever it says."""
    global _strategy
    if new_strategy not in get_all_sharing_strategies():
        raise AssertionError(f"unknown sharing strategy {new_strategy!r}")
    _strategy = new_strategy


def get_sharing_strategy() -> str:
    """What set_sharing_strategy was told last."""
    return _strategy


def _work(fn: Callable[..., Any], index: int, args: tuple, errors: Any) -> None:
    try:
        fn(index, *args)
    except KeyboardInterrupt:
        pass
    except Exception:
        errors.put(traceback.format_exc())
        sys.exit(1)


class ProcessContext:
    """The processes that start_processes started."""

    def __init__(self, processes: list, errors: list) -> None:
        self.processes, self._errors = processes, errors

    def pids(self) -> list[int]:
        """Their process ids."""
        return [int(p.pid) for p in self.processes]

    def join(self, timeout: float | None = None, grace_period: float | None = None) -> bool:
        """Waits until all have ended: True, or False after `timeout` seconds. When one fails the others are ended, and
        ProcessRaisedException or ProcessExitedException tells why."""
        end = None if timeout is None else time.monotonic() + timeout
        alive = list(self.processes)
        while alive:
            left = None if end is None else max(0.0, end - time.monotonic())
            done = _mp.connection.wait([p.sentinel for p in alive], left)
            for p in alive:
                if p.sentinel in done:
                    p.join()  # its pipe has closed; its exit code may take a moment
            alive = [p for p in alive if p.exitcode is None]
            failed = [i for i, p in enumerate(self.processes) if p.exitcode not in (None, 0)]
            if failed:
                self._fail(failed[0])
            if not done:
                return False
        return True

    def _fail(self, index: int) -> None:
        for p in self.processes:
            if p.is_alive():
                p.terminate()
        for p in self.processes:
            p.join()
        process = self.processes[index]
        if not self._errors[index].empty():
            text = self._errors[index].get()
            raise ProcessRaisedException(
                f"\n\n-- Process {index} terminated with the following error:\n{text}", index, process.pid
            )
        code = process.exitcode
        if code < 0:
            name = signal.Signals(-code).name
            raise ProcessExitedException(f"process {index} terminated with signal {name}", index, process.pid, code, name)
        raise ProcessExitedException(f"process {index} terminated with exit code {code}", index, process.pid, code)


SpawnContext = ProcessContext


def start_processes(
    fn: Callable[..., Any],
    args: tuple = (),
    nprocs: int = 1,
    join: bool = True,
    daemon: bool = False,
    start_method: str = "spawn",
) -> ProcessContext | None:
    """Starts `nprocs` processes that call fn(i, *args), i from 0. With `join` waits for them, and raises when one fails;
    else returns a ProcessContext."""
    context = _mp.get_context(start_method)
    processes, errors = [], []
    for i in range(nprocs):
        queue = context.SimpleQueue()
        process = context.Process(target=_work, args=(fn, i, args, queue), daemon=daemon)  # type: ignore[attr-defined]
        process.start()
        processes.append(process)
        errors.append(queue)
    started = ProcessContext(processes, errors)
    if not join:
        return started
    while not started.join():
        pass
    return None


def spawn(
    fn: Callable[..., Any],
    args: tuple = (),
    nprocs: int = 1,
    join: bool = True,
    daemon: bool = False,
    start_method: str = "spawn",
) -> ProcessContext | None:
    """start_processes by starting new interpreters: `fn` must be importable, a function of a module."""
    if start_method != "spawn":
        warnings.warn(
            f"This method only supports start_method=spawn (got: {start_method}).\n"
            "To use a different start_method use:\n\t\t torch.multiprocessing.start_processes(...)",
            FutureWarning,
            stacklevel=2,
        )
    return start_processes(fn, args, nprocs, join, daemon)
