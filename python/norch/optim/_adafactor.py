"""Adafactor."""

from __future__ import annotations

from typing import Any, Callable

from norch._C import Tensor, zeros_like
from norch._dtype_info import finfo
from norch.autograd import no_grad

from ._fused import new_number
from ._options import number
from .optimizer import Optimizer

__all__ = ["Adafactor"]


class Adafactor(Optimizer):
    """Adam-like steps with little memory (Shazeer and Stern, 2018): the second moments of a matrix are kept as the
    means of its rows R and columns C, v = R C / mean(R).

    u = g / max(sqrt(v), eps[0]), scaled down to a root mean square of d at most;
    p = p * (1 - lr * weight_decay) - max(eps[1], rms(p)) * min(lr, 1 / sqrt(t)) * u. The moments' weight is t^beta2_decay.
    eps[0] None: the machine precision of the parameter's dtype."""

    def __init__(
        self,
        params: Any,
        lr: float | Tensor = 1e-2,
        beta2_decay: float = -0.8,
        eps: tuple[float | None, float] = (None, 1e-3),
        d: float = 1.0,
        weight_decay: float = 0.0,
        *,
        foreach: bool | None = None,
        maximize: bool = False,
    ) -> None:
        if isinstance(lr, Tensor) and lr.numel() != 1:
            raise ValueError("Tensor lr must be 1-element")
        if not 0.0 <= lr:
            raise ValueError(f"Learning rate should be >= 0 but is: {lr}")
        if not 0.0 >= beta2_decay:
            raise ValueError(f"beta2_decay should be <= 0 but is: {beta2_decay}")
        if eps[0] is not None and not 0.0 <= eps[0]:
            raise ValueError(f"epsilon1 should be >= 0 but is: {eps[0]}")
        if not 0.0 <= eps[1]:
            raise ValueError(f"epsilon2 should be >= 0 but is: {eps[1]}")
        if not 1.0 <= d:
            raise ValueError(f"Clipping threshold d should be >= 1 but is: {d}")
        if not 0.0 <= weight_decay:
            raise ValueError(f"weight_decay should be >= 0 but is: {weight_decay}")
        super().__init__(
            params,
            dict(
                lr=lr,
                beta2_decay=beta2_decay,
                eps=eps,
                d=d,
                weight_decay=weight_decay,
                foreach=foreach,
                maximize=maximize,
            ),
        )

    def step(self, closure: Callable[[], Any] | None = None) -> Any:
        """One update of all parameters that have a gradient; returns what `closure` returned."""
        loss = self._evaluate(closure)
        with no_grad():
            for group in self.param_groups:
                for p, g in zip(*self._with_grads(group)):
                    if p.is_complex():
                        raise RuntimeError("Adafactor does not support complex parameters")
                    _update(group, p, -g if group["maximize"] else g, self.state[p])
        return loss


def _new_state(p: Tensor, g: Tensor) -> dict[str, Tensor]:
    state = {"step": new_number({}, p, 0.0)}
    if g.dim() > 1:
        state["row_var"] = g.new_zeros(*g.shape[:-1], 1)
        state["col_var"] = g.new_zeros(*g.shape[:-2], 1, g.shape[-1])
    else:
        state["variance"] = zeros_like(g)
    return state


def _rms(x: Tensor) -> float:
    return x.norm(2).item() / x.numel() ** 0.5


def _update(group: dict[str, Any], p: Tensor, g: Tensor, state: dict[str, Tensor]) -> None:
    if not state:
        state.update(_new_state(p, g))
    lr, (eps1, eps2) = number(group["lr"]), group["eps"]
    if eps1 is None:
        eps1 = finfo(p.dtype).eps
    state["step"] += 1
    step = state["step"].item()
    weight = step ** group["beta2_decay"]
    size = max(eps2, _rms(p)) * min(lr, 1 / step**0.5)
    if group["weight_decay"] != 0:
        p.mul_(1 - lr * group["weight_decay"])
    if g.dim() > 1:
        rows, columns = state["row_var"], state["col_var"]
        rows.lerp_(g.norm(dim=-1, keepdim=True).square_().div_(g.size(-1)), weight)
        columns.lerp_(g.norm(dim=-2, keepdim=True).square_().div_(g.size(-2)), weight)
        v = (rows @ columns).div_(rows.mean(dim=-2, keepdim=True).clamp_(min=eps1))
    else:
        v = state["variance"].lerp_(g * g, weight).clone()
    update = v.clamp_(min=eps1 * eps1).rsqrt_().mul_(g)
    p.add_(update, alpha=-size / max(1.0, _rms(update) / group["d"]))
