// Copies from device to shared memory that go on while their threads do something else.
#pragma once

#include "kernels/cuda/launch.cuh"

#if defined(__NVCC__) && __CUDA_ARCH__ >= 800
#define NORCH_COPIES_AHEAD 1
#endif

namespace norch::kernels::cuda {

namespace {

/// Copies N bytes from device to shared memory without waiting for them: copy_wait does, for all but the newest `Left`
/// groups of copies, a group being what a thread started between two copy_group. (Before Ampere it is an ordinary
/// copy.)
template <int N>
__device__ __forceinline__ void copy_ahead(void* to, const void* from) {
#if NORCH_COPIES_AHEAD
  const auto address = static_cast<uint32_t>(__cvta_generic_to_shared(to));
  if constexpr (N == 16)
    asm volatile("cp.async.cg.shared.global [%0], [%1], 16;" ::"r"(address), "l"(from));
  else
    asm volatile("cp.async.ca.shared.global [%0], [%1], %2;" ::"r"(address), "l"(from), "n"(N));
#else
  memcpy(to, from, N);
#endif
}
__device__ __forceinline__ void copy_group() {
#if NORCH_COPIES_AHEAD
  asm volatile("cp.async.commit_group;" ::: "memory");
#endif
}
template <int Left>
__device__ __forceinline__ void copy_wait() {
#if NORCH_COPIES_AHEAD
  asm volatile("cp.async.wait_group %0;" ::"n"(Left) : "memory");
#endif
}

}  // namespace

}  // namespace norch::kernels::cuda
