#include "kernels/scan.h"

#include "core/factory.h"
#include "kernels/cuda/reduce_values.cuh"
#include "kernels/reduce.h"

namespace norch::kernels::cuda {

namespace {

// A scan is a policy P:
//   Acc identity(); Acc join(Acc earlier, Acc later); void store(int64_t at, Acc);
//   void load(Acc (&items)[N], place);   // several elements at once, so that no load waits for another
// where `at` is an element's offset, and place(k) says where item k is. Values are converted as in reductions. Long lines are cut into tiles: the totals of tiles
// first, then their running totals, then the tiles themselves. Short neighbouring lines take a thread each.

constexpr int kThreads = 256;
constexpr int kItems = 8;
constexpr int64_t kTile = kThreads * kItems;

template <class Acc>
__device__ __forceinline__ Acc shuffle_up(const Acc& a, int by) {
  Acc out;
  int words[(sizeof(Acc) + 3) / 4] = {};
  memcpy(words, &a, sizeof(Acc));
#pragma unroll
  for (int& word : words) word = __shfl_up_sync(0xFFFFFFFFu, word, by);
  memcpy(&out, words, sizeof(Acc));
  return out;
}

/// The join of all earlier threads' values; `total` becomes that of the block.
template <class P>
__device__ __forceinline__ typename P::Acc block_before(const P& p, typename P::Acc mine, typename P::Acc& total) {
  using Acc = typename P::Acc;
  __shared__ Acc warps[kThreads / 32];
  const int lane = threadIdx.x % 32, warp = threadIdx.x / 32;
  Acc upto = mine;
#pragma unroll
  for (int by = 1; by < 32; by *= 2) {
    const Acc earlier = shuffle_up(upto, by);
    if (lane >= by) upto = p.join(earlier, upto);
  }
  if (lane == 31) warps[warp] = upto;
  Acc before = shuffle_up(upto, 1);
  if (lane == 0) before = p.identity();
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

/// Where an element is: its offset, and its place in the scan.
struct Place {
  int64_t at, i;
};

struct Lines {
  int64_t n, inner, tiles;
  bool reverse;
  __device__ __forceinline__ int64_t start(int64_t line) const { return line / inner * n * inner + line % inner; }
  __device__ __forceinline__ int64_t offset(int64_t start, int64_t i) const {
    return start + (reverse ? n - 1 - i : i) * inner;
  }
};

/// One block per tile; with `totals_only` it stores the tile's total, otherwise the scan, begun from totals[block].
template <class P>
__global__ void __launch_bounds__(kThreads) tile_kernel(const P p, const Lines s, typename P::Acc* totals,
                                                        bool totals_only) {
  using Acc = typename P::Acc;
  const int64_t line = blockIdx.x / s.tiles, start = s.start(line);
  const int64_t first = (blockIdx.x % s.tiles) * kTile + threadIdx.x * kItems;
  Acc items[kItems];
  Acc mine = p.identity();
  p.load(items, [&](int k) { return Place{s.offset(start, min(first + k, s.n - 1)), first + k}; });
#pragma unroll
  for (int k = 0; k < kItems; ++k) {
    if (first + k >= s.n) items[k] = p.identity();
    mine = p.join(mine, items[k]);
  }
  Acc total, run = block_before(p, mine, total);
  if (totals_only) {
    if (threadIdx.x == 0) totals[blockIdx.x] = total;
    return;
  }
  if (totals) run = p.join(totals[blockIdx.x], run);
#pragma unroll
  for (int k = 0; k < kItems; ++k) {
    run = p.join(run, items[k]);
    if (first + k < s.n) p.store(s.offset(start, first + k), run);
  }
}

/// Replaces the totals of a line's tiles by the join of all earlier ones. One block per line.
template <class P>
__global__ void __launch_bounds__(kThreads) totals_kernel(const P p, typename P::Acc* totals, int64_t tiles) {
  using Acc = typename P::Acc;
  Acc* line = totals + blockIdx.x * tiles;
  Acc carry = p.identity();
  for (int64_t from = 0; from < tiles; from += kThreads) {
    const int64_t i = from + threadIdx.x;
    const Acc mine = i < tiles ? line[i] : p.identity();
    Acc total;
    const Acc before = block_before(p, mine, total);
    if (i < tiles) line[i] = p.join(carry, before);
    carry = p.join(carry, total);
  }
}

template <class P>
__global__ void __launch_bounds__(kThreads) lines_kernel(const P p, const Lines s, int64_t lines) {
  const int64_t line = static_cast<int64_t>(blockIdx.x) * kThreads + threadIdx.x;
  if (line >= lines) return;
  const int64_t start = s.start(line);
  typename P::Acc run = p.identity();
  constexpr int kAhead = 4;
  for (int64_t i = 0; i < s.n; i += kAhead) {
    typename P::Acc items[kAhead];
    p.load(items, [&](int k) { return Place{s.offset(start, min(i + k, s.n - 1)), i + k}; });
#pragma unroll
    for (int k = 0; k < kAhead; ++k) {
      if (i + k >= s.n) break;
      run = p.join(run, items[k]);
      p.store(s.offset(start, i + k), run);
    }
  }
}

template <class P>
void run(const ScanShape& shape, bool reverse, const P& p, Device device) {
  const int64_t lines = shape.outer * shape.inner;
  Lines s{shape.n, shape.inner, (shape.n + kTile - 1) / kTile, reverse};
  if (shape.inner >= 32 || shape.n <= 16) {
    launch(lines_kernel<P>, blocks_for(lines, kThreads), kThreads, 0, p, s, lines);
    return;
  }
  const unsigned blocks = blocks_for(lines * s.tiles, 1);
  if (s.tiles == 1) {
    launch(tile_kernel<P>, blocks, kThreads, 0, p, s, nullptr, false);
    return;
  }
  using Acc = typename P::Acc;
  const Tensor room = new_tensor({static_cast<int64_t>(blocks * sizeof(Acc))}, DType::UInt8, device);
  Acc* totals = static_cast<Acc*>(room.data_ptr());
  launch(tile_kernel<P>, blocks, kThreads, 0, p, s, totals, true);
  launch(totals_kernel<P>, blocks_for(lines, 1), kThreads, 0, p, totals, s.tiles);
  launch(tile_kernel<P>, blocks, kThreads, 0, p, s, totals, false);
}

using reduction::Raw;
using reduction::Values;

/// The values of N elements of the array x.
template <class A, int N, class F>
__device__ __forceinline__ void load_values(A (&v)[N], DType t, const char* x, int size, const F& place) {
  Raw<1, Values<A>::kLargest> raw[N];
  reduction::load_runs<A, 1>(t, raw, [&](int k) { return x + place(k).at * size; });
#pragma unroll
  for (int k = 0; k < N; ++k) {
    A one[1];
    reduction::decode(t, raw[k], one);
    v[k] = one[0];
  }
}

/// Running sums, products or log-sum-exps.
template <class A>
struct FoldScan {
  using Acc = A;
  ScanOp op;
  DType in_dtype, out_dtype;
  int size;
  const char* x;
  void* y;
  __device__ __forceinline__ A identity() const {
    if constexpr (std::is_floating_point_v<A>)
      if (op == ScanOp::LogSumExp) return -std::numeric_limits<A>::infinity();
    return op == ScanOp::Sum ? A(0) : A(1);
  }
  __device__ __forceinline__ A join(A a, A b) const {
    if constexpr (std::is_floating_point_v<A>)
      if (op == ScanOp::LogSumExp) return joined_logs(a, b);
    return op == ScanOp::Sum ? a + b : a * b;
  }
  template <int N, class F>
  __device__ __forceinline__ void load(A (&items)[N], const F& place) const {
    load_values(items, in_dtype, x, size, place);
  }
  __device__ __forceinline__ void store(int64_t at, A v) const { Values<A>::store(out_dtype, y, at, v); }

 private:
  /// Called: it is long, and inlined it would be there once for each join of the kernels.
  static __device__ __noinline__ A joined_logs(A a, A b) { return log_add_exp(a, b); }
};

template <class A>
struct SelectScan {
  using Acc = Found<A>;
  bool largest;
  DType dtype;
  int size;
  const char* x;
  void* values;
  int64_t* indices;
  __device__ __forceinline__ Acc identity() const { return {A(0), -1}; }
  template <int N, class F>
  __device__ __forceinline__ void load(Acc (&items)[N], const F& place) const {
    A v[N];
    load_values(v, dtype, x, size, place);
#pragma unroll
    for (int k = 0; k < N; ++k) items[k] = {v[k], place(k).i};
  }
  __device__ __forceinline__ Acc join(const Acc& a, const Acc& b) const {
    if (a.index < 0) return b;
    if (b.index < 0) return a;
    const A u = a.value, v = b.value;
    return v != v || (u == u && (largest ? v >= u : v <= u)) ? b : a;
  }
  __device__ __forceinline__ void store(int64_t at, const Acc& a) const {
    Values<A>::store(dtype, values, at, a.value);
    indices[at] = a.index;
  }
};

/// y -> term + factor * y, composed.
template <class A>
struct LinearScan {
  struct Acc {
    A factor, term;
  };
  DType dtype;
  int size;
  const char* x;
  const char* g;
  void* y;
  __device__ __forceinline__ Acc identity() const { return {A(1), A(0)}; }
  template <int N, class F>
  __device__ __forceinline__ void load(Acc (&items)[N], const F& place) const {
    A factor[N], term[N];
    load_values(factor, dtype, x, size, place);
    load_values(term, dtype, g, size, place);
#pragma unroll
    for (int k = 0; k < N; ++k) items[k] = {place(k).i == 0 ? A(0) : factor[k], term[k]};
  }
  __device__ __forceinline__ Acc join(const Acc& a, const Acc& b) const {
    return {a.factor * b.factor, b.term + b.factor * a.term};
  }
  __device__ __forceinline__ void store(int64_t at, const Acc& a) const { Values<A>::store(dtype, y, at, a.term); }
};

const char* bytes_of(const Tensor& t) { return static_cast<const char*>(t.data_ptr()); }
int size_of(const Tensor& t) { return static_cast<int>(itemsize(t.dtype())); }

}  // namespace

void scan(ScanOp op, const ScanShape& s, const Tensor& out, const Tensor& in, bool reverse) {
  if (op == ScanOp::LogSumExp) visit_float("logcumsumexp", in.dtype(), [](auto) {});  // raises for others
  reduction::visit_value_type(in.dtype(), [&](auto tag) {
    run(s, reverse,
        FoldScan<typename decltype(tag)::type>{op, in.dtype(), out.dtype(), size_of(in), bytes_of(in), out.data_ptr()},
        in.device());
  });
}

void scan_select(bool largest, const ScanShape& s, const Tensor& values, const Tensor& indices, const Tensor& in) {
  reduction::visit_value_type(in.dtype(), [&](auto tag) {
    run(s, false,
        SelectScan<typename decltype(tag)::type>{largest, in.dtype(), size_of(in), bytes_of(in), values.data_ptr(),
                                                 indices.data<int64_t>()},
        in.device());
  });
}

void linear_scan(const ScanShape& s, const Tensor& out, const Tensor& x, const Tensor& g, bool reverse) {
  visit_float("linear_scan", x.dtype(), [&](auto tag) {
    run(s, reverse,
        LinearScan<SumType<typename decltype(tag)::type>>{x.dtype(), size_of(x), bytes_of(x), bytes_of(g),
                                                          out.data_ptr()},
        x.device());
  });
}

}  // namespace norch::kernels::cuda
