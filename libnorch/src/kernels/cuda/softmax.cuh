// What softmax and logsumexp share: a running sum of exponentials, and walks over columns.
#pragma once

#include "kernels/softmax.h"

#include <algorithm>
#include <limits>

#include "core/factory.h"
#include "kernels/cuda/group.cuh"

namespace norch::kernels::cuda {

namespace {

constexpr int kThreads = 256;  // of a block of columns

__device__ __forceinline__ float exp_of(float x) { return expf(x); }
__device__ __forceinline__ double exp_of(double x) { return exp(x); }
/// Drops a NaN: the sum of exponentials carries it to the whole row.
__device__ __forceinline__ float larger(float a, float b) { return fmaxf(a, b); }
__device__ __forceinline__ double larger(double a, double b) { return fmax(a, b); }

template <class C>
constexpr C kLowest = -std::numeric_limits<C>::infinity();

/// Largest element so far, and the sum of exp(x - largest). Of nothing but -inf that is 0 and not NaN; with +inf it is
/// NaN, as softmax is, or with kSum infinite, as logsumexp is.
template <class C, bool kSum = false>
struct Online {
  C high, sum;
  static __device__ __forceinline__ Online nothing() { return {kLowest<C>, C(0)}; }
  /// Adds exp(x) of `n` numbers.
  template <int n>
  __device__ __forceinline__ void add(const C (&x)[n]) {
    C top = high;
#pragma unroll
    for (int k = 0; k < n; ++k) top = larger(top, x[k]);
    const C base = base_of(top);
    sum *= exp_of(high - base);
#pragma unroll
    for (int k = 0; k < n; ++k) sum += exp_of(x[k] - base);
    high = top;
  }
  __device__ __forceinline__ Online join(const Online& o) const {
    const C top = larger(high, o.high), base = base_of(top);
    return {top, sum * exp_of(high - base) + o.sum * exp_of(o.high - base)};
  }
  __device__ __forceinline__ C logarithm() const { return base_of(high) + ::log(sum); }

