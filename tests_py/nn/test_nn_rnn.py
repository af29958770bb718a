"""Recurrent layers and cells against NumPy; packed sequences; arguments and errors."""

import copy

import numpy as np
import pytest

import norch
from norch import nn
from norch.autograd import gradcheck, gradgradcheck
from norch.nn.utils import rnn as U

MODES = ["RNN_TANH", "RNN_RELU", "LSTM", "GRU"]


def sigmoid(x):
    return 1 / (1 + np.exp(-x))


def step(mode, x, state, w):
    """The state after one step: (h,), or (h, c); w maps weight_ih, ... to arrays."""
    gi = x @ w["weight_ih"].T + w.get("bias_ih", 0)
    gh = state[0] @ w["weight_hh"].T + w.get("bias_hh", 0)
    if mode == "LSTM":
        i, f, g, o = np.split(gi + gh, 4, -1)
        c = sigmoid(f) * state[1] + sigmoid(i) * np.tanh(g)
        h = sigmoid(o) * np.tanh(c)
        return (h @ w["weight_hr"].T if "weight_hr" in w else h), c
    if mode == "GRU":
        (ri, zi, ni), (rh, zh, nh) = np.split(gi, 3, -1), np.split(gh, 3, -1)
        r, z = sigmoid(ri + rh), sigmoid(zi + zh)
        n = np.tanh(ni + r * nh)
        return ((1 - z) * n + z * state[0],)
    return (np.tanh(gi + gh) if mode == "RNN_TANH" else np.maximum(gi + gh, 0),)


def reference(module, x, state):
    """One sequence (L, in) through all layers; state: (layers * directions, size) each."""
    mode, finals = module.mode, []
    for layer in range(module.num_layers):
        outs = []
        for d, suffix in enumerate(["", "_reverse"][: 2 if module.bidirectional else 1]):
            names = {n[: n.index("_l")]: n for n, _ in module.named_parameters() if n.endswith(f"_l{layer}{suffix}")}
            w = {kind: getattr(module, n).detach().numpy() for kind, n in names.items()}
            s = tuple(part[len(finals)] for part in state)
            out = []
            for row in x[::-1] if d else x:
                s = step(mode, row, s, w)
                out.append(s[0])
            outs.append(np.stack(out[::-1] if d else out))
            finals.append(s)
        x = np.concatenate(outs, -1)
    return x, tuple(np.stack(part) for part in zip(*finals))


def make(mode, **kwargs):
    cls = {"RNN_TANH": nn.RNN, "RNN_RELU": nn.RNN}.get(mode) or getattr(nn, mode)
    if mode == "RNN_RELU":
        kwargs["nonlinearity"] = "relu"
    return cls(3, 4, dtype=norch.float64, **kwargs)


def random_state(m, batch):
    rows = m.num_layers * (2 if m.bidirectional else 1)
    shapes = [(rows, batch, m.proj_size or 4)] + [(rows, batch, 4)] * (m.mode == "LSTM")
    return tuple(norch.randn(s, dtype=norch.float64) for s in shapes)


def call(m, x, state):
    out, final = m(x, state if m.mode == "LSTM" else state[0])
    return out, final if m.mode == "LSTM" else (final,)


