"""Transforms as functions, of PIL images and of tensors [..., C, H, W] alike.

>>> from norch.vision.transforms import functional as TF
>>> TF.hflip(norch.arange(3).view(1, 1, 3))
tensor([[[2, 1, 0]]])
"""

from . import _functional_color, _functional_geometry, _functional_kinds
from ._functional_color import *  # noqa: F403
from ._functional_geometry import *  # noqa: F403
from ._functional_kinds import *  # noqa: F403
from ._functional_kinds import _is_pil_image as _is_pil_image

__all__ = _functional_kinds.__all__ + _functional_geometry.__all__ + _functional_color.__all__
