"""ResNet (He et al., "Deep Residual Learning for Image Recognition", 2016), with the stride of a bottleneck in its 3 x 3
convolution. Parameters have the names of torchvision's ResNet."""

from __future__ import annotations

import norch
from norch import nn


def convolution(inputs: int, outputs: int, kernel: int, stride: int = 1) -> nn.Conv2d:
    return nn.Conv2d(inputs, outputs, kernel, stride, padding=kernel // 2, bias=False)


def shortcut(inputs: int, outputs: int, stride: int) -> nn.Module | None:
    """What the residual path takes where it changes its shape."""
    if stride == 1 and inputs == outputs:
        return None
    return nn.Sequential(convolution(inputs, outputs, 1, stride), nn.BatchNorm2d(outputs))


class Basic(nn.Module):
    """Two 3 x 3 convolutions beside the residual path."""

    expansion = 1

    def __init__(self, inputs: int, width: int, stride: int) -> None:
        super().__init__()
        self.conv1 = convolution(inputs, width, 3, stride)
        self.bn1 = nn.BatchNorm2d(width)
        self.conv2 = convolution(width, width, 3)
        self.bn2 = nn.BatchNorm2d(width)
        self.relu = nn.ReLU(inplace=True)
        self.downsample = shortcut(inputs, width, stride)
        nn.init.zeros_(self.bn2.weight)  # so that the block begins as the identity

    def forward(self, x: norch.Tensor) -> norch.Tensor:
        y = self.relu(self.bn1(self.conv1(x)))
        y = self.bn2(self.conv2(y))
        return self.relu(y + (x if self.downsample is None else self.downsample(x)))


class Bottleneck(nn.Module):
    """1 x 1, 3 x 3 and 1 x 1 convolutions beside the residual path."""

    expansion = 4

    def __init__(self, inputs: int, width: int, stride: int) -> None:
        super().__init__()
        outputs = width * self.expansion
        self.conv1 = convolution(inputs, width, 1)
        self.bn1 = nn.BatchNorm2d(width)
        self.conv2 = convolution(width, width, 3, stride)
        self.bn2 = nn.BatchNorm2d(width)
        self.conv3 = convolution(width, outputs, 1)
        self.bn3 = nn.BatchNorm2d(outputs)
        self.relu = nn.ReLU(inplace=True)
        self.downsample = shortcut(inputs, outputs, stride)
        nn.init.zeros_(self.bn3.weight)

    def forward(self, x: norch.Tensor) -> norch.Tensor:
        y = self.relu(self.bn1(self.conv1(x)))
        y = self.relu(self.bn2(self.conv2(y)))
        y = self.bn3(self.conv3(y))
        return self.relu(y + (x if self.downsample is None else self.downsample(x)))


class ResNet(nn.Module):
    """Logits [B, classes] of images [B, 3, H, W]."""

    def __init__(
        self, block: type[Basic] | type[Bottleneck], blocks: list[int], classes: int = 1000, width: int = 64
    ) -> None:
        super().__init__()
        self._inputs = width
        self.conv1 = convolution(3, width, 7, 2)
        self.bn1 = nn.BatchNorm2d(width)
        self.relu = nn.ReLU(inplace=True)
        self.maxpool = nn.MaxPool2d(3, 2, padding=1)
        self.layer1 = self._layer(block, width, blocks[0], 1)
        self.layer2 = self._layer(block, 2 * width, blocks[1], 2)
        self.layer3 = self._layer(block, 4 * width, blocks[2], 2)
        self.layer4 = self._layer(block, 8 * width, blocks[3], 2)
        self.avgpool = nn.AdaptiveAvgPool2d(1)
        self.fc = nn.Linear(self._inputs, classes)
        for module in self.modules():
            if isinstance(module, nn.Conv2d):
                nn.init.kaiming_normal_(module.weight, mode="fan_out", nonlinearity="relu")

    def _layer(self, block: type[Basic] | type[Bottleneck], width: int, blocks: int, stride: int) -> nn.Sequential:
        """`blocks` blocks, the first of which has the stride."""
        layers = []
        for i in range(blocks):
            layers.append(block(self._inputs, width, stride if i == 0 else 1))
            self._inputs = width * block.expansion
        return nn.Sequential(*layers)

    def forward(self, x: norch.Tensor) -> norch.Tensor:
        x = self.maxpool(self.relu(self.bn1(self.conv1(x))))
        x = self.layer4(self.layer3(self.layer2(self.layer1(x))))
        return self.fc(self.avgpool(x).flatten(1))


def resnet18(classes: int = 1000, width: int = 64) -> ResNet:
    return ResNet(Basic, [2, 2, 2, 2], classes, width)


def resnet50(classes: int = 1000, width: int = 64) -> ResNet:
    return ResNet(Bottleneck, [3, 4, 6, 3], classes, width)
