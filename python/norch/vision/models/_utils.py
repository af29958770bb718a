"""What several models share."""

from __future__ import annotations

from collections import OrderedDict
from typing import Any, Callable

import norch.nn as nn

__all__ = ["IntermediateLayerGetter"]


def make_divisible(v: float, divisor: int, min_value: int | None = None) -> int:
    """The multiple of `divisor` nearest to v, at least `min_value`, and not more than 10 % less than v."""
    new = max(min_value or divisor, int(v + divisor / 2) // divisor * divisor)
    return new + divisor if new < 0.9 * v else new


def initialize(
    model: nn.Module,
    conv: Callable[[Any], Any],
    linear: Callable[[Any], Any] | None = None,
    norms: bool = True,
    conv_biases: bool = True,
) -> None:
    """Initializes all layers: convolutions by conv(layer), linear ones by linear(layer), their biases to 0 (those of
    convolutions stay as they are without `conv_biases`); normalisation to the identity."""
    for m in model.modules():
        if isinstance(m, nn.Conv2d):
            conv(m)
            if m.bias is not None and conv_biases:
                nn.init.zeros_(m.bias)
        elif isinstance(m, (nn.BatchNorm2d, nn.GroupNorm)) and norms:
            if m.weight is not None:
                nn.init.ones_(m.weight)
                nn.init.zeros_(m.bias)
        elif isinstance(m, nn.Linear) and linear is not None:
            linear(m)
            if m.bias is not None:
                nn.init.zeros_(m.bias)


def kaiming_fan_out(layer: Any) -> None:
    """Kaiming's normal distribution, for ReLU, by the outputs."""
    nn.init.kaiming_normal_(layer.weight, mode="fan_out", nonlinearity="relu")


def normal_001(layer: Any) -> None:
    """N(0, 0.01^2)."""
    nn.init.normal_(layer.weight, 0, 0.01)


class IntermediateLayerGetter(nn.ModuleDict):
    """The children of a model up to the last of `return_layers` ({child's name: name in the result}), run one after the
    other; the result is an OrderedDict of their outputs."""

    def __init__(self, model: nn.Module, return_layers: dict[str, str]) -> None:
        children = OrderedDict(model.named_children())
        if not set(return_layers) <= set(children):
            raise ValueError("return_layers are not present in model")
        names = list(children)
        last = max(names.index(name) for name in return_layers)
        super().__init__(OrderedDict((name, children[name]) for name in names[: last + 1]))
        self.return_layers = {str(key): str(value) for key, value in return_layers.items()}

    def forward(self, x: Any) -> Any:
        outputs = OrderedDict()
        for name, module in self.items():
            x = module(x)
            if name in self.return_layers:
                outputs[self.return_layers[name]] = x
        return outputs


def stages(features: Any) -> list[int]:
    """Of the features of a MobileNet, the places of the first layer, of those that halve the size, and of the last."""
    halving = [i for i, block in enumerate(features) if getattr(block, "_is_cn", False)]
    return [0, *halving, len(features) - 1]
