// Automatic mixed precision: ops that profit run in a 16-bit float, ops that need range or precision in float32.
//
//   autocast::Guard amp(DeviceType::CUDA, kBFloat16);
//   Tensor loss = cross_entropy(linear(x, w, b), y);  // linear in bfloat16, cross_entropy in float32
//   loss.backward();
//
// Which ops do what is PyTorch's lists for either device (docs/architecture.md says how an op takes part). Casts are
// recorded, so gradients have their tensors' dtypes. float64 tensors and in-place ops are left alone.
#pragma once

#include <optional>

#include "norch/tensor.h"

namespace norch::autocast {

// The state of this thread. The dtypes are float16 for CUDA and bfloat16 for the CPU unless set.
NORCH_API bool enabled(DeviceType device);
NORCH_API void set_enabled(DeviceType device, bool enabled);
NORCH_API DType dtype(DeviceType device);
/// \throws Error unless `dtype` is a floating-point dtype.
NORCH_API void set_dtype(DeviceType device, DType dtype);

/// A float32 leaf that requires grad (a weight) is cast once until the outermost scope is left.
NORCH_API bool cache_enabled();
NORCH_API void set_cache_enabled(bool enabled);
NORCH_API void clear_cache();
/// Counts nested scopes; returns how deep. Whoever leaves the outermost one clears the cache.
NORCH_API int enter();
NORCH_API int leave();

/// Autocasting of one device's ops for a scope; enabled = false runs a part in full precision.
class NORCH_API Guard {
 public:
  explicit Guard(DeviceType device, std::optional<DType> dtype = {}, bool enabled = true);
  ~Guard();
  Guard(const Guard&) = delete;
  Guard& operator=(const Guard&) = delete;

 private:
  DeviceType device_;
  bool enabled_;
  DType dtype_;
};

}  // namespace norch::autocast
