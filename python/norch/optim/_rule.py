"""`RuleOptimizer`: what the optimizers share whose step is one of the rules of C++ (`norch/optim.h`)."""

from __future__ import annotations

from typing import Any, Callable

from norch._C import Tensor, lerp, zeros_like

from ._fused import FusedOptimizer, new_number, put
from ._options import number

__all__ = ["AdamRule", "RuleOptimizer", "put_moments"]


class RuleOptimizer(FusedOptimizer):
    """A subclass names its rule and what it keeps of each parameter (`_numbers`, `_averages`), and defines
    `_rule_options` and `_composed_step`."""

    # The step in C++: rule(params, grads, averages, numbers, maximize=..., **options).
    _rule: Callable[..., None]
    # The entries of a parameter's state that are tensors like the parameter; they start at 0.
    _averages: tuple[str, ...]

    def _rule_options(self, group: dict[str, Any]) -> dict[str, Any]:
        """The rule's options, by their names in C++."""
        raise NotImplementedError

    def _new_state(self, group: dict[str, Any], p: Tensor) -> dict[str, Tensor]:
        numbers = {name: new_number(group, p, 0.0) for name in self._numbers}
        return {**numbers, **{name: zeros_like(p) for name in self._averages}}

    def _fused_step(self, group: dict[str, Any], params: list[Tensor], grads: list[Tensor], states: list[dict]) -> None:
        averages = [[s[name] for s in states] for name in self._averages]
        numbers = [[s[name] for s in states] for name in self._numbers]
        self._rule(params, grads, averages, numbers, maximize=group["maximize"], **self._rule_options(group))


class AdamRule(RuleOptimizer):
    """The rules with Adam's options."""

    def _rule_options(self, group: dict[str, Any]) -> dict[str, Any]:
        beta1, beta2 = group["betas"]
        return dict(
            lr=number(group["lr"]), beta1=beta1, beta2=beta2, eps=group["eps"], weight_decay=group["weight_decay"]
        )


def put_moments(group: dict[str, Any], state: dict[str, Tensor], g: Tensor) -> tuple[Tensor, Tensor]:
    """Adam's running means of g and of g^2, in which `g` now counts: `exp_avg` and `exp_avg_sq` of the state."""
    beta1, beta2 = group["betas"]
    m = put(state, "exp_avg", lerp(state["exp_avg"], g, 1 - beta1))
    return m, put(state, "exp_avg_sq", beta2 * state["exp_avg_sq"] + (1 - beta2) * g * g)
