"""Automatic differentiation: backward, grad, modes, custom functions, checks."""

from norch._C import _autograd
from norch.autograd.anomaly_mode import detect_anomaly, set_detect_anomaly
from norch.autograd.function import Function, FunctionCtx, once_differentiable
from norch.autograd.grad_mode import (
    enable_grad,
    inference_mode,
    is_grad_enabled,
    is_inference_mode_enabled,
    no_grad,
    set_grad_enabled,
)
from norch.autograd.gradcheck import GradcheckError, gradcheck, gradgradcheck
from norch.autograd.variable import Variable

__all__ = [
    "Function",
    "FunctionCtx",
    "GradcheckError",
    "Variable",
    "backward",
    "detect_anomaly",
    "enable_grad",
    "grad",
    "gradcheck",
    "gradgradcheck",
    "inference_mode",
    "is_grad_enabled",
    "is_inference_mode_enabled",
    "no_grad",
    "once_differentiable",
    "set_detect_anomaly",
    "set_grad_enabled",
]

backward = _autograd.backward
grad = _autograd.grad
Node = _autograd.Node
