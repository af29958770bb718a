"""Lite R-ASPP (Howard et al., "Searching for MobileNetV3", 2019)."""

from __future__ import annotations

from collections import OrderedDict
from typing import Any

import norch.nn as nn
import norch.nn.functional as F
from norch._C import Tensor

from .._api import model
from .._utils import IntermediateLayerGetter, stages
from ..mobilenetv3 import MobileNet_V3_Large_Weights, mobilenet_v3_large
from ._utils import voc_weights

__all__ = ["LRASPP", "LRASPP_MobileNet_V3_Large_Weights", "lraspp_mobilenet_v3_large"]


class LRASPP(nn.Module):
    """Scores of classes from the features "low" and "high" of a backbone: images [N, 3, H, W] to a dict of "out"
    [N, num_classes, H, W]."""

    def __init__(
        self,
        backbone: nn.Module,
        low_channels: int,
        high_channels: int,
        num_classes: int,
        inter_channels: int = 128,
    ) -> None:
        super().__init__()
        self.backbone = backbone
        self.classifier = LRASPPHead(low_channels, high_channels, num_classes, inter_channels)

    def forward(self, input: Tensor) -> dict[str, Tensor]:
        scores = self.classifier(self.backbone(input))
        out = F.interpolate(scores, size=input.shape[-2:], mode="bilinear", align_corners=False)
        return OrderedDict(out=out)


class LRASPPHead(nn.Module):
    """The high features times weights from their means, upsampled and added to the scores of the low ones."""

    def __init__(self, low_channels: int, high_channels: int, num_classes: int, inter_channels: int) -> None:
        super().__init__()
        self.cbr = nn.Sequential(
            nn.Conv2d(high_channels, inter_channels, 1, bias=False),
            nn.BatchNorm2d(inter_channels),
            nn.ReLU(inplace=True),
        )
        self.scale = nn.Sequential(
            nn.AdaptiveAvgPool2d(1), nn.Conv2d(high_channels, inter_channels, 1, bias=False), nn.Sigmoid()
        )
        self.low_classifier = nn.Conv2d(low_channels, num_classes, 1)
        self.high_classifier = nn.Conv2d(inter_channels, num_classes, 1)

    def forward(self, input: dict[str, Tensor]) -> Tensor:
        low, high = input["low"], input["high"]
        weighted = self.cbr(high) * self.scale(high)
        upsampled = F.interpolate(weighted, size=low.shape[-2:], mode="bilinear", align_corners=False)
        return self.low_classifier(low) + self.high_classifier(upsampled)


LRASPP_MobileNet_V3_Large_Weights = voc_weights(
    "LRASPP_MobileNet_V3_Large_Weights", "lraspp_mobilenet_v3_large-d234d4ea.pth"
)


def _without_backbone_weights(chosen: Any, kwargs: dict[str, Any]) -> None:
    kwargs["weights_backbone"] = None


@model(LRASPP_MobileNet_V3_Large_Weights, arguments=_without_backbone_weights)
def lraspp_mobilenet_v3_large(
    num_classes: int | None = None,
    weights_backbone: Any = MobileNet_V3_Large_Weights.IMAGENET1K_V1,
    **kwargs: Any,
) -> LRASPP:
    """Lite R-ASPP on a dilated MobileNetV3, 21 classes."""
    if kwargs.pop("aux_loss", False):
        raise NotImplementedError("This model does not use auxiliary loss")
    features: Any = mobilenet_v3_large(weights=weights_backbone, dilated=True).features
    places = stages(features)
    low, high = places[-4], places[-1]  # the last layer of an eighth of the size, and the last of all
    layers = IntermediateLayerGetter(features, {str(low): "low", str(high): "high"})
    channels = features[low].out_channels, features[high].out_channels
    return LRASPP(layers, *channels, 21 if num_classes is None else num_classes, **kwargs)
