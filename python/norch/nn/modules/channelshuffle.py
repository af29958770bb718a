"""ChannelShuffle, in PyTorch's place."""

from .vision import ChannelShuffle as ChannelShuffle
