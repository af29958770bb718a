"""Adamax."""

from __future__ import annotations

from typing import Any

from norch._C import Tensor, _optim, lerp, maximum, zeros_like

from ._fused import FusedOptimizer, decayed, new_number, put
from ._options import check_betas, check_lr, check_nonnegative, number

__all__ = ["Adamax"]


class Adamax(FusedOptimizer):
    """m = b1 m + (1 - b1) g; u = max(b2 u, |g| + eps); p -= lr / (1 - b1^t) * m / u."""

    def __init__(
        self,
        params: Any,
        lr: float | Tensor = 2e-3,
        betas: tuple[float, float] = (0.9, 0.999),
        eps: float = 1e-8,
        weight_decay: float = 0,
        foreach: bool | None = None,
        *,
        maximize: bool = False,
        differentiable: bool = False,
        capturable: bool = False,
    ) -> None:
        check_lr(lr)
        check_nonnegative("epsilon value", eps)
        check_betas(betas)
        check_nonnegative("weight_decay value", weight_decay)
        super().__init__(
            params,
            dict(
                lr=lr,
                betas=betas,
                eps=eps,
                weight_decay=weight_decay,
                foreach=foreach,
                maximize=maximize,
                differentiable=differentiable,
                capturable=capturable,
            ),
        )

    def _new_state(self, group: dict[str, Any], p: Tensor) -> dict[str, Tensor]:
        return {"step": new_number(group, p, 0.0), "exp_avg": zeros_like(p), "exp_inf": zeros_like(p)}

    def _fused_step(self, group: dict[str, Any], params: list[Tensor], grads: list[Tensor], states: list[dict]) -> None:
        beta1, beta2 = group["betas"]
        _optim.adamax_step(
            params,
            grads,
            [[s["exp_avg"] for s in states], [s["exp_inf"] for s in states]],
            [[s["step"] for s in states]],
            lr=number(group["lr"]),
            beta1=beta1,
            beta2=beta2,
            eps=group["eps"],
            weight_decay=group["weight_decay"],
            maximize=group["maximize"],
        )

    def _composed_step(self, group: dict[str, Any], p: Tensor, g: Tensor, state: dict[str, Tensor], step: Any) -> Tensor:
        beta1, beta2 = group["betas"]
        _, g = decayed(group, p, g)
        m = put(state, "exp_avg", lerp(state["exp_avg"], g, 1 - beta1))
        u = put(state, "exp_inf", maximum(state["exp_inf"] * beta2, g.abs() + group["eps"]))
        return p - group["lr"] / (1 - beta1**step) * m / u
