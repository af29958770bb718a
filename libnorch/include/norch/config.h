// What this library was built with, and what it found on this machine.
#pragma once

#include <string>
#include <utility>
#include <vector>

#include "norch/export.h"

namespace norch {

/// Names and values, in the order to show them: "version", "compiler", "C++ standard", "build type", "flags", "BLAS" (what
/// it says of itself, where it does), "BLAS library" (the file when norch was built), "instruction sets" (that kernels are
/// compiled for), "instruction set" (that this machine runs), "vector maths", "CUDA" (the toolkit, or "off").
NORCH_API std::vector<std::pair<std::string, std::string>> configuration();

namespace cuda {

/// One of NVIDIA's libraries that norch opens when it first needs it.
struct LibraryInfo {
  std::string name;     // "cuBLASLt"
  std::string file;     // "libcublasLt.so.13"
  std::string path;     // where it is, if it was found
  std::string version;  // "13.1.0", where the library tells
  std::string problem;  // why it can't be used, if so
};
/// All of them, opened. Empty in a build without CUDA.
NORCH_API std::vector<LibraryInfo> libraries();
/// The newest CUDA that the driver runs, "13.0"; empty without a driver or in a build without CUDA.
NORCH_API std::string driver_version();
/// The CUDA runtime that is linked in, "13.0"; empty in a build without CUDA.
NORCH_API std::string runtime_version();

}  // namespace cuda
}  // namespace norch
