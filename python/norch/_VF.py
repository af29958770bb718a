"""torch._VF: the functions of norch by PyTorch's private name for them, and its functions of recurrent layers, which take
the weights of all layers in one list."""

from __future__ import annotations

from typing import Any, Sequence

import norch
from norch._C import Tensor
from norch.nn._recurrent import rnn, rnn_cell

_Weights = Sequence[Tensor]


def _layers(weights: _Weights, has_biases: bool, projects: bool) -> list[tuple]:
    """(w_ih, w_hh, b_ih, b_hh, w_hr) of each layer and direction."""
    size = 2 + 2 * has_biases + projects
    layers = []
    for first in range(0, len(weights), size):
        part = list(weights[first : first + size])
        biases = part[2:4] if has_biases else [None, None]
        layers.append((*part[:2], *biases, part[-1] if projects else None))
    return layers


def _packed(
    mode: str, data: Tensor, batch_sizes: Tensor, state: tuple, weights: _Weights, biases: bool, dropout: float, train: bool,
    bidirectional: bool,
) -> tuple[Tensor, tuple]:  # fmt: skip
    projects = mode == "LSTM" and state[0].shape[-1] != state[1].shape[-1]
    layers = _layers(weights, biases, projects)
    return rnn(mode, data, batch_sizes.tolist(), state, layers, dropout, train, bidirectional)


def _run(
    mode: str, input: Tensor, state: tuple, weights: _Weights, biases: bool, layers: int, dropout: float, train: bool,
    bidirectional: bool, batch_first: bool,
) -> tuple[Tensor, tuple]:  # fmt: skip
    if input.dim() != 3:
        raise RuntimeError(f"{mode.lower()}: input must have 3 dims, got {input.dim()}")
    if batch_first:
        input = input.transpose(0, 1)
    steps, batch = input.shape[:2]
    sizes = norch.full((steps,), batch, dtype=norch.int64)
    out, final = _packed(mode, input.flatten(0, 1), sizes, state, weights, biases, dropout, train, bidirectional)
    out = out.unflatten(0, (steps, batch))
    return (out.transpose(0, 1) if batch_first else out), final


def _takes_packed(args: tuple) -> bool:
    return isinstance(args[1], Tensor) and isinstance(args[3], (list, tuple))


def lstm(*args: Any) -> tuple[Tensor, Tensor, Tensor]:
    """lstm(input, (h, c), weights, has_biases, num_layers, dropout, train, bidirectional, batch_first), or of packed data
    lstm(data, batch_sizes, (h, c), weights, has_biases, num_layers, dropout, train, bidirectional): (output, h, c)."""
    if isinstance(args[1], Tensor):
        data, sizes, state, weights, biases, _, dropout, train, both = args
        out, final = _packed("LSTM", data, sizes, tuple(state), weights, biases, dropout, train, both)
    else:
        out, final = _run("LSTM", args[0], tuple(args[1]), *args[2:])
    return (out, *final)  # type: ignore[return-value]


def _of_one_state(mode: str, args: tuple) -> tuple[Tensor, Tensor]:
    if _takes_packed(args):
        data, sizes, h, weights, biases, _, dropout, train, both = args
        out, final = _packed(mode, data, sizes, (h,), weights, biases, dropout, train, both)
    else:
        out, final = _run(mode, args[0], (args[1],), *args[2:])
    return out, final[0]


def gru(*args: Any) -> tuple[Tensor, Tensor]:
    """gru(input, h, weights, has_biases, num_layers, dropout, train, bidirectional, batch_first), or of packed data
    gru(data, batch_sizes, h, weights, has_biases, num_layers, dropout, train, bidirectional): (output, h)."""
    return _of_one_state("GRU", args)


def rnn_tanh(*args: Any) -> tuple[Tensor, Tensor]:
    """As `gru`, for layers with tanh."""
    return _of_one_state("RNN_TANH", args)


def rnn_relu(*args: Any) -> tuple[Tensor, Tensor]:
    """As `gru`, for layers with relu."""
    return _of_one_state("RNN_RELU", args)


def lstm_cell(
    input: Tensor, hx: Sequence[Tensor], w_ih: Tensor, w_hh: Tensor, b_ih: Tensor | None = None, b_hh: Tensor | None = None
) -> tuple[Tensor, Tensor]:
    """One step of an LSTM: the new (h, c). input (batch, in), hx (h, c) of (batch, hidden) each.

        >>> h, c = norch.lstm_cell(norch.zeros(1, 2), (norch.zeros(1, 3), norch.zeros(1, 3)), norch.ones(12, 2), norch.ones(12, 3))
        >>> h.shape
        norch.Size([1, 3])"""
    h, c = rnn_cell("LSTM", input, tuple(hx), (w_ih, w_hh, b_ih, b_hh, None))
    return h, c


def _cell(mode: str, input: Tensor, hx: Tensor, weights: tuple) -> Tensor:
    return rnn_cell(mode, input, (hx,), (*weights, None))[0]


def gru_cell(
    input: Tensor, hx: Tensor, w_ih: Tensor, w_hh: Tensor, b_ih: Tensor | None = None, b_hh: Tensor | None = None
) -> Tensor:
    """One step of a GRU: the new state. input (batch, in), hx (batch, hidden)."""
    return _cell("GRU", input, hx, (w_ih, w_hh, b_ih, b_hh))


def rnn_tanh_cell(
    input: Tensor, hx: Tensor, w_ih: Tensor, w_hh: Tensor, b_ih: Tensor | None = None, b_hh: Tensor | None = None
) -> Tensor:
    """One step of a layer with tanh: the new state."""
    return _cell("RNN_TANH", input, hx, (w_ih, w_hh, b_ih, b_hh))


def rnn_relu_cell(
    input: Tensor, hx: Tensor, w_ih: Tensor, w_hh: Tensor, b_ih: Tensor | None = None, b_hh: Tensor | None = None
) -> Tensor:
    """One step of a layer with relu: the new state."""
    return _cell("RNN_RELU", input, hx, (w_ih, w_hh, b_ih, b_hh))


def __getattr__(name: str) -> Any:
    if name.startswith("__"):
        raise AttributeError(f"module 'norch._VF' has no attribute '{name}'")
    return getattr(norch, name)
