// What the core asks of CUDA. With CUDA compiled in, kernels/cuda/ implements it; otherwise the inline answers below
// say that this build has none.
#pragma once

#include <cstddef>
#include <string>

#include "norch/error.h"

namespace norch::cuda {

#if NORCH_WITH_CUDA
/// Number of usable GPUs; 0 without a driver. Never throws.
int device_count() noexcept;
/// Why device_count() is 0, as a sentence for the user.
std::string why_unavailable();
int current_device();
/// Makes `device` current and returns the one that was. Cheap when nothing changes.
int swap_device(int device);
/// Device memory from the stream-ordered pool of `device`. \throws OutOfMemoryError.
void* allocate(size_t nbytes, int device);
void deallocate(void* p, size_t nbytes, int device) noexcept;
/// Copies between host and device or on one device, in order with the current stream of `device`. A copy to the host
/// returns when the data is there; a copy from the host when the source may be reused.
void copy_to_host(void* dst, const void* src, size_t nbytes, int device);
void copy_from_host(void* dst, const void* src, size_t nbytes, int device);
void copy_peer(void* dst, int dst_device, const void* src, int src_device, size_t nbytes);
#else
[[noreturn]] inline void no_cuda() {
  NORCH_RAISE(Error, "this build of norch has no CUDA: rebuild with -DNORCH_CUDA=ON (needs the CUDA toolkit)");
}
inline int device_count() noexcept { return 0; }
inline std::string why_unavailable() {
  return "this build of norch has no CUDA: rebuild with -DNORCH_CUDA=ON (needs the CUDA toolkit)";
}
inline int current_device() { no_cuda(); }
inline int swap_device(int) { no_cuda(); }
inline void* allocate(size_t, int) { no_cuda(); }
inline void deallocate(void*, size_t, int) noexcept {}
inline void copy_to_host(void*, const void*, size_t, int) { no_cuda(); }
inline void copy_from_host(void*, const void*, size_t, int) { no_cuda(); }
inline void copy_peer(void*, int, const void*, int, size_t) { no_cuda(); }
#endif

}  // namespace norch::cuda
