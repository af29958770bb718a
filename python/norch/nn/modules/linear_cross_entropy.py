"""Cross entropy of a linear layer's scores, also without holding all scores."""

from __future__ import annotations

import dataclasses
import math
from typing import Any

import norch
from norch._C import Tensor

from .. import functional as F
from .linear import Linear
from .loss import _WeightedLoss

__all__ = ["LinearCrossEntropyLoss", "LinearCrossEntropyOptions"]


@dataclasses.dataclass(frozen=True)
class LinearCrossEntropyOptions:
    """How `nn.functional.linear_cross_entropy` works on some rows of its input at a time.

    `batch_chunk_size` is the number of rows. Without it, `chunking_method` chooses: "auto" and "aspect_ratio" take as
    many rows as have about as many scores as the input has elements, "aspect_ratio:N" an Nth of that, None all.
    norch accumulates in float32 (float64 for float64) whatever `acc_policy` and `acc_dtype` say, and its graph may
    always be kept and differentiated again; these fields are taken for PyTorch's sake."""

    allow_retain_graph: bool = False
    batch_chunk_size: int | None = None
    chunking_method: str | None = "auto"
    acc_policy: str = "auto"
    acc_dtype: Any = None

    def __post_init__(self) -> None:
        if self.acc_policy not in ("auto", "accurate", "balanced", "compact"):
            raise ValueError(f"invalid acc_policy: {self.acc_policy!r}")
        if self.chunking_method not in (None, "auto"):
            name, colon, factor = str(self.chunking_method).partition(":")
            if name != "aspect_ratio" or (colon and not (factor.isdigit() and int(factor) > 0)):
                raise ValueError(f"invalid chunking_method: {self.chunking_method!r}")
        size = self.batch_chunk_size
        if size is not None and not (isinstance(size, int) and size > 0):
            raise ValueError(f"batch_chunk_size must be positive int or None, got {size!r}")
        if isinstance(self.acc_dtype, norch.dtype) and not self.acc_dtype.is_floating_point:
            raise ValueError(f"acc_dtype must be a floating-point dtype or None, got {self.acc_dtype!r}")

    def __setstate__(self, state: Any) -> None:
        if not isinstance(state, dict):  # PyTorch pickles the values alone
            state = dict(zip((field.name for field in dataclasses.fields(self)), state))
        for name, value in state.items():
            object.__setattr__(self, name, value)


class LinearCrossEntropyLoss(_WeightedLoss):
    """A linear layer (the child `linear`) and the cross entropy of its scores: input (N, in_features) or (in_features),
    scores (N, num_classes, *out_features), target of class indices (N, *out_features) or of their probabilities.

        >>> loss = norch.nn.LinearCrossEntropyLoss(5, 10, out_features=(4,))
        >>> loss(norch.zeros(2, 5), norch.zeros(2, 4, dtype=norch.int64)).shape
        norch.Size([])
    """

    def __init__(
        self,
        in_features: int,
        num_classes: int,
        *,
        out_features: tuple[int, ...] = (),
        bias: bool = False,
        device: Any = None,
        dtype: Any = None,
        reduction: str = "mean",
        weight: Tensor | None = None,
        ignore_index: int | None = None,
        label_smoothing: float = 0.0,
        options: LinearCrossEntropyOptions | None = None,
    ) -> None:
        if weight is not None and weight.shape != (num_classes,):
            raise RuntimeError(f"expected weight shape to be {(num_classes,)}, got {tuple(weight.shape)}")
        if not 0 <= label_smoothing <= 1:
            raise RuntimeError(f"expected label_smoothing to be in range [0, 1], got {label_smoothing}")
        super().__init__(weight=weight, reduction=reduction)
        self.num_classes = num_classes
        self.out_features = out_features
        self.ignore_index = ignore_index
        self.label_smoothing = label_smoothing
        self.linear = Linear(in_features, math.prod(out_features, start=num_classes), bias, device, dtype)
        self.options = options

    def forward(self, input: Tensor, target: Tensor) -> Tensor:
        shape, bias = (self.num_classes, *self.out_features), self.linear.bias
        return F.linear_cross_entropy(
            input,
            self.linear.weight.reshape(*shape, self.linear.in_features),
            target,
            linear_bias=None if bias is None else bias.reshape(shape),
            weight=self.weight,
            reduction=self.reduction,
            ignore_index=self.ignore_index,
            label_smoothing=self.label_smoothing,
            options=self.options,
        )

    def extra_repr(self) -> str:
        return (
            f"in_features={self.linear.in_features}, num_classes={self.num_classes}, out_features={self.out_features}, "
            f"bias={self.linear.bias is not None}, reduction={self.reduction}, ignore_index={self.ignore_index}, "
            f"label_smoothing={self.label_smoothing}, options={self.options}"
        )
