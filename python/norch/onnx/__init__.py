"""torch.onnx: norch does not write ONNX files."""

from __future__ import annotations

import enum
from typing import Any, NoReturn

from . import operators as operators

__all__ = ["OperatorExportTypes", "TrainingMode", "export", "is_in_onnx_export", "operators"]


class TrainingMode(enum.Enum):
    """An option of export, which programs name in its arguments."""

    EVAL = 0
    PRESERVE = 1
    TRAINING = 2


class OperatorExportTypes(enum.Enum):
    """An option of export, which programs name in its arguments."""

    ONNX = 0
    ONNX_ATEN = 1
    ONNX_ATEN_FALLBACK = 2
    ONNX_FALLTHROUGH = 3


def export(model: Any = None, args: Any = (), f: Any = None, **_: Any) -> NoReturn:
    """Raises NotImplementedError: norch runs operations as they are called and has no graph to export."""
    raise NotImplementedError(
        "onnx.export: norch does not write ONNX files, since it has no graph of the model. Save the weights (norch.save of "
        "state_dict(), or safetensors) and export from PyTorch, which loads them"
    )


def is_in_onnx_export() -> bool:
    """False."""
    return False
