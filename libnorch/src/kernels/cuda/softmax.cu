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

/// Largest element so far, and the sum of exp(x - largest).
template <class C>
struct Online {
  C high, sum;
  /// Adds exp(x) of `n` numbers.
  template <int n>
  __device__ __forceinline__ void add(const C (&x)[n]) {
    C top = high;
#pragma unroll
    for (int k = 0; k < n; ++k) top = larger(top, x[k]);
    const C base = finite(top);
    sum *= exp_of(high - base);
#pragma unroll
    for (int k = 0; k < n; ++k) sum += exp_of(x[k] - base);
    high = top;
  }
  __device__ __forceinline__ Online join(const Online& o) const {
    const C top = larger(high, o.high), base = finite(top);
    return {top, sum * exp_of(high - base) + o.sum * exp_of(o.high - base)};
  }
  /// What to subtract: of nothing but -inf, exp is 0 and not NaN.
  static __device__ __forceinline__ C finite(C top) { return top == kLowest<C> ? C(0) : top; }
};
template <class C>
__device__ __forceinline__ Online<C> nothing() {
  return {kLowest<C>, C(0)};
}

template <class C>
struct Total {
  C sum;
  __device__ __forceinline__ Total join(const Total& o) const { return {sum + o.sum}; }
};

template <class C>
__device__ __forceinline__ C result(bool log, C x, C high, C finish) {
  return log ? (x - high) - finish : exp_of(x - high) * finish;
}

/// A group of threads per row.
template <class Walk, class T>
__global__ void __launch_bounds__(Walk::kThreads, Walk::kBlocks) rows_kernel(T* out, const T* in, int64_t rows, int64_t n, int size,
                                                              bool log) {
  using C = ComputeType<T>;
  using Part = typename Walk::Part;
  constexpr int kCount = Walk::kCount;
  const Group group(Walk::kSize ? Walk::kSize : size);
  const int64_t own = group.row(), count = own < rows ? n : 0;
  const int64_t row = min(own, rows - 1);  // a group without a row of its own stores nothing
  const T* x = in + row * n;
  T* y = out + row * n;
  C kept[kCount];
  if constexpr (Walk::kWhole) {
    Part::load(kept, group, x, 0, n, kLowest<C>);
    C high = kept[0], sum = 0;
#pragma unroll
    for (int k = 1; k < kCount; ++k) high = larger(high, kept[k]);
    high = group.join(high, [](C a, C b) { return larger(a, b); });
#pragma unroll
    for (C& v : kept) {
      const C e = exp_of(v - high);
      sum += e;
      v = log ? v - high : e;
    }
    sum = group.sum(sum);
    // One way for both, which takes half the registers of two: x - log(sum), or e / sum.
    const C factor = log ? C(1) : C(1) / sum, offset = log ? -::log(sum) : C(0);
    Part::store(group, y, 0, count, [&](int k, int64_t) { return kept[k] * factor + offset; });
  } else {
    const int64_t step = static_cast<int64_t>(group.size) * kCount;
    Online<C> all = nothing<C>();
    for (int64_t begin = 0; begin < n; begin += step) {
      Part::load(kept, group, x, begin, n, kLowest<C>);
      all.add(kept);
    }
    all = group.join(all, [](const Online<C>& a, const Online<C>& b) { return a.join(b); });
    const C finish = log ? ::log(all.sum) : C(1) / all.sum;
    for (int64_t begin = 0; begin < n; begin += step) {
      Part::load(kept, group, x, begin, n, kLowest<C>);
      Part::store(group, y, begin, count, [&](int k, int64_t) { return result(log, kept[k], all.high, finish); });
    }
  }
}

template <class C>
__device__ __forceinline__ C gradient(bool log, C g, C y, C total) {
  return log ? g - exp_of(y) * total : y * (g - total);
}

