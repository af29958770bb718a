"""L-BFGS."""

from __future__ import annotations

from typing import Any, Callable, NamedTuple

from norch._C import Tensor, cat, tensor, view_as_real, zeros
from norch.autograd import enable_grad, no_grad

from .optimizer import Optimizer

__all__ = ["LBFGS"]


class _Point(NamedTuple):
    """A point of a line search: the step t, the loss f, the gradient g, and its slope along the line."""

    t: Any
    f: float
    g: Tensor
    slope: Any


def _cubic_minimum(a: _Point, b: _Point, bounds: tuple[Any, Any] | None = None) -> Any:
    """Where the cubic through two points with their slopes is least, between the bounds (or the points)."""
    low, high = bounds or ((a.t, b.t) if a.t <= b.t else (b.t, a.t))
    d1 = a.slope + b.slope - 3 * (a.f - b.f) / (a.t - b.t)
    square = d1**2 - a.slope * b.slope
    if not square >= 0:
        return (low + high) / 2.0
    d2 = square.sqrt()
    if a.t <= b.t:
        t = b.t - (b.t - a.t) * ((b.slope + d2 - d1) / (b.slope - a.slope + 2 * d2))
    else:
        t = a.t - (a.t - b.t) * ((a.slope + d2 - d1) / (a.slope - b.slope + 2 * d2))
    return min(max(t, low), high)


def _search(
    at: Callable[[Any], _Point],
    t: Any,
    start: _Point,
    size: Tensor,
    tolerance: float,
    limit: int,
    c1: float = 1e-4,
    c2: float = 0.9,
) -> tuple[_Point, int]:
    """A point that fulfils the strong Wolfe conditions, or the best found with about `limit` evaluations of `at`, and
    their number. size: the greatest element of the direction. (Nocedal and Wright, Algorithms 3.5 and 3.6.)"""

    def too_high(p: _Point) -> bool:
        return bool(p.f > start.f + c1 * p.t * start.slope)

    previous, now = start, at(t)
    count, rounds = 1, 0
    while rounds < limit:
        if too_high(now) or (rounds > 1 and now.f >= previous.f):
            break
        if abs(now.slope) <= -c2 * start.slope:
            return now, count
        if now.slope >= 0:
            break
        t = _cubic_minimum(previous, now, (now.t + 0.01 * (now.t - previous.t), now.t * 10))
        previous, now = now, at(t)
        count += 1
        rounds += 1
    else:
        return (start if start.f <= now.f else now), count

    # A good point lies between these two.
    ends = [previous, now]
    low, high = (0, 1) if ends[0].f <= ends[1].f else (1, 0)
    stuck = False
    while rounds < limit:
        a, b = ends
        if abs(b.t - a.t) * size < tolerance:
            break
        t = _cubic_minimum(a, b)
        first, last = min(a.t, b.t), max(a.t, b.t)
        margin = 0.1 * (last - first)
        # Close to an end twice, or at it: move inwards.
        if min(last - t, t - first) < margin:
            if stuck or t >= last or t <= first:
                t = last - margin if abs(t - last) < abs(t - first) else first + margin
                stuck = False
            else:
                stuck = True
        else:
            stuck = False
        now = at(t)
        count += 1
        rounds += 1
        if too_high(now) or now.f >= ends[low].f:
            ends[high] = now
            low, high = (0, 1) if ends[0].f <= ends[1].f else (1, 0)
            continue
        done = abs(now.slope) <= -c2 * start.slope
        if not done and now.slope * (ends[high].t - ends[low].t) >= 0:
            ends[high] = ends[low]
        ends[low] = now
        if done:
            break
    return ends[low], count


def _cubic_interpolate(x1: Any, f1: Any, g1: Any, x2: Any, f2: Any, g2: Any, bounds: Any = None) -> Any:
    """Where the cubic with values f and slopes g at x1 and x2 is least, between the bounds (or the points)."""
    slopes = [g if isinstance(g, Tensor) else tensor(g) for g in (g1, g2)]
    return _cubic_minimum(_Point(x1, f1, slopes[0], slopes[0]), _Point(x2, f2, slopes[1], slopes[1]), bounds)


