"""Writes the type stubs of norch._C: `generate_stubs.py FOLDER` with the package importable.

nanobind records the signature of every function it binds. The types that are written against CPython's own interface
(Tensor, Parameter, dtype, Size) have none for their operators and attributes, so those are listed here; one that is
missing from the lists is typed as Any.
"""

import ast
import builtins
import enum
import inspect
import keyword
import re
import sys
import types
from pathlib import Path
from typing import Any

import norch  # the package adds methods to Tensor
from norch import _C

NUMBER = "builtins.bool | builtins.int | builtins.float"
OPERAND = f"norch.Tensor | {NUMBER}"

# What a binding returns, where its signature has the name of what it would also take for that. A binding that returns
# nb::object returns one of several types: Any, so that programs needn't cast.
RETURNED = {
    "object": "typing.Any",
    "object | None": "typing.Any",
    "int | Sequence[int]": "norch.Size",
    "collections.abc.Sequence[int] | int": "norch.Size",
    "int | collections.abc.Sequence[int]": "norch.Size",
    "device | str | int": "norch.device",
    "norch.device | str | int": "norch.device",
}

# Read-only attributes; those in WRITABLE can be assigned too.
ATTRIBUTES = {
    "shape": "norch.Size",
    "dtype": "norch.dtype",
    "device": "norch.device",
    "grad": "norch.Tensor | None",
    "data": "norch.Tensor",
    "T": "norch.Tensor",
    "mT": "norch.Tensor",
    "H": "norch.Tensor",
    "mH": "norch.Tensor",
    "real": "norch.Tensor",
    "imag": "norch.Tensor",
    "_base": "norch.Tensor | None",
    "_version": "builtins.int",
    "grad_fn": "typing.Any",
    "ndim": "builtins.int",
    "itemsize": "builtins.int",
    "nbytes": "builtins.int",
    "output_nr": "builtins.int",
    "is_cuda": "builtins.bool",
    "is_cpu": "builtins.bool",
    "is_leaf": "builtins.bool",
    "is_sparse": "builtins.bool",
    "is_signed": "builtins.bool",
    "is_complex": "builtins.bool",
    "is_floating_point": "builtins.bool",
    "requires_grad": "builtins.bool",
    "retains_grad": "builtins.bool",
}
WRITABLE = {"grad", "data", "requires_grad"}

BINARY = "add sub mul truediv floordiv mod pow matmul and or xor lshift rshift".split()
COMPARISONS = "lt le eq ne gt ge".split()
OPERATORS = {
    **{f"__{name}__": f"(self, other: {OPERAND}, /) -> norch.Tensor" for name in BINARY},
    **{f"__r{name}__": f"(self, other: {OPERAND}, /) -> norch.Tensor" for name in BINARY},
    **{f"__i{name}__": f"(self, other: {OPERAND}, /) -> typing.Self" for name in BINARY},
    **{f"__{name}__": "(self, other: typing.Any, /) -> norch.Tensor" for name in COMPARISONS},
    **{f"__{name}__": "(self) -> norch.Tensor" for name in ("neg", "pos", "abs", "invert")},
    "__bool__": "(self) -> builtins.bool",
    "__int__": "(self) -> builtins.int",
    "__index__": "(self) -> builtins.int",
    "__float__": "(self) -> builtins.float",
    "__len__": "(self) -> builtins.int",
    "__hash__": "(self) -> builtins.int",
    "__repr__": "(self) -> builtins.str",
    "__str__": "(self) -> builtins.str",
    "__iter__": "(self) -> typing.Iterator[norch.Tensor]",
    "__getitem__": "(self, index: typing.Any, /) -> norch.Tensor",
    "__setitem__": "(self, index: typing.Any, value: typing.Any, /) -> None",
    "__contains__": "(self, element: typing.Any, /) -> builtins.bool",
}
CONSTRUCTORS = {
    "Tensor": "(self, *args: typing.Any, device: norch.device | builtins.str | builtins.int | None = None) -> None",
    "Parameter": "(self, data: norch.Tensor | None = None, requires_grad: builtins.bool = True) -> None",
}
# Methods of types other than Tensor that are written against CPython's interface.
METHODS = {
    ("dtype", "to_complex"): "(self) -> norch.dtype",
    ("dtype", "to_real"): "(self) -> norch.dtype",
    ("Size", "numel"): "(self) -> builtins.int",
    ("Size", "__add__"): "(self, other: builtins.tuple[builtins.int, ...], /) -> norch.Size",
    ("Size", "__getitem__"): "(self, index: typing.Any, /) -> typing.Any",
}
BASES = {"Size": "builtins.tuple[builtins.int, ...]"}
# What the checker says of a signature that differs from the base class's on purpose.
OVERRIDES = "  # type: ignore[override]"
OVERRIDING = {("Tensor", "__eq__"), ("Tensor", "__ne__"), ("Size", "__add__")}
GENERICS = {"tuple": "[typing.Any, ...]", "list": "[typing.Any]", "dict": "[typing.Any, typing.Any]", "type": "[typing.Any]"}
SKIPPED = {"__new__", "__doc__", "__module__", "__dict__", "__weakref__", "__dictoffset__", "__weaklistoffset__"}


