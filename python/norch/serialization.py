"""`save` and `load`: checkpoints in the format of `torch.save`.

A file is an uncompressed zip: `data.pkl` with the structure, `data/0`, `data/1`, ... with the memory of
the tensors. Unless told to with `weights_only=False`, loading runs no code from the file, whatever is in it.
"""

from __future__ import annotations

import contextlib
import io
import os
import pickle
import pickletools
import tempfile
from typing import IO, Any, Callable, Iterator, TypeAlias, Union

import numpy as np

import norch
from norch._C import Tensor

from ._archive import Archive, write_archive
from ._legacy_file import LegacyFile, write_legacy
from ._pickler import dumps, storage_count
from ._rebuild import ALLOWED, StorageType
from ._safe_globals import add_safe_globals as add_safe_globals
from ._safe_globals import allowed
from ._safe_globals import clear_safe_globals as clear_safe_globals
from ._safe_globals import get_safe_globals as get_safe_globals
from ._safe_globals import safe_globals as safe_globals
from ._unpickler import SafeUnpickler

#: What load takes as map_location.
MAP_LOCATION: TypeAlias = Union[Callable[[Any, str], Any], norch.device, str, dict[str, str], None]
FILE_LIKE: TypeAlias = Union[str, os.PathLike, IO[bytes]]

__all__ = [
    "add_safe_globals",
    "clear_safe_globals",
    "get_safe_globals",
    "get_unsafe_globals_in_checkpoint",
    "load",
    "safe_globals",
    "save",
]

_NUMPY_STAND_IN = {"bfloat16": "int16"}


def _name_of(dtype: Any) -> str:
    return str(dtype).rpartition(".")[2]


# -- writing ----------------------------------------------------------------------------------------


class _Storages:
    """The distinct pieces of memory behind the tensors of a checkpoint."""

    def __init__(self) -> None:
        self.tensors: list[Tensor] = []
        self._keys: dict[tuple, int] = {}

    def __call__(self, t: Tensor) -> tuple[str, int, int]:
        t = t.detach()
        storage = t.untyped_storage()
        numel = storage.nbytes() // t.dtype.itemsize
        # Memory that is seen as two dtypes is written twice: the format has one dtype per storage.
        identity = (str(t.device), storage.data_ptr(), storage.nbytes(), _name_of(t.dtype))
        if identity not in self._keys:
            self._keys[identity] = len(self.tensors)
            self.tensors.append(t.as_strided((numel,), (1,), 0))
        return str(self._keys[identity]), numel, t.storage_offset()


def _bytes_of(t: Tensor) -> Any:
    t = t.cpu()
    stand_in = _NUMPY_STAND_IN.get(_name_of(t.dtype))
    return memoryview((t if stand_in is None else t.view(getattr(norch, stand_in))).numpy().view(np.uint8))


def _write(file: Any, obj: Any, root: str, zipped: bool) -> None:
    storages = _Storages()
    pickled = dumps(obj, storages, () if zipped else (None,))
    if zipped:
        write_archive(file, root, pickled, map(_bytes_of, storages.tensors))
        return
    write_legacy(file, pickled, [(storage_count(t.dtype, t.numel()), _bytes_of(t)) for t in storages.tensors])


@contextlib.contextmanager
def _replacing(path: str) -> Iterator[Any]:
    """A file that takes the place of `path` only once it is complete and on disk."""
    path = os.path.realpath(path)  # a link stays one
    folder, name = os.path.split(path)
    fd, temporary = tempfile.mkstemp(prefix=f".{name}.", suffix=".tmp", dir=folder)
    try:
        with os.fdopen(fd, "wb") as file:
            yield file
            file.flush()
            os.fsync(file.fileno())
        try:
            mode = os.stat(path).st_mode & 0o777
        except FileNotFoundError:
            mask = os.umask(0)
            os.umask(mask)
            mode = 0o666 & ~mask
        os.chmod(temporary, mode)
        os.replace(temporary, path)
    except BaseException:
        with contextlib.suppress(OSError):
            os.unlink(temporary)
        raise


