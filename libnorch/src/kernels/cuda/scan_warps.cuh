// What the kernels of scans share: joins over warps, and where lines lie.
#pragma once

#include "core/factory.h"
#include "kernels/cuda/reduce_values.cuh"
#include "kernels/scan.h"

namespace norch::kernels::cuda {

namespace {

constexpr unsigned kAll = 0xFFFFFFFFu;
constexpr int kThreads = 256;

template <class Acc>
__device__ __forceinline__ Acc shuffle_up(const Acc& a, int by) {
  Acc out;
  int words[(sizeof(Acc) + 3) / 4] = {};
  memcpy(words, &a, sizeof(Acc));
#pragma unroll
  for (int& word : words) word = __shfl_up_sync(kAll, word, by);
  memcpy(&out, words, sizeof(Acc));
  return out;
}
template <class Acc>
__device__ __forceinline__ Acc from_last_lane(const Acc& a) {
  Acc out;
  int words[(sizeof(Acc) + 3) / 4] = {};
  memcpy(words, &a, sizeof(Acc));
#pragma unroll
  for (int& word : words) word = __shfl_sync(kAll, word, 31);
  memcpy(&out, words, sizeof(Acc));
  return out;
}

/// The join of the earlier lanes' values; `mine` becomes that of them and this lane's.
template <class P>
__device__ __forceinline__ typename P::Acc warp_before(const P& p, typename P::Acc& mine) {
  using Acc = typename P::Acc;
  const int lane = threadIdx.x % 32;
#pragma unroll
  for (int by = 1; by < 32; by *= 2) {
    const Acc earlier = shuffle_up(mine, by);
    if (lane >= by) mine = p.join(earlier, mine);
  }
  const Acc before = shuffle_up(mine, 1);
  return lane == 0 ? p.identity() : before;
}

/// Where a run of elements is: the lowest offset, and the place in the scan of the first.
struct Run {
  int64_t at, i;
};

/// Lines of n elements that lie `inner` apart; rows are lines with `inner` 1.
struct Lines {
  int64_t lines, n, inner;
  bool reverse;
  __device__ __forceinline__ int64_t start(int64_t line) const { return line / inner * n * inner + line % inner; }
  __device__ __forceinline__ int64_t offset(int64_t start, int64_t i) const {
    return start + (reverse ? n - 1 - i : i) * inner;
  }
};

}  // namespace

}  // namespace norch::kernels::cuda
