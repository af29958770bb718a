// Launching kernels. Every launch goes through here, on the current stream of the current device:
//
//   launch(my_kernel<float>, blocks, threads, /*shared memory*/ 0, out, in, n);
//
// It raises Error, naming the kernel, if the launch fails, and does nothing for a grid of no blocks. Arguments are
// converted to the kernel's parameter types.
#pragma once

#include "kernels/cuda/context.h"

namespace norch::kernels::cuda {

using norch::cuda::check;
using norch::cuda::index_check;
using norch::cuda::IndexCheck;
using norch::cuda::limits;

namespace detail {
[[noreturn]] void launch_failed(cudaError_t status, const void* kernel, dim3 grid, dim3 block, size_t shared_bytes);
/// Raises the kernel's limit of dynamic shared memory if `shared_bytes` needs it.
void allow_shared_memory(const void* kernel, size_t shared_bytes);

template <class... P>
void launch(void (*kernel)(P...), dim3 grid, dim3 block, size_t shared_bytes, std::remove_const_t<P>... parameters) {
  void* pointers[sizeof...(P) + 1] = {const_cast<void*>(static_cast<const volatile void*>(&parameters))..., nullptr};
  const void* entry = reinterpret_cast<const void*>(kernel);
  if (shared_bytes > (size_t{48} << 10)) allow_shared_memory(entry, shared_bytes);
  const cudaError_t status =
      cudaLaunchKernel(entry, grid, block, pointers, shared_bytes, norch::cuda::current_stream());
  if (__builtin_expect(status != cudaSuccess, 0)) launch_failed(status, entry, grid, block, shared_bytes);
}
}  // namespace detail

template <class... P, class... A>
void launch(void (*kernel)(P...), dim3 grid, dim3 block, size_t shared_bytes, A&&... arguments) {
  static_assert(sizeof...(P) == sizeof...(A), "launch: one argument for each parameter of the kernel");
  if (grid.x == 0 || grid.y == 0 || grid.z == 0) return;
  detail::launch<P...>(kernel, grid, block, shared_bytes, static_cast<P>(std::forward<A>(arguments))...);
}

/// ceil(n / size) as a number of blocks. \throws Error beyond what a grid can have.
inline unsigned blocks_for(int64_t n, int64_t size) {
  const int64_t blocks = (n + size - 1) / size;
  NORCH_CHECK(blocks <= 0x7FFFFFFF, "a kernel of ", blocks, " blocks is larger than CUDA allows");
  return static_cast<unsigned>(blocks);
}

/// Division by a number known at launch: exact for dividends below 2^31.
struct FastDivider {
  uint32_t divisor = 1, magic = 1, shift = 0;
  FastDivider() = default;
  explicit FastDivider(uint32_t d) : divisor(d) {
    while (shift < 31 && (uint32_t{1} << shift) < d) ++shift;
    magic = static_cast<uint32_t>((uint64_t{1} << 32) * ((uint64_t{1} << shift) - d) / d + 1);
  }
#if defined(__CUDACC__)
  __device__ __forceinline__ uint32_t divide(uint32_t n) const { return (__umulhi(n, magic) + n) >> shift; }
  /// The quotient; `n` becomes the remainder.
  __device__ __forceinline__ uint32_t divide_in_place(uint32_t& n) const {
    const uint32_t q = divide(n);
    n -= q * divisor;
    return q;
  }
#endif
};

}  // namespace norch::kernels::cuda