def save(
    obj: Any,
    f: Any,
    pickle_module: Any = None,
    pickle_protocol: int = 2,
    _use_new_zipfile_serialization: bool = True,
) -> None:
    """Writes an object to a path or a binary file object, in the format of torch.save.

    Of tensors, parameters, numbers, texts and containers of them, such as a `state_dict()`, torch.load and
    norch.load read the file. Anything else is pickled as by Python's pickle, norch's classes under norch's
    names: `load(weights_only=False)` reads such a file, with norch alone. Tensors that share memory share it
    again after loading; NumPy's numbers become Python's. A path is replaced only once the whole file is
    written, so that an interrupted save leaves the previous file as it was. pickle_module and
    pickle_protocol are accepted, and have no effect. Raises pickle.PicklingError for what can't be pickled,
    RuntimeError for a folder that does not exist.

    >>> import io
    >>> file = io.BytesIO()
    >>> norch.save({"w": norch.ones(2), "epoch": 3}, file)
    >>> _ = file.seek(0)
    >>> norch.load(file)
    {'w': tensor([1., 1.]), 'epoch': 3}
    """
    if isinstance(f, (str, os.PathLike)):
        path = os.fspath(f)
        if not os.path.isdir(os.path.dirname(os.path.abspath(path))):
            raise RuntimeError(f"Parent directory {os.path.dirname(path) or '.'} does not exist.")
        replaced = os.path.isfile(path) or not os.path.exists(path)  # a pipe or a device is written to as it is
        with _replacing(path) if replaced else open(path, "wb") as file:
            _write(file, obj, os.path.splitext(os.path.basename(path))[0] or "archive", _use_new_zipfile_serialization)
        return
    if not hasattr(f, "write"):
        raise AttributeError(
            f"expected 'f' to be string, path, or a file-like object with a 'write' attribute, but got {type(f)}"
        )
    _write(f, obj, "archive", _use_new_zipfile_serialization)


# -- reading ----------------------------------------------------------------------------------------


def _locate(t: Tensor, location: str, map_location: Any, label: str) -> Tensor:
    """The storage on the device that the file, or the caller, wants it on."""
    if callable(map_location) and not isinstance(map_location, norch.device):
        moved = map_location(t, location)
        if isinstance(moved, Tensor):
            return moved
    elif isinstance(map_location, dict):
        location = map_location.get(location, location)
    elif map_location is not None:
        location = str(map_location)
    if location == "cpu":
        return t
    try:
        device = norch.device(location)
    except (RuntimeError, ValueError):
        raise RuntimeError(f"load: {label} holds a tensor of the unknown device {location!r}") from None
    if device.type == "cuda" and not norch.cuda.is_available():
        raise RuntimeError(
            "Attempting to deserialize object on a CUDA device but norch.cuda.is_available() is False. If you are "
            "running on a CPU-only machine, please use norch.load with map_location=norch.device('cpu') to map your "
            "storages to the CPU."
        )
    return t.to(device)


def default_restore_location(storage: Any, location: str) -> Any:
    """What load does with each storage: the same on the device called `location`. map_location functions call it."""
    if isinstance(storage, Tensor):
        return _locate(storage, str(location), None, "default_restore_location")
    return storage.cuda(location) if str(location).startswith("cuda") else storage.cpu()


def _make_native(data: Any, dtype: Any, swap: bool) -> None:
    """Makes the bytes of a storage what they mean on this machine."""
    name = _name_of(dtype)
    if name == "bool":
        if data.size and data.max() > 1:
            np.minimum(data, 1, out=data)  # other bytes would be no bools
    elif swap and dtype.itemsize > 1:
        data.view(_NUMPY_STAND_IN.get(name, name)).byteswap(inplace=True)


class _Loader:
    """The storages of one file: made when a tensor first asks for them. `bytes_of(key, numel, itemsize)`
    returns the memory of one, as uint8 array; `late`: it is filled only after the object was read."""

    def __init__(self, bytes_of: Callable, swap: bool, late: bool, map_location: Any, label: str) -> None:
        self._bytes_of, self._swap, self._late = bytes_of, swap, late
        self._map_location, self._label = map_location, label
        self._made: dict[str, tuple[Any, Any, Tensor, Tensor]] = {}

    def __call__(self, kind: StorageType, key: str, location: str, numel: int) -> Tensor:
        if key in self._made:
            if self._made[key][0] != kind.dtype:
                raise pickle.UnpicklingError(f"load: storage {key!r} has two dtypes")
            return self._made[key][3]
        data = self._bytes_of(key, numel, kind.dtype.itemsize)
        if data.ctypes.data % kind.dtype.itemsize != 0:  # in a file that is mapped
            data = data.copy()
        if not self._late:
            _make_native(data, kind.dtype, self._swap)
        name = _name_of(kind.dtype)
        read = norch.from_numpy(data.view(_NUMPY_STAND_IN.get(name, name)))
        read = read.view(kind.dtype) if name in _NUMPY_STAND_IN else read
        located = _locate(read, location, self._map_location, self._label)
        self._made[key] = (kind.dtype, data, read, located)
        return located

    def finish(self) -> None:
        """The late storages are filled."""
        for dtype, data, read, located in self._made.values():
            _make_native(data, dtype, self._swap)
            if located.data_ptr() != read.data_ptr():
                located.copy_(read)


