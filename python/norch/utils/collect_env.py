"""What a report about norch should say of the machine: `python -m norch.utils.collect_env`.

The lines are those of PyTorch's script of that name as far as they apply."""

from __future__ import annotations

import importlib.metadata
import os
import platform
import re
import subprocess
import sys
from typing import Any

import norch
from norch import _C

__all__ = ["get_env_info", "get_pretty_env_info", "main"]

# Packages whose releases matter: exactly these, or whose names begin so.
_PACKAGES = ("nanobind", "norch", "numpy", "safetensors", "scikit-build-core", "scipy", "scipy-openblas32", "tiktoken",
             "torch", "transformers", "mypy")  # fmt: skip
_PACKAGE_PREFIXES = ("nvidia-", "torch")
_NOT_FOUND = "Could not collect"


def _output(*command: str) -> str | None:
    """What a program prints, None if it is missing or fails."""
    try:
        run = subprocess.run(command, capture_output=True, text=True, timeout=20, errors="replace", env={**os.environ, "LC_ALL": "C"})
    except (OSError, subprocess.SubprocessError):
        return None
    return run.stdout.strip() if run.returncode == 0 and run.stdout.strip() else None


def _match(pattern: str, *command: str) -> str | None:
    found = re.search(pattern, _output(*command) or "")
    return found.group(1) if found else None


def _system() -> str:
    machine = platform.machine()
    if sys.platform == "linux":
        try:
            name = platform.freedesktop_os_release().get("PRETTY_NAME")
        except OSError:
            name = None
        return f"{name or platform.platform()} ({machine})"
    return f"{platform.system()} {platform.release()} ({machine})"


def _cpu() -> str:
    """What lscpu says, or the processor's name."""
    text = _output("lscpu")
    if text:
        return text
    try:
        with open("/proc/cpuinfo") as file:
            for line in file:
                if line.startswith("model name"):
                    return line.split(":", 1)[1].strip()
    except OSError:
        pass
    return platform.processor() or _NOT_FOUND


def _packages() -> list[str]:
    """"name==version" of the packages that matter."""
    found = set()
    for package in importlib.metadata.distributions():
        name = package.metadata["Name"] or ""
        if name.lower() in _PACKAGES or name.lower().startswith(_PACKAGE_PREFIXES):
            found.add(f"{name}=={package.version}")
    return sorted(found, key=str.lower)


def _libraries() -> list[str]:
    """For each of NVIDIA's libraries, its release and place, or why norch can't use it."""
    lines = []
    for name, file, path, version, problem in _C._cuda_libraries():
        if problem:
            lines.append(f"{name}: not found: {problem}")
        else:
            lines.append(f"{name}: {version or file.rpartition('.so.')[2]} ({path})")
    return lines


def _gpus() -> list[str]:
    if not norch.cuda.is_available():
        return []
    lines = []
    for index in range(norch.cuda.device_count()):
        p: Any = norch.cuda.get_device_properties(index)
        lines.append(
            f"GPU {index}: {p.name} (compute capability {p.major}.{p.minor}, {p.total_memory >> 20} MiB, "
            f"{p.multi_processor_count} multiprocessors)"
        )
    return lines


def get_env_info() -> dict[str, Any]:
    """What `main` prints, by name: texts, lists of lines, or None where nothing could be found out.

        >>> from norch.utils.collect_env import get_env_info
        >>> get_env_info()["norch version"] == norch.__version__
        True"""
    c = _C._configuration()
    bits = sys.maxsize.bit_length() + 1
    return {
        "norch version": norch.__version__,
        "Is debug build": str(c["build type"] == "Debug"),
        "CUDA used to build norch": c["CUDA"],
        "OS": _system(),
        "GCC version": _match(r"gcc (.*)", "gcc", "--version"),
        "Clang version": _match(r"clang version (\S+)", "clang", "--version"),
        "CMake version": _match(r"cmake (version \S+)", "cmake", "--version"),
        "Libc version": "-".join(platform.libc_ver()),
        "Python version": f"{sys.version.replace(chr(10), ' ')} ({bits}-bit runtime)",
        "Python platform": platform.platform(),
        "Compiler of this build": c["compiler"],
        "Compiler flags": c["flags"],
        "CPU kernels compiled for": c["instruction sets"],
        "CPU instruction set used": c["instruction set"],
        "BLAS and LAPACK": f"{c['BLAS'] or 'no description'} ({c['BLAS library']})",
        "Threads": str(norch.get_num_threads()),
        "Is CUDA available": str(norch.cuda.is_available()),
        "Why CUDA is not available": norch.cuda.why_unavailable() or None,
        "CUDA driver supports": c["CUDA driver"] or None,
        "CUDA runtime version": c["CUDA runtime"] or None,
        "GPU models and configuration": _gpus(),
        "Nvidia driver version": _match(r"(\S+)", "nvidia-smi", "--query-gpu=driver_version", "--format=csv,noheader"),
        "NVIDIA libraries": _libraries(),
        "Environment": [f"{k}={v}" for k, v in sorted(os.environ.items()) if k.startswith(("NORCH_", "OMP_", "CUDA_"))],
        "CPU": _cpu(),
        "Packages": _packages(),
    }


def get_pretty_env_info() -> str:
    """What `main` prints."""
    info = get_env_info()
    blocks = {"CPU", "Packages"}
    breaks = {"OS", "Python version", "Compiler of this build", "Is CUDA available"}  # an empty line goes before these
    lines = []
    for name, value in info.items():
        if name == "Why CUDA is not available" and value is None:
            continue
        if name in blocks:
            continue
        if name in breaks:
            lines.append("")
        if isinstance(value, list):
            lines.append(f"{name}: " + ("" if value else "None"))
            lines += [f"  {line}" for line in value]
        else:
            lines.append(f"{name}: {_NOT_FOUND if value is None else value}")
    lines += ["", "CPU:", info["CPU"], "", "Versions of relevant libraries:"]
    lines += [f"[pip3] {package}" for package in info["Packages"]] or [_NOT_FOUND]
    return "\n".join(lines)


def main() -> None:
    """Prints the report."""
    print(get_pretty_env_info())


if __name__ == "__main__":
    main()
