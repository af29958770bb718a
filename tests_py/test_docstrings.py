"""Runs every example (>>>) in the docstrings of norch's public modules, functions, methods and classes."""

import doctest
import importlib
import inspect
import pkgutil

import pytest

import norch

NAMES = {"norch": norch, "nn": norch.nn, "F": norch.nn.functional}
FLAGS = doctest.NORMALIZE_WHITESPACE | doctest.ELLIPSIS


def modules():
    yield norch
    for info in pkgutil.walk_packages(norch.__path__, "norch."):
        if not any(part.startswith("_") for part in info.name.split(".")[1:]):
            yield importlib.import_module(info.name)


def documented():
    """(name, docstring) of what has an example, each docstring once."""
    seen = set()
    for module in modules():
        if ">>>" in (module.__doc__ or ""):
            yield module.__name__, module.__doc__
        for name, value in vars(module).items():
            if name.startswith("_") or not str(getattr(value, "__module__", "")).startswith("norch"):
                continue
            members = vars(value).items() if inspect.isclass(value) else ()
            for path, thing in [(name, value), *((f"{name}.{key}", member) for key, member in members)]:
                doc = getattr(thing, "__doc__", None)
                if isinstance(doc, str) and ">>>" in doc and doc not in seen:
                    seen.add(doc)
                    yield f"{module.__name__}.{path}", doc


EXAMPLES = sorted(documented())


# In-place forms, copies of views and old names are told by the function that they stand for; others compute nothing.
WITHOUT_EXAMPLE = (
    "_", "_copy", "upsample", "upsample_nearest", "upsample_bilinear", "is_inference_mode_enabled", "load",
    "set_default_tensor_type", "set_printoptions", "multi_head_attention_forward", "linear_cross_entropy",
    "triplet_margin_with_distance_loss",
)


def test_every_operation_has_an_example():
    missing = []
    for space in (norch, norch.nn.functional, norch.linalg, norch.fft, norch.special, norch.signal.windows):
        for name, value in vars(space).items():
            if name.startswith("_") or inspect.isclass(value) or not inspect.isroutine(value):
                continue
            if not name.endswith(WITHOUT_EXAMPLE) and ">>>" not in (value.__doc__ or ""):
                missing.append(f"{space.__name__}.{name}")
    assert not missing


@pytest.mark.parametrize("name,doc", [pytest.param(n, d, id=n) for n, d in EXAMPLES])
def test_example(name, doc):
    example = doctest.DocTestParser().get_doctest(doc, dict(NAMES), name, None, 0)
    report: list[str] = []
    doctest.DocTestRunner(optionflags=FLAGS, verbose=False).run(example, out=report.append)
    assert not report, "".join(report)
