"""NAdam."""

from __future__ import annotations

from typing import Any

from norch._C import Tensor, _optim

from ._fused import decayed, new_number, put
from ._options import check_adam, check_nonnegative
from ._rule import AdamRule, put_moments

__all__ = ["NAdam"]


class NAdam(AdamRule):
    """Adam with Nesterov's momentum, whose weight grows: mu(t) = b1 * (1 - 0.96^(t * momentum_decay) / 2).

    p -= lr * ((1 - mu(t)) / (1 - mu(1) ... mu(t)) * g + mu(t + 1) / (1 - mu(1) ... mu(t + 1)) * m) / d
    with m and v as Adam's and d = sqrt(v / (1 - b2^t)) + eps."""

    _rule = staticmethod(_optim.nadam_step)
    _numbers = ("step", "mu_product")
    _averages = ("exp_avg", "exp_avg_sq")

    def __init__(
        self,
        params: Any,
        lr: float | Tensor = 2e-3,
        betas: tuple[float, float] = (0.9, 0.999),
        eps: float = 1e-8,
        weight_decay: float = 0,
        momentum_decay: float = 4e-3,
        decoupled_weight_decay: bool = False,
        *,
        foreach: bool | None = None,
        maximize: bool = False,
        capturable: bool = False,
        differentiable: bool = False,
    ) -> None:
        check_adam(lr, betas, eps, weight_decay)
        check_nonnegative("momentum_decay value", momentum_decay)
        super().__init__(
            params,
            dict(
                lr=lr,
                betas=betas,
                eps=eps,
                weight_decay=weight_decay,
                momentum_decay=momentum_decay,
                decoupled_weight_decay=decoupled_weight_decay,
                maximize=maximize,
                foreach=foreach,
                capturable=capturable,
                differentiable=differentiable,
            ),
        )

    def _new_state(self, group: dict[str, Any], p: Tensor) -> dict[str, Tensor]:
        return {**super()._new_state(group, p), "mu_product": new_number(group, p, 1.0)}

    def _rule_options(self, group: dict[str, Any]) -> dict[str, Any]:
        own = dict(momentum_decay=group["momentum_decay"], decoupled=group["decoupled_weight_decay"])
        return {**super()._rule_options(group), **own}

    def _composed_step(self, group: dict[str, Any], p: Tensor, g: Tensor, state: dict[str, Tensor], step: Any) -> Tensor:
        lr, (beta1, beta2), decay = group["lr"], group["betas"], group["momentum_decay"]
        p, g = decayed(group, p, g)
        mu = beta1 * (1 - 0.5 * 0.96 ** (step * decay))
        next_mu = beta1 * (1 - 0.5 * 0.96 ** ((step + 1) * decay))
        product = put(state, "mu_product", state["mu_product"] * mu)
        m, v = put_moments(group, state, g)
        d = (v / (1 - beta2**step)).sqrt() + group["eps"]
        return p - lr * (1 - mu) / (1 - product) * g / d - lr * next_mu / (1 - product * next_mu) * m / d
