"""Weight normalisation by a hook before forward."""

from __future__ import annotations

import warnings
from typing import Any, TypeVar

from norch._C import Parameter, Tensor

from ..modules.module import Module
from ..parameter import UninitializedParameter

__all__ = ["WeightNorm", "remove_weight_norm", "weight_norm"]

M = TypeVar("M", bound=Module)


def norm_except_dim(v: Tensor, dim: int) -> Tensor:
    """The 2-norms of the slices along `dim`, in v's number of dims; of the whole tensor for dim -1."""
    return v.norm(2) if dim == -1 else v.norm(2, [d for d in range(v.ndim) if d != dim % v.ndim], keepdim=True)


def scaled(v: Tensor, g: Tensor, dim: int) -> Tensor:
    """g * v / ||v||, the norm taken as in `norm_except_dim`."""
    return v * (g / norm_except_dim(v, dim))


class WeightNorm:
    """The hook that computes the parameter `name` from `name`_g and `name`_v before each forward."""

    def __init__(self, name: str, dim: int | None) -> None:
        self.name = name
        self.dim = -1 if dim is None else dim

    def compute_weight(self, module: Module) -> Tensor:
        """g * v / ||v||."""
        return scaled(getattr(module, self.name + "_v"), getattr(module, self.name + "_g"), self.dim)

    @staticmethod
    def apply(module: Module, name: str, dim: int | None) -> WeightNorm:
        """Registers the hook and the parameters `name`_g and `name`_v in place of `name`."""
        for other in module._forward_pre_hooks.values():
            if isinstance(other, WeightNorm) and other.name == name:
                raise RuntimeError(f"Cannot register two weight_norm hooks on the same parameter {name}")
        hook = WeightNorm(name, dim)
        weight = getattr(module, name)
        if isinstance(weight, UninitializedParameter):
            raise ValueError(
                "The module passed to `WeightNorm` can't have uninitialized parameters. Make sure to run the dummy "
                "forward before applying weight normalization"
            )
        del module._parameters[name]
        module.register_parameter(name + "_g", Parameter(norm_except_dim(weight.detach(), hook.dim)))
        module.register_parameter(name + "_v", Parameter(weight.detach()))
        setattr(module, name, hook.compute_weight(module))
        module.register_forward_pre_hook(hook)
        return hook

    def remove(self, module: Module) -> None:
        """Makes the weight as it is now a parameter again."""
        weight = self.compute_weight(module).detach()
        delattr(module, self.name)
        del module._parameters[self.name + "_g"]
        del module._parameters[self.name + "_v"]
        setattr(module, self.name, Parameter(weight))

    def __call__(self, module: Module, inputs: Any) -> None:
        setattr(module, self.name, self.compute_weight(module))


def weight_norm(module: M, name: str = "weight", dim: int | None = 0) -> M:
    """Splits the parameter `name` into its norms `name`_g, one for each index of `dim` (None: one for all), and its
    direction `name`_v ("Weight Normalization", 2016). The old form: `parametrizations.weight_norm` is the new one."""
    warnings.warn(
        "`norch.nn.utils.weight_norm` is deprecated in favor of `norch.nn.utils.parametrizations.weight_norm`.",
        FutureWarning,
        stacklevel=2,
    )
    WeightNorm.apply(module, name, dim)
    return module


def remove_weight_norm(module: M, name: str = "weight") -> M:
    """Undoes `weight_norm`: `name` is a parameter again. ValueError if there is none."""
    for key, hook in module._forward_pre_hooks.items():
        if isinstance(hook, WeightNorm) and hook.name == name:
            hook.remove(module)
            del module._forward_pre_hooks[key]
            return module
    raise ValueError(f"weight_norm of '{name}' not found in {module}")
