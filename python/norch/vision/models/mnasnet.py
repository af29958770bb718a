"""MNASNet (Tan et al., "MnasNet: Platform-Aware Neural Architecture Search for Mobile", 2019)."""

from __future__ import annotations

from typing import Any

import norch.nn as nn
from norch._C import Tensor

from ._api import model, weights
from ._utils import initialize, kaiming_fan_out, make_divisible

__all__ = [
    "MNASNet",
    "MNASNet0_5_Weights",
    "MNASNet0_75_Weights",
    "MNASNet1_0_Weights",
    "MNASNet1_3_Weights",
    "mnasnet0_5",
    "mnasnet0_75",
    "mnasnet1_0",
    "mnasnet1_3",
]

# Of the paper's TensorFlow training.
_BN_MOMENTUM = 1 - 0.9997


def _conv_norm(in_ch: int, out_ch: int, kernel_size: int, relu: bool = True, **options: Any) -> list[nn.Module]:
    conv = nn.Conv2d(in_ch, out_ch, kernel_size, padding=kernel_size // 2, bias=False, **options)
    norm = nn.BatchNorm2d(out_ch, momentum=_BN_MOMENTUM)
    return [conv, norm, nn.ReLU(inplace=True)] if relu else [conv, norm]


class _InvertedResidual(nn.Module):
    def __init__(self, in_ch: int, out_ch: int, kernel_size: int, stride: int, expansion_factor: int) -> None:
        super().__init__()
        wide = in_ch * expansion_factor
        self.apply_residual = in_ch == out_ch and stride == 1
        self.layers = nn.Sequential(
            *_conv_norm(in_ch, wide, 1),
            *_conv_norm(wide, wide, kernel_size, stride=stride, groups=wide),
            *_conv_norm(wide, out_ch, 1, relu=False),
        )

    def forward(self, input: Tensor) -> Tensor:
        return self.layers(input) + input if self.apply_residual else self.layers(input)


def _stack(in_ch: int, out_ch: int, kernel_size: int, stride: int, expansion: int, repeats: int) -> nn.Sequential:
    first = _InvertedResidual(in_ch, out_ch, kernel_size, stride, expansion)
    others = (_InvertedResidual(out_ch, out_ch, kernel_size, 1, expansion) for _ in range(1, repeats))
    return nn.Sequential(first, *others)


class MNASNet(nn.Module):
    """MNASNet with widths times `alpha`: images [N, 3, H, W] to logits [N, num_classes]."""

    _version = 2

    def __init__(self, alpha: float, num_classes: int = 1000, dropout: float = 0.2) -> None:
        super().__init__()
        if alpha <= 0.0:
            raise ValueError(f"alpha should be greater than 0.0 instead of {alpha}")
        self.alpha = alpha
        self.num_classes = num_classes
        d = [make_divisible(width * alpha, 8) for width in (32, 16, 24, 40, 80, 96, 192, 320)]
        # Kernel, stride, expansion and blocks of the stacks.
        stacks = ((3, 2, 3, 3), (5, 2, 3, 3), (5, 2, 6, 3), (3, 1, 6, 2), (5, 2, 6, 4), (3, 1, 6, 1))
        self.layers = nn.Sequential(
            *_conv_norm(3, d[0], 3, stride=2),
            *_conv_norm(d[0], d[0], 3, stride=1, groups=d[0]),
            *_conv_norm(d[0], d[1], 1, relu=False),
            *(_stack(d[i + 1], d[i + 2], *stack) for i, stack in enumerate(stacks)),
            *_conv_norm(d[7], 1280, 1),
        )
        self.classifier = nn.Sequential(nn.Dropout(p=dropout, inplace=True), nn.Linear(1280, num_classes))
        initialize(
            self,
            kaiming_fan_out,
            lambda m: nn.init.kaiming_uniform_(m.weight, mode="fan_out", nonlinearity="sigmoid"),
        )

    def forward(self, x: Tensor) -> Tensor:
        return self.classifier(self.layers(x).mean([2, 3]))


_RESIZED: dict[str, Any] = {"resize_size": 232}
MNASNet0_5_Weights = weights("MNASNet0_5_Weights", "mnasnet0.5_top1_67.823-3ffadce67e.pth")
MNASNet0_75_Weights = weights("MNASNet0_75_Weights", ("mnasnet0_75-7090bc5f.pth", _RESIZED))
MNASNet1_0_Weights = weights("MNASNet1_0_Weights", "mnasnet1.0_top1_73.512-f206786ef8.pth")
MNASNet1_3_Weights = weights("MNASNet1_3_Weights", ("mnasnet1_3-a4c69d6f.pth", _RESIZED))


@model(MNASNet0_5_Weights)
def mnasnet0_5(**kwargs: Any) -> MNASNet:
    """MNASNet of half the width, 2.2 million parameters."""
    return MNASNet(0.5, **kwargs)


@model(MNASNet0_75_Weights)
def mnasnet0_75(**kwargs: Any) -> MNASNet:
    """MNASNet of 0.75 times the width, 3.2 million parameters."""
    return MNASNet(0.75, **kwargs)


@model(MNASNet1_0_Weights)
def mnasnet1_0(**kwargs: Any) -> MNASNet:
    """MNASNet, 4.4 million parameters."""
    return MNASNet(1.0, **kwargs)


@model(MNASNet1_3_Weights)
def mnasnet1_3(**kwargs: Any) -> MNASNet:
    """MNASNet of 1.3 times the width, 6.3 million parameters."""
    return MNASNet(1.3, **kwargs)
