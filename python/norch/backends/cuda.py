"""Flags of matrix products and attention on the GPU: matmul.allow_tf32 has an effect, the others are accepted."""

from __future__ import annotations

import contextlib
from typing import Iterator

import norch
from norch._C import _cuda
from norch.backends._precision import AllowsTf32

__all__ = [
    "cudnn_sdp_enabled",
    "enable_cudnn_sdp",
    "enable_flash_sdp",
    "enable_math_sdp",
    "enable_mem_efficient_sdp",
    "flash_sdp_enabled",
    "is_built",
    "math_sdp_enabled",
    "matmul",
    "mem_efficient_sdp_enabled",
    "sdp_kernel",
]


class _Matmul(AllowsTf32):
    """torch.backends.cuda.matmul's attributes. With `allow_tf32` (or fp32_precision "tf32"; at first it is False, "ieee")
    products of float32 and complex64 on GPUs may round their factors to TF32: see set_float32_matmul_precision."""

    allow_fp16_reduced_precision_reduction: bool = False
    allow_bf16_reduced_precision_reduction: bool = False
    allow_fp16_accumulation: bool = False

    _allowed = staticmethod(_cuda._matmul_tf32)
    _allow = staticmethod(_cuda._set_matmul_tf32)

    def __setattr__(self, name: str, value: object) -> None:
        if not hasattr(type(self), name):
            raise AttributeError(f"Unknown attribute {name}")
        object.__setattr__(self, name, value)


matmul = _Matmul()
_sdp = {"flash": True, "mem_efficient": True, "math": True, "cudnn": True}


def is_built() -> bool:
    """Whether this build of norch has CUDA kernels (not whether there is a GPU: that is cuda.is_available())."""
    return norch.version.cuda is not None


def enable_flash_sdp(enabled: bool) -> None:
    """Accepted: norch chooses the kernel of scaled_dot_product_attention by its operands."""
    _sdp["flash"] = enabled


def enable_mem_efficient_sdp(enabled: bool) -> None:
    """As enable_flash_sdp."""
    _sdp["mem_efficient"] = enabled


def enable_math_sdp(enabled: bool) -> None:
    """As enable_flash_sdp."""
    _sdp["math"] = enabled


def enable_cudnn_sdp(enabled: bool) -> None:
    """As enable_flash_sdp."""
    _sdp["cudnn"] = enabled


def flash_sdp_enabled() -> bool:
    """What enable_flash_sdp was told last."""
    return _sdp["flash"]


def mem_efficient_sdp_enabled() -> bool:
    """What enable_mem_efficient_sdp was told last."""
    return _sdp["mem_efficient"]


def math_sdp_enabled() -> bool:
    """What enable_math_sdp was told last."""
    return _sdp["math"]


def cudnn_sdp_enabled() -> bool:
    """What enable_cudnn_sdp was told last."""
    return _sdp["cudnn"]


@contextlib.contextmanager
def sdp_kernel(
    enable_flash: bool = True, enable_math: bool = True, enable_mem_efficient: bool = True, enable_cudnn: bool = True
) -> Iterator[None]:
    """The four flags for a block; nn.attention.sdpa_kernel is the newer form."""
    before = dict(_sdp)
    _sdp.update(flash=enable_flash, math=enable_math, mem_efficient=enable_mem_efficient, cudnn=enable_cudnn)
    try:
        yield
    finally:
        _sdp.update(before)
