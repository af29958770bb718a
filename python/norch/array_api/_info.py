"""What the namespace can do: __array_namespace_info__()."""

from __future__ import annotations

import norch
from norch.array_api._dtypes import _KINDS, isdtype

_DTYPES = (
    "bool int8 int16 int32 int64 uint8 uint16 uint32 uint64 float32 float64 complex64 complex128"
).split()


class _Info:
    """Capabilities, devices and dtypes, as the standard's inspection functions give them."""

    def capabilities(self) -> dict:
        return {"boolean indexing": True, "data-dependent shapes": True, "max dimensions": 64}

    def default_device(self):
        return norch.device("cpu")

    def default_dtypes(self, *, device=None) -> dict:
        real = norch.get_default_dtype()
        return {
            "real floating": real,
            "complex floating": real.to_complex(),
            "integral": norch.int64,
            "indexing": norch.int64,
        }

    def dtypes(self, *, device=None, kind=None) -> dict:
        if kind is not None:
            for k in kind if isinstance(kind, tuple) else (kind,):
                if k not in _KINDS:
                    raise ValueError(f"dtypes: unknown kind {k!r}; expected one of {', '.join(_KINDS)}")
        every = {name: getattr(norch, name) for name in _DTYPES}
        return {name: t for name, t in every.items() if kind is None or isdtype(t, kind)}

    def devices(self) -> list:
        return [norch.device("cpu")] + [norch.device("cuda", i) for i in range(norch.cuda.device_count())]


def __array_namespace_info__() -> _Info:
    """The namespace's capabilities, devices and dtypes."""
    return _Info()
