"""torch.hub: weights from a cache that PyTorch's programs share, and models from local folders.

Files are fetched only where a program gives their address; code never is."""

from __future__ import annotations

import errno
import hashlib
import importlib.util
import os
import re
import shutil
import sys
import tempfile
import zipfile
from typing import Any
from urllib.error import URLError
from urllib.parse import unquote, urlparse
from urllib.request import Request, url2pathname, urlopen

import norch

__all__ = ["download_url_to_file", "get_dir", "help", "list", "load", "load_state_dict_from_url", "set_dir"]

#: The part of a file name that holds the first eight digits or more of its SHA-256, as in resnet18-f37072fd.pth.
HASH_REGEX = re.compile(r"-([a-f0-9]{8,})\.")
_dir: str | None = None


def _get_torch_home() -> str:
    """$TORCH_HOME, else torch/ in the user's cache folder, as in PyTorch."""
    cache = os.getenv("XDG_CACHE_HOME", "~/.cache")
    return os.path.expanduser(os.getenv("TORCH_HOME", os.path.join(cache, "torch")))


def get_dir() -> str:
    """Where downloaded files are kept: what set_dir was told, else $TORCH_HOME/hub or ~/.cache/torch/hub."""
    return _dir if _dir is not None else os.path.join(_get_torch_home(), "hub")


def set_dir(d: str | os.PathLike[str]) -> None:
    """Sets where downloaded files are kept."""
    global _dir
    _dir = os.path.expanduser(os.fspath(d))


def download_url_to_file(url: str, dst: str, hash_prefix: str | None = None, progress: bool = True) -> None:
    """Fetches `url` (also file://) to the path `dst`, which appears only once it is complete.

    Raises RuntimeError where the network does not give it, or its SHA-256 does not begin with `hash_prefix`."""
    dst = os.path.expanduser(os.fspath(dst))
    bar: Any = None
    handle, part = tempfile.mkstemp(prefix=os.path.basename(dst) + ".", suffix=".part", dir=os.path.dirname(dst) or ".")
    try:
        digest = hashlib.sha256()
        with os.fdopen(handle, "wb") as out, urlopen(Request(url, headers={"User-Agent": "norch.hub"})) as source:
            if progress and sys.stderr.isatty():
                from tqdm import tqdm  # type: ignore[import-untyped,unused-ignore]

                length = source.headers.get("Content-Length")
                bar = tqdm(total=int(length) if length else None, unit="B", unit_scale=True, unit_divisor=1024)
            while block := source.read(1 << 17):
                digest.update(block)
                out.write(block)
                if bar is not None:
                    bar.update(len(block))
        if hash_prefix and not digest.hexdigest().startswith(hash_prefix):
            raise RuntimeError(f'invalid hash value (expected "{hash_prefix}", got "{digest.hexdigest()}") of {url}')
        shutil.move(part, dst)
    except (URLError, OSError) as e:
        if isinstance(e, OSError) and e.errno == errno.ENOSPC:
            raise
        raise RuntimeError(
            f"hub: could not fetch {url} ({getattr(e, 'reason', e)}): there is no network, or not this file in it. Get the "
            f"file by other means and put it at {dst}"
        ) from e
    finally:
        if bar is not None:
            bar.close()
        if os.path.exists(part):
            os.remove(part)


def _local(url: str) -> str | None:
    """The path of a file:// address, or of a plain path."""
    parts = urlparse(url)
    if parts.scheme == "file":
        return url2pathname(unquote(parts.path))
    return url if parts.scheme == "" else None


def load_state_dict_from_url(
    url: str,
    model_dir: str | None = None,
    map_location: Any = None,
    progress: bool = True,
    check_hash: bool = False,
    file_name: str | None = None,
    weights_only: bool = True,
) -> Any:
    """The state dict in the file at `url`: a file:// address, or a file that is in `model_dir` (default:
    get_dir()/checkpoints) already, or is fetched to there. No code from the file runs.

    check_hash: the file's name must end in the beginning of its SHA-256, as in resnet18-f37072fd.pth.
    Raises RuntimeError where the file is neither there nor to be fetched."""
    local = _local(url)
    if local is not None:
        if not os.path.isfile(local):
            raise RuntimeError(f"hub: there is no file {local}")
        path = local
    else:
        folder = os.path.join(get_dir(), "checkpoints") if model_dir is None else os.path.expanduser(model_dir)
        name = file_name or os.path.basename(urlparse(url).path)
        path = os.path.join(folder, name)
        if not os.path.exists(path):
            os.makedirs(folder, exist_ok=True)
            if progress:
                print(f'Downloading: "{url}" to {path}', file=sys.stderr)
            found = HASH_REGEX.search(name) if check_hash else None
            download_url_to_file(url, path, found.group(1) if found else None, progress)
    if zipfile.is_zipfile(path):
        with zipfile.ZipFile(path) as archive:
            members = archive.namelist()
            if len(members) == 1 and not members[0].endswith("/data.pkl"):  # a zip file around the file itself
                with tempfile.TemporaryDirectory() as folder:
                    return norch.load(archive.extract(members[0], folder), map_location=map_location)
    return norch.load(path, map_location=map_location, weights_only=weights_only)


def _hubconf(repo_or_dir: str, source: str) -> Any:
    if source not in ("github", "local"):
        raise ValueError(f'Unknown source: "{source}". Allowed values: "github" | "local".')
    if source != "local":
        raise RuntimeError(
            f"hub: norch fetches no code from the network. Get {repo_or_dir} by other means (such as git clone) and give its "
            "folder, with source='local'"
        )
    path = os.path.join(repo_or_dir, "hubconf.py")
    if not os.path.isfile(path):
        raise FileNotFoundError(errno.ENOENT, "hub: the folder has no hubconf.py", path)
    spec = importlib.util.spec_from_file_location("hubconf", path)
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.path.insert(0, os.path.abspath(repo_or_dir))
    try:
        spec.loader.exec_module(module)
    finally:
        sys.path.remove(os.path.abspath(repo_or_dir))
    return module


def _entry(module: Any, model: str) -> Any:
    function = getattr(module, model, None)
    if function is None or not callable(function):
        raise RuntimeError(f"Cannot find callable {model} in hubconf")
    return function


def load(repo_or_dir: str, model: str, *args: Any, source: str = "github", **kwargs: Any) -> Any:
    """model(*args, **kwargs) of the hubconf.py in a local folder, with source='local'. Raises RuntimeError for
    source='github': norch fetches no code from the network."""
    for name in ("trust_repo", "force_reload", "verbose", "skip_validation"):
        kwargs.pop(name, None)
    return _entry(_hubconf(repo_or_dir, source), model)(*args, **kwargs)


def help(github: str, model: str, force_reload: bool = False, skip_validation: bool = False, source: str = "github", **_: Any) -> Any:
    """The docstring of an entry of a local folder's hubconf.py."""
    return _entry(_hubconf(github, source), model).__doc__


def list(github: str, force_reload: bool = False, skip_validation: bool = False, source: str = "github", **_: Any) -> Any:
    """The entries of a local folder's hubconf.py."""
    module = _hubconf(github, source)
    return [n for n, f in vars(module).items() if callable(f) and not n.startswith("_")]
