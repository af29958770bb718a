"""Averages of a model's parameters over training: stochastic weight averaging (SWA) and exponential moving
averages (EMA)."""

from __future__ import annotations

import itertools
import math
from copy import deepcopy
from typing import Any, Callable, Iterable, Sequence

from norch._C import Tensor, int64, tensor
from norch.autograd import no_grad
from norch.nn.modules.module import Module

from .lr_scheduler.base import LRScheduler, per_group, warn_outside_step
from .optimizer import Optimizer

__all__ = [
    "AveragedModel",
    "SWALR",
    "get_ema_avg_fn",
    "get_ema_multi_avg_fn",
    "get_swa_avg_fn",
    "get_swa_multi_avg_fn",
    "update_bn",
]

Tensors = Sequence[Tensor]


def _check_decay(decay: float) -> None:
    if not 0.0 <= decay <= 1.0:
        raise ValueError(f"Invalid decay value {decay} provided. Please provide a value in [0,1] range.")


def _inexact(x: Tensor) -> bool:
    return x.is_floating_point() or x.is_complex()


def get_ema_multi_avg_fn(decay: float = 0.999) -> Callable[[Tensors, Tensors, Any], None]:
    """The function (averages, values, count) that writes decay * average + (1 - decay) * value into the averages."""
    _check_decay(decay)

    def ema_update(averages: Tensors, values: Tensors, _: Any) -> None:
        with no_grad():
            for average, value in zip(averages, values):
                if _inexact(average):
                    average.lerp_(value, 1 - decay)
                else:
                    average.copy_(average * decay + value * (1 - decay))

    return ema_update


def get_swa_multi_avg_fn() -> Callable[[Tensors, Tensors, Any], None]:
    """The function (averages, values, count) that takes the values into the averages of `count` others."""

    def swa_update(averages: Tensors, values: Tensors, num_averaged: Any) -> None:
        with no_grad():
            weight = 1 / (int(num_averaged) + 1)
            for average, value in zip(averages, values):
                if _inexact(average):
                    average.lerp_(value, weight)
                else:
                    average.copy_(average + (value - average) * weight)

    return swa_update


def get_ema_avg_fn(decay: float = 0.999) -> Callable[[Tensor, Tensor, Any], Tensor]:
    """The function (average, value, count) -> decay * average + (1 - decay) * value."""
    _check_decay(decay)

    def ema_update(average: Tensor, value: Tensor, _: Any) -> Tensor:
        with no_grad():
            return decay * average + (1 - decay) * value

    return ema_update


def get_swa_avg_fn() -> Callable[[Tensor, Tensor, Any], Tensor]:
    """The function (average, value, count) -> average + (value - average) / (count + 1)."""

    def swa_update(average: Tensor, value: Tensor, num_averaged: Any) -> Tensor:
        with no_grad():
            return average + (value - average) / (num_averaged + 1)

    return swa_update


