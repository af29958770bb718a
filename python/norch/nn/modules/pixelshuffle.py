"""PixelShuffle and its inverse, in PyTorch's place."""

from .vision import PixelShuffle as PixelShuffle
from .vision import PixelUnshuffle as PixelUnshuffle