 private:
  /// What to subtract.
  static __device__ __forceinline__ C base_of(C top) {
    return top == kLowest<C> || (kSum && top == -kLowest<C>) ? C(0) : top;
  }
};

/// Neighbouring threads take V neighbouring columns each; blockDim.y threads share the elements of one. Every thread
/// gets what its columns hold, joined in the order of threadIdx.y.
template <int V, class A>
__device__ __forceinline__ void join_columns(A (&all)[V]) {
  extern __shared__ char raw[];
  A* const shared = reinterpret_cast<A*>(raw);
  const int width = blockDim.x * V;
#pragma unroll
  for (int j = 0; j < V; ++j) shared[threadIdx.y * width + threadIdx.x * V + j] = all[j];
  __syncthreads();
  for (int c = threadIdx.y * blockDim.x + threadIdx.x; c < width; c += blockDim.x * blockDim.y) {
    A a = shared[c];
    for (int i = 1; i < blockDim.y; ++i) a = a.join(shared[i * width + c]);
    shared[c] = a;
  }
  __syncthreads();
#pragma unroll
  for (int j = 0; j < V; ++j) all[j] = shared[threadIdx.x * V + j];
}

/// A column may be cut into parts, each of them a block's: what they hold first, then each part with what all hold.
enum class Columns : uint8_t { Whole, Totals, Results };

/// Which columns a thread takes, and which of their elements: every blockDim.y-th of [begin, end).
struct ColumnWalk {
  int64_t n, inner, strips;  // strips of columns, one a block
  int64_t part, parts;       // elements of a part, parts of a column
  Columns way;

#if defined(__CUDACC__)
  template <int V>
  __device__ __forceinline__ int64_t column() const {
    return (blockIdx.x % strips * blockDim.x + threadIdx.x) * V;
  }
  __device__ __forceinline__ int64_t outer() const { return blockIdx.x / strips; }
  __device__ __forceinline__ int64_t begin() const { return blockIdx.y * part + threadIdx.y; }
  __device__ __forceinline__ int64_t end() const { return min((blockIdx.y + 1) * part, n); }
#endif
};

/// What the columns hold, by all threads that share them: `all` of this thread, and of all parts where those are known.
/// False where that is all there is to do.
template <int V, class A>
__device__ __forceinline__ bool join_parts(const ColumnWalk& w, A (&all)[V], A* totals) {
  const int64_t column = w.column<V>();
  const bool live = column < w.inner;
  A* const mine = totals + (w.outer() * w.parts * w.inner + column);
  if (w.way == Columns::Results && live)
    for (int64_t part = threadIdx.y; part < w.parts; part += blockDim.y)
#pragma unroll
      for (int j = 0; j < V; ++j) all[j] = all[j].join(mine[part * w.inner + j]);
  join_columns(all);
  if (w.way == Columns::Totals && live && threadIdx.y == 0)
#pragma unroll
    for (int j = 0; j < V; ++j) mine[blockIdx.y * w.inner + j] = all[j];
  return w.way != Columns::Totals && live;
}

/// Calls f(i, v) with the rows i of this thread's part, v the V elements of `x` there, kRows loads at once.
template <int V, int kRows, class T, class F>
__device__ __forceinline__ void each_row(const ColumnWalk& w, const T* x, const F& f) {
  const int64_t end = w.end(), step = blockDim.y;
  for (int64_t i = w.begin(); i < end; i += kRows * step) {
    Vector<V, T> raw[kRows];
    // Behind the end the first row is read again: no load waits for a condition.
#pragma unroll
    for (int r = 0; r < kRows; ++r)
      raw[r] = *reinterpret_cast<const Vector<V, T>*>(x + (i + r * step < end ? i + r * step : i) * w.inner);
    f(i, raw);
  }
}

/// Adds a thread's part of its columns to `all`.
template <int V, bool kSum, class T, class C>
__device__ __forceinline__ void add_columns(const ColumnWalk& w, const T* x, Online<C, kSum> (&all)[V]) {
  constexpr int kRows = 4;
  const int64_t end = w.end(), step = blockDim.y;
  each_row<V, kRows>(w, x, [&](int64_t i, const Vector<V, T>(&raw)[kRows]) {
#pragma unroll
    for (int j = 0; j < V; ++j) {
      C batch[kRows];
#pragma unroll
      for (int r = 0; r < kRows; ++r) batch[r] = i + r * step < end ? static_cast<C>(raw[r].v[j]) : kLowest<C>;
      all[j].add(batch);
    }
  });
}

/// Neighbouring columns that a thread takes where it can.
template <class T>
constexpr int kColumnsOf = sizeof(T) == 8 ? 1 : 4;

/// Blocks that a multiprocessor has room for.
template <int V, class C>
constexpr int kBlocksOf = V * sizeof(C) > 4 ? 4 : 8;

/// Calls go(V, grid, block, bytes of shared memory, walk, totals) once, or twice with parts. A is what a column holds;
/// `vectors` says whether columns can be read by kColumnsOf<T>. `second`: whether the second launch walks the parts
/// again, or has all it needs in the totals.
template <class T, class A, class F>
void launch_columns(const SoftmaxShape& s, Device device, bool vectors, bool second, const F& go) {
  const auto run = [&](auto width) {
    constexpr int V = decltype(width)::value;
    constexpr int64_t kEnoughBlocks = 1056;  // twice what an H100 or H200 runs at once
    unsigned x = 1, y = 1;
    while (x < 32 && x * V < s.inner) x *= 2;
    while (y < kThreads / x && y * 4 < s.n) y *= 2;
    const int64_t strips = (s.inner + x * V - 1) / (x * V);
    const unsigned blocks = blocks_for(s.outer * strips, 1);
    const int64_t wanted = std::max<int64_t>(1, std::min(kEnoughBlocks / std::max(1u, blocks), s.n * V / (16 * y)));
    ColumnWalk w{s.n, s.inner, strips, (s.n + wanted - 1) / wanted, 1, Columns::Whole};
    w.parts = (s.n + w.part - 1) / w.part;
    const dim3 block(x, y);
    const size_t shared = sizeof(A) * V * x * y;
    if (w.parts == 1) return go(width, dim3(blocks), block, shared, w, static_cast<A*>(nullptr));
    const Tensor room = new_tensor({s.outer * w.parts * s.inner * static_cast<int64_t>(sizeof(A))}, DType::UInt8, device);
    A* totals = static_cast<A*>(room.data_ptr());
    const unsigned parts = static_cast<unsigned>(w.parts);
    w.way = Columns::Totals;
    go(width, dim3(blocks, parts), block, shared, w, totals);
    w.way = Columns::Results;
    go(width, dim3(blocks, second ? parts : 1), block, shared, w, totals);
  };
  if constexpr (kColumnsOf<T> > 1)
    if (vectors) return run(std::integral_constant<int, kColumnsOf<T>>{});
  run(std::integral_constant<int, 1>{});
}

/// Whether columns at these addresses can be read by kColumnsOf<T>.
template <class T>
bool columns_have_vectors(const SoftmaxShape& s, std::initializer_list<const void*> pointers) {
  constexpr int V = kColumnsOf<T>;
  if (s.inner % V != 0) return false;
  for (const void* p : pointers)
    if (reinterpret_cast<uintptr_t>(p) % (V * sizeof(T)) != 0) return false;
  return true;
}

}  // namespace

}  // namespace norch::kernels::cuda
