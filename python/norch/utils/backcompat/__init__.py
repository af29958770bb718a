"""torch.utils.backcompat: switches for warnings about what changed before PyTorch 0.3. norch has no such warnings, so
that the switches are kept and have no effect."""

from __future__ import annotations

__all__ = ["broadcast_warning", "keepdim_warning"]


class _Switch:
    enabled = False


broadcast_warning = _Switch()
keepdim_warning = _Switch()
