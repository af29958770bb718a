"""ResNet (He et al., "Deep Residual Learning for Image Recognition", 2016), ResNeXt and Wide ResNet."""

from __future__ import annotations

from typing import Any, Callable

import norch.nn as nn
from norch._C import Tensor

from ._api import model, set_argument, weights
from ._utils import initialize, kaiming_fan_out

__all__ = [
    "ResNeXt101_32X8D_Weights",
    "ResNeXt101_64X4D_Weights",
    "ResNeXt50_32X4D_Weights",
    "ResNet",
    "ResNet101_Weights",
    "ResNet152_Weights",
    "ResNet18_Weights",
    "ResNet34_Weights",
    "ResNet50_Weights",
    "Wide_ResNet101_2_Weights",
    "Wide_ResNet50_2_Weights",
    "resnet101",
    "resnet152",
    "resnet18",
    "resnet34",
    "resnet50",
    "resnext101_32x8d",
    "resnext101_64x4d",
    "resnext50_32x4d",
    "wide_resnet101_2",
    "wide_resnet50_2",
]


def conv3x3(in_planes: int, out_planes: int, stride: int = 1, groups: int = 1, dilation: int = 1) -> nn.Conv2d:
    """A 3 x 3 convolution without bias that keeps the size at stride 1."""
    return nn.Conv2d(
        in_planes,
        out_planes,
        kernel_size=3,
        stride=stride,
        padding=dilation,
        groups=groups,
        bias=False,
        dilation=dilation,
    )


def conv1x1(in_planes: int, out_planes: int, stride: int = 1) -> nn.Conv2d:
    """A 1 x 1 convolution without bias."""
    return nn.Conv2d(in_planes, out_planes, kernel_size=1, stride=stride, bias=False)


class BasicBlock(nn.Module):
    """Two 3 x 3 convolutions beside the identity."""

    expansion = 1

    def __init__(
        self,
        inplanes: int,
        planes: int,
        stride: int = 1,
        downsample: nn.Module | None = None,
        groups: int = 1,
        base_width: int = 64,
        dilation: int = 1,
        norm_layer: Callable[..., nn.Module] | None = None,
    ) -> None:
        super().__init__()
        norm_layer = norm_layer or nn.BatchNorm2d
        if groups != 1 or base_width != 64:
            raise ValueError("BasicBlock only supports groups=1 and base_width=64")
        if dilation > 1:
            raise NotImplementedError("Dilation > 1 not supported in BasicBlock")
        self.conv1 = conv3x3(inplanes, planes, stride)
        self.bn1 = norm_layer(planes)
        self.relu = nn.ReLU(inplace=True)
        self.conv2 = conv3x3(planes, planes)
        self.bn2 = norm_layer(planes)
        self.downsample = downsample
        self.stride = stride

    def forward(self, x: Tensor) -> Tensor:
        out = self.relu(self.bn1(self.conv1(x)))
        out = self.bn2(self.conv2(out))
        out += x if self.downsample is None else self.downsample(x)
        return self.relu(out)


class Bottleneck(nn.Module):
    """1 x 1, 3 x 3 (with the stride) and 1 x 1 convolutions beside the identity."""

    expansion = 4

    def __init__(
        self,
        inplanes: int,
        planes: int,
        stride: int = 1,
        downsample: nn.Module | None = None,
        groups: int = 1,
        base_width: int = 64,
        dilation: int = 1,
        norm_layer: Callable[..., nn.Module] | None = None,
    ) -> None:
        super().__init__()
        norm_layer = norm_layer or nn.BatchNorm2d
        width = int(planes * (base_width / 64.0)) * groups
        self.conv1 = conv1x1(inplanes, width)
        self.bn1 = norm_layer(width)
        self.conv2 = conv3x3(width, width, stride, groups, dilation)
        self.bn2 = norm_layer(width)
        self.conv3 = conv1x1(width, planes * self.expansion)
        self.bn3 = norm_layer(planes * self.expansion)
        self.relu = nn.ReLU(inplace=True)
        self.downsample = downsample
        self.stride = stride

    def forward(self, x: Tensor) -> Tensor:
        out = self.relu(self.bn1(self.conv1(x)))
        out = self.relu(self.bn2(self.conv2(out)))
        out = self.bn3(self.conv3(out))
        out += x if self.downsample is None else self.downsample(x)
        return self.relu(out)


