"""vmap: a function of single samples, applied to batches."""

from __future__ import annotations

import functools
from typing import Any, Callable

import norch
from norch._C import Tensor
from norch.utils._pytree import TreeSpec, tree_flatten, tree_unflatten

__all__ = ["vmap"]


def _spread(dims: Any, spec: TreeSpec) -> list | None:
    """A dim for each leaf of a tree: `dims` is one for all, or a tree that begins like it. None if it is neither."""
    if dims is None or isinstance(dims, int):
        return [dims] * spec.num_leaves
    if spec.type is None:
        return None
    if spec.type in (list, tuple):
        if not isinstance(dims, (list, tuple)) or len(dims) != len(spec.children_specs):
            return None
        children = list(dims)
    else:
        if not isinstance(dims, dict):
            return None
        keys = spec.context[1] if isinstance(spec.context, tuple) and len(spec.context) == 2 and callable(spec.context[0]) else spec.context
        if set(dims) != set(keys):
            return None
        children = [dims[k] for k in keys]
    out: list = []
    for child, below in zip(children, spec.children_specs):
        part = _spread(child, below)
        if part is None:
            return None
        out += part
    return out


def _batch(name: str, in_dims: Any, args: tuple) -> tuple[int, list, list, TreeSpec]:
    """(batch size, leaves, their dims, their structure)."""
    call = f"vmap({name}, in_dims={in_dims}, ...)(<inputs>)"
    if not isinstance(in_dims, (int, tuple)):
        raise ValueError(
            f"{call}: expected `in_dims` to be int or a (potentially nested) tuple matching the structure of inputs, got: "
            f"{type(in_dims)}."
        )
    if not args:
        raise ValueError(f"vmap({name})(<inputs>): got no inputs. Maybe you forgot to add inputs, or you are trying to vmap over a function with no inputs. The latter is unsupported.")  # fmt: skip
    leaves, spec = tree_flatten(args)
    dims = _spread(in_dims, spec)
    if dims is None:
        raise ValueError(f"{call}: in_dims is not compatible with the structure of `inputs`. in_dims has structure {tree_flatten(in_dims)[1]} but inputs has structure {spec}.")  # fmt: skip
    sizes = []
    for i, (leaf, dim) in enumerate(zip(leaves, dims)):
        if dim is None:
            continue
        if not isinstance(leaf, Tensor):
            raise ValueError(f"{call}: Got in_dim={dim} for an input but the input is of type {type(leaf)}. We cannot vmap over non-Tensor arguments, please use None as the respective in_dim")  # fmt: skip
        if not -leaf.dim() <= dim < leaf.dim():
            raise ValueError(f"{call}: Got in_dim={dim} for some input, but that input is a Tensor of dimensionality {leaf.dim()} so expected in_dim to satisfy -{leaf.dim()} <= in_dim < {leaf.dim()}.")  # fmt: skip
        sizes.append(leaf.shape[dim])
    if not sizes:
        raise ValueError("vmap: at least one input must be mapped over: all in_dims are None")
    if len(set(sizes)) > 1:
        raise ValueError(f"vmap: Expected all tensors to have the same size in the mapped dimension, got sizes {sizes} for the mapped dimension")  # fmt: skip
    return sizes[0], leaves, dims, spec


class _Randomness:
    """What becomes of random numbers from one sample to the next."""

    def __init__(self, mode: str) -> None:
        if mode not in ("error", "different", "same"):
            raise RuntimeError(f"Only allowed values for randomness are 'error', 'different', or 'same'. Got {mode}")
        self.mode = mode
        self.before = norch.get_rng_state() if mode != "different" else None

    def check(self) -> None:
        """After a sample."""
        if self.before is None or bool((norch.get_rng_state() == self.before).all()):
            return
        if self.mode == "error":
            raise RuntimeError(
                "vmap: called random operation while in randomness error mode. Please either use the 'same' or 'different' "
                "randomness flags on vmap or perform the randomness operation out of vmap"
            )

    def rewind(self) -> None:
        """Before every sample but the first."""
        if self.mode == "same" and self.before is not None:
            norch.set_rng_state(self.before)


def vmap(
    func: Callable[..., Any],
    in_dims: Any = 0,
    out_dims: Any = 0,
    randomness: str = "error",
    *,
    chunk_size: int | None = None,
) -> Callable[..., Any]:
    """A function that applies `func` to every sample of a batch and stacks the results.

    in_dims: the dim of each input that counts the samples; an int for all, or a nested tuple like the inputs, None for
    those that all samples share, as they do keyword arguments. out_dims: where the results' batch dim goes. randomness:
    "different" or "same" random numbers for the samples, or "error": RuntimeError if `func` draws any.

    norch runs `func` once for each sample, so anything that works on a sample works here (also `if x > 0`, `item()` and
    in-place writes); it is no faster than a loop. Batched operations are. `chunk_size` has no effect.

        >>> norch.vmap(norch.dot)(norch.ones(3, 2), norch.ones(3, 2))
        tensor([2., 2., 2.])"""
    if chunk_size is not None and chunk_size <= 0:
        raise ValueError(f"vmap: chunk_size should be None or greater than 0. (got {chunk_size})")
    name = getattr(func, "__name__", repr(func))

    @functools.wraps(func)
    def wrapper(*args: Any, **kwargs: Any) -> Any:
        size, leaves, dims, spec = _batch(name, in_dims, args)
        parts = [leaf if d is None else leaf.unbind(d) for leaf, d in zip(leaves, dims)]

        def run(i: int) -> Any:
            def sample(part: Any, leaf: Any, dim: Any) -> Any:
                if dim is None:
                    return part
                if size == 0:  # only the results' shapes are wanted
                    return leaf.new_zeros([n for d, n in enumerate(leaf.shape) if d != dim % leaf.dim()])
                return part[i]

            given = [sample(p, leaf, d) for p, leaf, d in zip(parts, leaves, dims)]
            return func(*tree_unflatten(given, spec), **kwargs)

        rule = _Randomness(randomness)
        results: list[list] = []
        out_spec: Any = None
        for i in range(max(size, 1)):
            if i:
                rule.rewind()
            out, this_spec = tree_flatten(run(i))
            rule.check()
            for value in out:
                if not isinstance(value, Tensor):
                    raise ValueError(f"vmap({name}, ...): `{name}` must only return Tensors, got type {type(value)}. Did you mean to set out_dims= to None for output?")  # fmt: skip
            if out_spec is not None and this_spec != out_spec:
                raise ValueError(f"vmap({name}, ...): samples gave results of different structures")
            out_spec = this_spec
            results.append(out)
        places = _spread(out_dims, out_spec)
        if places is None and isinstance(out_dims, tuple) and len(out_dims) == 1 and out_spec.type is None:
            places = list(out_dims)
        if places is None:
            raise ValueError(f"vmap({name}, ..., out_dims={out_dims}): out_dims is not compatible with the structure of `outputs`. out_dims has structure {tree_flatten(out_dims)[1]} but outputs has structure {out_spec}.")  # fmt: skip
        joined = []
        for k, place in enumerate(places):
            column = [row[k] for row in results]
            if place is None:
                joined.append(column[0])
            elif size == 0:
                joined.append(norch.stack([column[0]], place).narrow(place, 0, 0))
            else:
                joined.append(norch.stack(column, place))
        return tree_unflatten(joined, out_spec)

    return wrapper
