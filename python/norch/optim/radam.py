"""RAdam."""

from __future__ import annotations

from typing import Any

from norch._C import Tensor, _optim, where

from ._fused import decayed
from ._options import check_adam
from ._rule import AdamRule, put_moments

__all__ = ["RAdam"]


class RAdam(AdamRule):
    """Adam whose adaptive step is rectified by r(t), and left out while v is known too badly.

    With m and v as Adam's, rho = 2 / (1 - b2) - 1 and rho(t) = rho - 2 t b2^t / (1 - b2^t),
    p -= lr * m / (1 - b1^t) * r(t) * sqrt(1 - b2^t) / (sqrt(v) + eps) if rho(t) > 5, else p -= lr * m / (1 - b1^t);
    r(t)^2 = (rho(t) - 4) (rho(t) - 2) rho / ((rho - 4) (rho - 2) rho(t))."""

    _rule = staticmethod(_optim.radam_step)
    _averages = ("exp_avg", "exp_avg_sq")

    def __init__(
        self,
        params: Any,
        lr: float | Tensor = 1e-3,
        betas: tuple[float, float] = (0.9, 0.999),
        eps: float = 1e-8,
        weight_decay: float = 0,
        decoupled_weight_decay: bool = False,
        *,
        foreach: bool | None = None,
        maximize: bool = False,
        capturable: bool = False,
        differentiable: bool = False,
    ) -> None:
        check_adam(lr, betas, eps, weight_decay)
        super().__init__(
            params,
            dict(
                lr=lr,
                betas=betas,
                eps=eps,
                weight_decay=weight_decay,
                maximize=maximize,
                foreach=foreach,
                capturable=capturable,
                decoupled_weight_decay=decoupled_weight_decay,
                differentiable=differentiable,
            ),
        )

    def _rule_options(self, group: dict[str, Any]) -> dict[str, Any]:
        return {**super()._rule_options(group), "decoupled": group["decoupled_weight_decay"]}

    def _composed_step(self, group: dict[str, Any], p: Tensor, g: Tensor, state: dict[str, Tensor], step: Any) -> Tensor:
        beta1, beta2 = group["betas"]
        p, g = decayed(group, p, g)
        m, v = put_moments(group, state, g)
        left = 1 - beta2**step
        end = 2 / (1 - beta2) - 1
        rho = end - 2 * step * beta2**step / left
        update = group["lr"] * m / (1 - beta1**step)
        if not isinstance(rho, Tensor) and rho <= 5:
            return p - update
        rectified = ((rho - 4) * (rho - 2) * end / ((end - 4) * (end - 2) * rho)) ** 0.5
        adapted = update * rectified * left**0.5 / (v.sqrt() + group["eps"])
        return p - (where(rho > 5, adapted, update) if isinstance(rho, Tensor) else adapted)
