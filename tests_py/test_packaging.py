"""The installed package: what it holds, how large it is, how fast it imports, and that C++ projects can use it."""

import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

import norch

ROOT = Path(__file__).resolve().parent.parent
PACKAGE = Path(norch.__file__).resolve().parent
CMAKE_CONFIG = PACKAGE / "lib" / "cmake" / "norch" / "norchConfig.cmake"
INSTALLED = CMAKE_CONFIG.is_file()
HAS_CUDA = INSTALLED and "set(norch_CUDA ON)" in CMAKE_CONFIG.read_text()
installed_only = pytest.mark.skipif(not INSTALLED, reason="norch runs from its source tree")


def run(*command, **options):
    return subprocess.run([str(part) for part in command], check=True, text=True, capture_output=True, **options).stdout


def test_the_version_is_the_one_in_version_h():
    header = (ROOT / "libnorch/include/norch/version.h").read_text()
    numbers = [re.search(rf"NORCH_VERSION_{part} (\d+)", header)[1] for part in ("MAJOR", "MINOR", "PATCH")]
    assert norch.__version__ == ".".join(numbers)


@installed_only
def test_the_command_line_names_existing_folders():
    cmake_dir = Path(run(sys.executable, "-m", "norch", "--cmake-dir").strip())
    assert (cmake_dir / "norchConfig.cmake").is_file()
    include_dir = Path(run(sys.executable, "-m", "norch", "--include-dir").strip())
    assert (include_dir / "norch" / "norch.h").is_file()
    lib_dir = Path(run(sys.executable, "-m", "norch", "--lib-dir").strip())
    assert (lib_dir / "libnorch.so").is_file()
    assert run(sys.executable, "-m", "norch", "--version").strip() == norch.__version__


@installed_only
def test_only_public_headers_are_installed():
    public = ROOT / "libnorch/include"
    expected = {path.relative_to(public) for path in public.rglob("*.h")}
    assert {path.relative_to(PACKAGE / "include") for path in (PACKAGE / "include").rglob("*.*")} == expected


@installed_only
@pytest.mark.skipif(HAS_CUDA, reason="the limit is for the CPU package")
def test_the_package_is_small():
    size = sum(path.stat().st_size for path in PACKAGE.rglob("*") if path.is_file() and path.suffix != ".pyc")
    assert size <= 60 * 2**20, f"{size / 2**20:.1f} MiB"


def test_the_library_exports_norch_alone():
    if not INSTALLED or not shutil.which("nm"):
        pytest.skip("needs an installed package and nm")
    def exports(library):
        return [line.split()[0] for line in run("nm", "-D", "--defined-only", "--format=posix", library).splitlines()]

    names = exports(PACKAGE / "lib/libnorch.so")
    assert len(names) > 100 and not [name for name in names if not re.match("_Z[A-Z]*5norch", name)]
    assert exports(next(PACKAGE.glob("_C.*.so"))) == ["PyInit__C"]


@pytest.mark.skipif(not shutil.which("readelf"), reason="needs readelf")
def test_thread_local_variables_are_few():
    """A library that reaches its thread-local variables by their place among all of the thread's (STATIC_TLS, the fast
    way, of CPU builds) shares about 1.5 KiB with all others of the process that are loaded late; what needs more cannot
    be imported after others have taken theirs."""
    libraries = [*PACKAGE.glob("_C.*.so"), *PACKAGE.glob("lib/libnorch.so")]
    for library in libraries:
        if "STATIC_TLS" not in run("readelf", "-dW", library):
            continue
        headers = [line.split() for line in run("readelf", "-lW", library).splitlines() if line.split()[:1] == ["TLS"]]
        assert sum(int(fields[5], 16) for fields in headers) <= 128, library


def test_the_import_is_fast():
    # The importing thread's own time, so that a busy machine doesn't matter.
    program = "import numpy, time; start = time.thread_time(); import norch; print(time.thread_time() - start)"
    seconds = min(float(run(sys.executable, "-c", program)) for _ in range(5))
    assert seconds < 0.1


@installed_only
def test_a_cpp_project_trains_with_the_installed_package(tmp_path):
    if not shutil.which("cmake"):
        pytest.skip("needs CMake")
    cmake_dir = run(sys.executable, "-m", "norch", "--cmake-dir").strip()
    generator = ["-G", "Ninja"] if shutil.which("ninja") else []
    run("cmake", *generator, "-S", ROOT / "tests_cpp/consumer", "-B", tmp_path, f"-Dnorch_DIR={cmake_dir}")
    run("cmake", "--build", tmp_path)
    assert f"norch {norch.__version__}" in run(tmp_path / "train")


@pytest.mark.skipif(not HAS_CUDA or norch.cuda.is_available(), reason="needs a build with CUDA and no GPU")
def test_a_cuda_build_works_without_a_driver():
    assert norch.cuda.device_count() == 0
    assert (norch.tensor([1.0]) + 1).item() == 2
    with pytest.raises(RuntimeError, match="driver|GPU"):
        norch.tensor([1.0], device="cuda")


@installed_only
def test_stubs_are_shipped():
    assert (PACKAGE / "py.typed").is_file()
    assert "class Tensor" in (PACKAGE / "_C" / "__init__.pyi").read_text()


def test_the_readme_never_names_the_other_norch():
    # The package of that name on PyPI is an older project of another author.
    readme = (ROOT / "README.md").read_text()
    assert not re.search(r"pip3? install (-\S+ )*norch\b", readme)
    assert "pypi.org/project/norch" not in readme
