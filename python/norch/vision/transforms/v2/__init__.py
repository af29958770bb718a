"""The names of `transforms` that torchvision's `transforms.v2` has too, for images; images stay plain tensors."""

from ..autoaugment import *  # noqa: F403
from ..transforms import *  # noqa: F403
from . import functional as functional
from ._kinds import Identity as Identity
from ._kinds import ToDtype as ToDtype
from ._kinds import ToImage as ToImage
from ._kinds import ToPureTensor as ToPureTensor
from ._mix import CutMix as CutMix
from ._mix import MixUp as MixUp
