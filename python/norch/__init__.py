"""norch: a deep-learning framework with PyTorch's API."""

import importlib as _importlib
from math import e as e
from math import inf as inf
from math import nan as nan
from math import pi as pi
from typing import TYPE_CHECKING as _TYPE_CHECKING
from typing import Any as _Any

from norch import _C
from norch._C import *  # noqa: F403
from norch._dtype_info import finfo as finfo
from norch._dtype_info import iinfo as iinfo
from norch._legacy import BFloat16Tensor as BFloat16Tensor
from norch._legacy import BoolTensor as BoolTensor
from norch._legacy import ByteTensor as ByteTensor
from norch._legacy import CharTensor as CharTensor
from norch._legacy import ComplexDoubleTensor as ComplexDoubleTensor
from norch._legacy import ComplexFloatTensor as ComplexFloatTensor
from norch._legacy import DoubleTensor as DoubleTensor
from norch._legacy import FloatTensor as FloatTensor
from norch._legacy import HalfTensor as HalfTensor
from norch._legacy import IntTensor as IntTensor
from norch._legacy import LongTensor as LongTensor
from norch._legacy import ShortTensor as ShortTensor
from norch._legacy import set_default_tensor_type as set_default_tensor_type
from norch._legacy import typename as typename
from norch._tensor import as_tensor as as_tensor
from norch._tensor import is_tensor as is_tensor
from norch._tensor import set_printoptions as set_printoptions
from norch import autograd as autograd
from norch.autograd.grad_mode import enable_grad as enable_grad
from norch.autograd.grad_mode import inference_mode as inference_mode
from norch.autograd.grad_mode import is_grad_enabled as is_grad_enabled
from norch.autograd.grad_mode import is_inference_mode_enabled as is_inference_mode_enabled
from norch.autograd.grad_mode import no_grad as no_grad
from norch.autograd.grad_mode import set_grad_enabled as set_grad_enabled

__version__ = _C.__version__
newaxis = None

if _TYPE_CHECKING:
    from norch import array_api as array_api
    from norch import compat as compat
    from norch import cuda as cuda
    from norch import fft as fft
    from norch import func as func
    from norch import linalg as linalg
    from norch import masked as masked
    from norch import nn as nn
    from norch import optim as optim
    from norch import serialization as serialization
    from norch import signal as signal
    from norch import special as special
    from norch import utils as utils
    from norch import version as version
    from norch import vision as vision
    from norch.serialization import load as load
    from norch.serialization import save as save
    from norch.signal.windows import bartlett_window as bartlett_window
    from norch.signal.windows import blackman_window as blackman_window
    from norch.signal.windows import hamming_window as hamming_window
    from norch.signal.windows import hann_window as hann_window
    from norch.signal.windows import kaiser_window as kaiser_window

# Submodules are imported when first used, so that `import norch` takes no time.
_LAZY = (
    "array_api",
    "compat",
    "cuda",
    "fft",
    "func",
    "linalg",
    "masked",
    "nn",
    "optim",
    "random",
    "serialization",
    "signal",
    "special",
    "utils",
    "version",
    "vision",
)
_LAZY_FUNCTIONS = {
    "load": "serialization",
    "save": "serialization",
    "bartlett_window": "signal.windows",
    "blackman_window": "signal.windows",
    "hamming_window": "signal.windows",
    "hann_window": "signal.windows",
    "kaiser_window": "signal.windows",
}


def __getattr__(name: str) -> _Any:
    if name in _LAZY:
        return _importlib.import_module("norch." + name)
    if name in _LAZY_FUNCTIONS:
        return getattr(_importlib.import_module("norch." + _LAZY_FUNCTIONS[name]), name)
    raise AttributeError(f"module 'norch' has no attribute '{name}'")


def __dir__() -> list[str]:
    return sorted({*globals(), *_LAZY, *_LAZY_FUNCTIONS})