class _Request:
    """What the caller of `load` wants."""

    def __init__(self, map_location: Any, safe: bool, pickle_module: Any, options: dict[str, Any]) -> None:
        self.map_location, self.safe, self.pickle_module, self.options = map_location, safe, pickle_module, options

    def unpickle(self, data: bytes, at: int, storage: Any) -> tuple[Any, int]:
        """The object pickled at `at`, and where the pickle ends."""
        if self.safe:
            reader = SafeUnpickler(data, storage, allowed(), at, self.options.get("encoding", "utf-8"))
            return reader.load(), reader.at
        from ._trusting import trusting_load

        stream = io.BytesIO(data)
        stream.seek(at)
        return trusting_load(stream, storage, self.pickle_module, self.options), stream.tell()

    def load_zip(self, archive: Archive) -> Any:
        def bytes_of(key: str, numel: int, itemsize: int) -> Any:
            data = archive.read(f"data/{key}")
            if data.nbytes != numel * itemsize:
                archive.fail(f"storage {key!r} has {data.nbytes} bytes, but {numel} elements of {itemsize} bytes each")
            return data

        swap = archive.has("byteorder") and bytes(archive.read("byteorder")) == b"big"
        storage = _Loader(bytes_of, swap, False, self.map_location, archive.label)
        return self.unpickle(bytes(archive.read("data.pkl")), 0, storage)[0]

    def load_legacy(self, file: Any, label: str) -> Any:
        start = file.tell()
        old = LegacyFile(file.read(), label)
        storage = _Loader(old.reserve, old.swap, True, self.map_location, label)
        obj = old.read_object(lambda data, at: self.unpickle(data, at, storage))
        old.finish()
        storage.finish()
        file.seek(start + old.at)  # another checkpoint may follow
        return obj

    def load(self, file: Any, label: str, mapped: Any = None) -> Any:
        start = file.tell()
        magic = file.read(4)
        file.seek(start)
        if not magic:
            raise EOFError(f"Ran out of input: {label} is empty or at its end; seek(0) to read it from the start")
        if magic == b"PK\x03\x04":
            return self.load_zip(Archive(file, label, mapped))
        if mapped is not None:
            raise RuntimeError(
                "mmap can only be used with files saved with `torch.save(_use_new_zipfile_serialization=True), "
                "please torch.save your checkpoint with this option in order to use mmap."
            )
        return self.load_legacy(file, label)


def load(
    f: Any,
    map_location: Any = None,
    pickle_module: Any = None,
    *,
    weights_only: bool | None = None,
    mmap: bool | None = None,
    **pickle_load_args: Any,
) -> Any:
    """Reads what `save` or torch.save wrote, from a path or a seekable binary file object.

    map_location: a device, a dict from saved to wanted devices, or a function (tensor, location) ->
    tensor; by default tensors come back to the device they were saved from.

    weights_only (default True): restores tensors, numbers, texts, containers and NumPy's numbers and arrays,
    and what `norch.serialization.add_safe_globals` allowed; no other name in the file is looked up, and no
    code of it runs. weights_only=False: Python's pickle, which imports and calls whatever the file says
    (what it calls torch is norch); it restores whole modules whose classes can be imported. Use it on files
    that you trust only.

    mmap: the tensors use a private mapping of the file, which is read when they are. pickle_module:
    with weights_only=False, whose `Unpickler` to use. encoding="latin1" etc. is for texts of Python 2.

    A damaged file raises RuntimeError or pickle.UnpicklingError, as does a name that is not allowed."""
    if weights_only and pickle_module is not None:
        raise RuntimeError("Can not safely load weights when explicit pickle_module is specified")
    safe = pickle_module is None if weights_only is None else bool(weights_only)
    request = _Request(map_location, safe, pickle_module, pickle_load_args)
    if isinstance(f, (str, os.PathLike)):
        with open(f, "rb") as file:
            mapped = None
            if mmap and os.path.getsize(f):
                mapped = np.asarray(np.memmap(f, np.uint8, "c"))
            return request.load(file, os.fspath(f), mapped)
    if mmap:
        raise ValueError("f must be a file path in order to use the mmap argument")
    missing = [name for name in ("read", "readline", "seek", "tell") if not hasattr(f, name)]
    if missing:
        raise AttributeError(
            f"'{type(f).__name__}' object has no attribute '{missing[0]}'. You can only load from a path or from a "
            "file that is seekable. Please pre-load the data into a buffer like io.BytesIO and try to load from it "
            "instead."
        )
    return request.load(f, "the file")


def get_unsafe_globals_in_checkpoint(f: Any) -> list[str]:
    """The names in a file (zip format) that `load(weights_only=True)` would refuse."""
    with contextlib.ExitStack() as stack:
        file = stack.enter_context(open(f, "rb")) if isinstance(f, (str, os.PathLike)) else f
        pickled = bytes(Archive(file, "the file").read("data.pkl"))
    found: dict[str, None] = {}
    texts: list[Any] = ["", ""]
    try:
        for opcode, value, _ in pickletools.genops(pickled):
            if opcode.name == "GLOBAL":
                found[str(value).replace(" ", ".", 1)] = None
            elif opcode.name == "STACK_GLOBAL":
                found[f"{texts[-2]}.{texts[-1]}"] = None
            elif isinstance(value, str):
                texts = [texts[-1], value]
    except ValueError as e:
        raise pickle.UnpicklingError(f"load: the pickle in the file is damaged ({e})") from None
    known = {**allowed(), **ALLOWED}
    return [name for name in found if name.replace("__builtin__", "builtins") not in known]
