#include "kernels/scan.h"

#include "core/factory.h"
#include "kernels/cuda/launch.cuh"

namespace norch::kernels::cuda {

namespace {

// A scan is a policy P:
//   Acc identity(); Acc load(int64_t at, int64_t i); Acc join(Acc earlier, Acc later); void store(int64_t at, Acc);
// where `at` is the element's offset and i its place in the scan. Long lines are cut into tiles: the totals of tiles
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
#pragma unroll
  for (int k = 0; k < kItems; ++k) {
    items[k] = first + k < s.n ? p.load(s.offset(start, first + k), first + k) : p.identity();
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
  for (int64_t i = 0; i < s.n; ++i) {
    const int64_t at = s.offset(start, i);
    run = p.join(run, p.load(at, i));
    p.store(at, run);
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

template <class T, class A>
struct Elements {
  using Acc = A;
  const T* x;
  void* y;
  bool out_is_input_type;
  __device__ __forceinline__ A load(int64_t at, int64_t) const {
    return static_cast<A>(static_cast<ComputeType<T>>(x[at]));
  }
  __device__ __forceinline__ void store(int64_t at, A v) const {
    if (out_is_input_type)
      static_cast<T*>(y)[at] = static_cast<T>(v);
    else
      static_cast<SumType<T>*>(y)[at] = static_cast<SumType<T>>(v);
  }
};
template <class T>
struct SumScan : Elements<T, SumType<T>> {
  using A = SumType<T>;
  __device__ __forceinline__ A identity() const { return A(0); }
  __device__ __forceinline__ A join(A a, A b) const { return a + b; }
};
template <class T>
struct ProdScan : Elements<T, SumType<T>> {
  using A = SumType<T>;
  __device__ __forceinline__ A identity() const { return A(1); }
  __device__ __forceinline__ A join(A a, A b) const { return a * b; }
};
template <class T>
struct LogSumExpScan : Elements<T, SumType<T>> {
  using A = SumType<T>;
  __device__ __forceinline__ A identity() const { return -std::numeric_limits<A>::infinity(); }
  __device__ __forceinline__ A join(A a, A b) const { return log_add_exp(a, b); }
};

template <bool kLargest, class T>
struct SelectScan {
  using C = ComputeType<T>;
  struct Acc {
    C value;
    int64_t index;
  };
  const T* x;
  T* values;
  int64_t* indices;
  __device__ __forceinline__ Acc identity() const { return {C(0), -1}; }
  __device__ __forceinline__ Acc load(int64_t at, int64_t i) const { return {static_cast<C>(x[at]), i}; }
  __device__ __forceinline__ Acc join(const Acc& a, const Acc& b) const {
    if (a.index < 0) return b;
    if (b.index < 0) return a;
    const C u = a.value, v = b.value;
    return v != v || (u == u && (kLargest ? v >= u : v <= u)) ? b : a;
  }
  __device__ __forceinline__ void store(int64_t at, const Acc& a) const {
    values[at] = static_cast<T>(a.value);
    indices[at] = a.index;
  }
};

/// y -> term + factor * y, composed.
template <class T>
struct LinearScan {
  using C = ComputeType<T>;
  struct Acc {
    C factor, term;
  };
  const T* x;
  const T* g;
  T* y;
  __device__ __forceinline__ Acc identity() const { return {C(1), C(0)}; }
  __device__ __forceinline__ Acc load(int64_t at, int64_t i) const {
    return {i == 0 ? C(0) : static_cast<C>(x[at]), static_cast<C>(g[at])};
  }
  __device__ __forceinline__ Acc join(const Acc& a, const Acc& b) const {
    return {a.factor * b.factor, b.term + b.factor * a.term};
  }
  __device__ __forceinline__ void store(int64_t at, const Acc& a) const { y[at] = static_cast<T>(a.term); }
};

template <class P, class T>
void run_elements(const ScanShape& s, bool reverse, const Tensor& out, const Tensor& in) {
  P p;
  p.x = static_cast<const T*>(in.data_ptr());
  p.y = out.data_ptr();
  p.out_is_input_type = out.dtype() == in.dtype();
  run(s, reverse, p, in.device());
}

}  // namespace

void scan(ScanOp op, const ScanShape& s, const Tensor& out, const Tensor& in, bool reverse) {
  if (op == ScanOp::LogSumExp) {
    visit_float("logcumsumexp", in.dtype(), [&](auto tag) {
      using T = typename decltype(tag)::type;
      run_elements<LogSumExpScan<T>, T>(s, reverse, out, in);
    });
    return;
  }
  visit_all(in.dtype(), [&](auto tag) {
    using T = typename decltype(tag)::type;
    if (op == ScanOp::Sum)
      run_elements<SumScan<T>, T>(s, reverse, out, in);
    else
      run_elements<ProdScan<T>, T>(s, reverse, out, in);
  });
}

void scan_select(bool largest, const ScanShape& s, const Tensor& values, const Tensor& indices, const Tensor& in) {
  visit_all(in.dtype(), [&](auto tag) {
    using T = typename decltype(tag)::type;
    const T* x = static_cast<const T*>(in.data_ptr());
    T* v = static_cast<T*>(values.data_ptr());
    if (largest)
      run(s, false, SelectScan<true, T>{x, v, indices.data<int64_t>()}, in.device());
    else
      run(s, false, SelectScan<false, T>{x, v, indices.data<int64_t>()}, in.device());
  });
}

void linear_scan(const ScanShape& s, const Tensor& out, const Tensor& x, const Tensor& g, bool reverse) {
  visit_float("linear_scan", x.dtype(), [&](auto tag) {
    using T = typename decltype(tag)::type;
    run(s, reverse, LinearScan<T>{x.data<T>(), g.data<T>(), out.data<T>()}, x.device());
  });
}

}  // namespace norch::kernels::cuda
