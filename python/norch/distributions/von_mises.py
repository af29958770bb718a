"""The von Mises distribution of angles."""

from __future__ import annotations

from typing import Any

import math
import norch
from norch._C import Tensor
from . import constraints
from ._location import AroundLoc
from .utils import broadcast_all, lazy_property

__all__ = ["VonMises"]


def _log_bessel(x: Tensor, order: int) -> Tensor:
    """The logarithm of the modified Bessel function of order 0 or 1."""
    scaled = norch.special.i0e(x) if order == 0 else norch.special.i1e(x)
    return scaled.log() + x


class VonMises(AroundLoc):
    """Angles, in radians, of density proportional to exp(concentration cos(x - loc)); samples are in [-pi, pi). Drawn by
    rejection (Best and Fisher, 1979), in float64."""

    arg_constraints = {"loc": constraints.real, "concentration": constraints.positive}
    support = constraints.real
    has_rsample = False
    _expanded = {"loc": 0, "concentration": 0}

    def __init__(self, loc: Any, concentration: Any, validate_args: bool | None = None) -> None:
        self.loc, self.concentration = broadcast_all(loc, concentration)
        super().__init__(self.loc.size(), validate_args=validate_args)

    def log_prob(self, value: Tensor) -> Tensor:
        if self._validate_args:
            self._validate_sample(value)
        return (
            self.concentration * norch.cos(value - self.loc)
            - math.log(2 * math.pi)
            - _log_bessel(self.concentration, 0)
        )

    @lazy_property
    def _proposal_r(self) -> Tensor:
        """The parameter of the wrapped Cauchy distribution that samples are proposed from; its series near 0."""
        kappa = self.concentration.double()
        tau = 1 + (1 + 4 * kappa**2).sqrt()
        rho = (tau - (2 * tau).sqrt()) / (2 * kappa)
        return norch.where(kappa < 1e-5, 1 / kappa + kappa, (1 + rho**2) / (2 * rho))

    def sample(self, sample_shape: Any = norch.Size()) -> Tensor:
        with norch.no_grad():
            shape = self._extended_shape(sample_shape)
            loc, concentration, r = self.loc.double(), self.concentration.double(), self._proposal_r
            x = norch.full(shape, math.nan, dtype=norch.float64, device=loc.device)
            # Nothing could be accepted for a concentration that is no positive number.
            done = ~((concentration > 0) & concentration.isfinite()).expand(shape)
            while not done.all():
                u1, u2, u3 = norch.rand((3,) + tuple(shape), dtype=norch.float64, device=loc.device).unbind()
                z = norch.cos(math.pi * u1)
                f = (1 + r * z) / (r + z)
                c = concentration * (r - f)
                accept = ((c * (2 - c) - u2) > 0) | ((c / u2).log() + 1 - c >= 0)
                x = norch.where(accept, (u3 - 0.5).sign() * f.acos(), x)
                done = done | accept
            return ((x + math.pi + loc) % (2 * math.pi) - math.pi).to(self.loc.dtype)

    @lazy_property
    def variance(self) -> Tensor:  # type: ignore[override]
        """The circular variance, 1 - I1 / I0."""
        return 1 - norch.special.i1e(self.concentration) / norch.special.i0e(self.concentration)