def close(got, expected, tolerance=1e-9):
    np.testing.assert_allclose(got.detach().cpu().numpy(), expected, rtol=tolerance, atol=tolerance)


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize(
    "kwargs",
    [{}, {"num_layers": 2, "bidirectional": True}, {"num_layers": 3, "bias": False}, {"num_layers": 2, "proj_size": 2},
     {"bidirectional": True, "proj_size": 3, "bias": False}],
    ids=str,
)  # fmt: skip
def test_values(mode, kwargs):
    if "proj_size" in kwargs and mode != "LSTM":
        pytest.skip("LSTM only")
    m = make(mode, **kwargs)
    x, state = norch.randn(5, 2, 3, dtype=norch.float64), random_state(m, 2)
    out, final = call(m, x, state)
    first = m(x)[0]
    for b in range(2):
        expected, last = reference(m, x[:, b].numpy(), tuple(s[:, b].numpy() for s in state))
        close(out[:, b], expected)
        for got, want in zip(final, last):
            close(got[:, b], want)
        close(first[:, b], reference(m, x[:, b].numpy(), tuple(s[:, b].numpy() * 0 for s in state))[0])
        alone, alone_final = call(m, x[:, b], tuple(s[:, b] for s in state))
        close(alone, expected)
        assert alone_final[0].shape == final[0][:, b].shape
    turned = copy.deepcopy(m)
    turned.batch_first = True
    close(call(turned, x.transpose(0, 1), state)[0], out.transpose(0, 1).detach().numpy())


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("lengths", [[4, 4, 2, 1], [1, 4, 3, 4], [3]])
def test_packed(mode, lengths):
    m = make(mode, num_layers=2, bidirectional=True)
    state = random_state(m, len(lengths))
    sequences = [norch.randn(n, 3, dtype=norch.float64) for n in lengths]
    packed = U.pack_sequence(sequences, enforce_sorted=False)
    out, final = call(m, packed, state)
    assert isinstance(out, U.PackedSequence)
    for b, got in enumerate(U.unpack_sequence(out)):
        expected, last = reference(m, sequences[b].numpy(), tuple(s[:, b].numpy() for s in state))
        close(got, expected)
        for f, want in zip(final, last):
            close(f[:, b], want)


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("kwargs", [{"bidirectional": True}, {"proj_size": 2}, {"bias": False}], ids=str)
def test_gradients(mode, kwargs):
    if "proj_size" in kwargs and mode != "LSTM":
        pytest.skip("LSTM only")
    norch.manual_seed(0)
    m = make(mode, **kwargs)
    names = [n for n, _ in m.named_parameters()]
    n_state = 2 if mode == "LSTM" else 1

    def f(data, *rest):
        packed = U.PackedSequence(data, norch.tensor([2, 2, 1]))
        state, weights = rest[:n_state], rest[n_state:]
        args = (packed, state if mode == "LSTM" else state[0])
        out, final = norch.func.functional_call(m, dict(zip(names, weights)), args)
        return (out.data, *(final if mode == "LSTM" else (final,)))

    inputs = [norch.randn(5, 3, dtype=norch.float64), *random_state(m, 2)]
    inputs += [p.detach().clone() for _, p in m.named_parameters()]
    for t in inputs:
        t.requires_grad_()
    assert gradcheck(f, inputs)
    if "bidirectional" not in kwargs:
        assert gradgradcheck(f, inputs)


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("dtype,tolerance", [(norch.float32, 1e-5), (norch.bfloat16, 0.1), (norch.float16, 0.02)])
def test_devices_and_dtypes(mode, dtype, tolerance, device):
    """Values and gradients are those of float64 on the CPU."""
    norch.manual_seed(0)
    plain = make(mode, num_layers=2, bidirectional=True)
    m = copy.deepcopy(plain).to(device, dtype)
    x = norch.randn(6, 3, 3, dtype=norch.float64)
    results = []
    for model in (plain, m):
        p = next(model.parameters())
        packed = U.pack_padded_sequence(x.to(p.device, p.dtype).requires_grad_(), [6, 4, 1])
        out, final = model(packed)
        h = final[0] if mode == "LSTM" else final
        (out.data.sum() + 2 * h.sum()).backward()
        results.append([out.data, h, *(w.grad for w in model.parameters())])
    for got, expected in zip(results[1], results[0]):
        assert got.dtype == dtype and got.device.type == device
        scale = max(1.0, float(expected.detach().abs().max()))
        close(got.double(), expected.detach().numpy(), tolerance * scale)


def test_autocast():
    lstm, x = nn.LSTM(3, 4, bidirectional=True), norch.randn(5, 2, 3)
    with norch.autocast("cpu", dtype=norch.bfloat16):
        out, (h, c) = lstm(x)
        assert out.dtype == h.dtype == c.dtype == norch.bfloat16
        lstm(x.bfloat16())
    close(out.float(), lstm(x)[0].detach().numpy(), 0.02)
    out.float().sum().backward()
    assert lstm.weight_hh_l0.grad.dtype == norch.float32
    with pytest.raises(ValueError, match="does not match weight dtype"):
        lstm(x.bfloat16())


def test_only_what_needs_a_gradient_gets_one():
    m = nn.LSTM(3, 4)
    for p in m.parameters():
        p.requires_grad_(False)
    assert not m(norch.randn(2, 2, 3))[0].requires_grad
    m.bias_hh_l0.requires_grad_()
    out, (_, c) = m(norch.randn(2, 2, 3))
    c.sum().backward()  # no gradient reaches the outputs
    assert m.bias_hh_l0.grad is not None and m.weight_ih_l0.grad is None


