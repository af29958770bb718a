"""Adadelta."""

from __future__ import annotations

from typing import Any

from norch._C import Tensor, _optim

from ._fused import decayed, put
from ._options import check_lr, check_nonnegative, number
from ._rule import RuleOptimizer

__all__ = ["Adadelta"]


class Adadelta(RuleOptimizer):
    """v = rho v + (1 - rho) g^2; d = sqrt(a + eps) / sqrt(v + eps) * g; a = rho a + (1 - rho) d^2; p -= lr * d."""

    _rule = staticmethod(_optim.adadelta_step)
    _averages = ("square_avg", "acc_delta")

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

    def _rule_options(self, group: dict[str, Any]) -> dict[str, Any]:
        return dict(lr=number(group["lr"]), rho=group["rho"], eps=group["eps"], weight_decay=group["weight_decay"])

    def _composed_step(self, group: dict[str, Any], p: Tensor, g: Tensor, state: dict[str, Tensor], step: Any) -> Tensor:
        rho, eps = group["rho"], group["eps"]
        _, g = decayed(group, p, g)
        v = put(state, "square_avg", rho * state["square_avg"] + (1 - rho) * g * g)
        delta = (state["acc_delta"] + eps).sqrt() / (v + eps).sqrt() * g
        put(state, "acc_delta", rho * state["acc_delta"] + (1 - rho) * delta * delta)
        return p - group["lr"] * delta
