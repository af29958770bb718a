"""Checks of the optimizers' options, with PyTorch's texts."""

from __future__ import annotations

from typing import Any

from norch._C import Tensor

__all__ = ["check_adam", "check_betas", "check_fused", "check_lr", "check_nonnegative", "number"]


def check_nonnegative(what: str, value: Any) -> None:
    """ValueError with PyTorch's text unless 0 <= value."""
    if not 0.0 <= value:
        raise ValueError(f"Invalid {what}: {value}")


def check_lr(lr: Any) -> None:
    """ValueError unless lr is a number or a tensor of one element, and not negative."""
    if isinstance(lr, Tensor) and lr.numel() != 1:
        raise ValueError("Tensor lr must be 1-element")
    check_nonnegative("learning rate", lr)


def check_betas(betas: Any) -> None:
    """ValueError unless betas are two numbers in [0, 1)."""
    if len(betas) != 2:
        raise ValueError(f"betas must be two numbers, but got {betas}")
    for i, beta in enumerate(betas):
        if not 0.0 <= beta < 1.0:
            raise ValueError(f"Invalid beta parameter at index {i}: {beta}")


def check_adam(lr: Any, betas: Any, eps: Any, weight_decay: Any) -> None:
    """ValueError unless the options that Adam and its kin share are in range."""
    check_lr(lr)
    check_nonnegative("epsilon value", eps)
    check_betas(betas)
    check_nonnegative("weight_decay value", weight_decay)


def check_fused(foreach: bool | None, fused: bool | None, differentiable: bool) -> None:
    """RuntimeError where `fused` contradicts the other ways of a step."""
    if fused and differentiable:
        raise RuntimeError("`fused` does not support `differentiable`")
    if fused and foreach:
        raise RuntimeError("`fused` and `foreach` cannot be `True` together.")


def number(value: Any) -> float:
    """An option that may be a one-element tensor, as a number."""
    return value.item() if isinstance(value, Tensor) else value
