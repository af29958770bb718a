"""What models of segmentation share."""

from __future__ import annotations

from collections import OrderedDict
from typing import Any

import norch.nn as nn
import norch.nn.functional as F
from norch._C import Tensor

from .._api import segmentation, set_argument, weights
from .._utils import IntermediateLayerGetter


def voc_weights(name: str, file: str) -> Any:
    """The enum of weights trained on COCO with the 21 classes of Pascal VOC."""
    trained: dict[str, Any] = {"COCO_WITH_VOC_LABELS_V1": (file, {"resize_size": 520})}
    return weights(name, transform=segmentation, num_classes=21, **trained)


def whole(chosen: Any, kwargs: dict[str, Any]) -> None:
    """Arguments of a model whose weights are loaded: those of the backbone are among them."""
    kwargs["weights_backbone"] = None
    set_argument(kwargs, "aux_loss", True)


def returned(backbone: nn.Module, out: str, aux: str | None) -> IntermediateLayerGetter:
    """The backbone with the output of its layer `out` as "out" and that of `aux`, where it is given, as "aux"."""
    return IntermediateLayerGetter(backbone, {out: "out"} if aux is None else {out: "out", aux: "aux"})


class _SimpleSegmentationModel(nn.Module):
    """Features of a backbone to scores of classes, upsampled to the input's size: images [N, 3, H, W] to a dict of
    "out" [N, classes, H, W], and "aux" of a second classifier where there is one."""

    def __init__(self, backbone: nn.Module, classifier: nn.Module, aux_classifier: nn.Module | None = None) -> None:
        super().__init__()
        self.backbone = backbone
        self.classifier = classifier
        self.aux_classifier = aux_classifier

    def forward(self, x: Tensor) -> dict[str, Tensor]:
        features = self.backbone(x)
        result = OrderedDict()
        for name, head in (("out", self.classifier), ("aux", self.aux_classifier)):
            if head is not None:
                scores = head(features[name])
                result[name] = F.interpolate(scores, size=x.shape[-2:], mode="bilinear", align_corners=False)
        return result
