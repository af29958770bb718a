"""`transforms.functional` under the name that `transforms.v2` has for it, with what v2 adds."""

from __future__ import annotations

from typing import Any

import numpy as np

import norch
from norch._C import Tensor

from ..functional import *  # noqa: F403
from ..functional import convert_image_dtype, pil_to_tensor


def to_image(inpt: Any) -> Tensor:
    """A PIL image, an array [H, W, C] or a tensor as a tensor [C, H, W] of the same dtype."""
    if isinstance(inpt, Tensor):
        return inpt
    if isinstance(inpt, np.ndarray):
        array = np.atleast_3d(inpt)
        return norch.from_numpy(np.ascontiguousarray(array.transpose(2, 0, 1)))
    return pil_to_tensor(inpt)


def to_dtype(inpt: Tensor, dtype: Any = norch.float32, scale: bool = False) -> Tensor:
    """The image in another dtype; `scale` maps the range of the one to that of the other."""
    return convert_image_dtype(inpt, dtype) if scale else inpt.to(dtype)