class AveragedModel(Module):
    """A copy of `model` (its submodule `module`) whose parameters are averages: `update_parameters(model)` takes the
    present ones in. The first call copies them.

    device: where the averages are kept. avg_fn(average, value, count) -> average, or
    multi_avg_fn(averages, values, count), which writes: how to average (default: all equally).
    use_buffers: buffers are averaged too, instead of copied.

    >>> model = norch.nn.Linear(1, 1)
    >>> averaged = norch.optim.swa_utils.AveragedModel(model)
    >>> for value in (1.0, 3.0):
    ...     _ = norch.nn.init.constant_(model.weight, value)
    ...     averaged.update_parameters(model)
    >>> averaged.module.weight.item()
    2.0"""

    n_averaged: Tensor

    def __init__(
        self,
        model: Module,
        device: Any = None,
        avg_fn: Callable[[Tensor, Tensor, Any], Tensor] | None = None,
        multi_avg_fn: Callable[[Tensors, Tensors, Any], None] | None = None,
        use_buffers: bool = False,
    ) -> None:
        super().__init__()
        if avg_fn is not None and multi_avg_fn is not None:
            raise AssertionError("Only one of avg_fn and multi_avg_fn should be provided")
        self.module = deepcopy(model)
        if device is not None:
            self.module = self.module.to(device)
        self.register_buffer("n_averaged", tensor(0, dtype=int64, device=device))
        self.avg_fn = avg_fn
        self.multi_avg_fn = multi_avg_fn
        self.use_buffers = use_buffers

    def forward(self, *args: Any, **kwargs: Any) -> Any:
        return self.module(*args, **kwargs)

    def update_parameters(self, model: Module) -> None:
        """Takes the parameters of `model` into the averages."""
        if self.use_buffers:
            own: Iterable[Tensor] = itertools.chain(self.module.parameters(), self.module.buffers())
            others: Iterable[Tensor] = itertools.chain(model.parameters(), model.buffers())
        else:
            own, others = self.module.parameters(), model.parameters()
        averages = [a.detach() for a in own]
        values = [v.detach().to(a.device) for a, v in zip(averages, others)]
        with no_grad():
            if self.n_averaged == 0:
                for average, value in zip(averages, values):
                    average.copy_(value)
            elif self.avg_fn is not None:
                for average, value in zip(averages, values):
                    average.copy_(self.avg_fn(average, value, self.n_averaged.to(average.device)))
            else:
                average_all = self.multi_avg_fn or get_swa_multi_avg_fn()
                for kind in dict.fromkeys((a.device, a.dtype) for a in averages):
                    pairs = [(a, v) for a, v in zip(averages, values) if (a.device, a.dtype) == kind]
                    average_all([a for a, _ in pairs], [v for _, v in pairs], self.n_averaged.to(kind[0]))
            if not self.use_buffers:
                for mine, other in zip(self.module.buffers(), model.buffers()):
                    mine.copy_(other)
            self.n_averaged += 1


def update_bn(loader: Iterable[Any], model: Module, device: Any = None) -> None:
    """Computes the running statistics of the model's batch normalisations anew, in one pass over `loader`, whose
    batches are tensors or sequences that begin with one."""
    from norch.nn.modules.batchnorm import _BatchNorm

    momenta: dict[Any, Any] = {}
    for module in model.modules():
        if isinstance(module, _BatchNorm):
            module.reset_running_stats()
            momenta[module] = module.momentum
    if not momenta:
        return
    was_training = model.training
    model.train()
    for module in momenta:
        module.momentum = None  # a plain average
    with no_grad():
        for batch in loader:
            if isinstance(batch, (list, tuple)):
                batch = batch[0]
            model(batch if device is None else batch.to(device))
    for module, momentum in momenta.items():
        module.momentum = momentum
    model.train(was_training)


class SWALR(LRScheduler):
    """Anneals each group's rate to `swa_lr` in `anneal_epochs` epochs, along a cosine or a line, then keeps it."""

    def __init__(
        self,
        optimizer: Optimizer,
        swa_lr: float | list[float],
        anneal_epochs: int = 10,
        anneal_strategy: str = "cos",
        last_epoch: int = -1,
    ) -> None:
        for value, group in zip(per_group("swa_lr", optimizer, swa_lr), optimizer.param_groups):
            group["swa_lr"] = value
        if anneal_strategy not in ("cos", "linear"):
            raise ValueError(f"anneal_strategy must be one of 'cos' or 'linear', instead got {anneal_strategy}")
        if not isinstance(anneal_epochs, int) or anneal_epochs < 0:
            raise ValueError(f"anneal_epochs must be equal or greater than 0, got {anneal_epochs}")
        self._anneal_strategy = anneal_strategy
        self.anneal_epochs = anneal_epochs
        super().__init__(optimizer, last_epoch)

    def anneal_func(self, t: float) -> float:
        """How far the rates have come at the part t of the way."""
        return (1 - math.cos(math.pi * t)) / 2 if self._anneal_strategy == "cos" else t

    def get_lr(self) -> list[Any]:
        warn_outside_step(self)
        step = self._step_count - 1
        if self.anneal_epochs == 0:
            step = max(1, step)
        length = max(1, self.anneal_epochs)
        before = self.anneal_func(max(0, min(1, (step - 1) / length)))
        now = self.anneal_func(max(0, min(1, step / length)))
        lrs = []
        for group in self.optimizer.param_groups:
            lr, end = group["lr"], group["swa_lr"]
            start = end if before == 1 else (lr - before * end) / (1 - before)
            lrs.append(end * now + start * (1 - now))
        return lrs
