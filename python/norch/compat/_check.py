"""python -m norch.compat --check: which names of torch a program uses and norch lacks, found without running it."""

from __future__ import annotations

import ast
import importlib
import inspect
import os
import re
import sys
from types import ModuleType
from typing import Any, Iterator

import norch

from ._finder import norch_name
from ._missing import reason

__all__ = ["check", "report"]

_TOPS = ("torch", "torchvision", "functorch")


class Use:
    """One name of torch in a program."""

    def __init__(self, name: str, file: str, line: int) -> None:
        self.name, self.file, self.line = name, file, line


_absent = object()


def _member(parent: Any, path: str) -> Any:
    """The attribute or submodule that `path` (a name of torch) ends in, or _absent."""
    leaf = path.rpartition(".")[2]
    try:
        return getattr(parent, leaf)
    except AttributeError:
        pass
    if isinstance(parent, ModuleType):
        try:
            return importlib.import_module(norch_name(path))
        except ImportError:
            pass
    return _absent


def _resolve(path: str) -> tuple[Any, str]:
    """(object, the missing name): the object is _absent where a name is missing. Attributes of what is neither a module
    nor a class are not looked at."""
    top, *rest = path.split(".")
    try:
        found: Any = importlib.import_module(norch_name(top))
    except ImportError:
        return _absent, top
    name = top
    for part in rest:
        name += "." + part
        if not isinstance(found, (ModuleType, type)):
            return found, ""
        found = _member(found, name)
        if found is _absent:
            return _absent, name
    return found, ""


def _makes_tensor(found: Any) -> bool:
    """Whether calling this makes one tensor, as far as the signatures in its documentation tell."""
    if inspect.isclass(found):
        return found is norch.Tensor or type(found).__name__ == "_TensorType"
    signatures = (getattr(found, "__doc__", None) or "").partition("\n\n")[0]
    results = set(re.findall(r"\) -> (.+?)\s*$", signatures, re.MULTILINE)) - {"object"}  # object: the forms with out=
    return bool(results) and results <= {"Tensor", "norch.Tensor"}


class _Program(ast.NodeVisitor):
    """Collects the uses of torch in one file."""

    def __init__(self, file: str, tree: ast.Module) -> None:
        self.file = file
        self.uses: list[Use] = []
        self.local_imports: list[str] = []
        self._aliases: dict[str, str] = {}
        self._guarded = 0
        self._tensors: list[set[str]] = [set()]
        for node in ast.walk(tree):  # what follows needs the names that imports give, wherever they stand
            if isinstance(node, ast.Import):
                self._name_imports(node)
            elif isinstance(node, ast.ImportFrom) and node.level == 0:
                self._name_imports_from(node)
        stored = {n.id for n in ast.walk(tree) if isinstance(n, ast.Name) and isinstance(n.ctx, ast.Store)}
        self._rebound = stored | {n.arg for n in ast.walk(tree) if isinstance(n, ast.arg)}
        self.visit(tree)

    # -- imports

    def _name_imports(self, node: ast.Import) -> None:
        for alias in node.names:
            top = alias.name.partition(".")[0]
            if top in _TOPS:
                self._aliases[alias.asname or top] = alias.name if alias.asname else top

    def _name_imports_from(self, node: ast.ImportFrom) -> None:
        for alias in node.names:
            if (node.module or "").partition(".")[0] in _TOPS and alias.name != "*":
                self._aliases[alias.asname or alias.name] = f"{node.module}.{alias.name}"

    def visit_Import(self, node: ast.Import) -> None:
        for alias in node.names:
            if alias.name.partition(".")[0] in _TOPS:
                self._use(alias.name, node)
            else:
                self.local_imports.append(alias.name)

    def visit_ImportFrom(self, node: ast.ImportFrom) -> None:
        module = node.module or ""
        if node.level == 0 and module.partition(".")[0] in _TOPS:
            for alias in node.names:
                self._use(module if alias.name == "*" else f"{module}.{alias.name}", node)
            return
        dots = "." * node.level
        self.local_imports.append(dots + module)
        self.local_imports += [dots + (module + "." if module else "") + alias.name for alias in node.names]

    # -- names

    def _use(self, name: str, node: ast.AST) -> None:
        if not self._guarded:
            self.uses.append(Use(name, self.file, getattr(node, "lineno", 0)))

    def _path(self, node: ast.AST) -> str | None:
        """torch.x.y of an expression that names it, by whatever alias."""
        if isinstance(node, ast.Name):
            return self._aliases.get(node.id)
        if isinstance(node, ast.Attribute):
            base = self._path(node.value)
            return f"{base}.{node.attr}" if base else None
        return None

    def visit_Attribute(self, node: ast.Attribute) -> None:
        path = self._path(node)
        if path is not None and _root(node) in self._rebound:
            return  # the name of an import, or something else by now
        if path is not None:
            self._use(path, node)
            return
        if self._is_tensor(node.value):
            self._use(f"torch.Tensor.{node.attr}", node)
        self.generic_visit(node)

    # -- what is guarded: names that the program asks for before it uses them

    def visit_Try(self, node: ast.Try) -> None:
        caught = {n.id for h in node.handlers if h.type for n in ast.walk(h.type) if isinstance(n, ast.Name)}
        bare = any(h.type is None for h in node.handlers)
        guards = bare or bool(caught & {"ImportError", "ModuleNotFoundError", "AttributeError", "Exception"})
        self._guarded += guards
        for part in node.body:
            self.visit(part)
        self._guarded -= guards
        for other in [*node.handlers, *node.orelse, *node.finalbody]:
            self.visit(other)

    def visit_If(self, node: ast.If) -> None:
        asks = any(isinstance(n, ast.Call) and getattr(n.func, "id", "") == "hasattr" for n in ast.walk(node.test))
        self.visit(node.test)
        self._guarded += asks
        for part in node.body:
            self.visit(part)
        self._guarded -= asks
        for part in node.orelse:
            self.visit(part)

    # -- tensors, where an expression shows that it is one

    def _is_tensor(self, node: ast.AST) -> bool:
        if isinstance(node, ast.Name):
            return node.id in self._tensors[-1]
        if isinstance(node, ast.Call):
            path = self._path(node.func)
            if path is not None:
                return _makes_tensor(_resolve(path)[0])
            if isinstance(node.func, ast.Attribute) and self._is_tensor(node.func.value):
                return _makes_tensor(getattr(norch.Tensor, node.func.attr, None))
        if isinstance(node, ast.BinOp):
            return self._is_tensor(node.left) or self._is_tensor(node.right)
        return False

    def _visit_scope(self, node: Any) -> None:
        values = _assigned(node)
        # A name is a tensor when everything assigned to it is one, supposing that of the others and itself.
        self._tensors.append(set(values))
        while True:
            kept = {n for n, vs in values.items() if all(v is not None and self._is_tensor(v) for v in vs)}
            if kept == self._tensors[-1]:
                break
            self._tensors[-1] = kept
        self.generic_visit(node)
        self._tensors.pop()

    visit_FunctionDef = visit_AsyncFunctionDef = visit_Module = _visit_scope


