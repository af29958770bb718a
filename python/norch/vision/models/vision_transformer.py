"""The vision transformer (Dosovitskiy et al., "An Image is Worth 16x16 Words: Transformers for Image Recognition at
Scale", 2021)."""

from __future__ import annotations

import math
from collections import OrderedDict
from functools import partial
from typing import Any, Callable, NamedTuple

import norch
import norch.nn as nn
from norch._C import Tensor

from ..ops.misc import MLP, Conv2dNormActivation
from ._api import model, set_argument, weights

__all__ = [
    "ViT_B_16_Weights",
    "ViT_B_32_Weights",
    "ViT_H_14_Weights",
    "ViT_L_16_Weights",
    "ViT_L_32_Weights",
    "VisionTransformer",
    "vit_b_16",
    "vit_b_32",
    "vit_h_14",
    "vit_l_16",
    "vit_l_32",
]


class ConvStemConfig(NamedTuple):
    """One convolution of a stem that takes the place of the patches."""

    out_channels: int
    kernel_size: int
    stride: int
    norm_layer: Callable[..., nn.Module] = nn.BatchNorm2d
    activation_layer: Callable[..., nn.Module] = nn.ReLU


class MLPBlock(MLP):
    """Linear, GELU, dropout, linear, dropout."""

    _version = 2

    def __init__(self, in_dim: int, mlp_dim: int, dropout: float) -> None:
        super().__init__(in_dim, [mlp_dim, in_dim], activation_layer=nn.GELU, inplace=None, dropout=dropout)
        for m in self.modules():
            if isinstance(m, nn.Linear):
                nn.init.xavier_uniform_(m.weight)
                if m.bias is not None:
                    nn.init.normal_(m.bias, std=1e-6)

    def _load_from_state_dict(self, state_dict: Any, prefix: str, local_metadata: Any, *args: Any) -> None:
        # The first version called its layers linear_1 and linear_2.
        if (local_metadata.get("version") or 1) < 2:
            for i in range(2):
                for kind in ("weight", "bias"):
                    old = f"{prefix}linear_{i + 1}.{kind}"
                    if old in state_dict:
                        state_dict[f"{prefix}{3 * i}.{kind}"] = state_dict.pop(old)
        super()._load_from_state_dict(state_dict, prefix, local_metadata, *args)


def _check_tokens(input: Tensor) -> None:
    norch._assert(input.dim() == 3, f"Expected (batch_size, seq_length, hidden_dim) got {input.shape}")


class EncoderBlock(nn.Module):
    """Self-attention and MLP, each after normalisation and beside the identity."""

    def __init__(
        self,
        num_heads: int,
        hidden_dim: int,
        mlp_dim: int,
        dropout: float,
        attention_dropout: float,
        norm_layer: Callable[..., nn.Module] = partial(nn.LayerNorm, eps=1e-6),
    ) -> None:
        super().__init__()
        self.num_heads = num_heads
        self.ln_1 = norm_layer(hidden_dim)
        self.self_attention = nn.MultiheadAttention(hidden_dim, num_heads, dropout=attention_dropout, batch_first=True)
        self.dropout = nn.Dropout(dropout)
        self.ln_2 = norm_layer(hidden_dim)
        self.mlp = MLPBlock(hidden_dim, mlp_dim, dropout)

    def forward(self, input: Tensor) -> Tensor:
        _check_tokens(input)
        x = self.ln_1(input)
        x, _ = self.self_attention(x, x, x, need_weights=False)
        x = self.dropout(x) + input
        return x + self.mlp(self.ln_2(x))


