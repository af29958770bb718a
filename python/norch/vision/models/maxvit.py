"""MaxViT (Tu et al., "MaxViT: Multi-Axis Vision Transformer", 2022)."""

from __future__ import annotations

from collections import OrderedDict
from functools import partial
from typing import Any, Callable

import norch
import norch.nn as nn
import norch.nn.functional as F
from norch._C import Tensor

from ..ops.misc import Conv2dNormActivation, SqueezeExcitation
from ..ops.stochastic_depth import StochasticDepth
from ._api import model, set_argument, weights

__all__ = ["MaxVit", "MaxVit_T_Weights", "maxvit_t"]


def _halved(size: tuple[int, int]) -> tuple[int, int]:
    """The size after a 3 x 3 layer with stride 2."""
    return (size[0] - 1) // 2 + 1, (size[1] - 1) // 2 + 1


class MBConv(nn.Module):
    """1 x 1, depthwise (with the stride) and 1 x 1 convolutions with squeeze-and-excitation, beside a projection."""

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        expansion_ratio: float,
        squeeze_ratio: float,
        stride: int,
        activation_layer: Callable[..., nn.Module],
        norm_layer: Callable[..., nn.Module],
        p_stochastic_dropout: float = 0.0,
    ) -> None:
        super().__init__()
        self.proj: nn.Module
        if stride != 1 or in_channels != out_channels:
            pooled = [nn.AvgPool2d(kernel_size=3, stride=stride, padding=1)] if stride == 2 else []
            self.proj = nn.Sequential(*pooled, nn.Conv2d(in_channels, out_channels, 1, 1, bias=True))
        else:
            self.proj = nn.Identity()
        inside, squeezed = int(out_channels * expansion_ratio), int(out_channels * squeeze_ratio)
        p = p_stochastic_dropout
        self.stochastic_depth: nn.Module = StochasticDepth(p, mode="row") if p else nn.Identity()
        options: Any = {"activation_layer": activation_layer, "norm_layer": norm_layer, "inplace": None}
        self.layers = nn.Sequential(
            OrderedDict(
                pre_norm=norm_layer(in_channels),
                conv_a=Conv2dNormActivation(in_channels, inside, kernel_size=1, stride=1, padding=0, **options),
                conv_b=Conv2dNormActivation(
                    inside, inside, kernel_size=3, stride=stride, padding=1, groups=inside, **options
                ),
                squeeze_excitation=SqueezeExcitation(inside, squeezed, activation=nn.SiLU),
                conv_c=nn.Conv2d(inside, out_channels, kernel_size=1, bias=True),
            )
        )

    def forward(self, x: Tensor) -> Tensor:
        return self.proj(x) + self.stochastic_depth(self.layers(x))


class RelativePositionalMultiHeadAttention(nn.Module):
    """Attention inside groups of pixels [N, groups, pixels, feat_dim], with a bias for each relative position in a
    square of `max_seq_len` pixels."""

    def __init__(self, feat_dim: int, head_dim: int, max_seq_len: int) -> None:
        super().__init__()
        if feat_dim % head_dim != 0:
            raise ValueError(f"feat_dim: {feat_dim} must be divisible by head_dim: {head_dim}")
        self.n_heads = feat_dim // head_dim
        self.head_dim = head_dim
        self.size = int(max_seq_len**0.5)
        self.max_seq_len = max_seq_len
        self.to_qkv = nn.Linear(feat_dim, self.n_heads * head_dim * 3)
        self.scale_factor = feat_dim**-0.5
        self.merge = nn.Linear(head_dim * self.n_heads, feat_dim)
        side = 2 * self.size - 1
        self.relative_position_bias_table = nn.Parameter(norch.zeros(side * side, self.n_heads))
        places = norch.stack(norch.meshgrid([norch.arange(self.size)] * 2, indexing="ij")).flatten(1)
        apart = places[:, :, None] - places[:, None, :] + self.size - 1
        self.register_buffer("relative_position_index", apart[0] * side + apart[1])
        nn.init.trunc_normal_(self.relative_position_bias_table, std=0.02)

    def get_relative_positional_bias(self) -> Tensor:
        """[1, heads, pixels, pixels]: what is added to the scores."""
        chosen = self.relative_position_bias_table[self.relative_position_index.view(-1)]
        return chosen.view(self.max_seq_len, self.max_seq_len, -1).permute(2, 0, 1).contiguous().unsqueeze(0)

    def forward(self, x: Tensor) -> Tensor:
        n, groups, pixels, channels = x.shape
        q, k, v = (
            t.reshape(n, groups, pixels, self.n_heads, self.head_dim).permute(0, 1, 3, 2, 4)
            for t in self.to_qkv(x).chunk(3, dim=-1)
        )
        scores = q.matmul((k * self.scale_factor).transpose(-2, -1))
        out = F.softmax(scores + self.get_relative_positional_bias(), dim=-1).matmul(v)
        return self.merge(out.permute(0, 1, 3, 2, 4).reshape(n, groups, pixels, channels))


