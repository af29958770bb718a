"""Turns a text file into files of tokens to train on.

    python examples/gpt2/prepare.py book.txt data/book [--tokenizer gpt2|bytes] [--held-out 0.1]

Writes train.bin and val.bin (16-bit numbers, the end of the text held out) and meta.json. The default tokenizer is
GPT-2's where the package tiktoken is installed, else the bytes of the text.
"""

from __future__ import annotations

import argparse
import importlib.util
import json
from collections.abc import Iterator
from pathlib import Path

import numpy as np

import data


def pieces(text: str, size: int = 1 << 20) -> Iterator[str]:
    """The text in pieces of about `size` characters that end with a line where there is one: a tokenizer's memory, and
    its time for text without spaces, grow faster than the text."""
    begin = 0
    while begin < len(text):
        end = text.rfind("\n", begin, begin + size) + 1 if begin + size < len(text) else len(text)
        if end <= begin:
            end = begin + size
        yield text[begin:end]
        begin = end


def prepare(text: str, folder: str | Path, tokenizer: str = "bytes", held_out: float = 0.1) -> dict[str, int]:
    """Writes the files; returns how many tokens are in each."""
    if not 0 <= held_out < 1:
        raise ValueError(f"prepare: expected held_out in [0, 1), but got {held_out}")
    if not text:
        raise ValueError("prepare: the text is empty")
    kind = data.tokenizer(tokenizer)
    tokens = np.concatenate([np.array(kind.encode(piece), dtype=np.uint16) for piece in pieces(text)])
    folder = Path(folder)
    folder.mkdir(parents=True, exist_ok=True)
    split = len(tokens) - int(len(tokens) * held_out)
    parts = {"train": tokens[:split], "val": tokens[split:]}
    for name, part in parts.items():
        part.tofile(folder / f"{name}.bin")
    (folder / "meta.json").write_text(json.dumps({"tokenizer": kind.name, "tokens": kind.tokens}))
    return {name: len(part) for name, part in parts.items()}


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("text", type=Path)
    parser.add_argument("folder", type=Path)
    default = "gpt2" if importlib.util.find_spec("tiktoken") else "bytes"
    parser.add_argument("--tokenizer", choices=["gpt2", "bytes"], default=default)
    parser.add_argument("--held-out", type=float, default=0.1, help="share of the tokens that go to val.bin")
    args = parser.parse_args()
    counts = prepare(args.text.read_text(encoding="utf-8"), args.folder, args.tokenizer, args.held_out)
    print(f"{args.tokenizer}: {counts['train']:,} tokens to train on, {counts['val']:,} held out, in {args.folder}")
