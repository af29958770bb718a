"""Names for type hints, as in torch.types."""

from typing import Any, Sequence, Union

from norch import Size, Tensor, device, dtype

__all__ = ["Device", "Number", "_TensorOrTensors", "_bool", "_device", "_dtype", "_float", "_int", "_size"]

Number = Union[int, float, bool]
Device = Union[device, str, int, None]
_TensorOrTensors = Union[Tensor, Sequence[Tensor]]
_size = Union[Size, list[int], tuple[int, ...]]
_int, _float, _bool, _dtype, _device = int, float, bool, dtype, device
Storage = Any
