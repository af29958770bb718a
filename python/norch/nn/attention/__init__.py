"""Choosing the kernel of scaled_dot_product_attention, as in torch.nn.attention."""

from __future__ import annotations

import contextlib
import enum
from typing import Iterator, Sequence

__all__ = ["SDPBackend", "sdpa_kernel"]


class SDPBackend(enum.IntEnum):
    """PyTorch's names of its attention kernels."""

    ERROR = -1
    MATH = 0
    FLASH_ATTENTION = 1
    EFFICIENT_ATTENTION = 2
    CUDNN_ATTENTION = 3
    OVERRIDEABLE = 4


@contextlib.contextmanager
def sdpa_kernel(backends: SDPBackend | Sequence[SDPBackend], set_priority: bool = False) -> Iterator[None]:
    """Accepted: norch chooses the kernel by its operands, and each computes the same function. Raises AssertionError for
    what is no SDPBackend.

        >>> from norch.nn.attention import SDPBackend, sdpa_kernel
        >>> q = norch.ones(1, 2, 3)
        >>> with sdpa_kernel(SDPBackend.MATH):
        ...     F.scaled_dot_product_attention(q, q, q).shape
        norch.Size([1, 2, 3])"""
    chosen = [backends] if isinstance(backends, SDPBackend) else list(backends)
    if not all(isinstance(b, SDPBackend) for b in chosen):
        raise AssertionError("Backend must be an instance of SDPBackend or a list of SDPBackend instances")
    yield
