"""EfficientNet (Tan and Le, "EfficientNet: Rethinking Model Scaling for Convolutional Neural Networks", 2019) and
EfficientNetV2 (2021)."""

from __future__ import annotations

import copy
import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any, Callable

import norch.nn as nn
from norch._C import Tensor

from ..ops.misc import Conv2dNormActivation, SqueezeExcitation
from ..ops.stochastic_depth import StochasticDepth
from ._api import model, weights
from ._utils import initialize, kaiming_fan_out, make_divisible

__all__ = [
    "EfficientNet",
    "EfficientNet_B0_Weights",
    "EfficientNet_B1_Weights",
    "EfficientNet_B2_Weights",
    "EfficientNet_B3_Weights",
    "EfficientNet_B4_Weights",
    "EfficientNet_B5_Weights",
    "EfficientNet_B6_Weights",
    "EfficientNet_B7_Weights",
    "EfficientNet_V2_L_Weights",
    "EfficientNet_V2_M_Weights",
    "EfficientNet_V2_S_Weights",
    "efficientnet_b0",
    "efficientnet_b1",
    "efficientnet_b2",
    "efficientnet_b3",
    "efficientnet_b4",
    "efficientnet_b5",
    "efficientnet_b6",
    "efficientnet_b7",
    "efficientnet_v2_l",
    "efficientnet_v2_m",
    "efficientnet_v2_s",
]


@dataclass
class _MBConvConfig:
    """What the blocks of one stage are made of."""

    expand_ratio: float
    kernel: int
    stride: int
    input_channels: int
    out_channels: int
    num_layers: int
    block: Callable[..., nn.Module]

    @staticmethod
    def adjust_channels(channels: int, width_mult: float, min_value: int | None = None) -> int:
        return make_divisible(channels * width_mult, 8, min_value)


class MBConvConfig(_MBConvConfig):
    """A stage of MBConv blocks, of widths times `width_mult`, and `depth_mult` times as many."""

    def __init__(
        self,
        expand_ratio: float,
        kernel: int,
        stride: int,
        input_channels: int,
        out_channels: int,
        num_layers: int,
        width_mult: float = 1.0,
        depth_mult: float = 1.0,
        block: Callable[..., nn.Module] | None = None,
    ) -> None:
        input_channels = self.adjust_channels(input_channels, width_mult)
        out_channels = self.adjust_channels(out_channels, width_mult)
        depth = math.ceil(num_layers * depth_mult)
        super().__init__(expand_ratio, kernel, stride, input_channels, out_channels, depth, block or MBConv)


class FusedMBConvConfig(_MBConvConfig):
    """A stage of FusedMBConv blocks."""

    def __init__(
        self,
        expand_ratio: float,
        kernel: int,
        stride: int,
        input_channels: int,
        out_channels: int,
        num_layers: int,
        block: Callable[..., nn.Module] | None = None,
    ) -> None:
        super().__init__(
            expand_ratio, kernel, stride, input_channels, out_channels, num_layers, block or FusedMBConv
        )


class _Block(nn.Module):
    """`layers` beside the identity where it fits, left out at random."""

    def __init__(self, cnf: _MBConvConfig, stochastic_depth_prob: float, layers: list[nn.Module]) -> None:
        super().__init__()
        self.use_res_connect = cnf.stride == 1 and cnf.input_channels == cnf.out_channels
        self.block = nn.Sequential(*layers)
        self.stochastic_depth = StochasticDepth(stochastic_depth_prob, "row")
        self.out_channels = cnf.out_channels

    def forward(self, input: Tensor) -> Tensor:
        result = self.block(input)
        if self.use_res_connect:
            result = self.stochastic_depth(result)
            result += input
        return result


def _check_stride(cnf: _MBConvConfig) -> None:
    if not 1 <= cnf.stride <= 2:
        raise ValueError("illegal stride value")