class Encoder(nn.Module):
    """Position embeddings, the blocks, and a last normalisation."""

    def __init__(
        self,
        seq_length: int,
        num_layers: int,
        num_heads: int,
        hidden_dim: int,
        mlp_dim: int,
        dropout: float,
        attention_dropout: float,
        norm_layer: Callable[..., nn.Module] = partial(nn.LayerNorm, eps=1e-6),
    ) -> None:
        super().__init__()
        self.pos_embedding = nn.Parameter(norch.empty(1, seq_length, hidden_dim).normal_(std=0.02))
        self.dropout = nn.Dropout(dropout)
        layers: OrderedDict[str, nn.Module] = OrderedDict()
        for i in range(num_layers):
            layers[f"encoder_layer_{i}"] = EncoderBlock(
                num_heads, hidden_dim, mlp_dim, dropout, attention_dropout, norm_layer
            )
        self.layers = nn.Sequential(layers)
        self.ln = norm_layer(hidden_dim)

    def forward(self, input: Tensor) -> Tensor:
        _check_tokens(input)
        return self.ln(self.layers(self.dropout(input + self.pos_embedding)))


class VisionTransformer(nn.Module):
    """A transformer encoder over patches of an image and a class token: images [N, 3, image_size, image_size] to logits
    [N, num_classes]. `representation_size` adds a hidden layer before them; `conv_stem_configs` lists convolutions that
    take the place of the patches."""

    def __init__(
        self,
        image_size: int,
        patch_size: int,
        num_layers: int,
        num_heads: int,
        hidden_dim: int,
        mlp_dim: int,
        dropout: float = 0.0,
        attention_dropout: float = 0.0,
        num_classes: int = 1000,
        representation_size: int | None = None,
        norm_layer: Callable[..., nn.Module] = partial(nn.LayerNorm, eps=1e-6),
        conv_stem_configs: list[ConvStemConfig] | None = None,
    ) -> None:
        super().__init__()
        if image_size % patch_size != 0:
            raise AssertionError("Input shape indivisible by patch size!")
        self.image_size = image_size
        self.patch_size = patch_size
        self.hidden_dim = hidden_dim
        self.mlp_dim = mlp_dim
        self.attention_dropout = attention_dropout
        self.dropout = dropout
        self.num_classes = num_classes
        self.representation_size = representation_size
        self.norm_layer = norm_layer

        if conv_stem_configs is not None:
            stem = nn.Sequential()
            channels = 3
            for i, config in enumerate(conv_stem_configs):
                out, kernel_size, stride, norm, activation = config
                conv = Conv2dNormActivation(
                    channels, out, kernel_size, stride, norm_layer=norm, activation_layer=activation
                )
                stem.add_module(f"conv_bn_relu_{i}", conv)
                channels = out
            stem.add_module("conv_last", nn.Conv2d(channels, hidden_dim, kernel_size=1))
            self.conv_proj: Any = stem
        else:
            self.conv_proj = nn.Conv2d(3, hidden_dim, kernel_size=patch_size, stride=patch_size)

        self.class_token = nn.Parameter(norch.zeros(1, 1, hidden_dim))
        seq_length = (image_size // patch_size) ** 2 + 1
        self.encoder = Encoder(
            seq_length, num_layers, num_heads, hidden_dim, mlp_dim, dropout, attention_dropout, norm_layer
        )
        self.seq_length = seq_length
        heads: OrderedDict[str, nn.Module] = OrderedDict()
        if representation_size is not None:
            heads["pre_logits"] = nn.Linear(hidden_dim, representation_size)
            heads["act"] = nn.Tanh()
        heads["head"] = nn.Linear(representation_size or hidden_dim, num_classes)
        self.heads: Any = nn.Sequential(heads)
        self._initialize()

    def _initialize(self) -> None:
        if isinstance(self.conv_proj, nn.Conv2d):
            conv = self.conv_proj
            fan_in = conv.in_channels * conv.kernel_size[0] * conv.kernel_size[1]
            nn.init.trunc_normal_(conv.weight, std=math.sqrt(1 / fan_in))
        else:
            conv = self.conv_proj.conv_last
            nn.init.normal_(conv.weight, mean=0.0, std=math.sqrt(2.0 / conv.out_channels))
        nn.init.zeros_(conv.bias)
        if self.representation_size is not None:
            hidden = self.heads.pre_logits
            nn.init.trunc_normal_(hidden.weight, std=math.sqrt(1 / hidden.in_features))
            nn.init.zeros_(hidden.bias)
        nn.init.zeros_(self.heads.head.weight)
        nn.init.zeros_(self.heads.head.bias)

    def _process_input(self, x: Tensor) -> Tensor:
        n, _, h, w = x.shape
        norch._assert(h == self.image_size, f"Wrong image height! Expected {self.image_size} but got {h}!")
        norch._assert(w == self.image_size, f"Wrong image width! Expected {self.image_size} but got {w}!")
        return self.conv_proj(x).reshape(n, self.hidden_dim, -1).permute(0, 2, 1)

    def forward(self, x: Tensor) -> Tensor:
        x = self._process_input(x)
        x = norch.cat([self.class_token.expand(x.shape[0], -1, -1), x], dim=1)
        return self.heads(self.encoder(x)[:, 0])


def _image_size(chosen: Any, kwargs: dict[str, Any]) -> None:
    set_argument(kwargs, "image_size", chosen.meta["crop_size"])


def _vit(patch_size: int, layers: int, heads: int, width: int, mlp: int, kwargs: dict[str, Any]) -> VisionTransformer:
    image_size = kwargs.pop("image_size", 224)
    return VisionTransformer(image_size, patch_size, layers, heads, width, mlp, **kwargs)


def _swag(file: str, size: int) -> Any:
    return file, {"crop_size": size, "resize_size": size, "interpolation": "bicubic"}


ViT_B_16_Weights = weights(
    "ViT_B_16_Weights",
    "vit_b_16-c867db91.pth",
    IMAGENET1K_SWAG_E2E_V1=_swag("vit_b_16_swag-9ac1b537.pth", 384),
    IMAGENET1K_SWAG_LINEAR_V1=_swag("vit_b_16_lc_swag-4e70ced5.pth", 224),
)
ViT_B_32_Weights = weights("ViT_B_32_Weights", "vit_b_32-d86f8d99.pth")
ViT_L_16_Weights = weights(
    "ViT_L_16_Weights",
    ("vit_l_16-852ce7e3.pth", {"resize_size": 242}),
    IMAGENET1K_SWAG_E2E_V1=_swag("vit_l_16_swag-4f3808c9.pth", 512),
    IMAGENET1K_SWAG_LINEAR_V1=_swag("vit_l_16_lc_swag-4d563306.pth", 224),
)
ViT_L_32_Weights = weights("ViT_L_32_Weights", "vit_l_32-c7638314.pth")
ViT_H_14_Weights = weights(
    "ViT_H_14_Weights",
    default=0,
    IMAGENET1K_SWAG_E2E_V1=_swag("vit_h_14_swag-80465313.pth", 518),
    IMAGENET1K_SWAG_LINEAR_V1=_swag("vit_h_14_lc_swag-c1eb923e.pth", 224),
)


@model(ViT_B_16_Weights, arguments=_image_size)
def vit_b_16(**kwargs: Any) -> VisionTransformer:
    """The base vision transformer, with patches of 16 x 16."""
    return _vit(16, 12, 12, 768, 3072, kwargs)


@model(ViT_B_32_Weights, arguments=_image_size)
def vit_b_32(**kwargs: Any) -> VisionTransformer:
    """The base vision transformer, with patches of 32 x 32."""
    return _vit(32, 12, 12, 768, 3072, kwargs)


@model(ViT_L_16_Weights, arguments=_image_size)
def vit_l_16(**kwargs: Any) -> VisionTransformer:
    """The large vision transformer, with patches of 16 x 16."""
    return _vit(16, 24, 16, 1024, 4096, kwargs)


@model(ViT_L_32_Weights, arguments=_image_size)
def vit_l_32(**kwargs: Any) -> VisionTransformer:
    """The large vision transformer, with patches of 32 x 32."""
    return _vit(32, 24, 16, 1024, 4096, kwargs)


@model(ViT_H_14_Weights, arguments=_image_size)
def vit_h_14(**kwargs: Any) -> VisionTransformer:
    """The huge vision transformer, with patches of 14 x 14."""
    return _vit(14, 32, 16, 1280, 5120, kwargs)
