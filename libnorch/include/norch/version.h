#pragma once

#include "norch/export.h"

// The one place that holds the version number: CMake and the Python package read these three lines.
#define NORCH_VERSION_MAJOR 0
#define NORCH_VERSION_MINOR 1
#define NORCH_VERSION_PATCH 0

namespace norch {

/// The version of the loaded library, e.g. "0.1.0". It can differ from the NORCH_VERSION_* macros, which are the
/// version of the headers a program was compiled with.
NORCH_API const char* version() noexcept;

}  // namespace norch
