"""Modules of settings, as torch._dynamo.config and torch._inductor.config are: plain values that programs read, set and
patch for a while."""

from __future__ import annotations

from contextlib import ContextDecorator
from types import ModuleType
from typing import Any, Mapping

__all__ = ["ConfigModule", "ConfigPatch", "install_config_module"]

_MISSING = object()


def _place(module: ModuleType, name: str) -> tuple[Any, str]:
    """The object that has the setting, and its name there: "triton.cudagraphs" belongs to the class `triton`."""
    *owners, last = name.split(".")
    place: Any = module
    for owner in owners:
        place = getattr(place, owner)
    return place, last


class ConfigPatch(ContextDecorator):
    """Other settings while a context lasts, or while a decorated function runs."""

    def __init__(self, module: ModuleType, changes: Mapping[str, Any]) -> None:
        self.changes = {_place(module, name): value for name, value in changes.items()}
        self.before: list[dict[tuple[Any, str], Any]] = []  # of every context that this one is entered in

    def __enter__(self) -> None:
        self.before.append({(place, name): getattr(place, name, _MISSING) for place, name in self.changes})
        for (place, name), value in self.changes.items():
            setattr(place, name, value)

    def __exit__(self, *exc: object) -> None:
        for (place, name), value in self.before.pop().items():
            if value is _MISSING:
                delattr(place, name)
            else:
                setattr(place, name, value)


class ConfigModule(ModuleType):
    """What a module of settings has beside them. Settings that norch does not list can be set as well."""

    def patch(self, arg: str | Mapping[str, Any] | None = None, value: Any = None, **changes: Any) -> ConfigPatch:
        """patch(name=value, ...), patch("name", value) or patch({"name": value}): a context manager and decorator.

        Example:
            >>> import norch._inductor.config as config
            >>> with config.patch({"triton.cudagraphs": True}, max_autotune=True):
            ...     config.max_autotune, config.triton.cudagraphs
            (True, True)
            >>> config.max_autotune
            False
        """
        if arg is not None:
            changes.update({arg: value} if isinstance(arg, str) else arg)
        return ConfigPatch(self, changes)

    def get_config_copy(self) -> dict[str, Any]:
        """The settings by name, without those of the classes in the module."""
        return {name: value for name, value in vars(self).items() if name[0] != "_" and not isinstance(value, type)}

    def load_config(self, maybe_pickled_config: Mapping[str, Any]) -> None:
        """Sets what get_config_copy returned. Pickled bytes, which PyTorch takes too, raise TypeError."""
        if not isinstance(maybe_pickled_config, Mapping):
            raise TypeError(f"load_config: expected a mapping of names to values, got {type(maybe_pickled_config).__name__}")
        for name, value in maybe_pickled_config.items():
            setattr(self, name, value)


def install_config_module(module: ModuleType) -> None:
    """Makes the module a ConfigModule: for the end of a file of settings, with sys.modules[__name__]."""
    module.__class__ = ConfigModule
