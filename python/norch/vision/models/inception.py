"""Inception v3 (Szegedy et al., "Rethinking the Inception Architecture for Computer Vision", 2016)."""

from __future__ import annotations

from collections import namedtuple
from typing import Any, Callable

import norch.nn as nn
import norch.nn.functional as F
from norch._C import Tensor

from ._api import model, weights
from ._inception_parts import (
    BasicConv2d,
    asked_for_init,
    from_imagenet_to_halves,
    joined,
    pretrained_arguments,
    truncated_init,
)

__all__ = ["Inception3", "InceptionOutputs", "Inception_V3_Weights", "_InceptionOutputs", "inception_v3"]

InceptionOutputs = namedtuple("InceptionOutputs", ["logits", "aux_logits"])
_InceptionOutputs = InceptionOutputs

_Block = Callable[..., nn.Module]
_WIDE: dict[str, Any] = {"kernel_size": (1, 7), "padding": (0, 3)}
_HIGH: dict[str, Any] = {"kernel_size": (7, 1), "padding": (3, 0)}


def _smooth(x: Tensor) -> Tensor:
    return F.avg_pool2d(x, kernel_size=3, stride=1, padding=1)


def _halve(x: Tensor) -> Tensor:
    return F.max_pool2d(x, kernel_size=3, stride=2)


class InceptionA(nn.Module):
    """1 x 1, 5 x 5, two 3 x 3 and a pool beside each other."""

    def __init__(self, in_channels: int, pool_features: int, conv_block: _Block | None = None) -> None:
        super().__init__()
        conv = conv_block or BasicConv2d
        self.branch1x1 = conv(in_channels, 64, kernel_size=1)
        self.branch5x5_1 = conv(in_channels, 48, kernel_size=1)
        self.branch5x5_2 = conv(48, 64, kernel_size=5, padding=2)
        self.branch3x3dbl_1 = conv(in_channels, 64, kernel_size=1)
        self.branch3x3dbl_2 = conv(64, 96, kernel_size=3, padding=1)
        self.branch3x3dbl_3 = conv(96, 96, kernel_size=3, padding=1)
        self.branch_pool = conv(in_channels, pool_features, kernel_size=1)

    def forward(self, x: Tensor) -> Tensor:
        five = self.branch5x5_2(self.branch5x5_1(x))
        double = self.branch3x3dbl_3(self.branch3x3dbl_2(self.branch3x3dbl_1(x)))
        return joined(self.branch1x1(x), five, double, self.branch_pool(_smooth(x)))


class InceptionB(nn.Module):
    """Half the size, by 3 x 3, two 3 x 3 and a pool."""

    def __init__(self, in_channels: int, conv_block: _Block | None = None) -> None:
        super().__init__()
        conv = conv_block or BasicConv2d
        self.branch3x3 = conv(in_channels, 384, kernel_size=3, stride=2)
        self.branch3x3dbl_1 = conv(in_channels, 64, kernel_size=1)
        self.branch3x3dbl_2 = conv(64, 96, kernel_size=3, padding=1)
        self.branch3x3dbl_3 = conv(96, 96, kernel_size=3, stride=2)

    def forward(self, x: Tensor) -> Tensor:
        double = self.branch3x3dbl_3(self.branch3x3dbl_2(self.branch3x3dbl_1(x)))
        return joined(self.branch3x3(x), double, _halve(x))


class InceptionC(nn.Module):
    """1 x 1, 7 x 7 and two 7 x 7 (made of 1 x 7 and 7 x 1) and a pool beside each other."""

    def __init__(self, in_channels: int, channels_7x7: int, conv_block: _Block | None = None) -> None:
        super().__init__()
        conv = conv_block or BasicConv2d
        c7 = channels_7x7
        self.branch1x1 = conv(in_channels, 192, kernel_size=1)
        self.branch7x7_1 = conv(in_channels, c7, kernel_size=1)
        self.branch7x7_2 = conv(c7, c7, **_WIDE)
        self.branch7x7_3 = conv(c7, 192, **_HIGH)
        self.branch7x7dbl_1 = conv(in_channels, c7, kernel_size=1)
        self.branch7x7dbl_2 = conv(c7, c7, **_HIGH)
        self.branch7x7dbl_3 = conv(c7, c7, **_WIDE)
        self.branch7x7dbl_4 = conv(c7, c7, **_HIGH)
        self.branch7x7dbl_5 = conv(c7, 192, **_WIDE)
        self.branch_pool = conv(in_channels, 192, kernel_size=1)

    def forward(self, x: Tensor) -> Tensor:
        seven = self.branch7x7_3(self.branch7x7_2(self.branch7x7_1(x)))
        double = self.branch7x7dbl_3(self.branch7x7dbl_2(self.branch7x7dbl_1(x)))
        double = self.branch7x7dbl_5(self.branch7x7dbl_4(double))
        return joined(self.branch1x1(x), seven, double, self.branch_pool(_smooth(x)))


