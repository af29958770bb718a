"""VGG (Simonyan and Zisserman, "Very Deep Convolutional Networks for Large-Scale Image Recognition", 2015)."""

from __future__ import annotations

from typing import Any

import norch.nn as nn
from norch._C import Tensor

from ._api import model, weights
from ._utils import initialize, kaiming_fan_out, normal_001

__all__ = [
    "VGG",
    "VGG11_BN_Weights",
    "VGG11_Weights",
    "VGG13_BN_Weights",
    "VGG13_Weights",
    "VGG16_BN_Weights",
    "VGG16_Weights",
    "VGG19_BN_Weights",
    "VGG19_Weights",
    "vgg11",
    "vgg11_bn",
    "vgg13",
    "vgg13_bn",
    "vgg16",
    "vgg16_bn",
    "vgg19",
    "vgg19_bn",
]

_DEPTHS = {"A": (1, 1, 2, 2, 2), "B": (2, 2, 2, 2, 2), "D": (2, 2, 3, 3, 3), "E": (2, 2, 4, 4, 4)}
# Widths of the convolutions, "M" for the pools.
cfgs: dict[str, list[Any]] = {
    name: [entry for width, n in zip((64, 128, 256, 512, 512), depths) for entry in (*[width] * n, "M")]
    for name, depths in _DEPTHS.items()
}


class VGG(nn.Module):
    """VGG: images [N, 3, H, W], of 32 x 32 or more, to logits [N, num_classes], after the layers `features`."""

    def __init__(
        self, features: nn.Module, num_classes: int = 1000, init_weights: bool = True, dropout: float = 0.5
    ) -> None:
        super().__init__()
        self.features = features
        self.avgpool = nn.AdaptiveAvgPool2d((7, 7))
        self.classifier = nn.Sequential(
            nn.Linear(512 * 7 * 7, 4096),
            nn.ReLU(True),
            nn.Dropout(p=dropout),
            nn.Linear(4096, 4096),
            nn.ReLU(True),
            nn.Dropout(p=dropout),
            nn.Linear(4096, num_classes),
        )
        if init_weights:
            initialize(self, kaiming_fan_out, normal_001)

    def forward(self, x: Tensor) -> Tensor:
        return self.classifier(self.avgpool(self.features(x)).flatten(1))


def make_layers(cfg: list[Any], batch_norm: bool = False) -> nn.Sequential:
    """The layers of `cfg`: widths of 3 x 3 convolutions (with batch normalisation, if asked for), "M" for pools."""
    layers: list[nn.Module] = []
    in_channels = 3
    for entry in cfg:
        if entry == "M":
            layers.append(nn.MaxPool2d(kernel_size=2, stride=2))
            continue
        layers.append(nn.Conv2d(in_channels, entry, kernel_size=3, padding=1))
        if batch_norm:
            layers.append(nn.BatchNorm2d(entry))
        layers.append(nn.ReLU(inplace=True))
        in_channels = entry
    return nn.Sequential(*layers)


def _vgg(cfg: str, batch_norm: bool, **kwargs: Any) -> VGG:
    return VGG(make_layers(cfgs[cfg], batch_norm=batch_norm), **kwargs)


def _no_init(_: Any, kwargs: dict[str, Any]) -> None:
    kwargs["init_weights"] = False


def _vgg16_arguments(chosen: Any, kwargs: dict[str, Any]) -> None:
    if chosen.name == "IMAGENET1K_FEATURES":
        raise ValueError(f"{chosen} holds the features alone: load them with get_state_dict() and strict=False")
    _no_init(chosen, kwargs)


VGG11_Weights = weights("VGG11_Weights", "vgg11-8a719046.pth")
VGG11_BN_Weights = weights("VGG11_BN_Weights", "vgg11_bn-6002323d.pth")
VGG13_Weights = weights("VGG13_Weights", "vgg13-19584684.pth")
VGG13_BN_Weights = weights("VGG13_BN_Weights", "vgg13_bn-abd245e5.pth")
VGG16_Weights = weights(
    "VGG16_Weights",
    "vgg16-397923af.pth",
    IMAGENET1K_FEATURES=(
        "vgg16_features-amdegroot-88682ab5.pth",
        {"mean": (0.48235, 0.45882, 0.40784), "std": (1 / 255, 1 / 255, 1 / 255)},
    ),
)
VGG16_BN_Weights = weights("VGG16_BN_Weights", "vgg16_bn-6c64b313.pth")
VGG19_Weights = weights("VGG19_Weights", "vgg19-dcbb9e9d.pth")
VGG19_BN_Weights = weights("VGG19_BN_Weights", "vgg19_bn-c79401a0.pth")


@model(VGG11_Weights, arguments=_no_init)
def vgg11(**kwargs: Any) -> VGG:
    """VGG with 11 layers ("A")."""
    return _vgg("A", False, **kwargs)


@model(VGG11_BN_Weights, arguments=_no_init)
def vgg11_bn(**kwargs: Any) -> VGG:
    """VGG with 11 layers and batch normalisation."""
    return _vgg("A", True, **kwargs)


@model(VGG13_Weights, arguments=_no_init)
def vgg13(**kwargs: Any) -> VGG:
    """VGG with 13 layers ("B")."""
    return _vgg("B", False, **kwargs)


@model(VGG13_BN_Weights, arguments=_no_init)
def vgg13_bn(**kwargs: Any) -> VGG:
    """VGG with 13 layers and batch normalisation."""
    return _vgg("B", True, **kwargs)


@model(VGG16_Weights, arguments=_vgg16_arguments)
def vgg16(**kwargs: Any) -> VGG:
    """VGG with 16 layers ("D")."""
    return _vgg("D", False, **kwargs)


@model(VGG16_BN_Weights, arguments=_no_init)
def vgg16_bn(**kwargs: Any) -> VGG:
    """VGG with 16 layers and batch normalisation."""
    return _vgg("D", True, **kwargs)


@model(VGG19_Weights, arguments=_no_init)
def vgg19(**kwargs: Any) -> VGG:
    """VGG with 19 layers ("E")."""
    return _vgg("E", False, **kwargs)


@model(VGG19_BN_Weights, arguments=_no_init)
def vgg19_bn(**kwargs: Any) -> VGG:
    """VGG with 19 layers and batch normalisation."""
    return _vgg("E", True, **kwargs)