class ResNet(nn.Module):
    """ResNet of `layers` blocks in each of four stages: images [N, 3, H, W] to logits [N, num_classes].

    `replace_stride_with_dilation` (three bools) keeps the size in later stages; `zero_init_residual` starts each block
    as the identity."""

    def __init__(
        self,
        block: Any,
        layers: list[int],
        num_classes: int = 1000,
        zero_init_residual: bool = False,
        groups: int = 1,
        width_per_group: int = 64,
        replace_stride_with_dilation: list[bool] | None = None,
        norm_layer: Callable[..., nn.Module] | None = None,
    ) -> None:
        super().__init__()
        norm_layer = norm_layer or nn.BatchNorm2d
        self._norm_layer = norm_layer
        self.inplanes = 64
        self.dilation = 1
        dilate = replace_stride_with_dilation or [False, False, False]
        if len(dilate) != 3:
            raise ValueError(f"replace_stride_with_dilation should be None or a 3-element tuple, got {dilate}")
        self.groups = groups
        self.base_width = width_per_group
        self.conv1 = nn.Conv2d(3, self.inplanes, kernel_size=7, stride=2, padding=3, bias=False)
        self.bn1 = norm_layer(self.inplanes)
        self.relu = nn.ReLU(inplace=True)
        self.maxpool = nn.MaxPool2d(kernel_size=3, stride=2, padding=1)
        self.layer1 = self._make_layer(block, 64, layers[0])
        self.layer2 = self._make_layer(block, 128, layers[1], stride=2, dilate=dilate[0])
        self.layer3 = self._make_layer(block, 256, layers[2], stride=2, dilate=dilate[1])
        self.layer4 = self._make_layer(block, 512, layers[3], stride=2, dilate=dilate[2])
        self.avgpool = nn.AdaptiveAvgPool2d((1, 1))
        self.fc = nn.Linear(512 * block.expansion, num_classes)
        initialize(self, kaiming_fan_out)
        if zero_init_residual:
            for m in self.modules():
                last = m.bn3 if isinstance(m, Bottleneck) else m.bn2 if isinstance(m, BasicBlock) else None
                if last is not None and last.weight is not None:
                    nn.init.zeros_(last.weight)

    def _make_layer(self, block: Any, planes: int, blocks: int, stride: int = 1, dilate: bool = False) -> nn.Sequential:
        norm_layer = self._norm_layer
        first_dilation = self.dilation
        if dilate:
            self.dilation *= stride
            stride = 1
        width = planes * block.expansion
        downsample = None
        if stride != 1 or self.inplanes != width:
            downsample = nn.Sequential(conv1x1(self.inplanes, width, stride), norm_layer(width))
        layers = []
        for i in range(blocks):
            first = (stride, downsample) if i == 0 else (1, None)
            dilation = first_dilation if i == 0 else self.dilation
            layers.append(block(self.inplanes, planes, *first, self.groups, self.base_width, dilation, norm_layer))
            self.inplanes = width
        return nn.Sequential(*layers)

    def _forward_impl(self, x: Tensor) -> Tensor:
        x = self.maxpool(self.relu(self.bn1(self.conv1(x))))
        x = self.layer4(self.layer3(self.layer2(self.layer1(x))))
        return self.fc(self.avgpool(x).flatten(1))

    def forward(self, x: Tensor) -> Tensor:
        return self._forward_impl(x)