def _root(node: ast.AST) -> str:
    """The name that a chain of attributes begins with."""
    while isinstance(node, ast.Attribute):
        node = node.value
    return node.id if isinstance(node, ast.Name) else ""


def _own_nodes(scope: ast.AST) -> Iterator[ast.AST]:
    """What is below a function or module, without the functions and classes in it."""
    for child in ast.iter_child_nodes(scope):
        if not isinstance(child, (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef, ast.Lambda, ast.arguments)):
            yield child
            yield from _own_nodes(child)


def _assigned(scope: ast.AST) -> dict[str, list[ast.AST | None]]:
    """What each local name of a function or module is assigned: None for what is no plain `name = value`."""
    values: dict[str, list[ast.AST | None]] = {}
    plain: set[ast.AST] = set()
    for node in _own_nodes(scope):
        if isinstance(node, ast.Assign) and len(node.targets) == 1 and isinstance(node.targets[0], ast.Name):
            values.setdefault(node.targets[0].id, []).append(node.value)
            plain.add(node.targets[0])
        elif isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store) and node not in plain:
            values.setdefault(node.id, []).append(None)
    arguments = getattr(scope, "args", None)
    for node in ast.walk(arguments) if arguments is not None else ():
        if isinstance(node, ast.arg):
            values.setdefault(node.arg, []).append(None)
    return values


def _beside(name: str, file: str) -> Iterator[str]:
    """The files that an import of the program's own means: those beside it, or in its package."""
    dots = len(name) - len(name.lstrip("."))
    folder = os.path.dirname(os.path.abspath(file))
    for _ in range(dots - 1):
        folder = os.path.dirname(folder)
    path = os.path.join(folder, *[p for p in name[dots:].split(".") if p])
    for candidate in (path + ".py", os.path.join(path, "__init__.py")):
        if os.path.isfile(candidate):
            yield candidate


def check(files: list[str]) -> list[Use]:
    """The uses of names that norch lacks, in these files and what they import from beside them. A Use's name is the
    shortest missing one: torch.fx for torch.fx.Graph. Raises OSError and SyntaxError for files that can't be read."""
    seen: set[str] = set()
    queue, missing = list(files), []
    while queue:
        file = queue.pop(0)
        if os.path.abspath(file) in seen:
            continue
        seen.add(os.path.abspath(file))
        with open(file, "rb") as stream:
            program = _Program(file, ast.parse(stream.read(), file))
        for use in program.uses:
            found, name = _resolve(use.name)
            if found is _absent:
                missing.append(Use(name, use.file, use.line))
        for name in program.local_imports:
            queue += _beside(name, file)
    return missing


def report(files: list[str]) -> int:
    """Prints what `check` finds, one name a line with where it is used. 0 when norch has all, 1 when it lacks some, 2
    when a file can't be read."""
    try:
        missing = check(files)
    except (OSError, SyntaxError) as e:
        print(f"norch.compat --check: {e}", file=sys.stderr)
        return 2
    places: dict[str, list[str]] = {}
    for use in missing:
        where = f"{use.file}:{use.line}"
        if where not in places.setdefault(use.name, []):
            places[use.name].append(where)
    for name in sorted(places):
        why = reason(name)
        shown = ", ".join(places[name][:5]) + (", ..." if len(places[name]) > 5 else "")
        print(f"{name}  {shown}" + (f"  ({why})" if why else ""))
    print(f"{len(places)} name(s) of torch that norch lacks" if places else "norch has every name of torch that is used")
    return 1 if places else 0
