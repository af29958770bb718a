"""Attention inside windows of an image, and the merging of pixels between the stages of a Swin Transformer."""

from __future__ import annotations

import math
from typing import Any, Callable

import norch
import norch.nn as nn
import norch.nn.functional as F
from norch._C import Tensor


def _quarters(x: Tensor) -> Tensor:
    """The four pixels of each 2 x 2 square beside each other: [..., H, W, C] to [..., H / 2, W / 2, 4 C], rounded up."""
    height, width = x.shape[-3:-1]
    x = F.pad(x, (0, 0, 0, width % 2, 0, height % 2))
    return norch.cat([x[..., i::2, j::2, :] for j in (0, 1) for i in (0, 1)], -1)


class PatchMerging(nn.Module):
    """2 x 2 pixels of `dim` channels as one of 2 * dim: normalised, then projected."""

    def __init__(self, dim: int, norm_layer: Callable[..., nn.Module] = nn.LayerNorm) -> None:
        super().__init__()
        self.dim = dim
        self.reduction = nn.Linear(4 * dim, 2 * dim, bias=False)
        self.norm = norm_layer(4 * dim)

    def forward(self, x: Tensor) -> Tensor:
        return self.reduction(self.norm(_quarters(x)))


class PatchMergingV2(nn.Module):
    """2 x 2 pixels of `dim` channels as one of 2 * dim: projected, then normalised."""

    def __init__(self, dim: int, norm_layer: Callable[..., nn.Module] = nn.LayerNorm) -> None:
        super().__init__()
        self.dim = dim
        self.reduction = nn.Linear(4 * dim, 2 * dim, bias=False)
        self.norm = norm_layer(2 * dim)

    def forward(self, x: Tensor) -> Tensor:
        return self.norm(self.reduction(_quarters(x)))


def _regions(length: int, window: int, shift: int, device: Any) -> Tensor:
    """Along one side of a rolled image, which part each pixel is from: pixels of different parts are not neighbours."""
    places = norch.arange(length, device=device)
    return (places >= length - window).long() + (places >= length - shift).long() if shift else places * 0


