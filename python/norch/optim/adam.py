"""Adam and AdamW."""

from __future__ import annotations

from typing import Any, Callable, Iterable

from norch._C import Tensor, _optim, float32, full, zeros_like
from norch._C._cuda import is_current_stream_capturing

from .optimizer import Optimizer, check_nonnegative, check_one_way, number

__all__ = ["Adam", "AdamW"]


class Adam(Optimizer):
    """m = b1 m + (1 - b1) g; v = b2 v + (1 - b2) g^2; p -= lr * (m / (1 - b1^t)) / (sqrt(v / (1 - b2^t)) + eps).

    With `capturable` the steps are counted on the parameters' device, so that a CUDA graph can hold a step.

    weight_decay adds weight_decay * p to g; with `decoupled_weight_decay` p shrinks by lr * weight_decay
    instead. amsgrad takes the maximum of all v so far."""

    def __init__(
        self,
        params: Any,
        lr: float = 1e-3,
        betas: tuple[float, float] = (0.9, 0.999),
        eps: float = 1e-8,
        weight_decay: float = 0,
        amsgrad: bool = False,
        *,
        foreach: bool | None = None,
        maximize: bool = False,
        capturable: bool = False,
        differentiable: bool = False,
        fused: bool | None = None,
        decoupled_weight_decay: bool = False,
    ) -> None:
        check_nonnegative("learning rate", lr)
        check_nonnegative("epsilon value", eps)
        check_one_way(foreach, fused)
        if len(betas) != 2:
            raise ValueError(f"betas must be two numbers, but got {betas}")
        for i, beta in enumerate(betas):
            if not 0.0 <= beta < 1.0:
                raise ValueError(f"Invalid beta parameter at index {i}: {beta}")
        check_nonnegative("weight_decay value", weight_decay)
        super().__init__(
            params,
            dict(
                lr=lr,
                betas=betas,
                eps=eps,
                weight_decay=weight_decay,
                amsgrad=amsgrad,
                maximize=maximize,
                foreach=foreach,
                capturable=capturable,
                differentiable=differentiable,
                fused=fused,
                decoupled_weight_decay=decoupled_weight_decay,
            ),
        )

    def step(self, closure: Callable[[], Any] | None = None) -> Any:
        """One update of all parameters that have a gradient."""
        loss = self._evaluate(closure)
        for group in self.param_groups:
            amsgrad = group["amsgrad"]

            def new_state(p: Tensor, amsgrad: bool = amsgrad) -> dict[str, Any]:
                state = {"step": 0.0, "exp_avg": zeros_like(p), "exp_avg_sq": zeros_like(p)}
                if amsgrad:
                    state["max_exp_avg_sq"] = zeros_like(p)
                return state

            beta1, beta2 = group["betas"]
            parts: Iterable[tuple[list[Tensor], list[Tensor], list[dict], Any]]
            if group["capturable"]:
                parts = self._states_with_counts(group, new_state)
            elif is_current_stream_capturing():
                raise RuntimeError(
                    "Attempting CUDA graph capture of step() for an instance of Adam but its capturable is False: each "
                    "replay would take the same step number; make the optimizer with capturable=True"
                )
            else:
                parts = self._states_by_step(group, new_state)
            step: Any  # a number, or a list of tensors
            for params, grads, states, step in parts:
                if not params:
                    continue
                _optim.adam_step(
                    params,
                    grads,
                    [s["exp_avg"] for s in states],
                    [s["exp_avg_sq"] for s in states],
                    [s["max_exp_avg_sq"] for s in states] if amsgrad else [],
                    step=step if group["capturable"] else int(step),
                    lr=number(group["lr"]),
                    beta1=number(beta1),
                    beta2=number(beta2),
                    eps=group["eps"],
                    weight_decay=group["weight_decay"],
                    amsgrad=amsgrad,
                    maximize=group["maximize"],
                    decoupled=group["decoupled_weight_decay"],
                )
        return loss


    def _states_with_counts(
        self, group: dict[str, Any], new_state: Callable[[Tensor], dict]
    ) -> Iterable[tuple[list[Tensor], list[Tensor], list[dict], list[Tensor]]]:
        """(params, grads, states, steps) of the group, with step counts that are tensors beside their parameters."""
        params, grads = self._with_grads(group)
        states = [self.state[p] for p in params]
        self._make_states(params, states, new_state)
        for p, s in zip(params, states):
            if not isinstance(s["step"], Tensor):
                s["step"] = full((), s["step"], dtype=float32, device=p.device)
        return ((params, grads, states, [s["step"] for s in states]),)


class AdamW(Adam):
    """Adam with decoupled weight decay: p shrinks by lr * weight_decay in every step."""

    def __init__(
        self,
        params: Any,
        lr: float = 1e-3,
        betas: tuple[float, float] = (0.9, 0.999),
        eps: float = 1e-8,
        weight_decay: float = 1e-2,
        amsgrad: bool = False,
        *,
        maximize: bool = False,
        foreach: bool | None = None,
        capturable: bool = False,
        differentiable: bool = False,
        fused: bool | None = None,
    ) -> None:
        super().__init__(
            params,
            lr,
            betas,
            eps,
            weight_decay,
            amsgrad,
            foreach=foreach,
            maximize=maximize,
            capturable=capturable,
            differentiable=differentiable,
            fused=fused,
            decoupled_weight_decay=True,
        )
