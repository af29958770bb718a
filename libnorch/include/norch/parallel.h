// How many threads CPU kernels use.
#pragma once

#include "norch/export.h"

namespace norch {

/// Threads that parallel work is spread over, the calling one included: NORCH_NUM_THREADS or OMP_NUM_THREADS in the
/// environment, otherwise the cores this process may use.
NORCH_API int num_threads();
/// Takes effect for the next op. Results do not depend on it. \throws Error unless 1 <= n <= 1024.
NORCH_API void set_num_threads(int n);

}  // namespace norch
