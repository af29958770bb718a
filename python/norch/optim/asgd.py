"""Averaged stochastic gradient descent."""

from __future__ import annotations

from typing import Any

from norch._C import Tensor, _optim, clamp, zeros_like

from ._fused import decayed, new_number, put
from ._options import check_lr, check_nonnegative, number
from ._rule import RuleOptimizer

__all__ = ["ASGD"]


class ASGD(RuleOptimizer):
    """p = p * (1 - lambd * eta) - eta * g; ax += mu * (p - ax): the state "ax" is the average of p from step t0 on.

    For the next step eta = lr / (1 + lambd * lr * t)^alpha (lr at first) and mu = 1 / max(1, t - t0)."""

    _rule = staticmethod(_optim.asgd_step)
    _numbers = ("step", "eta", "mu")
    _averages = ("ax",)

    def __init__(
        self,
        params: Any,
        lr: float | Tensor = 1e-2,
        lambd: float = 1e-4,
        alpha: float = 0.75,
        t0: float = 1e6,
        weight_decay: float = 0,
        foreach: bool | None = None,
        maximize: bool = False,
        differentiable: bool = False,
        capturable: bool = False,
    ) -> None:
        check_lr(lr)
        check_nonnegative("weight_decay value", weight_decay)
        super().__init__(
            params,
            dict(
                lr=lr,
                lambd=lambd,
                alpha=alpha,
                t0=t0,
                weight_decay=weight_decay,
                foreach=foreach,
                maximize=maximize,
                differentiable=differentiable,
                capturable=capturable,
            ),
        )

    def _new_state(self, group: dict[str, Any], p: Tensor) -> dict[str, Tensor]:
        return {
            "step": new_number(group, p, 0.0),
            "eta": new_number(group, p, number(group["lr"])),
            "mu": new_number(group, p, 1.0),
            "ax": zeros_like(p),
        }

    def _rule_options(self, group: dict[str, Any]) -> dict[str, Any]:
        return dict(
            lr=number(group["lr"]),
            lambd=group["lambd"],
            alpha=group["alpha"],
            t0=group["t0"],
            weight_decay=group["weight_decay"],
        )

    def _composed_step(self, group: dict[str, Any], p: Tensor, g: Tensor, state: dict[str, Tensor], step: Any) -> Tensor:
        lr, lambd, eta, mu = group["lr"], group["lambd"], state["eta"], state["mu"]
        _, g = decayed(group, p, g)
        p = p * (1 - lambd * eta) - eta * g
        put(state, "ax", state["ax"] + (p - state["ax"]) * mu)
        put(state, "eta", lr / (1 + lambd * lr * state["step"]) ** group["alpha"])
        put(state, "mu", 1 / clamp(state["step"] - group["t0"], min=1))
        return p