def test_dropout_between_layers():
    m = nn.GRU(3, 40, num_layers=2, dropout=0.9)
    x = norch.randn(4, 2, 3)
    assert not norch.equal(m(x)[0], m(x)[0])
    m.eval()
    assert norch.equal(m(x)[0], m(x)[0])
    with pytest.warns(UserWarning, match="num_layers greater than 1"):
        nn.GRU(3, 4, dropout=0.5)


@pytest.mark.parametrize("bias", [True, False])
def test_cells(bias):
    x = np.random.randn(2, 3)
    for cell, mode, n in [
        (nn.RNNCell(3, 4, bias, dtype=norch.float64), "RNN_TANH", 1),
        (nn.RNNCell(3, 4, bias, "relu", dtype=norch.float64), "RNN_RELU", 1),
        (nn.LSTMCell(3, 4, bias, dtype=norch.float64), "LSTM", 2),
        (nn.GRUCell(3, 4, bias, dtype=norch.float64), "GRU", 1),
    ]:
        w = {name: p.detach().numpy() for name, p in cell.named_parameters()}
        state = tuple(np.random.randn(2, 4) for _ in range(n))
        for s, hx in [(state, tuple(map(norch.tensor, state))), (tuple(np.zeros((2, 4)) for _ in range(n)), None)]:
            got = cell(norch.tensor(x), hx if n == 2 or hx is None else hx[0])
            got = got if n == 2 else (got,)
            for a, b in zip(got, step(mode, x, s, w)):
                close(a, b)
            alone = cell(norch.tensor(x[0]))
            assert (alone[0] if n == 2 else alone).shape == (4,)


def test_parameters_and_texts():
    m = nn.LSTM(3, 4, 2, bidirectional=True, batch_first=True, dropout=0.1, proj_size=2)
    assert repr(m) == "LSTM(3, 4, proj_size=2, num_layers=2, batch_first=True, dropout=0.1, bidirectional=True)"
    assert list(m.state_dict())[:6] == [
        "weight_ih_l0", "weight_hh_l0", "bias_ih_l0", "bias_hh_l0", "weight_hr_l0", "weight_ih_l0_reverse",
    ]  # fmt: skip
    assert m.weight_ih_l1.shape == (16, 4) and m.weight_hh_l1.shape == (16, 2)
    assert [len(w) for w in m.all_weights] == [5] * 4 and len(m._flat_weights) == 20
    m.flatten_parameters()
    assert all(float(p.detach().abs().max()) <= 0.5 for p in m.parameters())
    assert repr(nn.GRUCell(2, 3, bias=False)) == "GRUCell(2, 3, bias=False)"
    assert repr(nn.RNNCell(2, 3, nonlinearity="relu")) == "RNNCell(2, 3, nonlinearity=relu)"


def test_a_weight_may_be_a_plain_tensor():
    """Programs that drop weights put a tensor in the place of a parameter."""
    m = nn.LSTM(3, 4)
    raw = m.weight_hh_l0
    del m._parameters["weight_hh_l0"]
    m.weight_hh_l0 = raw * 0
    m(norch.ones(2, 1, 3))[0].sum().backward()
    assert m._flat_weights[1] is m.weight_hh_l0 and raw.grad is not None


