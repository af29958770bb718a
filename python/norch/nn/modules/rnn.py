"""Recurrent layers over sequences, and the cells that compute one step."""

from __future__ import annotations

import math
import numbers
import warnings
from typing import Any

from norch import _C
from norch._C import Parameter, Tensor, empty

from .. import init
from .._recurrent import rnn
from ..utils.rnn import PackedSequence
from ._rnn_cells import GRUCell as GRUCell
from ._rnn_cells import LSTMCell as LSTMCell
from ._rnn_cells import RNNCell as RNNCell
from ._rnn_cells import RNNCellBase as RNNCellBase
from .module import Module

__all__ = ["GRU", "GRUCell", "LSTM", "LSTMCell", "RNN", "RNNBase", "RNNCell", "RNNCellBase"]

_GATES = {"LSTM": 4, "GRU": 3, "RNN_TANH": 1, "RNN_RELU": 1}


def _check_type(name: str, value: Any, wanted: type) -> None:
    if not isinstance(value, wanted):
        raise TypeError(f"{name} should be of type {wanted.__name__}, got: {type(value).__name__}")


def _apply_permutation(hidden: Tensor, order: Tensor | None) -> Tensor:
    return hidden if order is None else hidden.index_select(1, order)


class RNNBase(Module):
    """What RNN, LSTM and GRU share. `mode` is "RNN_TANH", "RNN_RELU", "LSTM" or "GRU"; the parameters of layer k are
    weight_ih_lk (gates * hidden_size, layer's input size), weight_hh_lk (gates * hidden_size, hidden_size), bias_ih_lk and
    bias_hh_lk, with `proj_size` also weight_hr_lk (proj_size, hidden_size); those of the backward direction end in
    _reverse."""

    def __init__(
        self,
        mode: str,
        input_size: int,
        hidden_size: int,
        num_layers: int = 1,
        bias: bool = True,
        batch_first: bool = False,
        dropout: float = 0.0,
        bidirectional: bool = False,
        proj_size: int = 0,
        device: Any = None,
        dtype: Any = None,
    ) -> None:
        super().__init__()
        self.mode = mode
        self.input_size = input_size
        self.hidden_size = hidden_size
        self.num_layers = num_layers
        self.bias = bias
        self.batch_first = batch_first
        self.dropout = float(dropout)
        self.bidirectional = bidirectional
        self.proj_size = proj_size
        if not isinstance(dropout, numbers.Number) or not 0 <= dropout <= 1 or isinstance(dropout, bool):
            raise ValueError(
                "dropout should be a number in range [0, 1] representing the probability of an element being zeroed"
            )
        if dropout > 0 and num_layers == 1:
            warnings.warn(
                "dropout option adds dropout after all but last recurrent layer, so non-zero dropout expects "
                f"num_layers greater than 1, but got dropout={dropout} and num_layers={num_layers}",
                stacklevel=2,
            )
        _check_type("bias", bias, bool)
        _check_type("batch_first", batch_first, bool)
        _check_type("input_size", input_size, int)
        if input_size <= 0:
            raise ValueError("input_size must be greater than zero")
        _check_type("hidden_size", hidden_size, int)
        if hidden_size <= 0:
            raise ValueError("hidden_size must be greater than zero")
        if num_layers <= 0:
            raise ValueError("num_layers must be greater than zero")
        if proj_size < 0:
            raise ValueError("proj_size should be a positive integer or zero to disable projections")
        if proj_size >= hidden_size:
            raise ValueError("proj_size has to be smaller than hidden_size")
        if mode not in _GATES:
            raise ValueError("Unrecognized RNN mode: " + mode)

        rows = _GATES[mode] * hidden_size
        directions = 2 if bidirectional else 1
        self._all_weights: list[list[str]] = []
        for layer in range(num_layers):
            for suffix in ("", "_reverse")[:directions]:
                width = input_size if layer == 0 else self._output_size * directions
                shapes: dict[str, tuple] = {"weight_ih": (rows, width), "weight_hh": (rows, self._output_size)}
                if bias:
                    shapes.update(bias_ih=(rows,), bias_hh=(rows,))
                if proj_size > 0:
                    shapes["weight_hr"] = (proj_size, hidden_size)
                names = []
                for kind, shape in shapes.items():
                    names.append(f"{kind}_l{layer}{suffix}")
                    setattr(self, names[-1], Parameter(empty(shape, device=device, dtype=dtype)))
                self._all_weights.append(names)
        self.reset_parameters()

    def __getstate__(self) -> dict:
        state = super().__getstate__()
        state["_flat_weights_names"], state["_flat_weights"] = self._flat_weights_names, self._flat_weights
        return state

    def __setstate__(self, state: dict) -> None:
        # These two are computed; PyTorch's modules hold them, and need them in a file.
        super().__setstate__({k: v for k, v in state.items() if k not in ("_flat_weights_names", "_flat_weights")})

    @property
    def _output_size(self) -> int:
        return self.proj_size if self.proj_size > 0 else self.hidden_size

    @property
    def _flat_weights_names(self) -> list[str]:
        return [name for names in self._all_weights for name in names]

    @property
    def _flat_weights(self) -> list[Tensor]:
        return [getattr(self, name) for name in self._flat_weights_names]

    @_flat_weights.setter
    def _flat_weights(self, weights: list[Tensor]) -> None:
        for name, weight in zip(self._flat_weights_names, weights):
            if getattr(self, name, None) is not weight:
                setattr(self, name, weight)

    @property
    def all_weights(self) -> list[list[Parameter]]:
        """The parameters, a list for each layer and direction."""
        return [[getattr(self, name) for name in names] for names in self._all_weights]

    def flatten_parameters(self) -> None:
        """Does nothing: the parameters need not lie in one block of memory."""

    def reset_parameters(self) -> None:
        """Draws all parameters from U(-1/sqrt(hidden_size), 1/sqrt(hidden_size))."""
        bound = 1.0 / math.sqrt(self.hidden_size) if self.hidden_size > 0 else 0
        for weight in self.parameters():
            init.uniform_(weight, -bound, bound)

    def check_input(self, input: Tensor, batch_sizes: Tensor | None) -> None:
        """Raises where the (packed, with `batch_sizes`) input has a wrong dtype or shape."""
        dtype = self._flat_weights[0].dtype
        if input.dtype != dtype and not _C._autocast.is_enabled(input.device.type):
            raise ValueError(
                f"RNN input dtype ({input.dtype}) does not match weight dtype ({dtype}). "
                f"Convert input: input.to({dtype}), or convert model: model.to({input.dtype})"
            )
        ndim = 2 if batch_sizes is not None else 3
        if input.ndim != ndim:
            raise RuntimeError(f"input must have {ndim} dimensions, got {input.ndim}")
        if self.input_size != input.size(-1):
            raise RuntimeError(
                f"input.size(-1) must be equal to input_size. Expected {self.input_size}, got {input.size(-1)}"
            )

    def get_expected_hidden_size(self, input: Tensor, batch_sizes: Tensor | None) -> tuple[int, int, int]:
        """The shape that the hidden state must have."""
        if batch_sizes is not None:
            batch = int(batch_sizes[0])
        else:
            batch = input.size(0) if self.batch_first else input.size(1)
        return len(self._all_weights), batch, self._output_size

    def check_hidden_size(
        self, hx: Tensor, expected_hidden_size: tuple[int, int, int], msg: str = "Expected hidden size {}, got {}"
    ) -> None:
        """Raises RuntimeError where `hx` has another shape."""
        if tuple(hx.shape) != expected_hidden_size:
            raise RuntimeError(msg.format(expected_hidden_size, list(hx.shape)))

    def check_forward_args(self, input: Tensor, hidden: Any, batch_sizes: Tensor | None) -> None:
        """Raises where input or state have a wrong shape."""
        self.check_input(input, batch_sizes)
        self.check_hidden_size(hidden, self.get_expected_hidden_size(input, batch_sizes))

    def permute_hidden(self, hx: Any, permutation: Tensor | None) -> Any:
        """The state with its batch in another order."""
        return _apply_permutation(hx, permutation)

    def _check_hidden_ndim(self, hx: Any, batched: bool) -> None:
        kind, n = ("batched 3-D", 3) if batched else ("unbatched 2-D", 2)
        if hx.ndim != n:
            raise RuntimeError(f"For {kind} input, hx should also be {n}-D but got {hx.ndim}-D tensor")

    def _zero_state(self, input: Tensor, batch: int) -> Any:
        shape = (len(self._all_weights), batch, self._output_size)
        return _C.zeros(shape, dtype=input.dtype, device=input.device)

    def _layers(self) -> list[tuple]:
        """(w_ih, w_hh, b_ih, b_hh, w_hr) of each layer and direction."""
        layers = []
        for weights in self.all_weights:
            rest: list = list(weights[2:])
            biases = (rest.pop(0), rest.pop(0)) if self.bias else (None, None)
            layers.append((*weights[:2], *biases, rest[0] if rest else None))
        return layers

    def _run(self, data: Tensor, batch_sizes: list[int], hx: Any) -> tuple[Tensor, Any]:
        out, state = rnn(
            self.mode, data, batch_sizes, (hx,), self._layers(), self.dropout, self.training, self.bidirectional
        )
        return out, state[0]

    def _unsqueezed(self, hx: Any) -> Any:
        return hx.unsqueeze(1)

    def _squeezed(self, hx: Any) -> Any:
        return hx.squeeze(1)

    def forward(self, input: Any, hx: Any = None) -> tuple[Any, Any]:
        if isinstance(input, PackedSequence):
            data, batch_sizes, order, back = input
            state = self._zero_state(data, int(batch_sizes[0])) if hx is None else self.permute_hidden(hx, order)
            self.check_forward_args(data, state, batch_sizes)
            out, state = self._run(data, batch_sizes.tolist(), state)
            return PackedSequence(out, batch_sizes, order, back), self.permute_hidden(state, back)
        if input.ndim not in (2, 3):
            name = "RNN" if self.mode.startswith("RNN") else self.mode
            tail = " tensor instead" if name == "RNN" else " instead"
            raise ValueError(f"{name}: Expected input to be 2D or 3D, got {input.ndim}D{tail}")
        batched = input.ndim == 3
        batch_dim = 0 if self.batch_first else 1
        if hx is not None:
            self._check_hidden_ndim(hx, batched)
        if not batched:
            input = input.unsqueeze(batch_dim)
            hx = None if hx is None else self._unsqueezed(hx)
        if hx is None:
            hx = self._zero_state(input, input.size(batch_dim))
        self.check_forward_args(input, hx, None)
        if self.batch_first:
            input = input.transpose(0, 1)
        steps, batch = input.shape[:2]
        if steps == 0:
            raise RuntimeError("Expected sequence length to be larger than 0 in RNN")
        out, hx = self._run(input.reshape(steps * batch, input.size(2)), [batch] * steps, hx)
        out = out.view(steps, batch, out.size(1))
        if self.batch_first:
            out = out.transpose(0, 1)
        return (out, hx) if batched else (out.squeeze(batch_dim), self._squeezed(hx))

    def extra_repr(self) -> str:
        text = f"{self.input_size}, {self.hidden_size}"
        if self.proj_size != 0:
            text += f", proj_size={self.proj_size}"
        if self.num_layers != 1:
            text += f", num_layers={self.num_layers}"
        if self.bias is not True:
            text += f", bias={self.bias}"
        if self.batch_first is not False:
            text += f", batch_first={self.batch_first}"
        if self.dropout != 0:
            text += f", dropout={self.dropout}"
        if self.bidirectional is not False:
            text += f", bidirectional={self.bidirectional}"
        return text


