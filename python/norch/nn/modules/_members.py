"""Walking a module tree: parameters, buffers, children, and lookups by dotted name."""

from __future__ import annotations

from typing import Any, Callable, Iterator

from norch._C import Parameter, Tensor

__all__ = ["MembersMixin", "ParameterIterator"]


class ParameterIterator:
    """What `Module.parameters()` returns: an iterator over tensors that still knows where each lives.

    `triples` iterates over the remaining `(module, name, parameter)`; both advance together. Optimizers
    read it, so that a user's optimizer can assign through `setattr(module, name, value)`.
    """

    __slots__ = ("triples",)

    def __init__(self, triples: Iterator[tuple[Any, str, Parameter]]) -> None:
        self.triples = triples

    def __iter__(self) -> ParameterIterator:
        return self

    def __next__(self) -> Parameter:
        return next(self.triples)[2]


class MembersMixin:
    """The read-only part of `Module`'s tree."""

    _parameters: Any
    _buffers: Any
    _modules: Any

    def _walk(self, registry: str, prefix: str, recurse: bool, unique: bool) -> Iterator[tuple[Any, str, str, Any]]:
        """(module, name, dotted name, member) of every member that isn't None."""
        seen: set = set()
        modules = self.named_modules(prefix=prefix, remove_duplicate=unique) if recurse else [(prefix, self)]
        for module_prefix, module in modules:
            for name, member in list(getattr(module, registry).items()):
                if member is None or member in seen:
                    continue
                if unique:
                    seen.add(member)
                yield module, name, f"{module_prefix}.{name}" if module_prefix else name, member

    def _named_members(
        self, get_members_fn: Callable, prefix: str = "", recurse: bool = True, remove_duplicate: bool = True
    ) -> Iterator[tuple[str, Any]]:
        """Dotted names and members, where `get_members_fn(module)` lists one module's `(name, member)`."""
        seen: set = set()
        modules = self.named_modules(prefix=prefix, remove_duplicate=remove_duplicate) if recurse else [(prefix, self)]
        for module_prefix, module in modules:
            for name, member in get_members_fn(module):
                if member is None or member in seen:
                    continue
                if remove_duplicate:
                    seen.add(member)
                yield f"{module_prefix}.{name}" if module_prefix else name, member

    def parameters(self, recurse: bool = True) -> Iterator[Parameter]:
        """Iterates over the parameters, each once, this module's first."""
        return ParameterIterator(
            (module, name, p) for module, name, _, p in self._walk("_parameters", "", recurse, True)
        )

    def named_parameters(
        self, prefix: str = "", recurse: bool = True, remove_duplicate: bool = True
    ) -> Iterator[tuple[str, Parameter]]:
        """Iterates over `(dotted name, parameter)`."""
        for _, _, name, p in self._walk("_parameters", prefix, recurse, remove_duplicate):
            yield name, p

    def buffers(self, recurse: bool = True) -> Iterator[Tensor]:
        """Iterates over the buffers, each once."""
        for _, _, _, b in self._walk("_buffers", "", recurse, True):
            yield b

    def named_buffers(
        self, prefix: str = "", recurse: bool = True, remove_duplicate: bool = True
    ) -> Iterator[tuple[str, Tensor]]:
        """Iterates over `(dotted name, buffer)`."""
        for _, _, name, b in self._walk("_buffers", prefix, recurse, remove_duplicate):
            yield name, b

    def children(self) -> Iterator[Any]:
        """Iterates over the direct child modules, each once."""
        for _, module in self.named_children():
            yield module

    def named_children(self) -> Iterator[tuple[str, Any]]:
        """Iterates over `(name, module)` of the direct children, each module once."""
        seen = set()
        for name, module in self._modules.items():
            if module is not None and module not in seen:
                seen.add(module)
                yield name, module

    def modules(self, remove_duplicate: bool = True) -> Iterator[Any]:
        """Iterates over this module and all below it, each once unless `remove_duplicate` is False."""
        for _, module in self.named_modules(remove_duplicate=remove_duplicate):
            yield module

    def named_modules(
        self, memo: set | None = None, prefix: str = "", remove_duplicate: bool = True
    ) -> Iterator[tuple[str, Any]]:
        """Iterates over `(dotted name, module)` of this module (name `prefix`) and all below it."""
        if memo is None:
            memo = set()
        if self in memo:
            return
        if remove_duplicate:
            memo.add(self)
        yield prefix, self
        for name, module in self._modules.items():
            if module is not None:
                yield from module.named_modules(memo, f"{prefix}.{name}" if prefix else name, remove_duplicate)

    def get_submodule(self, target: str) -> Any:
        """The module of the dotted name `target` ("" is this module). Raises AttributeError."""
        module: Any = self
        for item in target.split(".") if target else ():
            if not hasattr(module, item):
                raise AttributeError(f"{module._get_name()} has no attribute `{item}`")
            module = getattr(module, item)
            if not isinstance(module, MembersMixin):
                raise AttributeError(f"`{item}` is not an nn.Module")
        return module

    def set_submodule(self, target: str, module: Any, strict: bool = False) -> None:
        """Puts `module` at the dotted name `target`; with `strict` the name must exist."""
        if target == "":
            raise ValueError("Cannot set the submodule without a target name!")
        if not isinstance(module, MembersMixin):
            raise ValueError(f"`module` is not an nn.Module, found {type(module)}")
        path, _, name = target.rpartition(".")
        parent = self.get_submodule(path)
        if strict and not hasattr(parent, name):
            raise AttributeError(f"{parent._get_name()} has no attribute `{name}`")
        if hasattr(parent, name) and not isinstance(getattr(parent, name), MembersMixin):
            raise AttributeError(f"`{name}` is not an nn.Module")
        setattr(parent, name, module)

    def get_parameter(self, target: str) -> Parameter:
        """The parameter of the dotted name `target`. Raises AttributeError."""
        path, _, name = target.rpartition(".")
        module = self.get_submodule(path)
        if not hasattr(module, name):
            raise AttributeError(f"{module._get_name()} has no attribute `{name}`")
        p = getattr(module, name)
        if not isinstance(p, Parameter):
            raise AttributeError(f"`{name}` is not an nn.Parameter")
        return p

    def get_buffer(self, target: str) -> Tensor:
        """The buffer of the dotted name `target`. Raises AttributeError."""
        path, _, name = target.rpartition(".")
        module = self.get_submodule(path)
        if not hasattr(module, name):
            raise AttributeError(f"{module._get_name()} has no attribute `{name}`")
        if name not in module._buffers:
            raise AttributeError(f"`{name}` is not a buffer")
        return getattr(module, name)
