"""PairwiseDistance and CosineSimilarity, in PyTorch's place."""

from .vision import CosineSimilarity as CosineSimilarity
from .vision import PairwiseDistance as PairwiseDistance
