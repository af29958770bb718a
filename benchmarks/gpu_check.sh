#!/usr/bin/env bash
# Builds norch with CUDA on a machine with a GPU, runs everything that needs one, and prints a short summary last:
#
#   benchmarks/gpu_check.sh [stage ...]         stages: build smoke ctest_cuda ctest pytest sanitizer bench
#
# It needs no network and ends within MINUTES (9); each stage has a limit of its own, and one that fails does not stop
# the rest. Logs go to $OUT (build/gpu_check). It needs nvcc, CMake, ninja and a Python 3.10+ with its headers, numpy,
# pytest, pytest-xdist, hypothesis, scipy, scikit-learn and tqdm; for the comparison in the benchmarks also torch. What
# may be missing there can be brought along in the folder WHEELS (.whl):
#   - wheels of nanobind>=3.1 and scipy-openblas32, and of any of the Python packages above, one version of each;
#   - googletest/: GoogleTest's source (/usr/src/googletest of Debian's libgtest-dev).
# Other settings: PYTHON (python3), BUILD (/tmp/norch_gpu_build), ARCH (90), JOBS (all cores).
set -u
cd "$(dirname "$0")/.." || exit 1
OUT=${OUT:-build/gpu_check} WHEELS=${WHEELS:-.whl} PYTHON=${PYTHON:-python3} BUILD=${BUILD:-/tmp/norch_gpu_build}
ARCH=${ARCH:-90} JOBS=${JOBS:-$(nproc)} MINUTES=${MINUTES:-9}
END=$((MINUTES * 60 - 5))
STAGES=${*:-build smoke ctest_cuda pytest bench sanitizer ctest}
mkdir -p "$OUT"
OUT=$(cd "$OUT" && pwd)
SUMMARY=$OUT/summary.txt
: >"$SUMMARY"
say() { echo "$*" | tee -a "$SUMMARY"; }

PYTHON=$("$PYTHON" -c 'import sys; print(sys.executable)')
if compgen -G "$WHEELS/*.whl" >/dev/null; then
  "$PYTHON" -m pip install -q --no-index --no-deps --no-compile --no-cache-dir --upgrade --target /tmp/norch_site "$WHEELS"/*.whl
  export PYTHONPATH=/tmp/norch_site${PYTHONPATH:+:$PYTHONPATH}
fi
[ -d /usr/local/cuda/bin ] && export PATH=$PATH:/usr/local/cuda/bin
# The C++ tests have no Python to tell them where pip put NVIDIA's libraries.
NVIDIA_LIBS=$("$PYTHON" -c 'import glob, sysconfig
print(":".join(glob.glob(sysconfig.get_path("platlib") + "/nvidia/*/lib")))')
NORCH_PATH=$PWD/python${PYTHONPATH:+:$PYTHONPATH}

# stage NAME SECONDS COMMAND...: runs it within the time left, its output in $OUT/NAME.log.
stage() {
  local name=$1 limit=$2 left=$((END - SECONDS)) start=$SECONDS rc
  shift 2
  if [ "$left" -lt 15 ]; then
    say "$name: not run, no time left"
    return 1
  fi
  [ "$limit" -gt "$left" ] && limit=$left
  timeout -k 5 "$limit" "$@" >"$OUT/$name.log" 2>&1
  rc=$?
  say "$name: $([ $rc = 0 ] && echo ok || { [ $rc = 124 ] && echo "OUT OF TIME" || echo "FAILED ($rc)"; }), $((SECONDS - start)) s"
  return $rc
}

build() {
  local python_module=ON
  "$PYTHON" -c 'import os, sysconfig; raise SystemExit(not os.path.exists(sysconfig.get_path("include") + "/Python.h"))' ||
    { echo "no Python.h: the Python module is left out"; python_module=OFF; }
  cmake -G Ninja -S . -B "$BUILD" -DCMAKE_BUILD_TYPE=Release -DNORCH_CUDA=ON -DCMAKE_CUDA_ARCHITECTURES="$ARCH" \
    -DNORCH_CPU_ISA=avx2 -DNORCH_TESTS=ON -DNORCH_PYTHON=$python_module -DPython_EXECUTABLE="$PYTHON" \
    $([ -d "$WHEELS/googletest" ] && echo "-DFETCHCONTENT_SOURCE_DIR_GOOGLETEST=$PWD/$WHEELS/googletest") &&
    ninja -C "$BUILD" -k 0 -j "$JOBS"
}

