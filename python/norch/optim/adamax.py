"""Adamax."""

from __future__ import annotations

from typing import Any

from norch._C import Tensor, _optim, lerp, maximum

from ._fused import decayed, put
from ._options import check_adam
from ._rule import AdamRule

__all__ = ["Adamax"]


class Adamax(AdamRule):
    """m = b1 m + (1 - b1) g; u = max(b2 u, |g| + eps); p -= lr / (1 - b1^t) * m / u."""

    _rule = staticmethod(_optim.adamax_step)
    _averages = ("exp_avg", "exp_inf")

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
        check_adam(lr, betas, eps, weight_decay)
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

    def _composed_step(self, group: dict[str, Any], p: Tensor, g: Tensor, state: dict[str, Tensor], step: Any) -> Tensor:
        beta1, beta2 = group["betas"]
        _, g = decayed(group, p, g)
        m = put(state, "exp_avg", lerp(state["exp_avg"], g, 1 - beta1))
        u = put(state, "exp_inf", maximum(state["exp_inf"] * beta2, g.abs() + group["eps"]))
        return p - group["lr"] / (1 - beta1**step) * m / u
