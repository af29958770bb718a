"""SqueezeNet (Iandola et al., "SqueezeNet: AlexNet-level accuracy with 50x fewer parameters and <0.5MB model size",
2016)."""

from __future__ import annotations

from typing import Any

import norch
import norch.nn as nn
from norch._C import Tensor

from ._api import model, weights
from ._utils import initialize, normal_001

__all__ = ["SqueezeNet", "SqueezeNet1_0_Weights", "SqueezeNet1_1_Weights", "squeezenet1_0", "squeezenet1_1"]


class Fire(nn.Module):
    """A 1 x 1 convolution to few channels, then 1 x 1 and 3 x 3 ones beside each other."""

    def __init__(self, inplanes: int, squeeze_planes: int, expand1x1_planes: int, expand3x3_planes: int) -> None:
        super().__init__()
        self.inplanes = inplanes
        self.squeeze = nn.Conv2d(inplanes, squeeze_planes, kernel_size=1)
        self.squeeze_activation = nn.ReLU(inplace=True)
        self.expand1x1 = nn.Conv2d(squeeze_planes, expand1x1_planes, kernel_size=1)
        self.expand1x1_activation = nn.ReLU(inplace=True)
        self.expand3x3 = nn.Conv2d(squeeze_planes, expand3x3_planes, kernel_size=3, padding=1)
        self.expand3x3_activation = nn.ReLU(inplace=True)

    def forward(self, x: Tensor) -> Tensor:
        x = self.squeeze_activation(self.squeeze(x))
        one = self.expand1x1_activation(self.expand1x1(x))
        return norch.cat([one, self.expand3x3_activation(self.expand3x3(x))], 1)


# The (in, squeezed, expanded) channels of the Fire modules, None for the pools.
_FIRES: dict[str, list[Any]] = {
    "1_0": [
        *(None, (96, 16, 64), (128, 16, 64), (128, 32, 128)),
        *(None, (256, 32, 128), (256, 48, 192), (384, 48, 192), (384, 64, 256)),
        *(None, (512, 64, 256)),
    ],
    "1_1": [
        *(None, (64, 16, 64), (128, 16, 64)),
        *(None, (128, 32, 128), (256, 32, 128)),
        *(None, (256, 48, 192), (384, 48, 192), (384, 64, 256), (512, 64, 256)),
    ],
}


class SqueezeNet(nn.Module):
    """SqueezeNet, version "1_0" or "1_1": images [N, 3, H, W], of 21 x 21 (1_0) or 17 x 17 or more, to logits
    [N, num_classes]."""

    def __init__(self, version: str = "1_0", num_classes: int = 1000, dropout: float = 0.5) -> None:
        super().__init__()
        self.num_classes = num_classes
        if version not in _FIRES:
            raise ValueError(f"Unsupported SqueezeNet version {version}: 1_0 or 1_1 expected")
        channels, kernel_size = (96, 7) if version == "1_0" else (64, 3)
        layers: list[nn.Module] = [nn.Conv2d(3, channels, kernel_size=kernel_size, stride=2), nn.ReLU(inplace=True)]
        for entry in _FIRES[version]:
            if entry is None:
                layers.append(nn.MaxPool2d(kernel_size=3, stride=2, ceil_mode=True))
            else:
                inplanes, squeezed, expanded = entry
                layers.append(Fire(inplanes, squeezed, expanded, expanded))
        self.features = nn.Sequential(*layers)
        last = nn.Conv2d(512, num_classes, kernel_size=1)
        self.classifier = nn.Sequential(
            nn.Dropout(p=dropout), last, nn.ReLU(inplace=True), nn.AdaptiveAvgPool2d((1, 1))
        )
        initialize(self, lambda m: normal_001(m) if m is last else nn.init.kaiming_uniform_(m.weight))

    def forward(self, x: Tensor) -> Tensor:
        return self.classifier(self.features(x)).flatten(1)


SqueezeNet1_0_Weights = weights("SqueezeNet1_0_Weights", "squeezenet1_0-b66bff10.pth")
SqueezeNet1_1_Weights = weights("SqueezeNet1_1_Weights", "squeezenet1_1-b8a52dc0.pth")


@model(SqueezeNet1_0_Weights)
def squeezenet1_0(**kwargs: Any) -> SqueezeNet:
    """SqueezeNet 1.0, 1.2 million parameters."""
    return SqueezeNet("1_0", **kwargs)


@model(SqueezeNet1_1_Weights)
def squeezenet1_1(**kwargs: Any) -> SqueezeNet:
    """SqueezeNet 1.1: as good, with less than half of the work."""
    return SqueezeNet("1_1", **kwargs)
