"""python -m norch.compat [--check] (SCRIPT | -m MODULE) [ARGS]"""

from __future__ import annotations

import io
import os
import runpy
import sys
from types import ModuleType

from norch import compat

_USAGE = """usage: python -m norch.compat SCRIPT [ARGS ...]        run a PyTorch program on norch
       python -m norch.compat -m MODULE [ARGS ...]     the same for a module
       python -m norch.compat --check SCRIPT [...]     list the names of torch that programs use and norch lacks"""


def _run_script(path: str, args: list[str]) -> None:
    """As `python path args` does: the script is the module __main__, and its folder the first entry of sys.path."""
    main = ModuleType("__main__")
    main.__file__ = path
    vars(main)["__builtins__"] = __builtins__
    with io.open_code(os.path.abspath(path)) as file:
        code = compile(file.read(), path, "exec")
    sys.argv = [path, *args]
    sys.path[0] = os.path.dirname(os.path.abspath(path))
    sys.modules["__main__"] = main
    exec(code, vars(main))


def main(args: list[str]) -> int:
    """Runs the command line; returns the exit status of --check."""
    if not args or args[0] in ("-h", "--help"):
        print(_USAGE)
        return 0 if args else 2
    if args[0] == "--check":
        if len(args) == 1:
            print(_USAGE, file=sys.stderr)
            return 2
        from ._check import report

        return report(args[1:])
    if args[0] == "-m":
        if len(args) == 1:
            print(_USAGE, file=sys.stderr)
            return 2
        compat.install()
        sys.argv = args[1:]
        runpy.run_module(args[1], run_name="__main__", alter_sys=True)
        return 0
    if args[0].startswith("-"):
        print(f"norch.compat: unknown option {args[0]}\n{_USAGE}", file=sys.stderr)
        return 2
    if not os.path.isfile(args[0]):
        print(f"norch.compat: can't open file {args[0]!r}: no such file", file=sys.stderr)
        return 2
    compat.install()
    _run_script(args[0], args[1:])
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
