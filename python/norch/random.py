"""The default generator, as in PyTorch's `torch.random`."""

from __future__ import annotations

import contextlib
from typing import Any, Iterator

from norch._C import (
    default_generator,
    get_rng_state,
    initial_seed,
    manual_seed,
    seed,
    set_rng_state,
)

from norch._C import _random

__all__ = [
    "default_generator",
    "fork_rng",
    "get_rng_state",
    "initial_seed",
    "manual_seed",
    "seed",
    "set_rng_state",
    "use_pytorch_stream",
    "uses_pytorch_stream",
]


def use_pytorch_stream(enabled: bool = True) -> None:
    """Whether what is drawn on the CPU are PyTorch's numbers, bit for bit: those of its Mersenne twister, read in its
    ways. It holds for the default generator, which starts anew from its seed, and for every `Generator` made from now
    on. Numbers are then drawn on one thread, and GPUs, which stay with norch's own generator, draw others than the CPU.
    `norch.compat` calls it.

    >>> norch.random.use_pytorch_stream()
    >>> norch.manual_seed(0).initial_seed(), norch.randperm(5).tolist()
    (0, [4, 0, 1, 3, 2])
    >>> norch.random.use_pytorch_stream(False)
    """
    _random.use_pytorch_stream(bool(enabled))


def uses_pytorch_stream() -> bool:
    """Whether `use_pytorch_stream` is on."""
    return _random.uses_pytorch_stream()


@contextlib.contextmanager
def fork_rng(
    devices: Any = None,
    enabled: bool = True,
    _caller: str = "fork_rng",
    _devices_kw: str = "devices",
    device_type: str = "cuda",
) -> Iterator[None]:
    """What is drawn inside does not change what is drawn after it. `devices` and `device_type` are accepted: there is
    one generator for all devices."""
    if not enabled:
        yield
        return
    state = get_rng_state()
    try:
        yield
    finally:
        set_rng_state(state)
