"""torch.distributed.device_mesh: processes in a grid, which is one process wide in every dimension."""

from __future__ import annotations

from typing import Any, Sequence

import norch

from . import ProcessGroup, init_process_group, is_initialized

__all__ = ["DeviceMesh", "init_device_mesh"]


class DeviceMesh:
    """A grid of processes: `mesh` holds ranks, all of them 0. RuntimeError for a grid of more processes than one."""

    def __init__(
        self,
        device_type: str,
        mesh: Any = None,
        *,
        mesh_dim_names: Sequence[str] | None = None,
        backend_override: Any = None,
        _init_backend: bool = True,
        _rank: int | None = None,
    ) -> None:
        self.device_type = device_type
        self.mesh = norch.as_tensor(0 if mesh is None else mesh, dtype=norch.int32, device="cpu")
        self.mesh_dim_names = tuple(mesh_dim_names) if mesh_dim_names is not None else None
        if self.mesh.numel() != 1 or int(self.mesh.sum()) != 0:
            raise RuntimeError(
                f"DeviceMesh: norch does not spread work over processes yet, and the mesh has the shape {tuple(self.mesh.shape)}; "
                "make every dimension 1"
            )
        if self.mesh_dim_names is not None and len(self.mesh_dim_names) != self.mesh.ndim:
            raise RuntimeError("mesh_dim_names must have same length as mesh shape")
        if not is_initialized():
            init_process_group(world_size=1)

    @property
    def shape(self) -> tuple[int, ...]:
        """The number of processes along each dimension."""
        return tuple(self.mesh.shape)

    @property
    def ndim(self) -> int:
        """The number of dimensions."""
        return self.mesh.ndim

    def size(self, mesh_dim: int | None = None) -> int:
        """The number of processes, or that along a dimension."""
        return int(self.mesh.numel()) if mesh_dim is None else int(self.mesh.shape[mesh_dim])

    def __getitem__(self, mesh_dim_names: str | tuple[str, ...]) -> DeviceMesh:
        """The part of the mesh along the named dimensions. KeyError for names that it lacks."""
        wanted = (mesh_dim_names,) if isinstance(mesh_dim_names, str) else tuple(mesh_dim_names)
        known = self.mesh_dim_names or ()
        if not set(wanted) <= set(known):
            raise KeyError(f"Invalid mesh_dim_name {mesh_dim_names!r} specified. Valid mesh_dim_names are {list(known)}.")
        return DeviceMesh(self.device_type, self.mesh.reshape([1] * len(wanted)), mesh_dim_names=wanted)

    def get_group(self, mesh_dim: int | str | None = None) -> ProcessGroup:
        """The processes along a dimension."""
        if mesh_dim is None and self.ndim > 1:
            raise RuntimeError(f"Found the DeviceMesh have {self.ndim} dimensions; name the one, by `mesh_dim`.")
        return ProcessGroup()

    def get_all_groups(self) -> list[ProcessGroup]:
        """The groups of all dimensions."""
        return [ProcessGroup() for _ in range(self.ndim)]

    def get_rank(self) -> int:
        """0."""
        return 0

    def get_local_rank(self, mesh_dim: int | str | None = None) -> int:
        """0."""
        return 0

    def get_coordinate(self) -> tuple[int, ...]:
        """Where this process is: all zeros."""
        return (0,) * self.ndim

    def __repr__(self) -> str:
        names = self.mesh_dim_names
        shape = f"({', '.join(f'{n}={s}' for n, s in zip(names, self.shape))})" if names else str(self.shape)
        return f"DeviceMesh({shape}, '{self.device_type}', stride={tuple(self.mesh.stride())})"

    def __eq__(self, other: object) -> bool:
        return (
            isinstance(other, DeviceMesh)
            and (self.device_type, self.shape, self.mesh_dim_names) == (other.device_type, other.shape, other.mesh_dim_names)
        )

    def __hash__(self) -> int:
        return hash((self.device_type, self.shape, self.mesh_dim_names))


def init_device_mesh(
    device_type: str, mesh_shape: Sequence[int], *, mesh_dim_names: Sequence[str] | None = None, backend_override: Any = None
) -> DeviceMesh:
    """The mesh of this shape, whose dimensions have to be 1 (RuntimeError); makes the group of one process where there is
    none.

        >>> from norch.distributed.device_mesh import init_device_mesh
        >>> mesh = init_device_mesh("cpu", (1, 1), mesh_dim_names=("data", "tensor"))
        >>> mesh["data"].size()
        1
        >>> norch.distributed.destroy_process_group()"""
    if mesh_dim_names is not None and len(set(mesh_dim_names)) != len(mesh_dim_names):
        raise RuntimeError(f"Each mesh_dim_name must be unique. Found repeated mesh_dim_name in {tuple(mesh_dim_names)}")
    if mesh_dim_names is not None and len(mesh_dim_names) != len(tuple(mesh_shape)):
        raise RuntimeError("mesh_shape and mesh_dim_names should have same length!")
    if not device_type.isalpha():
        raise RuntimeError(f"Device type with index is not supported but got {device_type}.")
    if any(n != 1 for n in mesh_shape):
        raise RuntimeError(
            f"init_device_mesh: norch does not spread work over processes yet, and the mesh has the shape {tuple(mesh_shape)}; "
            "make every dimension 1"
        )
    return DeviceMesh(device_type, norch.zeros(tuple(mesh_shape), dtype=norch.int32), mesh_dim_names=mesh_dim_names)