_V2: dict[str, Any] = {"resize_size": 232}
ResNet18_Weights = weights("ResNet18_Weights", "resnet18-f37072fd.pth")
ResNet34_Weights = weights("ResNet34_Weights", "resnet34-b627a593.pth")
ResNet50_Weights = weights("ResNet50_Weights", "resnet50-0676ba61.pth", ("resnet50-11ad3fa6.pth", _V2))
ResNet101_Weights = weights("ResNet101_Weights", "resnet101-63fe2227.pth", ("resnet101-cd907fc2.pth", _V2))
ResNet152_Weights = weights("ResNet152_Weights", "resnet152-394f9c45.pth", ("resnet152-f82ba261.pth", _V2))
ResNeXt50_32X4D_Weights = weights(
    "ResNeXt50_32X4D_Weights", "resnext50_32x4d-7cdf4587.pth", ("resnext50_32x4d-1a0047aa.pth", _V2)
)
ResNeXt101_32X8D_Weights = weights(
    "ResNeXt101_32X8D_Weights", "resnext101_32x8d-8ba56ff5.pth", ("resnext101_32x8d-110c445d.pth", _V2)
)
ResNeXt101_64X4D_Weights = weights("ResNeXt101_64X4D_Weights", ("resnext101_64x4d-173b62eb.pth", _V2))
Wide_ResNet50_2_Weights = weights(
    "Wide_ResNet50_2_Weights", "wide_resnet50_2-95faca4d.pth", ("wide_resnet50_2-9ba9bcbe.pth", _V2)
)
Wide_ResNet101_2_Weights = weights(
    "Wide_ResNet101_2_Weights", "wide_resnet101_2-32ee1156.pth", ("wide_resnet101_2-d733dc28.pth", _V2)
)


def _wide(layers: list[int], groups: int, width_per_group: int, kwargs: dict[str, Any]) -> ResNet:
    if groups != 1:
        set_argument(kwargs, "groups", groups)
    set_argument(kwargs, "width_per_group", width_per_group)
    return ResNet(Bottleneck, layers, **kwargs)


@model(ResNet18_Weights)
def resnet18(**kwargs: Any) -> ResNet:
    """ResNet with 18 layers."""
    return ResNet(BasicBlock, [2, 2, 2, 2], **kwargs)


@model(ResNet34_Weights)
def resnet34(**kwargs: Any) -> ResNet:
    """ResNet with 34 layers."""
    return ResNet(BasicBlock, [3, 4, 6, 3], **kwargs)


@model(ResNet50_Weights)
def resnet50(**kwargs: Any) -> ResNet:
    """ResNet with 50 layers."""
    return ResNet(Bottleneck, [3, 4, 6, 3], **kwargs)


@model(ResNet101_Weights)
def resnet101(**kwargs: Any) -> ResNet:
    """ResNet with 101 layers."""
    return ResNet(Bottleneck, [3, 4, 23, 3], **kwargs)


@model(ResNet152_Weights)
def resnet152(**kwargs: Any) -> ResNet:
    """ResNet with 152 layers."""
    return ResNet(Bottleneck, [3, 8, 36, 3], **kwargs)


@model(ResNeXt50_32X4D_Weights)
def resnext50_32x4d(**kwargs: Any) -> ResNet:
    """ResNeXt with 50 layers, 32 groups of width 4."""
    return _wide([3, 4, 6, 3], 32, 4, kwargs)


@model(ResNeXt101_32X8D_Weights)
def resnext101_32x8d(**kwargs: Any) -> ResNet:
    """ResNeXt with 101 layers, 32 groups of width 8."""
    return _wide([3, 4, 23, 3], 32, 8, kwargs)


@model(ResNeXt101_64X4D_Weights)
def resnext101_64x4d(**kwargs: Any) -> ResNet:
    """ResNeXt with 101 layers, 64 groups of width 4."""
    return _wide([3, 4, 23, 3], 64, 4, kwargs)


@model(Wide_ResNet50_2_Weights)
def wide_resnet50_2(**kwargs: Any) -> ResNet:
    """ResNet with 50 layers whose blocks are twice as wide inside."""
    return _wide([3, 4, 6, 3], 1, 128, kwargs)


@model(Wide_ResNet101_2_Weights)
def wide_resnet101_2(**kwargs: Any) -> ResNet:
    """ResNet with 101 layers whose blocks are twice as wide inside."""
    return _wide([3, 4, 23, 3], 1, 128, kwargs)
