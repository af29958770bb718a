"""Transforms of images, as in torchvision: PIL images and tensors [..., C, H, W] alike.

Random transforms draw from norch's default generator, in the order in which torchvision draws.
"""

from . import functional as functional
from .autoaugment import *  # noqa: F403
from .transforms import *  # noqa: F403
