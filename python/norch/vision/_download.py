"""Downloads of data sets: to a file that appears only once it is complete and its checksum is right."""

from __future__ import annotations

import hashlib
import os
import sys
import urllib.error
import urllib.request
from typing import Any

USER_AGENT = "norch.vision"
_CHUNK = 1 << 17


def file_md5(path: Any) -> str:
    """The MD5 checksum of a file, in hexadecimal."""
    digest = hashlib.md5(usedforsecurity=False)
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


def download(url: str, path: str, md5: str | None = None) -> None:
    """Downloads `url` to the file `path`, whose checksum should be `md5`.

    Raises URLError where the address is not reached (as without a network), and RuntimeError where what came is not
    what the checksum says."""
    part = f"{path}.{os.getpid()}.part"
    try:
        request = urllib.request.Request(url, headers={"User-Agent": USER_AGENT})
        with urllib.request.urlopen(request, timeout=60) as response, open(part, "wb") as file:
            length = response.headers.get("Content-Length")
            total = int(length) if length and length.isdigit() else None
            bar = _Progress(os.path.basename(path), total)
            while chunk := response.read(_CHUNK):
                file.write(chunk)
                bar.add(len(chunk))
            bar.close()
        if total is not None and bar.done != total:
            raise RuntimeError(f"download of {url} ended after {bar.done} of {total} bytes; try again")
        if md5 is not None and file_md5(part) != md5:
            raise RuntimeError(f"download of {url}: File not found or corrupted. Its MD5 checksum is not {md5}")
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
