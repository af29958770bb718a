"""torch.jit.annotations: the names of `typing` that old programs import from there."""

from __future__ import annotations

from typing import Any, Dict, List, Optional, Tuple, Union

__all__ = [
    "Any",
    "BroadcastingList1",
    "BroadcastingList2",
    "BroadcastingList3",
    "Dict",
    "List",
    "Optional",
    "Tuple",
    "Union",
]


class _BroadcastingList:
    """`BroadcastingList2[int]` is `int`: one number that stands for a list of two as well."""

    def __getitem__(self, types: Any) -> Any:
        return types


BroadcastingList1 = BroadcastingList2 = BroadcastingList3 = _BroadcastingList()
