"""Special functions, under PyTorch's names."""

from norch._C._special import *  # noqa: F403
