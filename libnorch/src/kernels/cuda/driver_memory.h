// What GPU memory comes from: CUDA's stream-ordered pool, or cudaMalloc where a device has none.
#pragma once

#include <string>

#include "kernels/cuda/context.h"

namespace norch::cuda {

/// The blocks that norch holds of one GPU, and the limit on them. Guarded by its owner's lock.
class DriverMemory {
 public:
  explicit DriverMemory(int device);

  /// A block in the order of `stream`; null if there is no room, or the limit does not allow it.
  void* take(size_t bytes, cudaStream_t stream);
  /// Gives back a block of `take`. Fails only while the process ends, or after a kernel broke the context.
  void give_back(void* p, size_t bytes, cudaStream_t stream) noexcept;
  /// Gives back what the pool keeps for later.
  void trim();

  /// Bytes held from the driver: now, or at most.
  size_t held(bool peak);
  void reset_peak();
  void set_fraction(double fraction) { fraction_ = fraction; }

  /// For want of `nbytes` while tensors use `allocated`.
  [[noreturn]] void out_of_memory(size_t nbytes, size_t allocated);

 private:
  bool fits(size_t nbytes);
  size_t limit() { return static_cast<size_t>(fraction_ * static_cast<double>(total())); }
  size_t total();
  std::string limit_text();

#if CUDART_VERSION >= 11020
  void make_pool();
  cudaMemPool_t pool_ = nullptr;
#else
  static constexpr void* pool_ = nullptr;
#endif

  const int device_;
  size_t own_ = 0, own_peak_ = 0;  // bytes held, where there is no pool to ask
  size_t total_ = 0;
  double fraction_ = 1;
};

}  // namespace norch::cuda