class InceptionD(nn.Module):
    """Half the size, by 3 x 3, 7 x 7 then 3 x 3, and a pool."""

    def __init__(self, in_channels: int, conv_block: _Block | None = None) -> None:
        super().__init__()
        conv = conv_block or BasicConv2d
        self.branch3x3_1 = conv(in_channels, 192, kernel_size=1)
        self.branch3x3_2 = conv(192, 320, kernel_size=3, stride=2)
        self.branch7x7x3_1 = conv(in_channels, 192, kernel_size=1)
        self.branch7x7x3_2 = conv(192, 192, **_WIDE)
        self.branch7x7x3_3 = conv(192, 192, **_HIGH)
        self.branch7x7x3_4 = conv(192, 192, kernel_size=3, stride=2)

    def forward(self, x: Tensor) -> Tensor:
        seven = self.branch7x7x3_3(self.branch7x7x3_2(self.branch7x7x3_1(x)))
        return joined(self.branch3x3_2(self.branch3x3_1(x)), self.branch7x7x3_4(seven), _halve(x))


class InceptionE(nn.Module):
    """1 x 1, 1 x 3 beside 3 x 1 (twice) and a pool beside each other."""

    def __init__(self, in_channels: int, conv_block: _Block | None = None) -> None:
        super().__init__()
        conv = conv_block or BasicConv2d
        self.branch1x1 = conv(in_channels, 320, kernel_size=1)
        self.branch3x3_1 = conv(in_channels, 384, kernel_size=1)
        self.branch3x3_2a = conv(384, 384, kernel_size=(1, 3), padding=(0, 1))
        self.branch3x3_2b = conv(384, 384, kernel_size=(3, 1), padding=(1, 0))
        self.branch3x3dbl_1 = conv(in_channels, 448, kernel_size=1)
        self.branch3x3dbl_2 = conv(448, 384, kernel_size=3, padding=1)
        self.branch3x3dbl_3a = conv(384, 384, kernel_size=(1, 3), padding=(0, 1))
        self.branch3x3dbl_3b = conv(384, 384, kernel_size=(3, 1), padding=(1, 0))
        self.branch_pool = conv(in_channels, 192, kernel_size=1)

    def forward(self, x: Tensor) -> Tensor:
        three = self.branch3x3_1(x)
        three = joined(self.branch3x3_2a(three), self.branch3x3_2b(three))
        double = self.branch3x3dbl_2(self.branch3x3dbl_1(x))
        double = joined(self.branch3x3dbl_3a(double), self.branch3x3dbl_3b(double))
        return joined(self.branch1x1(x), three, double, self.branch_pool(_smooth(x)))


class InceptionAux(nn.Module):
    """A classifier of features in the middle, for training."""

    def __init__(self, in_channels: int, num_classes: int, conv_block: _Block | None = None) -> None:
        super().__init__()
        conv = conv_block or BasicConv2d
        self.conv0 = conv(in_channels, 128, kernel_size=1)
        self.conv1: Any = conv(128, 768, kernel_size=5)
        self.conv1.stddev = 0.01
        self.fc: Any = nn.Linear(768, num_classes)
        self.fc.stddev = 0.001

    def forward(self, x: Tensor) -> Tensor:
        x = self.conv1(self.conv0(F.avg_pool2d(x, kernel_size=5, stride=3)))
        return self.fc(F.adaptive_avg_pool2d(x, (1, 1)).flatten(1))


