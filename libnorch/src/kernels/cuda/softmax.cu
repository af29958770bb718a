#include "kernels/softmax.h"

#include <limits>

#include "kernels/cuda/launch.cuh"

namespace norch::kernels::cuda {

namespace {

constexpr int kThreads = 256;
constexpr int kKept = 32;  // elements of a row that a thread keeps in registers

__device__ __forceinline__ float exp_of(float x) { return expf(x); }
__device__ __forceinline__ double exp_of(double x) { return exp(x); }
__device__ __forceinline__ float larger(float a, float b) { return fmaxf(a, b); }
__device__ __forceinline__ double larger(double a, double b) { return fmax(a, b); }

/// Largest element so far, and the sum of exp(x - largest).
template <class C>
struct Online {
  C high, sum;
  __device__ __forceinline__ void add(C x) {
    if (x > high || x != x) {
      sum = (sum == C(0) ? C(0) : sum * exp_of(high - x)) + C(1);
      high = x;
    } else {
      sum += x == high ? C(1) : exp_of(x - high);
    }
  }
  __device__ __forceinline__ Online join(const Online& o) const {
    if (o.sum == C(0)) return *this;
    if (sum == C(0)) return o;
    const C m = high > o.high || high != high ? high : o.high;
    return {m, sum * (high == m ? C(1) : exp_of(high - m)) + o.sum * (o.high == m ? C(1) : exp_of(o.high - m))};
  }
};
template <class C>
__device__ __forceinline__ Online<C> nothing() {
  return {-std::numeric_limits<C>::infinity(), C(0)};
}

template <class C>
struct Total {
  C sum;
  __device__ __forceinline__ Total join(const Total& o) const { return {sum + o.sum}; }
};

template <class A>
__device__ __forceinline__ A exchange(const A& a, int mask) {
  A out;
  int words[sizeof(A) / 4];
  memcpy(words, &a, sizeof(A));
#pragma unroll
  for (int& word : words) word = __shfl_xor_sync(0xFFFFFFFFu, word, mask);
  memcpy(&out, words, sizeof(A));
  return out;
}

/// Joins the values of `group` neighbouring threads, up to a block; every thread gets the result.
template <class A>
__device__ __forceinline__ A join_group(A a, int group) {
  for (int mask = 1; mask < min(group, 32); mask *= 2) {
    // Both partners join in the same order, so that they agree on every bit.
    const A o = exchange(a, mask);
    a = threadIdx.x & mask ? o.join(a) : a.join(o);
  }
  if (group > 32) {
    __shared__ A warps[kThreads / 32];
    if (threadIdx.x % 32 == 0) warps[threadIdx.x / 32] = a;
    __syncthreads();
    const int first = threadIdx.x / group * (group / 32);  // a block of several groups: the group's own warps
    a = warps[first];
    for (int i = 1; i < group / 32; ++i) a = a.join(warps[first + i]);
    __syncthreads();
  }
  return a;
}

/// f(x, i) for the elements of a row that this thread of `group` has, by vectors of V.
template <int V, class T, class F>
__device__ __forceinline__ void for_row(const T* x, int64_t n, int me, int group, const F& f) {
  struct alignas(sizeof(T) * V) Vector {
    T v[V];
  };
#pragma unroll 4
  for (int64_t i = static_cast<int64_t>(me) * V; i < n; i += static_cast<int64_t>(group) * V) {
    const Vector a = *reinterpret_cast<const Vector*>(x + i);
    f(a.v, i);
  }
}
template <int V, class T>
__device__ __forceinline__ void store_vector(T* y, const T (&v)[V]) {
  struct alignas(sizeof(T) * V) Vector {
    T v[V];
  };
  *reinterpret_cast<Vector*>(y) = *reinterpret_cast<const Vector*>(v);
}

template <bool kLog, class C>
__device__ __forceinline__ C result(C x, const Online<C>& all, C finish) {
  return kLog ? (x - all.high) - finish : exp_of(x - all.high) * finish;
}

/// A group of threads per row; short rows (kRegisters) are read once.
template <bool kLog, bool kRegisters, int V, class T>
__global__ void __launch_bounds__(kThreads) rows_kernel(T* out, const T* in, int64_t rows, int64_t n, int group) {
  using C = ComputeType<T>;
  const int64_t row = static_cast<int64_t>(blockIdx.x) * (kThreads / group) + threadIdx.x / group;
  const int me = threadIdx.x % group;
  const bool live = row < rows;
  const T* x = in + row * n;
  T* y = out + row * n;
  Online<C> all = nothing<C>();
  if constexpr (kRegisters) {
    C kept[kKept];
#pragma unroll
    for (int k = 0; k < kKept; k += V) {
      const int64_t i = (static_cast<int64_t>(k / V) * group + me) * V;
      alignas(16) T part[V];
      if (live && i < n) store_vector<V>(part, *reinterpret_cast<const T(*)[V]>(x + i));
#pragma unroll
      for (int j = 0; j < V; ++j)
        kept[k + j] = live && i < n ? static_cast<C>(part[j]) : -std::numeric_limits<C>::infinity();
    }
    // A NaN may get lost here: the sum of exponentials carries it to the whole row.
    struct High {
      C v;
      __device__ High join(const High& o) const { return {larger(v, o.v)}; }
    };
    C high = kept[0];
#pragma unroll
    for (int k = 1; k < kKept; ++k) high = larger(kept[k], high);
    all.high = join_group(High{high}, group).v;
    C sum = 0;
#pragma unroll
    for (int k = 0; k < kKept; ++k) {
      const int64_t i = (static_cast<int64_t>(k / V) * group + me) * V;
      const C e = exp_of(kept[k] - all.high);
      if (i < n) sum += e;
      if constexpr (!kLog) kept[k] = e;  // the exponential costs more than the memory traffic: only once
    }
    all.sum = join_group(Total<C>{sum}, group).sum;
    const C finish = kLog ? log(all.sum) : C(1) / all.sum;
#pragma unroll
    for (int k = 0; k < kKept; k += V) {
      const int64_t i = (static_cast<int64_t>(k / V) * group + me) * V;
      if (!live || i >= n) continue;
      alignas(16) T part[V];
#pragma unroll
      for (int j = 0; j < V; ++j)
        part[j] = static_cast<T>(kLog ? (kept[k + j] - all.high) - finish : kept[k + j] * finish);
      store_vector<V>(y + i, part);
    }
  } else {
    for_row<V>(x, live ? n : 0, me, group, [&](const T(&v)[V], int64_t) {
#pragma unroll
      for (int j = 0; j < V; ++j) all.add(static_cast<C>(v[j]));
    });
    all = join_group(all, group);
    const C finish = kLog ? log(all.sum) : C(1) / all.sum;
    for_row<V>(x, live ? n : 0, me, group, [&](const T(&v)[V], int64_t i) {
      alignas(16) T part[V];
#pragma unroll
      for (int j = 0; j < V; ++j) part[j] = static_cast<T>(result<kLog>(static_cast<C>(v[j]), all, finish));
      store_vector<V>(y + i, part);
    });
  }
}

/// grad_in of rows.
template <bool kLog, int V, class T>
__global__ void __launch_bounds__(kThreads) rows_backward_kernel(T* out, const T* grad, const T* y, int64_t rows,
                                                                 int64_t n, int group) {
  using C = ComputeType<T>;
  struct alignas(sizeof(T) * V) Vector {
    T v[V];
  };
  const int64_t row = static_cast<int64_t>(blockIdx.x) * (kThreads / group) + threadIdx.x / group;
  const int me = threadIdx.x % group;
  const int64_t count = row < rows ? n : 0;
  Total<C> all{0};
  for_row<V>(grad + row * n, count, me, group, [&](const T(&g)[V], int64_t i) {
    if constexpr (kLog) {
#pragma unroll
      for (int j = 0; j < V; ++j) all.sum += static_cast<C>(g[j]);
    } else {
      const Vector b = *reinterpret_cast<const Vector*>(y + row * n + i);
#pragma unroll
      for (int j = 0; j < V; ++j) all.sum += static_cast<C>(g[j]) * static_cast<C>(b.v[j]);
    }
  });
  all = join_group(all, group);
  for_row<V>(grad + row * n, count, me, group, [&](const T(&g)[V], int64_t i) {
    const Vector b = *reinterpret_cast<const Vector*>(y + row * n + i);
    alignas(16) T part[V];
#pragma unroll
    for (int j = 0; j < V; ++j) {
      const C a = static_cast<C>(g[j]), v = static_cast<C>(b.v[j]);
      part[j] = static_cast<T>(kLog ? a - exp_of(v) * all.sum : v * (a - all.sum));
    }
    store_vector<V>(out + row * n + i, part);
  });
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

template <bool kLog, class T>
__global__ void __launch_bounds__(kThreads) columns_kernel(T* out, const T* in, int64_t n, int64_t inner,
                                                           int64_t strips) {
  using C = ComputeType<T>;
  const int64_t column = blockIdx.x % strips * blockDim.x + threadIdx.x;
  const int64_t base = blockIdx.x / strips * n * inner + column;
  const bool live = column < inner;
  Online<C> all = nothing<C>();
  if (live)
#pragma unroll 4
    for (int64_t i = threadIdx.y; i < n; i += blockDim.y) all.add(static_cast<C>(in[base + i * inner]));
  all = join_columns(all);
  if (!live) return;
  const C finish = kLog ? log(all.sum) : C(1) / all.sum;
#pragma unroll 4
  for (int64_t i = threadIdx.y; i < n; i += blockDim.y)
    out[base + i * inner] = static_cast<T>(result<kLog>(static_cast<C>(in[base + i * inner]), all, finish));
}

template <bool kLog, class T>
__global__ void __launch_bounds__(kThreads) columns_backward_kernel(T* out, const T* grad, const T* y, int64_t n,
                                                                    int64_t inner, int64_t strips) {
  using C = ComputeType<T>;
  const int64_t column = blockIdx.x % strips * blockDim.x + threadIdx.x;
  const int64_t base = blockIdx.x / strips * n * inner + column;
  const bool live = column < inner;
  Total<C> all{0};
  if (live)
#pragma unroll 4
    for (int64_t i = threadIdx.y; i < n; i += blockDim.y) {
      const C g = static_cast<C>(grad[base + i * inner]);
      all.sum += kLog ? g : g * static_cast<C>(y[base + i * inner]);
    }
  all = join_columns(all);
  if (!live) return;
#pragma unroll 4
  for (int64_t i = threadIdx.y; i < n; i += blockDim.y) {
    const C g = static_cast<C>(grad[base + i * inner]), v = static_cast<C>(y[base + i * inner]);
    out[base + i * inner] = static_cast<T>(kLog ? g - exp_of(v) * all.sum : v * (g - all.sum));
  }
}

int group_for(int64_t n, int per_thread) {
  int group = 1;
  while (group < kThreads && static_cast<int64_t>(group) * per_thread < n) group *= 2;
  return group;
}

bool vectors_fit(int64_t n, int width, std::initializer_list<const void*> pointers) {
  if (n % width != 0) return false;
  for (const void* p : pointers)
    if (reinterpret_cast<uintptr_t>(p) % 16 != 0) return false;
  return true;
}

struct Columns {
  dim3 block;
  int64_t strips;
  unsigned blocks;
  Columns(const SoftmaxShape& s) {
    int x = 1;
    while (x < 32 && x < s.inner) x *= 2;
    int y = 1;
    while (y < kThreads / x && y * 4 < s.n) y *= 2;
    block = dim3(x, y);
    strips = (s.inner + x - 1) / x;
    blocks = blocks_for(s.outer * strips, 1);
  }
};

template <bool kLog, class T>
void forward(const SoftmaxShape& s, T* y, const T* x) {
  using C = ComputeType<T>;
  if (s.inner > 1) {
    const Columns c(s);
    launch(columns_kernel<kLog, T>, c.blocks, c.block, kThreads * sizeof(Online<C>), y, x, s.n, s.inner, c.strips);
    return;
  }
  constexpr int V = 16 / sizeof(T);
  auto rows = [&](auto kernel, int group) {
    launch(kernel, blocks_for(s.outer, kThreads / group), kThreads, 0, y, x, s.outer, s.n, group);
  };
  const bool vectors = vectors_fit(s.n, V, {x, y});
  if (s.n <= kThreads * kKept) {
    const int group = group_for(s.n, s.n <= 1024 ? kKept : kKept / 2);
    vectors ? rows(rows_kernel<kLog, true, V, T>, group) : rows(rows_kernel<kLog, true, 1, T>, group);
  } else {
    vectors ? rows(rows_kernel<kLog, false, V, T>, kThreads) : rows(rows_kernel<kLog, false, 1, T>, kThreads);
  }
}

template <bool kLog, class T>
void backward(const SoftmaxShape& s, T* dx, const T* g, const T* y) {
  using C = ComputeType<T>;
  if (s.inner > 1) {
    const Columns c(s);
    launch(columns_backward_kernel<kLog, T>, c.blocks, c.block, kThreads * sizeof(Total<C>), dx, g, y, s.n, s.inner,
           c.strips);
    return;
  }
  constexpr int V = 16 / sizeof(T);
  const int group = group_for(s.n, 16);
  auto rows = [&](auto kernel) {
    launch(kernel, blocks_for(s.outer, kThreads / group), kThreads, 0, dx, g, y, s.outer, s.n, group);
  };
  vectors_fit(s.n, V, {dx, g, y}) ? rows(rows_backward_kernel<kLog, V, T>) : rows(rows_backward_kernel<kLog, 1, T>);
}

}  // namespace

void softmax(bool log, const SoftmaxShape& s, const Tensor& out, const Tensor& in) {
  visit_float("softmax", in.dtype(), [&](auto tag) {
    using T = typename decltype(tag)::type;
    log ? forward<true>(s, out.data<T>(), in.data<T>()) : forward<false>(s, out.data<T>(), in.data<T>());
  });
}

void softmax_backward(bool log, const SoftmaxShape& s, const Tensor& grad_in, const Tensor& g, const Tensor& y) {
  visit_float("softmax", g.dtype(), [&](auto tag) {
    using T = typename decltype(tag)::type;
    T* dx = grad_in.data<T>();
    log ? backward<true>(s, dx, g.data<T>(), y.data<T>()) : backward<false>(s, dx, g.data<T>(), y.data<T>());
  });
}

}  // namespace norch::kernels::cuda