class RNN(RNNBase):
    """RNN(input_size, hidden_size, num_layers=1, nonlinearity='tanh', bias=True, batch_first=False, dropout=0.0,
    bidirectional=False, device=None, dtype=None)

    Elman's network: h' = tanh(W_ih x + b_ih + W_hh h + b_hh), or relu. input (L, N, in), (N, L, in) with `batch_first`,
    (L, in), or a PackedSequence; hx (layers * directions, N, hidden). Returns the last layer's outputs for all steps
    and the final state of every layer and direction.

        >>> rnn = norch.nn.RNN(3, 5, num_layers=2)
        >>> out, h = rnn(norch.zeros(4, 2, 3))
        >>> out.shape, h.shape
        (norch.Size([4, 2, 5]), norch.Size([2, 2, 5]))
    """

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        if "proj_size" in kwargs:
            raise ValueError("proj_size argument is only supported for LSTM, not RNN or GRU")
        if len(args) > 3:
            nonlinearity, args = args[3], args[:3] + args[4:]
        else:
            nonlinearity = kwargs.pop("nonlinearity", "tanh")
        if nonlinearity not in ("tanh", "relu"):
            raise ValueError(f"Unknown nonlinearity '{nonlinearity}'. Select from 'tanh' or 'relu'.")
        super().__init__("RNN_" + nonlinearity.upper(), *args, **kwargs)
        self.nonlinearity = nonlinearity


