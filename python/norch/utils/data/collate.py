"""From a list of samples to a batch."""

from __future__ import annotations

import copy
from collections.abc import Callable, Mapping, MutableMapping, MutableSequence, Sequence
from typing import Any, Optional, Union

import numpy as np

import norch
from norch._C import Tensor

__all__ = ["collate", "default_collate", "default_collate_err_msg_format", "default_collate_fn_map", "default_convert"]

default_collate_err_msg_format = (
    "default_collate: batch must contain tensors, numpy arrays, numbers, dicts or lists; found {}"
)
# What turns a list of samples of a type into a batch: function(batch, *, collate_fn_map).
_FunctionMap = dict[Union[type, tuple[type, ...]], Callable]


def _array_to_tensor(array: Any) -> Any:
    """A tensor of a numeric array (bytes and texts have none)."""
    if array.dtype.kind not in "biufc":
        raise TypeError(default_collate_err_msg_format.format(array.dtype))
    return norch.from_numpy(array) if array.flags.writeable else norch.from_numpy(array.copy())


def default_convert(data: Any) -> Any:
    """NumPy arrays become tensors, also inside dicts, tuples and lists; all else stays as it is. Used
    when a DataLoader doesn't make batches."""
    if isinstance(data, Tensor):
        return data
    if isinstance(data, (np.ndarray, np.generic)):
        return norch.as_tensor(data) if data.dtype.kind in "biufc" else data
    if isinstance(data, Mapping):
        return rebuild_mapping(data, {k: default_convert(v) for k, v in data.items()})
    if isinstance(data, tuple) and hasattr(data, "_fields"):
        return type(data)(*(default_convert(d) for d in data))
    if isinstance(data, tuple):
        return [default_convert(d) for d in data]
    if isinstance(data, Sequence) and not isinstance(data, (str, bytes)):
        return rebuild_sequence(data, [default_convert(d) for d in data])
    return data


def collate(batch: Any, *, collate_fn_map: Optional[_FunctionMap] = None) -> Any:
    """Stacks samples as `collate_fn_map` says for their type (the exact class first, then its bases); dicts,
    tuples and lists are collated by entry. Raises TypeError for other types, RuntimeError for entries of
    different lengths. `default_collate` is this with `default_collate_fn_map`, which may be extended:

    >>> from norch.utils.data import _utils
    >>> class Name(str): pass
    >>> own = {Name: lambda batch, *, collate_fn_map: "+".join(batch), **_utils.collate.default_collate_fn_map}
    >>> _utils.collate.collate([(Name("a"), 1), (Name("b"), 2)], collate_fn_map=own)
    ['a+b', tensor([1, 2])]
    """
    elem = batch[0]
    if collate_fn_map is not None:
        if type(elem) in collate_fn_map:
            return collate_fn_map[type(elem)](batch, collate_fn_map=collate_fn_map)
        for kind, function in collate_fn_map.items():
            if isinstance(elem, kind):
                return function(batch, collate_fn_map=collate_fn_map)

    def column(values: Any) -> Any:
        return collate(values, collate_fn_map=collate_fn_map)

    if isinstance(elem, Mapping):
        return rebuild_mapping(elem, {k: column([d[k] for d in batch]) for k in elem})
    if isinstance(elem, tuple) and hasattr(elem, "_fields"):
        return type(elem)(*(column(list(c)) for c in zip(*batch)))
    if isinstance(elem, Sequence):
        if any(len(e) != len(elem) for e in batch):
            raise RuntimeError("each element in list of batch should be of equal size")
        columns = [column(list(c)) for c in zip(*batch)]
        return columns if isinstance(elem, tuple) else rebuild_sequence(elem, columns)
    raise TypeError(default_collate_err_msg_format.format(type(elem)))


def _stack_tensors(batch: Any, *, collate_fn_map: Optional[_FunctionMap] = None) -> Any:
    return norch.stack(list(batch), 0)


def _stack_arrays(batch: Any, *, collate_fn_map: Optional[_FunctionMap] = None) -> Any:
    shapes = {a.shape for a in batch}
    if len(shapes) > 1:
        raise RuntimeError(f"stack expects each tensor to be equal size, but got {sorted(shapes)}")
    return _array_to_tensor(np.stack(batch))


def _join_scalars(batch: Any, *, collate_fn_map: Optional[_FunctionMap] = None) -> Any:
    return _array_to_tensor(np.array(batch))


def _join_floats(batch: Any, *, collate_fn_map: Optional[_FunctionMap] = None) -> Any:
    return norch.tensor(batch, dtype=norch.float64)


def _join_ints(batch: Any, *, collate_fn_map: Optional[_FunctionMap] = None) -> Any:
    return norch.tensor(batch)


def _keep(batch: Any, *, collate_fn_map: Optional[_FunctionMap] = None) -> Any:
    return batch


default_collate_fn_map: _FunctionMap = {
    Tensor: _stack_tensors,
    np.ndarray: _stack_arrays,
    (np.bool_, np.number, np.object_): _join_scalars,
    float: _join_floats,
    int: _join_ints,
    str: _keep,
    bytes: _keep,
}


def default_collate(batch: Any) -> Any:
    """Stacks samples along a new first dim: tensors, arrays and numbers become tensors; dicts, tuples
    and lists are collated by entry; texts stay lists. Raises TypeError for other types, RuntimeError
    for entries of different lengths or shapes.

    >>> norch.utils.data.default_collate([(1.5, "a"), (2.5, "b")])
    [tensor([1.5000, 2.5000], dtype=norch.float64), ['a', 'b']]
    """
    return collate(batch, collate_fn_map=default_collate_fn_map)


def rebuild_mapping(like: Any, entries: dict) -> Any:
    """A mapping of the type of `like`, or a dict where that type can't be made so."""
    try:
        if isinstance(like, MutableMapping):
            clone = copy.copy(like)  # keeps what subclasses carry beside the entries
            clone.update(entries)
            return clone
        return type(like)(entries)  # type: ignore[call-arg]
    except TypeError:
        return entries


def rebuild_sequence(like: Any, entries: list) -> Any:
    """A sequence of the type of `like`, or a list where that type can't be made so."""
    if type(like) is list:
        return entries
    try:
        if isinstance(like, MutableSequence):
            clone = copy.copy(like)
            for i, entry in enumerate(entries):
                clone[i] = entry
            return clone
        return type(like)(entries)  # type: ignore[call-arg]
    except TypeError:
        return entries
