"""The rest of torch.distributed for a group of one process: groups, objects, messages."""

from __future__ import annotations

import os
from typing import Any, NoReturn, Sequence

import norch

__all__ = [
    "Backend",
    "GroupMember",
    "P2POp",
    "Work",
    "all_to_all",
    "all_to_all_single",
    "batch_isend_irecv",
    "gather",
    "gather_object",
    "get_group_rank",
    "get_node_local_rank",
    "get_process_group_ranks",
    "group",
    "irecv",
    "isend",
    "monitored_barrier",
    "new_group",
    "recv",
    "scatter_object_list",
    "send",
]


def _need(what: str) -> None:
    norch.distributed._need_group(what)


class Backend(str):
    """The name of a backend, in small letters."""

    UNDEFINED, GLOO, NCCL, MPI, UCC, XCCL = "undefined", "gloo", "nccl", "mpi", "ucc", "xccl"

    def __new__(cls, name: str) -> Backend:
        if not isinstance(name, str):
            raise ValueError(f"Backend constructor parameter must be string-ish, got {name!r}")
        return super().__new__(cls, name.lower())


class Work:
    """What a collective with async_op=True returns: it is done already."""

    def __init__(self, result: Any = None) -> None:
        self._result = result

    def wait(self, timeout: Any = None) -> bool:
        """Returns True."""
        return True

    def is_completed(self) -> bool:
        """True."""
        return True

    is_success = is_completed

    def result(self) -> Any:
        """The tensors of the collective."""
        return self._result

    def get_future(self) -> Any:
        """A future that is done."""
        future: Any = norch.futures.Future()
        future.set_result(self._result)
        return future


class GroupMember:
    """WORLD: the group of all processes (None stands for it too); NON_GROUP_MEMBER: a group without this process."""

    WORLD: Any = None
    NON_GROUP_MEMBER = -100


class group:
    """group.WORLD: the group of all processes."""

    WORLD: Any = None


def new_group(
    ranks: Sequence[int] | None = None,
    timeout: Any = None,
    backend: str | None = None,
    pg_options: Any = None,
    use_local_synchronization: bool = False,
    group_desc: str | None = None,
    device_id: Any = None,
) -> Any:
    """A group of the processes with these ranks: of this one, or GroupMember.NON_GROUP_MEMBER for an empty list. Raises
    ValueError for ranks that no process has."""
    _need("new_group")
    chosen = [0] if ranks is None else list(ranks)
    if any(rank != 0 for rank in chosen):
        raise ValueError(f"The new group's rank should be within the world_size set by init_process_group, got {chosen} of 1")
    return norch.distributed.ProcessGroup() if chosen else GroupMember.NON_GROUP_MEMBER


def get_process_group_ranks(group: Any = None) -> list[int]:
    """[0]."""
    _need("get_process_group_ranks")
    return [0]


def get_group_rank(group: Any, global_rank: int) -> int:
    """The rank itself. Raises ValueError for another than 0."""
    _need("get_group_rank")
    if global_rank != 0:
        raise ValueError(f"Global rank {global_rank} is not part of group {group}")
    return 0


def get_node_local_rank(fallback_rank: int | None = None) -> int:
    """LOCAL_RANK, else `fallback_rank`. Raises RuntimeError where there is neither."""
    if "LOCAL_RANK" in os.environ:
        return int(os.environ["LOCAL_RANK"])
    if fallback_rank is None:
        raise RuntimeError(
            "LOCAL_RANK is not in the environment. Consider passing fallback_rank to allow `get_node_local_rank` to work, "
            "assuming you are not running in a multi-device context and want the code to run locally instead."
        )
    return int(fallback_rank)


def gather(
    tensor: Any, gather_list: list | None = None, dst: int | None = None, group: Any = None, async_op: bool = False, **_: Any
) -> Any:
    """Copies `tensor` to gather_list[0]."""
    _need("gather")
    if not gather_list:
        raise ValueError("Argument ``gather_list`` must be specified on destination rank.")
    norch.distributed.all_gather(gather_list, tensor)
    return Work(gather_list) if async_op else None


