"""`GradScaler` for 'cpu'."""

from norch.amp._old_names import OldGradScaler

__all__ = ["GradScaler"]


class GradScaler(OldGradScaler):
    """`norch.amp.GradScaler("cpu", ...)`, which is to be used instead."""

    _kind = "cpu"
