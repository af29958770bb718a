"""The state of the random numbers of GPUs: norch has one generator, which serves every device."""

from __future__ import annotations

from typing import Any, Sequence

import norch
from norch._C import initial_seed, manual_seed, seed

__all__ = [
    "get_rng_state",
    "get_rng_state_all",
    "initial_seed",
    "manual_seed",
    "manual_seed_all",
    "seed",
    "seed_all",
    "set_rng_state",
    "set_rng_state_all",
]

manual_seed_all, seed_all = manual_seed, seed


def get_rng_state(device: Any = "cuda") -> norch.Tensor:
    """The state of the generator, which is the CPU's too."""
    return norch.get_rng_state()


def get_rng_state_all() -> list[norch.Tensor]:
    """The state, once per GPU."""
    return [norch.get_rng_state() for _ in range(norch.cuda.device_count())]


def set_rng_state(new_state: norch.Tensor, device: Any = "cuda") -> None:
    """Puts the generator into a state that get_rng_state returned."""
    norch.set_rng_state(new_state)


def set_rng_state_all(new_states: Sequence[norch.Tensor]) -> None:
    """set_rng_state of the last state, since there is one generator; an empty sequence changes nothing."""
    if new_states:
        norch.set_rng_state(new_states[-1])
