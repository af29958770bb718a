"""Trading time for memory: what is computed inside is computed again in backward instead of being kept."""

from __future__ import annotations

import contextlib
import enum
import warnings
from typing import Any, Callable

import norch
from norch.autograd import Function
from norch.autograd import backward as _backward
from norch.autograd.graph import saved_tensors_hooks
from norch.utils._pytree import tree_leaves

__all__ = [
    "CheckpointError",
    "CheckpointPolicy",
    "SelectiveCheckpointContext",
    "check_backward_validity",
    "checkpoint",
    "checkpoint_sequential",
    "create_selective_checkpoint_contexts",
    "detach_variable",
    "get_device_states",
    "noop_context_fn",
    "set_checkpoint_debug_enabled",
    "set_checkpoint_early_stop",
    "set_device_states",
]


class CheckpointError(RuntimeError):
    """A function that keeps other tensors for backward when it runs again than it did at first."""


def _same_casts() -> Callable[[], contextlib.AbstractContextManager[Any]]:
    """Makes contexts in which autocast is as it is now."""
    autocast = norch.amp.autocast_mode
    devices = [d for d in ("cpu", "cuda") if autocast.is_autocast_available(d)]
    states = [(d, autocast.get_autocast_dtype(d), autocast.is_autocast_enabled(d)) for d in devices]
    cache = autocast.is_autocast_cache_enabled()

    def enter() -> contextlib.AbstractContextManager[Any]:
        stack = contextlib.ExitStack()
        for device, dtype, enabled in states:
            if enabled or autocast.is_autocast_enabled(device):
                stack.enter_context(norch.autocast(device, dtype, enabled, cache))
        return stack

    return enter


class _Again:
    """How to run a function again as it ran at first: with the same random numbers and the same casts."""

    def __init__(self, preserve_rng: bool, contexts: Any) -> None:
        self.rng = norch.get_rng_state() if preserve_rng else None
        self.casts = _same_casts()
        self.context = contexts[1]

    def __call__(self, run: Callable[[], Any]) -> Any:
        with contextlib.ExitStack() as stack:
            stack.enter_context(norch.random.fork_rng(enabled=self.rng is not None))
            if self.rng is not None:
                norch.set_rng_state(self.rng)
            stack.enter_context(norch.enable_grad())
            stack.enter_context(self.casts())
            stack.enter_context(self.context)
            return run()


class _Kept:
    """The tensors that a function keeps for backward, by their numbers: counted when it runs at first, and computed by
    running it again when backward asks for one."""

    def __init__(self, run: Callable[[], Any], again: _Again) -> None:
        self.run, self.again = run, again
        self.count = 0
        self.tensors: dict[int, Any] = {}

    def pack(self, tensor: Any) -> int:
        self.count += 1
        return self.count - 1

    def unpack(self, i: int) -> Any:
        if i not in self.tensors:
            self.compute()
        return self.tensors.pop(i)

    def compute(self) -> None:
        found: list[Any] = []

        def refuse(_: Any) -> Any:
            raise CheckpointError("checkpoint: backward() of what runs again for backward() is not possible inside of it")

        with saved_tensors_hooks(lambda tensor: found.append(tensor.detach()), refuse):
            self.again(self.run)
        if len(found) != self.count:
            raise CheckpointError(
                "norch.utils.checkpoint: A different number of tensors was saved during the original forward and "
                f"recomputation.\nNumber of tensors saved during forward: {self.count}\n"
                f"Number of tensors saved during recomputation: {len(found)}"
            )
        self.tensors = dict(enumerate(found))


def _checkpoint_kept(run: Callable[[], Any], preserve_rng: bool, contexts: Any) -> Any:
    kept = _Kept(run, _Again(preserve_rng, contexts))
    with saved_tensors_hooks(kept.pack, kept.unpack), contexts[0]:
        return run()


