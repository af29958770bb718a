// Weights that go together under autocasting: those that a region (from the outermost scope's beginning to its end) cast
// one by one are cast all at once, by one kernel, in the next region whose first weight is the same.
#pragma once

#include <atomic>
#include <vector>

#include "norch/tensor.h"

namespace norch::autocast {

/// What a thread remembers of its regions. Weights are not kept alive.
class Regions {
 public:
  /// The weights, `first` among them, that the last region cast that began with it, without those that are gone.
  TensorList of(const Tensor& first) const;
  /// A region has ended that cast these, in this order.
  void remember(const TensorList& weights);

 private:
  struct Known {
    TensorImpl* weight;
    uint64_t number;  // another tensor may come to lie where this one was
  };
  std::vector<std::vector<Known>> all_;  // the latest last
};

namespace detail {
/// How many tensors Regions know.
extern std::atomic<size_t> known;
void forget(const TensorImpl& t) noexcept;
}  // namespace detail

/// Called where a tensor dies that may have been a weight.
inline void forget(const TensorImpl& t) noexcept {
  if (detail::known.load(std::memory_order_relaxed) != 0) detail::forget(t);
}

/// Called where somebody gets hold of the memory of `t` whose writes its version will not count: what was cast ahead of
/// its first use in this region is cast anew there.
void weight_exposed(const Tensor& t);

}  // namespace norch::autocast
