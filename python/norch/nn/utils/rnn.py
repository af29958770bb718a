"""Batches of sequences of different lengths: packed without padding, or padded to one length.

A :class:`PackedSequence` holds the elements of all sequences time step by time step, the longest sequence first, so
that the sequences still running at a step are the first `batch_sizes[t]` rows of that step.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, NamedTuple

import norch
from norch import _C
from norch._C import Tensor

__all__ = [
    "PackedSequence",
    "invert_permutation",
    "pack_padded_sequence",
    "pack_sequence",
    "pad_packed_sequence",
    "pad_sequence",
    "unpack_sequence",
    "unpad_sequence",
]


class _PackedSequenceFields(NamedTuple):
    data: Tensor
    batch_sizes: Tensor
    sorted_indices: Tensor | None
    unsorted_indices: Tensor | None


def _bind(optional: Any, fn: Any) -> Any:
    return None if optional is None else fn(optional)


class PackedSequence(_PackedSequenceFields):
    """The data (sum of lengths, *) and `batch_sizes` (longest length) of a packed batch; `sorted_indices` says which
    sequence of the batch each of the packed ones was, `unsorted_indices` the other way round (None: the order stayed).

    Instances are made by :func:`pack_padded_sequence` and :func:`pack_sequence`.
    """

    def __new__(
        cls,
        data: Any,
        batch_sizes: Tensor | None = None,
        sorted_indices: Tensor | None = None,
        unsorted_indices: Tensor | None = None,
    ) -> PackedSequence:
        if batch_sizes is None:  # PackedSequence((data, batch_sizes))
            if not isinstance(data, (list, tuple)) or len(data) != 2:
                raise AssertionError("PackedSequence: expected data and batch_sizes")
            data, batch_sizes = data
        if unsorted_indices is None:
            unsorted_indices = invert_permutation(sorted_indices)
        if batch_sizes.device.type != "cpu":
            raise ValueError(
                "batch_sizes should always be on CPU. Instances of PackedSequence should never be created manually. "
                "They should be instantiated by functions like pack_sequence and pack_padded_sequences in "
                "nn.utils.rnn. https://docs.pytorch.org/docs/stable/nn.html#torch.nn.utils.rnn.pack_sequence"
            )
        return super().__new__(cls, data, batch_sizes, sorted_indices, unsorted_indices)

    def pin_memory(self) -> PackedSequence:
        """Itself: memory is not pinned."""
        return self

    def to(self, *args: Any, **kwargs: Any) -> PackedSequence:
        """Moves and casts the data, moves the indices; itself if nothing changes."""
        data = self.data.to(*args, **kwargs)
        if data is self.data:
            return self
        device = data.device
        return type(self)(
            data,
            self.batch_sizes,
            _bind(self.sorted_indices, lambda t: t.to(device)),
            _bind(self.unsorted_indices, lambda t: t.to(device)),
        )

    def cuda(self, device: Any = None) -> PackedSequence:
        """`to` a CUDA device (default: the current one)."""
        return self.to("cuda" if device is None else device)

    def cpu(self) -> PackedSequence:
        """`to("cpu")`."""
        return self.to("cpu")

    def double(self) -> PackedSequence:
        """`to(norch.float64)`."""
        return self.to(norch.float64)

    def float(self) -> PackedSequence:
        """`to(norch.float32)`."""
        return self.to(norch.float32)

    def half(self) -> PackedSequence:
        """`to(norch.float16)`."""
        return self.to(norch.float16)

    def long(self) -> PackedSequence:
        """`to(norch.int64)`."""
        return self.to(norch.int64)

    def int(self) -> PackedSequence:
        """`to(norch.int32)`."""
        return self.to(norch.int32)

    def short(self) -> PackedSequence:
        """`to(norch.int16)`."""
        return self.to(norch.int16)

    def char(self) -> PackedSequence:
        """`to(norch.int8)`."""
        return self.to(norch.int8)

    def byte(self) -> PackedSequence:
        """`to(norch.uint8)`."""
        return self.to(norch.uint8)

    @property
    def is_cuda(self) -> bool:
        return self.data.device.type == "cuda"

    def is_pinned(self) -> bool:
        """False: memory is not pinned."""
        return False


def invert_permutation(permutation: Tensor | None) -> Tensor | None:
    """The permutation that undoes a 1-d permutation; None of None.

        >>> norch.nn.utils.rnn.invert_permutation(norch.tensor([2, 0, 1]))
        tensor([1, 2, 0])
    """
    if permutation is None:
        return None
    places = _C.arange(permutation.numel(), device=permutation.device)
    return _C.empty_like(permutation).scatter_(0, permutation, places)


def pack_padded_sequence(
    input: Tensor, lengths: Any, batch_first: bool = False, enforce_sorted: bool = True
) -> PackedSequence:
    """Packs a padded batch (T, B, *), or (B, T, *) with `batch_first`, of sequences of the given lengths. They must
    come longest first, unless `enforce_sorted` is False. `lengths`: a list, or a tensor on the CPU.

        >>> padded = norch.tensor([[1, 2, 0], [3, 0, 0], [4, 5, 6]])
        >>> nn.utils.rnn.pack_padded_sequence(padded, [2, 1, 3], batch_first=True, enforce_sorted=False).data
        tensor([4, 1, 3, 5, 2, 6])
    """
    lengths = norch.as_tensor(lengths).to(norch.int64)
    if lengths.device.type != "cpu":
        raise RuntimeError(
            "'lengths' argument should be a 1D CPU int64 tensor, but got "
            f"{lengths.ndim}D {lengths.device} Long tensor"
        )
    if lengths.ndim != 1:
        raise RuntimeError(f"'lengths' argument should be a 1D CPU int64 tensor, but got {lengths.ndim}D cpu Long tensor")
    sorted_indices = None
    if not enforce_sorted:
        lengths, order = lengths.sort(descending=True, stable=True)
        sorted_indices = order.to(input.device)
        input = input.index_select(0 if batch_first else 1, sorted_indices)
    if batch_first:
        input = input.transpose(0, 1)
    sizes = lengths.tolist()
    if len(sizes) != input.size(1):
        raise RuntimeError(
            f"Expected `len(lengths)` to be equal to batch_size, but got {len(sizes)} (batch_size={input.size(1)})"
        )
    if input.numel() == 0 or not sizes:
        raise RuntimeError("Cannot pack empty tensors.")
    if sizes[-1] <= 0:
        raise RuntimeError(
            "Length of all samples has to be greater than 0, but found an element in 'lengths' that is <= 0"
        )
    if any(a < b for a, b in zip(sizes, sizes[1:])):
        raise RuntimeError(
            "`lengths` array must be sorted in decreasing order when `enforce_sorted` is True. You can pass "
            "`enforce_sorted=False` to pack_padded_sequence and/or pack_sequence to sidestep this requirement if you "
            "do not need ONNX exportability."
        )
    if sizes[0] > input.size(0):
        raise RuntimeError(
            f"start (0) + length ({sizes[0]}) exceeds dimension size ({input.size(0)}): a sequence is longer than the "
            "padded batch"
        )
    batch_sizes = _batch_sizes(sizes)
    rows = _C.tensor(
        [t * len(sizes) + b for t, running in enumerate(batch_sizes) for b in range(running)], device=input.device
    )
    data = input.reshape(-1, *input.shape[2:]).index_select(0, rows)
    return PackedSequence(data, _C.tensor(batch_sizes, dtype=norch.int64), sorted_indices, None)


def _batch_sizes(lengths: list[int]) -> list[int]:
    """How many of the sequences, longest first, are still running at each step."""
    sizes, running = [], len(lengths)
    for t in range(lengths[0]):
        while lengths[running - 1] <= t:
            running -= 1
        sizes.append(running)
    return sizes


def pad_packed_sequence(
    sequence: PackedSequence,
    batch_first: bool = False,
    padding_value: float = 0.0,
    total_length: int | None = None,
) -> tuple[Tensor, Tensor]:
    """The padded batch (T, B, *), or (B, T, *) with `batch_first`, in its first order, and the lengths (on the CPU).
    T is the longest length, or `total_length`, which can't be less (ValueError).

        >>> packed = nn.utils.rnn.pack_sequence([norch.tensor([1, 2]), norch.tensor([3])])
        >>> nn.utils.rnn.pad_packed_sequence(packed, batch_first=True)
        (tensor([[1, 2],
                [3, 0]]), tensor([2, 1]))
    """
    data = sequence.data
    batch_sizes: list[int] = sequence.batch_sizes.tolist()
    steps, batch = len(batch_sizes), batch_sizes[0]
    if total_length is not None:
        if total_length < steps:
            raise ValueError(
                "Expected total_length to be at least the length of the longest sequence in input, but got "
                f"total_length={total_length} and max sequence length being {steps}"
            )
        steps = total_length
    lengths = _C.tensor([sum(running > b for running in batch_sizes) for b in range(batch)], dtype=norch.int64)
    rows = _C.tensor(
        [t * batch + b for t, running in enumerate(batch_sizes) for b in range(running)], device=data.device
    )
    blank = _C.full((steps * batch, *data.shape[1:]), padding_value, dtype=data.dtype, device=data.device)
    padded = blank.index_copy(0, rows, data).reshape(steps, batch, *data.shape[1:])
    if batch_first:
        padded = padded.transpose(0, 1)
    order = sequence.unsorted_indices
    if order is not None:
        return padded.index_select(0 if batch_first else 1, order), lengths[order.cpu()]
    return padded, lengths


def pad_sequence(
    sequences: Iterable[Tensor] | Tensor,
    batch_first: bool = False,
    padding_value: float = 0.0,
    padding_side: str = "right",
) -> Tensor:
    """Stacks sequences (L_i, *) to (T, B, *), or (B, T, *) with `batch_first`, padded to the longest on the side
    'right' or 'left'.

        >>> nn.utils.rnn.pad_sequence([norch.tensor([1, 2]), norch.tensor([3])], batch_first=True)
        tensor([[1, 2],
                [3, 0]])
    """
    if not isinstance(sequences, Iterable):
        raise RuntimeError(
            f"pad_sequence: Expected iterable for input sequences, but got arg of type: {type(sequences)}"
        )
    parts = tuple(sequences)
    if not parts:
        raise RuntimeError("received an empty list of sequences")
    if padding_side not in ("left", "right"):
        raise RuntimeError(f"Expected padding_side to be one of left or right, but got {padding_side}.")
    rest = tuple(parts[0].shape[1:])
    longest = max(p.size(0) for p in parts)
    padded = []
    for p in parts:
        if tuple(p.shape[1:]) != rest:
            raise RuntimeError(
                f"pad_sequence: the sequences' trailing dims must be the same, got {rest} and {tuple(p.shape[1:])}"
            )
        missing = longest - p.size(0)
        if missing:
            filling = _C.full((missing, *rest), padding_value, dtype=p.dtype, device=p.device)
            p = _C.cat([p, filling] if padding_side == "right" else [filling, p])
        padded.append(p)
    return _C.stack(padded, 0 if batch_first else 1)


def unpad_sequence(padded_sequences: Tensor, lengths: Tensor, batch_first: bool = False) -> list[Tensor]:
    """The first `lengths[i]` steps of each sequence of a padded batch, as a list.

        >>> nn.utils.rnn.unpad_sequence(norch.tensor([[1, 2], [3, 0]]), norch.tensor([2, 1]), batch_first=True)
        [tensor([1, 2]), tensor([3])]
    """
    by_sequence = padded_sequences if batch_first else padded_sequences.transpose(0, 1)
    sizes = norch.as_tensor(lengths).tolist()
    if len(sizes) != by_sequence.size(0):
        raise ValueError(f"unpad_sequence: got {len(sizes)} lengths for a batch of {by_sequence.size(0)}")
    return [sequence[: max(int(n), 0)] for sequence, n in zip(by_sequence, sizes)]


def pack_sequence(sequences: list[Tensor], enforce_sorted: bool = True) -> PackedSequence:
    """Packs sequences (L_i, *), longest first unless `enforce_sorted` is False.

        >>> nn.utils.rnn.pack_sequence([norch.tensor([1, 2]), norch.tensor([3])]).batch_sizes
        tensor([2, 1])
    """
    lengths = [s.size(0) for s in sequences]
    return pack_padded_sequence(pad_sequence(sequences), lengths, enforce_sorted=enforce_sorted)


def unpack_sequence(packed_sequences: PackedSequence) -> list[Tensor]:
    """The sequences of a packed batch, in their first order.

        >>> packed = nn.utils.rnn.pack_sequence([norch.tensor([1, 2]), norch.tensor([3])])
        >>> nn.utils.rnn.unpack_sequence(packed)
        [tensor([1, 2]), tensor([3])]
    """
    padded, lengths = pad_packed_sequence(packed_sequences, batch_first=True)
    return unpad_sequence(padded, lengths, batch_first=True)
