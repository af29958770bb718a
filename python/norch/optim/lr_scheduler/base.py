"""What the schedules share."""

from __future__ import annotations

import warnings
from typing import Any, Callable

from norch._C import Tensor

from ..optimizer import Optimizer, wrap_step

__all__ = ["EPOCH_DEPRECATION_WARNING", "LRScheduler", "per_group", "set_lr", "warn_outside_step"]

EPOCH_DEPRECATION_WARNING = (
    "The epoch parameter in `scheduler.step()` was not necessary and is being deprecated where possible. Please use "
    "`scheduler.step()` to step the scheduler. During the deprecation, if epoch is different from None, the closed form "
    "is used instead of the new chainable form, where available."
)


def set_lr(group: dict[str, Any], lr: Any) -> None:
    """Writes a group's learning rate; one that is a tensor keeps its identity."""
    if isinstance(group["lr"], Tensor):
        group["lr"].fill_(float(lr))
    else:
        group["lr"] = lr


def _lr_value(lr: Any) -> Any:
    return lr.clone() if isinstance(lr, Tensor) else lr


def per_group(name: str, optimizer: Optimizer, value: Any) -> list[Any]:
    """One value for each group, from one for all or a sequence of them."""
    if not isinstance(value, (list, tuple)):
        value = [value] * len(optimizer.param_groups)
    n = len(optimizer.param_groups)
    if len(value) != n:
        raise ValueError(
            f"{name} must have the same length as optimizer.param_groups. {name} has {len(value)} values, "
            f"param_groups has {n}."
        )
    return [_lr_value(v) for v in value]


def warn_outside_step(scheduler: LRScheduler) -> None:
    """Called in `get_lr`, whose result is the next rates only within a step."""
    if not scheduler._get_lr_called_within_step:
        warnings.warn(
            "To get the last learning rate computed by the scheduler, please use `get_last_lr()`.",
            UserWarning,
            stacklevel=3,
        )


def _note_step(optimizer: Any, step: Callable, *args: Any, **kwargs: Any) -> Any:
    optimizer._opt_called = True
    return step(*args, **kwargs)


class LRScheduler:
    """Base class: a subclass computes the groups' learning rates in `get_lr`, from `last_epoch` and the
    groups' present values. last_epoch: -1 to start, or where to resume."""

    _get_lr_called_within_step = False
    _is_initial = False

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
        if not hasattr(optimizer.step, "_wrapped_by_lr_sched"):
            wrap_step(optimizer, _note_step)
            optimizer.step._wrapped_by_lr_sched = True  # type: ignore[attr-defined]
        self._initial_step()

    def _initial_step(self) -> None:
        self._step_count = 0
        self._is_initial = True
        try:
            self.step()
        finally:
            self._is_initial = False

    def state_dict(self) -> dict[str, Any]:
        """All attributes except the optimizer."""
        return {k: v for k, v in self.__dict__.items() if k != "optimizer"}

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
        if self._step_count == 1:
            if not hasattr(self.optimizer.step, "_wrapped_by_lr_sched"):
                warnings.warn(
                    "Seems like `optimizer.step()` has been overridden after learning rate scheduler initialization. "
                    "Please, make sure to call `optimizer.step()` before `lr_scheduler.step()`.",
                    UserWarning,
                    stacklevel=2,
                )
            elif not getattr(self.optimizer, "_opt_called", False):
                warnings.warn(
                    "Detected call of `lr_scheduler.step()` before `optimizer.step()`. Call them in the opposite "
                    "order: `optimizer.step()` before `lr_scheduler.step()`. Otherwise the first value of the "
                    "learning rate schedule is skipped.",
                    UserWarning,
                    stacklevel=2,
                )
        self._step_count += 1
        if epoch is not None:
            warnings.warn(EPOCH_DEPRECATION_WARNING, UserWarning, stacklevel=2)
        self._update_lr(epoch)

    def _update_lr(self, epoch: int | None = None) -> None:
        self.last_epoch = self.last_epoch + 1 if epoch is None else epoch
        closed_form = getattr(self, "_get_closed_form_lr", None)
        if epoch is None or closed_form is None:
            self._set_lrs(self._within_step(self.get_lr))
        else:
            self._set_lrs(closed_form())

    def _within_step(self, get_lr: Callable[[], list[Any]]) -> list[Any]:
        self._get_lr_called_within_step = True
        try:
            return get_lr()
        finally:
            self._get_lr_called_within_step = False

    def _set_lrs(self, values: list[Any]) -> None:
        groups = self.optimizer.param_groups
        if len(values) != len(groups):
            raise ValueError(f"the scheduler has {len(values)} learning rates, the optimizer {len(groups)} groups")
        for group, lr in zip(groups, values):
            set_lr(group, lr)
        self._last_lr = self._current()

    def _current(self) -> list[Any]:
        return [_lr_value(group["lr"]) for group in self.optimizer.param_groups]
