"""Fold and Unfold, in PyTorch's place."""

from .vision import Fold as Fold
from .vision import Unfold as Unfold
