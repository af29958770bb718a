"""`Parameter` and `Buffer`: tensors that a `Module` registers when they are assigned as attributes, and those of lazy
modules, which have no shape yet."""

from __future__ import annotations

from typing import Any

from norch import _C
from norch._C import Parameter, Tensor, empty

__all__ = ["Buffer", "Parameter", "UninitializedBuffer", "UninitializedParameter", "is_lazy"]


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


class _Uninitialized:
    """What uninitialized parameters and buffers share: until `materialize`, they have a dtype and a device, but neither
    shape nor values."""

    __torch_function__: Any = _C._disabled_torch_function_impl
    _allowed = frozenset(
        ("materialize", "data", "dtype", "device", "is_cuda", "grad", "grad_fn", "is_leaf", "requires_grad",
         "requires_grad_", "to", "cpu", "cuda", "float", "double", "half", "bfloat16", "type", "is_floating_point",
         "is_complex", "persistent", "cls_to_become")
    )  # fmt: skip

    def materialize(self: Any, shape: Any, device: Any = None, dtype: Any = None) -> None:
        """Makes it an ordinary parameter (buffer) of that shape, whose values are memory as it comes."""
        device = self.device if device is None else device
        dtype = self.dtype if dtype is None else dtype
        self.data = empty(tuple(shape), device=device, dtype=dtype)
        self.__class__ = type(self).cls_to_become

    def __getattribute__(self, name: str) -> Any:
        if name == "shape":
            raise RuntimeError(
                "Can't access the shape of an uninitialized parameter or buffer. This error usually happens in "
                "`load_state_dict` when trying to load an uninitialized parameter into an initialized one. Call "
                "`forward` to initialize the parameters before accessing their attributes."
            )
        if name in _Uninitialized._allowed or name.startswith("_"):
            return super().__getattribute__(name)
        raise ValueError(
            f"Attempted to use an uninitialized parameter in {name}. This error happens when you are using a "
            "`LazyModule` or explicitly manipulating `norch.nn.parameter."
            f"{type(self).__name__}` objects. When using LazyModules Call `forward` with a dummy batch to initialize "
            "the parameters before calling norch functions"
        )

    def __repr__(self) -> str:
        return f"<{type(self).__name__}>"

    __str__ = __repr__

    def _operator(self, other: Any) -> Any:
        return self.operators  # raises

    __add__ = __radd__ = __sub__ = __rsub__ = __mul__ = __rmul__ = __truediv__ = __rtruediv__ = _operator
    __matmul__ = __rmatmul__ = __getitem__ = _operator


UninitializedTensorMixin = _Uninitialized  # PyTorch's name


class UninitializedParameter(_Uninitialized, Parameter):
    """A parameter without a shape yet: lazy modules have them until their first forward."""

    cls_to_become = Parameter

    def __new__(cls, requires_grad: bool = True, device: Any = None, dtype: Any = None) -> Any:
        make: Any = Parameter.__new__
        return make(cls, empty(0, device=device, dtype=dtype), requires_grad)

    def __init__(self, requires_grad: bool = True, device: Any = None, dtype: Any = None) -> None:
        pass

    def __deepcopy__(self, memo: dict) -> UninitializedParameter:
        if id(self) not in memo:
            memo[id(self)] = type(self)(self.requires_grad, self.device, self.dtype)
        return memo[id(self)]

    def __reduce_ex__(self, protocol: Any) -> tuple:
        return type(self), (self.requires_grad, self.device, self.dtype)


class UninitializedBuffer(_Uninitialized, Tensor):
    """A buffer without a shape yet."""

    cls_to_become = Tensor

    def __new__(
        cls, requires_grad: bool = False, device: Any = None, dtype: Any = None, persistent: bool = True
    ) -> Any:
        make: Any = Tensor.__new__
        tensor = make(cls, 0)
        tensor.data = empty(0, device=device, dtype=dtype)
        tensor.requires_grad_(requires_grad)
        tensor.persistent = persistent
        tensor._is_buffer = True
        return tensor

    def __init__(
        self, requires_grad: bool = False, device: Any = None, dtype: Any = None, persistent: bool = True
    ) -> None:
        pass

    def __deepcopy__(self, memo: dict) -> UninitializedBuffer:
        if id(self) not in memo:
            memo[id(self)] = type(self)(self.requires_grad, self.device, self.dtype, self.persistent)
        return memo[id(self)]

    def __reduce_ex__(self, protocol: Any) -> tuple:
        return type(self), (self.requires_grad, self.device, self.dtype, self.persistent)


def is_lazy(param: Any) -> bool:
    """Whether it is an uninitialized parameter or buffer."""
    return isinstance(param, _Uninitialized)
