// Whether float32 products on the GPU may be of TF32. In every build, so that programs may set it anywhere.
#include <atomic>

#include "norch/cuda.h"

namespace norch::cuda {

namespace {

std::atomic<bool> matmul_allowed{false}, convolution_allowed{false};

}  // namespace

bool matmul_tf32() noexcept { return matmul_allowed.load(std::memory_order_relaxed); }
void set_matmul_tf32(bool allowed) noexcept { matmul_allowed.store(allowed, std::memory_order_relaxed); }
bool convolution_tf32() noexcept { return convolution_allowed.load(std::memory_order_relaxed); }
void set_convolution_tf32(bool allowed) noexcept { convolution_allowed.store(allowed, std::memory_order_relaxed); }

}  // namespace norch::cuda
