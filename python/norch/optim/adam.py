"""Adam and AdamW."""

from __future__ import annotations

from typing import Any

from norch._C import Tensor, _optim, maximum, zeros_like
from norch._C._cuda import is_current_stream_capturing

from ._fused import FusedOptimizer, decayed, new_number, put
from ._options import check_adam, check_fused, number
from ._rule import put_moments

__all__ = ["Adam", "AdamW"]


class Adam(FusedOptimizer):
    """m = b1 m + (1 - b1) g; v = b2 v + (1 - b2) g^2; p -= lr * (m / (1 - b1^t)) / (sqrt(v / (1 - b2^t)) + eps).

    With `capturable` or `fused` the steps are counted on the parameters' device, so that a CUDA graph can hold a step.

    weight_decay adds weight_decay * p to g; with `decoupled_weight_decay` p shrinks by lr * weight_decay
    instead. amsgrad takes the maximum of all v so far.

    >>> p = norch.nn.Parameter(norch.tensor([1.0, -2.0]))
    >>> optimizer = norch.optim.Adam([p], lr=0.1)
    >>> (p * p).sum().backward()
    >>> optimizer.step()
    >>> p.data
    tensor([ 0.9000, -1.9000])"""

    _reads_numbers_on_gpu = True

    def __init__(
        self,
        params: Any,
        lr: float | Tensor = 1e-3,
        betas: tuple[float | Tensor, float | Tensor] = (0.9, 0.999),
        eps: float = 1e-8,
        weight_decay: float = 0,
        amsgrad: bool = False,
        *,
        foreach: bool | None = None,
        maximize: bool = False,
        capturable: bool = False,
        differentiable: bool = False,
        fused: bool | None = None,
        decoupled_weight_decay: bool = False,
    ) -> None:
        if isinstance(lr, Tensor) and foreach and not capturable:
            raise ValueError("lr as a Tensor is not supported for capturable=False and foreach=True")
        check_adam(lr, betas, eps, weight_decay)
        tensors = [isinstance(beta, Tensor) for beta in betas]
        if tensors[0] != tensors[1] or not (tensors[0] or all(isinstance(beta, float) for beta in betas)):
            raise ValueError("betas must be either both floats or both Tensors")
        for i, beta in enumerate(betas):
            if not isinstance(beta, Tensor):
                continue
            if foreach and not capturable:
                raise ValueError(f"betas[{i}] as a Tensor is not supported for capturable=False and foreach=True")
            if beta.numel() != 1:
                raise ValueError(f"Tensor betas[{i}] must be 1-element")
        check_fused(foreach, fused, differentiable)
        super().__init__(
            params,
            dict(
                lr=lr,
                betas=tuple(beta.squeeze() if isinstance(beta, Tensor) else beta for beta in betas),
                eps=eps,
                weight_decay=weight_decay,
                amsgrad=amsgrad,
                maximize=maximize,
                foreach=foreach,
                capturable=capturable,
                differentiable=differentiable,
                fused=fused,
                decoupled_weight_decay=decoupled_weight_decay,
            ),
        )
        if fused:
            self._step_supports_amp_scaling = True

    def _step_sparse(self, group: dict[str, Any], p: Tensor, g: Any) -> None:
        raise RuntimeError("Adam does not support sparse gradients, please consider SparseAdam instead")

    def _new_state(self, group: dict[str, Any], p: Tensor) -> dict[str, Tensor]:
        state = {"step": new_number(group, p, 0.0), "exp_avg": zeros_like(p), "exp_avg_sq": zeros_like(p)}
        if group["amsgrad"]:
            state["max_exp_avg_sq"] = zeros_like(p)
        return state

    def _composes(self, states: list[dict]) -> bool:
        # A learning rate or weights on the GPU would have to be read back: not in a capture.
        group_values = [v for g in self.param_groups for v in (g["lr"], *g["betas"]) if isinstance(v, Tensor)]
        return any(v.is_cuda for v in group_values) and is_current_stream_capturing()

    def _fused_step(self, group: dict[str, Any], params: list[Tensor], grads: list[Tensor], states: list[dict]) -> None:
        beta1, beta2 = group["betas"]
        amsgrad = group["amsgrad"]
        _optim.adam_step(
            params,
            grads,
            [s["exp_avg"] for s in states],
            [s["exp_avg_sq"] for s in states],
            [s["max_exp_avg_sq"] for s in states] if amsgrad else [],
            steps=[s["step"] for s in states],
            lr=number(group["lr"]),
            beta1=number(beta1),
            beta2=number(beta2),
            eps=group["eps"],
            weight_decay=number(group["weight_decay"]),
            amsgrad=amsgrad,
            maximize=group["maximize"],
            decoupled=group["decoupled_weight_decay"],
            found_inf=getattr(self, "found_inf", None),
        )

    def _composed_step(self, group: dict[str, Any], p: Tensor, g: Tensor, state: dict[str, Tensor], step: Any) -> Tensor:
        lr, (beta1, beta2) = group["lr"], group["betas"]
        p, g = decayed(group, p, g)
        m, v = put_moments(group, state, g)
        if group["amsgrad"]:
            v = put(state, "max_exp_avg_sq", maximum(state["max_exp_avg_sq"], v))
        d = v.sqrt() / (1 - beta2**step) ** 0.5 + group["eps"]
        return p - lr / (1 - beta1**step) * m / d


class AdamW(Adam):
    """Adam with decoupled weight decay: p shrinks by lr * weight_decay in every step."""

    def __init__(
        self,
        params: Any,
        lr: float | Tensor = 1e-3,
        betas: tuple[float | Tensor, float | Tensor] = (0.9, 0.999),
        eps: float = 1e-8,
        weight_decay: float = 1e-2,
        amsgrad: bool = False,
        *,
        maximize: bool = False,
        foreach: bool | None = None,
        capturable: bool = False,
        differentiable: bool = False,
        fused: bool | None = None,
    ) -> None:
        super().__init__(
            params,
            lr,
            betas,
            eps,
            weight_decay,
            amsgrad,
            foreach=foreach,
            maximize=maximize,
            capturable=capturable,
            differentiable=differentiable,
            fused=fused,
            decoupled_weight_decay=True,
        )
