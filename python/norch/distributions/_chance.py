"""What the distributions over a chance of success, or over categories, have in common."""

from __future__ import annotations

from typing import Any

from norch._C import Tensor
from .distribution import Distribution
from .utils import broadcast_all, lazy_property, logits_to_probs, probs_to_logits


def check_one_given(probs: Any, logits: Any) -> None:
    """Raises ValueError unless exactly one of the two ways to give chances is used."""
    if (probs is None) == (logits is None):
        raise ValueError("Either `probs` or `logits` must be specified, but not both.")


class OfChance(Distribution):
    """Has chances as `probs` or `logits`: the one that was given, and the other worked out from it when asked for.

    `_is_binary` says whether each element is the chance of one event, or the last dim has those of all categories."""

    _is_binary = True

    def _set_chance(self, probs: Any, logits: Any, *others: Any) -> list[Tensor]:
        """Sets the one of `probs` and `logits` that is given; returns `others`, broadcast with it."""
        check_one_given(probs, logits)
        *others_, chance = broadcast_all(*others, logits if probs is None else probs)
        setattr(self, "logits" if probs is None else "probs", chance)
        return others_

    @lazy_property
    def logits(self) -> Tensor:
        return probs_to_logits(self.probs, is_binary=self._is_binary)

    @lazy_property
    def probs(self) -> Tensor:
        return logits_to_probs(self.logits, is_binary=self._is_binary)

    @property
    def param_shape(self) -> Any:
        return self._param.size()

    @property
    def _param(self) -> Tensor:
        return self.__dict__["probs" if "probs" in self.__dict__ else "logits"]

    def _new(self, *args: Any, **kwargs: Any) -> Tensor:
        return self._param.new(*args, **kwargs)


class OfCount(OfChance):
    """Counts among `total_count` events, each of a chance."""

    def __init__(self, total_count: Any, probs: Any = None, logits: Any = None, validate_args: bool | None = None) -> None:
        (total_count,) = self._set_chance(probs, logits, total_count)
        self.total_count = total_count.type_as(self._param)
        super().__init__(self._param.size(), validate_args=validate_args)


class OfCategorical(Distribution):
    """Has the chances of a Categorical, `_categorical`, whose last dim is the event of this distribution."""

    _categorical: Any

    def _expand_into(self, new: Any, batch_shape: Any) -> None:
        super()._expand_into(new, batch_shape)
        new._categorical = self._categorical.expand(batch_shape)

    @property
    def logits(self) -> Tensor:
        return self._categorical.logits

    @property
    def probs(self) -> Tensor:
        return self._categorical.probs

    @property
    def param_shape(self) -> Any:
        return self._categorical.param_shape
