"""Versions: norch's own, and that of the CUDA toolkit it was built with."""

from __future__ import annotations

from norch import _C

__all__ = ["__version__", "cuda", "debug", "git_version", "hip", "xpu"]

__version__: str = _C.__version__
#: "12.4" or the like where this build has CUDA, else None.
cuda: str | None = _C._cuda_toolkit and ".".join(_C._cuda_toolkit.split(".")[:2])
hip: str | None = None
xpu: str | None = None
debug: bool = False
git_version: str = "Unknown"
