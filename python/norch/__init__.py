"""norch: a deep-learning framework with PyTorch's API."""

from norch._C import *  # noqa: F403
from norch import _C

__version__ = _C.__version__
