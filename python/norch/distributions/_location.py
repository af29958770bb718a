"""What the distributions around a location have in common."""

from __future__ import annotations

from typing import Any

from norch._C import Tensor
from . import constraints
from .distribution import Distribution
from .utils import broadcast_all

__all__ = ["AroundLoc", "LocScale"]


class AroundLoc(Distribution):
    """Symmetric around its parameter `loc`, which is mean and mode."""

    loc: Tensor

    @property
    def mean(self) -> Tensor:
        return self.loc

    @property
    def mode(self) -> Tensor:
        return self.loc


class LocScale(AroundLoc):
    """A distribution of real numbers, moved by `loc` and multiplied by `scale` > 0."""

    arg_constraints = {"loc": constraints.real, "scale": constraints.positive}
    support = constraints.real
    has_rsample = True

    def __init__(self, loc: Any, scale: Any, validate_args: bool | None = None) -> None:
        self.loc, self.scale = broadcast_all(loc, scale)
        super().__init__(self.loc.size(), validate_args=validate_args)
