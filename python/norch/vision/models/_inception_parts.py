"""What GoogLeNet and Inception v3 share."""

from __future__ import annotations

import warnings
from typing import Any, Callable

import norch
import norch.nn as nn
import norch.nn.functional as F
from norch._C import Tensor


class BasicConv2d(nn.Module):
    """A convolution without bias, batch normalisation and ReLU."""

    def __init__(self, in_channels: int, out_channels: int, **kwargs: Any) -> None:
        super().__init__()
        self.conv = nn.Conv2d(in_channels, out_channels, bias=False, **kwargs)
        self.bn = nn.BatchNorm2d(out_channels, eps=0.001)

    def forward(self, x: Tensor) -> Tensor:
        return F.relu(self.bn(self.conv(x)), inplace=True)


def from_imagenet_to_halves(x: Tensor) -> Tensor:
    """Images normalized by ImageNet's means and deviations, as if normalized by 0.5 and 0.5."""
    mean = x.new_tensor((0.485, 0.456, 0.406)).view(1, 3, 1, 1)
    std = x.new_tensor((0.229, 0.224, 0.225)).view(1, 3, 1, 1)
    return x * (std / 0.5) + (mean - 0.5) / 0.5


def asked_for_init(init_weights: bool | None, name: str) -> bool:
    """Whether to initialize the weights as the paper does; not saying so gives torchvision's warning."""
    if init_weights is None:
        warnings.warn(
            f"The default weight initialization of {name} will be changed in future releases of torchvision. If you "
            "wish to keep the old behavior (which leads to long initialization times due to scipy/scipy#11299), "
            "please set init_weights=True.",
            FutureWarning,
            stacklevel=3,
        )
    return init_weights is not False


def truncated_init(model: nn.Module, std: Callable[[nn.Module], float]) -> None:
    """Truncated normal weights of deviation std(layer); normalisation is the identity."""
    for m in model.modules():
        if isinstance(m, (nn.Conv2d, nn.Linear)):
            nn.init.trunc_normal_(m.weight, mean=0.0, std=std(m), a=-2, b=2)
        elif isinstance(m, nn.BatchNorm2d):
            nn.init.ones_(m.weight)
            nn.init.zeros_(m.bias)


def pretrained_arguments(_: Any, kwargs: dict[str, Any]) -> None:
    """What the published weights need: the auxiliary heads, and images normalized by 0.5."""
    kwargs.setdefault("transform_input", True)
    kwargs["aux_logits"] = True
    kwargs["init_weights"] = False


def joined(*branches: Tensor) -> Tensor:
    """The branches' channels beside each other."""
    return norch.cat(branches, 1)
