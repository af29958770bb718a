"""`Module`: the base class of layers and models, with PyTorch's behaviour.

Registered parameters, buffers and submodules live in `_parameters`, `_buffers` and `_modules`, and are
mirrored into the instance's `__dict__`, so that `self.weight` in a forward is an ordinary attribute
lookup. The three registries are dicts that keep the mirror right, also when they are edited directly.
"""

from __future__ import annotations

from collections import OrderedDict
from typing import Any, Callable, TypeVar

import norch
from norch._C import Parameter, Tensor
from norch.autograd import no_grad

from ..parameter import Buffer, is_lazy
from ._hooks import HooksMixin, registered
from ._members import MembersMixin
from ._registry import Registry, _addindent, parse_to, typename
from ._state_dict import StateDictMixin
from ._state_dict import _WrappedHook as _WrappedHook

__all__ = ["Module"]

T = TypeVar("T", bound="Module")


_REGISTRIES = frozenset(("_parameters", "_buffers", "_modules"))
_HOOK_DICTS = (
    "_backward_pre_hooks",
    "_backward_hooks",
    "_forward_hooks",
    "_forward_hooks_with_kwargs",
    "_forward_hooks_always_called",
    "_forward_pre_hooks",
    "_forward_pre_hooks_with_kwargs",
    "_state_dict_hooks",
    "_state_dict_pre_hooks",
    "_load_state_dict_pre_hooks",
    "_load_state_dict_post_hooks",
)


