"""What this build of norch is made of."""

from __future__ import annotations

import os

from norch import _C

__all__ = ["parallel_info", "show"]


def show() -> str:
    """The compiler, the libraries and the settings that norch was built with, and the instruction set that its CPU kernels
    run on here, a line for each.

        >>> norch.__config__.show().splitlines()[0]
        'norch built with:'"""
    c = _C._configuration()
    lines = [c["compiler"], f"C++ Version: {c['C++ standard']}"]
    lines.append(f"BLAS and LAPACK: {c['BLAS'] or c['BLAS library']}")
    lines.append(f"Vector mathematics: {c['vector maths']}")
    lines.append(f"CPU kernels compiled for: {c['instruction sets'].replace(' ', ', ')}")
    lines.append(f"CPU capability usage: {c['instruction set'].upper()}")
    lines.append(f"CUDA: {c['CUDA']}")
    settings = {
        "BLAS_LIBRARY": c["BLAS library"],
        "BUILD_TYPE": c["build type"],
        "CXX_FLAGS": c["flags"],
        "NORCH_VERSION": c["version"],
    }
    lines.append("Build settings: " + ", ".join(f"{name}={value}" for name, value in settings.items()))
    return "".join(f"{line}\n" for line in ["norch built with:", *(f"  - {line}" for line in lines)])


def parallel_info() -> str:
    """How CPU work is spread over threads, a line for each setting.

        >>> norch.__config__.parallel_info().splitlines()[0]
        'norch/Parallel:'"""
    c = _C._configuration()
    lines = ["norch/Parallel:", f"\tnorch.get_num_threads() : {_C.get_num_threads()}"]
    lines.append(f"{c['BLAS'] or c['BLAS library']}")
    lines.append("\tproducts are cut into pieces for norch's threads, each a call of one thread")
    lines.append(f"hardware threads : {os.cpu_count()}")
    usable = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    lines.append(f"hardware threads this process may use : {usable}")
    lines.append("Environment variables:")
    lines += [f"\t{name} : {os.environ.get(name, '[not set]')}" for name in ("NORCH_NUM_THREADS", "OMP_NUM_THREADS")]
    lines.append("Parallel backend: norch's own threads")
    return "".join(f"{line}\n" for line in lines)
