"""RMSprop."""

from __future__ import annotations

from typing import Any

from norch._C import Tensor, _optim, lerp, zeros_like

from ._fused import FusedOptimizer, decayed, new_number, put
from ._options import check_lr, check_nonnegative, number

__all__ = ["RMSprop"]


class RMSprop(FusedOptimizer):
    """v = alpha v + (1 - alpha) g^2 (centered: less the square of the mean of g); p -= lr * g / (sqrt(v) + eps),
    through a momentum buffer if momentum > 0."""

    def __init__(
        self,
        params: Any,
        lr: float | Tensor = 1e-2,
        alpha: float = 0.99,
        eps: float = 1e-8,
        weight_decay: float = 0,
        momentum: float = 0,
        centered: bool = False,
        capturable: bool = False,
        foreach: bool | None = None,
        maximize: bool = False,
        differentiable: bool = False,
    ) -> None:
        check_lr(lr)
        check_nonnegative("epsilon value", eps)
        check_nonnegative("momentum value", momentum)
        check_nonnegative("weight_decay value", weight_decay)
        check_nonnegative("alpha value", alpha)
        super().__init__(
            params,
            dict(
                lr=lr,
                momentum=momentum,
                alpha=alpha,
                eps=eps,
                centered=centered,
                weight_decay=weight_decay,
                capturable=capturable,
                foreach=foreach,
                maximize=maximize,
                differentiable=differentiable,
            ),
        )

    def _new_state(self, group: dict[str, Any], p: Tensor) -> dict[str, Tensor]:
        state = {"step": new_number(group, p, 0.0), "square_avg": zeros_like(p)}
        if group["momentum"] > 0:
            state["momentum_buffer"] = zeros_like(p)
        if group["centered"]:
            state["grad_avg"] = zeros_like(p)
        return state

    def _fused_step(self, group: dict[str, Any], params: list[Tensor], grads: list[Tensor], states: list[dict]) -> None:
        momentum, centered = group["momentum"], group["centered"]
        _optim.rmsprop_step(
            params,
            grads,
            [s["square_avg"] for s in states],
            [s["grad_avg"] for s in states] if centered else [],
            [s["momentum_buffer"] for s in states] if momentum > 0 else [],
            lr=number(group["lr"]),
            alpha=group["alpha"],
            eps=group["eps"],
            weight_decay=group["weight_decay"],
            momentum=momentum,
            centered=centered,
            maximize=group["maximize"],
        )
        _optim.count_step([s["step"] for s in states])

    def _composed_step(self, group: dict[str, Any], p: Tensor, g: Tensor, state: dict[str, Tensor], step: Any) -> Tensor:
        lr, alpha, momentum = group["lr"], group["alpha"], group["momentum"]
        _, g = decayed(group, p, g)
        v = put(state, "square_avg", alpha * state["square_avg"] + (1 - alpha) * g * g)
        if group["centered"]:
            mean = put(state, "grad_avg", lerp(state["grad_avg"], g, 1 - alpha))
            v = v - mean * mean
        update = g / (v.sqrt() + group["eps"])
        if momentum > 0:
            update = put(state, "momentum_buffer", momentum * state["momentum_buffer"] + update)
        return p - lr * update
