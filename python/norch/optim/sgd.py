"""Stochastic gradient descent."""

from __future__ import annotations

from typing import Any, Callable

from norch._C import Tensor, _optim, zeros_like
from norch.autograd import enable_grad, no_grad

from ._fused import check_fused_dtype, decayed
from ._options import check_fused, check_lr, check_nonnegative, number
from .optimizer import Optimizer

__all__ = ["SGD"]


class SGD(Optimizer):
    """g += weight_decay * p; buf = momentum * buf + (1 - dampening) * g (the first time buf = g);
    g = g + momentum * buf (nesterov) or buf; p -= lr * g."""

    def __init__(
        self,
        params: Any,
        lr: float | Tensor = 1e-3,
        momentum: float = 0,
        dampening: float = 0,
        weight_decay: float | Tensor = 0,
        nesterov: bool = False,
        *,
        maximize: bool = False,
        foreach: bool | None = None,
        differentiable: bool = False,
        fused: bool | None = None,
    ) -> None:
        check_lr(lr)
        check_nonnegative("momentum value", momentum)
        check_nonnegative("weight_decay value", weight_decay)
        check_fused(foreach, fused, differentiable)
        if nesterov and (momentum <= 0 or dampening != 0):
            raise ValueError("Nesterov momentum requires a momentum and zero dampening")
        super().__init__(
            params,
            dict(
                lr=lr,
                momentum=momentum,
                dampening=dampening,
                weight_decay=weight_decay,
                nesterov=nesterov,
                maximize=maximize,
                foreach=foreach,
                differentiable=differentiable,
                fused=fused,
            ),
        )
        if fused:
            self._step_supports_amp_scaling = True

    def step(self, closure: Callable[[], Any] | None = None) -> Any:
        """One update of all parameters that have a gradient."""
        loss = self._evaluate(closure)
        for group in self.param_groups:
            if group.get("fused"):
                for p in group["params"]:
                    check_fused_dtype(group, p)
            if group.get("differentiable"):
                self._composed_step(group)
                continue
            if group["momentum"] == 0 and not group.get("fused"):
                self._update(group, group["params"], None, [])  # C++ takes the gradients itself, sparse ones too
                continue
            params, grads = self._with_grads(group)
            if not params:
                continue
            if group["momentum"] == 0:
                self._update(group, params, grads, [])
                continue
            state = self.state
            states = [state[p] for p in params]
            buffers = [s.get("momentum_buffer") for s in states]
            fresh = [i for i, b in enumerate(buffers) if b is None]
            if fresh:
                self._check_not_capturing(params[fresh[0]])
                for i in fresh:
                    buffers[i] = states[i]["momentum_buffer"] = zeros_like(params[i])
                first_params, first_grads, first_buffers = _take(fresh, params, grads, buffers)
                self._update(group, first_params, first_grads, first_buffers, first_step=True)
                old = sorted(set(range(len(params))).difference(fresh))
                params, grads, buffers = _take(old, params, grads, buffers)
            if params:
                self._update(group, params, grads, buffers)
        return loss

    def _step_sparse(self, group: dict[str, Any], p: Tensor, g: Any) -> None:
        if group.get("fused"):
            raise RuntimeError("`_fused_sgd` does not support sparse gradients")
        g, momentum = -g if group["maximize"] else g, group["momentum"]
        with no_grad():
            if group["weight_decay"] != 0:
                g = g.add(p, alpha=group["weight_decay"])  # raises: that would be dense
            if momentum != 0:
                state = self.state[p]
                old = state.get("momentum_buffer")
                buffer = g.detach().clone() if old is None else (old * momentum).add(g, alpha=1 - group["dampening"])
                state["momentum_buffer"] = buffer
                g = g.add(buffer, alpha=momentum) if group["nesterov"] else buffer
            p.add_(g, alpha=-number(group["lr"]))

    def _update(
        self, group: dict[str, Any], params: list, grads: list | None, buffers: list, first_step: bool = False
    ) -> None:
        _optim.sgd_step(
            params,
            grads,
            buffers,
            lr=number(group["lr"]),
            momentum=group["momentum"],
            dampening=group["dampening"],
            weight_decay=number(group["weight_decay"]),
            nesterov=group["nesterov"],
            maximize=group["maximize"],
            first_step=first_step,
            found_inf=getattr(self, "found_inf", None),
        )

    def _composed_step(self, group: dict[str, Any]) -> None:
        """The step as operations that autograd records."""
        momentum = group["momentum"]
        params, grads = self._with_grads(group)
        with enable_grad():
            for p, g in zip(params, grads):
                _, g = decayed(group, p, -g if group["maximize"] else g)
                if momentum != 0:
                    state = self.state[p]
                    buffer = state.get("momentum_buffer")
                    if buffer is None:
                        state["momentum_buffer"] = buffer = g.detach().clone()
                    else:
                        buffer.copy_(buffer * momentum + (1 - group["dampening"]) * g)
                    g = g + momentum * buffer if group["nesterov"] else buffer.clone()
                p.copy_(p - group["lr"] * g)


def _take(at: list[int], *lists: list) -> list[list]:
    return [[values[i] for i in at] for values in lists]
