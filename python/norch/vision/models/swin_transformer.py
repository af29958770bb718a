"""Swin Transformer (Liu et al., "Swin Transformer: Hierarchical Vision Transformer using Shifted Windows", 2021), V2."""

from __future__ import annotations

from functools import partial
from typing import Any, Callable

import norch.nn as nn
from norch._C import Tensor

from ..ops.misc import MLP, Permute
from ..ops.stochastic_depth import StochasticDepth
from ._api import model, weights
from ._swin_attention import PatchMerging as PatchMerging
from ._swin_attention import PatchMergingV2 as PatchMergingV2
from ._swin_attention import ShiftedWindowAttention as ShiftedWindowAttention
from ._swin_attention import ShiftedWindowAttentionV2 as ShiftedWindowAttentionV2
from ._swin_attention import shifted_window_attention as shifted_window_attention

__all__ = [
    "SwinTransformer",
    "Swin_B_Weights",
    "Swin_S_Weights",
    "Swin_T_Weights",
    "Swin_V2_B_Weights",
    "Swin_V2_S_Weights",
    "Swin_V2_T_Weights",
    "swin_b",
    "swin_s",
    "swin_t",
    "swin_v2_b",
    "swin_v2_s",
    "swin_v2_t",
]


class SwinTransformerBlock(nn.Module):
    """Attention in windows and a small network, each normalised first, beside the identity: [N, H, W, dim] to the
    same."""

    def __init__(
        self,
        dim: int,
        num_heads: int,
        window_size: list[int],
        shift_size: list[int],
        mlp_ratio: float = 4.0,
        dropout: float = 0.0,
        attention_dropout: float = 0.0,
        stochastic_depth_prob: float = 0.0,
        norm_layer: Callable[..., nn.Module] = nn.LayerNorm,
        attn_layer: Callable[..., nn.Module] = ShiftedWindowAttention,
    ) -> None:
        super().__init__()
        self.norm1 = norm_layer(dim)
        self.attn = attn_layer(
            dim, window_size, shift_size, num_heads, attention_dropout=attention_dropout, dropout=dropout
        )
        self.stochastic_depth = StochasticDepth(stochastic_depth_prob, "row")
        self.norm2 = norm_layer(dim)
        self.mlp = MLP(dim, [int(dim * mlp_ratio), dim], activation_layer=nn.GELU, inplace=None, dropout=dropout)
        for m in self.mlp.modules():
            if isinstance(m, nn.Linear):
                nn.init.xavier_uniform_(m.weight)
                nn.init.normal_(m.bias, std=1e-6)

    def forward(self, x: Tensor) -> Tensor:
        x = x + self.stochastic_depth(self.attn(self.norm1(x)))
        return x + self.stochastic_depth(self.mlp(self.norm2(x)))


class SwinTransformerBlockV2(SwinTransformerBlock):
    """SwinTransformerBlock that normalises what its parts give instead of what they get."""

    def __init__(
        self,
        dim: int,
        num_heads: int,
        window_size: list[int],
        shift_size: list[int],
        mlp_ratio: float = 4.0,
        dropout: float = 0.0,
        attention_dropout: float = 0.0,
        stochastic_depth_prob: float = 0.0,
        norm_layer: Callable[..., nn.Module] = nn.LayerNorm,
        attn_layer: Callable[..., nn.Module] = ShiftedWindowAttentionV2,
    ) -> None:
        rates = (dropout, attention_dropout, stochastic_depth_prob)
        super().__init__(dim, num_heads, window_size, shift_size, mlp_ratio, *rates, norm_layer, attn_layer)

    def forward(self, x: Tensor) -> Tensor:
        x = x + self.stochastic_depth(self.norm1(self.attn(x)))
        return x + self.stochastic_depth(self.norm2(self.mlp(x)))