/// grad_in of rows.
template <class Walk, class T>
__global__ void __launch_bounds__(Walk::kThreads, Walk::kBlocks) rows_backward_kernel(T* out, const T* grad, const T* result,
                                                                       int64_t rows, int64_t n, int size, bool log) {
  using C = ComputeType<T>;
  using Part = typename Walk::Part;
  constexpr int kCount = Walk::kCount;
  const Group group(Walk::kSize ? Walk::kSize : size);
  const int64_t own = group.row(), count = own < rows ? n : 0, first = min(own, rows - 1) * n;
  const int64_t step = static_cast<int64_t>(group.size) * kCount;
  C g[kCount], y[kCount], sum = 0;
  auto load = [&](int64_t begin) {
    Part::load(g, group, grad + first, begin, n, C(0));
    Part::load(y, group, result + first, begin, n, C(0));
  };
  auto add = [&] {
#pragma unroll
    for (int k = 0; k < kCount; ++k) sum += log ? g[k] : g[k] * y[k];
  };
  auto store = [&](int64_t begin, C total) {
    Part::store(group, out + first, begin, count, [&](int k, int64_t) { return gradient(log, g[k], y[k], total); });
  };
  if constexpr (Walk::kWhole) {
    load(0);
    add();
    store(0, group.sum(sum));
  } else {
    for (int64_t begin = 0; begin < n; begin += step) {
      load(begin);
      add();
    }
    const C total = group.sum(sum);
    for (int64_t begin = 0; begin < n; begin += step) {
      load(begin);
      store(begin, total);
    }
  }
}

/// Neighbouring threads take neighbouring columns; blockDim.y threads share the elements of one.
template <class A>
__device__ __forceinline__ A join_columns(A a) {
  extern __shared__ char raw[];
  A* shared = reinterpret_cast<A*>(raw);
  shared[threadIdx.y * blockDim.x + threadIdx.x] = a;
  __syncthreads();
  a = shared[threadIdx.x];
  for (int i = 1; i < blockDim.y; ++i) a = a.join(shared[i * blockDim.x + threadIdx.x]);
  return a;
}

/// A column may be cut into parts, each of them a block's: what they hold first, then each part with what all hold.
enum class Columns : uint8_t { Whole, Totals, Results };

/// What the column holds, by all threads that share it: `all` of this thread, and of all parts where those are known.
/// False where that is all there is to do.
template <class A>
__device__ __forceinline__ bool join_parts(Columns way, A& all, A* totals, const A& none, int64_t inner, int64_t strips,
                                           int64_t column) {
  const bool live = column < inner;
  A* const mine = totals + (blockIdx.x / strips * gridDim.y * inner + column);
  if (way == Columns::Results) {
    all = none;
    for (int64_t part = threadIdx.y; live && part < gridDim.y; part += blockDim.y) all = all.join(mine[part * inner]);
  }
  all = join_columns(all);
  if (way == Columns::Totals && live && threadIdx.y == 0) mine[blockIdx.y * inner] = all;
  return way != Columns::Totals && live;
}

template <class T, class C = ComputeType<T>>
__global__ void __launch_bounds__(kThreads) columns_kernel(T* out, const T* in, int64_t n, int64_t inner, int64_t strips,
                                                           int64_t part, bool log, Columns way, Online<C>* totals) {
  const int64_t column = blockIdx.x % strips * blockDim.x + threadIdx.x;
  const int64_t base = blockIdx.x / strips * n * inner + column;
  const int64_t begin = blockIdx.y * part, end = min(begin + part, n);
  Online<C> all = nothing<C>();
  constexpr int kBatch = 4;
  if (column < inner && way != Columns::Results)
    for (int64_t first = begin + threadIdx.y; first < end; first += kBatch * blockDim.y) {
      C batch[kBatch];
#pragma unroll
      for (int k = 0; k < kBatch; ++k) {
        const int64_t i = first + k * blockDim.y;
        batch[k] = i < end ? static_cast<C>(in[base + i * inner]) : kLowest<C>;
      }
      all.add(batch);
    }
  if (!join_parts(way, all, totals, nothing<C>(), inner, strips, column)) return;
  const C finish = log ? ::log(all.sum) : C(1) / all.sum;
#pragma unroll 4
  for (int64_t i = begin + threadIdx.y; i < end; i += blockDim.y)
    out[base + i * inner] = static_cast<T>(result(log, static_cast<C>(in[base + i * inner]), all.high, finish));
}

template <class T, class C = ComputeType<T>>
__global__ void __launch_bounds__(kThreads) columns_backward_kernel(T* out, const T* grad, const T* y, int64_t n,
                                                                    int64_t inner, int64_t strips, int64_t part, bool log,
                                                                    Columns way, Total<C>* totals) {
  const int64_t column = blockIdx.x % strips * blockDim.x + threadIdx.x;
  const int64_t base = blockIdx.x / strips * n * inner + column;
  const int64_t begin = blockIdx.y * part, end = min(begin + part, n);
  Total<C> all{0};
  if (column < inner && way != Columns::Results)
#pragma unroll 4
    for (int64_t i = begin + threadIdx.y; i < end; i += blockDim.y) {
      const C g = static_cast<C>(grad[base + i * inner]);
      all.sum += log ? g : g * static_cast<C>(y[base + i * inner]);
    }
  if (!join_parts(way, all, totals, Total<C>{0}, inner, strips, column)) return;
#pragma unroll 4
  for (int64_t i = begin + threadIdx.y; i < end; i += blockDim.y) {
    const C g = static_cast<C>(grad[base + i * inner]), v = static_cast<C>(y[base + i * inner]);
    out[base + i * inner] = static_cast<T>(gradient(log, g, v, all.sum));
  }
}

