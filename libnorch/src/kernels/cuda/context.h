// The GPUs of this process.
#pragma once

#include <cuda_runtime.h>

#include "core/cuda_runtime.h"
#include "kernels/cuda/error.h"
#include "kernels/kernel.h"

namespace norch::cuda {

inline constexpr int kMaxDevices = 64;

/// Makes `device` the current GPU for a scope.
using DeviceGuard = kernels::detail::DeviceScope;

/// What kernels size their launches by. Read once per device.
struct DeviceLimits {
  int multiprocessors;
  int threads_per_multiprocessor;
  int shared_memory_per_block;  // opted in
  bool memory_pools;
};
const DeviceLimits& limits(int device);
/// Those of the current device.
const DeviceLimits& limits();

/// `device` with -1 replaced by the current one. \throws Error where there is no such GPU, naming `op`.
int resolve_device(const char* op, int device);

}  // namespace norch::cuda
