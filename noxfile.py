"""Builds and tests norch: `nox` runs everything that needs no GPU, `nox -l` lists the rest."""

import os
import shutil
from pathlib import Path

import nox

ROOT = Path(__file__).parent
BUILD = ROOT / "build"
PYPROJECT = nox.project.load_toml(ROOT / "pyproject.toml")
# cuBLAS for CUDA 13: its headers to compile with, and the library that norch opens at run time.
CUDA_LIBRARIES = ["nvidia-cublas>=13.0,<13.2"]
# What else norch opens at run time, for machines with a GPU: convolutions, linear algebra (with what it needs), FFT.
GPU_LIBRARIES = ["nvidia-cudnn-cu13", "nvidia-cusolver", "nvidia-cusparse", "nvidia-nvjitlink", "nvidia-cufft"]

nox.options.sessions = ["tests"]
nox.options.error_on_missing_interpreters = True


def requirements(*extras: str) -> list[str]:
    """The build requirements, and those of the named extras."""
    return PYPROJECT["build-system"]["requires"] + [
        requirement for extra in extras for requirement in PYPROJECT["project"]["optional-dependencies"][extra]
    ]


def install_norch(session: nox.Session, build_dir: Path, *, strip: bool = True, **options: str) -> None:
    """pip installs this tree, keeping the build in `build_dir` so that a second run compiles only what changed."""
    if shutil.which("ccache"):
        session.env.setdefault("CMAKE_CXX_COMPILER_LAUNCHER", "ccache")
        session.env.setdefault("CMAKE_CUDA_COMPILER_LAUNCHER", "ccache")
    settings = [f"-Cbuild-dir={build_dir}", f"-Cinstall.strip={str(strip).lower()}"]
    settings += [f"-Ccmake.define.{name}={value}" for name, value in {"NORCH_WERROR": "ON", **options}.items()]
    session.install("ninja", *requirements("vision", "test", "examples"))
    session.install("--no-build-isolation", "--no-deps", "--force-reinstall", *settings, ".")


def run_tests(session: nox.Session, build_dir: Path, ctest_args: list[str], pytest_args: list[str]) -> None:
    """Runs ctest, then pytest (also when ctest failed, so that one run shows everything)."""
    ctest = ["ctest", "--test-dir", str(build_dir), "--output-on-failure", "-j", str(os.cpu_count() or 1)]
    ctest_failed = False
    try:
        session.run(*ctest, *ctest_args, external=True)
    except nox.command.CommandFailed:
        ctest_failed = True
    session.run("python", "-m", "pytest", *pytest_args)
    if ctest_failed:
        session.error("C++ tests failed (see ctest's output above)")


@nox.session
def tests(session: nox.Session) -> None:
    """The C++ and Python tests, on this machine's GPU too where NORCH_CUDA=AUTO finds one."""
    build_dir = BUILD / "tests"
    install_norch(session, build_dir, NORCH_TESTS="ON")
    run_tests(session, build_dir, [], session.posargs)


@nox.session
def cuda(session: nox.Session) -> None:
    """Compiles the CUDA kernels, also where there is no GPU. With one, runs every test; without, those of loading."""
    build_dir = BUILD / "cuda"
    session.install("--no-deps", *CUDA_LIBRARIES)
    # One instruction set is enough here: the session `tests` covers the others.
    install_norch(session, build_dir, NORCH_CUDA="ON", NORCH_TESTS="ON", NORCH_CPU_ISA="baseline")
    if shutil.which("nvidia-smi"):
        session.install("--no-deps", *GPU_LIBRARIES)
        run_tests(session, build_dir, [], session.posargs)
    else:
        run_tests(session, build_dir, ["-L", "cuda"], session.posargs or ["tests_py/test_packaging.py"])


@nox.session
def conformance(session: nox.Session) -> None:
    """Every op that the tests have a row for, on norch and on PyTorch (CPU)."""
    install_norch(session, BUILD / "tests", NORCH_TESTS="ON")
    session.install("torch>=2.13")
    session.run("python", "-m", "pytest", "-n", "auto", *(session.posargs or ["tests_py/against_pytorch.py"]))


@nox.session
def sanitize(session: nox.Session) -> None:
    """Both suites under AddressSanitizer and UndefinedBehaviorSanitizer (GCC; CPU only)."""
    build_dir = BUILD / "sanitize"
    install_norch(
        session,
        build_dir,
        NORCH_CUDA="OFF",
        NORCH_TESTS="ON",
        NORCH_SANITIZE="address;undefined",
        NORCH_CPU_ISA="baseline",
        NORCH_STUBS="OFF",
        CMAKE_CXX_FLAGS_RELEASE="-O1 -DNDEBUG",
        strip=False,
    )
    # Python is not instrumented, so the runtimes come in first; libstdc++ too, for they intercept its throw.
    runtimes = [
        session.run("g++", f"-print-file-name={library}.so", external=True, silent=True).strip()
        for library in ("libasan", "libubsan", "libstdc++")
    ]
    # Tests ask for impossible sizes. CPython never frees some of what it allocates: the leak check is for the C++ tests.
    options = "allocator_may_return_null=1"
    env = {"LD_PRELOAD": " ".join(runtimes), "ASAN_OPTIONS": options + ":detect_leaks=0"}
    session.run("ctest", "--test-dir", str(build_dir), "--output-on-failure", external=True, env={"ASAN_OPTIONS": options})
    # A sanitizer's report ends the process: captured by file descriptor, it would be lost. The packaging tests measure
    # the size and the import of a release build.
    chosen = ["--capture=sys", "--ignore=tests_py/test_packaging.py", *session.posargs]
    session.run("python", "-m", "pytest", *chosen, env=env)
