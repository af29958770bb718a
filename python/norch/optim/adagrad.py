"""Adagrad."""

from __future__ import annotations

from typing import Any

from norch._C import Tensor, _optim, full_like
from norch.autograd import no_grad

from ._fused import check_fused_dtype, decayed, new_number, put
from ._options import check_fused, check_lr, check_nonnegative, number
from ._rule import RuleOptimizer

__all__ = ["Adagrad"]


class Adagrad(RuleOptimizer):
    """s += g^2; p -= lr / (1 + (t - 1) * lr_decay) * g / (sqrt(s) + eps); s starts at initial_accumulator_value."""

    _rule = staticmethod(_optim.adagrad_step)
    _averages = ("sum",)

    def __init__(
        self,
        params: Any,
        lr: float | Tensor = 1e-2,
        lr_decay: float = 0,
        weight_decay: float = 0,
        initial_accumulator_value: float = 0,
        eps: float = 1e-10,
        foreach: bool | None = None,
        *,
        maximize: bool = False,
        differentiable: bool = False,
        fused: bool | None = None,
    ) -> None:
        check_lr(lr)
        check_nonnegative("lr_decay value", lr_decay)
        check_nonnegative("weight_decay value", weight_decay)
        check_nonnegative("initial_accumulator_value value", initial_accumulator_value)
        check_nonnegative("epsilon value", eps)
        check_fused(foreach, fused, differentiable)
        super().__init__(
            params,
            dict(
                lr=lr,
                lr_decay=lr_decay,
                eps=eps,
                weight_decay=weight_decay,
                initial_accumulator_value=initial_accumulator_value,
                foreach=foreach,
                maximize=maximize,
                differentiable=differentiable,
                fused=fused,
            ),
        )
        for group in self.param_groups:
            for p in group["params"]:
                check_fused_dtype(group, p)
                self.state[p] = self._new_state(group, p)

    def _new_state(self, group: dict[str, Any], p: Tensor) -> dict[str, Tensor]:
        value = group["initial_accumulator_value"]
        return {
            "step": new_number({}, p, 0.0),
            "sum": full_like(p, complex(value, value) if p.is_complex() else value).detach(),
        }

    def share_memory(self) -> None:
        """Moves the state to memory that processes share (see Tensor.share_memory_)."""
        for state in self.state.values():
            state["sum"].share_memory_()

    def _step_sparse(self, group: dict[str, Any], p: Tensor, g: Any) -> None:
        state = self.state[p]
        _optim.count_step([state["step"]])
        if group["weight_decay"] != 0:
            raise RuntimeError("weight_decay option is not compatible with sparse gradients")
        rate = number(group["lr"]) / (1 + (state["step"].item() - 1) * group["lr_decay"])
        g = (-g if group["maximize"] else g).coalesce()
        at, values, total = tuple(g.indices()), g.values(), state["sum"]
        with no_grad():
            total.index_put_(at, values * values, accumulate=True)
            p.index_put_(at, values / (total[at].sqrt() + group["eps"]) * -rate, accumulate=True)

    def _rule_options(self, group: dict[str, Any]) -> dict[str, Any]:
        return dict(lr=number(group["lr"]), lr_decay=group["lr_decay"], eps=group["eps"], weight_decay=group["weight_decay"])

    def _composed_step(self, group: dict[str, Any], p: Tensor, g: Tensor, state: dict[str, Tensor], step: Any) -> Tensor:
        _, g = decayed(group, p, g)
        total = put(state, "sum", state["sum"] + g * g)
        return p - group["lr"] / (1 + (step - 1) * group["lr_decay"]) * g / (total.sqrt() + group["eps"])
