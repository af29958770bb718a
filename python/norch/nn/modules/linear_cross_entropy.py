"""Cross entropy of a linear layer's scores, also without holding all scores."""

from __future__ import annotations

import dataclasses
import math
from typing import Any

import norch
from norch._C import Parameter, Tensor, empty

from .. import functional as F
from .. import init
from .module import Module

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


class LinearCrossEntropyLoss(Module):
    """A linear layer and the cross entropy of its scores: input (N, in_features) or (in_features)."""

    def __init__(
        self,
        in_features: int,
        num_classes: int,
        out_features: Any = (),
        bias: bool = False,
        weight: Tensor | None = None,
        reduction: str = "mean",
        ignore_index: int | None = None,
        label_smoothing: float = 0.0,
        options: LinearCrossEntropyOptions | None = None,
        device: Any = None,
        dtype: Any = None,
    ) -> None:
        super().__init__()
        self.in_features = in_features
        self.num_classes = num_classes
        self.out_features = tuple(out_features) if isinstance(out_features, (tuple, list)) else (out_features,)
        self.reduction = reduction
        self.ignore_index = ignore_index
        self.label_smoothing = label_smoothing
        self.options = options
        shape = (num_classes, *self.out_features)
        self.linear_weight = Parameter(empty((*shape, in_features), device=device, dtype=dtype))
        self.register_parameter("linear_bias", Parameter(empty(shape, device=device, dtype=dtype)) if bias else None)
        self.register_buffer("weight", weight)
        self.reset_parameters()

    def reset_parameters(self) -> None:
        """Draws weight and bias from U(-1/sqrt(in_features), 1/sqrt(in_features))."""
        bound = 1 / math.sqrt(self.in_features) if self.in_features > 0 else 0
        init.uniform_(self.linear_weight, -bound, bound)
        if self.linear_bias is not None:
            init.uniform_(self.linear_bias, -bound, bound)

    def forward(self, input: Tensor, target: Tensor) -> Tensor:
        return F.linear_cross_entropy(
            input,
            self.linear_weight,
            target,
            linear_bias=self.linear_bias,
            weight=self.weight,
            reduction=self.reduction,
            ignore_index=self.ignore_index,
            label_smoothing=self.label_smoothing,
            options=self.options,
        )
