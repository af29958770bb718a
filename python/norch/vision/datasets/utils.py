"""Files of data sets: download, check, unpack."""

from __future__ import annotations

import bz2
import gzip
import lzma
import os
import pathlib
import re
import shutil
import tarfile
import zipfile
import zlib
from typing import Any, Callable, Iterable
from urllib.parse import urlparse

from .._download import download, file_md5

__all__ = [
    "calculate_md5",
    "check_integrity",
    "check_md5",
    "download_and_extract_archive",
    "download_file_from_google_drive",
    "download_url",
    "extract_archive",
    "iterable_to_str",
    "list_dir",
    "list_files",
    "verify_str_arg",
]

_OPENERS: dict[str, Callable[..., Any]] = {".bz2": bz2.open, ".gz": gzip.open, ".xz": lzma.open}
_ARCHIVES = (".tar", ".zip")
_SHORT_FORMS = {".tbz": (".tar", ".bz2"), ".tbz2": (".tar", ".bz2"), ".tgz": (".tar", ".gz")}
_DAMAGED = (EOFError, zlib.error, lzma.LZMAError, tarfile.TarError, zipfile.BadZipFile, gzip.BadGzipFile)


def calculate_md5(fpath: Any, chunk_size: int = 1024 * 1024) -> str:
    """The MD5 checksum of a file, in hexadecimal."""
    return file_md5(fpath)


def check_md5(fpath: Any, md5: str, **kwargs: Any) -> bool:
    """Whether the file's MD5 checksum is `md5`."""
    return md5 == calculate_md5(fpath, **kwargs)


def check_integrity(fpath: Any, md5: str | None = None) -> bool:
    """Whether the file exists and, where `md5` is given, has that checksum."""
    return os.path.isfile(fpath) and (md5 is None or check_md5(fpath, md5))


def download_url(
    url: str, root: Any, filename: Any = None, md5: str | None = None, max_redirect_hops: int = 3
) -> None:
    """Downloads `url` into the folder `root` as `filename` (by default, the last part of the address), unless that
    file is there already with the checksum `md5`. Shows its progress.

    Raises URLError where the address is not reached, RuntimeError where the checksum is wrong."""
    root = os.path.expanduser(root)
    path = os.fspath(os.path.join(root, filename or os.path.basename(urlparse(url).path)))
    os.makedirs(root, exist_ok=True)
    if check_integrity(path, md5):
        return
    address = urlparse(url)
    drive = re.match(r"/file/d/([^/]+)", address.path) if address.netloc.endswith("drive.google.com") else None
    if drive:
        download_file_from_google_drive(drive.group(1), root, os.path.basename(path), md5)
    else:
        download(url, path, md5)


def download_file_from_google_drive(file_id: str, root: Any, filename: Any = None, md5: str | None = None) -> None:
    """Downloads a file of Google Drive by its id, with the package `gdown`."""
    path = os.fspath(os.path.join(os.path.expanduser(root), filename or file_id))
    os.makedirs(os.path.dirname(path), exist_ok=True)
    if check_integrity(path, md5):
        return
    try:
        import gdown  # type: ignore[import-not-found, import-untyped, unused-ignore]
    except ModuleNotFoundError as error:
        raise RuntimeError(
            "To download files from GDrive, 'gdown' is required. You can install it with 'pip install gdown'."
        ) from error
    gdown.download(id=file_id, output=path, quiet=False)
    if not check_integrity(path, md5):
        raise RuntimeError(f"{path}: File not found or corrupted.")


def list_dir(root: Any, prefix: bool = False) -> list[str]:
    """The names of the folders in `root`; their paths if `prefix`."""
    root = os.path.expanduser(root)
    names = [name for name in os.listdir(root) if os.path.isdir(os.path.join(root, name))]
    return [os.path.join(root, name) for name in names] if prefix else names


def list_files(root: Any, suffix: Any, prefix: bool = False) -> list[str]:
    """The names of the files in `root` that end with `suffix` (or one of them); their paths if `prefix`."""
    root = os.path.expanduser(root)
    names = [n for n in os.listdir(root) if os.path.isfile(os.path.join(root, n)) and n.endswith(suffix)]
    return [os.path.join(root, name) for name in names] if prefix else names


