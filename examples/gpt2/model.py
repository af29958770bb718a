"""GPT-2 (Radford et al., "Language Models are Unsupervised Multitask Learners", 2019)."""

from __future__ import annotations

import math
from dataclasses import dataclass

import norch
import norch.nn.functional as F
from norch import nn


@dataclass
class Config:
    """The sizes of a model; the defaults are those of GPT-2 with 124 million parameters, its 50,257 tokens rounded
    up to a multiple of 128."""

    layers: int = 12
    heads: int = 12
    width: int = 768
    tokens: int = 50304
    context: int = 1024
    dropout: float = 0.0


class Attention(nn.Module):
    """Each position looks at itself and at those before it."""

    def __init__(self, config: Config) -> None:
        super().__init__()
        if config.width % config.heads:
            raise ValueError(f"Attention: width {config.width} cannot be divided into {config.heads} heads")
        self.heads = config.heads
        self.dropout = config.dropout
        self.c_attn = nn.Linear(config.width, 3 * config.width)
        self.c_proj = nn.Linear(config.width, config.width)

    def forward(self, x: norch.Tensor) -> norch.Tensor:
        b, t, width = x.shape
        q, k, v = (
            y.view(b, t, self.heads, width // self.heads).transpose(1, 2) for y in self.c_attn(x).split(width, dim=2)
        )
        y = F.scaled_dot_product_attention(q, k, v, dropout_p=self.dropout if self.training else 0.0, is_causal=True)
        return self.c_proj(y.transpose(1, 2).reshape(b, t, width))


class MLP(nn.Module):
    def __init__(self, config: Config) -> None:
        super().__init__()
        self.c_fc = nn.Linear(config.width, 4 * config.width)
        self.gelu = nn.GELU(approximate="tanh")
        self.c_proj = nn.Linear(4 * config.width, config.width)

    def forward(self, x: norch.Tensor) -> norch.Tensor:
        return self.c_proj(self.gelu(self.c_fc(x)))


class Block(nn.Module):
    def __init__(self, config: Config) -> None:
        super().__init__()
        self.ln_1 = nn.LayerNorm(config.width)
        self.attn = Attention(config)
        self.ln_2 = nn.LayerNorm(config.width)
        self.mlp = MLP(config)
        self.drop = nn.Dropout(config.dropout)

    def forward(self, x: norch.Tensor) -> norch.Tensor:
        x = x + self.drop(self.attn(self.ln_1(x)))
        return x + self.drop(self.mlp(self.ln_2(x)))


class GPT2(nn.Module):
    """Logits [B, T, tokens] of the tokens that follow each of `tokens` [B, T] (int64); with `targets` [B, T], the mean
    cross entropy instead. Parameters have the names of Hugging Face's GPT-2."""

    def __init__(self, config: Config) -> None:
        super().__init__()
        self.config = config
        self.wte = nn.Embedding(config.tokens, config.width)
        self.wpe = nn.Embedding(config.context, config.width)
        self.drop = nn.Dropout(config.dropout)
        self.h = nn.ModuleList([Block(config) for _ in range(config.layers)])
        self.ln_f = nn.LayerNorm(config.width)
        self.lm_head = nn.Linear(config.width, config.tokens, bias=False)
        self.lm_head.weight = self.wte.weight  # tied
        self.apply(self._initialise)
        for name, p in self.named_parameters():
            if name.endswith("c_proj.weight"):  # 2 * layers of them are added up along the residual path
                nn.init.normal_(p, std=0.02 / math.sqrt(2 * config.layers))

    @staticmethod
    def _initialise(module: nn.Module) -> None:
        if isinstance(module, (nn.Linear, nn.Embedding)):
            nn.init.normal_(module.weight, std=0.02)
        if isinstance(module, nn.Linear) and module.bias is not None:
            nn.init.zeros_(module.bias)

    def forward(self, tokens: norch.Tensor, targets: norch.Tensor | None = None) -> norch.Tensor:
        t = tokens.shape[1]
        if t > self.config.context:
            raise ValueError(f"GPT2: {t} tokens are more than the context of {self.config.context}")
        x = self.drop(self.wte(tokens) + self.wpe(norch.arange(t, device=tokens.device)))
        for block in self.h:
            x = block(x)
        logits = self.lm_head(self.ln_f(x))
        if targets is None:
            return logits
        return F.cross_entropy(logits.flatten(0, 1), targets.flatten())


def parameter_groups(model: nn.Module, weight_decay: float) -> list[dict]:
    """For the optimizer: matrices decay, biases and the gains of LayerNorm do not."""
    parameters = [p for p in model.parameters() if p.requires_grad]
    return [
        {"params": [p for p in parameters if p.dim() >= 2], "weight_decay": weight_decay},
        {"params": [p for p in parameters if p.dim() < 2], "weight_decay": 0.0},
    ]
