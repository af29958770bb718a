"""`Parameter` and `Buffer`: tensors that a `Module` registers when they are assigned as attributes."""

from __future__ import annotations

from typing import Any

from norch._C import Parameter, Tensor, empty

__all__ = ["Buffer", "Parameter"]


class _BufferMeta(type):
    def __instancecheck__(cls, instance: Any) -> bool:
        return isinstance(instance, Tensor) and getattr(instance, "_is_buffer", False)


class Buffer(metaclass=_BufferMeta):
    """Buffer(data=None, *, persistent=True) -> Tensor

    A tensor on `data`'s memory that a module registers as a buffer when it is assigned as an attribute; `state_dict`
    holds it if `persistent`.

        >>> module = norch.nn.Module()
        >>> module.total = norch.nn.Buffer(norch.zeros(2))
        >>> list(module.state_dict())
        ['total']
    """

    def __new__(cls, data: Tensor | None = None, *, persistent: bool = True) -> Any:
        source = empty(0) if data is None else data
        tensor: Any = source.detach().requires_grad_(source.requires_grad)
        tensor.persistent = persistent
        tensor._is_buffer = True
        return tensor
