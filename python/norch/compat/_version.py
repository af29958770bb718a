"""A version string that compares by its numbers, as `torch.__version__` does."""

from __future__ import annotations

import re
from typing import Any

__all__ = ["TorchVersion"]


def _release(version: Any) -> tuple[int, ...] | None:
    """The numbers of "2.13.0+x", of (2, 13) or of a packaging.version.Version; None for anything else."""
    if isinstance(version, tuple):
        numbers = list(version)
    else:
        found = re.match(r"v?(\d+(?:\.\d+)*)", str(version))
        if not found:
            return None
        numbers = [int(n) for n in found.group(1).split(".")]
    if not all(isinstance(n, int) for n in numbers):
        return None
    while numbers and numbers[-1] == 0:
        numbers.pop()
    return tuple(numbers)


class TorchVersion(str):
    """A str whose order is that of version numbers: TorchVersion("2.13.0") > "2.2". Equality with a full string is
    that of strings; with a shorter version or a tuple it compares the numbers."""

    def _compare(self, other: Any) -> int:
        mine, theirs = _release(str(self)), _release(other)
        if mine is None or theirs is None:
            return (str(self) > str(other)) - (str(self) < str(other))
        return (mine > theirs) - (mine < theirs)

    def __lt__(self, other: Any) -> bool:
        return self._compare(other) < 0

    def __le__(self, other: Any) -> bool:
        return self._compare(other) <= 0

    def __gt__(self, other: Any) -> bool:
        return self._compare(other) > 0

    def __ge__(self, other: Any) -> bool:
        return self._compare(other) >= 0

    def __eq__(self, other: Any) -> bool:
        return self._compare(other) == 0

    def __ne__(self, other: Any) -> bool:
        return self._compare(other) != 0

    def __hash__(self) -> int:
        return hash(str(self))
