"""Flags of cuDNN. norch chooses deterministic algorithms without TF32, whatever they say."""

from __future__ import annotations

import contextlib
from typing import Any, Iterator

from norch import cuda as _cuda

__all__ = ["allow_tf32", "benchmark", "benchmark_limit", "deterministic", "enabled", "flags", "is_acceptable", "is_available", "version"]

enabled: bool = True
benchmark: bool = False
benchmark_limit: int = 10
deterministic: bool = True
allow_tf32: bool = False
fp32_precision: str = "ieee"


def is_available() -> bool:
    """Whether convolutions and attention on the GPU may use cuDNN: it is opened when first needed, where it is installed."""
    return _cuda.is_available()


def version() -> int | None:
    """None: norch does not depend on one version of cuDNN."""
    return None


def is_acceptable(tensor: Any) -> bool:
    """Whether a tensor of a GPU has a dtype that cuDNN computes with."""
    return is_available() and tensor.is_cuda and tensor.is_floating_point()


@contextlib.contextmanager
def flags(
    enabled: bool = False,
    benchmark: bool = False,
    benchmark_limit: int = 10,
    deterministic: bool = False,
    allow_tf32: bool = True,
    fp32_precision: str = "none",
) -> Iterator[None]:
    """Accepted as in PyTorch; nothing changes inside."""
    yield
