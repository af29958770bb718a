"""RegNet (Radosavovic et al., "Designing Network Design Spaces", 2020)."""

from __future__ import annotations

import math
from collections import OrderedDict
from functools import partial
from typing import Any

import norch.nn as nn
from norch._C import Tensor

from ._api import model, weights
from ._regnet_blocks import AnyStage, BlockParams, Layer, ResBottleneckBlock, SimpleStemIN
from ._utils import initialize, normal_001

__all__ = [
    "RegNet",
    "RegNet_X_16GF_Weights",
    "RegNet_X_1_6GF_Weights",
    "RegNet_X_32GF_Weights",
    "RegNet_X_3_2GF_Weights",
    "RegNet_X_400MF_Weights",
    "RegNet_X_800MF_Weights",
    "RegNet_X_8GF_Weights",
    "RegNet_Y_128GF_Weights",
    "RegNet_Y_16GF_Weights",
    "RegNet_Y_1_6GF_Weights",
    "RegNet_Y_32GF_Weights",
    "RegNet_Y_3_2GF_Weights",
    "RegNet_Y_400MF_Weights",
    "RegNet_Y_800MF_Weights",
    "RegNet_Y_8GF_Weights",
    "regnet_x_16gf",
    "regnet_x_1_6gf",
    "regnet_x_32gf",
    "regnet_x_3_2gf",
    "regnet_x_400mf",
    "regnet_x_800mf",
    "regnet_x_8gf",
    "regnet_y_128gf",
    "regnet_y_16gf",
    "regnet_y_1_6gf",
    "regnet_y_32gf",
    "regnet_y_3_2gf",
    "regnet_y_400mf",
    "regnet_y_800mf",
    "regnet_y_8gf",
]


def _by_outputs(layer: Any) -> None:
    fan_out = layer.kernel_size[0] * layer.kernel_size[1] * layer.out_channels
    nn.init.normal_(layer.weight, mean=0.0, std=math.sqrt(2.0 / fan_out))


class RegNet(nn.Module):
    """RegNet of the stages `block_params`: images [N, 3, H, W] to logits [N, num_classes]."""

    def __init__(
        self,
        block_params: BlockParams,
        num_classes: int = 1000,
        stem_width: int = 32,
        stem_type: Layer | None = None,
        block_type: Layer | None = None,
        norm_layer: Layer | None = None,
        activation: Layer | None = None,
    ) -> None:
        super().__init__()
        norm_layer = norm_layer or nn.BatchNorm2d
        activation = activation or nn.ReLU
        self.stem = (stem_type or SimpleStemIN)(3, stem_width, norm_layer, activation)
        width = stem_width
        blocks: OrderedDict[str, nn.Module] = OrderedDict()
        for i, (out, stride, depth, group, multiplier) in enumerate(block_params._get_expanded_params(), start=1):
            layers = (block_type or ResBottleneckBlock, norm_layer, activation)
            blocks[f"block{i}"] = AnyStage(
                width, out, stride, depth, *layers, group, multiplier, block_params.se_ratio, stage_index=i
            )
            width = out
        self.trunk_output = nn.Sequential(blocks)
        self.avgpool = nn.AdaptiveAvgPool2d((1, 1))
        self.fc = nn.Linear(in_features=width, out_features=num_classes)
        initialize(self, _by_outputs, normal_001, conv_biases=False)

    def forward(self, x: Tensor) -> Tensor:
        return self.fc(self.avgpool(self.trunk_output(self.stem(x))).flatten(1))


def _regnet(
    depth: int, w_0: int, w_a: float, w_m: float, group_width: int, se_ratio: float | None, kwargs: dict[str, Any]
) -> RegNet:
    params = BlockParams.from_init_params(depth, w_0, w_a, w_m, group_width, se_ratio=se_ratio)
    return RegNet(params, **{"norm_layer": partial(nn.BatchNorm2d, eps=1e-5, momentum=0.1), **kwargs})


def _v2(file: str) -> Any:
    return file, {"resize_size": 232}