class _Checkpoint(Function):
    """Runs a function without a graph; backward runs it again with one, and goes through that: PyTorch's older kind."""

    @staticmethod
    def forward(ctx: Any, run: Callable[..., Any], again: _Again, args: tuple, *tensors: Any) -> Any:
        ctx.run, ctx.again, ctx.args = run, again, args
        ctx.save_for_backward(*tensors)
        with norch.no_grad():
            out = run(*_fill(args, tensors))
        ctx.is_tuple = isinstance(out, (tuple, list))
        return tuple(out) if ctx.is_tuple else out

    @staticmethod
    def backward(ctx: Any, *grads: Any) -> tuple:
        tensors = [t.detach().requires_grad_(t.requires_grad) for t in ctx.saved_tensors]
        outs = ctx.again(lambda: ctx.run(*_fill(ctx.args, tensors)))
        outs = outs if ctx.is_tuple else (outs,)
        pairs = [(o, g) for o, g in zip(outs, grads) if isinstance(o, norch.Tensor) and o.requires_grad and g is not None]
        if pairs:
            _backward([o for o, _ in pairs], [g for _, g in pairs])
        return (None, None, None, *(t.grad for t in tensors))


class _Slot(int):
    """Where in the arguments a tensor goes."""


def _split(args: tuple) -> tuple[tuple, list]:
    tensors: list = []
    slots: list = []
    for a in args:
        if isinstance(a, norch.Tensor):
            slots.append(_Slot(len(tensors)))
            tensors.append(a)
        else:
            slots.append(a)
    return tuple(slots), tensors


def _fill(args: tuple, tensors: Any) -> list:
    return [tensors[a] if type(a) is _Slot else a for a in args]


def checkpoint(
    function: Callable[..., Any],
    *args: Any,
    use_reentrant: bool | None = None,
    context_fn: Callable[[], tuple] | None = None,
    determinism_check: str = "default",
    debug: bool = False,
    early_stop: bool = True,
    preserve_rng_state: bool = True,
    **kwargs: Any,
) -> Any:
    """function(*args, **kwargs), of which only the inputs are kept for backward: it runs again there, with the same random
    numbers where preserve_rng_state, and the same casts.

    use_reentrant=False: gradients reach whatever the function uses, also through autograd.grad() and twice; context_fn
    returns two context managers, for the two runs; CheckpointError where the second keeps other tensors than the first.
    use_reentrant=True, which leaving it out means, with a warning: only where a tensor among `args` requires a gradient
    does the result require one (a warning says so); gradients of parameters are accumulated by backward(), and
    autograd.grad() sees those of `args` only; no kwargs.

        >>> x = norch.ones(2, requires_grad=True)
        >>> norch.utils.checkpoint.checkpoint(lambda t: t.exp().sum(), x, use_reentrant=False).backward()
        >>> x.grad
        tensor([2.7183, 2.7183])"""
    if use_reentrant is None:
        _warn_of_kind("checkpoint")
    if use_reentrant is not False:
        if kwargs:
            raise ValueError("Unexpected keyword arguments: " + ",".join(kwargs))
        if context_fn is not None or debug:
            raise ValueError("Passing `context_fn` or `debug` is only supported when use_reentrant=False.")
    if not norch.is_grad_enabled():
        return function(*args, **kwargs)
    if use_reentrant is False:
        contexts = context_fn() if context_fn is not None else noop_context_fn()
        return _checkpoint_kept(lambda: function(*args, **kwargs), preserve_rng_state, contexts)
    check_backward_validity(args)
    slots, tensors = _split(args)
    return _Checkpoint.apply(function, _Again(preserve_rng_state, noop_context_fn()), slots, *tensors)


def _warn_of_kind(function: str) -> None:
    warnings.warn(
        f"norch.utils.checkpoint.{function}: the use_reentrant parameter should be passed explicitly. use_reentrant=False is "
        "recommended; leaving it out means use_reentrant=True.",
        stacklevel=3,
    )


