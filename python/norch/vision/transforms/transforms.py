"""All transforms, as classes."""

from . import _color, _containers, _elastic, _geometry
from ._color import *  # noqa: F403
from ._containers import *  # noqa: F403
from ._elastic import *  # noqa: F403
from ._functional_kinds import InterpolationMode as InterpolationMode
from ._geometry import *  # noqa: F403

__all__ = [
    *_color.__all__,
    *_containers.__all__,
    *_elastic.__all__,
    *_geometry.__all__,
    "InterpolationMode",
]
