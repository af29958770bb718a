"""The transformer's modules: values against NumPy, masks, texts."""

import math

import numpy as np
import pytest

import norch
from norch import nn

D = norch.float64


def softmax(x):
    e = np.exp(x - x.max(-1, keepdims=True))
    return e / e.sum(-1, keepdims=True)


def weights(m):
    return {k: v.numpy() for k, v in m.state_dict().items()}


def attention(w, name, q, kv, heads, mask=None):
    """q (L, E), kv (S, E): one sample."""
    q, k, v = (
        x @ part.T + bias
        for x, part, bias in zip(
            (q, kv, kv), np.split(w[f"{name}.in_proj_weight"], 3), np.split(w[f"{name}.in_proj_bias"], 3)
        )
    )
    out = []
    for qh, kh, vh in zip(np.split(q, heads, -1), np.split(k, heads, -1), np.split(v, heads, -1)):
        scores = qh @ kh.T / math.sqrt(qh.shape[-1])
        out.append(softmax(scores if mask is None else scores + mask) @ vh)
    return np.concatenate(out, -1) @ w[f"{name}.out_proj.weight"].T + w[f"{name}.out_proj.bias"]


def norm(w, name, x):
    x = (x - x.mean(-1, keepdims=True)) / np.sqrt(x.var(-1, keepdims=True) + 1e-5)
    return x * w[f"{name}.weight"] + w[f"{name}.bias"]


def feedforward(w, x):
    return np.maximum(x @ w["linear1.weight"].T + w["linear1.bias"], 0) @ w["linear2.weight"].T + w["linear2.bias"]


def shuffled(m):
    """Parameters away from their initial zeros and ones."""
    for p in m.parameters():
        p.data = p.detach() + 0.1 * norch.randn(p.shape, dtype=p.dtype)
    return m


def close(got, expected, tolerance=1e-9):
    np.testing.assert_allclose(got.detach().cpu().numpy(), expected, rtol=tolerance, atol=tolerance)


@pytest.mark.parametrize("norm_first", [False, True])
def test_encoder_layer(norm_first):
    m = shuffled(nn.TransformerEncoderLayer(8, 2, 5, dropout=0.0, norm_first=norm_first, dtype=D))
    x, w = norch.randn(4, 3, 8, dtype=D), weights(m)
    mask = nn.Transformer.generate_square_subsequent_mask(4, dtype=D)
    for given, causal in [(None, False), (mask, False), (mask, True), (mask < 0, False)]:
        out = m(x, given, is_causal=causal)
        for b in range(3):
            y, added = x[:, b].numpy(), None if given is None else mask.numpy()
            if norm_first:
                z = norm(w, "norm1", y)
                y = y + attention(w, "self_attn", z, z, 2, added)
                y = y + feedforward(w, norm(w, "norm2", y))
            else:
                y = norm(w, "norm1", y + attention(w, "self_attn", y, y, 2, added))
                y = norm(w, "norm2", y + feedforward(w, y))
            close(out[:, b], y)


def test_decoder_layer():
    m = shuffled(nn.TransformerDecoderLayer(8, 2, 5, dropout=0.0, batch_first=True, dtype=D))
    x, memory, w = norch.randn(3, 4, 8, dtype=D), norch.randn(3, 6, 8, dtype=D), weights(m)
    padding = norch.tensor([[False] * 6, [False] * 4 + [True] * 2, [False] * 5 + [True]])
    out = m(x, memory, memory_key_padding_mask=padding)
    for b in range(3):
        y = x[b].numpy()
        y = norm(w, "norm1", y + attention(w, "self_attn", y, y, 2))
        hidden = np.where(padding[b].numpy(), -np.inf, 0.0)[None]
        y = norm(w, "norm2", y + attention(w, "multihead_attn", y, memory[b].numpy(), 2, hidden))
        close(out[b], norm(w, "norm3", y + feedforward(w, y)))


def test_stacks(device):
    m = nn.Transformer(8, 2, 1, 2, 5, dropout=0.0, activation="gelu", device=device)
    src, tgt = norch.randn(5, 3, 8, device=device), norch.randn(4, 3, 8, device=device, requires_grad=True)
    mask = m.generate_square_subsequent_mask(4, device=device)
    out = m(src, tgt, tgt_mask=mask)
    y, memory = tgt, m.encoder.norm(m.encoder.layers[0](src))
    for layer in m.decoder.layers:
        y = layer(y, memory, tgt_mask=mask)
    close(out, m.decoder.norm(y).detach().cpu().numpy(), 1e-5)
    out[1].sum().backward()  # what comes later has no part in it
    assert float(tgt.grad[2:].abs().max()) == 0 and float(tgt.grad[:2].abs().max()) > 0
    assert m(src[:, 0], tgt[:, 0]).shape == (4, 8)
    assert m.encoder.layers[0].linear1.weight.detach().abs().max() <= math.sqrt(6 / 13) + 1e-6


def test_the_masks_of_an_encoder():
    m = nn.TransformerEncoder(nn.TransformerEncoderLayer(8, 2, 5, dropout=0.0, batch_first=True), 2).eval()
    x = norch.randn(2, 4, 8)
    padding = norch.tensor([[False] * 4, [False, False, True, True]])
    close(m(x, src_key_padding_mask=padding)[1, :2], m(x[1:, :2])[0].detach().numpy(), 1e-5)
    causal = nn.Transformer.generate_square_subsequent_mask(4)
    expected = m(x, causal, is_causal=True).detach().numpy()
    close(m(x, causal), expected, 1e-5)
    close(m(x, causal < 0), expected, 1e-5)


def test_keys_and_texts():
    m = nn.TransformerDecoderLayer(4, 2, 3, bias=False)
    assert list(m.state_dict()) == [
        "self_attn.in_proj_weight", "self_attn.out_proj.weight", "multihead_attn.in_proj_weight",
        "multihead_attn.out_proj.weight", "linear1.weight", "linear2.weight", "norm1.weight", "norm2.weight",
        "norm3.weight",
    ]  # fmt: skip
    assert "(out_proj): NonDynamicallyQuantizableLinear(in_features=4" in repr(m)


@pytest.mark.parametrize(
    "error,text,call",
    [
        (RuntimeError, "activation should be relu/gelu, not x", lambda: nn.TransformerEncoderLayer(4, 2, activation="x")),
        (RuntimeError, "batch number", lambda: nn.Transformer(4, 2, 1, 1)(norch.zeros(3, 2, 4), norch.zeros(3, 1, 4))),
        (RuntimeError, "feature number", lambda: nn.Transformer(4, 2, 1, 1)(norch.zeros(3, 4), norch.zeros(3, 3))),
        (AssertionError, "only bool and floating",
         lambda: nn.TransformerEncoderLayer(4, 2)(norch.zeros(3, 4), norch.zeros(3, 3, dtype=norch.int64))),
        (RuntimeError, "Need attn_mask", lambda: nn.TransformerEncoderLayer(4, 2)(norch.zeros(3, 4), is_causal=True)),
    ],
)  # fmt: skip
def test_errors(error, text, call):
    with pytest.raises(error, match=text):
        call()