smoke() {
  export PYTHONPATH=$NORCH_PATH
  "$PYTHON" - <<'PY' || return 1
import time
start = time.perf_counter()
import numpy
middle = time.perf_counter()
import norch
print(f"import norch: {time.perf_counter() - middle:.3f} s beyond numpy")
print(norch.cuda.get_device_properties())
x = norch.tensor([[1.0, 2.0], [3.0, 4.0]], device="cuda", requires_grad=True)
y = ((x * 2.0 + 1.0) * x).sum()
y.backward()
print(y.item(), x.grad.cpu())
assert y.item() == 70.0 and x.grad.tolist() == [[5.0, 9.0], [13.0, 17.0]]
print((x @ x).tolist())
assert (x @ x).tolist() == [[7.0, 10.0], [15.0, 22.0]]
PY
  # The same library where there is no GPU.
  CUDA_VISIBLE_DEVICES= "$PYTHON" -c 'import norch
assert not norch.cuda.is_available() and norch.cuda.why_unavailable(), norch.cuda.why_unavailable()
print(norch.cuda.why_unavailable()); assert (norch.tensor([1.0]) * 2).item() == 2' || return 1
  local example
  for example in seed seed_sgd; do
    if [ -e "examples/$example.py" ]; then
      echo "+ examples/$example.py" && "$PYTHON" "examples/$example.py" || return 1
    fi
  done
}

ctest_cuda() { LD_LIBRARY_PATH=$NVIDIA_LIBS ctest --test-dir "$BUILD" -L cuda -j 6 --timeout 60 --output-on-failure; }
ctest_cpu() { LD_LIBRARY_PATH=$NVIDIA_LIBS ctest --test-dir "$BUILD" -LE cuda -j "$JOBS" --timeout 120 --output-on-failure; }
pytest_cuda() { PYTHONPATH=$NORCH_PATH "$PYTHON" -m pytest -q -m cuda -n 12 -p no:cacheprovider -p no:benchmark --tb=short --maxfail=200; }

sanitizer() {
  # One process, without what is slow or fails on purpose.
  local program rc=0
  export LD_LIBRARY_PATH=$NVIDIA_LIBS
  for program in "$BUILD"/tests_cpp/norch_*_cuda_test; do
    echo "+ memcheck $(basename "$program")"
    timeout 60 compute-sanitizer --tool memcheck --report-api-errors no --print-limit 20 --error-exitcode 9 "$program" \
      --gtest_brief=1 --gtest_filter='-*Beyond*:*OutOfMemory*:*Limit*:*Large*:*Errors*:*BlocksOfAllSizes*:*RowsOf*' || rc=1
  done
  local tool
  for tool in racecheck synccheck; do
    echo "+ $tool"
    timeout 60 compute-sanitizer --tool $tool --print-limit 20 --error-exitcode 9 "$BUILD/tests_cpp/norch_kernels_cuda_test" \
      --gtest_brief=1 --gtest_filter='*TransposesOf*:*Sum*:CudaRows.*-*RowsOf*' || rc=1
  done
  return $rc
}

bench() { PYTHONPATH=$NORCH_PATH PYTHONUNBUFFERED=1 "$PYTHON" -X faulthandler benchmarks/run.py --device cuda; }

export -f build smoke ctest_cuda ctest_cpu pytest_cuda sanitizer bench
export OUT WHEELS PYTHON BUILD ARCH JOBS NVIDIA_LIBS NORCH_PATH

nvidia-smi --query-gpu=name,driver_version,memory.total --format=csv,noheader
"$PYTHON" --version
for name in $STAGES; do
  case $name in
    build) stage build 300 bash -c build || tail -5 "$OUT/build.log" ;;
    smoke) stage smoke 60 bash -c smoke ;;
    ctest_cuda) stage ctest_cuda 90 bash -c ctest_cuda ;;
    ctest) stage ctest 60 bash -c ctest_cpu ;;
    pytest) stage pytest 180 bash -c pytest_cuda ;;
    sanitizer) stage sanitizer 150 bash -c sanitizer ;;
    bench) [ -e benchmarks/run.py ] && stage bench 120 bash -c bench ;;
    *) say "$name: no such stage" ;;
  esac
done

# show TITLE PATTERN LINES FILE: the matching lines of a log, if there are any.
show() {
  [ -e "$OUT/$4" ] && grep -qE "$2" "$OUT/$4" || return
  say "---- $1"
  grep -E "$2" "$OUT/$4" | head -n "$3" | cut -c1-220 | tee -a "$SUMMARY"
}
echo
show "build errors" "error|FAILED|slow" 15 build.log
[ -e "$OUT/smoke.log" ] && { say "---- smoke"; tail -n 12 "$OUT/smoke.log" | cut -c1-200 | tee -a "$SUMMARY"; }
show "C++ tests on the GPU" "tests passed|\*\*\*|Failure$|on the GPU, |C\+\+ exception with" 40 ctest_cuda.log
show "other C++ tests" "tests passed|\*\*\*" 10 ctest.log
show "pytest on the GPU" "^(FAILED|ERROR)|passed|failed" 40 pytest.log
show "compute-sanitizer" "^\+|ERROR SUMMARY|RACECHECK SUMMARY|Invalid|at .*\+0x|FAILED" 30 sanitizer.log
[ -e "$OUT/bench.log" ] && { say "---- benchmarks"; tail -n 60 "$OUT/bench.log" | cut -c1-160 | tee -a "$SUMMARY"; }
say "---- stages"
grep -E "^(build|smoke|ctest_cuda|ctest|pytest|sanitizer|bench): " "$SUMMARY"
echo "$SECONDS s in all; logs in $OUT"
