"""Rprop."""

from __future__ import annotations

from typing import Any

from norch._C import Tensor, _optim, full_like, where, zeros_like

from ._fused import new_number, put
from ._options import check_lr, number
from ._rule import RuleOptimizer

__all__ = ["Rprop"]


class Rprop(RuleOptimizer):
    """Each element has a step size of its own (lr at first, kept within `step_sizes`), which grows by etas[1]
    while the gradient keeps its sign; when the sign changes it shrinks by etas[0] and the gradient counts as 0.
    p -= sign(g) * step_size."""

    _rule = staticmethod(_optim.rprop_step)
    _averages = ("prev", "step_size")

    def __init__(
        self,
        params: Any,
        lr: float | Tensor = 1e-2,
        etas: tuple[float, float] = (0.5, 1.2),
        step_sizes: tuple[float, float] = (1e-6, 50),
        *,
        capturable: bool = False,
        foreach: bool | None = None,
        maximize: bool = False,
        differentiable: bool = False,
    ) -> None:
        check_lr(lr)
        if not 0.0 < etas[0] < 1.0 < etas[1]:
            raise ValueError(f"Invalid eta values: {etas[0]}, {etas[1]}")
        super().__init__(
            params,
            dict(
                lr=lr,
                etas=etas,
                step_sizes=step_sizes,
                foreach=foreach,
                maximize=maximize,
                differentiable=differentiable,
                capturable=capturable,
            ),
        )

    def _new_state(self, group: dict[str, Any], p: Tensor) -> dict[str, Tensor]:
        lr = number(group["lr"])
        return {
            "step": new_number(group, p, 0.0),
            "prev": zeros_like(p),
            "step_size": full_like(p, complex(lr, lr) if p.is_complex() else lr).detach(),
        }

    def _rule_options(self, group: dict[str, Any]) -> dict[str, Any]:
        (less, more), (least, most) = group["etas"], group["step_sizes"]
        return dict(eta_minus=less, eta_plus=more, min_step=least, max_step=most)

    def _composed_step(self, group: dict[str, Any], p: Tensor, g: Tensor, state: dict[str, Tensor], step: Any) -> Tensor:
        turn = g * state["prev"]
        old, (less, more) = state["step_size"], group["etas"]
        size = where(turn > 0, old * more, where(turn < 0, old * less, old))
        size = put(state, "step_size", size.clamp(*group["step_sizes"]))
        g = put(state, "prev", where(turn < 0, 0.0, g))
        return p - g.sign() * size
