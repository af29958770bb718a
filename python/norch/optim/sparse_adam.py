"""Adam for sparse gradients."""

from __future__ import annotations

import math
from typing import Any, Callable

from norch._C import Tensor, zeros_like
from norch.autograd import no_grad

from ._options import check_lr, number
from .optimizer import Optimizer

__all__ = ["SparseAdam"]


class SparseAdam(Optimizer):
    """Adam for parameters with sparse gradients, as of `nn.Embedding(sparse=True)`: only the rows that a gradient has
    are updated, and their averages m and v; the others stay, as if they had no gradient.

    m = beta1 * m + (1 - beta1) * g; v = beta2 * v + (1 - beta2) * g^2;
    p -= lr * sqrt(1 - beta2^t) / (1 - beta1^t) * m / (sqrt(v) + eps). RuntimeError for dense gradients.

        >>> table = nn.Embedding(1000, 16, sparse=True)
        >>> optimizer = norch.optim.SparseAdam(table.parameters(), lr=0.01)
        >>> table(norch.tensor([1, 5])).sum().backward()
        >>> optimizer.step()
    """

    def __init__(
        self,
        params: Any,
        lr: float | Tensor = 1e-3,
        betas: tuple[float, float] = (0.9, 0.999),
        eps: float = 1e-8,
        maximize: bool = False,
    ) -> None:
        check_lr(lr)
        if not lr > 0:
            raise ValueError(f"Invalid learning rate: {lr}")
        if not eps > 0:
            raise ValueError(f"Invalid epsilon value: {eps}")
        for i in range(2):
            if not 0 <= betas[i] < 1:
                raise ValueError(f"Invalid beta parameter at index {i}: {betas[i]}")
        super().__init__(params, dict(lr=lr, betas=betas, eps=eps, maximize=maximize))
        places = [(i, j, p) for i, g in enumerate(self.param_groups) for j, p in enumerate(g["params"])]
        sparse = [[i, j] for i, j, p in places if p.is_sparse]
        if sparse:
            raise ValueError(f"Sparse params at indices {sparse}: SparseAdam requires dense parameter tensors")
        other = [[i, j] for i, j, p in places if p.is_complex()]
        if other:
            raise ValueError(f"Complex params at indices {other}: SparseAdam does not support complex parameters")

    def step(self, closure: Callable[[], Any] | None = None) -> Any:
        """One update of the rows that the gradients have; returns what `closure` returned."""
        loss = self._evaluate(closure)
        for group in self.param_groups:
            params, _ = self._with_grads(group)
            if params:
                raise RuntimeError("SparseAdam does not support dense gradients, please consider Adam instead")
        return loss

    def _step_sparse(self, group: dict[str, Any], p: Tensor, g: Any) -> None:
        state = self.state[p]
        if not state:
            state.update(step=0, exp_avg=zeros_like(p), exp_avg_sq=zeros_like(p))
        state["step"] += 1
        g = (-g if group["maximize"] else g).coalesce()
        at, values = tuple(g.indices()), g.values()
        if values.numel() == 0:
            return
        (beta1, beta2), step = group["betas"], state["step"]
        size = number(group["lr"]) * math.sqrt(1 - beta2**step) / (1 - beta1**step)
        with no_grad():
            m, v = state["exp_avg"][at], state["exp_avg_sq"][at]
            m = m + (values - m) * (1 - beta1)
            v = v + (values * values - v) * (1 - beta2)
            state["exp_avg"].index_put_(at, m)
            state["exp_avg_sq"].index_put_(at, v)
            p.index_put_(at, m / (v.sqrt() + group["eps"]) * -size, accumulate=True)
