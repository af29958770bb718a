"""FCN (Long et al., "Fully Convolutional Networks for Semantic Segmentation", 2015)."""

from __future__ import annotations

from typing import Any

import norch.nn as nn

from .._api import model
from ..resnet import ResNet, ResNet50_Weights, ResNet101_Weights, resnet50, resnet101
from ._utils import _SimpleSegmentationModel, returned, voc_weights, whole

__all__ = ["FCN", "FCN_ResNet101_Weights", "FCN_ResNet50_Weights", "fcn_resnet101", "fcn_resnet50"]


class FCN(_SimpleSegmentationModel):
    """A backbone, and an FCNHead on its last features."""


class FCNHead(nn.Sequential):
    """A 3 x 3 layer with a quarter of the channels, then scores of `channels` classes."""

    def __init__(self, in_channels: int, channels: int) -> None:
        inside = in_channels // 4
        super().__init__(
            nn.Conv2d(in_channels, inside, 3, padding=1, bias=False),
            nn.BatchNorm2d(inside),
            nn.ReLU(),
            nn.Dropout(0.1),
            nn.Conv2d(inside, channels, 1),
        )


FCN_ResNet50_Weights = voc_weights("FCN_ResNet50_Weights", "fcn_resnet50_coco-1167a1af.pth")
FCN_ResNet101_Weights = voc_weights("FCN_ResNet101_Weights", "fcn_resnet101_coco-7ecb50ca.pth")


def _fcn_resnet(backbone: ResNet, num_classes: int, aux: bool | None) -> FCN:
    layers = returned(backbone, "layer4", "layer3" if aux else None)
    second = FCNHead(1024, num_classes) if aux else None  # made first, as in torchvision: it takes random numbers first
    return FCN(layers, FCNHead(2048, num_classes), second)


@model(FCN_ResNet50_Weights, arguments=whole)
def fcn_resnet50(
    num_classes: int | None = None,
    aux_loss: bool | None = None,
    weights_backbone: Any = ResNet50_Weights.IMAGENET1K_V1,
    **kwargs: Any,
) -> FCN:
    """FCN on ResNet-50, 21 classes; `aux_loss` adds a second classifier on earlier features."""
    backbone = resnet50(weights=weights_backbone, replace_stride_with_dilation=[False, True, True])
    return _fcn_resnet(backbone, 21 if num_classes is None else num_classes, aux_loss)


@model(FCN_ResNet101_Weights, arguments=whole)
def fcn_resnet101(
    num_classes: int | None = None,
    aux_loss: bool | None = None,
    weights_backbone: Any = ResNet101_Weights.IMAGENET1K_V1,
    **kwargs: Any,
) -> FCN:
    """FCN on ResNet-101, 21 classes; `aux_loss` adds a second classifier on earlier features."""
    backbone = resnet101(weights=weights_backbone, replace_stride_with_dilation=[False, True, True])
    return _fcn_resnet(backbone, 21 if num_classes is None else num_classes, aux_loss)
