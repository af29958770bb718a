"""Tensors to and from other frameworks without a copy, by the DLPack protocol."""

from __future__ import annotations

from typing import Any

from norch import Tensor, from_dlpack

__all__ = ["from_dlpack", "to_dlpack"]


def to_dlpack(tensor: Tensor) -> Any:
    """A DLPack capsule on the tensor's memory, which one consumer may take."""
    return tensor.__dlpack__()
