"""What the continuous relaxations of discrete distributions have in common."""

from __future__ import annotations

from typing import Any

from norch._C import Tensor
from .transformed_distribution import TransformedDistribution

__all__ = ["Relaxed"]


class Relaxed(TransformedDistribution):
    """Has the parameters of the distribution that it transforms: `temperature`, and chances."""

    has_rsample = True  # type: ignore[assignment]

    @property
    def temperature(self) -> Any:
        return self.base_dist.temperature  # type: ignore[attr-defined]

    @property
    def logits(self) -> Tensor:
        return self.base_dist.logits  # type: ignore[attr-defined]

    @property
    def probs(self) -> Tensor:
        return self.base_dist.probs  # type: ignore[attr-defined]
