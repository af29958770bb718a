"""Handles for hooks kept in ordered dicts."""

from __future__ import annotations

import weakref
from collections import OrderedDict
from typing import Any

__all__ = ["RemovableHandle"]


class RemovableHandle:
    """Removes one hook from the dict it was registered in. Also a context manager."""

    _next_id = 0

    def __init__(self, hooks_dict: Any, *, extra_dict: Any = None) -> None:
        self.hooks_dict_ref = weakref.ref(hooks_dict)
        self.id = RemovableHandle._next_id
        RemovableHandle._next_id += 1
        if extra_dict is None:
            extra_dict = ()
        elif isinstance(extra_dict, dict):
            extra_dict = (extra_dict,)
        self.extra_dict_refs = tuple(weakref.ref(d) for d in extra_dict)

    def remove(self) -> None:
        """Removes the hook; does nothing when it is gone already."""
        for ref in (self.hooks_dict_ref, *self.extra_dict_refs):
            hooks = ref()
            if hooks is not None:
                hooks.pop(self.id, None)

    def __getstate__(self) -> Any:
        return tuple(r() for r in (self.hooks_dict_ref, *self.extra_dict_refs)), self.id

    def __setstate__(self, state: Any) -> None:
        dicts, self.id = state
        # A dict that did not survive is replaced by an empty one, so that remove() stays harmless.
        refs = tuple(weakref.ref(OrderedDict() if d is None else d) for d in dicts)
        self.hooks_dict_ref, self.extra_dict_refs = refs[0], refs[1:]
        RemovableHandle._next_id = max(RemovableHandle._next_id, self.id + 1)

    def __enter__(self) -> RemovableHandle:
        return self

    def __exit__(self, *exc: Any) -> None:
        self.remove()
