"""The Python code of graphs."""

from __future__ import annotations

import builtins
import keyword
import operator
import re
from dataclasses import dataclass, field
from typing import Any, Callable

import norch

from .node import Argument, Node, _Shown, map_aggregate, qualified_name

__all__ = ["CodeGen", "PythonCode", "write_forward"]

# Functions of `operator` that are written as the operators that they are.
_INFIX = {
    "add": "+", "sub": "-", "mul": "*", "floordiv": "//", "truediv": "/", "mod": "%", "pow": "**", "lshift": "<<",
    "rshift": ">>", "and_": "&", "or_": "|", "xor": "^", "matmul": "@", "eq": "==", "ne": "!=", "lt": "<", "gt": ">",
    "le": "<=", "ge": ">=",
}  # fmt: skip
_PREFIX = {"neg": "-", "pos": "+", "invert": "~"}
_FORMS = {getattr(operator, name): f"{{}} {sign} {{}}" for name, sign in _INFIX.items()}
_FORMS.update({getattr(operator, name): f"{sign}{{}}" for name, sign in _PREFIX.items()})
_FORMS[operator.getitem] = "{}[{}]"


@dataclass
class PythonCode:
    """What `Graph.python_code` returns: the source of `forward`, and the objects that it names."""

    src: str
    globals: dict[str, Any] = field(default_factory=dict)


class CodeGen:
    """Writes the source of a graph's `forward`. Subclasses may change what it looks like."""

    def gen_fn_def(self, free_vars: list[str], maybe_return_annotation: str) -> str:
        """The line with `def`."""
        return f"def forward({', '.join(['self', *free_vars])}){maybe_return_annotation}:"

    def generate_output(self, output_args: Argument) -> str:
        """The line that returns."""
        return f"return {output_args!r}"


def write_forward(codegen: CodeGen, nodes: list[Node], root_module: str) -> PythonCode:
    """The code of `Graph.python_code`."""
    found: dict[str, Any] = {"norch": norch, "inf": float("inf"), "nan": float("nan"), "device": norch.device}

    def name_of(target: Callable) -> str:
        full = qualified_name(target)
        owner, _, _ = full.rpartition(".")
        if full.startswith("norch.") or (not owner and getattr(builtins, full, None) is target):
            return full
        name = re.sub(r"\W", "_", full)
        while found.get(name, target) is not target:
            name += "_"
        found[name] = target
        return name

    def text(a: Argument) -> str:
        def leaf(x: Any) -> Any:
            if isinstance(x, Node):
                return _Shown(x.name)
            if isinstance(x, (norch.dtype, norch.memory_format, norch.layout)):
                return _Shown(repr(x) if repr(x).startswith("norch.") else "norch." + repr(x).split(".")[-1])
            return _Shown(name_of(x)) if isinstance(x, type) or callable(x) else x

        if isinstance(a, tuple) and hasattr(a, "_fields"):
            return f"{name_of(type(a))}({', '.join(text(x) for x in a)})"
        if isinstance(a, tuple):
            return f"({', '.join(text(x) for x in a)}{',' if len(a) == 1 else ''})"
        return repr(map_aggregate(a, leaf))

    parameters, body = [], []
    last_use: dict[Node, Node] = {}
    for node in nodes:
        for used in node.all_input_nodes:
            last_use[used] = node
    returned = "return None"
    for node in nodes:
        arguments = [text(a) for a in node.args] + [f"{k} = {text(v)}" for k, v in node.kwargs.items()]
        if node.op == "placeholder":
            default = f" = {arguments[0]}" if arguments else ""
            parameters.append(f"{node.target}{default}")
            parameter = node.target.lstrip("*")
            if parameter != node.name:
                body.append(f"{node.name} = {parameter}")
            continue
        if node.op == "output":
            returned = codegen.generate_output(_Shown(text(node.args[0])))
            continue
        if node.op == "call_function" and node.target is getattr:
            call = f"{arguments[0]}.{node.args[1]}" if len(arguments) == 2 else f"getattr({', '.join(arguments)})"
        elif node.op == "call_function" and node.target in _FORMS and not node.kwargs:
            call = _FORMS[node.target].format(*arguments)
        elif node.op == "call_function":
            call = f"{name_of(node.target)}({', '.join(arguments)})"
        elif node.op == "call_method":
            call = f"{arguments[0]}.{node.target}({', '.join(arguments[1:])})"
        else:
            call = f"{_path(root_module, node.target)}"
            call += f"({', '.join(arguments)})" if node.op == "call_module" else ""
        unused = [n.name for n in node.all_input_nodes if last_use[n] is node] + ([] if node.users else [node.name])
        body.append(f"{node.name} = {call}" + (f";  {' = '.join(unused)} = None" if unused else ""))
    lines = [codegen.gen_fn_def(parameters, ""), *(f"    {line}" for line in [*body, returned])]
    return PythonCode("\n".join(lines) + "\n", found)


def _path(root: str, target: str) -> str:
    """self.layers.0.weight, in Python."""
    for atom in target.split("."):
        plain = atom.isidentifier() and not keyword.iskeyword(atom)
        root = f"{root}.{atom}" if plain else f'getattr({root}, "{atom}")'
    return root
