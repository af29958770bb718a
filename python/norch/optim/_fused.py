"""`FusedOptimizer`: what the elementwise optimizers share.

A step is one call into C++ per group. Where autograd is to record it (`differentiable`), or the step count
lives on the GPU (`capturable`) and the kernel does not read it there, the same formula runs as operations
on one parameter after the other.
"""

from __future__ import annotations

from typing import Any, Callable

from norch._C import Tensor, _optim, float32, float64, full, get_default_dtype, view_as_real
from norch._C._cuda import is_current_stream_capturing
from norch.autograd import set_grad_enabled

from .optimizer import Optimizer

__all__ = ["FusedOptimizer", "check_fused_dtype", "decayed", "new_number", "put"]


def new_number(group: dict[str, Any], p: Tensor, value: float) -> Tensor:
    """A number of p's state: on the CPU, or on p's device for groups that are `capturable` or `fused`."""
    fused = group.get("fused")
    dtype = float64 if get_default_dtype() == float64 and not fused else float32
    return full((), value, dtype=dtype, device=p.device if fused or group.get("capturable") else "cpu")


def put(state: dict[str, Tensor], key: str, value: Tensor) -> Tensor:
    """Sets the entry, and returns `value`."""
    state[key] = value
    return value


def decayed(group: dict[str, Any], p: Tensor, g: Tensor) -> tuple[Tensor, Tensor]:
    """p and g after the group's weight decay."""
    weight_decay = group["weight_decay"]
    if isinstance(weight_decay, Tensor) or weight_decay != 0:
        if group.get("decoupled_weight_decay"):
            p = p * (1 - group["lr"] * weight_decay)
        else:
            g = g + weight_decay * p
    return p, g


def check_fused_dtype(group: dict[str, Any], p: Tensor) -> None:
    """RuntimeError for a parameter that a group with `fused=True` cannot have."""
    if group.get("fused") and not p.is_floating_point():
        raise RuntimeError(
            "`fused=True` requires all the params to be floating point Tensors of supported devices: ['cpu', 'cuda'] "
            f"but {p.dtype} and {p.device.type}"
        )


class FusedOptimizer(Optimizer):
    """A subclass defines `_new_state`, `_fused_step` and `_composed_step`."""

    _reads_numbers_on_gpu = False

    def _new_state(self, group: dict[str, Any], p: Tensor) -> dict[str, Tensor]:
        """The state of a parameter that takes its first step."""
        raise NotImplementedError

    def _fused_step(self, group: dict[str, Any], params: list[Tensor], grads: list[Tensor], states: list[dict]) -> None:
        """The step of all `params`, in C++."""
        raise NotImplementedError

    def _composed_step(self, group: dict[str, Any], p: Tensor, g: Tensor, state: dict[str, Tensor], step: Any) -> Tensor:
        """The new value of p, whose gradient (negated for `maximize`) is g; real numbers all. New state is `put`."""
        raise NotImplementedError

    def step(self, closure: Callable[[], Any] | None = None) -> Any:
        """One update of all parameters that have a gradient; returns what `closure` returned."""
        loss = self._evaluate(closure)
        for group in self.param_groups:
            params, grads = self._with_grads(group)
            if params:
                self._step_group(group, params, grads)
        return loss

    def _step_group(self, group: dict[str, Any], params: list[Tensor], grads: list[Tensor]) -> None:
        all_states = self.state
        states = [all_states[p] for p in params]
        if not all(states):
            for p, state in zip(params, states):
                if not state:
                    if "capturable" in group and not group.get("fused"):
                        self._check_capturable(group, p)
                    self._check_not_capturing(p)
                    check_fused_dtype(group, p)
                    state.update(self._new_state(group, p))
        if group.get("differentiable") or self._composes(states):
            self._compose_all(group, params, grads, states)
        else:
            self._fused_step(group, params, grads, states)

    def _composes(self, states: list[dict]) -> bool:
        return not self._reads_numbers_on_gpu and states[0]["step"].is_cuda

    def _check_capturable(self, group: dict[str, Any], p: Tensor) -> None:
        """Called where steps are counted on the CPU. RuntimeError in the capture of a CUDA graph, unless `capturable`."""
        if not group.get("capturable") and p.is_cuda and is_current_stream_capturing():
            raise RuntimeError(
                f"Attempting CUDA graph capture of step() for an instance of {type(self).__name__} but its capturable "
                "is False: each replay would take the same step number; make the optimizer with capturable=True"
            )

    def _compose_all(self, group: dict[str, Any], params: list[Tensor], grads: list[Tensor], states: list[dict]) -> None:
        capturable = group.get("capturable")
        self._check_capturable(group, params[0])
        _optim.count_step([s["step"] for s in states])
        differentiable = bool(group.get("differentiable"))
        with set_grad_enabled(differentiable):
            for p, g, state in zip(params, grads, states):
                step = state["step"] if capturable else state["step"].item()
                if p.is_complex():
                    p, g = view_as_real(p), view_as_real(g)
                    state = {k: view_as_real(v) if v.is_complex() else v for k, v in state.items()}
                # What autograd saves is not written to.
                old = {k: v.clone() for k, v in state.items()} if differentiable else state
                new = dict(old)
                value = self._composed_step(group, p, -g if group["maximize"] else g, new, step)
                for key, entry in new.items():
                    if entry is not old[key]:
                        state[key].copy_(entry)
                p.copy_(value)

    def __setstate__(self, state: dict[str, Any]) -> None:
        super().__setstate__(state)
        for group in self.param_groups:
            for p in group["params"]:
                own = self.state.get(p)
                for name in self._numbers if own else ():
                    if isinstance(own.get(name), (int, float)):  # as old checkpoints have it
                        own[name] = new_number(group, p, float(own[name]))
