"""What the schedules share."""

from __future__ import annotations

import warnings
from typing import Any, Callable

from norch._C import Tensor

from ..optimizer import Optimizer, wrap_step

__all__ = ["LRScheduler", "set_lr"]


def set_lr(group: dict[str, Any], lr: Any) -> None:
    """Writes a group's learning rate; one that is a tensor keeps its identity."""
    if isinstance(group["lr"], Tensor):
        group["lr"].fill_(float(lr))
    else:
        group["lr"] = lr


def _lr_value(lr: Any) -> Any:
    return lr.clone() if isinstance(lr, Tensor) else lr


def _note_step(optimizer: Any, step: Callable, *args: Any, **kwargs: Any) -> Any:
    optimizer._opt_called = True
    return step(*args, **kwargs)


class LRScheduler:
    """Base class: a subclass computes the groups' learning rates in `get_lr`, from `last_epoch` and the
    groups' present values. last_epoch: -1 to start, or where to resume."""

    def __init__(self, optimizer: Optimizer, last_epoch: int = -1) -> None:
        if not isinstance(optimizer, Optimizer):
            raise TypeError(f"{type(optimizer).__name__} is not an Optimizer")
        self.optimizer = optimizer
        for i, group in enumerate(optimizer.param_groups):
            if last_epoch == -1:
                group.setdefault("initial_lr", _lr_value(group["lr"]))
            elif "initial_lr" not in group:
                raise KeyError(
                    f"param 'initial_lr' is not specified in param_groups[{i}] when resuming scheduler with "
                    "last_epoch >= 0. Load the optimizer's state first, or start with last_epoch=-1."
                )
        self.base_lrs = [_lr_value(g["initial_lr"]) for g in optimizer.param_groups]
        self.last_epoch = last_epoch
        if not hasattr(optimizer, "_opt_called"):
            optimizer._opt_called = False  # type: ignore[attr-defined]
            wrap_step(optimizer, _note_step)
        self._initial_step()

    def _initial_step(self) -> None:
        self._step_count = 0
        self._is_initial = True
        self.step()
        self._is_initial = False

    def state_dict(self) -> dict[str, Any]:
        """All attributes except the optimizer."""
        return {k: v for k, v in self.__dict__.items() if k not in ("optimizer", "_is_initial")}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Takes over what `state_dict` returned."""
        self.__dict__.update(state_dict)

    def get_last_lr(self) -> list[Any]:
        """The groups' learning rates after the last `step`."""
        return self._last_lr

    def get_lr(self) -> list[Any]:
        """The groups' next learning rates; subclasses define it."""
        raise NotImplementedError

    def step(self, epoch: int | None = None) -> None:
        """Advances by one epoch (or to `epoch`) and sets the learning rates."""
        if self._step_count == 1 and not getattr(self.optimizer, "_opt_called", True):
            warnings.warn(
                "Detected call of `lr_scheduler.step()` before `optimizer.step()`. Call them in the opposite "
                "order: `optimizer.step()` before `lr_scheduler.step()`. Otherwise the first value of the "
                "learning rate schedule is skipped.",
                stacklevel=2,
            )
        self._step_count += 1
        self._update_lr(epoch)

    def _update_lr(self, epoch: int | None = None) -> None:
        self.last_epoch = self.last_epoch + 1 if epoch is None else epoch
        closed_form = getattr(self, "_get_closed_form_lr", None)
        values = self.get_lr() if epoch is None or closed_form is None else closed_form()
        groups = self.optimizer.param_groups
        if len(values) != len(groups):
            raise ValueError(f"the scheduler has {len(values)} learning rates, the optimizer {len(groups)} groups")
        for group, lr in zip(groups, values):
            set_lr(group, lr)
        self._last_lr = self._current()

    def _current(self) -> list[Any]:
        return [_lr_value(group["lr"]) for group in self.optimizer.param_groups]
