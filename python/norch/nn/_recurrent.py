"""Recurrent networks over whole sequences, as functions: what the modules in `modules/rnn.py` compute."""

from __future__ import annotations

from typing import Any

from norch import _C
from norch._C import Tensor


def rnn_cell(mode: str, input: Tensor, state: tuple, weights: tuple) -> tuple:
    """The state after one step: (h,), or (h, c) for mode "LSTM". weights: (w_ih, w_hh, b_ih, b_hh, w_hr), each of the
    last three may be None."""
    w_ih, _, b_ih, _, _ = weights
    return _step(mode, _C._nn.linear(input, w_ih, b_ih), state, weights)


def _step(mode: str, from_input: Tensor, state: tuple, weights: tuple) -> tuple:
    _, w_hh, _, b_hh, w_hr = weights
    h = state[0]
    from_hidden = _C._nn.linear(h, w_hh, b_hh)
    if mode == "LSTM":
        i, f, g, o = (from_input + from_hidden).chunk(4, 1)
        c = f.sigmoid() * state[1] + i.sigmoid() * g.tanh()
        h = o.sigmoid() * c.tanh()
        return (h if w_hr is None else _C._nn.linear(h, w_hr)), c
    if mode == "GRU":
        ri, zi, ni = from_input.chunk(3, 1)
        rh, zh, nh = from_hidden.chunk(3, 1)
        z = (zi + zh).sigmoid()
        n = (ni + (ri + rh).sigmoid() * nh).tanh()
        return (n + z * (h - n),)
    total = from_input + from_hidden
    return (total.tanh() if mode == "RNN_TANH" else total.relu(),)


def _direction(
    mode: str, data: Tensor, batch_sizes: list[int], state: tuple, weights: tuple, reverse: bool
) -> tuple[Tensor, tuple]:
    """One direction of one layer over packed data (rows, in); state: (batch, size) each. Returns the outputs
    (rows, out) and the final state."""
    w_ih, _, b_ih, _, _ = weights
    steps = _C._nn.linear(data, w_ih, b_ih).split(batch_sizes)
    outputs: list[Tensor] = []
    if reverse:
        first = state
        state = tuple(s[: batch_sizes[-1]] for s in first)
        for x in reversed(steps):
            running, waiting = state[0].size(0), x.size(0)
            if waiting > running:
                state = tuple(_C.cat([s, s0[running:waiting]]) for s, s0 in zip(state, first))
            state = _step(mode, x, state, weights)
            outputs.append(state[0])
        return _C.cat(outputs[::-1]), state
    done: list[tuple] = []
    for x in steps:
        running = x.size(0)
        if running < state[0].size(0):
            done.append(tuple(s[running:] for s in state))
            state = tuple(s[:running] for s in state)
        state = _step(mode, x, state, weights)
        outputs.append(state[0])
    if done:
        state = tuple(_C.cat(parts[::-1]) for parts in zip(*done, state))
    return _C.cat(outputs), state


def rnn(
    mode: str,
    data: Tensor,
    batch_sizes: list[int],
    state: tuple,
    layers: list[tuple],
    dropout: float,
    train: bool,
    bidirectional: bool,
) -> tuple[Tensor, tuple]:
    """All layers over packed data (rows, in); state: (layers * directions, batch, size) each. Dropout on what goes
    from one layer to the next. Returns the last layer's outputs and the final state."""
    directions = 2 if bidirectional else 1
    finals: list[Any] = []
    for first in range(0, len(layers), directions):
        if first > 0 and train and dropout > 0:
            data = _C._nn.dropout(data, dropout)
        outputs = []
        for d in range(directions):
            start = tuple(s[first + d] for s in state)
            out, final = _direction(mode, data, batch_sizes, start, layers[first + d], d == 1)
            outputs.append(out)
            finals.append(final)
        data = outputs[0] if directions == 1 else _C.cat(outputs, 1)
    return data, tuple(_C.stack(parts) for parts in zip(*finals))
