// How scans go over memory, for any policy.
//
// A scan is a policy P:
//   Acc identity(); Acc join(Acc earlier, Acc later);
//   void load<N, U>(Acc (&items)[N * U], bool reverse, run);   // U runs of N elements, all on their way before any is used
//   void store<N>(int64_t at, bool reverse, const Acc (&items)[N]);
// where run(u) says where run u of neighbouring elements lies: at which offset, and which place of the scan its first
// element has. Values are converted as in reductions.
//
// Rows (adjacent elements are scanned) go by warps, each lane with runs of N elements; columns and very short rows by a
// thread each. Where there are too few of them, they are cut into parts: the totals of parts first, then their running
// totals, then the parts themselves, begun from those. What is joined with what depends on the shape alone.
#pragma once

#include "core/factory.h"
#include "kernels/cuda/reduce_values.cuh"
#include "kernels/scan.h"

namespace norch::kernels::cuda {

namespace {

constexpr unsigned kAll = 0xFFFFFFFFu;
constexpr int kThreads = 256;
constexpr int kRuns = 4;  // that a lane has on their way
/// Warps that keep an H200's memory busy: a constant, so that results do not depend on the card.
constexpr int64_t kEnoughWarps = 8192;

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

/// The join of all earlier threads' values; `total` becomes that of the block.
template <class P>
__device__ __forceinline__ typename P::Acc block_before(const P& p, typename P::Acc mine, typename P::Acc& total) {
  using Acc = typename P::Acc;
  __shared__ Acc warps[kThreads / 32];
  const int lane = threadIdx.x % 32, warp = threadIdx.x / 32;
  const Acc before = warp_before(p, mine);
  if (lane == 31) warps[warp] = mine;
  __syncthreads();
  Acc prefix = p.identity();
  total = p.identity();
  for (int i = 0; i < kThreads / 32; ++i) {
    if (i == warp) prefix = total;
    total = p.join(total, warps[i]);
  }
  __syncthreads();
  return p.join(prefix, before);
}

/// Where a run of elements is: the lowest offset, and the place in the scan of the first.
struct Run {
  int64_t at, i;
};

struct Lines {
  int64_t lines, n, inner;
  int64_t part, parts;  // elements of a part, parts of a line
  bool reverse;
  __device__ __forceinline__ int64_t start(int64_t line) const { return line / inner * n * inner + line % inner; }
  __device__ __forceinline__ int64_t offset(int64_t start, int64_t i) const {
    return start + (reverse ? n - 1 - i : i) * inner;
  }
};

/// One warp per part of a row, N elements at a time (n is a multiple of N). With `totals_only` it stores the part's total,
/// otherwise the scan, begun from starts[part] if there are such.
template <class P, int N>
__global__ void __launch_bounds__(kThreads) rows_kernel(const P p, const Lines s, typename P::Acc* starts,
                                                        bool totals_only) {
  using Acc = typename P::Acc;
  const int lane = threadIdx.x % 32;
  const int64_t warp = static_cast<int64_t>(blockIdx.x) * (kThreads / 32) + threadIdx.x / 32;
  if (warp >= s.lines * s.parts) return;
  const int64_t row = warp / s.parts * s.n, begin = warp % s.parts * s.part, end = min(begin + s.part, s.n);
  Acc carry = starts && !totals_only ? starts[warp] : p.identity();
  for (int64_t from = begin; from < end; from += 32 * N * kRuns) {
    auto place = [&](int u) { return from + (u * 32 + lane) * N; };
    auto at = [&](int64_t i) { return row + (s.reverse ? s.n - N - i : i); };
    Acc items[N * kRuns];
    p.template load<N, kRuns>(items, s.reverse, [&](int u) { return Run{at(min(place(u), end - N)), place(u)}; });
#pragma unroll
    for (int u = 0; u < kRuns; ++u) {
      const bool inside = place(u) < end;
      Acc run[N];
      run[0] = inside ? items[u * N] : p.identity();
#pragma unroll
      for (int j = 1; j < N; ++j) run[j] = inside ? p.join(run[j - 1], items[u * N + j]) : run[0];
      Acc upto = run[N - 1];
      const Acc before = p.join(carry, warp_before(p, upto));
      carry = p.join(carry, from_last_lane(upto));
      if (totals_only || !inside) continue;
#pragma unroll
      for (int j = 0; j < N; ++j) run[j] = p.join(before, run[j]);
      p.template store<N>(at(place(u)), s.reverse, run);
    }
  }
  if (totals_only && lane == 0) starts[warp] = carry;
}

/// Replaces the totals of a row's parts by the join of all earlier ones. One block per row.
template <class P>
__global__ void __launch_bounds__(kThreads) row_starts_kernel(const P p, typename P::Acc* totals, int64_t parts) {
  using Acc = typename P::Acc;
  constexpr int kItems = 8;
  Acc* row = totals + blockIdx.x * parts;
  Acc carry = p.identity();
  for (int64_t from = 0; from < parts; from += kThreads * kItems) {
    const int64_t first = from + threadIdx.x * kItems;
    Acc items[kItems], mine = p.identity(), total;
#pragma unroll
    for (int k = 0; k < kItems; ++k) {
      items[k] = first + k < parts ? row[first + k] : p.identity();
      mine = p.join(mine, items[k]);
    }
    Acc run = p.join(carry, block_before(p, mine, total));
#pragma unroll
    for (int k = 0; k < kItems; ++k) {
      if (first + k < parts) row[first + k] = run;
      run = p.join(run, items[k]);
    }
    carry = p.join(carry, total);
  }
}

/// As rows_kernel, with a thread per part of a line; neighbouring threads take neighbouring lines.
template <class P>
__global__ void __launch_bounds__(kThreads) lines_kernel(const P p, const Lines s, typename P::Acc* starts,
                                                         bool totals_only) {
  using Acc = typename P::Acc;
  const int64_t thread = static_cast<int64_t>(blockIdx.x) * kThreads + threadIdx.x;
  if (thread >= s.lines * s.parts) return;
  const int64_t start = s.start(thread % s.lines), begin = thread / s.lines * s.part, end = min(begin + s.part, s.n);
  Acc run = starts && !totals_only ? starts[thread] : p.identity();
  constexpr int kAhead = 8;
  for (int64_t from = begin; from < end; from += kAhead) {
    Acc items[kAhead];
    p.template load<1, kAhead>(items, false,
                               [&](int k) { return Run{s.offset(start, min(from + k, end - 1)), from + k}; });
#pragma unroll
    for (int k = 0; k < kAhead; ++k) {
      if (from + k >= end) break;
      run = p.join(run, items[k]);
      if (totals_only) continue;
      const Acc one[1] = {run};
      p.template store<1>(s.offset(start, from + k), false, one);
    }
  }
  if (totals_only) starts[thread] = run;
}

/// Replaces the totals of the lines' parts by the join of all earlier ones. One thread per line.
template <class P>
__global__ void __launch_bounds__(kThreads) line_starts_kernel(const P p, typename P::Acc* totals, int64_t lines,
                                                               int64_t parts) {
  using Acc = typename P::Acc;
  const int64_t line = static_cast<int64_t>(blockIdx.x) * kThreads + threadIdx.x;
  if (line >= lines) return;
  constexpr int kAhead = 8;
  Acc run = p.identity();
  for (int64_t from = 0; from < parts; from += kAhead) {
    Acc items[kAhead];
#pragma unroll
    for (int k = 0; k < kAhead; ++k) items[k] = totals[min(from + k, parts - 1) * lines + line];
#pragma unroll
    for (int k = 0; k < kAhead; ++k) {
      if (from + k >= parts) break;
      totals[(from + k) * lines + line] = run;
      run = p.join(run, items[k]);
    }
  }
}

/// `vectors`: arrays are aligned to 16 bytes.
template <class P>
void run(const ScanShape& shape, bool reverse, const P& p, bool vectors, Device device) {
  using Acc = typename P::Acc;
  Lines s{shape.outer * shape.inner, shape.n, shape.inner, shape.n, 1, reverse};
  // Parts of at least `least` elements, a multiple of `unit`, until there are enough.
  auto cut = [&](int64_t wanted, int64_t least, int64_t unit) {
    const int64_t parts = std::min(wanted / s.lines, s.n / least);
    if (parts < 2) return;
    s.part = ((s.n + parts - 1) / parts + unit - 1) / unit * unit;
    s.parts = (s.n + s.part - 1) / s.part;
  };
  Tensor room;
  Acc* starts = nullptr;
  auto make_room = [&] {
    if (s.parts == 1) return;
    room = new_tensor({s.lines * s.parts * static_cast<int64_t>(sizeof(Acc))}, DType::UInt8, device);
    starts = static_cast<Acc*>(room.data_ptr());
  };
  if (shape.inner > 1 || shape.n <= 16) {
    cut(32 * kEnoughWarps, 64, 8);
    make_room();
    const unsigned blocks = blocks_for(s.lines * s.parts, kThreads);
    if (s.parts > 1) {
      launch(lines_kernel<P>, blocks, kThreads, 0, p, s, starts, true);
      launch(line_starts_kernel<P>, blocks_for(s.lines, kThreads), kThreads, 0, p, starts, s.lines, s.parts);
    }
    launch(lines_kernel<P>, blocks, kThreads, 0, p, s, starts, false);
    return;
  }
  cut(kEnoughWarps, 1024, 128 * kRuns);
  make_room();
  const unsigned blocks = blocks_for(s.lines * s.parts, kThreads / 32);
  auto go = [&](auto kernel, bool totals_only) { launch(kernel, blocks, kThreads, 0, p, s, starts, totals_only); };
  const bool runs = vectors && s.n % 4 == 0;
  if (s.parts > 1) {
    runs ? go(rows_kernel<P, 4>, true) : go(rows_kernel<P, 1>, true);
    launch(row_starts_kernel<P>, blocks_for(s.lines, 1), kThreads, 0, p, starts, s.parts);
  }
  runs ? go(rows_kernel<P, 4>, false) : go(rows_kernel<P, 1>, false);
}

}  // namespace

}  // namespace norch::kernels::cuda