def _file_type(path: Any) -> tuple[str, str | None, str | None]:
    """(all of the suffix, kind of archive, compression) from a file's name."""
    suffixes = pathlib.Path(path).suffixes
    if not suffixes:
        raise RuntimeError(
            f"File '{path}' has no suffixes that could be used to detect the archive type and compression."
        )
    last = suffixes[-1]
    if last in _SHORT_FORMS:
        return last, *_SHORT_FORMS[last]
    if last in _ARCHIVES:
        return last, last, None
    if last in _OPENERS:
        if len(suffixes) > 1 and suffixes[-2] in _ARCHIVES:
            return suffixes[-2] + last, suffixes[-2], last
        return last, None, last
    known = sorted({*_SHORT_FORMS, *_ARCHIVES, *_OPENERS})
    raise RuntimeError(f"Unknown compression or archive type: '{last}'.\nKnown suffixes are: '{known}'.")


def _check_inside(folder: str, name: str, archive: Any) -> None:
    target = os.path.realpath(os.path.join(folder, name))
    if os.path.commonpath([folder, target]) != folder:
        raise RuntimeError(f"extract_archive: '{archive}' holds '{name}', which lies outside of the target folder")


def _extract_tar(path: Any, folder: str, compression: str | None) -> None:
    mode: Any = f"r:{compression[1:]}" if compression else "r:"
    with tarfile.open(path, mode) as tar:
        for member in tar.getmembers():
            _check_inside(folder, member.name, path)
            if member.issym():
                _check_inside(folder, os.path.join(os.path.dirname(member.name), member.linkname), path)
            elif member.islnk():
                _check_inside(folder, member.linkname, path)
            elif not (member.isfile() or member.isdir()):
                raise RuntimeError(f"extract_archive: '{path}' holds '{member.name}', which is no file or folder")
        options: Any = {"filter": "data"} if hasattr(tarfile, "data_filter") else {}
        tar.extractall(folder, **options)


def _extract_zip(path: Any, folder: str) -> None:
    with zipfile.ZipFile(path) as archive:
        for name in archive.namelist():
            _check_inside(folder, name, path)
        archive.extractall(folder)


def _decompress(path: Any, target: str, compression: str) -> None:
    part = f"{target}.{os.getpid()}.part"
    try:
        with _OPENERS[compression](path, "rb") as source, open(part, "wb") as file:
            shutil.copyfileobj(source, file, 1 << 20)
        os.replace(part, target)
    finally:
        if os.path.exists(part):
            os.remove(part)


def extract_archive(from_path: Any, to_path: Any = None, remove_finished: bool = False) -> Any:
    """Unpacks an archive (.tar, .zip, also compressed by gzip, bzip2 or xz), or a file compressed by one of those, to
    the folder `to_path` (by default, where the archive is). Returns that folder, or the decompressed file's path.

    An archive that is damaged, or whose members lie outside of the folder, raises RuntimeError; nothing is written
    outside."""
    folder = os.path.realpath(os.path.dirname(from_path) if to_path is None else to_path)
    suffix, archive, compression = _file_type(from_path)
    os.makedirs(folder, exist_ok=True)
    result = os.path.dirname(from_path) if to_path is None else os.fspath(to_path)
    try:
        if archive == ".tar":
            _extract_tar(from_path, folder, compression)
        elif archive == ".zip":
            _extract_zip(from_path, folder)
        else:
            assert compression is not None
            result = os.path.join(result, os.path.basename(from_path)[: -len(suffix)])
            _decompress(from_path, result, compression)
    except _DAMAGED as error:
        raise RuntimeError(f"extract_archive: '{from_path}' is damaged or incomplete ({error})") from error
    if remove_finished:
        os.remove(from_path)
    return result if isinstance(from_path, str) else pathlib.Path(result)


def download_and_extract_archive(
    url: str,
    download_root: Any,
    extract_root: Any = None,
    filename: Any = None,
    md5: str | None = None,
    remove_finished: bool = False,
) -> None:
    """`download_url`, then `extract_archive` to `extract_root` (by default, `download_root`)."""
    download_root = os.path.expanduser(download_root)
    filename = filename or os.path.basename(url)
    download_url(url, download_root, filename, md5)
    extract_archive(os.path.join(download_root, filename), extract_root or download_root, remove_finished)


def iterable_to_str(iterable: Iterable) -> str:
    """The items in quotes, with commas between them."""
    return "'" + "', '".join(str(item) for item in iterable) + "'"


def verify_str_arg(
    value: Any, arg: str | None = None, valid_values: Any = None, custom_msg: str | None = None
) -> Any:
    """`value` if it is a string and one of `valid_values`; else raises ValueError."""
    if not isinstance(value, str):
        where = "" if arg is None else f" for argument {arg}"
        raise ValueError(f"Expected type str{where}, but got type {type(value)}.")
    if valid_values is not None and value not in valid_values:
        raise ValueError(
            custom_msg
            or f"Unknown value '{value}' for argument {arg}. Valid values are {{{iterable_to_str(valid_values)}}}."
        )
    return value
