"""The Kullback-Leibler divergence of two distributions."""

from __future__ import annotations

import warnings
from typing import Any, Callable

from norch._C import Tensor

from .distribution import Distribution

__all__ = ["kl_divergence", "register_kl"]

_registry: dict[tuple[type, type], Callable[[Any, Any], Tensor]] = {}
_found: dict[tuple[type, type], Any] = {}


def register_kl(type_p: type, type_q: type) -> Callable[[Callable], Callable]:
    """A decorator: the function computes `kl_divergence(p, q)` for p and q of these classes, or of subclasses for which
    nothing more specific is registered.

    Raises TypeError for anything that is no class."""
    for name, t in (("type_p", type_p), ("type_q", type_q)):
        if not isinstance(t, type):  # a class of distributions may be none of norch's: Pyro has its own base class
            raise TypeError(f"Expected {name} to be a Distribution subclass but got {t}")

    def register(function: Callable) -> Callable:
        _registry[type_p, type_q] = function
        _found.clear()
        return function

    return register


def _nearest(matches: list[tuple[type, type]], p: type, q: type, first: int) -> tuple[type, type]:
    """The match whose class number `first`, then the other, is the most derived."""
    orders = (p.__mro__, q.__mro__)

    def distance(match: tuple[type, type]) -> tuple[int, int]:
        a, b = (orders[k].index(match[k]) for k in (first, 1 - first))
        return a, b

    return min(matches, key=distance)


def _find(p: type, q: type) -> Any:
    matches = [(a, b) for a, b in _registry if issubclass(p, a) and issubclass(q, b)]
    if not matches:
        return None
    left, right = _nearest(matches, p, q, 0), _nearest(matches, p, q, 1)
    if _registry[left] is not _registry[right]:
        names = [f"{a.__name__}, {b.__name__}" for a, b in (left, right)]
        warnings.warn(
            f"Ambiguous kl_divergence({p.__name__}, {q.__name__}). Please register_kl({names[0]}) "
            f"or register_kl({names[1]})",
            RuntimeWarning,
            stacklevel=3,
        )
    return _registry[left]


def kl_divergence(p: Distribution, q: Distribution) -> Tensor:
    """KL(p || q), the mean of log p(x) - log q(x) over x of p; of the batch shape.

    Raises NotImplementedError where no formula is registered for the pair (see `register_kl`)."""
    key = type(p), type(q)
    if key not in _found:
        _found[key] = _find(*key)
    function = _found[key]
    if function is None:
        raise NotImplementedError(
            f"No KL(p || q) is implemented for p type {p.__class__.__name__} and q type {q.__class__.__name__}"
        )
    return function(p, q)


from . import _kl_mixed, _kl_normal, _kl_pairs  # noqa: E402,F401  (they register the formulas)
