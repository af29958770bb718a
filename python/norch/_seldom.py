"""Functions of torch that programs seldom call, written in others."""

from __future__ import annotations

import mmap
import os
import warnings
from typing import Any, Callable

import norch
from norch._C import Tensor

__all__ = ["conv_tbc", "from_file", "is_storage", "is_vulkan_available"]

_Message = Callable[[], object]


def conv_tbc(input: Tensor, weight: Tensor, bias: Tensor, pad: int = 0) -> Tensor:
    """conv_tbc(input, weight, bias, pad=0) -> Tensor

    conv1d for the layout (time, batch, channels): weight is (kernel, in, out), and `pad` zeros stand at both ends.

        >>> norch.conv_tbc(norch.ones(4, 1, 2), norch.ones(3, 2, 1), norch.zeros(1)).flatten()
        tensor([6., 6.])"""
    if input.dim() != 3:
        raise RuntimeError("conv_tbc: Input must have 3 dims: time, batch, in_channel")
    if weight.dim() != 3:
        raise RuntimeError("conv_tbc: Weight tensor must have 3 dims: kernel_width, in_channels, out_channels.")
    if bias.dim() != 1:
        raise RuntimeError("conv_tbc: Bias must be 1-D")
    out = norch.nn.functional.conv1d(input.permute(1, 2, 0), weight.permute(2, 1, 0), bias, padding=pad)
    return out.permute(2, 0, 1)


def from_file(
    filename: str,
    shared: bool | None = None,
    size: int | None = 0,
    *,
    dtype: Any = None,
    layout: Any = None,
    device: Any = None,
    pin_memory: bool = False,
    requires_grad: bool = False,
) -> Tensor:
    """A 1-d tensor of `size` elements on the bytes of a file, which is mapped, not read. With `shared` the file is made
    and made longer as needed, and what is written to the tensor goes to the file. RuntimeError for a file that is too
    short, or can't be opened.

        >>> import tempfile
        >>> with tempfile.NamedTemporaryFile() as f:
        ...     norch.from_file(f.name, shared=True, size=2)
        tensor([0., 0.])"""
    kind = norch.get_default_dtype() if dtype is None else dtype
    count = size or 0
    if count < 0:
        raise RuntimeError(f"from_file: expected a size of 0 or more, got {count}")
    if count == 0:
        return norch.empty(0, dtype=kind, requires_grad=requires_grad)
    wanted = count * kind.itemsize
    try:
        have = os.path.getsize(filename) if os.path.exists(filename) else 0
        if have < wanted and shared:
            with open(filename, "ab") as f:
                f.truncate(wanted)
        elif have < wanted:
            raise RuntimeError(f"from_file: {filename} has {have} bytes, and {count} elements of {kind} take {wanted}")
        with open(filename, "r+b" if shared else "rb") as f:
            memory = mmap.mmap(f.fileno(), wanted, access=mmap.ACCESS_WRITE if shared else mmap.ACCESS_COPY)
    except OSError as e:
        raise RuntimeError(f"from_file: unable to open file <{filename}>: {e}") from e
    return norch.frombuffer(memory, dtype=kind, count=count, requires_grad=requires_grad)


def _assert_async(input: Tensor, assert_msg: str | None = None) -> None:
    """RuntimeError unless the tensor's one element is true. (On GPUs norch waits for the value.)"""
    if input.numel() != 1:
        raise RuntimeError(f"Boolean value of Tensor with {'more than one' if input.numel() else 'no'} value is ambiguous")
    if not bool(input):
        raise RuntimeError(assert_msg or "Expected Tensor with single nonzero value, but got zero")


def is_storage(obj: Any) -> bool:
    """is_storage(obj) -> bool

        >>> norch.is_storage(norch.ones(2).untyped_storage()), norch.is_storage(norch.ones(2))
        (True, False)"""
    return isinstance(obj, (norch.storage.UntypedStorage, norch.storage.TypedStorage))


def is_vulkan_available() -> bool:
    """False: norch runs on CPUs and CUDA GPUs."""
    return False


def _shape_as_tensor(input: Tensor) -> Tensor:
    """The shape as a tensor of integers on the CPU."""
    return norch.tensor(input.shape, dtype=norch.int64)


def __getattr__(name: str) -> bool:
    """PyTorch's old flags of what the build has."""
    backends = norch.backends
    flags: dict[str, tuple[Callable[[], bool], str]] = {
        "has_cuda": (norch.cuda.is_available, "cuda.is_available"),
        "has_cudnn": (backends.cudnn.is_available, "backends.cudnn.is_available"),
        "has_mkldnn": (backends.mkldnn.is_available, "backends.mkldnn.is_available"),
        "has_mps": (backends.mps.is_built, "backends.mps.is_built"),
        "has_mkl": (backends.mkl.is_available, ""),
        "has_openmp": (backends.openmp.is_available, ""),
        "has_lapack": (lambda: True, ""),
    }
    if name not in flags:
        raise AttributeError(f"module 'norch._seldom' has no attribute '{name}'")
    function, instead = flags[name]
    if instead:
        warnings.warn(f"'{name}' is deprecated, please use 'norch.{instead}()'", stacklevel=3)
    return function()


def _softmax_backward_data(grad_output: Tensor, output: Tensor, dim: int, input_dtype: norch.dtype) -> Tensor:
    """The gradient of softmax's input from that of its output, which is given too."""
    product = grad_output * output
    return (product - output * product.sum(dim, keepdim=True)).to(input_dtype)


def _log_softmax_backward_data(grad_output: Tensor, output: Tensor, dim: int, input_dtype: norch.dtype) -> Tensor:
    """The gradient of log_softmax's input from that of its output, which is given too."""
    return (grad_output - output.exp() * grad_output.sum(dim, keepdim=True)).to(input_dtype)


def _check_with(error: type[Exception], cond: Any, message: _Message | None) -> None:
    if not isinstance(cond, bool):
        raise TypeError(f"cond must be a bool, but got {type(cond)}")
    if cond:
        return
    if message is not None and not callable(message):
        raise TypeError("message must be a callable")
    raise error(
        "Expected cond to be True, but got False. (Could this error message be improved? If so, please report an "
        "enhancement request to norch.)"
        if message is None
        else str(message())
    )


def _check(cond: Any, message: _Message | None = None) -> None:
    """Raises RuntimeError with message() unless `cond`."""
    _check_with(RuntimeError, cond, message)


def _check_index(cond: Any, message: _Message | None = None) -> None:
    """Raises IndexError with message() unless `cond`."""
    _check_with(IndexError, cond, message)


def _check_value(cond: Any, message: _Message | None = None) -> None:
    """Raises ValueError with message() unless `cond`."""
    _check_with(ValueError, cond, message)


def _check_type(cond: Any, message: _Message | None = None) -> None:
    """Raises TypeError with message() unless `cond`."""
    _check_with(TypeError, cond, message)


def _check_not_implemented(cond: Any, message: _Message | None = None) -> None:
    """Raises NotImplementedError with message() unless `cond`."""
    _check_with(NotImplementedError, cond, message)


def _check_is_size(i: int, message: _Message | None = None, *, max: int | None = None) -> None:
    """Raises RuntimeError unless 0 <= i (<= max)."""
    _check(i >= 0, message)
    if max is not None:
        _check(i <= max, message)
