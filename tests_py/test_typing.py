"""A type checker passes on the package, and on programs that use it."""

import subprocess
import sys
from pathlib import Path

import pytest

import norch

pytest.importorskip("mypy")
ROOT = Path(__file__).resolve().parent.parent
if not (Path(norch.__file__).parent / "_C" / "__init__.pyi").is_file():
    pytest.skip("norch runs from its source tree, without stubs", allow_module_level=True)


def check(tmp_path, *arguments):
    command = [sys.executable, "-m", "mypy", "--config-file=", f"--cache-dir={tmp_path}", *map(str, arguments)]
    result = subprocess.run(command, cwd=tmp_path, text=True, capture_output=True)
    assert result.returncode == 0, result.stdout + result.stderr


def test_the_package(tmp_path):
    check(tmp_path, "-p", "norch")


def test_a_program_in_strict_mode(tmp_path):
    check(tmp_path, "--strict", ROOT / "tests_py/typing_sample.py")


@pytest.mark.parametrize("example", ["digits.py", "gpt2", "resnet"])
def test_examples(tmp_path, example):
    check(tmp_path, "--ignore-missing-imports", ROOT / "examples" / example)