def _strong_wolfe(
    obj_func: Callable[[Any, Any, Tensor], tuple[Any, Tensor]],
    x: Any,
    t: Any,
    d: Tensor,
    f: Any,
    g: Tensor,
    gtd: Tensor,
    c1: float = 1e-4,
    c2: float = 0.9,
    tolerance_change: float = 1e-9,
    max_ls: int = 25,
) -> tuple[Any, Tensor, Any, int]:
    """The line search by itself, for optimizers that programs write: from x, where obj_func is f with the gradient g, along
    d, first by the step t. gtd: g.dot(d). Returns (the loss, the gradient, the step, how often obj_func(x, t, d) was
    called)."""

    def at(t: Any) -> _Point:
        loss, gradient = obj_func(x, t, d)
        return _Point(t, loss, gradient, gradient.dot(d))

    best, count = _search(at, t, _Point(0, f, g, gtd), d.abs().max(), tolerance_change, max_ls, c1, c2)
    return best.f, best.g, best.t, count


class LBFGS(Optimizer):
    """L-BFGS: steps along -H g, where H, an approximate inverse of the second derivative, comes from the last
    `history_size` steps. `step` wants a closure, which it calls up to `max_eval` times (default: max_iter * 5 / 4).

    line_search_fn: "strong_wolfe", or None to take steps of lr (the first is shorter). One group of parameters.

    >>> p = norch.nn.Parameter(norch.tensor([3.0, -4.0]))
    >>> optimizer = norch.optim.LBFGS([p], line_search_fn="strong_wolfe")
    >>> def closure():
    ...     optimizer.zero_grad()
    ...     loss = (p * p).sum()
    ...     loss.backward()
    ...     return loss
    >>> optimizer.step(closure).item()
    25.0
    >>> bool((p.abs() < 1e-6).all())
    True"""

    def __init__(
        self,
        params: Any,
        lr: float | Tensor = 1,
        max_iter: int = 20,
        max_eval: int | None = None,
        tolerance_grad: float = 1e-7,
        tolerance_change: float = 1e-9,
        history_size: int = 100,
        line_search_fn: str | None = None,
    ) -> None:
        if isinstance(lr, Tensor) and lr.numel() != 1:
            raise ValueError("Tensor lr must be 1-element")
        if not 0.0 <= lr:
            raise ValueError(f"Invalid learning rate: {lr}")
        super().__init__(
            params,
            dict(
                lr=lr,
                max_iter=max_iter,
                max_eval=max_iter * 5 // 4 if max_eval is None else max_eval,
                tolerance_grad=tolerance_grad,
                tolerance_change=tolerance_change,
                history_size=history_size,
                line_search_fn=line_search_fn,
            ),
        )
        if len(self.param_groups) != 1:
            raise ValueError("LBFGS doesn't support per-parameter options (parameter groups)")
        self._params = self.param_groups[0]["params"]

    def __setstate__(self, state: dict[str, Any]) -> None:
        super().__setstate__(state)
        self._params = self.param_groups[0]["params"]

    # -- all parameters as one vector -----------------------------------------------------------

    def _gradient(self) -> Tensor:
        parts = []
        for p in self._params:
            part = zeros(p.numel(), dtype=p.dtype, device=p.device) if p.grad is None else p.grad.to_dense().reshape(-1)
            parts.append(view_as_real(part).reshape(-1) if part.is_complex() else part)
        return cat(parts)

    def _move(self, t: Any, d: Tensor) -> None:
        """Adds t * d to the parameters."""
        begin = 0
        for p in self._params:
            real = view_as_real(p) if p.is_complex() else p
            end = begin + real.numel()
            real.add_(d[begin:end].reshape(real.shape), alpha=t)
            begin = end

    # -- the step -------------------------------------------------------------------------------

    def step(self, closure: Callable[[], Any]) -> Any:  # type: ignore[override]
        """Up to `max_iter` iterations; returns the loss before them. closure: clears the gradients, computes the loss
        and its gradients, and returns it."""
        with no_grad():
            return self._iterate(closure)

    def _evaluate_at(self, closure: Callable[[], Any], start: list[Tensor], t: Any, d: Tensor) -> _Point:
        self._move(t, d)
        with enable_grad():
            loss = float(closure())
        g = self._gradient()
        for p, value in zip(self._params, start):
            p.copy_(value)
        return _Point(t, loss, g, g.dot(d))

    def _direction(self, state: dict[str, Any], g: Tensor, history: int) -> Tensor:
        """-H g; first takes the last step into the history that H is made of."""
        y = g - state["prev_flat_grad"]
        s = state["d"] * state["t"]
        ys = y.dot(s)
        ys_list, steps, ro = state["old_dirs"], state["old_stps"], state["ro"]
        if ys > 1e-10:
            if len(ys_list) == history:
                for values in (ys_list, steps, ro):
                    values.pop(0)
            ys_list.append(y)
            steps.append(s)
            ro.append(1.0 / ys)
            state["H_diag"] = ys / y.dot(y)
        weights = state.setdefault("al", [None] * history)
        q = -g
        for i in reversed(range(len(ys_list))):
            weights[i] = steps[i].dot(q) * ro[i]
            q.add_(ys_list[i], alpha=-weights[i])
        r = q * state["H_diag"]
        for i in range(len(ys_list)):
            r.add_(steps[i], alpha=weights[i] - ys_list[i].dot(r) * ro[i])
        return r

    def _iterate(self, closure: Callable[[], Any]) -> Any:
        group = self.param_groups[0]
        lr, max_iter, max_eval = group["lr"], group["max_iter"], group["max_eval"]
        if isinstance(lr, Tensor):
            lr = lr.reshape(())
        tolerance_grad, tolerance_change = group["tolerance_grad"], group["tolerance_change"]
        search = group["line_search_fn"]
        state = self.state[self._params[0]]
        state.setdefault("func_evals", 0)
        state.setdefault("n_iter", 0)

        with enable_grad():
            first_loss = closure()
        loss = float(first_loss)
        evaluations = 1
        state["func_evals"] += 1
        g = self._gradient()
        if g.abs().max() <= tolerance_grad:
            return first_loss

        for iteration in range(1, max_iter + 1):
            state["n_iter"] += 1
            if state["n_iter"] == 1:
                d = -g
                state.update(old_dirs=[], old_stps=[], ro=[], H_diag=1)
                t = min(1.0, 1.0 / g.abs().sum()) * lr
            else:
                d = self._direction(state, g, group["history_size"])
                t = lr
            previous_loss = loss
            state.update(d=d, t=t, prev_flat_grad=g.clone(), prev_loss=loss)
            slope = g.dot(d)
            if slope > -tolerance_change:
                break

            more = 0
            if search is not None:
                if search != "strong_wolfe":
                    raise RuntimeError("only 'strong_wolfe' is supported")
                start = [p.clone() for p in self._params]
                best, more = _search(
                    lambda at, d=d, start=start: self._evaluate_at(closure, start, at, d),  # type: ignore[misc]
                    t,
                    _Point(0, loss, g, slope),
                    d.abs().max(),
                    1e-9,
                    max_eval - evaluations,
                )
                loss, g, t = best.f, best.g, best.t
                state["t"] = t
                self._move(t, d)
            else:
                self._move(t, d)
                if iteration != max_iter:
                    with enable_grad():
                        loss = float(closure())
                    g = self._gradient()
                    more = 1
            evaluations += more
            state["func_evals"] += more
            if (
                evaluations >= max_eval
                or g.abs().max() <= tolerance_grad
                or (d * t).abs().max() <= tolerance_change
                or abs(loss - previous_loss) < tolerance_change
            ):
                break
        return first_loss