/// Launches go(grid, block, bytes of shared memory, strips, part, way, totals) once, or twice with parts. A is what a
/// column holds.
template <class A, class F>
void launch_columns(const SoftmaxShape& s, Device device, const F& go) {
  constexpr int64_t kEnoughBlocks = 2048;
  unsigned x = 1, y = 1;
  while (x < 32 && x < s.inner) x *= 2;
  while (y < kThreads / x && y * 4 < s.n) y *= 2;
  const int64_t strips = (s.inner + x - 1) / x;
  const unsigned blocks = blocks_for(s.outer * strips, 1);
  const int64_t wanted = std::max<int64_t>(1, std::min(kEnoughBlocks / std::max(1u, blocks), s.n / (16 * y)));
  const int64_t part = (s.n + wanted - 1) / wanted, parts = (s.n + part - 1) / part;
  const dim3 grid(blocks, static_cast<unsigned>(parts)), block(x, y);
  if (parts == 1) return go(grid, block, kThreads * sizeof(A), strips, part, Columns::Whole, static_cast<A*>(nullptr));
  const Tensor room = new_tensor({s.outer * parts * s.inner * static_cast<int64_t>(sizeof(A))}, DType::UInt8, device);
  A* totals = static_cast<A*>(room.data_ptr());
  for (Columns way : {Columns::Totals, Columns::Results})
    go(grid, block, kThreads * sizeof(A), strips, part, way, totals);
}

template <class T>
void forward(bool log, const SoftmaxShape& s, T* y, const T* x, Device device) {
  if (s.inner > 1) {
    using A = Online<ComputeType<T>>;
    return launch_columns<A>(s, device, [&](dim3 grid, dim3 block, size_t shared, int64_t strips, int64_t part,
                                            Columns way, A* totals) {
      launch(columns_kernel<T>, grid, block, shared, y, x, s.n, s.inner, strips, part, log, way, totals);
    });
  }
  constexpr int kKept = 128 / sizeof(ComputeType<T>);
  visit_row_walk<T, kKept, kKept / 2>(s.n, rows_have_vectors<T>(s.n, {x, y}), [&](auto walk, int group) {
    const int threads = block_of_groups(group);
    launch(rows_kernel<decltype(walk), T>, blocks_for(s.outer, threads / group), threads, 0, y, x, s.outer, s.n, group,
           log);
  });
}

template <class T>
void backward(bool log, const SoftmaxShape& s, T* dx, const T* g, const T* y, Device device) {
  if (s.inner > 1) {
    using A = Total<ComputeType<T>>;
    return launch_columns<A>(s, device, [&](dim3 grid, dim3 block, size_t shared, int64_t strips, int64_t part,
                                            Columns way, A* totals) {
      launch(columns_backward_kernel<T>, grid, block, shared, dx, g, y, s.n, s.inner, strips, part, log, way, totals);
    });
  }
  constexpr int kKept = 64 / sizeof(ComputeType<T>);  // of each of two rows
  visit_row_walk<T, kKept, kKept>(s.n, rows_have_vectors<T>(s.n, {dx, g, y}), [&](auto walk, int group) {
    const int threads = block_of_groups(group);
    launch(rows_backward_kernel<decltype(walk), T>, blocks_for(s.outer, threads / group), threads, 0, dx, g, y, s.outer,
           s.n, group, log);
  });
}

}  // namespace

void softmax(bool log, const SoftmaxShape& s, const Tensor& out, const Tensor& in) {
  visit_float("softmax", in.dtype(), [&](auto tag) {
    using T = typename decltype(tag)::type;
    forward(log, s, out.data<T>(), static_cast<const T*>(in.data<T>()), in.device());
  });
}

void softmax_backward(bool log, const SoftmaxShape& s, const Tensor& grad_in, const Tensor& g, const Tensor& y) {
  visit_float("softmax", g.dtype(), [&](auto tag) {
    using T = typename decltype(tag)::type;
    backward<T>(log, s, grad_in.data<T>(), g.data<T>(), y.data<T>(), g.device());
  });
}

}  // namespace norch::kernels::cuda
