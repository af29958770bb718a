// What the core asks of CUDA beyond the public header. With CUDA compiled in, kernels/cuda/ implements both; otherwise
// the inline answers below and core/cuda_absent.cpp say that this build has none.
#pragma once

#include "norch/cuda.h"

namespace norch::cuda {

#if NORCH_WITH_CUDA
/// Makes `device` current and returns the one that was. Cheap when nothing changes.
int swap_device(int device);
/// Device memory in the order of the current stream of `device`; null for 0 bytes. \throws OutOfMemoryError.
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
inline int swap_device(int) { no_cuda(); }
inline void* allocate(size_t, int) { no_cuda(); }
inline void deallocate(void*, size_t, int) noexcept {}
inline void copy_to_host(void*, const void*, size_t, int) { no_cuda(); }
inline void copy_from_host(void*, const void*, size_t, int) { no_cuda(); }
inline void copy_peer(void*, int, const void*, int, size_t) { no_cuda(); }
#endif

}  // namespace norch::cuda
