"""What PyTorch's optimizers share under private names, for programs that bring changed copies of those optimizers."""

from __future__ import annotations

from typing import Any

from norch._C import Tensor

_Lists = list[list[Any]]


def _get_foreach_kernels_supported_devices() -> list[str]:
    return ["cpu", "cuda"]


def _get_fused_kernels_supported_devices() -> list[str]:
    return ["cpu", "cuda"]


def _device_has_foreach_support(device: Any) -> bool:
    return device.type in _get_foreach_kernels_supported_devices()


def _has_foreach_support(tensors: list[Tensor], device: Any) -> bool:
    return _device_has_foreach_support(device) and all(t is None or isinstance(t, Tensor) for t in tensors)


def _group_tensors_by_device_and_dtype(tensorlistlist: _Lists, with_indices: bool = False) -> dict[Any, tuple[_Lists, Any]]:
    """Lists of equal length, whose i-th elements belong together, by the device and dtype of the first list's tensors:
    {(device, dtype): (the lists' parts, their indices)}."""
    groups: dict[Any, tuple[_Lists, Any]] = {}
    for i, first in enumerate(tensorlistlist[0]):
        lists, indices = groups.setdefault((first.device, first.dtype), ([[] for _ in tensorlistlist], []))
        for part, whole in zip(lists, tensorlistlist):
            if whole:
                part.append(whole[i])
        if with_indices:
            indices.append(i)
    return groups
