"""The types of results that have names: norch.return_types.max(values=..., indices=...)."""

from __future__ import annotations

from operator import itemgetter
from typing import Any, Iterable, TypeVar

_T = TypeVar("_T", bound="_NamedResult")


class _NamedResult(tuple[Any, ...]):
    """A tuple whose elements have names too; made from one sequence, as PyTorch's are.

    >>> found = norch.max(norch.tensor([[1, 5], [7, 2]]), dim=1)
    >>> found.indices
    tensor([1, 0])
    >>> values, indices = found
    """

    __slots__ = ()
    n_fields = 0

    def __new__(cls: type[_T], values: Iterable[Any]) -> _T:
        self = tuple.__new__(cls, values)
        if len(self) != cls.n_fields:
            given = f"({len(self)}-sequence given)"
            raise TypeError(f"{cls.__module__}.{cls.__name__}() takes a {cls.n_fields}-sequence {given}")
        return self

    def __repr__(self) -> str:
        fields = ",\n".join(f"{name}={value!r}" for name, value in zip(type(self).__match_args__, self))
        return f"{type(self).__module__}.{type(self).__name__}(\n{fields})"

    __match_args__: tuple[str, ...] = ()


def _named_type(name: str, fields: tuple[str, ...]) -> type[_NamedResult]:
    """Makes norch.return_types.<name>. (collections.namedtuple would take ten times as long, at every import.)"""
    members: dict[str, Any] = {field: property(itemgetter(i)) for i, field in enumerate(fields)}
    members["__doc__"] = f"({', '.join(fields)})"
    members.update(__slots__=(), __module__=__name__, __match_args__=fields, n_fields=len(fields))
    made = type(name, (_NamedResult,), members)
    globals()[name] = made
    return made
