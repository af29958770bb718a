"""Counts the floating-point operations of matrix products, convolutions and attention, as PyTorch's FlopCounterMode."""

from __future__ import annotations

import itertools
import math
from collections import defaultdict
from types import TracebackType
from typing import Any

from norch.autograd.profiler import profile, record_function
from norch.autograd.profiler_util import FunctionEvent
from norch.nn.modules._hooks import register_module_forward_hook, register_module_forward_pre_hook
from norch.nn.modules.module import Module

__all__ = ["FlopCounterMode"]

_MODULE = "norch::module "  # begins the names of the ranges that tell which module runs
_ATTENTION = "aten._scaled_dot_product_flash_attention"


class _Count:
    """The FLOPs of one operation: under which name, how many, and those of the gradient of each operand that has one."""

    def __init__(self, name: str, forward: int, backward_name: str = "", backward: int = 0) -> None:
        self.name = name
        self.forward = forward
        self.backward_name = backward_name or name
        self.backward = backward  # of all gradients together


def _matmul(a: list, b: list, grads: list) -> _Count | None:
    if len(a) < 2 or len(b) < 2:
        return None
    # A batch of matrices times one matrix is one product of a taller matrix.
    batched = len(a) > 2 and len(b) > 2
    batch = math.prod(max(x, y) for x, y in itertools.zip_longest(a[-3::-1], b[-3::-1], fillvalue=1))
    flops = 2 * batch * a[-2] * a[-1] * b[-1]
    return _Count("aten.bmm" if batched else "aten.mm", flops, backward=flops * sum(map(bool, grads[:2])))


def _count(event: FunctionEvent) -> _Count | None:
    """None for operations that are not counted."""
    name, shapes, grads = event.name, event.input_shapes, event.input_requires_grad
    grads = [g is True for g in grads]
    if name in ("aten::mm", "aten::matmul", "aten::bmm"):
        return _matmul(shapes[0], shapes[1], grads)
    if name in ("aten::addmm", "aten::baddbmm"):
        count = _matmul(shapes[1], shapes[2], grads[1:])
        if count is not None:
            count.name = name.replace("::", ".")
            count.backward_name = "aten.mm" if name == "aten::addmm" else "aten.bmm"
        return count
    if name == "aten::linear":
        flops = 2 * math.prod(shapes[0]) * shapes[1][0] if len(shapes[1]) == 2 else 0
        with_bias = len(shapes) > 2 and len(shapes[2]) > 0
        return _Count("aten.addmm" if with_bias else "aten.mm", flops, "aten.mm", flops * sum(grads[:2]))
    if name.startswith("aten::conv") and name[len("aten::conv")] in "123_":
        weight = shapes[1]
        places = shapes[0] if "transpose" in name else event.output_shapes[0]
        batch = places[0] if len(places) == len(weight) else 1
        flops = 2 * batch * math.prod(places[-(len(weight) - 2) :]) * math.prod(weight)
        return _Count("aten.convolution", flops, "aten.convolution_backward", flops * sum(grads[:2]))
    if name == "aten::scaled_dot_product_attention":
        q, k, v = shapes[:3]
        one = 2 * math.prod(q[:-1]) * k[-2]  # a product of this many rows with every key, by width
        forward = one * q[-1] + one * v[-1]
        # Scores again, then the gradients of values, of weights, of queries and of keys.
        backward = 3 * one * q[-1] + 2 * one * v[-1] if any(grads[:3]) else 0
        return _Count(_ATTENTION, forward, _ATTENTION + "_backward", backward)
    return None


