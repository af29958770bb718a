"""Adadelta."""

from __future__ import annotations

from typing import Any

from norch._C import Tensor, _optim, zeros_like

from ._fused import FusedOptimizer, decayed, new_number, put
from ._options import check_lr, check_nonnegative, number

__all__ = ["Adadelta"]


class Adadelta(FusedOptimizer):
    """v = rho v + (1 - rho) g^2; d = sqrt(a + eps) / sqrt(v + eps) * g; a = rho a + (1 - rho) d^2; p -= lr * d."""

    def __init__(
        self,
        params: Any,
        lr: float | Tensor = 1.0,
        rho: float = 0.9,
        eps: float = 1e-6,
        weight_decay: float = 0,
        foreach: bool | None = None,
        *,
        capturable: bool = False,
        maximize: bool = False,
        differentiable: bool = False,
    ) -> None:
        check_lr(lr)
        if not 0.0 <= rho <= 1.0:
            raise ValueError(f"Invalid rho value: {rho}")
        check_nonnegative("epsilon value", eps)
        check_nonnegative("weight_decay value", weight_decay)
        super().__init__(
            params,
            dict(
                lr=lr,
                rho=rho,
                eps=eps,
                weight_decay=weight_decay,
                maximize=maximize,
                capturable=capturable,
                foreach=foreach,
                differentiable=differentiable,
            ),
        )

    def _new_state(self, group: dict[str, Any], p: Tensor) -> dict[str, Tensor]:
        return {"step": new_number(group, p, 0.0), "square_avg": zeros_like(p), "acc_delta": zeros_like(p)}

    def _fused_step(self, group: dict[str, Any], params: list[Tensor], grads: list[Tensor], states: list[dict]) -> None:
        _optim.adadelta_step(
            params,
            grads,
            [[s["square_avg"] for s in states], [s["acc_delta"] for s in states]],
            [[s["step"] for s in states]],
            lr=number(group["lr"]),
            rho=group["rho"],
            eps=group["eps"],
            weight_decay=group["weight_decay"],
            maximize=group["maximize"],
        )

    def _composed_step(self, group: dict[str, Any], p: Tensor, g: Tensor, state: dict[str, Tensor], step: Any) -> Tensor:
        rho, eps = group["rho"], group["eps"]
        _, g = decayed(group, p, g)
        v = put(state, "square_avg", rho * state["square_avg"] + (1 - rho) * g * g)
        delta = (state["acc_delta"] + eps).sqrt() / (v + eps).sqrt() * g
        put(state, "acc_delta", rho * state["acc_delta"] + (1 - rho) * delta * delta)
        return p - group["lr"] * delta
