"""`Variable`, which tensors replaced long ago and programs still use."""

from __future__ import annotations

from typing import Any

from norch._C import Tensor

__all__ = ["Variable"]


class _VariableType(type):
    def __instancecheck__(cls, instance: Any) -> bool:
        return isinstance(instance, Tensor)


class Variable(metaclass=_VariableType):
    """Variable(data=None, requires_grad=False, volatile=None) -> Tensor

    A tensor on the memory of `data`, outside its graph. Every tensor is an instance of Variable. `volatile` is
    accepted and has no effect, as in PyTorch: use no_grad().

        >>> norch.autograd.Variable(norch.ones(2), requires_grad=True)
        tensor([1., 1.], requires_grad=True)"""

    def __new__(cls, data: Any = None, requires_grad: bool = False, volatile: Any = None) -> Any:
        if data is None:
            data = Tensor()
        if not isinstance(data, Tensor):
            raise TypeError(f"Variable data has to be a tensor, but got {type(data).__name__}")
        return data.detach().requires_grad_(requires_grad)
