"""What the old names of norch.amp, in norch.cpu.amp and norch.cuda.amp, have in common."""

from __future__ import annotations

import warnings

from .grad_scaler import GradScaler

__all__ = ["OldGradScaler", "warn_deprecated"]


def warn_deprecated(device: str, name: str) -> None:
    """FutureWarning, where the caller's caller is, that torch.amp's `name` is to be used."""
    warnings.warn(
        f"`torch.{device}.amp.{name}(args...)` is deprecated. Please use `torch.amp.{name}('{device}', args...)` instead.",
        FutureWarning,
        stacklevel=3,
    )


class OldGradScaler(GradScaler):
    """A GradScaler without the parameter `device`: a subclass is for one kind of device."""

    _kind: str

    def __init__(
        self,
        init_scale: float = 2.0**16,
        growth_factor: float = 2.0,
        backoff_factor: float = 0.5,
        growth_interval: int = 2000,
        enabled: bool = True,
    ) -> None:
        warn_deprecated(self._kind, "GradScaler")
        super().__init__(self._kind, init_scale, growth_factor, backoff_factor, growth_interval, enabled)
