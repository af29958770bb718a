"""Data sets, transforms and models of images, as in torchvision.

`norch.vision.datasets`, `transforms`, `models`, `ops`, `io` and `utils` have torchvision's names and are imported when
first used. Pillow decodes images: `pip install 'norch[vision]'`.
"""

import importlib as _importlib
from typing import TYPE_CHECKING as _TYPE_CHECKING
from typing import Any as _Any

from norch._C import __version__ as __version__

if _TYPE_CHECKING:
    from norch.vision import datasets as datasets
    from norch.vision import io as io
    from norch.vision import models as models
    from norch.vision import ops as ops
    from norch.vision import transforms as transforms
    from norch.vision import utils as utils

_LAZY = ("datasets", "io", "models", "ops", "transforms", "utils")


def get_image_backend() -> str:
    """The package that decodes images: always "PIL"."""
    return "PIL"


def set_image_backend(backend: str) -> None:
    """Accepts "PIL"; norch decodes images with nothing else."""
    if backend != "PIL":
        raise ValueError(f"Invalid backend '{backend}'. norch.vision decodes images with 'PIL' only")


def __getattr__(name: str) -> _Any:
    if name in _LAZY:
        return _importlib.import_module("norch.vision." + name)
    raise AttributeError(f"module 'norch.vision' has no attribute '{name}'")


def __dir__() -> list[str]:
    return sorted({*globals(), *_LAZY})
