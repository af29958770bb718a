"""Linear algebra, under PyTorch's names."""

from norch._C._linalg import *  # noqa: F403
