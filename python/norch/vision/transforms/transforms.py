"""All transforms, as classes."""

from ._color import *  # noqa: F403
from ._containers import *  # noqa: F403
from ._elastic import *  # noqa: F403
from ._functional_kinds import InterpolationMode as InterpolationMode
from ._geometry import *  # noqa: F403
from ._warp import *  # noqa: F403
