"""The text of a sparse tensor, as PyTorch's."""

from __future__ import annotations

import re
from typing import Any

import norch
from norch import _C
from norch._C import Tensor

__all__ = ["text_of"]

_OPEN = "tensor("


def _part(name: str, t: Tensor) -> str:
    """`name=tensor(...)`: its numbers alone, aligned to where it stands in the whole."""
    prefix = f"{name}={_OPEN}"
    t = t.detach().cpu()
    if t.numel() == 0:
        return f"{prefix}[], size={tuple(t.shape)})"
    options: Any = list(_C._print_options())
    narrow = list(options)
    narrow[3] = max(options[3] - len(prefix), 20)
    _C._set_print_options(*narrow)
    try:
        text = repr(t)
    finally:
        _C._set_print_options(*options)
    text = re.sub(r",\s+dtype=\S+\)$", ")", text)[len(_OPEN) :]
    return prefix + text.replace("\n", "\n" + " " * len(prefix))


def text_of(t: Any) -> str:
    """tensor(indices=..., values=..., size=..., nnz=..., layout=...)"""
    if t.layout is norch.sparse_coo:
        parts = {"indices": t._indices(), "values": t._values()}
    elif t.is_sparse_csr:
        parts = {"crow_indices": t.crow_indices(), "col_indices": t.col_indices(), "values": t.values()}
    else:
        parts = {"ccol_indices": t.ccol_indices(), "row_indices": t.row_indices(), "values": t.values()}
    body = (",\n" + " " * len(_OPEN)).join(_part(name, part) for name, part in parts.items())
    suffixes = [f"device='{t.device}'"] if t.is_cuda else []
    suffixes += [f"size={tuple(t.shape)}", f"nnz={t._nnz()}"]
    default = norch.get_default_dtype()
    if t.dtype not in (default, default.to_complex(), norch.int64, norch.bool):
        suffixes.append(f"dtype={t.dtype}")
    suffixes.append(f"layout={t.layout}")
    if t.grad_fn is not None:
        suffixes.append(f"grad_fn=<{t.grad_fn.name().rpartition('::')[2]}>")
    elif t.requires_grad:
        suffixes.append("requires_grad=True")
    text, room = _OPEN + body, _C._print_options()[3]
    # Of coordinates, what comes first stands on a line of its own.
    used = room if t.layout is norch.sparse_coo else len(text) - text.rfind("\n") + 1
    for suffix in suffixes:
        if used + len(suffix) + 2 > room:
            text += ",\n" + " " * len(_OPEN) + suffix
            used = len(_OPEN) + len(suffix)
        else:
            text += ", " + suffix
            used += len(suffix) + 2
    return text + ")"
