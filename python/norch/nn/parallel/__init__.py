"""`DataParallel` and `DistributedDataParallel`, under PyTorch's name of their module."""

from __future__ import annotations

from typing import Any

from ..modules.data_parallel import DataParallel as DataParallel
from ..modules.module import Module


class DistributedDataParallel(Module):
    """Training in several processes, which norch does not have yet: making one raises RuntimeError, as PyTorch's does
    where no process group was initialized."""

    def __init__(self, module: Module, *args: Any, **kwargs: Any) -> None:
        raise RuntimeError(
            "DistributedDataParallel: no process group has been initialized, and norch trains in one process only; "
            "leave the module as it is"
        )
