"""Tokens: turning text into them and back, files of them, and batches of a file."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np

import norch


class Bytes:
    """The bytes of UTF-8 text as tokens."""

    name, tokens = "bytes", 256

    def encode(self, text: str) -> list[int]:
        return list(text.encode())

    def decode(self, tokens: list[int]) -> str:
        return bytes(tokens).decode(errors="replace")


class BPE:
    """GPT-2's byte pairs, by the package tiktoken, which fetches their table when first used."""

    name, tokens = "gpt2", 50257

    def __init__(self) -> None:
        try:
            import tiktoken
        except ImportError:
            raise ImportError('the tokenizer "gpt2" needs the package tiktoken: pip install tiktoken') from None

        self._encoding = tiktoken.get_encoding("gpt2")

    def encode(self, text: str) -> list[int]:
        return self._encoding.encode_ordinary(text)

    def decode(self, tokens: list[int]) -> str:
        return self._encoding.decode(tokens)


def tokenizer(name: str) -> Any:
    """The tokenizer called "gpt2" or "bytes"."""
    kinds = {kind.name: kind for kind in (BPE, Bytes)}
    if name not in kinds:
        raise ValueError(f"tokenizer: expected one of {', '.join(kinds)}, but got {name!r}")
    return kinds[name]()


def describe(folder: str | Path) -> dict:
    """What prepare.py wrote about a folder of token files: the tokenizer's name and its number of tokens."""
    path = Path(folder) / "meta.json"
    if not path.is_file():
        raise FileNotFoundError(f"{folder}: no meta.json there; make token files of a text with prepare.py")
    return json.loads(path.read_text())


class Batches:
    """Batches of `size` sequences of `length` tokens, and of the tokens that follow each of them, from a file of 16-bit
    numbers. Each pass takes all sequences in an order of its own, which depends on `seed` and on the pass alone: the
    state is one number, how many sequences were taken."""

    def __init__(self, path: str | Path, size: int, length: int, device: str = "cpu", seed: int = 0) -> None:
        count = Path(path).stat().st_size // 2
        self._sequences = (count - 1) // length
        if self._sequences < 1:
            raise ValueError(
                f"{path}: {count} tokens are too few for one sequence of {length} and its targets; take shorter ones, "
                "or more text"
            )
        self._file = np.memmap(path, dtype=np.uint16, mode="r")
        self._size, self._length, self._device, self._seed = size, length, device, seed
        self._taken = 0
        self._order: tuple[int, list[int]] = (-1, [])  # of a pass

    def __len__(self) -> int:
        """How many batches make a pass, counting a last smaller one."""
        return -(-self._sequences // self._size)

    def state_dict(self) -> dict[str, int]:
        return {"taken": self._taken}

    def load_state_dict(self, state: dict[str, int]) -> None:
        self._taken = state["taken"]

    def _sequence(self, number: int) -> np.ndarray:
        epoch, place = divmod(number, self._sequences)
        if self._order[0] != epoch:
            generator = norch.Generator().manual_seed(self._seed + epoch)
            self._order = (epoch, norch.randperm(self._sequences, generator=generator).tolist())
        start = self._order[1][place] * self._length
        return self._file[start : start + self._length + 1].astype(np.int64)

    def _batch(self, numbers: range) -> tuple[norch.Tensor, norch.Tensor]:
        tokens = norch.from_numpy(np.stack([self._sequence(i) for i in numbers])).to(self._device)
        return tokens[:, :-1].contiguous(), tokens[:, 1:].contiguous()

    def next(self) -> tuple[norch.Tensor, norch.Tensor]:
        """The next inputs and targets, each [size, length]."""
        first, self._taken = self._taken, self._taken + self._size
        return self._batch(range(first, self._taken))

    def first(self, count: int) -> list[tuple[norch.Tensor, norch.Tensor]]:
        """The first `count` batches, or fewer where the file has fewer, wherever `next` is."""
        ends = min(count * self._size, self._sequences)
        return [self._batch(range(i, min(i + self._size, ends))) for i in range(0, ends, self._size)]
