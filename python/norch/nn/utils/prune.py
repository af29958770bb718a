"""Pruning: parameters with a mask of zeros and ones.

A pruned parameter `weight` becomes the parameter `weight_orig` and the buffer `weight_mask`; `weight` itself is their
product, computed anew before each forward. `remove` makes that product the parameter again.

    >>> layer = norch.nn.Linear(4, 2)
    >>> _ = norch.nn.utils.prune.l1_unstructured(layer, "weight", amount=3)
    >>> int((layer.weight == 0).sum()), sorted(layer.state_dict())
    (3, ['bias', 'weight_mask', 'weight_orig'])
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterable
from numbers import Integral, Real
from typing import Any, Iterator

import norch
from norch._C import Tensor

from .convert_parameters import parameters_to_vector

__all__ = [
    "BasePruningMethod",
    "CustomFromMask",
    "Identity",
    "L1Unstructured",
    "LnStructured",
    "PruningContainer",
    "RandomStructured",
    "RandomUnstructured",
    "custom_from_mask",
    "global_unstructured",
    "identity",
    "is_pruned",
    "l1_unstructured",
    "ln_structured",
    "random_structured",
    "random_unstructured",
    "remove",
]


def _check_amount(amount: Any) -> None:
    if not isinstance(amount, Real):
        raise TypeError(f"Invalid type for amount: {amount}. Must be int or float.")
    if float(amount) < 0 or (not isinstance(amount, Integral) and float(amount) > 1):
        raise ValueError(f"amount={amount} should either be a float in the range [0, 1] or a non-negative integer")


def _how_many(amount: Any, size: int) -> int:
    """How many of `size` things an amount stands for."""
    if not isinstance(amount, Integral):
        return round(amount * size)
    count = int(amount)
    if count > size:
        raise ValueError(f"amount={amount} should be smaller than the number of parameters to prune={size}")
    return count


def _channels(t: Tensor, dim: int) -> int:
    if t.ndim <= 1:
        raise ValueError(
            "Structured pruning can only be applied to multidimensional tensors. "
            f"Found tensor of shape {t.shape} with {t.ndim} dims"
        )
    if dim >= t.ndim or dim < -t.ndim:
        raise IndexError(f"Invalid index {dim} for tensor of size {t.shape}")
    return t.size(dim)


def _at(t: Tensor, dim: int, which: Tensor) -> tuple:
    """The index of certain channels."""
    index: list[Any] = [slice(None)] * t.ndim
    index[dim] = which
    return tuple(index)


class BasePruningMethod(ABC):
    """A way to prune: subclasses define `compute_mask`, and `PRUNING_TYPE`: "unstructured" (single elements),
    "structured" (channels of `self.dim`) or "global"."""

    _tensor_name: str
    PRUNING_TYPE: str

    def __call__(self, module: Any, inputs: Any) -> None:
        setattr(module, self._tensor_name, self.apply_mask(module))

    @abstractmethod
    def compute_mask(self, t: Tensor, default_mask: Tensor) -> Tensor:
        """The mask for `t`, a tensor of importance, on top of `default_mask`."""

    def apply_mask(self, module: Any) -> Tensor:
        """The masked parameter."""
        if not hasattr(self, "_tensor_name"):
            raise AssertionError(f"Module {module} has to be pruned")
        original = getattr(module, self._tensor_name + "_orig")
        return getattr(module, self._tensor_name + "_mask").to(original.dtype) * original

    @classmethod
    def apply(
        cls, module: Any, name: str, *args: Any, importance_scores: Tensor | None = None, **kwargs: Any
    ) -> Any:
        """Prunes the parameter `name` of `module` by cls(*args, **kwargs), which is returned: on top of how it is pruned
        already, then as a PruningContainer. What `importance_scores` (default: the parameter) is least in, goes."""
        found = [(key, hook) for key, hook in _methods(module) if hook._tensor_name == name]
        method: Any = cls(*args, **kwargs)
        method._tensor_name = name
        for key, old in found:
            del module._forward_pre_hooks[key]
            container = old if isinstance(old, PruningContainer) else PruningContainer(old)
            container.add_pruning_method(method)
            method = container
        original = getattr(module, name)
        if importance_scores is None:
            importance_scores = original
        elif importance_scores.shape != original.shape:
            raise AssertionError(
                f"importance_scores should have the same shape as parameter {name} of {module}: "
                f"{tuple(original.shape)}, but it is {tuple(importance_scores.shape)}"
            )
        if found:
            default_mask = getattr(module, name + "_mask").detach().clone(memory_format=norch.contiguous_format)
        else:
            module.register_parameter(name + "_orig", original)
            del module._parameters[name]
            default_mask = norch.ones_like(original)
        try:
            with norch.no_grad():
                mask = method.compute_mask(importance_scores, default_mask)
            module.register_buffer(name + "_mask", mask)
            setattr(module, name, method.apply_mask(module))
            module.register_forward_pre_hook(method)
        except Exception:
            if not found:
                del module._parameters[name + "_orig"]
                module.register_parameter(name, original)
            raise
        return method

    def prune(
        self, t: Tensor, default_mask: Tensor | None = None, importance_scores: Tensor | None = None
    ) -> Tensor:
        """`t` with what this method prunes set to zero."""
        if importance_scores is None:
            importance_scores = t
        elif importance_scores.shape != t.shape:
            raise AssertionError("importance_scores should have the same shape as tensor t")
        if default_mask is None:
            default_mask = norch.ones_like(t)
        return t * self.compute_mask(importance_scores, default_mask=default_mask)

    def remove(self, module: Any) -> None:
        """Makes the masked values the parameter."""
        name = self._tensor_name
        values = self.apply_mask(module)
        if hasattr(module, name):
            delattr(module, name)
        original = module._parameters[name + "_orig"]
        original.data = values.data
        del module._parameters[name + "_orig"]
        del module._buffers[name + "_mask"]
        setattr(module, name, original)


class PruningContainer(BasePruningMethod):
    """Several methods on one parameter, each on what the ones before it have left."""

    def __init__(self, *args: Any) -> None:
        self._pruning_methods: tuple[Any, ...] = ()
        if args and isinstance(args[0], BasePruningMethod):
            self._tensor_name = args[0]._tensor_name
        for method in args:
            self.add_pruning_method(method)

    def add_pruning_method(self, method: Any) -> None:
        """Adds a method for the same parameter."""
        if method is not None and not isinstance(method, BasePruningMethod):
            raise TypeError(f"{type(method)} is not a BasePruningMethod subclass")
        if method is not None and self._tensor_name != method._tensor_name:
            raise ValueError(
                "Can only add pruning methods acting on the parameter named "
                f"'{self._tensor_name}' to PruningContainer {self}. Found '{method._tensor_name}'"
            )
        self._pruning_methods += (method,)

    def __len__(self) -> int:
        return len(self._pruning_methods)

    def __iter__(self) -> Iterator[BasePruningMethod]:
        return iter(self._pruning_methods)

    def __getitem__(self, idx: Any) -> Any:
        return self._pruning_methods[idx]

    def compute_mask(self, t: Tensor, default_mask: Tensor) -> Tensor:
        method: Any = self._pruning_methods[-1]
        if method.PRUNING_TYPE == "unstructured":
            left: Any = default_mask == 1
        elif method.PRUNING_TYPE == "structured":
            others = [d for d in range(t.ndim) if d != method.dim % t.ndim]
            left = _at(t, method.dim, default_mask.sum(others) != 0)
        elif method.PRUNING_TYPE == "global":
            left = (slice(None),) * t.ndim
        else:
            raise ValueError(f"Unrecognized PRUNING_TYPE {method.PRUNING_TYPE}")
        mask = default_mask.to(t.dtype, copy=True)
        mask[left] = method.compute_mask(t[left], default_mask=default_mask[left]).to(t.dtype)
        return mask


class Identity(BasePruningMethod):
    """Prunes nothing, with a mask of ones."""

    PRUNING_TYPE = "unstructured"

    def compute_mask(self, t: Tensor, default_mask: Tensor) -> Tensor:
        return default_mask


class _Elements(BasePruningMethod):
    """Some of the elements: `amount` of them, or that fraction."""

    PRUNING_TYPE = "unstructured"

    def __init__(self, amount: Any) -> None:
        _check_amount(amount)
        self.amount = amount

    def _pick(self, t: Tensor, count: int) -> Tensor:
        """The indices, in the flattened tensor, of the `count` elements to prune."""
        raise NotImplementedError

    def compute_mask(self, t: Tensor, default_mask: Tensor) -> Tensor:
        count = _how_many(self.amount, t.numel())
        mask = default_mask.clone(memory_format=norch.contiguous_format)
        if count != 0:
            mask.view(-1)[self._pick(t, count)] = 0
        return mask


class RandomUnstructured(_Elements):
    """Elements at random: `amount` of them, or that fraction."""

    def _pick(self, t: Tensor, count: int) -> Tensor:
        return norch.rand_like(t).view(-1).topk(count)[1]


class L1Unstructured(_Elements):
    """The smallest elements by absolute value: `amount` of them, or that fraction."""

    def _pick(self, t: Tensor, count: int) -> Tensor:
        return t.abs().reshape(-1).topk(count, largest=False)[1]


class _Channels(BasePruningMethod):
    """Some of the channels of `dim`: `amount` of them, or that fraction."""

    PRUNING_TYPE = "structured"

    def __init__(self, amount: Any, dim: int = -1) -> None:
        _check_amount(amount)
        self.amount = amount
        self.dim = dim

    def _keep(self, t: Tensor, count: int, size: int) -> Tensor:
        """The channels, of `size`, that stay when `count` are pruned: their indices, or which they are."""
        raise NotImplementedError

    def compute_mask(self, t: Tensor, default_mask: Tensor) -> Tensor:
        size = _channels(t, self.dim)
        count = _how_many(self.amount, size)
        if count == 0:
            return default_mask
        mask = norch.zeros_like(t)
        mask[_at(t, self.dim, self._keep(t, count, size))] = 1
        return mask * default_mask.to(mask.dtype)


class RandomStructured(_Channels):
    """Channels of `dim` at random: `amount` of them, or that fraction."""

    def _keep(self, t: Tensor, count: int, size: int) -> Tensor:
        chance = norch.rand(size)
        return (chance > chance.kthvalue(count)[0]).to(t.device)


class LnStructured(_Channels):
    """The channels of `dim` with the least n-norm (as in `norch.norm`): `amount` of them, or that fraction."""

    def __init__(self, amount: Any, n: Any, dim: int = -1) -> None:
        super().__init__(amount, dim)
        self.n = n

    def _keep(self, t: Tensor, count: int, size: int) -> Tensor:
        others = [d for d in range(t.ndim) if d != self.dim % t.ndim]
        return norch.norm(t, p=self.n, dim=others).topk(size - count)[1]


class CustomFromMask(BasePruningMethod):
    """A mask of one's own."""

    PRUNING_TYPE = "global"

    def __init__(self, mask: Tensor) -> None:
        self.mask = mask

    def compute_mask(self, t: Tensor, default_mask: Tensor) -> Tensor:
        if default_mask.shape != self.mask.shape:
            raise AssertionError(f"default_mask shape {default_mask.shape} must match mask shape {self.mask.shape}")
        return default_mask * self.mask.to(default_mask.dtype)


