"""ConvNeXt (Liu et al., "A ConvNet for the 2020s", 2022)."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from typing import Any, Callable

import norch
import norch.nn as nn
import norch.nn.functional as F
from norch._C import Tensor

from ..ops.misc import Conv2dNormActivation, Permute
from ..ops.stochastic_depth import StochasticDepth
from ._api import model, weights
from ._utils import initialize

__all__ = [
    "ConvNeXt",
    "ConvNeXt_Base_Weights",
    "ConvNeXt_Large_Weights",
    "ConvNeXt_Small_Weights",
    "ConvNeXt_Tiny_Weights",
    "convnext_base",
    "convnext_large",
    "convnext_small",
    "convnext_tiny",
]


class LayerNorm2d(nn.LayerNorm):
    """LayerNorm over the channels of [N, C, H, W]."""

    def forward(self, x: Tensor) -> Tensor:
        x = F.layer_norm(x.permute(0, 2, 3, 1), self.normalized_shape, self.weight, self.bias, self.eps)
        return x.permute(0, 3, 1, 2)


class CNBlock(nn.Module):
    """A 7 x 7 depthwise convolution and an MLP over the channels, scaled, beside the identity."""

    def __init__(
        self,
        dim: int,
        layer_scale: float,
        stochastic_depth_prob: float,
        norm_layer: Callable[..., nn.Module] | None = None,
    ) -> None:
        super().__init__()
        norm_layer = norm_layer or partial(nn.LayerNorm, eps=1e-6)
        self.block = nn.Sequential(
            nn.Conv2d(dim, dim, kernel_size=7, padding=3, groups=dim, bias=True),
            Permute([0, 2, 3, 1]),
            norm_layer(dim),
            nn.Linear(in_features=dim, out_features=4 * dim, bias=True),
            nn.GELU(),
            nn.Linear(in_features=4 * dim, out_features=dim, bias=True),
            Permute([0, 3, 1, 2]),
        )
        self.layer_scale = nn.Parameter(norch.ones(dim, 1, 1) * layer_scale)
        self.stochastic_depth = StochasticDepth(stochastic_depth_prob, "row")

    def forward(self, input: Tensor) -> Tensor:
        result = self.stochastic_depth(self.layer_scale * self.block(input))
        result += input
        return result


class CNBlockConfig:
    """A stage: `num_layers` blocks of `input_channels`, then, unless None, a step down to `out_channels`."""

    def __init__(self, input_channels: int, out_channels: int | None, num_layers: int) -> None:
        self.input_channels = input_channels
        self.out_channels = out_channels
        self.num_layers = num_layers

    def __repr__(self) -> str:
        return (
            f"{type(self).__name__}(input_channels={self.input_channels}, out_channels={self.out_channels}, "
            f"num_layers={self.num_layers})"
        )


class ConvNeXt(nn.Module):
    """ConvNeXt of the stages `block_setting`: images [N, 3, H, W], of 32 x 32 or more, to logits [N, num_classes]."""

    def __init__(
        self,
        block_setting: list[CNBlockConfig],
        stochastic_depth_prob: float = 0.0,
        layer_scale: float = 1e-6,
        num_classes: int = 1000,
        block: Callable[..., nn.Module] | None = None,
        norm_layer: Callable[..., nn.Module] | None = None,
        **kwargs: Any,
    ) -> None:
        super().__init__()
        if not block_setting:
            raise ValueError("The block_setting should not be empty")
        if not isinstance(block_setting, Sequence) or not all(isinstance(s, CNBlockConfig) for s in block_setting):
            raise TypeError("The block_setting should be List[CNBlockConfig]")
        block = block or CNBlock
        norm_layer = norm_layer or partial(LayerNorm2d, eps=1e-6)
        layers: list[nn.Module] = [
            Conv2dNormActivation(
                3,
                block_setting[0].input_channels,
                kernel_size=4,
                stride=4,
                padding=0,
                norm_layer=norm_layer,
                activation_layer=None,
                bias=True,
            )
        ]
        total = sum(cnf.num_layers for cnf in block_setting)
        count = 0
        for cnf in block_setting:
            stage = []
            for _ in range(cnf.num_layers):
                probability = stochastic_depth_prob * count / (total - 1.0)
                stage.append(block(cnf.input_channels, layer_scale, probability))
                count += 1
            layers.append(nn.Sequential(*stage))
            if cnf.out_channels is not None:
                down = nn.Conv2d(cnf.input_channels, cnf.out_channels, kernel_size=2, stride=2)
                layers.append(nn.Sequential(norm_layer(cnf.input_channels), down))
        self.features = nn.Sequential(*layers)
        self.avgpool = nn.AdaptiveAvgPool2d(1)
        last = block_setting[-1].out_channels or block_setting[-1].input_channels
        self.classifier = nn.Sequential(norm_layer(last), nn.Flatten(1), nn.Linear(last, num_classes))
        initialize(self, _truncated, _truncated, norms=False)

    def _forward_impl(self, x: Tensor) -> Tensor:
        return self.classifier(self.avgpool(self.features(x)))

    def forward(self, x: Tensor) -> Tensor:
        return self._forward_impl(x)


def _truncated(layer: Any) -> None:
    nn.init.trunc_normal_(layer.weight, std=0.02)


def _convnext(widths: tuple[int, ...], depth: int, stochastic_depth_prob: float, kwargs: dict[str, Any]) -> ConvNeXt:
    depths = (3, 3, depth, 3)
    setting = [CNBlockConfig(*stage) for stage in zip(widths, (*widths[1:], None), depths)]
    return ConvNeXt(setting, **{"stochastic_depth_prob": stochastic_depth_prob, **kwargs})


ConvNeXt_Tiny_Weights = weights("ConvNeXt_Tiny_Weights", ("convnext_tiny-983f1562.pth", {"resize_size": 236}))
ConvNeXt_Small_Weights = weights("ConvNeXt_Small_Weights", ("convnext_small-0c510722.pth", {"resize_size": 230}))
ConvNeXt_Base_Weights = weights("ConvNeXt_Base_Weights", ("convnext_base-6075fbad.pth", {"resize_size": 232}))
ConvNeXt_Large_Weights = weights("ConvNeXt_Large_Weights", ("convnext_large-ea097f82.pth", {"resize_size": 232}))


@model(ConvNeXt_Tiny_Weights)
def convnext_tiny(**kwargs: Any) -> ConvNeXt:
    """The tiny ConvNeXt, 28.6 million parameters."""
    return _convnext((96, 192, 384, 768), 9, 0.1, kwargs)


@model(ConvNeXt_Small_Weights)
def convnext_small(**kwargs: Any) -> ConvNeXt:
    """The small ConvNeXt, 50.2 million parameters."""
    return _convnext((96, 192, 384, 768), 27, 0.4, kwargs)


@model(ConvNeXt_Base_Weights)
def convnext_base(**kwargs: Any) -> ConvNeXt:
    """The base ConvNeXt, 88.6 million parameters."""
    return _convnext((128, 256, 512, 1024), 27, 0.5, kwargs)


@model(ConvNeXt_Large_Weights)
def convnext_large(**kwargs: Any) -> ConvNeXt:
    """The large ConvNeXt, 197.8 million parameters."""
    return _convnext((192, 384, 768, 1536), 27, 0.5, kwargs)
