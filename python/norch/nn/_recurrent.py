"""Recurrent networks of several layers, as a function: what the modules in `modules/rnn.py` compute."""

from __future__ import annotations

from typing import Any

from norch import _C
from norch._C import Tensor


def rnn_cell(mode: str, input: Tensor, state: tuple, weights: tuple) -> tuple:
    """The state after one step: (h,), or (h, c) for mode "LSTM". weights: (w_ih, w_hh, b_ih, b_hh, w_hr), each of the
    last three may be None."""
    return tuple(_C._nn._rnn_cell(mode, input, state, weights))


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
            start = [s[first + d] for s in state]
            out, *final = _C._nn._rnn_layer(mode, data, batch_sizes, start, layers[first + d], d == 1)
            outputs.append(out)
            finals.append(final)
        data = outputs[0] if directions == 1 else _C.cat(outputs, 1)
    return data, tuple(_C.stack(parts) for parts in zip(*finals))