def identity(module: Any, name: str) -> Any:
    """Gives the parameter a mask of ones. Returns the module, as all these functions do."""
    Identity.apply(module, name)
    return module


def random_unstructured(module: Any, name: str, amount: Any) -> Any:
    """Prunes elements at random: `amount` of them (int), or that fraction of those that are left (float)."""
    RandomUnstructured.apply(module, name, amount)
    return module


def l1_unstructured(module: Any, name: str, amount: Any, importance_scores: Tensor | None = None) -> Any:
    """Prunes the elements whose importance (default: value) is smallest by absolute value."""
    L1Unstructured.apply(module, name, amount=amount, importance_scores=importance_scores)
    return module


def random_structured(module: Any, name: str, amount: Any, dim: int) -> Any:
    """Prunes channels of `dim` at random."""
    RandomStructured.apply(module, name, amount, dim)
    return module


def ln_structured(
    module: Any, name: str, amount: Any, n: Any, dim: int, importance_scores: Tensor | None = None
) -> Any:
    """Prunes the channels of `dim` with the least n-norm."""
    LnStructured.apply(module, name, amount, n, dim, importance_scores=importance_scores)
    return module


def global_unstructured(
    parameters: Any, pruning_method: Any, importance_scores: dict | None = None, **kwargs: Any
) -> None:
    """Prunes the parameters of several modules, (module, name) each, together: as if they were one tensor.
    importance_scores: {(module, name): tensor}."""
    if not isinstance(parameters, Iterable):
        raise TypeError("global_unstructured(): parameters is not an Iterable")
    parameters = list(parameters)
    importance_scores = {} if importance_scores is None else importance_scores
    if not isinstance(importance_scores, dict):
        raise TypeError("global_unstructured(): importance_scores must be of type dict")
    tensors = [getattr(module, name) for module, name in parameters]
    scores = [importance_scores.get(key, t) for key, t in zip(parameters, tensors)]
    masks = [getattr(m, name + "_mask", norch.ones_like(t)) for (m, name), t in zip(parameters, tensors)]
    method = pruning_method(**kwargs)
    method._tensor_name = "temp"  # of the tensor that they are, taken together
    container = PruningContainer(method)
    if method.PRUNING_TYPE != "unstructured":
        raise TypeError(
            'Only "unstructured" PRUNING_TYPE supported for the `pruning_method`. '
            f"Found method {pruning_method} of type {method.PRUNING_TYPE}"
        )
    with norch.no_grad():
        mask = container.compute_mask(parameters_to_vector(scores), parameters_to_vector(masks))
    for (module, name), part, t in zip(parameters, mask.split([t.numel() for t in tensors]), tensors):
        custom_from_mask(module, name, mask=part.view_as(t))


def custom_from_mask(module: Any, name: str, mask: Tensor) -> Any:
    """Prunes where `mask` is 0."""
    CustomFromMask.apply(module, name, mask)
    return module


def _methods(module: Any) -> list[tuple[int, BasePruningMethod]]:
    return [(key, hook) for key, hook in module._forward_pre_hooks.items() if isinstance(hook, BasePruningMethod)]


def remove(module: Any, name: str) -> Any:
    """Makes the masked values of a pruned parameter the parameter; the mask goes."""
    for key, hook in _methods(module):
        if hook._tensor_name == name:
            hook.remove(module)
            del module._forward_pre_hooks[key]
            return module
    raise ValueError(f"Parameter '{name}' of module {module} has to be pruned before pruning can be removed")


def is_pruned(module: Any) -> bool:
    """Whether a parameter of the module or of a module in it is pruned."""
    return any(_methods(child) for child in module.modules())
