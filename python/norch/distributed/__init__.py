"""torch.distributed for one process: programs that are written for many run as a group of one.

`is_available()` is False, since norch does not yet spread work over processes. What programs call nevertheless works for a
group of one process, where every collective leaves the tensors as they are; a larger group raises RuntimeError."""

from __future__ import annotations

import importlib
import os
from typing import Any

import norch

from ._group import Backend as Backend
from ._group import GroupMember as GroupMember
from ._group import P2POp as P2POp
from ._group import Work as Work
from ._group import all_to_all as all_to_all
from ._group import all_to_all_single as all_to_all_single
from ._group import batch_isend_irecv as batch_isend_irecv
from ._group import gather as gather
from ._group import gather_object as gather_object
from ._group import get_group_rank as get_group_rank
from ._group import get_node_local_rank as get_node_local_rank
from ._group import get_process_group_ranks as get_process_group_ranks
from ._group import group as group
from ._group import irecv as irecv
from ._group import isend as isend
from ._group import monitored_barrier as monitored_barrier
from ._group import new_group as new_group
from ._group import recv as recv
from ._group import scatter_object_list as scatter_object_list
from ._group import send as send
from ._stores import FileStore as FileStore
from ._stores import HashStore as HashStore
from ._stores import PrefixStore as PrefixStore
from ._stores import Store as Store
from ._stores import TCPStore as TCPStore

__all__ = [
    "Backend",
    "FileStore",
    "GroupMember",
    "HashStore",
    "P2POp",
    "PrefixStore",
    "ProcessGroup",
    "ReduceOp",
    "Store",
    "TCPStore",
    "Work",
    "all_gather",
    "all_gather_into_tensor",
    "all_gather_object",
    "all_reduce",
    "all_to_all",
    "all_to_all_single",
    "barrier",
    "batch_isend_irecv",
    "broadcast",
    "broadcast_object_list",
    "destroy_process_group",
    "gather",
    "gather_object",
    "get_backend",
    "get_default_backend_for_device",
    "get_global_rank",
    "get_group_rank",
    "get_node_local_rank",
    "get_process_group_ranks",
    "get_rank",
    "get_world_size",
    "group",
    "init_process_group",
    "irecv",
    "is_available",
    "is_gloo_available",
    "is_initialized",
    "is_mpi_available",
    "is_nccl_available",
    "is_torchelastic_launched",
    "isend",
    "monitored_barrier",
    "new_group",
    "recv",
    "reduce",
    "reduce_scatter",
    "reduce_scatter_tensor",
    "scatter",
    "scatter_object_list",
    "send",
]

_backend: str | None = None
_SUBMODULES = ("algorithms", "device_mesh", "nn", "optim", "rpc", "_functional_collectives")
_MESH = ("DeviceMesh", "init_device_mesh")


def __getattr__(name: str) -> Any:
    if name in _SUBMODULES:
        return importlib.import_module(f"norch.distributed.{name}")
    if name in _MESH:
        return getattr(importlib.import_module("norch.distributed.device_mesh"), name)
    raise AttributeError(f"module 'norch.distributed' has no attribute '{name}'")


class ReduceOp:
    """How a reduction combines; with one process all of them give the tensor itself."""

    SUM, AVG, PRODUCT, MIN, MAX, BAND, BOR, BXOR = "SUM", "AVG", "PRODUCT", "MIN", "MAX", "BAND", "BOR", "BXOR"


#: The older name of ReduceOp.
reduce_op = ReduceOp


class ProcessGroup:
    """A group of this one process, as new_group makes it; None stands for the group of all processes."""

    def rank(self) -> int:
        """0."""
        return 0

    def size(self) -> int:
        """1."""
        return 1


def is_available() -> bool:
    """False: norch does not spread work over processes."""
    return False


is_gloo_available = is_nccl_available = is_mpi_available = is_available


def is_initialized() -> bool:
    """Whether init_process_group has made the group of one process."""
    return _backend is not None


def is_torchelastic_launched() -> bool:
    """Whether a launcher such as torchrun started this process."""
    return os.environ.get("TORCHELASTIC_RUN_ID") is not None


def get_default_backend_for_device(device: Any) -> str:
    """"nccl" for a GPU and "gloo" for the CPU, PyTorch's names."""
    return "nccl" if norch.device(device).type == "cuda" else "gloo"