class Module(HooksMixin, StateDictMixin, MembersMixin):
    """Base class of all layers and models.

    Assign parameters and submodules as attributes in `__init__` (after `super().__init__()`), compute in
    `forward`, call the module itself. As in PyTorch, with one addition: assigning a plain tensor to a
    registered parameter's name copies its values into the parameter (PyTorch raises TypeError)."""

    training: bool
    call_super_init: bool = False  # whether __init__ passes its arguments on, to the next class of a multiple inheritance
    dump_patches: bool = False

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        if kwargs and not self.call_super_init:
            raise TypeError(f"{type(self).__name__}.__init__() got an unexpected keyword argument '{next(iter(kwargs))}'")
        if args and not self.call_super_init:
            raise TypeError(
                f"{type(self).__name__}.__init__() takes 1 positional argument but {len(args) + 1} were given"
            )
        attributes = self.__dict__
        attributes["training"] = True
        attributes["_non_persistent_buffers_set"] = set()
        for name in _HOOK_DICTS:
            attributes[name] = OrderedDict()
        for name in ("_parameters", "_buffers", "_modules"):
            attributes[name] = Registry(self)
        if self.call_super_init:
            super().__init__(*args, **kwargs)

    def forward(self, *input: Any) -> Any:
        """Computes the module's output; every subclass defines it."""
        raise NotImplementedError(f'Module [{type(self).__name__}] is missing the required "forward" function')

    def _check_name(self, what: str, name: Any, registry: dict) -> None:
        if not isinstance(name, str):
            raise TypeError(f"{what} name should be a string. Got {typename(name)}")
        if "." in name:
            raise KeyError(f'{what} name can\'t contain "."' + (f", got: {name}" if what == "module" else ""))
        if name == "":
            raise KeyError(f'{what} name can\'t be empty string ""')
        if hasattr(self, name) and name not in registry:
            raise KeyError(f"attribute '{name}' already exists")

    def register_parameter(self, name: str, param: Parameter | None) -> None:
        """Registers `param` (or None: a parameter that this module does without) under `name`."""
        params = self._registry("_parameters", "parameter")
        self._check_name("parameter", name, params)
        if param is not None:
            if not isinstance(param, Parameter):
                raise TypeError(
                    f"cannot assign '{typename(param)}' object to parameter '{name}' "
                    "(norch.nn.Parameter or None required)"
                )
            if param.grad_fn is not None:
                raise ValueError(
                    f"Cannot assign non-leaf Tensor to parameter '{name}'. Model parameters must be created "
                    f"explicitly. To express '{name}' as a function of another Tensor, compute the value in "
                    "the forward() method."
                )
        params[name] = registered("parameter", self, name, param)

    def register_buffer(self, name: str, tensor: Tensor | None, persistent: bool = True) -> None:
        """Registers a tensor that is no parameter; `state_dict` holds it if `persistent`."""
        buffers = self._registry("_buffers", "buffer")
        self._check_name("buffer", name, buffers)
        if tensor is not None and not isinstance(tensor, Tensor):
            raise TypeError(
                f"cannot assign '{typename(tensor)}' object to buffer '{name}' (norch Tensor or None required)"
            )
        buffers[name] = registered("buffer", self, name, tensor)
        if persistent:
            self._non_persistent_buffers_set.discard(name)
        else:
            self._non_persistent_buffers_set.add(name)

    def add_module(self, name: str, module: Module | None) -> None:
        """Registers a child module (or None) under `name`."""
        modules = self._registry("_modules", "module")
        if module is not None and not isinstance(module, Module):
            raise TypeError(f"{typename(module)} is not a Module subclass")
        self._check_name("module", name, modules)
        modules[name] = registered("module", self, name, module)

    register_module = add_module

    def _registry(self, registry: str, what: str) -> dict:
        found = self.__dict__.get(registry)
        if found is None:
            raise AttributeError(f"cannot assign {what} before Module.__init__() call")
        return found

    def _forget(self, name: str, keep: str) -> None:
        """Drops `name` from the other registries and the plain attributes, before it is registered."""
        attributes = self.__dict__
        if name in attributes.get(keep, ()):
            return
        for registry in _REGISTRIES:
            if name in attributes.get(registry, ()):
                del attributes[registry][name]
        attributes.get("_non_persistent_buffers_set", set()).discard(name)
        attributes.pop(name, None)

    def __setattr__(self, name: str, value: Any) -> None:
        attributes = self.__dict__
        if isinstance(value, Parameter):
            self._registry("_parameters", "parameters")
            self._forget(name, "_parameters")
            self.register_parameter(name, value)
        elif isinstance(value, Module):
            # Not by add_module: it asks for an attribute of that name, which a subclass's __getattr__ may look for here.
            modules = self._registry("_modules", "module")
            self._forget(name, "_modules")
            modules[name] = registered("module", self, name, value)
        elif isinstance(value, Tensor) and isinstance(value, Buffer):
            self._registry("_buffers", "buffers")
            self._forget(name, "_buffers")
            self.register_buffer(name, value, value.persistent)  # type: ignore[attr-defined]
        elif name in attributes.get("_parameters", ()):
            if value is None:
                self.register_parameter(name, None)
            else:
                self._replace_value(name, value)
        elif name in attributes.get("_modules", ()):
            if value is not None:
                raise TypeError(
                    f"cannot assign '{typename(value)}' as child module '{name}' (norch.nn.Module or None expected)"
                )
            attributes["_modules"][name] = None
        elif name in attributes.get("_buffers", ()):
            if value is not None and not isinstance(value, Tensor):
                raise TypeError(f"cannot assign '{typename(value)}' as buffer '{name}' (norch.Tensor or None expected)")
            attributes["_buffers"][name] = value
        elif name in _REGISTRIES:
            old = attributes.get(name)
            if old is not None:
                for member in old:
                    attributes.pop(member, None)
            attributes[name] = Registry(self, value)
        else:
            object.__setattr__(self, name, value)

    def _replace_value(self, name: str, value: Any) -> None:
        """A plain tensor assigned to a parameter's name: the parameter stays, and takes the values. Under norch.compat it
        is an error, as in PyTorch."""
        param = self._parameters[name]
        if param is None or not isinstance(value, Tensor) or norch._C._package_name() == "torch":
            raise TypeError(
                f"cannot assign '{typename(value)}' as parameter '{name}' (norch.nn.Parameter or None expected)"
            )
        if value.shape != param.shape:
            raise RuntimeError(
                f"cannot assign a tensor of shape {tuple(value.shape)} to parameter '{name}' of shape "
                f"{tuple(param.shape)}: assign an nn.Parameter to change the shape"
            )
        with no_grad():
            param.copy_(value)

    def __delattr__(self, name: str) -> None:
        for registry in ("_parameters", "_buffers", "_modules"):
            if name in self.__dict__.get(registry, ()):
                del self.__dict__[registry][name]
                self._non_persistent_buffers_set.discard(name)
                return
        object.__delattr__(self, name)

    def __getattr__(self, name: str) -> Any:
        # Reached for names that are not mirrored: in classes with a __getattr__ of their own, which calls this one.
        attributes = self.__dict__
        for registry in ("_parameters", "_buffers", "_modules"):
            members = attributes.get(registry)
            if members is not None and name in members:
                return members[name]
        raise AttributeError(f"'{type(self).__name__}' object has no attribute '{name}'")

    _plain_getattr = __getattr__  # by which Registry sees whether a class has another one

    def __getstate__(self) -> dict:
        """The attributes as PyTorch's modules have them: members in three plain dicts, and nowhere else."""
        state = self.__dict__.copy()
        for name in ("_parameters", "_buffers", "_modules"):
            members = state.get(name) or {}
            for key, member in members.items():
                if state.get(key) is member:
                    del state[key]
            state[name] = dict(members)
        return state

    def __setstate__(self, state: dict) -> None:
        attributes = self.__dict__
        attributes.update(state)
        for name in _HOOK_DICTS:
            attributes.setdefault(name, OrderedDict())
        if any(attributes[name] for name in _HOOK_DICTS):  # PyTorch's modules, read from a file, lack the flag
            attributes["_hooked"] = True
        attributes.setdefault("_non_persistent_buffers_set", set())
        for name in ("_parameters", "_buffers", "_modules"):
            attributes[name] = Registry(self, attributes.get(name))

    # -- changing all tensors -------------------------------------------------------------------

    def _apply(self: T, fn: Callable[[Tensor], Tensor], recurse: bool = True) -> T:
        if recurse:
            for module in self.children():
                module._apply(fn)
        for param in self._parameters.values():
            if param is None:
                continue
            grad = param.grad
            with no_grad():
                new = fn(param)
                new_grad = None if grad is None else fn(grad)
            if new is not param:
                param.grad = None
                param.data = new
                if new_grad is not None:
                    param.grad = new_grad.requires_grad_(grad.requires_grad)
        for name, buf in self._buffers.items():
            if is_lazy(buf):
                buf.data = fn(buf)  # still without a shape
            elif buf is not None:
                self._buffers[name] = fn(buf)
        return self

    def share_memory(self: T) -> T:
        """Moves parameters and buffers to memory that processes share; see `Tensor.share_memory_`."""
        return self._apply(lambda t: t.share_memory_())

    def apply(self: T, fn: Callable[[Module], Any]) -> T:
        """Calls `fn` on every module below and on this one, children first. Returns self."""
        for module in self.children():
            module.apply(fn)
        fn(self)
        return self

    def to(self: T, *args: Any, **kwargs: Any) -> T:
        """Moves and casts parameters and buffers in place: `to(device)`, `to(dtype)`, `to(device, dtype)`,
        `to(tensor)`, with `non_blocking`. dtype must be floating point, and leaves integers alone.
        `memory_format=norch.channels_last` (`channels_last_3d`) lays out the 4-d (5-d) ones in that format."""
        device, dtype, non_blocking, memory_format = parse_to(*args, **kwargs)
        if dtype is not None and not dtype.is_floating_point:
            raise TypeError(f"nn.Module.to only accepts floating point dtypes, but got desired dtype={dtype}")

        def convert(t: Tensor) -> Tensor:
            target = dtype if dtype is not None and t.is_floating_point() else t.dtype
            keep = memory_format is None or t.dim() not in (4, 5)
            return t.to(t.device if device is None else device, target, non_blocking,
                        memory_format=None if keep else memory_format)

        return self._apply(convert)

    def to_empty(self: T, *, device: Any, recurse: bool = True) -> T:
        """Moves parameters and buffers to `device` without their values: memory as it comes."""
        return self._apply(lambda t: norch.empty_like(t, device=device), recurse=recurse)

    def cuda(self: T, device: Any = None) -> T:
        """Moves all parameters and buffers to a CUDA device (default: the current one)."""
        return self._apply(lambda t: t.cuda(device))

    def cpu(self: T) -> T:
        """Moves all parameters and buffers to the CPU."""
        return self._apply(lambda t: t.cpu())

    def type(self: T, dst_type: Any) -> T:
        """Casts all parameters and buffers."""
        return self._apply(lambda t: t.type(dst_type))

    def _cast_floating(self: T, dtype: Any) -> T:
        return self._apply(lambda t: t.to(dtype) if t.is_floating_point() else t)

    def float(self: T) -> T:
        """Casts floating-point parameters and buffers to float32."""
        return self._cast_floating(norch.float32)

    def double(self: T) -> T:
        """Casts floating-point parameters and buffers to float64."""
        return self._cast_floating(norch.float64)

    def half(self: T) -> T:
        """Casts floating-point parameters and buffers to float16."""
        return self._cast_floating(norch.float16)

    def bfloat16(self: T) -> T:
        """Casts floating-point parameters and buffers to bfloat16."""
        return self._cast_floating(norch.bfloat16)

    def train(self: T, mode: bool = True) -> T:
        """Sets training mode (Dropout, BatchNorm) here and in all submodules."""
        if not isinstance(mode, bool):
            raise ValueError("training mode is expected to be boolean")
        self.training = mode
        for module in self.children():
            module.train(mode)
        return self

    def eval(self: T) -> T:
        """`train(False)`."""
        return self.train(False)

    def compile(self, *args: Any, **kwargs: Any) -> None:
        """Does nothing: a module runs as it is written. The arguments are accepted for PyTorch's sake."""

    def requires_grad_(self: T, requires_grad: bool = True) -> T:
        """Sets `requires_grad` of all parameters."""
        for p in self.parameters():
            p.requires_grad_(requires_grad)
        return self

    def zero_grad(self, set_to_none: bool = True) -> None:
        """Clears the gradients of all parameters: to None, or to zeros."""
        norch._C._optim.zero_grad(list(self.parameters()), set_to_none)

    # -- text -----------------------------------------------------------------------------------

    def _get_name(self) -> str:
        return type(self).__name__

    def extra_repr(self) -> str:
        """What `repr` shows between the parentheses; subclasses override it."""
        return ""

    def __repr__(self) -> str:
        extra = self.extra_repr()
        extra_lines = extra.split("\n") if extra else []
        child_lines = [f"({name}): " + _addindent(repr(module)) for name, module in self._modules.items()]
        if len(extra_lines) == 1 and not child_lines:
            return f"{self._get_name()}({extra_lines[0]})"
        lines = extra_lines + child_lines
        return f"{self._get_name()}(" + ("\n  " + "\n  ".join(lines) + "\n" if lines else "") + ")"

    def __dir__(self) -> list[str]:
        return sorted(key for key in super().__dir__() if not key[0].isdigit())