class MBConv(_Block):
    """1 x 1 (wider), depthwise, squeeze-and-excitation and 1 x 1 layers."""

    def __init__(
        self,
        cnf: MBConvConfig,
        stochastic_depth_prob: float,
        norm_layer: Callable[..., nn.Module],
        se_layer: Callable[..., nn.Module] = SqueezeExcitation,
    ) -> None:
        _check_stride(cnf)
        options: Any = {"norm_layer": norm_layer, "activation_layer": nn.SiLU}
        wide = cnf.adjust_channels(cnf.input_channels, cnf.expand_ratio)
        layers: list[nn.Module] = []
        if wide != cnf.input_channels:
            layers.append(Conv2dNormActivation(cnf.input_channels, wide, kernel_size=1, **options))
        layers += [
            Conv2dNormActivation(wide, wide, kernel_size=cnf.kernel, stride=cnf.stride, groups=wide, **options),
            se_layer(wide, max(1, cnf.input_channels // 4), activation=partial(nn.SiLU, inplace=True)),
            Conv2dNormActivation(
                wide, cnf.out_channels, kernel_size=1, norm_layer=norm_layer, activation_layer=None
            ),
        ]
        super().__init__(cnf, stochastic_depth_prob, layers)


class FusedMBConv(_Block):
    """A k x k convolution (wider), and a 1 x 1 one back, where it is wider."""

    def __init__(
        self, cnf: FusedMBConvConfig, stochastic_depth_prob: float, norm_layer: Callable[..., nn.Module]
    ) -> None:
        _check_stride(cnf)
        options: Any = {"norm_layer": norm_layer, "activation_layer": nn.SiLU}
        wide = cnf.adjust_channels(cnf.input_channels, cnf.expand_ratio)
        size: Any = {"kernel_size": cnf.kernel, "stride": cnf.stride}
        layers: list[nn.Module] = []
        if wide != cnf.input_channels:
            layers.append(Conv2dNormActivation(cnf.input_channels, wide, **size, **options))
            options["activation_layer"] = None
            size = {"kernel_size": 1}
        layers.append(Conv2dNormActivation(wide, cnf.out_channels, **size, **options))
        super().__init__(cnf, stochastic_depth_prob, layers)


def _uniform_by_outputs(layer: Any) -> None:
    bound = 1.0 / math.sqrt(layer.out_features)
    nn.init.uniform_(layer.weight, -bound, bound)


class EfficientNet(nn.Module):
    """EfficientNet of the stages `inverted_residual_setting`: images [N, 3, H, W] to logits [N, num_classes]. The
    probability that a block is left out grows from 0 to `stochastic_depth_prob`."""

    def __init__(
        self,
        inverted_residual_setting: Sequence[Any],
        dropout: float,
        stochastic_depth_prob: float = 0.2,
        num_classes: int = 1000,
        norm_layer: Callable[..., nn.Module] | None = None,
        last_channel: int | None = None,
    ) -> None:
        super().__init__()
        if not inverted_residual_setting:
            raise ValueError("The inverted_residual_setting should not be empty")
        if not isinstance(inverted_residual_setting, Sequence) or not all(
            isinstance(s, _MBConvConfig) for s in inverted_residual_setting
        ):
            raise TypeError("The inverted_residual_setting should be List[MBConvConfig]")
        norm_layer = norm_layer or nn.BatchNorm2d
        options: Any = {"norm_layer": norm_layer, "activation_layer": nn.SiLU}
        first, last = inverted_residual_setting[0].input_channels, inverted_residual_setting[-1].out_channels
        last_channel = 4 * last if last_channel is None else last_channel
        layers: list[nn.Module] = [Conv2dNormActivation(3, first, kernel_size=3, stride=2, **options)]
        total = sum(cnf.num_layers for cnf in inverted_residual_setting)
        count = 0
        for cnf in inverted_residual_setting:
            cnf = copy.copy(cnf)
            stage: list[nn.Module] = []
            for _ in range(cnf.num_layers):
                stage.append(cnf.block(cnf, stochastic_depth_prob * float(count) / total, norm_layer))
                cnf.input_channels, cnf.stride = cnf.out_channels, 1
                count += 1
            layers.append(nn.Sequential(*stage))
        layers.append(Conv2dNormActivation(last, last_channel, kernel_size=1, **options))
        self.features = nn.Sequential(*layers)
        self.avgpool = nn.AdaptiveAvgPool2d(1)
        self.classifier = nn.Sequential(nn.Dropout(p=dropout, inplace=True), nn.Linear(last_channel, num_classes))
        initialize(self, kaiming_fan_out, _uniform_by_outputs)

    def _forward_impl(self, x: Tensor) -> Tensor:
        return self.classifier(self.avgpool(self.features(x)).flatten(1))

    def forward(self, x: Tensor) -> Tensor:
        return self._forward_impl(x)


# Expansion, kernel, stride, channels before and after, layers.
_V1 = [
    (1, 3, 1, 32, 16, 1),
    (6, 3, 2, 16, 24, 2),
    (6, 5, 2, 24, 40, 2),
    (6, 3, 2, 40, 80, 3),
    (6, 5, 1, 80, 112, 3),
    (6, 5, 2, 112, 192, 4),
    (6, 3, 1, 192, 320, 1),
]
_V2_S = [
    (1, 3, 1, 24, 24, 2),
    (4, 3, 2, 24, 48, 4),
    (4, 3, 2, 48, 64, 4),
    (4, 3, 2, 64, 128, 6),
    (6, 3, 1, 128, 160, 9),
    (6, 3, 2, 160, 256, 15),
]
_V2_M = [
    (1, 3, 1, 24, 24, 3),
    (4, 3, 2, 24, 48, 5),
    (4, 3, 2, 48, 80, 5),
    (4, 3, 2, 80, 160, 7),
    (6, 3, 1, 160, 176, 14),
    (6, 3, 2, 176, 304, 18),
    (6, 3, 1, 304, 512, 5),
]
_V2_L = [
    (1, 3, 1, 32, 32, 4),
    (4, 3, 2, 32, 64, 7),
    (4, 3, 2, 64, 96, 7),
    (4, 3, 2, 96, 192, 10),
    (6, 3, 1, 192, 224, 19),
    (6, 3, 2, 224, 384, 25),
    (6, 3, 1, 384, 640, 7),
]


def _v1(width_mult: float, depth_mult: float, dropout: float, kwargs: dict[str, Any], **norm: Any) -> EfficientNet:
    setting = [MBConvConfig(*row, width_mult=width_mult, depth_mult=depth_mult) for row in _V1]
    dropout = kwargs.pop("dropout", dropout)
    if norm:
        kwargs = {"norm_layer": partial(nn.BatchNorm2d, **norm), **kwargs}
    return EfficientNet(setting, dropout, **kwargs)


def _v2(rows: list[tuple], dropout: float, kwargs: dict[str, Any]) -> EfficientNet:
    # The first three stages are of fused blocks.
    setting = [(FusedMBConvConfig if i < 3 else MBConvConfig)(*row) for i, row in enumerate(rows)]
    dropout = kwargs.pop("dropout", dropout)
    kwargs = {"norm_layer": partial(nn.BatchNorm2d, eps=1e-3), **kwargs}
    return EfficientNet(setting, dropout, last_channel=1280, **kwargs)


def _trained_at(file: str, resize_size: int, crop_size: int, interpolation: str = "bicubic", **options: Any) -> Any:
    return file, {"crop_size": crop_size, "resize_size": resize_size, "interpolation": interpolation, **options}


EfficientNet_B0_Weights = weights(
    "EfficientNet_B0_Weights", _trained_at("efficientnet_b0_rwightman-7f5810bc.pth", 256, 224)
)
EfficientNet_B1_Weights = weights(
    "EfficientNet_B1_Weights",
    _trained_at("efficientnet_b1_rwightman-bac287d4.pth", 256, 240),
    _trained_at("efficientnet_b1-c27df63c.pth", 255, 240, "bilinear"),
)
EfficientNet_B2_Weights = weights(
    "EfficientNet_B2_Weights", _trained_at("efficientnet_b2_rwightman-c35c1473.pth", 288, 288)
)
EfficientNet_B3_Weights = weights(
    "EfficientNet_B3_Weights", _trained_at("efficientnet_b3_rwightman-b3899882.pth", 320, 300)
)
EfficientNet_B4_Weights = weights(
    "EfficientNet_B4_Weights", _trained_at("efficientnet_b4_rwightman-23ab8bcd.pth", 384, 380)
)
EfficientNet_B5_Weights = weights(
    "EfficientNet_B5_Weights", _trained_at("efficientnet_b5_lukemelas-1a07897c.pth", 456, 456)
)
EfficientNet_B6_Weights = weights(
    "EfficientNet_B6_Weights", _trained_at("efficientnet_b6_lukemelas-24a108a5.pth", 528, 528)
)
EfficientNet_B7_Weights = weights(
    "EfficientNet_B7_Weights", _trained_at("efficientnet_b7_lukemelas-c5b4e57e.pth", 600, 600)
)
EfficientNet_V2_S_Weights = weights(
    "EfficientNet_V2_S_Weights", _trained_at("efficientnet_v2_s-dd5fe13b.pth", 384, 384, "bilinear")
)
EfficientNet_V2_M_Weights = weights(
    "EfficientNet_V2_M_Weights", _trained_at("efficientnet_v2_m-dc08266a.pth", 480, 480, "bilinear")
)
_HALVES: Any = {"mean": (0.5, 0.5, 0.5), "std": (0.5, 0.5, 0.5)}
EfficientNet_V2_L_Weights = weights(
    "EfficientNet_V2_L_Weights", _trained_at("efficientnet_v2_l-59c71312.pth", 480, 480, **_HALVES)
)


@model(EfficientNet_B0_Weights)
def efficientnet_b0(**kwargs: Any) -> EfficientNet:
    """EfficientNet B0, 5.3 million parameters."""
    return _v1(1.0, 1.0, 0.2, kwargs)


@model(EfficientNet_B1_Weights)
def efficientnet_b1(**kwargs: Any) -> EfficientNet:
    """EfficientNet B1, 7.8 million parameters."""
    return _v1(1.0, 1.1, 0.2, kwargs)


@model(EfficientNet_B2_Weights)
def efficientnet_b2(**kwargs: Any) -> EfficientNet:
    """EfficientNet B2, 9.1 million parameters."""
    return _v1(1.1, 1.2, 0.3, kwargs)


@model(EfficientNet_B3_Weights)
def efficientnet_b3(**kwargs: Any) -> EfficientNet:
    """EfficientNet B3, 12.2 million parameters."""
    return _v1(1.2, 1.4, 0.3, kwargs)


@model(EfficientNet_B4_Weights)
def efficientnet_b4(**kwargs: Any) -> EfficientNet:
    """EfficientNet B4, 19.3 million parameters."""
    return _v1(1.4, 1.8, 0.4, kwargs)


@model(EfficientNet_B5_Weights)
def efficientnet_b5(**kwargs: Any) -> EfficientNet:
    """EfficientNet B5, 30.4 million parameters."""
    return _v1(1.6, 2.2, 0.4, kwargs, eps=0.001, momentum=0.01)


@model(EfficientNet_B6_Weights)
def efficientnet_b6(**kwargs: Any) -> EfficientNet:
    """EfficientNet B6, 43.0 million parameters."""
    return _v1(1.8, 2.6, 0.5, kwargs, eps=0.001, momentum=0.01)


@model(EfficientNet_B7_Weights)
def efficientnet_b7(**kwargs: Any) -> EfficientNet:
    """EfficientNet B7, 66.3 million parameters."""
    return _v1(2.0, 3.1, 0.5, kwargs, eps=0.001, momentum=0.01)


@model(EfficientNet_V2_S_Weights)
def efficientnet_v2_s(**kwargs: Any) -> EfficientNet:
    """EfficientNetV2 S, 21.5 million parameters."""
    return _v2(_V2_S, 0.2, kwargs)


@model(EfficientNet_V2_M_Weights)
def efficientnet_v2_m(**kwargs: Any) -> EfficientNet:
    """EfficientNetV2 M, 54.1 million parameters."""
    return _v2(_V2_M, 0.3, kwargs)


@model(EfficientNet_V2_L_Weights)
def efficientnet_v2_l(**kwargs: Any) -> EfficientNet:
    """EfficientNetV2 L, 118.5 million parameters."""
    return _v2(_V2_L, 0.4, kwargs)
