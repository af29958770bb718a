"""Nested containers as a flat list of leaves and a spec to rebuild them: lists, tuples, namedtuples, dicts, OrderedDicts
and defaultdicts; None and everything else is a leaf."""

from __future__ import annotations

from collections import OrderedDict, defaultdict, deque
from dataclasses import dataclass
from typing import Any, Callable

__all__ = [
    "LeafSpec",
    "PyTree",
    "TreeSpec",
    "arg_tree_leaves",
    "register_pytree_node",
    "tree_all",
    "tree_any",
    "tree_flatten",
    "tree_leaves",
    "tree_map",
    "tree_map_",
    "tree_map_only",
    "tree_structure",
    "tree_unflatten",
]

PyTree = Any
Leaf = Callable[[Any], bool]


@dataclass(frozen=True)
class TreeSpec:
    """The shape of a tree: `type` None is a leaf; `context` holds a dict's keys, or a namedtuple's class."""

    type: Any
    context: Any
    children_specs: tuple["TreeSpec", ...]

    @property
    def num_leaves(self) -> int:
        """The number of leaves below."""
        return 1 if self.type is None else sum(c.num_leaves for c in self.children_specs)

    @property
    def num_nodes(self) -> int:
        """The number of nodes, leaves too."""
        return 1 + sum(c.num_nodes for c in self.children_specs)

    def is_leaf(self) -> bool:
        """Whether the tree is one leaf."""
        return self.type is None


_LEAF = TreeSpec(None, None, ())
_registered: dict[type, tuple[Callable[[Any], tuple], Callable[[Any, Any], Any]]] = {}


def register_pytree_node(
    cls: type, flatten_fn: Callable[[Any], tuple], unflatten_fn: Callable[[Any, Any], Any], **options: Any
) -> None:
    """Makes a class a container: `flatten_fn(x)` gives (children, context), `unflatten_fn(children, context)` the object
    again. ValueError for a class that is one already."""
    if cls in _registered or cls in (dict, OrderedDict, defaultdict, list, tuple, deque):
        raise ValueError(f"{cls} is already registered as pytree node")
    _registered[cls] = (flatten_fn, unflatten_fn)


_register_pytree_node = register_pytree_node


def LeafSpec() -> TreeSpec:
    """The spec of a leaf."""
    return _LEAF


def _children(tree: Any) -> tuple[Any, Any, list] | None:
    """(type, context, children) of a container, None for a leaf."""
    kind = type(tree)
    if kind in (dict, OrderedDict):
        return kind, tuple(tree), list(tree.values())
    if kind is defaultdict:
        return kind, (tree.default_factory, tuple(tree)), list(tree.values())
    if kind in (list, tuple):
        return kind, None, list(tree)
    if kind is deque:
        return kind, tree.maxlen, list(tree)
    if kind in _registered:
        children, context = _registered[kind][0](tree)
        return kind, context, list(children)
    if isinstance(tree, tuple) and hasattr(tree, "_fields"):
        return tuple, kind, list(tree)
    return None


def tree_flatten(tree: PyTree, is_leaf: Leaf | None = None) -> tuple[list, TreeSpec]:
    """(leaves, spec). Dicts keep their order. Where `is_leaf` says so, a container is a leaf."""
    parts = None if is_leaf is not None and is_leaf(tree) else _children(tree)
    if parts is None:
        return [tree], _LEAF
    kind, context, children = parts
    leaves: list = []
    specs = []
    for child in children:
        below, spec = tree_flatten(child, is_leaf)
        leaves += below
        specs.append(spec)
    return leaves, TreeSpec(kind, context, tuple(specs))


def tree_unflatten(leaves: Any, treespec: TreeSpec) -> PyTree:
    """The inverse of tree_flatten. Raises ValueError for another number of leaves."""
    if not isinstance(treespec, TreeSpec):
        raise TypeError(f"tree_unflatten(leaves, treespec): Expected `treespec` to be a TreeSpec, got {type(treespec)}")
    leaves = list(leaves)
    if len(leaves) != treespec.num_leaves:
        raise ValueError(
            f"tree_unflatten(leaves, treespec): `leaves` has length {len(leaves)} but the spec refers to a pytree that holds "
            f"{treespec.num_leaves} items"
        )
    return _build(iter(leaves), treespec)


