"""Upsample and its old forms, in PyTorch's place."""

from .vision import Upsample as Upsample
from .vision import UpsamplingBilinear2d as UpsamplingBilinear2d
from .vision import UpsamplingNearest2d as UpsamplingNearest2d
