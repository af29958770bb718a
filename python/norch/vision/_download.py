"""Downloads of data sets and weights: to a file that appears only once it is complete and its checksum is right."""

from __future__ import annotations

import hashlib
import os
import sys
import urllib.error
import urllib.request
from typing import Any

USER_AGENT = "norch.vision"
_CHUNK = 1 << 17


def file_digest(path: Any, algorithm: str = "md5") -> str:
    """The checksum of a file, in hexadecimal."""
    digest = hashlib.new(algorithm, usedforsecurity=False)
    with open(path, "rb") as file:
        while chunk := file.read(_CHUNK):
            digest.update(chunk)
    return digest.hexdigest()


class _Progress:
    """A line on stderr: how much of a file has come. Silent where stderr is no terminal, but for the last line."""

    def __init__(self, name: str, total: int | None) -> None:
        self.name, self.total, self.done, self.shown = name, total, 0, -1

    def text(self) -> str:
        megabytes = f"{self.done / 1e6:.1f}"
        if not self.total:
            return f"{self.name}: {megabytes} MB"
        filled = min(30 * self.done // self.total, 30)
        return f"{self.name}: [{'#' * filled}{'.' * (30 - filled)}] {megabytes} of {self.total / 1e6:.1f} MB"

    def add(self, count: int) -> None:
        self.done += count
        step = self.done * 200 // self.total if self.total else self.done >> 20
        if step != self.shown and sys.stderr.isatty():
            self.shown = step
            print("\r" + self.text(), end="", file=sys.stderr, flush=True)

    def close(self) -> None:
        print(("\r" if sys.stderr.isatty() else "") + self.text(), file=sys.stderr)


def download(
    url: str,
    path: str,
    *,
    digest: str | None = None,
    algorithm: str = "md5",
    progress: bool = True,
) -> None:
    """Downloads `url` to the file `path`. `digest` is its checksum, or the checksum's first digits.

    Raises URLError where the address is not reached (as without a network), and RuntimeError where what came is not
    what the checksum says."""
    part = f"{path}.{os.getpid()}.part"
    try:
        request = urllib.request.Request(url, headers={"User-Agent": USER_AGENT})
        with urllib.request.urlopen(request, timeout=60) as response, open(part, "wb") as file:
            length = response.headers.get("Content-Length")
            total = int(length) if length and length.isdigit() else None
            bar = _Progress(os.path.basename(path), total) if progress else None
            done = 0
            while chunk := response.read(_CHUNK):
                file.write(chunk)
                done += len(chunk)
                if bar:
                    bar.add(len(chunk))
            if bar:
                bar.close()
        if total is not None and done != total:
            raise RuntimeError(f"download of {url} ended after {done} of {total} bytes; try again")
        if digest is not None and not file_digest(part, algorithm).startswith(digest.lower()):
            raise RuntimeError(
                f"download of {url}: File not found or corrupted. Its {algorithm} checksum is not {digest}"
            )
        os.replace(part, path)
    except urllib.error.HTTPError:
        raise
    except OSError as error:
        reason = getattr(error, "reason", error)
        raise urllib.error.URLError(
            f"cannot download {url} ({reason}). Where there is no network, get the file elsewhere and put it at {path}"
        ) from error
    finally:
        if os.path.exists(part):
            os.remove(part)
