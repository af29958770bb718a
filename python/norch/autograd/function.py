"""autograd.Function: ops whose forward and backward are written in Python."""

from __future__ import annotations

import functools
import warnings
from typing import Any, Callable

from norch import _C
from norch._C import Tensor
from norch.autograd.grad_mode import no_grad

_record = _C._autograd.record_function


class FunctionCtx:
    """What forward hands to backward: saved tensors, and any attributes that the function sets."""

    _to_save: tuple | None = None
    _dirty: tuple | None = None
    _non_differentiable: tuple | None = None
    _materialize_grads = True
    _unpacked: tuple | None = None
    _pack_of: Any = None  # how the saved tensors make up what was passed, where some are sparse
    needs_input_grad: tuple = ()

    def save_for_backward(self, *tensors: Tensor | None) -> None:
        """Keeps inputs or outputs for backward, where they are `saved_tensors`."""
        if any(t is not None and not issubclass(type(t), Tensor) and getattr(t, "is_sparse", False) for t in tensors):
            from norch.sparse import pack

            tensors, self._pack_of = pack(tensors)
        self._to_save = tensors

    def mark_dirty(self, *tensors: Tensor) -> None:
        """Tells that forward wrote to these inputs in place (and returns them)."""
        self._dirty = tensors

    def mark_non_differentiable(self, *tensors: Tensor) -> None:
        """Tells that these outputs have no gradient."""
        self._non_differentiable = tensors

    def set_materialize_grads(self, value: bool) -> None:
        """Whether backward gets zeros (the default) or None for outputs that nothing used."""
        self._materialize_grads = value

    @property
    def saved_tensors(self) -> tuple:
        """What forward saved. RuntimeError if one was changed in place since, or if backward has freed them."""
        if self._unpacked is None:
            if self._to_save is not None:
                return self._to_save if self._pack_of is None else self._pack_of(self._to_save)
            return ()
        return self._unpacked

    @property
    def saved_variables(self) -> tuple:
        """The older name of `saved_tensors`."""
        warnings.warn("'saved_variables' is deprecated; use 'saved_tensors'", DeprecationWarning, stacklevel=2)
        return self.saved_tensors

    def _run_backward(self, cls: type, saved: tuple, grads: tuple) -> Any:
        """Called by the graph: runs cls.backward with the saved tensors unpacked."""
        self._unpacked = saved if self._pack_of is None else self._pack_of(saved)
        try:
            backward = cls.backward if cls.backward is not Function.backward else cls.vjp  # type: ignore[attr-defined]
            return backward(self, *grads)
        finally:
            self._unpacked = None


class Function:
    """Base class of custom ops.

    Subclasses define static methods `forward(ctx, *args)` (or `forward(*args)` with `setup_context(ctx, inputs,
    output)`) and `backward(ctx, *grads)`, which returns one gradient, or None, per argument of forward. Call them as
    `MyFunction.apply(*args)`."""

    @staticmethod
    def forward(*args: Any, **kwargs: Any) -> Any:
        """The computation: `forward(ctx, *args)`, or `forward(*args)` with `setup_context`. Runs without recording."""
        raise NotImplementedError("You must implement the forward function for custom autograd.Function.")

    @staticmethod
    def setup_context(ctx: Any, inputs: tuple, output: Any) -> None:
        """Saves what backward needs, where forward takes no ctx."""
        raise NotImplementedError("setup_context is not implemented.")

    @staticmethod
    def backward(ctx: Any, *grad_outputs: Any) -> Any:
        """One gradient, or None, per argument of forward, from one gradient per output."""
        raise NotImplementedError(
            "You must implement either the backward or vjp method for your custom autograd.Function to use it with backward mode AD."
        )

    @staticmethod
    def vjp(ctx: Any, *grad_outputs: Any) -> Any:
        """Another name of `backward`, for subclasses to define instead."""
        raise NotImplementedError(
            "You must implement either the backward or vjp method for your custom autograd.Function to use it with backward mode AD."
        )

    @classmethod
    def apply(cls, *args: Any) -> Any:
        """Runs the op and records it."""
        if _C._profiler.on():
            from norch.autograd.profiler import record_function

            with record_function(cls.__name__):
                return cls._apply(*args)
        return cls._apply(*args)

    @classmethod
    def _apply(cls, *args: Any) -> Any:
        ctx = FunctionCtx()
        ctx.needs_input_grad = tuple(isinstance(a, Tensor) and a.requires_grad for a in args)
        with no_grad():
            if cls.setup_context is Function.setup_context:
                output = cls.forward(ctx, *args)
            else:
                output = cls.forward(*args)
                cls.setup_context(ctx, args, output)
        single = not isinstance(output, (tuple, list))
        outputs = (output,) if single else tuple(output)
        if single and not isinstance(output, Tensor):
            return output
        recorded = _record(cls, ctx, cls.__name__ + "Backward", args, outputs)
        # The graph keeps what is needed from here on; holding the outputs here would be a cycle.
        ctx._to_save = ctx._dirty = ctx._non_differentiable = None
        return recorded[0] if single else recorded


class InplaceFunction(Function):
    """A Function that keeps whether it works in place; older programs derive theirs from it."""

    def __init__(self, inplace: bool = False) -> None:
        super().__init__()
        self.inplace = inplace


def once_differentiable(backward: Callable) -> Callable:
    """Marks a backward that is not itself differentiable: differentiating through it raises."""

    @functools.wraps(backward)
    def wrapped(ctx: Any, *grads: Any) -> Any:
        with no_grad():
            results = backward(ctx, *grads)
        if not _C.is_grad_enabled():
            return results
        if not any(isinstance(g, Tensor) and g.requires_grad for g in grads):
            return results
        single = not isinstance(results, tuple)
        marked = _Refuse.apply(*[g for g in grads if isinstance(g, Tensor)], (results,) if single else results)
        return marked[0] if single else marked

    return wrapped


class _Refuse(Function):
    """Passes gradients on and raises when they are differentiated."""

    @staticmethod
    def forward(ctx: Any, *args: Any) -> Any:
        return tuple(r.detach() if isinstance(r, Tensor) else r for r in args[-1])

    @staticmethod
    def backward(ctx: Any, *grads: Any) -> Any:
        raise RuntimeError("trying to differentiate twice a function that was marked with @once_differentiable")