class Inception3(nn.Module):
    """Inception v3: images [N, 3, H, W], of 75 x 75 or more (trained at 299 x 299), to logits [N, num_classes]; in
    training with `aux_logits`, to InceptionOutputs(logits, aux_logits)."""

    def __init__(
        self,
        num_classes: int = 1000,
        aux_logits: bool = True,
        transform_input: bool = False,
        inception_blocks: list[Callable[..., nn.Module]] | None = None,
        init_weights: bool | None = None,
        dropout: float = 0.5,
    ) -> None:
        super().__init__()
        blocks = inception_blocks or [
            BasicConv2d,
            InceptionA,
            InceptionB,
            InceptionC,
            InceptionD,
            InceptionE,
            InceptionAux,
        ]
        init_weights = asked_for_init(init_weights, "inception_v3")
        if len(blocks) != 7:
            raise ValueError(f"length of inception_blocks should be 7 instead of {len(blocks)}")
        conv, a, b, c, d, e, aux = blocks
        self.aux_logits = aux_logits
        self.transform_input = transform_input
        self.Conv2d_1a_3x3 = conv(3, 32, kernel_size=3, stride=2)
        self.Conv2d_2a_3x3 = conv(32, 32, kernel_size=3)
        self.Conv2d_2b_3x3 = conv(32, 64, kernel_size=3, padding=1)
        self.maxpool1 = nn.MaxPool2d(kernel_size=3, stride=2)
        self.Conv2d_3b_1x1 = conv(64, 80, kernel_size=1)
        self.Conv2d_4a_3x3 = conv(80, 192, kernel_size=3)
        self.maxpool2 = nn.MaxPool2d(kernel_size=3, stride=2)
        self.Mixed_5b = a(192, pool_features=32)
        self.Mixed_5c = a(256, pool_features=64)
        self.Mixed_5d = a(288, pool_features=64)
        self.Mixed_6a = b(288)
        self.Mixed_6b = c(768, channels_7x7=128)
        self.Mixed_6c = c(768, channels_7x7=160)
        self.Mixed_6d = c(768, channels_7x7=160)
        self.Mixed_6e = c(768, channels_7x7=192)
        self.AuxLogits: Any = aux(768, num_classes) if aux_logits else None
        self.Mixed_7a = d(768)
        self.Mixed_7b = e(1280)
        self.Mixed_7c = e(2048)
        self.avgpool = nn.AdaptiveAvgPool2d((1, 1))
        self.dropout = nn.Dropout(p=dropout)
        self.fc = nn.Linear(2048, num_classes)
        if init_weights:
            truncated_init(self, lambda m: float(getattr(m, "stddev", 0.1)))

    def forward(self, x: Tensor) -> Any:
        x = from_imagenet_to_halves(x) if self.transform_input else x
        x = self.maxpool1(self.Conv2d_2b_3x3(self.Conv2d_2a_3x3(self.Conv2d_1a_3x3(x))))
        x = self.maxpool2(self.Conv2d_4a_3x3(self.Conv2d_3b_1x1(x)))
        x = self.Mixed_6a(self.Mixed_5d(self.Mixed_5c(self.Mixed_5b(x))))
        x = self.Mixed_6e(self.Mixed_6d(self.Mixed_6c(self.Mixed_6b(x))))
        aux = self.AuxLogits(x) if self.AuxLogits is not None and self.training else None
        x = self.Mixed_7c(self.Mixed_7b(self.Mixed_7a(x)))
        x = self.fc(self.dropout(self.avgpool(x)).flatten(1))
        return InceptionOutputs(x, aux) if self.training and self.aux_logits else x


def _drop_aux(built: Any, given: dict[str, Any]) -> None:
    if not given.get("aux_logits", True):
        built.aux_logits, built.AuxLogits = False, None


Inception_V3_Weights = weights(
    "Inception_V3_Weights", ("inception_v3_google-0cc3c7bd.pth", {"crop_size": 299, "resize_size": 342})
)


@model(Inception_V3_Weights, arguments=pretrained_arguments, loaded=_drop_aux)
def inception_v3(**kwargs: Any) -> Inception3:
    """Inception v3, 27.2 million parameters."""
    return Inception3(**kwargs)
