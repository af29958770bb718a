"""Anomaly mode: a backward that makes a NaN raises and tells which forward op it belongs to."""

from __future__ import annotations

from typing import Any

from norch import _C


class set_detect_anomaly:
    """Switches anomaly mode at once; as a context manager, until the end of the block."""

    def __init__(self, mode: bool, check_nan: bool = True) -> None:
        self._previous = _C._autograd.anomaly_enabled()
        _C._autograd.set_anomaly_enabled(mode, check_nan)

    def __enter__(self) -> None:
        pass

    def __exit__(self, *exc: Any) -> None:
        _C._autograd.set_anomaly_enabled(self._previous)


class detect_anomaly:
    """Anomaly mode for a block."""

    def __init__(self, check_nan: bool = True) -> None:
        self.check_nan = check_nan

    def __enter__(self) -> None:
        self._previous = _C._autograd.anomaly_enabled()
        _C._autograd.set_anomaly_enabled(True, self.check_nan)

    def __exit__(self, *exc: Any) -> None:
        _C._autograd.set_anomaly_enabled(self._previous)
