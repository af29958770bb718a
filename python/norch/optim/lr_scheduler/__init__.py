"""Learning-rate schedules: `scheduler.step()` after the optimizer's steps sets each group's "lr"."""

from .base import EPOCH_DEPRECATION_WARNING as EPOCH_DEPRECATION_WARNING
from .base import LRScheduler as LRScheduler
from .basic import ConstantLR as ConstantLR
from .basic import CosineAnnealingLR as CosineAnnealingLR
from .basic import CosineAnnealingWarmRestarts as CosineAnnealingWarmRestarts
from .basic import ExponentialLR as ExponentialLR
from .basic import LambdaLR as LambdaLR
from .basic import LinearLR as LinearLR
from .basic import MultiplicativeLR as MultiplicativeLR
from .basic import MultiStepLR as MultiStepLR
from .basic import PolynomialLR as PolynomialLR
from .basic import StepLR as StepLR
from .composite import ChainedScheduler as ChainedScheduler
from .composite import SequentialLR as SequentialLR
from .cyclic import CyclicLR as CyclicLR
from .onecycle import OneCycleLR as OneCycleLR
from .plateau import ReduceLROnPlateau as ReduceLROnPlateau

_LRScheduler = LRScheduler
