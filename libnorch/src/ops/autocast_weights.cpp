#include "ops/autocast_weights.h"

#include <algorithm>
#include <mutex>
#include <unordered_map>

namespace norch::autocast {

namespace detail {
std::atomic<size_t> known{0};
}

namespace {

/// Of models that take turns in a program, and of blocks that are computed again in a backward pass.
constexpr size_t kMostRegions = 64;

/// The weights that live. A tensor is taken out, under the lock, before its memory goes, so that one that is found here
/// may be asked whether it is still counted.
struct Living {
  std::mutex mutex;
  std::unordered_map<const TensorImpl*, uint64_t> numbers;
  uint64_t last = 0;
};
Living& living() {
  static Living* all = new Living;  // never freed: tensors die at exit, too
  return *all;
}

}  // namespace

namespace detail {
void forget(const TensorImpl& t) noexcept {
  Living& all = living();
  const std::lock_guard<std::mutex> lock(all.mutex);
  if (all.numbers.erase(&t)) known.store(all.numbers.size(), std::memory_order_relaxed);
}
}  // namespace detail

TensorList Regions::of(const Tensor& first) const {
  TensorList weights;
  const auto begins = [&](const std::vector<Known>& region) { return region[0].weight == first.impl(); };
  const auto region = std::find_if(all_.rbegin(), all_.rend(), begins);
  if (region == all_.rend()) return weights;
  weights.reserve(region->size());
  Living& all = living();
  const std::lock_guard<std::mutex> lock(all.mutex);
  for (const Known& k : *region) {
    const auto at = all.numbers.find(k.weight);
    if (at != all.numbers.end() && at->second == k.number && k.weight->try_inc_ref())
      weights.push_back(Tensor(Ref<TensorImpl>::adopt(k.weight)));
  }
  return weights;
}

void Regions::remember(const TensorList& weights) {
  if (weights.empty()) return;
  const auto begins = [&](const std::vector<Known>& region) { return region[0].weight == weights[0].impl(); };
  all_.erase(std::remove_if(all_.begin(), all_.end(), begins), all_.end());
  if (weights.size() < 2) return;
  if (all_.size() == kMostRegions) all_.erase(all_.begin());
  std::vector<Known>& region = all_.emplace_back();
  region.reserve(weights.size());
  Living& all = living();
  const std::lock_guard<std::mutex> lock(all.mutex);
  for (const Tensor& t : weights) {
    const auto [at, added] = all.numbers.try_emplace(t.impl(), all.last + 1);
    all.last += added;
    region.push_back({t.impl(), at->second});
  }
  detail::known.store(all.numbers.size(), std::memory_order_relaxed);
}

}  // namespace norch::autocast