class FlopCounterMode:
    """FlopCounterMode(mods=None, depth=2, display=True, custom_mapping=None)

    Counts the FLOPs of what runs in the block, by module: those of matrix products (mm, bmm, addmm, baddbmm, matmul,
    linear), convolutions and scaled_dot_product_attention, with their gradients. Two for each multiplication and addition.
    With `display` a table of modules down to `depth` is printed after the block. `mods` and `custom_mapping` are accepted
    and have no effect: all modules are told apart.

    It counts operations that Python calls; products inside of others (einsum, recurrent layers, second derivatives) are
    left out. RuntimeError where something profiles already.

        >>> from norch.utils.flop_counter import FlopCounterMode
        >>> with FlopCounterMode(display=False) as counter:
        ...     y = norch.ones(3, 4) @ norch.ones(4, 5)
        >>> counter.get_total_flops()
        120"""

    def __init__(self, mods: Any = None, depth: int = 2, display: bool = True, custom_mapping: Any = None) -> None:
        self.depth = depth
        self.display = display
        self.flop_counts: dict[str, dict[str, int]] = {"Global": {}}
        self._profile: Any = None
        self._names: dict[int, str] = {}
        self._running: list[tuple[Module, record_function]] = []

    def __enter__(self) -> FlopCounterMode:
        self._names.clear()
        self._running.clear()
        self._hooks = [
            register_module_forward_pre_hook(self._before),
            register_module_forward_hook(self._after, always_call=True),
        ]
        self._profile = profile(record_shapes=True)
        try:
            self._profile.start()
        except BaseException:
            self._remove_hooks()
            raise
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._remove_hooks()
        self._profile.stop()
        self._add(self._profile.function_events)
        if self.display and kind is None:
            print(self.get_table(self.depth))

    def _remove_hooks(self) -> None:
        for hook in self._hooks:
            hook.remove()

    def _before(self, module: Module, args: Any) -> None:
        name = self._names.get(id(module))
        if name is None:
            name = type(module).__name__
            for path, inner in module.named_modules():
                self._names.setdefault(id(inner), f"{name}.{path}" if path else name)
        mark = record_function(_MODULE + name)
        mark.__enter__()
        self._running.append((module, mark))

    def _after(self, module: Module, args: Any, output: Any) -> None:
        while self._running:  # what an exception left behind ends too
            inner, mark = self._running.pop()
            mark.__exit__(None, None, None)
            if inner is module:
                break

    def _add(self, events: Any) -> None:
        runs: dict[int, int] = defaultdict(int)  # of nodes
        for event in events:
            if event.is_backward and not event.name.startswith("autograd::engine"):
                runs[event.sequence_nr] += 1
        for event in events:
            count = None if event.is_backward else _count(event)
            if count is None:
                continue
            modules = ["Global"]
            above = event.cpu_parent
            while above is not None:
                if above.name.startswith(_MODULE):
                    modules.append(above.name[len(_MODULE) :])
                above = above.cpu_parent
            passes = runs.get(event.sequence_nr, 0) if event.sequence_nr >= 0 else 0
            for module in dict.fromkeys(modules):
                by_name = self.flop_counts.setdefault(module, {})
                by_name[count.name] = by_name.get(count.name, 0) + count.forward
                if passes and count.backward:
                    by_name[count.backward_name] = by_name.get(count.backward_name, 0) + passes * count.backward

    def get_total_flops(self) -> int:
        """All that was counted."""
        return sum(self.flop_counts["Global"].values())

    def get_flop_counts(self) -> dict[str, dict[str, int]]:
        """For each module by its dotted name, and for "Global", the FLOPs by operation."""
        return {module: dict(by_name) for module, by_name in self.flop_counts.items()}

    def get_table(self, depth: int | None = None) -> str:
        """The counts as text."""
        depth = self.depth if depth is None else depth
        total = self.get_total_flops()
        rows = [("Module", "FLOP", "% Total")]

        def shown(flops: int) -> str:
            for power, unit in ((12, "T"), (9, "B"), (6, "M"), (3, "K")):
                if flops >= 10**power:
                    return f"{flops / 10**power:.3f}{unit}"
            return str(flops)

        for module in sorted(self.flop_counts, key=lambda m: (m != "Global", m)):
            level = 0 if module == "Global" else module.count(".") + 1
            if level > depth:
                continue
            by_name = self.flop_counts[module]
            for name, flops in [(module, sum(by_name.values())), *((f" - {n}", f) for n, f in by_name.items())]:
                rows.append((" " * level + name, shown(flops), f"{flops * 100 / total:.2f}%" if total else "0%"))
        widths = [max(len(row[i]) for row in rows) for i in range(3)]
        lines = [f"{a:<{widths[0]}}  {b:>{widths[1]}}  {c:>{widths[2]}}" for a, b, c in rows]
        return "\n".join([lines[0], "-" * len(lines[0]), *lines[1:]])
