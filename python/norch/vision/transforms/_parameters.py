"""The parameters of transforms: their checks, and random ones, which come from norch's default generator."""

from __future__ import annotations

import numbers
import warnings
from collections.abc import Sequence
from typing import Any

import norch
from norch._C import Tensor

from . import functional as F


def _uniform(low: Any, high: Any) -> float:
    return float(norch.empty(1).uniform_(float(low), float(high)).item())


def _integer(low: int, high: int) -> int:
    return int(norch.randint(low, high, size=(1,)).item())


def _check_sequence(x: Any, name: str, sizes: tuple[int, ...]) -> None:
    length = " or ".join(str(size) for size in sizes)
    if not isinstance(x, Sequence):
        raise TypeError(f"{name} should be a sequence of length {length}.")
    if len(x) not in sizes:
        raise ValueError(f"{name} should be a sequence of length {length}.")


def _angles(x: Any, name: str, sizes: tuple[int, ...] = (2,)) -> list[float]:
    if isinstance(x, (int, float)):
        if x < 0:
            raise ValueError(f"If {name} is a single number, it must be positive.")
        x = [-x, x]
    else:
        _check_sequence(x, name, sizes)
    return [float(angle) for angle in x]


def _checked_fill(fill: Any) -> Any:
    if fill is None:
        return 0
    if not isinstance(fill, (Sequence, numbers.Number)):
        raise TypeError("Fill should be either a sequence or a number.")
    return fill


def _fill_for(img: Any, fill: Any) -> Any:
    """Of tensors, one float for each channel."""
    if not isinstance(img, Tensor):
        return fill
    return [float(fill)] * F.get_dimensions(img)[0] if isinstance(fill, (int, float)) else [float(f) for f in fill]


def _check_scale_and_ratio(scale: Any, ratio: Any) -> None:
    if not isinstance(scale, Sequence):
        raise TypeError("Scale should be a sequence")
    if not isinstance(ratio, Sequence):
        raise TypeError("Ratio should be a sequence")
    if scale[0] > scale[1] or ratio[0] > ratio[1]:
        warnings.warn("Scale and ratio should be of kind (min, max)", stacklevel=3)
