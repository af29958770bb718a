"""Runs every example (>>>) in the docstrings of norch's public functions, methods and classes."""

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


def test_there_are_examples():
    assert len(EXAMPLES) > 10


@pytest.mark.parametrize("name,doc", [pytest.param(n, d, id=n) for n, d in EXAMPLES])
def test_example(name, doc):
    example = doctest.DocTestParser().get_doctest(doc, dict(NAMES), name, None, 0)
    report: list[str] = []
    doctest.DocTestRunner(optionflags=FLAGS, verbose=False).run(example, out=report.append)
    assert not report, "".join(report)
