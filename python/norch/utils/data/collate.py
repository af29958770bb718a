"""From a list of samples to a batch."""

from __future__ import annotations

from collections.abc import Mapping, MutableMapping, Sequence
from typing import Any

import numpy as np

import norch
from norch._C import Tensor

__all__ = ["default_collate", "default_convert"]

_ERROR = "default_collate: batch must contain tensors, numpy arrays, numbers, dicts or lists; found {}"


def _array_to_tensor(array: Any) -> Any:
    """A tensor of a numeric array (bytes and texts have none)."""
    if array.dtype.kind not in "biuf":
        raise TypeError(_ERROR.format(array.dtype))
    return norch.from_numpy(array) if array.flags.writeable else norch.from_numpy(array.copy())


def default_convert(data: Any) -> Any:
    """NumPy arrays become tensors, also inside dicts, tuples and lists; all else stays as it is. Used
    when a DataLoader doesn't make batches."""
    if isinstance(data, Tensor):
        return data
    if isinstance(data, (np.ndarray, np.generic)):
        return norch.as_tensor(data) if data.dtype.kind in "biuf" else data
    if isinstance(data, Mapping):
        return _rebuild_mapping(data, {k: default_convert(v) for k, v in data.items()})
    if isinstance(data, tuple) and hasattr(data, "_fields"):
        return type(data)(*(default_convert(d) for d in data))
    if isinstance(data, tuple):
        return [default_convert(d) for d in data]
    if isinstance(data, Sequence) and not isinstance(data, (str, bytes)):
        return _rebuild_sequence(data, [default_convert(d) for d in data])
    return data


def default_collate(batch: Any) -> Any:
    """Stacks samples along a new first dim: tensors, arrays and numbers become tensors; dicts, tuples
    and lists are collated by entry; texts stay lists. Raises TypeError for other types, RuntimeError
    for entries of different lengths or shapes."""
    if not batch:
        raise IndexError("default_collate: the batch is empty")
    elem = batch[0]
    if isinstance(elem, Tensor):
        return norch.stack(list(batch), 0)
    if isinstance(elem, np.ndarray):
        if len({a.shape for a in batch}) > 1:
            raise RuntimeError(f"stack expects each tensor to be equal size, but got {sorted({a.shape for a in batch})}")
        return _array_to_tensor(np.stack(batch))
    if isinstance(elem, np.generic):
        return _array_to_tensor(np.array(batch))
    if isinstance(elem, bool):
        return norch.tensor(batch)
    if isinstance(elem, float):
        return norch.tensor(batch, dtype=norch.float64)
    if isinstance(elem, int):
        return norch.tensor(batch)
    if isinstance(elem, (str, bytes)):
        return batch
    if isinstance(elem, Mapping):
        return _rebuild_mapping(elem, {k: default_collate([d[k] for d in batch]) for k in elem})
    if isinstance(elem, tuple) and hasattr(elem, "_fields"):
        return type(elem)(*(default_collate(list(column)) for column in zip(*batch)))
    if isinstance(elem, Sequence):
        if any(len(e) != len(elem) for e in batch):
            raise RuntimeError("each element in list of batch should be of equal size")
        columns = [default_collate(list(column)) for column in zip(*batch)]
        return columns if isinstance(elem, tuple) else _rebuild_sequence(elem, columns)
    raise TypeError(_ERROR.format(type(elem)))


def _rebuild_mapping(like: Any, entries: dict) -> Any:
    """A mapping of the type of `like`, or a dict where that type can't be made so."""
    try:
        if isinstance(like, MutableMapping):
            import copy

            clone = copy.copy(like)  # keeps what subclasses carry beside the entries
            clone.update(entries)
            return clone
        return type(like)(entries)  # type: ignore[call-arg]
    except TypeError:
        return entries


def _rebuild_sequence(like: Any, entries: list) -> Any:
    try:
        return type(like)(entries)
    except TypeError:
        return entries
