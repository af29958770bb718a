"""torch.onnx.operators: shapes as tensors, which exported graphs need."""

from __future__ import annotations

from typing import Any

import norch

__all__ = ["reshape_from_tensor_shape", "shape_as_tensor"]


def shape_as_tensor(x: Any) -> Any:
    """The sizes of `x`, an int64 tensor."""
    return norch.tensor(tuple(x.shape), dtype=norch.int64)


def reshape_from_tensor_shape(x: Any, shape: Any) -> Any:
    """x.reshape of the sizes that a tensor holds."""
    return x.reshape([int(n) for n in shape])
