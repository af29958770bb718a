"""Models by name, and their published weights."""

from __future__ import annotations

import fnmatch
import functools
import inspect
import sys
import warnings
from dataclasses import dataclass, field
from enum import Enum
from types import ModuleType
from typing import Any, Callable, Iterable

import norch.nn as nn

__all__ = [
    "Weights",
    "WeightsEnum",
    "get_model",
    "get_model_builder",
    "get_model_weights",
    "get_weight",
    "list_models",
]

_ADDRESS = "https://download.pytorch.org/models/"
_BUILDERS: dict[str, Callable[..., nn.Module]] = {}
_WEIGHTS: dict[Callable, Any] = {}


@dataclass
class Weights:
    """Where published weights are (`url`), what makes the transform that they want (`transforms`), facts (`meta`)."""

    url: str
    transforms: Callable
    meta: dict[str, Any] = field(default_factory=dict)


class WeightsEnum(Enum):
    """Base class of the published weights of a model; DEFAULT is the best of them."""

    @classmethod
    def verify(cls, obj: Any) -> Any:
        """The member that `obj` (a member, its name, or None) is."""
        if isinstance(obj, str):
            return cls[obj.replace(cls.__name__ + ".", "")]
        if obj is not None and not isinstance(obj, cls):
            raise TypeError(
                f"Invalid Weight class provided; expected {cls.__name__} but received {type(obj).__name__}."
            )
        return obj

    def get_state_dict(self, *args: Any, progress: bool = True, check_hash: bool = False, **kwargs: Any) -> Any:
        """The weights, from the folder of downloads (`norch.hub.get_dir()`/checkpoints, which is PyTorch's), downloaded
        to it first where they are missing. Without a network, RuntimeError says where to put the file."""
        from norch.hub import load_state_dict_from_url

        options: Any = {"map_location": "cpu", "progress": progress, "check_hash": check_hash, **kwargs}
        return load_state_dict_from_url(self.url, *args, **options)

    @property
    def url(self) -> str:
        """Where the file of the weights is."""
        return self.value.url

    @property
    def transforms(self) -> Callable:
        """Makes the transform with which the weights were evaluated."""
        return self.value.transforms

    @property
    def meta(self) -> dict[str, Any]:
        """Facts about the weights."""
        return self.value.meta

    def __repr__(self) -> str:
        return f"{type(self).__name__}.{self.name}"

    def __reduce_ex__(self, protocol: Any) -> Any:
        return getattr, (type(self), self.name)


def _classification(crop_size: int = 224, interpolation: str = "bilinear", **options: Any) -> Any:
    from ..transforms._presets import ImageClassification
    from ..transforms.functional import InterpolationMode

    return ImageClassification(crop_size=crop_size, interpolation=InterpolationMode(interpolation), **options)


def segmentation(**options: Any) -> Any:
    """The transform of the weights of segmentation models."""
    from ..transforms._presets import SemanticSegmentation

    return SemanticSegmentation(**options)


def weights(
    name: str,
    *versions: Any,
    default: int = -1,
    transform: Callable[..., Any] = _classification,
    num_classes: int = 1000,
    **others: Any,
) -> Any:
    """The enum of the published weights `IMAGENET1K_V1`, `IMAGENET1K_V2`, ... (and those named by keyword): each a
    file's name, or a pair of that and the options of their `transform`."""
    members: dict[str, Weights] = {}
    named = {f"IMAGENET1K_V{i + 1}": version for i, version in enumerate(versions)}
    for key, version in {**named, **others}.items():
        file, options = (version, {}) if isinstance(version, str) else version
        meta = {"num_classes": num_classes}
        if transform is _classification:
            meta["crop_size"] = options.get("crop_size", 224)
        members[key] = Weights(_ADDRESS + file, functools.partial(transform, **options), meta)
    chosen = list(named or members)[default]
    members["DEFAULT"] = members[chosen]
    make: Any = WeightsEnum
    made = make(name, members, module=sys._getframe(1).f_globals["__name__"])
    made.__doc__ = f"The weights published for {name.removesuffix('_Weights')}."
    return made


def _from_old_flag(kwargs: dict[str, Any], old: str, new: str, meant: Any, model: str) -> None:
    """Replaces `pretrained=True`, and True for `weights`, by the weights that this meant, with a warning."""
    given = old in kwargs
    asked = kwargs.pop(old) if given else kwargs.get(new)
    if not given and (asked is None or isinstance(asked, (str, WeightsEnum))):
        return
    if asked and meant is None:
        raise ValueError(f"No weights available for model {model}")
    kwargs[new] = meant if asked else None
    warnings.warn(
        f"The parameter '{old}', and arguments other than a weight enum or `None` for '{new}', are deprecated since "
        f"0.13 and may be removed in the future. This is the same as `{new}={kwargs[new]}`.",
        stacklevel=4,
    )