class Qualify(ast.NodeTransformer):
    """Writes builtins.int for int, since norch has names like int, float and bool of its own."""

    def __init__(self) -> None:
        self.modules = {"builtins", "norch", "typing"}
        self.scope: dict[str, Any] = {}  # what the names mean in a signature written in Python

    def visit_Subscript(self, node: ast.Subscript) -> ast.expr:
        value = self.visit(node.value)
        if isinstance(value, ast.Subscript):  # visit() gave a bare generic its parameters
            value = value.value
        return ast.Subscript(value, self.visit(node.slice), ast.Load())

    def visit_Name(self, node: ast.Name) -> ast.expr:
        meaning = self.scope.get(node.id)
        if isinstance(meaning, types.ModuleType):
            return ast.parse(meaning.__name__, mode="eval").body
        if meaning is not None:
            name = getattr(meaning, "__qualname__", node.id)
            module = "norch" if vars(norch).get(name) is meaning else meaning.__module__
            return self.visit(ast.parse(f"{module}.{name}", mode="eval").body)
        if hasattr(builtins, node.id):
            return ast.parse(f"builtins.{node.id}{GENERICS.get(node.id, '')}", mode="eval").body
        return node

    def visit_Attribute(self, node: ast.Attribute) -> ast.expr:
        # norch._C.device and nanobind's names for its own types are known under norch.
        text = ast.unparse(node).replace("norch._C.", "norch.").replace("norch.nn.Parameter", "norch._C.Parameter")
        inner = text.split(".")
        if len(inner) > 2 and inner[0] == "norch" and isinstance(vars(_C).get(inner[1]), types.ModuleType):
            text = "norch._C." + ".".join(inner[1:])
            self.modules.add(f"norch._C.{inner[1]}")
        else:
            self.modules.add("norch" if inner[0] == "norch" else text.rpartition(".")[0])
        return ast.parse(text + ("[..., typing.Any]" if text.endswith(".Callable") else ""), mode="eval").body

    def function(self, text: str) -> str:
        """`def name(...) -> ...` with its annotations qualified."""
        # PyTorch has arguments named `from`, which no stub can spell.
        text = re.sub(rf"([(,] ?)({'|'.join(keyword.kwlist)})(?=[:=,)])", r"\1\2_", text)
        definition = ast.parse(text + ": ...").body[0]
        assert isinstance(definition, ast.FunctionDef)
        arguments = definition.args
        everything = [*arguments.posonlyargs, *arguments.args, *arguments.kwonlyargs, arguments.vararg, arguments.kwarg]
        for position, argument in enumerate(argument for argument in everything if argument):
            if argument.annotation:
                argument.annotation = self.visit(argument.annotation)
            elif not (position == 0 and argument.arg in ("self", "cls")):
                argument.annotation = ast.parse("typing.Any", mode="eval").body
        returned = "object" if definition.returns is None else ast.unparse(definition.returns)
        if returned in RETURNED:
            definition.returns = ast.parse(RETURNED[returned], mode="eval").body
        else:
            assert definition.returns is not None
            definition.returns = self.visit(definition.returns)
        return ast.unparse(definition).replace(":\n    ...", ": ...")


