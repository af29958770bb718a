"""OpenAI's GPT-2 weights, as Hugging Face publishes them: model.safetensors of openai-community/gpt2, gpt2-medium, ...

    model = weights.load("model.safetensors")
"""

from __future__ import annotations

import re
from pathlib import Path

import norch
from norch.utils.safetensors import load_file

from model import GPT2, Config

# These layers are "Conv1D" there: their weights are [inputs, outputs], those of nn.Linear [outputs, inputs].
TRANSPOSED = re.compile(r"(c_attn|c_proj|c_fc)\.weight$")
# The causal mask, which some files hold as buffers.
MASKS = re.compile(r"\.attn\.(bias|masked_bias)$")


def convert(tensors: dict[str, norch.Tensor]) -> dict[str, norch.Tensor]:
    """A file's tensors under this model's names, in float32 and the way nn.Linear keeps them."""
    state = {}
    for name, t in tensors.items():
        name = name.removeprefix("transformer.")
        if not MASKS.search(name):
            state[name] = (t.t() if TRANSPOSED.search(name) else t).float().contiguous()
    if "wte.weight" not in state or "wpe.weight" not in state:
        raise ValueError(f"not the weights of a GPT-2: no wte.weight and wpe.weight among {sorted(tensors)[:8]}")
    state["lm_head.weight"] = state["wte.weight"]
    return state


def pad(embedding: norch.Tensor, tokens: int) -> norch.Tensor:
    """Adds rows for tokens that do not exist. They are the mean of the others, so that their logits are never high."""
    extra = tokens - embedding.shape[0]
    if extra < 0:
        raise ValueError(f"the weights have {embedding.shape[0]} tokens, more than {tokens}")
    return norch.cat([embedding, embedding.mean(0, keepdim=True).expand(extra, -1)])


def load(
    path: str | Path, heads: int | None = None, tokens: int | None = None, dropout: float = 0.0, device: str = "cpu"
) -> GPT2:
    """The model of a file, whose sizes follow from its tensors. `heads` are of width 64, as in every published GPT-2,
    unless given. `tokens` pads the embedding to a number that suits the device, such as 50304."""
    state = convert(load_file(path))
    rows, width = state["wte.weight"].shape
    layers = 1 + max((int(m[1]) for m in map(re.compile(r"h\.(\d+)\.").match, state) if m), default=-1)
    config = Config(layers, heads or max(width // 64, 1), width, tokens or rows, state["wpe.weight"].shape[0], dropout)
    state["wte.weight"] = state["lm_head.weight"] = pad(state["wte.weight"], config.tokens)
    model = GPT2(config)
    model.load_state_dict(state)
    return model.to(device)
