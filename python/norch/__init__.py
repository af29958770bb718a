"""norch: a deep-learning framework with PyTorch's API."""

import importlib as _importlib
import math as math
from math import e as e
from math import inf as inf
from math import nan as nan
from math import pi as pi
from typing import TYPE_CHECKING as _TYPE_CHECKING
from typing import Any as _Any

from norch import _C
from norch._C import *  # noqa: F403
from norch._C import _dirichlet_grad as _dirichlet_grad
from norch._C import _sample_dirichlet as _sample_dirichlet
from norch._C import _standard_gamma as _standard_gamma
from norch._C import _standard_gamma_grad as _standard_gamma_grad
from norch._C import contiguous_format as legacy_contiguous_format
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
from norch._layout import layout as layout
from norch._layout import sparse_bsc as sparse_bsc
from norch._layout import sparse_bsr as sparse_bsr
from norch._layout import sparse_coo as sparse_coo
from norch._layout import sparse_csc as sparse_csc
from norch._layout import sparse_csr as sparse_csr
from norch._layout import strided as strided
from norch._tensor import as_tensor as as_tensor
from norch._tensor import is_tensor as is_tensor
from norch._tensor import set_printoptions as set_printoptions
from norch import _torch_function as _torch_function
from norch._tensor_methods import _assert as _assert
from norch._tensor_methods import asarray as asarray
from norch._tensor_methods import frombuffer as frombuffer
from norch._tensor_methods import get_device as get_device
from norch._tensor_methods import is_nonzero as is_nonzero
from norch._tensor_methods import is_same_size as is_same_size
from norch._tensor_methods import is_signed as is_signed
from norch._tensor_methods import range as range
from norch._tensor_methods import result_type as result_type
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
    from norch import __config__ as __config__
    from norch import accelerator as accelerator
    from norch import amp as amp
    from norch import array_api as array_api
    from norch import backends as backends
    from norch import compat as compat
    from norch import compiler as compiler
    from norch import cpu as cpu
    from norch import cuda as cuda
    from norch import distributed as distributed
    from norch import distributions as distributions
    from norch import fft as fft
    from norch import func as func
    from norch import functional as functional
    from norch import futures as futures
    from norch import fx as fx
    from norch import hub as hub
    from norch import jit as jit
    from norch import linalg as linalg
    from norch import masked as masked
    from norch import multiprocessing as multiprocessing
    from norch import mps as mps
    from norch import nn as nn
    from norch import onnx as onnx
    from norch import optim as optim
    from norch import overrides as overrides
    from norch import profiler as profiler
    from norch import serialization as serialization
    from norch import signal as signal
    from norch import sparse as sparse
    from norch import special as special
    from norch import storage as storage
    from norch import testing as testing
    from norch import types as types
    from norch import utils as utils
    from norch import version as version
    from norch import vision as vision
    from norch import xpu as xpu
    from norch._settings import are_deterministic_algorithms_enabled as are_deterministic_algorithms_enabled
    from norch._settings import compile as compile
    from norch._settings import get_deterministic_debug_mode as get_deterministic_debug_mode
    from norch._settings import get_device_module as get_device_module
    from norch._settings import get_float32_matmul_precision as get_float32_matmul_precision
    from norch._settings import get_num_interop_threads as get_num_interop_threads
    from norch._settings import is_deterministic_algorithms_warn_only_enabled as is_deterministic_algorithms_warn_only_enabled
    from norch._settings import is_warn_always_enabled as is_warn_always_enabled
    from norch._settings import set_deterministic_debug_mode as set_deterministic_debug_mode
    from norch._settings import set_float32_matmul_precision as set_float32_matmul_precision
    from norch._settings import set_flush_denormal as set_flush_denormal
    from norch._settings import set_num_interop_threads as set_num_interop_threads
    from norch._settings import set_warn_always as set_warn_always
    from norch._settings import use_deterministic_algorithms as use_deterministic_algorithms
    from norch.amp.autocast_mode import autocast as autocast
    from norch.amp.autocast_mode import autocast_decrement_nesting as autocast_decrement_nesting
    from norch.amp.autocast_mode import autocast_increment_nesting as autocast_increment_nesting
    from norch.amp.autocast_mode import clear_autocast_cache as clear_autocast_cache
    from norch.amp.autocast_mode import get_autocast_cpu_dtype as get_autocast_cpu_dtype
    from norch.amp.autocast_mode import get_autocast_dtype as get_autocast_dtype
    from norch.amp.autocast_mode import get_autocast_gpu_dtype as get_autocast_gpu_dtype
    from norch.amp.autocast_mode import is_autocast_available as is_autocast_available
    from norch.amp.autocast_mode import is_autocast_cache_enabled as is_autocast_cache_enabled
    from norch.amp.autocast_mode import is_autocast_cpu_enabled as is_autocast_cpu_enabled
    from norch.amp.autocast_mode import is_autocast_enabled as is_autocast_enabled
    from norch.amp.autocast_mode import set_autocast_cache_enabled as set_autocast_cache_enabled
    from norch.amp.autocast_mode import set_autocast_cpu_dtype as set_autocast_cpu_dtype
    from norch.amp.autocast_mode import set_autocast_cpu_enabled as set_autocast_cpu_enabled
    from norch.amp.autocast_mode import set_autocast_dtype as set_autocast_dtype
    from norch.amp.autocast_mode import set_autocast_enabled as set_autocast_enabled
    from norch.amp.autocast_mode import set_autocast_gpu_dtype as set_autocast_gpu_dtype
    from norch.amp.grad_scaler import GradScaler as GradScaler
    from norch.serialization import load as load
    from norch.serialization import save as save
    from norch._seldom import conv_tbc as conv_tbc
    from norch._seldom import is_storage as is_storage
    from norch._seldom import is_vulkan_available as is_vulkan_available
    from norch.func._vmap import vmap as vmap
    from norch.sparse import sparse_compressed_tensor as sparse_compressed_tensor
    from norch.sparse import sparse_coo_tensor as sparse_coo_tensor
    from norch.sparse import sparse_csc_tensor as sparse_csc_tensor
    from norch.sparse import sparse_csr_tensor as sparse_csr_tensor
    from norch.sparse import spmm as spmm
    from norch.signal.windows import bartlett_window as bartlett_window
    from norch.signal.windows import blackman_window as blackman_window
    from norch.signal.windows import hamming_window as hamming_window
    from norch.signal.windows import hann_window as hann_window
    from norch.signal.windows import kaiser_window as kaiser_window