def _swag(file: str, size: int) -> Any:
    return file, {"crop_size": size, "resize_size": size, "interpolation": "bicubic"}


RegNet_Y_400MF_Weights = weights(
    "RegNet_Y_400MF_Weights", "regnet_y_400mf-c65dace8.pth", _v2("regnet_y_400mf-e6988f5f.pth")
)
RegNet_Y_800MF_Weights = weights(
    "RegNet_Y_800MF_Weights", "regnet_y_800mf-1b27b58c.pth", _v2("regnet_y_800mf-58fc7688.pth")
)
RegNet_Y_1_6GF_Weights = weights(
    "RegNet_Y_1_6GF_Weights", "regnet_y_1_6gf-b11a554e.pth", _v2("regnet_y_1_6gf-0d7bc02a.pth")
)
RegNet_Y_3_2GF_Weights = weights(
    "RegNet_Y_3_2GF_Weights", "regnet_y_3_2gf-b5a9779c.pth", _v2("regnet_y_3_2gf-9180c971.pth")
)
RegNet_Y_8GF_Weights = weights("RegNet_Y_8GF_Weights", "regnet_y_8gf-d0d0e4a8.pth", _v2("regnet_y_8gf-dc2b1b54.pth"))
RegNet_Y_16GF_Weights = weights(
    "RegNet_Y_16GF_Weights",
    "regnet_y_16gf-9e6ed7dd.pth",
    _v2("regnet_y_16gf-3e4a00f9.pth"),
    IMAGENET1K_SWAG_E2E_V1=_swag("regnet_y_16gf_swag-43afe44d.pth", 384),
    IMAGENET1K_SWAG_LINEAR_V1=_swag("regnet_y_16gf_lc_swag-f3ec0043.pth", 224),
)
RegNet_Y_32GF_Weights = weights(
    "RegNet_Y_32GF_Weights",
    "regnet_y_32gf-4dee3f7a.pth",
    _v2("regnet_y_32gf-8db6d4b5.pth"),
    IMAGENET1K_SWAG_E2E_V1=_swag("regnet_y_32gf_swag-04fdfa75.pth", 384),
    IMAGENET1K_SWAG_LINEAR_V1=_swag("regnet_y_32gf_lc_swag-e1583746.pth", 224),
)
RegNet_Y_128GF_Weights = weights(
    "RegNet_Y_128GF_Weights",
    default=0,
    IMAGENET1K_SWAG_E2E_V1=_swag("regnet_y_128gf_swag-c8ce3e52.pth", 384),
    IMAGENET1K_SWAG_LINEAR_V1=_swag("regnet_y_128gf_lc_swag-cbe8ce12.pth", 224),
)
RegNet_X_400MF_Weights = weights(
    "RegNet_X_400MF_Weights", "regnet_x_400mf-adf1edd5.pth", _v2("regnet_x_400mf-62229a5f.pth")
)
RegNet_X_800MF_Weights = weights(
    "RegNet_X_800MF_Weights", "regnet_x_800mf-ad17e45c.pth", _v2("regnet_x_800mf-94a99ebd.pth")
)
RegNet_X_1_6GF_Weights = weights(
    "RegNet_X_1_6GF_Weights", "regnet_x_1_6gf-e3633e7f.pth", _v2("regnet_x_1_6gf-a12f2b72.pth")
)
RegNet_X_3_2GF_Weights = weights(
    "RegNet_X_3_2GF_Weights", "regnet_x_3_2gf-f342aeae.pth", _v2("regnet_x_3_2gf-7071aa85.pth")
)
RegNet_X_8GF_Weights = weights("RegNet_X_8GF_Weights", "regnet_x_8gf-03ceed89.pth", _v2("regnet_x_8gf-2b70d774.pth"))
RegNet_X_16GF_Weights = weights(
    "RegNet_X_16GF_Weights", "regnet_x_16gf-2007eb11.pth", _v2("regnet_x_16gf-ba3796d7.pth")
)
RegNet_X_32GF_Weights = weights(
    "RegNet_X_32GF_Weights", "regnet_x_32gf-9d47f8d0.pth", _v2("regnet_x_32gf-6eb8fdc6.pth")
)


