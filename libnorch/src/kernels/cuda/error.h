// Errors of CUDA calls, and errors that kernels find in their data.
#pragma once

#include <cuda_runtime.h>

#include "norch/error.h"

namespace norch::cuda {

/// \throws OutOfMemoryError or Error, naming `call`.
[[noreturn]] void fail(cudaError_t status, const char* call);

/// Raises unless `status` is success: check(cudaEventRecord(e, s), "cudaEventRecord").
inline void check(cudaError_t status, const char* call) {
  if (__builtin_expect(status != cudaSuccess, 0)) fail(status, call);
}

/// What a kernel reports about the first bad index it meets; lies in host memory that the device can write.
struct IndexReport {
  unsigned set;
  int dim;
  int64_t index, size;
  const char* op;
};

/// Handed by value to kernels that take indices from tensors. A kernel calls valid() for each index and skips the
/// element if it is false; the host raises IndexError at the next call that waits for the device, and work goes on.
struct IndexCheck {
  IndexReport* report;
  unsigned* claimed;  // in device memory: the first thread to set it writes the report
  const char* op;

#if defined(__CUDACC__)
  /// Whether 0 <= index < size. If not, reports it as an index of dim `dim` of the tensor that is indexed.
  __device__ bool valid(int64_t index, int64_t size, int dim = 0) const {
    if (static_cast<uint64_t>(index) < static_cast<uint64_t>(size)) return true;
    if (atomicExch(claimed, 1u) == 0) {
      volatile IndexReport* r = report;
      r->dim = dim;
      r->index = index;
      r->size = size;
      r->op = op;
      __threadfence_system();
      r->set = 1;
    }
    return false;
  }
#endif
};

/// The check for a kernel launched next on the current device. `op` is a string literal, the op's name.
IndexCheck index_check(const char* op);
/// Raises what a kernel reported on `device`, once. To be called after waiting for the device or a stream of it.
void raise_index_error(int device);

}  // namespace norch::cuda
