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
    body = _part("indices", t._indices()) + ",\n" + " " * len(_OPEN) + _part("values", t._values())
    suffixes = [f"device='{t.device}'"] if t.is_cuda else []
    suffixes += [f"size={tuple(t.shape)}", f"nnz={t._nnz()}"]
    if t.dtype not in (norch.get_default_dtype(), norch.int64, norch.bool):
        suffixes.append(f"dtype={t.dtype}")
    suffixes.append(f"layout={t.layout}")
    if t.grad_fn is not None:
        suffixes.append(f"grad_fn=<{t.grad_fn.name().rpartition('::')[2]}>")
    elif t.requires_grad:
        suffixes.append("requires_grad=True")
    text, room = _OPEN + body, _C._print_options()[3]
    used = room  # what comes first stands on a line of its own
    for suffix in suffixes:
        if used + len(suffix) + 2 > room:
            text += ",\n" + " " * len(_OPEN) + suffix
            used = len(_OPEN) + len(suffix)
        else:
            text += ", " + suffix
            used += len(suffix) + 2
    return text + ")"