class SwapAxes(nn.Module):
    """The input with two dimensions exchanged."""

    def __init__(self, a: int, b: int) -> None:
        super().__init__()
        self.a = a
        self.b = b

    def forward(self, x: Tensor) -> Tensor:
        return norch.swapaxes(x, self.a, self.b)


class WindowPartition(nn.Module):
    """[N, C, H, W] to [N, windows, p * p, C]."""

    def forward(self, x: Tensor, p: int) -> Tensor:
        n, channels, height, width = x.shape
        split = x.reshape(n, channels, height // p, p, width // p, p).permute(0, 2, 4, 3, 5, 1)
        return split.reshape(n, (height // p) * (width // p), p * p, channels)


class WindowDepartition(nn.Module):
    """[N, windows, p * p, C] to [N, C, H, W]."""

    def forward(self, x: Tensor, p: int, h_partitions: int, w_partitions: int) -> Tensor:
        n, _, _, channels = x.shape
        split = x.reshape(n, h_partitions, w_partitions, p, p, channels).permute(0, 5, 1, 3, 2, 4)
        return split.reshape(n, channels, h_partitions * p, w_partitions * p)


class PartitionAttentionLayer(nn.Module):
    """Attention inside windows of neighbours ("window") or among pixels at the same place in each of them ("grid"), and
    a small network."""

    def __init__(
        self,
        in_channels: int,
        head_dim: int,
        partition_size: int,
        partition_type: str,
        grid_size: tuple[int, int],
        mlp_ratio: int,
        activation_layer: Callable[..., nn.Module],
        norm_layer: Callable[..., nn.Module],
        attention_dropout: float,
        mlp_dropout: float,
        p_stochastic_dropout: float,
    ) -> None:
        super().__init__()
        if partition_type not in ("grid", "window"):
            raise ValueError("partition_type must be either 'grid' or 'window'")
        self.n_heads = in_channels // head_dim
        self.head_dim = head_dim
        self.n_partitions = grid_size[0] // partition_size
        self.partition_type = partition_type
        self.grid_size = grid_size
        grid = partition_type == "grid"
        self.p, self.g = (self.n_partitions, partition_size) if grid else (partition_size, self.n_partitions)
        self.partition_op = WindowPartition()
        self.departition_op = WindowDepartition()
        self.partition_swap: nn.Module = SwapAxes(-2, -3) if grid else nn.Identity()
        self.departition_swap: nn.Module = SwapAxes(-2, -3) if grid else nn.Identity()
        self.attn_layer = nn.Sequential(
            norm_layer(in_channels),
            RelativePositionalMultiHeadAttention(in_channels, head_dim, partition_size**2),
            nn.Dropout(attention_dropout),
        )
        self.mlp_layer = nn.Sequential(
            nn.LayerNorm(in_channels),
            nn.Linear(in_channels, in_channels * mlp_ratio),
            activation_layer(),
            nn.Linear(in_channels * mlp_ratio, in_channels),
            nn.Dropout(mlp_dropout),
        )
        self.stochastic_dropout = StochasticDepth(p_stochastic_dropout, mode="row")

    def forward(self, x: Tensor) -> Tensor:
        rows, columns = self.grid_size[0] // self.p, self.grid_size[1] // self.p
        if self.grid_size[0] % self.p or self.grid_size[1] % self.p:
            raise AssertionError(f"Grid size must be divisible by partition size. Got {self.grid_size} and {self.p}")
        x = self.partition_swap(self.partition_op(x, self.p))
        x = x + self.stochastic_dropout(self.attn_layer(x))
        x = x + self.stochastic_dropout(self.mlp_layer(x))
        return self.departition_op(self.departition_swap(x), self.p, rows, columns)


class MaxVitLayer(nn.Module):
    """An MBConv, attention in windows and attention over the grid."""

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        squeeze_ratio: float,
        expansion_ratio: float,
        stride: int,
        norm_layer: Callable[..., nn.Module],
        activation_layer: Callable[..., nn.Module],
        head_dim: int,
        mlp_ratio: int,
        mlp_dropout: float,
        attention_dropout: float,
        p_stochastic_dropout: float,
        partition_size: int,
        grid_size: tuple[int, int],
    ) -> None:
        super().__init__()
        p = p_stochastic_dropout
        widths = (in_channels, out_channels, expansion_ratio, squeeze_ratio, stride)
        layers: OrderedDict[str, nn.Module] = OrderedDict(MBconv=MBConv(*widths, activation_layer, norm_layer, p))
        for kind in ("window", "grid"):
            sizes = (out_channels, head_dim, partition_size, kind, grid_size, mlp_ratio)
            layers[f"{kind}_attention"] = PartitionAttentionLayer(
                *sizes, activation_layer, nn.LayerNorm, attention_dropout, mlp_dropout, p
            )
        self.layers = nn.Sequential(layers)

    def forward(self, x: Tensor) -> Tensor:
        return self.layers(x)


class MaxVitBlock(nn.Module):
    """`n_layers` layers, the first of which halves the size."""

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        squeeze_ratio: float,
        expansion_ratio: float,
        norm_layer: Callable[..., nn.Module],
        activation_layer: Callable[..., nn.Module],
        head_dim: int,
        mlp_ratio: int,
        mlp_dropout: float,
        attention_dropout: float,
        partition_size: int,
        input_grid_size: tuple[int, int],
        n_layers: int,
        p_stochastic: list[float],
    ) -> None:
        super().__init__()
        if len(p_stochastic) != n_layers:
            raise ValueError(f"p_stochastic must have length n_layers={n_layers}, got p_stochastic={p_stochastic}.")
        self.layers = nn.ModuleList()
        self.grid_size = _halved(input_grid_size)
        for i, p in enumerate(p_stochastic):
            self.layers.append(
                MaxVitLayer(
                    in_channels if i == 0 else out_channels,
                    out_channels,
                    squeeze_ratio,
                    expansion_ratio,
                    2 if i == 0 else 1,
                    norm_layer,
                    activation_layer,
                    head_dim,
                    mlp_ratio,
                    mlp_dropout,
                    attention_dropout,
                    p,
                    partition_size,
                    self.grid_size,
                )
            )

    def forward(self, x: Tensor) -> Tensor:
        for layer in self.layers:
            x = layer(x)
        return x


class MaxVit(nn.Module):
    """Blocks of `block_layers` layers with `block_channels` channels: images [N, 3, *input_size] to logits [N,
    num_classes]."""

    def __init__(
        self,
        input_size: tuple[int, int],
        stem_channels: int,
        partition_size: int,
        block_channels: list[int],
        block_layers: list[int],
        head_dim: int,
        stochastic_depth_prob: float,
        norm_layer: Callable[..., nn.Module] | None = None,
        activation_layer: Callable[..., nn.Module] = nn.GELU,
        squeeze_ratio: float = 0.25,
        expansion_ratio: float = 4,
        mlp_ratio: int = 4,
        mlp_dropout: float = 0.0,
        attention_dropout: float = 0.0,
        num_classes: int = 1000,
    ) -> None:
        super().__init__()
        norm_layer = norm_layer or partial(nn.BatchNorm2d, eps=1e-3, momentum=0.01)
        size = _halved(input_size)
        sizes = [size := _halved(size) for _ in block_channels]
        for i, found in enumerate(sizes):
            if found[0] % partition_size != 0 or found[1] % partition_size != 0:
                raise ValueError(
                    f"Input size {found} of block {i} is not divisible by partition size {partition_size}. Consider "
                    f"changing the partition size or the input size.\nCurrent configuration yields the following block "
                    f"input sizes: {sizes}."
                )
        first: Any = {"norm_layer": norm_layer, "activation_layer": activation_layer, "bias": False, "inplace": None}
        second: Any = {"norm_layer": None, "activation_layer": None, "bias": True}
        self.stem = nn.Sequential(
            Conv2dNormActivation(3, stem_channels, 3, stride=2, **first),
            Conv2dNormActivation(stem_channels, stem_channels, 3, stride=1, **second),
        )
        size = _halved(input_size)
        self.partition_size = partition_size
        self.blocks = nn.ModuleList()
        probabilities = norch.linspace(0, stochastic_depth_prob, sum(block_layers), dtype=norch.float64).tolist()
        options: Any = {
            "squeeze_ratio": squeeze_ratio,
            "expansion_ratio": expansion_ratio,
            "norm_layer": norm_layer,
            "activation_layer": activation_layer,
            "head_dim": head_dim,
            "mlp_ratio": mlp_ratio,
            "mlp_dropout": mlp_dropout,
            "attention_dropout": attention_dropout,
            "partition_size": partition_size,
        }
        for before, channels, count in zip([stem_channels, *block_channels[:-1]], block_channels, block_layers):
            drawn, probabilities = probabilities[:count], probabilities[count:]
            self.blocks.append(
                MaxVitBlock(
                    before, channels, input_grid_size=size, n_layers=count, p_stochastic=drawn, **options
                )
            )
            size = _halved(size)
        last = block_channels[-1]
        self.classifier = nn.Sequential(
            nn.AdaptiveAvgPool2d(1),
            nn.Flatten(),
            nn.LayerNorm(last),
            nn.Linear(last, last),
            nn.Tanh(),
            nn.Linear(last, num_classes, bias=False),
        )
        for m in self.modules():
            if isinstance(m, (nn.Conv2d, nn.Linear)):
                nn.init.normal_(m.weight, std=0.02)
                if m.bias is not None:
                    nn.init.zeros_(m.bias)

    def forward(self, x: Tensor) -> Tensor:
        x = self.stem(x)
        for block in self.blocks:
            x = block(x)
        return self.classifier(x)


MaxVit_T_Weights = weights(
    "MaxVit_T_Weights",
    ("maxvit_t-bc5ab103.pth", {"crop_size": 224, "resize_size": 224, "interpolation": "bicubic"}),
)


def _sized(chosen: Any, kwargs: dict[str, Any]) -> None:
    set_argument(kwargs, "input_size", (224, 224))


@model(MaxVit_T_Weights, arguments=_sized)
def maxvit_t(**kwargs: Any) -> MaxVit:
    """The tiny MaxViT, 30.9 million parameters, for images of 224 x 224 unless `input_size` says otherwise."""
    return MaxVit(
        **{
            "input_size": (224, 224),
            "stem_channels": 64,
            "block_channels": [64, 128, 256, 512],
            "block_layers": [2, 2, 5, 2],
            "head_dim": 32,
            "stochastic_depth_prob": 0.2,
            "partition_size": 7,
            **kwargs,
        }
    )
