"""The blocks of RegNets, and how many of them there are."""

from __future__ import annotations

import math
from collections import OrderedDict
from typing import Any, Callable, Iterator

import numpy as np

import norch.nn as nn
from norch._C import Tensor

from ..ops.misc import Conv2dNormActivation, SqueezeExcitation
from ._utils import make_divisible

Layer = Callable[..., nn.Module]


class SimpleStemIN(Conv2dNormActivation):
    """A 3 x 3 convolution of stride 2."""

    def __init__(self, width_in: int, width_out: int, norm_layer: Layer, activation_layer: Layer) -> None:
        super().__init__(
            width_in, width_out, kernel_size=3, stride=2, norm_layer=norm_layer, activation_layer=activation_layer
        )


class BottleneckTransform(nn.Sequential):
    """1 x 1, 3 x 3 (in groups), squeeze-and-excitation (if asked for) and 1 x 1 layers."""

    def __init__(
        self,
        width_in: int,
        width_out: int,
        stride: int,
        norm_layer: Layer,
        activation_layer: Layer,
        group_width: int,
        bottleneck_multiplier: float,
        se_ratio: float | None,
    ) -> None:
        inner = round(width_out * bottleneck_multiplier)
        options: Any = {"norm_layer": norm_layer, "activation_layer": activation_layer}
        layers: OrderedDict[str, nn.Module] = OrderedDict()
        layers["a"] = Conv2dNormActivation(width_in, inner, kernel_size=1, stride=1, **options)
        layers["b"] = Conv2dNormActivation(
            inner, inner, kernel_size=3, stride=stride, groups=inner // group_width, **options
        )
        if se_ratio:
            layers["se"] = SqueezeExcitation(inner, round(se_ratio * width_in), activation=activation_layer)
        layers["c"] = Conv2dNormActivation(
            inner, width_out, kernel_size=1, stride=1, norm_layer=norm_layer, activation_layer=None
        )
        super().__init__(layers)


class ResBottleneckBlock(nn.Module):
    """The transform beside the identity, or a 1 x 1 convolution where that does not fit."""

    def __init__(
        self,
        width_in: int,
        width_out: int,
        stride: int,
        norm_layer: Layer,
        activation_layer: Layer,
        group_width: int = 1,
        bottleneck_multiplier: float = 1.0,
        se_ratio: float | None = None,
    ) -> None:
        super().__init__()
        self.proj: Any = None
        if width_in != width_out or stride != 1:
            self.proj = Conv2dNormActivation(
                width_in, width_out, kernel_size=1, stride=stride, norm_layer=norm_layer, activation_layer=None
            )
        self.f = BottleneckTransform(
            width_in,
            width_out,
            stride,
            norm_layer,
            activation_layer,
            group_width,
            bottleneck_multiplier,
            se_ratio,
        )
        self.activation = activation_layer(inplace=True)

    def forward(self, x: Tensor) -> Tensor:
        return self.activation((x if self.proj is None else self.proj(x)) + self.f(x))


class AnyStage(nn.Sequential):
    """`depth` blocks of the same width, the first of them with the stride."""

    def __init__(
        self,
        width_in: int,
        width_out: int,
        stride: int,
        depth: int,
        block_constructor: Layer,
        norm_layer: Layer,
        activation_layer: Layer,
        group_width: int,
        bottleneck_multiplier: float,
        se_ratio: float | None = None,
        stage_index: int = 0,
    ) -> None:
        super().__init__()
        for i in range(depth):
            size = (width_in, width_out, stride) if i == 0 else (width_out, width_out, 1)
            block = block_constructor(
                *size, norm_layer, activation_layer, group_width, bottleneck_multiplier, se_ratio
            )
            self.add_module(f"block{stage_index}-{i}", block)


class BlockParams:
    """Depth, width, width of groups, inner width and stride of each stage."""

    def __init__(
        self,
        depths: list[int],
        widths: list[int],
        group_widths: list[int],
        bottleneck_multipliers: list[float],
        strides: list[int],
        se_ratio: float | None = None,
    ) -> None:
        self.depths = depths
        self.widths = widths
        self.group_widths = group_widths
        self.bottleneck_multipliers = bottleneck_multipliers
        self.strides = strides
        self.se_ratio = se_ratio

    @classmethod
    def from_init_params(
        cls,
        depth: int,
        w_0: int,
        w_a: float,
        w_m: float,
        group_width: int,
        bottleneck_multiplier: float = 1.0,
        se_ratio: float | None = None,
        **kwargs: Any,
    ) -> BlockParams:
        """The stages of the paper's formula: block i wants the width w_0 + w_a i, takes the nearest w_0 w_m^k (k an
        integer), rounded to a multiple of 8; blocks of the same width are a stage."""
        if w_a < 0 or w_0 <= 0 or w_m <= 1 or w_0 % 8 != 0:
            raise ValueError("Invalid RegNet settings")
        wanted = np.arange(depth) * w_a + w_0
        powers = np.round(np.log(wanted / w_0) / math.log(w_m))
        rounded = (np.round(w_0 * np.power(w_m, powers) / 8) * 8).astype(int)
        distinct, counts = np.unique(rounded, return_counts=True)
        stages = len(distinct)
        # The inner width has to be a multiple of the width of its groups.
        inner = [int(width * bottleneck_multiplier) for width in distinct]
        groups = [min(group_width, width) for width in inner]
        fitting = [make_divisible(width, group) for width, group in zip(inner, groups)]
        return cls(
            depths=[int(n) for n in counts],
            widths=[int(width / bottleneck_multiplier) for width in fitting],
            group_widths=groups,
            bottleneck_multipliers=[bottleneck_multiplier] * stages,
            strides=[2] * stages,
            se_ratio=se_ratio,
        )

    def _get_expanded_params(self) -> Iterator[tuple]:
        return zip(self.widths, self.strides, self.depths, self.group_widths, self.bottleneck_multipliers)