@model(RegNet_Y_400MF_Weights)
def regnet_y_400mf(**kwargs: Any) -> RegNet:
    """RegNetY of 400 megaflops."""
    return _regnet(16, 48, 27.89, 2.09, 8, 0.25, kwargs)


@model(RegNet_Y_800MF_Weights)
def regnet_y_800mf(**kwargs: Any) -> RegNet:
    """RegNetY of 800 megaflops."""
    return _regnet(14, 56, 38.84, 2.4, 16, 0.25, kwargs)


@model(RegNet_Y_1_6GF_Weights)
def regnet_y_1_6gf(**kwargs: Any) -> RegNet:
    """RegNetY of 1.6 gigaflops."""
    return _regnet(27, 48, 20.71, 2.65, 24, 0.25, kwargs)


@model(RegNet_Y_3_2GF_Weights)
def regnet_y_3_2gf(**kwargs: Any) -> RegNet:
    """RegNetY of 3.2 gigaflops."""
    return _regnet(21, 80, 42.63, 2.66, 24, 0.25, kwargs)


@model(RegNet_Y_8GF_Weights)
def regnet_y_8gf(**kwargs: Any) -> RegNet:
    """RegNetY of 8 gigaflops."""
    return _regnet(17, 192, 76.82, 2.19, 56, 0.25, kwargs)


@model(RegNet_Y_16GF_Weights)
def regnet_y_16gf(**kwargs: Any) -> RegNet:
    """RegNetY of 16 gigaflops."""
    return _regnet(18, 200, 106.23, 2.48, 112, 0.25, kwargs)


@model(RegNet_Y_32GF_Weights)
def regnet_y_32gf(**kwargs: Any) -> RegNet:
    """RegNetY of 32 gigaflops."""
    return _regnet(20, 232, 115.89, 2.53, 232, 0.25, kwargs)


@model(RegNet_Y_128GF_Weights)
def regnet_y_128gf(**kwargs: Any) -> RegNet:
    """RegNetY of 128 gigaflops."""
    return _regnet(27, 456, 160.83, 2.52, 264, 0.25, kwargs)


@model(RegNet_X_400MF_Weights)
def regnet_x_400mf(**kwargs: Any) -> RegNet:
    """RegNetX of 400 megaflops."""
    return _regnet(22, 24, 24.48, 2.54, 16, None, kwargs)


@model(RegNet_X_800MF_Weights)
def regnet_x_800mf(**kwargs: Any) -> RegNet:
    """RegNetX of 800 megaflops."""
    return _regnet(16, 56, 35.73, 2.28, 16, None, kwargs)


@model(RegNet_X_1_6GF_Weights)
def regnet_x_1_6gf(**kwargs: Any) -> RegNet:
    """RegNetX of 1.6 gigaflops."""
    return _regnet(18, 80, 34.01, 2.25, 24, None, kwargs)


@model(RegNet_X_3_2GF_Weights)
def regnet_x_3_2gf(**kwargs: Any) -> RegNet:
    """RegNetX of 3.2 gigaflops."""
    return _regnet(25, 88, 26.31, 2.25, 48, None, kwargs)


@model(RegNet_X_8GF_Weights)
def regnet_x_8gf(**kwargs: Any) -> RegNet:
    """RegNetX of 8 gigaflops."""
    return _regnet(23, 80, 49.56, 2.88, 120, None, kwargs)


@model(RegNet_X_16GF_Weights)
def regnet_x_16gf(**kwargs: Any) -> RegNet:
    """RegNetX of 16 gigaflops."""
    return _regnet(22, 216, 55.59, 2.1, 128, None, kwargs)


@model(RegNet_X_32GF_Weights)
def regnet_x_32gf(**kwargs: Any) -> RegNet:
    """RegNetX of 32 gigaflops."""
    return _regnet(23, 320, 69.86, 2.0, 168, None, kwargs)
