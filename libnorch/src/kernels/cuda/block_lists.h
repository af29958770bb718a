// Sizes of blocks of GPU memory, and lists of free ones.
#pragma once

#include <cuda_runtime.h>

#include <cstddef>
#include <memory>
#include <utility>
#include <vector>

namespace norch::cuda {

inline constexpr size_t kGranule = 512;
inline constexpr size_t kFineLimit = 4096;  // below: a class every 512 bytes; above: four per power of two
inline constexpr size_t kListLimit = size_t{32} << 20;
inline constexpr size_t kPageSize = size_t{2} << 20;  // blocks beyond the lists are whole numbers of these
inline constexpr int kFineClasses = static_cast<int>(kFineLimit / kGranule);
inline constexpr int kClasses = kFineClasses + 4 * (25 - 12);

struct SizeClass {
  int index;  // -1: not kept in a list
  size_t bytes;
};

inline SizeClass size_class(size_t nbytes) {
  if (nbytes <= kFineLimit) {
    const size_t n = (nbytes + kGranule - 1) / kGranule;
    return {static_cast<int>(n) - 1, n * kGranule};
  }
  if (nbytes > kListLimit) return {-1, (nbytes + kPageSize - 1) / kPageSize * kPageSize};
  const int log = 63 - __builtin_clzll(nbytes - 1);  // 2^log < nbytes <= 2^(log+1)
  const size_t quarter = size_t{1} << (log - 2);
  const size_t steps = (nbytes - (size_t{1} << log) + quarter - 1) / quarter;  // 1..4
  return {kFineClasses + 4 * (log - 12) + static_cast<int>(steps) - 1, (size_t{1} << log) + steps * quarter};
}

/// The size of the blocks of a class.
inline size_t class_bytes(int index) {
  if (index < kFineClasses) return static_cast<size_t>(index + 1) * kGranule;
  const int log = 12 + (index - kFineClasses) / 4, steps = (index - kFineClasses) % 4 + 1;
  return (size_t{1} << log) + static_cast<size_t>(steps) * (size_t{1} << (log - 2));
}

/// Free blocks by the stream they belong to and their size class.
class BlockLists {
 public:
  BlockLists() { lists_.emplace_back(nullptr, std::make_unique<Lists>()); }
  /// A block of the class; null if there is none.
  void* take(cudaStream_t stream, int index) {
    std::vector<void*>& list = of(stream).blocks[index];
    if (list.empty()) return nullptr;
    void* p = list.back();
    list.pop_back();
    return p;
  }
  void put(cudaStream_t stream, int index, void* p) { of(stream).blocks[index].push_back(p); }
  /// Calls f(block, stream, bytes) for all and forgets them.
  template <class F>
  void drain(const F& f) {
    for (auto& [stream, lists] : lists_) {
      for (int index = 0; index < kClasses; ++index) {
        for (void* p : lists->blocks[index]) f(p, stream, class_bytes(index));
        lists->blocks[index].clear();
      }
    }
  }

 private:
  struct Lists {
    std::vector<void*> blocks[kClasses];
  };
  Lists& of(cudaStream_t stream) {
    for (auto& entry : lists_)
      if (entry.first == stream) return *entry.second;
    lists_.emplace_back(stream, std::make_unique<Lists>());
    return *lists_.back().second;
  }
  std::vector<std::pair<cudaStream_t, std::unique_ptr<Lists>>> lists_;  // few; the default stream's first
};

}  // namespace norch::cuda
