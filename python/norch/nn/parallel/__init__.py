"""Modules and tensors over several devices, under PyTorch's names. `DataParallel` runs on one device, and
`DistributedDataParallel` in one process; the functions take any devices."""

from __future__ import annotations

from . import _functions as _functions
from . import comm as comm
from .data_parallel import DataParallel as DataParallel
from .data_parallel import data_parallel as data_parallel
from .distributed import DistributedDataParallel as DistributedDataParallel
from .parallel_apply import parallel_apply as parallel_apply
from .replicate import replicate as replicate
from .scatter_gather import gather as gather
from .scatter_gather import scatter as scatter

__all__ = [
    "DataParallel",
    "DistributedDataParallel",
    "data_parallel",
    "gather",
    "parallel_apply",
    "replicate",
    "scatter",
]
