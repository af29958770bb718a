"""`GradScaler`: loss scaling."""

from __future__ import annotations

import warnings
from collections import defaultdict
from collections.abc import Iterable
from enum import Enum
from typing import Any

from norch._C import Tensor, _optim, float16, float32, full, int32

__all__ = ["GradScaler", "OptState"]


class OptState(Enum):
    """Where an optimizer is in an iteration."""

    READY = 0
    UNSCALED = 1
    STEPPED = 2


def _new_optimizer_state() -> dict[str, Any]:
    return {"stage": OptState.READY, "found_inf_per_device": {}}


class GradScaler:
    """Scales losses, so that small float16 gradients do not vanish, and divides the gradients again before the
    optimizer sees them. A step whose gradients hold inf or NaN is skipped and lowers the scale; `growth_interval`
    good steps in a row raise it.

        scaler.scale(loss).backward()
        scaler.unscale_(optimizer)  # if the gradients are to be clipped
        scaler.step(optimizer)
        scaler.update()

    Optimizers made with fused=True skip on the device; others make `step` wait for it.

    >>> p = norch.nn.Parameter(norch.tensor([2.0]))
    >>> optimizer = norch.optim.SGD([p], lr=0.1)
    >>> scaler = norch.amp.GradScaler("cpu", init_scale=4.0)
    >>> scaler.scale((p * p).sum()).backward()
    >>> p.grad
    tensor([16.])
    >>> scaler.step(optimizer)
    >>> scaler.update()
    >>> p.data
    tensor([1.6000])"""

    def __init__(
        self,
        device: str = "cuda",
        init_scale: float = 2.0**16,
        growth_factor: float = 2.0,
        backoff_factor: float = 0.5,
        growth_interval: int = 2000,
        enabled: bool = True,
    ) -> None:
        self._device = device
        self._enabled = enabled
        if enabled and device == "cuda":
            import norch.cuda

            if not norch.cuda.is_available():
                warnings.warn("GradScaler is enabled, but CUDA is not available.  Disabling.", stacklevel=2)
                self._enabled = False
        if not self._enabled:
            return
        if growth_factor <= 1.0:
            raise AssertionError("The growth factor must be > 1.0.")
        if backoff_factor >= 1.0:
            raise AssertionError("The backoff factor must be < 1.0.")
        self._init_scale = init_scale
        self._scale: Tensor | None = None
        self._growth_factor = growth_factor
        self._backoff_factor = backoff_factor
        self._growth_interval = growth_interval
        self._init_growth_tracker = 0
        self._growth_tracker: Tensor | None = None
        self._per_optimizer_states: dict[int, dict[str, Any]] = defaultdict(_new_optimizer_state)

    def _made(self, caller: str) -> tuple[Tensor, Tensor]:
        """The scale and the growth tracker, which `scale` makes."""
        if self._scale is None or self._growth_tracker is None:
            raise AssertionError(
                f"Attempted {caller} but _scale is None.  This may indicate your script did not use scaler.scale(loss "
                "or outputs) earlier in the iteration."
            )
        return self._scale, self._growth_tracker

    def scale(self, outputs: Any) -> Any:
        """A tensor, or each tensor of an iterable (of iterables), times the scale."""
        if not self._enabled:
            return outputs
        if isinstance(outputs, Tensor):
            if self._scale is None:
                device = outputs.device
                self._scale = full((), self._init_scale, dtype=float32, device=device)
                self._growth_tracker = full((), self._init_growth_tracker, dtype=int32, device=device)
            return outputs * self._scale.to(outputs.device)
        if isinstance(outputs, Iterable):
            scaled = map(self.scale, outputs)
            return type(outputs)(scaled) if isinstance(outputs, (list, tuple)) else scaled  # type: ignore[call-arg]
        raise ValueError("outputs must be a Tensor or an iterable of Tensors")

    def _unscale_grads_(self, optimizer: Any, scale: Tensor, allow_fp16: bool) -> dict[Any, Tensor]:
        """Divides the gradients by `scale`; for each device a number that is not 0 if any was inf or NaN."""
        grads: dict[Any, list[Tensor]] = defaultdict(list)
        for group in optimizer.param_groups:
            for p in group["params"]:
                if p.grad is None:
                    continue
                if not allow_fp16 and p.grad.dtype == float16:
                    raise ValueError("Attempting to unscale FP16 gradients.")
                if p.grad.is_sparse:
                    if p.grad.dtype == float16:
                        p.grad = p.grad.coalesce()  # the sum of a row's values may overflow
                    grads[p.grad.device].append(p.grad._values())
                    continue
                grads[p.grad.device].append(p.grad)
        inverse = scale.double().reciprocal().float()
        found = {device: full((), 0.0, dtype=float32, device=device) for device in grads}
        for device, list_ in grads.items():
            _optim.unscale_(list_, inverse.to(device), found[device])
        return found

    def unscale_(self, optimizer: Any) -> None:
        """Divides the gradients of the optimizer's parameters by the scale; once before `step`, which else does it."""
        if not self._enabled:
            return
        scale, _ = self._made("unscale_")
        state = self._per_optimizer_states[id(optimizer)]
        if state["stage"] is OptState.UNSCALED:
            raise RuntimeError("unscale_() has already been called on this optimizer since the last update().")
        if state["stage"] is OptState.STEPPED:
            raise RuntimeError("unscale_() is being called after step().")
        allow_fp16 = getattr(optimizer, "_step_supports_amp_scaling", False)
        state["found_inf_per_device"] = self._unscale_grads_(optimizer, scale, allow_fp16)
        state["stage"] = OptState.UNSCALED

    def step(self, optimizer: Any, *args: Any, **kwargs: Any) -> Any:
        """`optimizer.step(*args, **kwargs)` with unscaled gradients, unless any of them is inf or NaN."""
        if not self._enabled:
            return optimizer.step(*args, **kwargs)
        if "closure" in kwargs:
            raise RuntimeError("Closure use is not currently supported if GradScaler is enabled.")
        self._made("step")
        state = self._per_optimizer_states[id(optimizer)]
        if state["stage"] is OptState.STEPPED:
            raise RuntimeError("step() has already been called since the last update().")
        if state["stage"] is OptState.READY:
            self.unscale_(optimizer)
        found = list(state["found_inf_per_device"].values())
        if not found:
            raise AssertionError("No inf checks were recorded for this optimizer.")
        result = None
        if getattr(optimizer, "_step_supports_amp_scaling", False) and len(found) == 1:
            optimizer.grad_scale = None
            optimizer.found_inf = found[0]
            try:
                result = optimizer.step(*args, **kwargs)
            finally:
                del optimizer.grad_scale, optimizer.found_inf
        elif not any(f.item() for f in found):
            result = optimizer.step(*args, **kwargs)
        state["stage"] = OptState.STEPPED
        return result

    def update(self, new_scale: float | Tensor | None = None) -> None:
        """The next iteration's scale: as the steps since the last call went, or `new_scale`."""
        if not self._enabled:
            return
        scale, tracker = self._made("update")
        if isinstance(new_scale, Tensor):
            if new_scale.device.type != self._device or new_scale.numel() != 1 or new_scale.requires_grad:
                raise AssertionError(
                    f"new_scale should be a float or a 1-element tensor on {self._device} with requires_grad=False."
                )
            scale.copy_(new_scale)
        elif new_scale is not None:
            scale.fill_(new_scale)
        else:
            found = [
                f.to(scale.device)
                for state in self._per_optimizer_states.values()
                for f in state["found_inf_per_device"].values()
            ]
            if not found:
                raise AssertionError("No inf checks were recorded prior to update.")
            _optim.update_scale_(
                scale, tracker, sum(found[1:], found[0]), self._growth_factor, self._backoff_factor, self._growth_interval
            )
        self._per_optimizer_states = defaultdict(_new_optimizer_state)

    def _get_scale_async(self) -> Tensor | None:
        return self._scale

    def get_scale(self) -> float:
        """The scale (waits for the device), or 1.0 if disabled."""
        if not self._enabled:
            return 1.0
        return self._init_scale if self._scale is None else self._scale.item()

    def get_growth_factor(self) -> float:
        """What a raised scale is multiplied by."""
        return self._growth_factor

    def set_growth_factor(self, new_factor: float) -> None:
        """Sets it."""
        self._growth_factor = new_factor

    def get_backoff_factor(self) -> float:
        """What a lowered scale is multiplied by."""
        return self._backoff_factor

    def set_backoff_factor(self, new_factor: float) -> None:
        """Sets it."""
        self._backoff_factor = new_factor

    def get_growth_interval(self) -> int:
        """How many good steps in a row raise the scale."""
        return self._growth_interval

    def set_growth_interval(self, new_interval: int) -> None:
        """Sets it."""
        self._growth_interval = new_interval

    def _get_growth_tracker(self) -> int:
        if not self._enabled:
            return 0
        return self._init_growth_tracker if self._growth_tracker is None else self._growth_tracker.item()

    def is_enabled(self) -> bool:
        """Whether it does anything."""
        return self._enabled

    def state_dict(self) -> dict[str, Any]:
        """The scale, the factors and the count of good steps; empty if disabled."""
        if not self._enabled:
            return {}
        return {
            "scale": self.get_scale(),
            "growth_factor": self._growth_factor,
            "backoff_factor": self._backoff_factor,
            "growth_interval": self._growth_interval,
            "_growth_tracker": self._get_growth_tracker(),
        }

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Takes over what `state_dict` returned."""
        if not self._enabled:
            return
        if len(state_dict) == 0:
            raise RuntimeError(
                "The source state dict is empty, possibly because it was saved from a disabled instance of GradScaler."
            )
        self._init_scale = state_dict["scale"]
        self._growth_factor = state_dict["growth_factor"]
        self._backoff_factor = state_dict["backoff_factor"]
        self._growth_interval = state_dict["growth_interval"]
        self._init_growth_tracker = state_dict["_growth_tracker"]
        if self._scale is not None and self._growth_tracker is not None:
            self._scale.fill_(self._init_scale)
            self._growth_tracker.fill_(self._init_growth_tracker)

    def __getstate__(self) -> dict[str, Any]:
        state = self.__dict__.copy()
        if self._enabled:
            if self._per_optimizer_states:
                raise AssertionError(
                    "A GradScaler instance may only be pickled at the beginning of an iteration, or at the end after "
                    "scaler.update()."
                )
            state.update(
                _init_scale=self.get_scale(),
                _init_growth_tracker=self._get_growth_tracker(),
                _scale=None,
                _growth_tracker=None,
            )
        return state

    def __setstate__(self, state: dict[str, Any]) -> None:
        self.__dict__.update(state)

    def _found_inf_per_device(self, optimizer: Any) -> dict[Any, Tensor]:
        return self._per_optimizer_states[id(optimizer)]["found_inf_per_device"]