def init_process_group(
    backend: str | None = None,
    init_method: str | None = None,
    timeout: Any = None,
    world_size: int = -1,
    rank: int = -1,
    store: Any = None,
    group_name: str = "",
    pg_options: Any = None,
    device_id: Any = None,
) -> None:
    """Makes a group of this one process; WORLD_SIZE is asked where `world_size` is left out. Raises RuntimeError for
    groups of more processes, and where there is a group already (ValueError)."""
    global _backend
    if is_initialized():
        raise ValueError("trying to initialize the default process group twice!")
    size = int(os.environ.get("WORLD_SIZE", 1)) if world_size < 0 else world_size
    if size != 1:
        raise RuntimeError(
            f"distributed.init_process_group: norch does not spread work over processes yet, and the group is to have {size}; "
            "start the program as one process (WORLD_SIZE=1)"
        )
    if rank > 0:
        raise ValueError(f"init_process_group: rank {rank} of a group of one process")
    _backend = backend or get_default_backend_for_device("cuda" if norch.cuda.is_available() else "cpu")


def _need_group(what: str) -> None:
    if not is_initialized():
        raise ValueError(
            f"Default process group has not been initialized, please make sure to call init_process_group before {what}."
        )


def destroy_process_group(group: Any = None) -> None:
    """Ends the group."""
    global _backend
    _need_group("destroy_process_group")
    _backend = None


def get_backend(group: Any = None) -> str:
    """The backend that init_process_group was given."""
    _need_group("get_backend")
    return str(_backend)


def get_rank(group: Any = None) -> int:
    """0: the rank in a group of one; -1 in a group without this process."""
    _need_group("get_rank")
    return -1 if group == GroupMember.NON_GROUP_MEMBER else 0


def get_world_size(group: Any = None) -> int:
    """1; -1 for a group without this process."""
    _need_group("get_world_size")
    return -1 if group == GroupMember.NON_GROUP_MEMBER else 1


def barrier(group: Any = None, async_op: bool = False, device_ids: Any = None) -> Any:
    """Waits for the other processes, of which there are none."""
    _need_group("barrier")
    return Work() if async_op else None


def all_reduce(tensor: Any, op: Any = ReduceOp.SUM, group: Any = None, async_op: bool = False) -> Any:
    """Leaves `tensor` as it is: the reduction over one process."""
    _need_group("all_reduce")
    return Work() if async_op else None


def reduce(tensor: Any, dst: int | None = None, op: Any = ReduceOp.SUM, group: Any = None, async_op: bool = False) -> Any:
    """As all_reduce."""
    return all_reduce(tensor, op, group, async_op)


def broadcast(tensor: Any, src: int | None = None, group: Any = None, async_op: bool = False, **_: Any) -> Any:
    """Leaves `tensor` as it is."""
    return all_reduce(tensor, ReduceOp.SUM, group, async_op)


def broadcast_object_list(object_list: list, src: int | None = None, group: Any = None, device: Any = None) -> None:
    """Leaves the list as it is."""
    _need_group("broadcast_object_list")


def all_gather(tensor_list: list, tensor: Any, group: Any = None, async_op: bool = False) -> Any:
    """Copies `tensor` to tensor_list[0]."""
    _need_group("all_gather")
    if len(tensor_list) != 1:
        raise RuntimeError(f"all_gather: a group of one process needs a list of one tensor, got {len(tensor_list)}")
    with norch.no_grad():
        tensor_list[0].copy_(tensor)
    return Work() if async_op else None


def all_gather_into_tensor(output_tensor: Any, input_tensor: Any, group: Any = None, async_op: bool = False) -> Any:
    """Copies `input_tensor` to `output_tensor`."""
    _need_group("all_gather_into_tensor")
    with norch.no_grad():
        output_tensor.copy_(input_tensor.reshape(output_tensor.shape))
    return Work() if async_op else None


def all_gather_object(object_list: list, obj: Any, group: Any = None) -> None:
    """Puts `obj` into object_list[0]."""
    _need_group("all_gather_object")
    object_list[0] = obj


def get_global_rank(group: Any, group_rank: int) -> int:
    """The rank itself."""
    _need_group("get_global_rank")
    return group_rank


def reduce_scatter(
    output: Any, input_list: list, op: Any = ReduceOp.SUM, group: Any = None, async_op: bool = False
) -> Any:
    """Copies input_list[0] to `output`."""
    _need_group("reduce_scatter")
    if len(input_list) != 1:
        raise RuntimeError(f"reduce_scatter: a group of one process needs a list of one tensor, got {len(input_list)}")
    with norch.no_grad():
        output.copy_(input_list[0])
    return Work() if async_op else None


def reduce_scatter_tensor(
    output: Any, input: Any, op: Any = ReduceOp.SUM, group: Any = None, async_op: bool = False
) -> Any:
    """Copies `input` to `output`."""
    return all_gather_into_tensor(output, input, group, async_op)


def scatter(
    tensor: Any, scatter_list: list | None = None, src: int | None = None, group: Any = None, async_op: bool = False, **_: Any
) -> Any:
    """Copies scatter_list[0] to `tensor`."""
    return reduce_scatter(tensor, scatter_list or [], ReduceOp.SUM, group, async_op)
