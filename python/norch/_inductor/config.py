"""Settings of a code generator that norch does without: programs may read and set them, nothing else does."""

import sys as _sys
from typing import Any as _Any

from norch.utils._config_module import install_config_module as _install_config_module

combo_kernels: bool = False
compile_threads: int = 1
conv_1x1_as_mm: bool = False
coordinate_descent_check_all_directions: bool = False
coordinate_descent_tuning: bool = False
cpp_wrapper: bool = False
debug: bool = False
epilogue_fusion: bool = True
fallback_random: bool = False
force_fuse_int_mm_with_mul: bool = False
freezing: bool = False
fx_graph_cache: bool = True
max_autotune: bool = False
max_autotune_gemm: bool = False
max_autotune_gemm_backends: str = "ATEN,TRITON,CPP"
max_autotune_pointwise: bool = False
reorder_for_compute_comm_overlap: bool = False
reorder_for_peak_memory: bool = True
shape_padding: bool = True
use_mixed_mm: bool = True


class triton:
    """Settings of its GPU kernels."""

    cudagraph_trees: bool = True
    cudagraphs: bool = False
    multi_kernel: int = 0
    unique_kernel_names: bool = True


class cpp:
    """Settings of its CPU kernels."""

    threads: int = -1
    simdlen: _Any = None


_install_config_module(_sys.modules[__name__])
