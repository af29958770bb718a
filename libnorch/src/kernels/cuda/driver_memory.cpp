#include "kernels/cuda/driver_memory.h"

#include <algorithm>

namespace norch::cuda {

namespace {

std::string mebibytes(size_t n) { return str(n >> 20, ".", (n >> 10) % 1024 * 10 / 1024, " MiB"); }

}  // namespace

DriverMemory::DriverMemory(int device) : device_(device) {
#if CUDART_VERSION >= 11020
  if (limits(device).memory_pools) make_pool();
#endif
}

void* DriverMemory::take(size_t bytes, cudaStream_t stream) {
  DeviceGuard guard(device_);
  if (!fits(bytes)) return nullptr;
  void* p = nullptr;
#if CUDART_VERSION >= 11020
  const cudaError_t status = pool_ ? cudaMallocFromPoolAsync(&p, bytes, pool_, stream) : cudaMalloc(&p, bytes);
#else
  (void)stream;
  const cudaError_t status = cudaMalloc(&p, bytes);
#endif
  if (status == cudaErrorMemoryAllocation) {
    cudaGetLastError();
    return nullptr;
  }
  check(status, "cudaMallocFromPoolAsync");
  own_ += pool_ ? 0 : bytes;
  own_peak_ = std::max(own_peak_, own_);
  return p;
}

void DriverMemory::give_back(void* p, size_t bytes, cudaStream_t stream) noexcept {
  own_ -= pool_ ? 0 : bytes;
  try {
    DeviceGuard guard(device_);
#if CUDART_VERSION >= 11020
    if (pool_) {
      if (cudaFreeAsync(p, stream) != cudaSuccess) cudaGetLastError();
      return;
    }
#endif
    (void)stream;
    if (cudaFree(p) != cudaSuccess) cudaGetLastError();
  } catch (const Error&) {
  }
}

void DriverMemory::trim() {
#if CUDART_VERSION >= 11020
  if (pool_) check(cudaMemPoolTrimTo(pool_, 0), "cudaMemPoolTrimTo");
#endif
}

size_t DriverMemory::held(bool peak) {
#if CUDART_VERSION >= 11020
  if (pool_) {
    size_t bytes = 0;
    check(cudaMemPoolGetAttribute(pool_, peak ? cudaMemPoolAttrReservedMemHigh : cudaMemPoolAttrReservedMemCurrent,
                                  &bytes),
          "cudaMemPoolGetAttribute");
    return bytes;
  }
#endif
  return peak ? own_peak_ : own_;
}

void DriverMemory::reset_peak() {
  own_peak_ = own_;
#if CUDART_VERSION >= 11020
  if (pool_) {
    size_t zero = 0;
    check(cudaMemPoolSetAttribute(pool_, cudaMemPoolAttrReservedMemHigh, &zero), "cudaMemPoolSetAttribute");
  }
#endif
}

/// Whether the limit allows so many more bytes. What the pool holds beyond blocks given out does not count, but is
/// trimmed near the limit.
bool DriverMemory::fits(size_t nbytes) {
  if (fraction_ == 1 || nbytes > total()) return nbytes <= total();
  size_t used = own_;
#if CUDART_VERSION >= 11020
  if (pool_) check(cudaMemPoolGetAttribute(pool_, cudaMemPoolAttrUsedMemCurrent, &used), "cudaMemPoolGetAttribute");
  if (pool_ && held(false) + nbytes > limit()) trim();
#endif
  return used + nbytes <= limit();
}

size_t DriverMemory::total() {
  if (!total_) {
    size_t free = 0;
    check(cudaMemGetInfo(&free, &total_), "cudaMemGetInfo");
  }
  return total_;
}

void DriverMemory::out_of_memory(size_t nbytes, size_t allocated) {
  DeviceGuard guard(device_);
  size_t free = 0, total = 0;
  check(cudaMemGetInfo(&free, &total), "cudaMemGetInfo");
  NORCH_RAISE(OutOfMemoryError, "CUDA out of memory. Tried to allocate ", mebibytes(nbytes), " on cuda:", device_,
              ", which has ", mebibytes(total), " in all, of which ", mebibytes(free), " are free. ",
              mebibytes(allocated), " are in use by tensors of this process", limit_text(),
              "; nothing else could be given back. Free tensors, or use smaller ones.");
}

std::string DriverMemory::limit_text() {
  return fraction_ == 1 ? "" : str(", which may hold ", mebibytes(limit()), " (set_per_process_memory_fraction)");
}

#if CUDART_VERSION >= 11020
/// A pool of norch's own: other libraries that use the device's default pool are not affected.
void DriverMemory::make_pool() {
  DeviceGuard guard(device_);
  cudaMemPoolProps props = {};
  props.allocType = cudaMemAllocationTypePinned;
  props.handleTypes = cudaMemHandleTypeNone;
  props.location.type = cudaMemLocationTypeDevice;
  props.location.id = device_;
  check(cudaMemPoolCreate(&pool_, &props), "cudaMemPoolCreate");
  uint64_t keep = ~uint64_t{0};
  check(cudaMemPoolSetAttribute(pool_, cudaMemPoolAttrReleaseThreshold, &keep), "cudaMemPoolSetAttribute");
  for (int peer = 0; peer < device_count(); ++peer) {
    int can = 0;
    if (peer == device_ || cudaDeviceCanAccessPeer(&can, peer, device_) != cudaSuccess || !can) continue;
    cudaMemAccessDesc access = {};
    access.location.type = cudaMemLocationTypeDevice;
    access.location.id = peer;
    access.flags = cudaMemAccessFlagsProtReadWrite;
    if (cudaMemPoolSetAccess(pool_, &access, 1) != cudaSuccess) cudaGetLastError();
  }
}
#endif

}  // namespace norch::cuda
