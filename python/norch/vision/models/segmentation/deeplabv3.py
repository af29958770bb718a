"""DeepLabV3 (Chen et al., "Rethinking Atrous Convolution for Semantic Image Segmentation", 2017)."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import norch
import norch.nn as nn
import norch.nn.functional as F
from norch._C import Tensor

from .._api import model
from .._utils import stages
from ..mobilenetv3 import MobileNet_V3_Large_Weights, mobilenet_v3_large
from ..resnet import ResNet, ResNet50_Weights, ResNet101_Weights, resnet50, resnet101
from ._utils import _SimpleSegmentationModel, returned, voc_weights, whole
from .fcn import FCNHead

__all__ = [
    "DeepLabV3",
    "DeepLabV3_MobileNet_V3_Large_Weights",
    "DeepLabV3_ResNet101_Weights",
    "DeepLabV3_ResNet50_Weights",
    "deeplabv3_mobilenet_v3_large",
    "deeplabv3_resnet101",
    "deeplabv3_resnet50",
]


class DeepLabV3(_SimpleSegmentationModel):
    """A backbone, and a DeepLabHead on its last features."""


class DeepLabHead(nn.Sequential):
    """Features at several dilations, then scores of `num_classes` classes."""

    def __init__(self, in_channels: int, num_classes: int, atrous_rates: Sequence[int] = (12, 24, 36)) -> None:
        super().__init__(
            ASPP(in_channels, atrous_rates),
            nn.Conv2d(256, 256, 3, padding=1, bias=False),
            nn.BatchNorm2d(256),
            nn.ReLU(),
            nn.Conv2d(256, num_classes, 1),
        )


class ASPPConv(nn.Sequential):
    """A dilated 3 x 3 layer."""

    def __init__(self, in_channels: int, out_channels: int, dilation: int) -> None:
        super().__init__(
            nn.Conv2d(in_channels, out_channels, 3, padding=dilation, dilation=dilation, bias=False),
            nn.BatchNorm2d(out_channels),
            nn.ReLU(),
        )


class ASPPPooling(nn.Sequential):
    """The mean over the image, at every pixel."""

    def __init__(self, in_channels: int, out_channels: int) -> None:
        super().__init__(
            nn.AdaptiveAvgPool2d(1),
            nn.Conv2d(in_channels, out_channels, 1, bias=False),
            nn.BatchNorm2d(out_channels),
            nn.ReLU(),
        )

    def forward(self, x: Tensor) -> Tensor:
        return F.interpolate(super().forward(x), size=x.shape[-2:], mode="bilinear", align_corners=False)


class ASPP(nn.Module):
    """A 1 x 1 layer, dilated ones and the image's mean, joined by a 1 x 1 layer."""

    def __init__(self, in_channels: int, atrous_rates: Sequence[int], out_channels: int = 256) -> None:
        super().__init__()
        pixel = nn.Sequential(
            nn.Conv2d(in_channels, out_channels, 1, bias=False), nn.BatchNorm2d(out_channels), nn.ReLU()
        )
        dilated = [ASPPConv(in_channels, out_channels, rate) for rate in atrous_rates]
        self.convs = nn.ModuleList([pixel, *dilated, ASPPPooling(in_channels, out_channels)])
        self.project = nn.Sequential(
            nn.Conv2d(len(self.convs) * out_channels, out_channels, 1, bias=False),
            nn.BatchNorm2d(out_channels),
            nn.ReLU(),
            nn.Dropout(0.5),
        )

    def forward(self, x: Tensor) -> Tensor:
        return self.project(norch.cat([conv(x) for conv in self.convs], dim=1))


DeepLabV3_ResNet50_Weights = voc_weights("DeepLabV3_ResNet50_Weights", "deeplabv3_resnet50_coco-cd0a2569.pth")
DeepLabV3_ResNet101_Weights = voc_weights("DeepLabV3_ResNet101_Weights", "deeplabv3_resnet101_coco-586e9e4e.pth")
DeepLabV3_MobileNet_V3_Large_Weights = voc_weights(
    "DeepLabV3_MobileNet_V3_Large_Weights", "deeplabv3_mobilenet_v3_large-fc3c493d.pth"
)


def _deeplabv3_resnet(backbone: ResNet, num_classes: int, aux: bool | None) -> DeepLabV3:
    layers = returned(backbone, "layer4", "layer3" if aux else None)
    second = FCNHead(1024, num_classes) if aux else None
    return DeepLabV3(layers, DeepLabHead(2048, num_classes), second)


@model(DeepLabV3_ResNet50_Weights, arguments=whole)
def deeplabv3_resnet50(
    num_classes: int | None = None,
    aux_loss: bool | None = None,
    weights_backbone: Any = ResNet50_Weights.IMAGENET1K_V1,
    **kwargs: Any,
) -> DeepLabV3:
    """DeepLabV3 on ResNet-50, 21 classes; `aux_loss` adds a second classifier on earlier features."""
    backbone = resnet50(weights=weights_backbone, replace_stride_with_dilation=[False, True, True])
    return _deeplabv3_resnet(backbone, 21 if num_classes is None else num_classes, aux_loss)


@model(DeepLabV3_ResNet101_Weights, arguments=whole)
def deeplabv3_resnet101(
    num_classes: int | None = None,
    aux_loss: bool | None = None,
    weights_backbone: Any = ResNet101_Weights.IMAGENET1K_V1,
    **kwargs: Any,
) -> DeepLabV3:
    """DeepLabV3 on ResNet-101, 21 classes; `aux_loss` adds a second classifier on earlier features."""
    backbone = resnet101(weights=weights_backbone, replace_stride_with_dilation=[False, True, True])
    return _deeplabv3_resnet(backbone, 21 if num_classes is None else num_classes, aux_loss)


@model(DeepLabV3_MobileNet_V3_Large_Weights, arguments=whole)
def deeplabv3_mobilenet_v3_large(
    num_classes: int | None = None,
    aux_loss: bool | None = None,
    weights_backbone: Any = MobileNet_V3_Large_Weights.IMAGENET1K_V1,
    **kwargs: Any,
) -> DeepLabV3:
    """DeepLabV3 on a dilated MobileNetV3, 21 classes; `aux_loss` adds a second classifier on earlier features."""
    features: Any = mobilenet_v3_large(weights=weights_backbone, dilated=True).features
    places = stages(features)
    out, aux = places[-1], places[-4]  # the last layer, and one of an eighth of the size
    classes = 21 if num_classes is None else num_classes
    layers = returned(features, str(out), str(aux) if aux_loss else None)
    second = FCNHead(features[aux].out_channels, classes) if aux_loss else None
    return DeepLabV3(layers, DeepLabHead(features[out].out_channels, classes), second)
