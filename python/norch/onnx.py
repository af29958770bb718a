"""torch.onnx: norch does not write ONNX files."""

from __future__ import annotations

from typing import Any, NoReturn

__all__ = ["export", "is_in_onnx_export"]


def export(model: Any = None, args: Any = (), f: Any = None, **_: Any) -> NoReturn:
    """Raises NotImplementedError: norch runs operations as they are called and has no graph to export."""
    raise NotImplementedError(
        "onnx.export: norch does not write ONNX files, since it has no graph of the model. Save the weights (norch.save of "
        "state_dict(), or safetensors) and export from PyTorch, which loads them"
    )


def is_in_onnx_export() -> bool:
    """False."""
    return False