class LSTM(RNNBase):
    """LSTM(input_size, hidden_size, num_layers=1, bias=True, batch_first=False, dropout=0.0, bidirectional=False,
    proj_size=0, device=None, dtype=None)

    Long short-term memory: i, f, o = sigmoid and g = tanh of W_i* x + b_i* + W_h* h + b_h*; c' = f c + i g;
    h' = o tanh(c'), with `proj_size` W_hr h'. Shapes as for RNN; the state is (h, c).

        >>> lstm = norch.nn.LSTM(3, 5, bidirectional=True)
        >>> out, (h, c) = lstm(norch.zeros(4, 2, 3))
        >>> out.shape, h.shape
        (norch.Size([4, 2, 10]), norch.Size([2, 2, 5]))
    """

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__("LSTM", *args, **kwargs)

    def get_expected_cell_size(self, input: Tensor, batch_sizes: Tensor | None) -> tuple[int, int, int]:
        """The shape that the cell state must have."""
        return (*self.get_expected_hidden_size(input, batch_sizes)[:2], self.hidden_size)

    def check_forward_args(self, input: Tensor, hidden: Any, batch_sizes: Tensor | None) -> None:
        self.check_input(input, batch_sizes)
        h, c = self.get_expected_hidden_size(input, batch_sizes), self.get_expected_cell_size(input, batch_sizes)
        self.check_hidden_size(hidden[0], h, "Expected hidden[0] size {}, got {}")
        self.check_hidden_size(hidden[1], c, "Expected hidden[1] size {}, got {}")

    def permute_hidden(self, hx: Any, permutation: Tensor | None) -> Any:
        return tuple(_apply_permutation(s, permutation) for s in hx)

    def _check_hidden_ndim(self, hx: Any, batched: bool) -> None:
        kind, n = ("batched 3-D", 3) if batched else ("unbatched 2-D", 2)
        if hx[0].ndim != n or hx[1].ndim != n:
            raise RuntimeError(
                f"For {kind} input, hx and cx should also be {n}-D but got ({hx[0].ndim}-D, {hx[1].ndim}-D) tensors"
            )

    def _zero_state(self, input: Tensor, batch: int) -> Any:
        shape = (len(self._all_weights), batch, self.hidden_size)
        return super()._zero_state(input, batch), _C.zeros(shape, dtype=input.dtype, device=input.device)

    def _run(self, data: Tensor, batch_sizes: list[int], hx: Any) -> tuple[Tensor, Any]:
        return rnn(
            self.mode, data, batch_sizes, tuple(hx), self._layers(), self.dropout, self.training, self.bidirectional
        )

    def _unsqueezed(self, hx: Any) -> Any:
        return tuple(s.unsqueeze(1) for s in hx)

    def _squeezed(self, hx: Any) -> Any:
        return tuple(s.squeeze(1) for s in hx)


class GRU(RNNBase):
    """GRU(input_size, hidden_size, num_layers=1, bias=True, batch_first=False, dropout=0.0, bidirectional=False,
    device=None, dtype=None)

    Gated recurrent units: r, z = sigmoid(W_i* x + b_i* + W_h* h + b_h*); n = tanh(W_in x + b_in + r (W_hn h + b_hn));
    h' = (1 - z) n + z h. Shapes as for RNN.

        >>> out, h = norch.nn.GRU(3, 5, batch_first=True)(norch.zeros(2, 4, 3))
        >>> out.shape, h.shape
        (norch.Size([2, 4, 5]), norch.Size([1, 2, 5]))
    """

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        if "proj_size" in kwargs:
            raise ValueError("proj_size argument is only supported for LSTM, not RNN or GRU")
        super().__init__("GRU", *args, **kwargs)
