// How scans go over memory, for any policy.
//
// A scan is a policy P:
//   Acc identity(); Acc join(Acc earlier, Acc later);
//   static constexpr int kInputs; const char* input(int i);   // its arrays, of elements of `int size` bytes
//   static constexpr int kBytes;           // the most that elements of all of them take
//   P from(const char* at, int apart);     // itself, to load from pieces of its inputs at `at`, `apart` bytes apart
//   void load<N, U>(Acc (&items)[N * U], bool reverse, run);  // U runs of N elements, on their way before any is used
//   void store<N>(int64_t at, bool reverse, const Acc (&items)[N]);
//   static constexpr bool kLevels;  // whether the joins of elements that are near in value are cheaper. If so, too
//   bool scan_level<N>(Acc (&run)[N], int64_t count);         // (see LogScan; false where elements are not near):
//   void join_level<N>(Acc before, Acc (&run)[N]);
//   bool advance_level<N>(Acc (&run)[N], bool inside, Acc& carry);
// where run(u) says where run u of neighbouring elements lies: at which offset, and which place of the scan its first
// element has. Values are converted as in reductions.
//
// Rows (adjacent elements are scanned) go by warps, each lane with runs of N elements; columns and very short rows by a
// thread each. Where there are too few of them, they are cut into tiles (kernels/cuda/scan_tiles.cuh). What is joined
// with what depends on the shape alone.
#pragma once

#include "kernels/cuda/scan_line_tiles.cuh"
#include "kernels/cuda/scan_row_tiles.cuh"

namespace norch::kernels::cuda {

namespace {

/// Warps that keep an H200's memory busy: a constant, so that results do not depend on the card.
constexpr int64_t kEnoughWarps = 8192;

/// One warp per row, N elements at a time (n is a multiple of N).
template <class P, int N>
__global__ void __launch_bounds__(kThreads) rows_kernel(const P p, const Lines s) {
  using Acc = typename P::Acc;
  constexpr int kRuns = 4;  // that a lane has on their way
  const int lane = threadIdx.x % 32;
  const int64_t warp = static_cast<int64_t>(blockIdx.x) * (kThreads / 32) + threadIdx.x / 32;
  if (warp >= s.lines) return;
  const int64_t row = warp * s.n;
  Acc carry = p.identity();
  for (int64_t from = 0; from < s.n; from += 32 * N * kRuns) {
    auto place = [&](int u) { return from + (u * 32 + lane) * N; };
    auto at = [&](int64_t i) { return row + (s.reverse ? s.n - N - i : i); };
    Acc items[N * kRuns];
    p.template load<N, kRuns>(items, s.reverse, [&](int u) { return Run{at(min(place(u), s.n - N)), place(u)}; });
#pragma unroll
    for (int u = 0; u < kRuns; ++u) {
      const bool inside = place(u) < s.n;
      Acc run[N];
#pragma unroll
      for (int j = 0; j < N; ++j) run[j] = items[u * N + j];
      bool level = false;
      if constexpr (P::kLevels) level = p.template advance_level<N>(run, inside, carry);
      if (!level) {
        if (!inside) run[0] = p.identity();
#pragma unroll
        for (int j = 1; j < N; ++j) run[j] = inside ? p.join(run[j - 1], run[j]) : run[0];
        Acc upto = run[N - 1];
        const Acc before = p.join(carry, warp_before(p, upto));
        carry = p.join(carry, from_last_lane(upto));
#pragma unroll
        for (int j = 0; j < N; ++j) run[j] = p.join(before, run[j]);
      }
      if (inside) p.template store<N>(at(place(u)), s.reverse, run);
    }
  }
}

/// As rows_kernel, with a thread per line; neighbouring threads take neighbouring lines.
template <class P>
__global__ void __launch_bounds__(kThreads) lines_kernel(const P p, const Lines s) {
  using Acc = typename P::Acc;
  const int64_t line = static_cast<int64_t>(blockIdx.x) * kThreads + threadIdx.x;
  if (line >= s.lines) return;
  const int64_t start = s.start(line);
  Acc run = p.identity();
  constexpr int kAhead = 8;
  for (int64_t from = 0; from < s.n; from += kAhead) {
    Acc items[kAhead];
    p.template load<1, kAhead>(items, false,
                               [&](int k) { return Run{s.offset(start, min(from + k, s.n - 1)), from + k}; });
#pragma unroll
    for (int k = 0; k < kAhead; ++k) {
      if (from + k >= s.n) break;
      run = p.join(run, items[k]);
      const Acc one[1] = {run};
      p.template store<1>(s.offset(start, from + k), false, one);
    }
  }
}

/// `vectors`: arrays are aligned to 16 bytes.
template <class P>
void run(const ScanShape& shape, bool reverse, const P& p, bool vectors, Device device) {
  const Lines s{shape.outer * shape.inner, shape.n, shape.inner, reverse};
  if (shape.inner > 1 || shape.n <= 16) {
    // A thread per line keeps memory busy from some 260,000 lines on; half of those are better than tiles.
    constexpr int64_t kEnoughLines = 16 * kEnoughWarps, kLongLine = 128;
    if (s.lines < kEnoughLines && s.n >= kLongLine && has_room<LineBounds<P>>(p))
      return run_line_tiles(p, s, vectors, device);
    return launch(lines_kernel<P>, blocks_for(s.lines, kThreads), kThreads, 0, p, s);
  }
  const bool runs = vectors && s.n % 4 == 0;
  constexpr int64_t kLongRow = 4096;
  if (s.lines < kEnoughWarps / 2 && s.n >= kLongRow && has_room<TileBounds<P>>(p))
    return run_row_tiles(p, s, runs, device);
  launch(runs ? rows_kernel<P, 4> : rows_kernel<P, 1>, blocks_for(s.lines, kThreads / 32), kThreads, 0, p, s);
}

}  // namespace

}  // namespace norch::kernels::cuda