class Stub:
    """The text of one module's stub."""

    def __init__(self) -> None:
        self.lines: list[str] = []
        self.qualify = Qualify()

    def text(self) -> str:
        imports = [f"import {module}" for module in sorted(self.qualify.modules)]
        return "\n".join(["# Written by cmake/generate_stubs.py.", *imports, "", *self.lines, ""])

    def signature(self, text: str, indent: str, doc: str | None = None, comment: str = "") -> None:
        line = self.qualify.function(text)
        if doc:
            body = doc.replace("\\", "\\\\").replace('"""', "'''").splitlines()
            self.lines.append(indent + line.removesuffix(" ...") + comment)
            self.lines.append(f'{indent}    """{body[0]}')
            self.lines += [f"{indent}    {part}".rstrip() for part in body[1:]]
            self.lines[-1] += '"""' if not self.lines[-1].endswith('"') else ' """'
        else:
            self.lines.append(indent + line + comment)

    def function(self, name: str, value: Any, indent: str = "", comment: str = "") -> None:
        """A function that nanobind bound: all its overloads."""
        # Sparse tensors are tensors to a type checker.
        overloads = [o for o in value.__nb_signature__ if not (o[1] or "").startswith("The same with sparse tensors")]
        for number, (text, doc, defaults) in enumerate(overloads):
            for position, default in enumerate(defaults or ()):
                simple = default is None or isinstance(default, (bool, int, float, str))
                shown = repr(default) if simple and default not in (float("inf"), float("-inf")) else "..."
                for mark in (f"\\={position}", f"\\{position}"):
                    if mark in text:
                        text = text.replace(mark, shown, 1)
                        break
            head, _, tail = text.partition("(")
            if len(overloads) > 1:
                self.lines.append(f"{indent}@typing.overload")
            static = indent and type(value).__name__ == "nb_func"
            if static:
                self.lines.append(f"{indent}@staticmethod")
            later = "  # type: ignore[overload-cannot-match]" if number and not comment else comment
            # A number's type depends on the tensor's dtype.
            tail = tail.replace("-> complex", "-> typing.Any")
            self.signature(f"def {name}({tail}", indent, doc if number == 0 else None, later)

    def python_function(self, name: str, value: types.FunctionType, indent: str) -> None:
        """A function written in Python and attached to a class."""
        signature = inspect.signature(value)
        parameters = [
            parameter.replace(default=parameter.default if parameter.default is parameter.empty else ...)
            for parameter in signature.parameters.values()
        ]
        parameters[0] = parameters[0].replace(annotation=inspect.Parameter.empty)
        text = str(signature.replace(parameters=parameters)).replace("Ellipsis", "...").replace("'", "")
        self.qualify.scope = value.__globals__
        self.signature(f"def {name}{text}", indent, inspect.getdoc(value))
        self.qualify.scope = {}

    def enumeration(self, name: str, value: type[enum.Enum]) -> None:
        self.lines += ["", f"class {name}(enum.Enum):", f'    """{value.__doc__}"""']
        self.lines += [f"    {member.name} = {member.value!r}" for member in value]
        self.qualify.modules.add("enum")

    def type(self, name: str, value: type) -> None:
        base = BASES.get(name, "" if value.__base__ is object else ast.unparse(
            self.qualify.visit(ast.parse(f"{value.__base__.__module__}.{value.__base__.__qualname__}", mode="eval").body)
        ))  # fmt: skip
        self.lines += ["", f"class {name}({base}):" if base else f"class {name}:"]
        start = len(self.lines)
        if value.__doc__:
            self.lines.append(f'    """{value.__doc__}"""'.replace("\n", "\n    ").replace("\n    \n", "\n\n"))
        if name in CONSTRUCTORS:
            self.signature(f"def __init__{CONSTRUCTORS[name]}", "    ")
        for member, attribute in vars(value).items():
            kind = type(attribute).__name__
            comment = OVERRIDES if (name, member) in OVERRIDING or member in ("__eq__", "__ne__") else ""
            if member in SKIPPED:
                continue
            if hasattr(attribute, "__nb_signature__"):
                self.function(member, attribute, "    ", comment)
            elif isinstance(attribute, types.FunctionType):
                self.python_function(member, attribute, "    ")
            elif kind == "property":
                self.property(member, attribute)
            elif kind == "getset_descriptor":
                annotation = ATTRIBUTES.get(member, "typing.Any")
                self.lines.append("    @property")
                self.signature(f"def {member}(self) -> {annotation}", "    ", attribute.__doc__)
                if member in WRITABLE:
                    self.lines.append(f"    @{member}.setter")
                    self.signature(f"def {member}(self, value: {annotation}) -> None", "    ")
            elif (name, member) in METHODS:
                self.signature(f"def {member}{METHODS[name, member]}", "    ", None, comment)
            elif kind == "wrapper_descriptor" and member in OPERATORS and name == "Tensor":
                self.signature(f"def {member}{OPERATORS[member]}", "    ", None, comment)
        if len(self.lines) == start:
            self.lines[-1] += " ..."

    def property(self, name: str, value: property) -> None:
        self.lines.append("    @property")
        if hasattr(value.fget, "__nb_signature__"):
            text, doc, _ = value.fget.__nb_signature__[0]
            self.signature(f"def {name}({text.partition('(')[2]}", "    ", doc)
        else:  # written in Python and attached to the class
            annotation = ATTRIBUTES.get(name, "typing.Any")
            self.signature(f"def {name}(self) -> {annotation}", "    ", value.__doc__)

    def module(self, module: types.ModuleType) -> list[types.ModuleType]:
        """Everything in a module; returns its submodules."""
        submodules = []
        for name, value in vars(module).items():
            if name == "__version__":
                self.lines.append(f"{name}: builtins.str")
            elif name.startswith("__"):
                continue
            elif isinstance(value, types.ModuleType):
                submodules.append(value)
            elif isinstance(value, type) and issubclass(value, enum.Enum):
                self.enumeration(name, value)
            elif isinstance(value, type):
                self.type(name, value)
            elif hasattr(value, "__nb_signature__"):
                self.function(name, value)
            elif isinstance(value, norch.dtype):
                self.lines.append(f"{name}: norch.dtype")
            elif isinstance(value, enum.Enum):
                self.lines.append(f"{name}: norch.{type(value).__name__}")
            else:
                self.lines.append(f"{name}: typing.Any")
        return submodules


def main() -> None:
    folder = Path(sys.argv[1])
    folder.mkdir(parents=True, exist_ok=True)
    stub = Stub()
    submodules = stub.module(_C)
    for module in submodules:
        stub.lines.append(f"from norch._C import {module.__name__.rpartition('.')[2]} as {module.__name__.rpartition('.')[2]}")
        part = Stub()
        part.module(module)
        (folder / f"{module.__name__.rpartition('.')[2]}.pyi").write_text(part.text())
    (folder / "__init__.pyi").write_text(stub.text())


if __name__ == "__main__":
    main()