def checkpoint_sequential(
    functions: Any, segments: int, input: Any, use_reentrant: bool | None = None, preserve_rng_state: bool = True, **_: Any
) -> Any:
    """A Sequential, or a list of modules, applied to `input` in `segments` parts, all but the last of which are
    checkpointed."""
    if use_reentrant is None:
        _warn_of_kind("checkpoint_sequential")
    kind = use_reentrant is not False
    modules = list(functions.children()) if isinstance(functions, norch.nn.Sequential) else list(functions)

    def part(start: int, end: int) -> Callable[[Any], Any]:
        def forward(x: Any) -> Any:
            for module in modules[start:end]:
                x = module(x)
            return x

        return forward

    size = len(modules) // segments
    end = 0
    for i in range(segments - 1):
        start, end = i * size, (i + 1) * size
        input = checkpoint(part(start, end), input, use_reentrant=kind, preserve_rng_state=preserve_rng_state)
    return part(end, len(modules))(input)


def detach_variable(inputs: tuple) -> tuple:
    """The inputs, tensors without their graphs but with their requires_grad. RuntimeError for what is no tuple."""
    if not isinstance(inputs, tuple):
        raise RuntimeError("Only tuple of tensors is supported. Got Unsupported input type: ", type(inputs).__name__)
    return tuple(x.detach().requires_grad_(x.requires_grad) if isinstance(x, norch.Tensor) else x for x in inputs)


def check_backward_validity(inputs: Any) -> None:
    """Warns where no tensor among the inputs requires a gradient."""
    if not any(isinstance(x, norch.Tensor) and x.requires_grad for x in inputs):
        warnings.warn("None of the inputs have requires_grad=True. Gradients will be None", stacklevel=2)


def set_checkpoint_early_stop(enable: bool) -> contextlib.AbstractContextManager[None]:
    """Accepted: backward computes the whole of a checkpoint again, its end too."""
    return contextlib.nullcontext()


def set_checkpoint_debug_enabled(enabled: bool | None) -> contextlib.AbstractContextManager[None]:
    """Accepted: what is computed again is not compared with the first time."""
    return contextlib.nullcontext()


class CheckpointPolicy(enum.Enum):
    """What a policy says of an operation's result: keep it, or compute it again."""

    MUST_SAVE = 0
    PREFER_SAVE = 1
    MUST_RECOMPUTE = 2
    PREFER_RECOMPUTE = 3
    MUST_CPU_OFFLOAD = 4


class SelectiveCheckpointContext:
    """What a policy is told of the operation: whether it runs again, for backward."""

    def __init__(self, *, is_recompute: bool) -> None:
        self.is_recompute = is_recompute


def create_selective_checkpoint_contexts(policy_fn_or_list: Any, allow_cache_entry_mutation: bool = False) -> tuple:
    """The contexts of a checkpoint that keeps what the policy names: `checkpoint(f, x, context_fn=lambda:
    create_selective_checkpoint_contexts(policy))`. norch computes everything again, which gives the same results with
    less memory. TypeError for a policy that is neither a function nor a list of operators."""
    if not callable(policy_fn_or_list) and not isinstance(policy_fn_or_list, list):
        raise TypeError("policy_fn_or_list must be either a function or a list of ops.")
    return noop_context_fn()


def noop_context_fn() -> tuple:
    """Two context managers that do nothing: checkpoint's default for `context_fn`."""
    return contextlib.nullcontext(), contextlib.nullcontext()


def get_device_states(*args: Any) -> tuple[list[int], list[Any]]:
    """The GPUs that the tensors among `args` are on, and the state of the random numbers of each; for set_device_states."""
    devices = sorted({t.get_device() for t in tree_leaves(args) if isinstance(t, norch.Tensor) and t.is_cuda})
    return devices, [norch.cuda.get_rng_state(device) for device in devices]


def set_device_states(devices: list[int], states: list[Any], *, device_type: str | None = None) -> None:
    """Puts back the states that get_device_states gave."""
    for device, state in zip(devices, states):
        norch.cuda.set_rng_state(state, device)
