"""torch._tensor_str: how tensors are printed, for classes of programs that print themselves like tensors."""

from __future__ import annotations

import re
from typing import Any

from norch import _C
from norch._C import Tensor
from norch._tensor import set_printoptions as set_printoptions

_OPTIONS = ("precision", "threshold", "edgeitems", "linewidth", "sci_mode")


class _PrintOptions:
    """The options in force, one attribute each."""

    def __getattr__(self, name: str) -> Any:
        if name not in _OPTIONS:
            raise AttributeError(f"'__PrinterOptions' object has no attribute '{name}'")
        return _C._print_options()[_OPTIONS.index(name)]

    def __setattr__(self, name: str, value: Any) -> None:
        set_printoptions(**{name: value})


PRINT_OPTS = _PrintOptions()


def _tensor_str(self: Tensor, indent: int) -> str:
    """The elements, without `tensor(`; lines after the first begin with `indent` spaces."""
    body = Tensor._to_string(self.detach())[len("tensor(") : -1]
    body = re.sub(r",\s+(dtype|device|size|layout)=\S+$", "", body)
    return body.replace("\n" + " " * len("tensor("), "\n" + " " * indent)


def _add_suffixes(tensor_str: str, suffixes: list[str], indent: int, force_newline: bool) -> str:
    """The text with `, suffix` for each, on a new line where the last would be too long, and the closing bracket."""
    parts = [tensor_str]
    last = len(tensor_str) - tensor_str.rfind("\n") + 1
    for suffix in suffixes:
        if force_newline or last + len(suffix) + 2 > PRINT_OPTS.linewidth:
            parts.append(",\n" + " " * indent + suffix)
            last = indent + len(suffix)
            force_newline = False
        else:
            parts.append(", " + suffix)
            last += len(suffix) + 2
    return "".join(parts) + ")"


def _str(self: Tensor, *, tensor_contents: str | None = None) -> str:
    """repr(tensor), with other text in place of its elements where that is given."""
    if tensor_contents is None:
        return Tensor._to_string(self)
    return f"tensor({tensor_contents})"


_str_intern = _str