def _windows(x: Tensor, window: tuple[int, int]) -> Tensor:
    """[N, H, W, C] to [N * windows, pixels of a window, C]."""
    n, height, width, channels = x.shape
    split = x.view(n, height // window[0], window[0], width // window[1], window[1], channels)
    return split.permute(0, 1, 3, 2, 4, 5).reshape(-1, window[0] * window[1], channels)


def shifted_window_attention(
    input: Tensor,
    qkv_weight: Tensor,
    proj_weight: Tensor,
    relative_position_bias: Tensor,
    window_size: list[int],
    num_heads: int,
    shift_size: list[int],
    attention_dropout: float = 0.0,
    dropout: float = 0.0,
    qkv_bias: Tensor | None = None,
    proj_bias: Tensor | None = None,
    logit_scale: Tensor | None = None,
    training: bool = True,
) -> Tensor:
    """Attention among the pixels of each window of the images [N, H, W, C], which are rolled by `shift_size` first, so
    that windows of one layer overlap those of the next; pixels that were not neighbours do not attend to each other.
    With `logit_scale` scores are cosines times its exponential (Liu et al., "Swin Transformer V2", 2022)."""
    n, height, width, channels = input.shape
    window = (window_size[0], window_size[1])
    x = F.pad(input, (0, 0, 0, -width % window[1], 0, -height % window[0]))
    padded = (x.shape[1], x.shape[2])
    shift = [0 if w >= side else s for w, s, side in zip(window, shift_size, padded)]
    if any(shift):
        x = norch.roll(x, shifts=(-shift[0], -shift[1]), dims=(1, 2))
    x = _windows(x, window)
    if logit_scale is not None and qkv_bias is not None:  # keys have no bias there
        query, _, value = qkv_bias.chunk(3)
        qkv_bias = norch.cat([query, norch.zeros_like(query), value])
    pixels = x.shape[1]
    qkv = F.linear(x, qkv_weight, qkv_bias).reshape(-1, pixels, 3, num_heads, channels // num_heads)
    q, k, v = qkv.permute(2, 0, 3, 1, 4).unbind(0)
    if logit_scale is not None:
        scale = logit_scale.clamp(max=math.log(100.0)).exp()
        scores = F.normalize(q, dim=-1).matmul(F.normalize(k, dim=-1).transpose(-2, -1)) * scale
    else:
        scores = (q * (channels // num_heads) ** -0.5).matmul(k.transpose(-2, -1))
    scores = scores + relative_position_bias
    if any(shift):
        parts = [_regions(*sizes, x.device) for sizes in zip(padded, window, shift)]
        part = _windows((3 * parts[0][:, None] + parts[1])[None, :, :, None], window).squeeze(-1)
        apart = (part[:, None, :] != part[:, :, None]).to(x.dtype) * -100.0
        scores = scores.view(n, -1, num_heads, pixels, pixels) + apart[:, None]
        scores = scores.view(-1, num_heads, pixels, pixels)
    weights = F.dropout(F.softmax(scores, dim=-1), p=attention_dropout, training=training)
    x = weights.matmul(v).transpose(1, 2).reshape(-1, pixels, channels)
    x = F.dropout(F.linear(x, proj_weight, proj_bias), p=dropout, training=training)
    x = x.view(n, padded[0] // window[0], padded[1] // window[1], *window, channels)
    x = x.permute(0, 1, 3, 2, 4, 5).reshape(n, *padded, channels)
    if any(shift):
        x = norch.roll(x, shifts=(shift[0], shift[1]), dims=(1, 2))
    return x[:, :height, :width, :].contiguous()


class ShiftedWindowAttention(nn.Module):
    """`shifted_window_attention` with parameters of its own, among them a bias for each relative position."""

    relative_position_bias_table: Any

    def __init__(
        self,
        dim: int,
        window_size: list[int],
        shift_size: list[int],
        num_heads: int,
        qkv_bias: bool = True,
        proj_bias: bool = True,
        attention_dropout: float = 0.0,
        dropout: float = 0.0,
    ) -> None:
        super().__init__()
        if len(window_size) != 2 or len(shift_size) != 2:
            raise ValueError("window_size and shift_size must be of length 2")
        self.window_size = window_size
        self.shift_size = shift_size
        self.num_heads = num_heads
        self.attention_dropout = attention_dropout
        self.dropout = dropout
        self.qkv = nn.Linear(dim, dim * 3, bias=qkv_bias)
        self.proj = nn.Linear(dim, dim, bias=proj_bias)
        self.define_relative_position_bias_table()
        self.define_relative_position_index()

    def define_relative_position_bias_table(self) -> None:
        """A row for each relative position, from the normal distribution."""
        rows = (2 * self.window_size[0] - 1) * (2 * self.window_size[1] - 1)
        self.relative_position_bias_table = nn.Parameter(norch.zeros(rows, self.num_heads))
        nn.init.trunc_normal_(self.relative_position_bias_table, std=0.02)

    def define_relative_position_index(self) -> None:
        """For each pair of pixels of a window, the row of their relative position."""
        rows, columns = self.window_size
        places = norch.stack(norch.meshgrid(norch.arange(rows), norch.arange(columns), indexing="ij")).flatten(1)
        apart = places[:, :, None] - places[:, None, :]
        index = (apart[0] + rows - 1) * (2 * columns - 1) + apart[1] + columns - 1
        self.register_buffer("relative_position_index", index.flatten())

    def _biases(self, table: Tensor) -> Tensor:
        pixels = self.window_size[0] * self.window_size[1]
        chosen = table[self.relative_position_index].view(pixels, pixels, -1)
        return chosen.permute(2, 0, 1).contiguous().unsqueeze(0)

    def get_relative_position_bias(self) -> Tensor:
        """[1, heads, pixels, pixels]: what is added to the scores."""
        return self._biases(self.relative_position_bias_table)

    def forward(self, x: Tensor) -> Tensor:
        return shifted_window_attention(
            x,
            self.qkv.weight,
            self.proj.weight,
            self.get_relative_position_bias(),
            self.window_size,
            self.num_heads,
            shift_size=self.shift_size,
            attention_dropout=self.attention_dropout,
            dropout=self.dropout,
            qkv_bias=self.qkv.bias,
            proj_bias=self.proj.bias,
            logit_scale=getattr(self, "logit_scale", None),
            training=self.training,
        )


class ShiftedWindowAttentionV2(ShiftedWindowAttention):
    """ShiftedWindowAttention by cosines, with biases from a small network of the logarithms of relative positions."""

    def __init__(
        self,
        dim: int,
        window_size: list[int],
        shift_size: list[int],
        num_heads: int,
        qkv_bias: bool = True,
        proj_bias: bool = True,
        attention_dropout: float = 0.0,
        dropout: float = 0.0,
    ) -> None:
        super().__init__(
            dim, window_size, shift_size, num_heads, qkv_bias, proj_bias, attention_dropout, dropout
        )
        self.logit_scale = nn.Parameter(norch.log(10 * norch.ones((num_heads, 1, 1))))
        self.cpb_mlp = nn.Sequential(
            nn.Linear(2, 512, bias=True), nn.ReLU(inplace=True), nn.Linear(512, num_heads, bias=False)
        )
        if qkv_bias:
            with norch.no_grad():
                self.qkv.bias[dim : 2 * dim].zero_()

    def define_relative_position_bias_table(self) -> None:
        """The relative positions themselves, as logarithms, computed in float32 as those of published weights."""
        sides = [norch.arange(-(w - 1), w, dtype=norch.float32) / (w - 1) for w in self.window_size]
        table = 8 * norch.stack(norch.meshgrid(sides, indexing="ij"), -1).unsqueeze(0)
        table = table.sign() * (table.abs() + 1.0).log2() / 3.0
        self.register_buffer("relative_coords_table", table.to(norch.get_default_dtype()))

    def get_relative_position_bias(self) -> Tensor:
        return 16 * norch.sigmoid(self._biases(self.cpb_mlp(self.relative_coords_table).view(-1, self.num_heads)))
