"""Settings of a compiler that norch does without: programs may read and set them, nothing else does."""

import sys as _sys
from typing import Any as _Any

from norch.utils._config_module import install_config_module as _install_config_module

accumulated_cache_size_limit: int = 256
accumulated_recompile_limit: int = 256
allow_unspec_int_on_nn_module: bool = False
assume_static_by_default: bool = True
automatic_dynamic_shapes: bool = True
cache_size_limit: int = 8
capture_dynamic_output_shape_ops: bool = False
capture_scalar_outputs: bool = False
compiled_autograd: bool = False
disable: bool = False
dynamic_shapes: bool = True
force_parameter_static_shapes: bool = True
inline_inbuilt_nn_modules: bool = True
optimize_ddp: _Any = True
recompile_limit: int = 8
suppress_errors: bool = False
verbose: bool = False

_install_config_module(_sys.modules[__name__])