def _from_pretrained(make: Callable, enum: Any, args: tuple, kwargs: dict[str, Any]) -> None:
    """Replaces the old ways to ask for weights (positional, True, `pretrained=True`) by `weights=`, with a warning."""
    if args:
        passed = dict(zip(("weights", "progress"), args))
        warnings.warn(
            f"Using {' and '.join(map(repr, passed))} as positional parameter(s) is deprecated since 0.13 and may be "
            "removed in the future. Please use keyword parameter(s) instead.",
            stacklevel=3,
        )
        kwargs.update(passed)
    firsts = ("IMAGENET1K_V1", "COCO_V1", "COCO_WITH_VOC_LABELS_V1")
    _from_old_flag(
        kwargs, "pretrained", "weights", next((w for w in enum if w.name in firsts), None), make.__name__
    )
    backbone = inspect.signature(make).parameters.get("weights_backbone")
    if backbone is not None:
        _from_old_flag(kwargs, "pretrained_backbone", "weights_backbone", backbone.default, make.__name__)


def set_argument(kwargs: dict[str, Any], name: str, value: Any) -> None:
    """Sets the argument; another value that was given raises ValueError."""
    if kwargs.get(name) is None:
        kwargs[name] = value
    if kwargs[name] != value:
        raise ValueError(f"The parameter '{name}' expected value {value} but got {kwargs[name]} instead.")


def model(
    enum: Any,
    *,
    arguments: Callable[[Any, dict[str, Any]], None] | None = None,
    rename: Callable[[str], str] = str,
    loaded: Callable[[nn.Module, dict[str, Any]], None] | None = None,
) -> Callable[[Callable[..., nn.Module]], Callable[..., Any]]:
    """Makes the builder of a model, `f(*, weights=None, progress=True, **kwargs)`, of a function of kwargs alone.

    With weights, `arguments(weights, kwargs)` sets what they need, `rename` gives the names of parameters in an old
    file, and `loaded(model, kwargs as they were given)` ends the loading."""

    def outer(make: Callable[..., nn.Module]) -> Callable[..., Any]:
        @functools.wraps(make)
        def build(*args: Any, **kwargs: Any) -> nn.Module:
            _from_pretrained(make, enum, args, kwargs)
            chosen = enum.verify(kwargs.pop("weights", None))
            progress = kwargs.pop("progress", True)
            if chosen is None:
                return make(**kwargs)
            given = dict(kwargs)
            if arguments is not None:
                arguments(chosen, kwargs)
            set_argument(kwargs, "num_classes", chosen.meta["num_classes"])
            state = chosen.get_state_dict(progress=progress, check_hash=True)
            built = make(**kwargs)
            built.load_state_dict({rename(key): value for key, value in state.items()})
            if loaded is not None:
                loaded(built, given)
            return built

        only, more = inspect.Parameter.KEYWORD_ONLY, inspect.Parameter.VAR_KEYWORD
        parameters = [
            inspect.Parameter("weights", only, default=None),
            inspect.Parameter("progress", only, default=True),
            inspect.Parameter("kwargs", more),
        ]
        build.__signature__ = inspect.Signature(parameters)  # type: ignore[attr-defined]
        _BUILDERS[make.__name__] = build
        _WEIGHTS[build] = enum
        return build

    return outer


def get_weight(name: str) -> WeightsEnum:
    """The weights of that name, such as "ResNet50_Weights.IMAGENET1K_V2"."""
    enum, dot, member = name.partition(".")
    if not dot or "." in member:
        raise ValueError(f"Invalid weight name provided: '{name}'.")
    for found in _WEIGHTS.values():
        if found.__name__ == enum:
            return found[member]
    raise ValueError(f"The weight enum '{enum}' for the specific method couldn't be retrieved.")


def get_model_weights(name: Callable | str) -> Any:
    """The enum of the weights of a model, given by its name or its builder."""
    builder = get_model_builder(name) if isinstance(name, str) else name
    if builder not in _WEIGHTS:
        raise ValueError("The WeightsEnum class for the specific method couldn't be retrieved.")
    return _WEIGHTS[builder]


def get_model_builder(name: str) -> Callable[..., nn.Module]:
    """The function that makes the model of that name."""
    builder = _BUILDERS.get(name.lower())
    if builder is None:
        raise ValueError(f"Unknown model {name}")
    return builder


def get_model(name: str, **config: Any) -> nn.Module:
    """The model of that name, made with the arguments `config`.

    >>> from norch.vision import models
    >>> models.get_model("squeezenet1_1", num_classes=10)(norch.randn(2, 3, 32, 32)).shape
    norch.Size([2, 10])
    """
    return get_model_builder(name)(**config)


def _matching(names: Iterable[str], patterns: Iterable[str] | str | None) -> set[str]:
    patterns = [patterns] if isinstance(patterns, str) else patterns or []
    return {name for pattern in patterns for name in fnmatch.filter(names, pattern)}


def list_models(
    module: ModuleType | None = None,
    include: Iterable[str] | str | None = None,
    exclude: Iterable[str] | str | None = None,
) -> list[str]:
    """The names of all models (of `module`), sorted: those that match one of the patterns `include` (by default all),
    and none of `exclude`.

    >>> from norch.vision import models
    >>> models.list_models(include="resnet*", exclude="*1*")
    ['resnet34', 'resnet50']
    """
    names = {n for n, b in _BUILDERS.items() if module is None or b.__module__.rpartition(".")[0] == module.__name__}
    return sorted((_matching(names, include) if include else names) - _matching(names, exclude))