@pytest.mark.parametrize(
    "error,text,make_it",
    [
        (ValueError, "dropout should be a number", lambda: nn.LSTM(3, 4, dropout=1.5)),
        (TypeError, "bias should be of type bool", lambda: nn.LSTM(3, 4, bias=1)),
        (TypeError, "hidden_size should be of type int", lambda: nn.LSTM(3, 4.0)),
        (ValueError, "input_size must be greater than zero", lambda: nn.LSTM(0, 4)),
        (ValueError, "num_layers must be greater", lambda: nn.LSTM(3, 4, 0)),
        (ValueError, "proj_size has to be smaller", lambda: nn.LSTM(3, 4, proj_size=4)),
        (ValueError, "proj_size argument is only supported", lambda: nn.GRU(3, 4, proj_size=2)),
        (ValueError, "Unknown nonlinearity 'x'", lambda: nn.RNN(3, 4, nonlinearity="x")),
        (ValueError, "Unrecognized RNN mode", lambda: nn.RNNBase("x", 3, 4)),
        (ValueError, "LSTM: Expected input to be 2D or 3D, got 1D", lambda: nn.LSTM(3, 4)(norch.zeros(3))),
        (ValueError, "does not match weight dtype", lambda: nn.LSTM(3, 4)(norch.zeros(2, 3, dtype=norch.float64))),
        (RuntimeError, "Expected 3, got 2", lambda: nn.LSTM(3, 4)(norch.zeros(2, 2, 2))),
        (RuntimeError, "larger than 0", lambda: nn.LSTM(3, 4)(norch.zeros(0, 2, 3))),
        (RuntimeError, r"Expected hidden size \(1, 2, 4\), got \[1, 3, 4\]",
         lambda: nn.GRU(3, 4)(norch.zeros(2, 2, 3), norch.zeros(1, 3, 4))),
        (RuntimeError, "hx should also be 2-D", lambda: nn.GRU(3, 4)(norch.zeros(2, 3), norch.zeros(1, 1, 4))),
        (RuntimeError, "inconsistent input_size", lambda: nn.LSTMCell(3, 4)(norch.zeros(2, 2))),
        (RuntimeError, "doesn't match hidden0", lambda: nn.GRUCell(3, 4)(norch.zeros(2, 3), norch.zeros(3, 4))),
        (RuntimeError, "Unknown nonlinearity", lambda: nn.RNNCell(3, 4, nonlinearity="x")(norch.zeros(3))),
    ],
)  # fmt: skip
def test_errors(error, text, make_it):
    with pytest.raises(error, match=text):
        make_it()


def test_pack_and_pad():
    x = norch.tensor([[1, 2, 0], [3, 0, 0], [4, 5, 6]])
    packed = U.pack_padded_sequence(x, norch.tensor([2, 1, 3]), batch_first=True, enforce_sorted=False)
    assert packed.data.tolist() == [4, 1, 3, 5, 2, 6] and packed.batch_sizes.tolist() == [3, 2, 1]
    assert packed.sorted_indices.tolist() == [2, 0, 1] and packed.unsorted_indices.tolist() == [1, 2, 0]
    back, lengths = U.pad_packed_sequence(packed, batch_first=True)
    assert norch.equal(back, x) and lengths.tolist() == [2, 1, 3]
    wide, _ = U.pad_packed_sequence(packed, padding_value=9, total_length=4)
    assert wide.shape == (4, 3) and wide[3].tolist() == [9, 9, 9]
    assert packed.double().data.dtype == norch.float64 and packed.to("cpu") is packed and not packed.is_cuda
    data, batch_sizes, *_ = packed
    assert norch.equal(data, packed.data)
    parts = [norch.ones(2, 2, requires_grad=True), norch.ones(1, 2, requires_grad=True)]
    left = U.pad_sequence(parts, batch_first=True, padding_value=5.0, padding_side="left")
    assert left[1, :, 0].tolist() == [5, 1]
    U.pad_packed_sequence(U.pack_sequence(parts))[0].sum().backward()
    assert parts[1].grad.tolist() == [[1, 1]]


@pytest.mark.parametrize(
    "error,text,make_it",
    [
        (RuntimeError, "sorted in decreasing order", lambda: U.pack_padded_sequence(norch.zeros(3, 2), [1, 2])),
        (RuntimeError, "greater than 0", lambda: U.pack_padded_sequence(norch.zeros(3, 2), [3, 0])),
        (RuntimeError, "equal to batch_size", lambda: U.pack_padded_sequence(norch.zeros(3, 2), [3])),
        (RuntimeError, "exceeds", lambda: U.pack_padded_sequence(norch.zeros(3, 2), [4, 1])),
        (RuntimeError, "empty", lambda: U.pack_padded_sequence(norch.zeros(0, 2), [0, 0])),
        (RuntimeError, "empty list", lambda: U.pad_sequence([])),
        (RuntimeError, "padding_side", lambda: U.pad_sequence([norch.zeros(1)], padding_side="up")),
        (ValueError, "total_length", lambda: U.pad_packed_sequence(U.pack_sequence([norch.ones(2)]), total_length=1)),
    ],
)
def test_pack_and_pad_errors(error, text, make_it):
    with pytest.raises(error, match=text):
        make_it()