def _build(leaves: Any, spec: TreeSpec) -> Any:
    if spec.type is None:
        return next(leaves)
    children = [_build(leaves, child) for child in spec.children_specs]
    if spec.type in _registered:
        return _registered[spec.type][1](children, spec.context)
    if spec.type in (dict, OrderedDict):
        return spec.type(zip(spec.context, children))
    if spec.type is defaultdict:
        factory, keys = spec.context
        return defaultdict(factory, zip(keys, children))
    if spec.type is deque:
        return deque(children, maxlen=spec.context)
    return spec.context(*children) if spec.context is not None else spec.type(children)


def tree_leaves(tree: PyTree, is_leaf: Leaf | None = None) -> list:
    """The leaves, in order."""
    return tree_flatten(tree, is_leaf)[0]


def arg_tree_leaves(*args: PyTree, **kwargs: PyTree) -> list:
    """The leaves of a call's arguments, positional and by name."""
    return [leaf for a in (*args, *kwargs.values()) for leaf in tree_leaves(a)]


def tree_structure(tree: PyTree, is_leaf: Leaf | None = None) -> TreeSpec:
    """The spec."""
    return tree_flatten(tree, is_leaf)[1]


def tree_map(func: Callable[..., Any], tree: PyTree, *rests: PyTree, is_leaf: Leaf | None = None) -> PyTree:
    """The tree with func(leaf, *leaves of the others) in each leaf's place."""
    leaves, spec = tree_flatten(tree, is_leaf)
    others = [_leaves_like(spec, rest) for rest in rests]
    return tree_unflatten([func(*xs) for xs in zip(leaves, *others)], spec)


def _leaves_like(spec: TreeSpec, tree: Any) -> list:
    """The parts of `tree` where `spec` has leaves. Raises ValueError where their containers differ."""
    if spec.type is None:
        return [tree]
    parts = _children(tree)
    if parts is None or parts[0] is not spec.type or len(parts[2]) != len(spec.children_specs):
        raise ValueError(f"tree_map: the trees differ: expected a {spec.type.__name__}, got {type(tree).__name__}")
    children = parts[2]
    if spec.type in (dict, OrderedDict):
        if set(tree) != set(spec.context):
            raise ValueError(f"tree_map: the trees differ: keys {list(tree)} instead of {list(spec.context)}")
        children = [tree[key] for key in spec.context]
    return [leaf for s, child in zip(spec.children_specs, children) for leaf in _leaves_like(s, child)]


def tree_map_(func: Callable[..., Any], tree: PyTree, *rests: PyTree, is_leaf: Leaf | None = None) -> PyTree:
    """Calls func for its effect on each leaf, and returns the tree."""
    tree_map(func, tree, *rests, is_leaf=is_leaf)
    return tree


def tree_map_only(kind: Any, func: Any = None, tree: PyTree = None, is_leaf: Leaf | None = None) -> PyTree:
    """tree_map for the leaves that are of a type (or of one of several, or that a predicate chooses); others stay."""
    chosen = (lambda x: isinstance(x, kind)) if isinstance(kind, (type, tuple)) else kind
    return tree_map(lambda x: func(x) if chosen(x) else x, tree, is_leaf=is_leaf)


def tree_all(pred: Callable[[Any], bool], tree: PyTree, is_leaf: Leaf | None = None) -> bool:
    """Whether `pred` holds for all leaves."""
    return all(map(pred, tree_leaves(tree, is_leaf)))


def tree_any(pred: Callable[[Any], bool], tree: PyTree, is_leaf: Leaf | None = None) -> bool:
    """Whether `pred` holds for some leaf."""
    return any(map(pred, tree_leaves(tree, is_leaf)))
