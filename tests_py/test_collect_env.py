"""norch.utils.collect_env and norch.__config__: what is said of a build and its machine."""

import subprocess
import sys

import norch
from norch.utils import collect_env


def test_the_report():
    info = collect_env.get_env_info()
    assert info["norch version"] == norch.__version__
    assert info["CPU instruction set used"] in ("baseline", "avx2", "avx512")
    assert info["CPU instruction set used"] in info["CPU kernels compiled for"]
    assert int(info["Threads"]) == norch.get_num_threads()
    assert any(line.startswith("numpy==") for line in info["Packages"])
    assert (info["Is CUDA available"] == "True") == norch.cuda.is_available()
    if not norch.cuda.is_available():
        assert info["Why CUDA is not available"]
    text = collect_env.get_pretty_env_info()
    for line in ("norch version: ", "OS: ", "Python version: ", "BLAS and LAPACK: ", "Is CUDA available: ", "CPU:"):
        assert f"\n{line}" in "\n" + text
    assert (norch.version.cuda is None) == (info["CUDA used to build norch"] == "off")
    assert norch.version.cuda is None or "cuBLASLt: " in text


def test_as_a_program():
    done = subprocess.run([sys.executable, "-m", "norch.utils.collect_env"], capture_output=True, text=True)
    assert done.returncode == 0 and done.stdout.startswith("norch version: "), done.stderr


def test_programs_that_are_missing(monkeypatch):
    monkeypatch.setenv("PATH", "")
    info = collect_env.get_env_info()
    assert info["GCC version"] is None and info["CPU"]
    assert "GCC version: Could not collect" in collect_env.get_pretty_env_info()


def test_config():
    shown = norch.__config__.show()
    assert shown.startswith("norch built with:\n") and "CPU capability usage: " in shown and "CXX_FLAGS=" in shown
    parallel = norch.__config__.parallel_info()
    assert f"get_num_threads() : {norch.get_num_threads()}" in parallel and "OMP_NUM_THREADS" in parallel
