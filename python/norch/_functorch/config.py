"""Settings of a compiler that norch does without: programs may read and set them, nothing else does."""

import sys as _sys
from typing import Any as _Any

from norch.utils._config_module import install_config_module as _install_config_module

activation_memory_budget: float = 1.0
activation_memory_budget_solver: str = "dp"
aggressive_recomputation: bool = False
ban_recompute_materialized_backward: bool = True
bundled_autograd_cache: bool = False
donated_buffer: bool = False
enable_autograd_cache: bool = True
fake_tensor_propagate_real_tensors: bool = False
functionalize_rng_ops: bool = False
recompute_views: bool = False
view_replay_for_aliased_outputs: _Any = True

_install_config_module(_sys.modules[__name__])