class SwinTransformer(nn.Module):
    """Stages of `depths` blocks; between them 2 x 2 pixels become one, with twice the channels. Images [N, 3, H, W] to
    logits [N, num_classes]."""

    def __init__(
        self,
        patch_size: list[int],
        embed_dim: int,
        depths: list[int],
        num_heads: list[int],
        window_size: list[int],
        mlp_ratio: float = 4.0,
        dropout: float = 0.0,
        attention_dropout: float = 0.0,
        stochastic_depth_prob: float = 0.1,
        num_classes: int = 1000,
        norm_layer: Callable[..., nn.Module] | None = None,
        block: Callable[..., nn.Module] | None = None,
        downsample_layer: Callable[..., nn.Module] = PatchMerging,
    ) -> None:
        super().__init__()
        self.num_classes = num_classes
        block = block or SwinTransformerBlock
        norm_layer = norm_layer or partial(nn.LayerNorm, eps=1e-5)
        size = (patch_size[0], patch_size[1])
        patches = nn.Conv2d(3, embed_dim, kernel_size=size, stride=size)
        layers: list[nn.Module] = [nn.Sequential(patches, Permute([0, 2, 3, 1]), norm_layer(embed_dim))]
        total, count = sum(depths), 0
        for i, depth in enumerate(depths):
            dim = embed_dim * 2**i
            stage = []
            for j in range(depth):
                stage.append(
                    block(
                        dim,
                        num_heads[i],
                        window_size=window_size,
                        shift_size=[0 if j % 2 == 0 else w // 2 for w in window_size],
                        mlp_ratio=mlp_ratio,
                        dropout=dropout,
                        attention_dropout=attention_dropout,
                        stochastic_depth_prob=stochastic_depth_prob * float(count) / (total - 1),
                        norm_layer=norm_layer,
                    )
                )
                count += 1
            layers.append(nn.Sequential(*stage))
            if i < len(depths) - 1:
                layers.append(downsample_layer(dim, norm_layer))
        self.features = nn.Sequential(*layers)
        features = embed_dim * 2 ** (len(depths) - 1)
        self.norm = norm_layer(features)
        self.permute = Permute([0, 3, 1, 2])
        self.avgpool = nn.AdaptiveAvgPool2d(1)
        self.flatten = nn.Flatten(1)
        self.head = nn.Linear(features, num_classes)
        for m in self.modules():
            if isinstance(m, nn.Linear):
                nn.init.trunc_normal_(m.weight, std=0.02)
                if m.bias is not None:
                    nn.init.zeros_(m.bias)

    def forward(self, x: Tensor) -> Tensor:
        x = self.permute(self.norm(self.features(x)))
        return self.head(self.flatten(self.avgpool(x)))


def _published(name: str, file: str, crop_size: int, resize_size: int) -> Any:
    options = {"crop_size": crop_size, "resize_size": resize_size, "interpolation": "bicubic"}
    return weights(name, (file, options))


Swin_T_Weights = _published("Swin_T_Weights", "swin_t-704ceda3.pth", 224, 232)
Swin_S_Weights = _published("Swin_S_Weights", "swin_s-5e29d889.pth", 224, 246)
Swin_B_Weights = _published("Swin_B_Weights", "swin_b-68c6b09e.pth", 224, 238)
Swin_V2_T_Weights = _published("Swin_V2_T_Weights", "swin_v2_t-b137f0e2.pth", 256, 260)
Swin_V2_S_Weights = _published("Swin_V2_S_Weights", "swin_v2_s-637d8ceb.pth", 256, 260)
Swin_V2_B_Weights = _published("Swin_V2_B_Weights", "swin_v2_b-781e5279.pth", 256, 272)


def _swin(embed_dim: int, depth: int, heads: int, probability: float, kwargs: dict[str, Any]) -> SwinTransformer:
    return SwinTransformer(
        **{
            "patch_size": [4, 4],
            "embed_dim": embed_dim,
            "depths": [2, 2, depth, 2],
            "num_heads": [heads * 2**i for i in range(4)],
            "window_size": [7, 7],
            "stochastic_depth_prob": probability,
            **kwargs,
        }
    )


_V2: dict[str, Any] = {"window_size": [8, 8], "block": SwinTransformerBlockV2, "downsample_layer": PatchMergingV2}


@model(Swin_T_Weights)
def swin_t(**kwargs: Any) -> SwinTransformer:
    """The tiny Swin Transformer, 28.3 million parameters."""
    return _swin(96, 6, 3, 0.2, kwargs)


@model(Swin_S_Weights)
def swin_s(**kwargs: Any) -> SwinTransformer:
    """The small Swin Transformer, 49.6 million parameters."""
    return _swin(96, 18, 3, 0.3, kwargs)


@model(Swin_B_Weights)
def swin_b(**kwargs: Any) -> SwinTransformer:
    """The base Swin Transformer, 87.8 million parameters."""
    return _swin(128, 18, 4, 0.5, kwargs)


@model(Swin_V2_T_Weights)
def swin_v2_t(**kwargs: Any) -> SwinTransformer:
    """The tiny Swin Transformer V2, 28.4 million parameters."""
    return _swin(96, 6, 3, 0.2, {**_V2, **kwargs})


@model(Swin_V2_S_Weights)
def swin_v2_s(**kwargs: Any) -> SwinTransformer:
    """The small Swin Transformer V2, 49.7 million parameters."""
    return _swin(96, 18, 3, 0.3, {**_V2, **kwargs})


@model(Swin_V2_B_Weights)
def swin_v2_b(**kwargs: Any) -> SwinTransformer:
    """The base Swin Transformer V2, 87.9 million parameters."""
    return _swin(128, 18, 4, 0.5, {**_V2, **kwargs})