def gather_object(obj: Any, object_gather_list: list | None = None, dst: int | None = None, group: Any = None, **_: Any) -> None:
    """Puts `obj` into object_gather_list[0]."""
    _need("gather_object")
    if not object_gather_list:
        raise ValueError("Argument ``object_gather_list`` must be specified on destination rank.")
    object_gather_list[0] = obj


def scatter_object_list(
    scatter_object_output_list: list,
    scatter_object_input_list: list | None = None,
    src: int | None = None,
    group: Any = None,
    **_: Any,
) -> None:
    """Puts scatter_object_input_list[0] into scatter_object_output_list[0]."""
    _need("scatter_object_list")
    if not scatter_object_output_list:
        raise ValueError("Expected argument scatter_object_output_list to be a list of size at least 1.")
    if not scatter_object_input_list:
        raise ValueError("Expected argument scatter_object_input_list to be a list of size at least 1.")
    scatter_object_output_list[0] = scatter_object_input_list[0]


def all_to_all(output_tensor_list: list, input_tensor_list: list, group: Any = None, async_op: bool = False) -> Any:
    """Copies input_tensor_list[0] to output_tensor_list[0]."""
    _need("all_to_all")
    if len(output_tensor_list) != 1 or len(input_tensor_list) != 1:
        raise RuntimeError("all_to_all: a group of one process needs lists of one tensor")
    with norch.no_grad():
        output_tensor_list[0].copy_(input_tensor_list[0])
    return Work(output_tensor_list) if async_op else None


def all_to_all_single(
    output: Any,
    input: Any,
    output_split_sizes: Any = None,
    input_split_sizes: Any = None,
    group: Any = None,
    async_op: bool = False,
) -> Any:
    """Copies `input` to `output`."""
    _need("all_to_all_single")
    with norch.no_grad():
        output.copy_(input)
    return Work([output]) if async_op else None


def monitored_barrier(group: Any = None, timeout: Any = None, wait_all_ranks: bool = False) -> None:
    """Waits for the other processes, of which there are none."""
    _need("monitored_barrier")


def _no_peer(what: str, peer: Any) -> NoReturn:
    _need(what)
    raise ValueError(f"distributed.{what}: there is no process of rank {peer} to exchange with: this is a group of one")


def send(tensor: Any, dst: int | None = None, group: Any = None, tag: int = 0, group_dst: int | None = None) -> NoReturn:
    """Raises ValueError: there is no other process."""
    _no_peer("send", dst)


def recv(
    tensor: Any, src: int | None = None, group: Any = None, tag: int = 0, group_src: int | None = None
) -> NoReturn:
    """Raises ValueError: there is no other process."""
    _no_peer("recv", src)


def isend(tensor: Any, dst: int | None = None, group: Any = None, tag: int = 0, group_dst: int | None = None) -> NoReturn:
    """Raises ValueError: there is no other process."""
    _no_peer("isend", dst)


def irecv(
    tensor: Any, src: int | None = None, group: Any = None, tag: int = 0, group_src: int | None = None
) -> NoReturn:
    """Raises ValueError: there is no other process."""
    _no_peer("irecv", src)


class P2POp:
    """One of isend and irecv with its arguments, for batch_isend_irecv."""

    def __init__(self, op: Any, tensor: Any, peer: int | None = None, group: Any = None, tag: int = 0) -> None:
        if op not in (isend, irecv):
            raise ValueError("Invalid ``op``. Expected ``op`` to be of type ``torch.distributed.isend`` or ``irecv``.")
        self.op, self.tensor, self.peer, self.group, self.tag = op, tensor, peer, group, tag


def batch_isend_irecv(p2p_op_list: Sequence[P2POp]) -> list:
    """Starts all of them, which raise ValueError; none is an empty list."""
    _need("batch_isend_irecv")
    return [p.op(p.tensor, p.peer, p.group, p.tag) for p in p2p_op_list]
