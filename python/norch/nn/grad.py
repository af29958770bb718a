"""The gradients of convolutions, as functions."""

from __future__ import annotations

from typing import Any, Callable

import norch
from norch._C import Tensor
from norch.autograd import enable_grad

from . import functional as F


def _gradient(conv: Callable[..., Tensor], of: int, like: Any, tensors: list, grad_output: Tensor, args: tuple) -> Tensor:
    """The gradient of conv(input, weight, None, *args) by its input (of=0) or weight (of=1), of the shape `like`. It is
    linear in both, so that the values of that operand do not matter."""
    with enable_grad():
        tensors[of] = norch.zeros(tuple(like), dtype=grad_output.dtype, device=grad_output.device, requires_grad=True)
        out = conv(*tensors, None, *args)
        create = any(t.requires_grad for t in (tensors[1 - of], grad_output))
        return norch.autograd.grad(out, tensors[of], grad_output, create_graph=create)[0]


def conv1d_input(
    input_size: Any, weight: Tensor, grad_output: Tensor, stride: Any = 1, padding: Any = 0, dilation: Any = 1,
    groups: int = 1,
) -> Tensor:  # fmt: skip
    """The gradient of `conv1d` by its input, of shape `input_size`, from that of its output.

        >>> nn.grad.conv1d_input((1, 1, 3), norch.tensor([[[1., 2.]]]), norch.tensor([[[1., 1.]]]))
        tensor([[[1., 3., 2.]]])
    """
    return _gradient(F.conv1d, 0, input_size, [None, weight], grad_output, (stride, padding, dilation, groups))


def conv1d_weight(
    input: Tensor, weight_size: Any, grad_output: Tensor, stride: Any = 1, padding: Any = 0, dilation: Any = 1,
    groups: int = 1,
) -> Tensor:  # fmt: skip
    """The gradient of `conv1d` by its weight, of shape `weight_size`."""
    return _gradient(F.conv1d, 1, weight_size, [input, None], grad_output, (stride, padding, dilation, groups))


def conv2d_input(
    input_size: Any, weight: Tensor, grad_output: Tensor, stride: Any = 1, padding: Any = 0, dilation: Any = 1,
    groups: int = 1,
) -> Tensor:  # fmt: skip
    """The gradient of `conv2d` by its input, of shape `input_size`."""
    return _gradient(F.conv2d, 0, input_size, [None, weight], grad_output, (stride, padding, dilation, groups))


def conv2d_weight(
    input: Tensor, weight_size: Any, grad_output: Tensor, stride: Any = 1, padding: Any = 0, dilation: Any = 1,
    groups: int = 1,
) -> Tensor:  # fmt: skip
    """The gradient of `conv2d` by its weight, of shape `weight_size`."""
    return _gradient(F.conv2d, 1, weight_size, [input, None], grad_output, (stride, padding, dilation, groups))


def conv3d_input(
    input_size: Any, weight: Tensor, grad_output: Tensor, stride: Any = 1, padding: Any = 0, dilation: Any = 1,
    groups: int = 1,
) -> Tensor:  # fmt: skip
    """The gradient of `conv3d` by its input, of shape `input_size`."""
    return _gradient(F.conv3d, 0, input_size, [None, weight], grad_output, (stride, padding, dilation, groups))


def conv3d_weight(
    input: Tensor, weight_size: Any, grad_output: Tensor, stride: Any = 1, padding: Any = 0, dilation: Any = 1,
    groups: int = 1,
) -> Tensor:  # fmt: skip
    """The gradient of `conv3d` by its weight, of shape `weight_size`."""
    return _gradient(F.conv3d, 1, weight_size, [input, None], grad_output, (stride, padding, dilation, groups))