# Submodules are imported when first used, so that `import norch` takes no time.
_LAZY = (
    "__config__",
    "accelerator",
    "amp",
    "array_api",
    "backends",
    "compat",
    "compiler",
    "cpu",
    "cuda",
    "distributed",
    "distributions",
    "fft",
    "func",
    "functional",
    "futures",
    "fx",
    "hub",
    "jit",
    "linalg",
    "masked",
    "mps",
    "multiprocessing",
    "nn",
    "library",
    "onnx",
    "ops",
    "optim",
    "overrides",
    "profiler",
    "random",
    "serialization",
    "signal",
    "sparse",
    "special",
    "storage",
    "testing",
    "types",
    "utils",
    "version",
    "vision",
    "xpu",
    "_VF",
    "_tensor_str",
    "_dynamo",
    "_functorch",
    "_inductor",
    "_jit_internal",
    "_logging",
    "_utils",
    "_vmap_internals",
)
_LAZY_FUNCTIONS = {
    "autocast": "amp.autocast_mode",
    "autocast_decrement_nesting": "amp.autocast_mode",
    "autocast_increment_nesting": "amp.autocast_mode",
    "clear_autocast_cache": "amp.autocast_mode",
    "get_autocast_cpu_dtype": "amp.autocast_mode",
    "get_autocast_dtype": "amp.autocast_mode",
    "get_autocast_gpu_dtype": "amp.autocast_mode",
    "is_autocast_available": "amp.autocast_mode",
    "is_autocast_cache_enabled": "amp.autocast_mode",
    "is_autocast_cpu_enabled": "amp.autocast_mode",
    "is_autocast_enabled": "amp.autocast_mode",
    "set_autocast_cache_enabled": "amp.autocast_mode",
    "set_autocast_cpu_dtype": "amp.autocast_mode",
    "set_autocast_cpu_enabled": "amp.autocast_mode",
    "set_autocast_dtype": "amp.autocast_mode",
    "set_autocast_enabled": "amp.autocast_mode",
    "set_autocast_gpu_dtype": "amp.autocast_mode",
    "GradScaler": "amp.grad_scaler",
    "are_deterministic_algorithms_enabled": "_settings",
    "compile": "_settings",
    "get_deterministic_debug_mode": "_settings",
    "get_device_module": "_settings",
    "get_float32_matmul_precision": "_settings",
    "get_num_interop_threads": "_settings",
    "is_deterministic_algorithms_warn_only_enabled": "_settings",
    "is_warn_always_enabled": "_settings",
    "set_deterministic_debug_mode": "_settings",
    "set_float32_matmul_precision": "_settings",
    "set_flush_denormal": "_settings",
    "set_num_interop_threads": "_settings",
    "set_warn_always": "_settings",
    "use_deterministic_algorithms": "_settings",
    "load": "serialization",
    "save": "serialization",
    "sparse_compressed_tensor": "sparse",
    "sparse_coo_tensor": "sparse",
    "sparse_csc_tensor": "sparse",
    "sparse_csr_tensor": "sparse",
    "dsmm": "sparse",
    "spmm": "sparse",
    "vmap": "func._vmap",
    "bartlett_window": "signal.windows",
    "blackman_window": "signal.windows",
    "hamming_window": "signal.windows",
    "hann_window": "signal.windows",
    "kaiser_window": "signal.windows",
    "conv_tbc": "_seldom",
    "from_file": "_seldom",
    "_assert_async": "_seldom",
    "is_storage": "_seldom",
    "is_vulkan_available": "_seldom",
    "_check": "_seldom",
    "_check_index": "_seldom",
    "_check_is_size": "_seldom",
    "_check_not_implemented": "_seldom",
    "_check_type": "_seldom",
    "_check_value": "_seldom",
    "_check_with": "_seldom",
    "_log_softmax_backward_data": "_seldom",
    "_shape_as_tensor": "_seldom",
    "_softmax_backward_data": "_seldom",
    "gru": "_VF",
    "gru_cell": "_VF",
    "has_cuda": "_seldom",
    "has_cudnn": "_seldom",
    "has_lapack": "_seldom",
    "has_mkl": "_seldom",
    "has_mkldnn": "_seldom",
    "has_mps": "_seldom",
    "has_openmp": "_seldom",
    "lstm": "_VF",
    "lstm_cell": "_VF",
    "rnn_relu": "_VF",
    "rnn_relu_cell": "_VF",
    "rnn_tanh": "_VF",
    "rnn_tanh_cell": "_VF",
}


def __getattr__(name: str) -> _Any:
    if name in _LAZY:
        return _importlib.import_module("norch." + name)
    if name in _LAZY_FUNCTIONS:
        return getattr(_importlib.import_module("norch." + _LAZY_FUNCTIONS[name]), name)
    if name.endswith("Storage"):
        return getattr(_importlib.import_module("norch.storage"), name)
    if name.startswith("_foreach_"):
        return getattr(_importlib.import_module("norch._foreach"), name)
    raise AttributeError(f"module 'norch' has no attribute '{name}'")


def __dir__() -> list[str]:
    return sorted({*globals(), *_LAZY, *_LAZY_FUNCTIONS})
