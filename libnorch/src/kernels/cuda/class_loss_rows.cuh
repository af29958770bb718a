// Cross entropy of rows whose classes are adjacent, and what its kernels share with those of other rows.
#pragma once

#include <cmath>

#include "kernels/class_loss.h"
#include "kernels/cuda/launch.cuh"
#include "kernels/cuda/loops.cuh"

namespace norch::kernels::cuda::class_loss {

constexpr int kThreads = 256;
/// Rows of up to this many classes take one warp each, longer ones a block.
constexpr int64_t kWarpClasses = 1024;

template <class T>
__device__ __forceinline__ SumType<T> wide(T v) {
  return static_cast<SumType<T>>(static_cast<ComputeType<T>>(v));
}

/// The arguments of a row-wise kernel, typed.
template <class T>
struct Rows {
  using S = SumType<T>;
  int64_t n, classes, inner, ignore_index;
  const T* x;
  const int64_t* target;
  const S* weight;
  S* out;         // losses, if not reduced
  S* scratch;     // losses and weights, if reduced
  S* lse;
  TargetWeights<S> q;
  IndexCheck check;

  Rows(const ClassLoss& l, const Tensor& x_, const Tensor& target_, const Tensor& weight_, const char* op)
      : n(l.n * l.inner), classes(l.classes), inner(l.inner), ignore_index(l.ignore_index),
        x(x_.defined() ? static_cast<const T*>(x_.data_ptr()) : nullptr), target(target_.data<int64_t>()),
        weight(weight_.defined() ? weight_.data<S>() : nullptr), out(nullptr), scratch(nullptr), lse(nullptr),
        q(l.smoothing, l.classes), check(index_check(op)) {}

  __device__ S of(int64_t c) const { return weight ? weight[c] : S(1); }
  /// Where class 0 of row i lies; classes are `inner` apart.
  __device__ int64_t row_start(int64_t i) const { return (i / inner) * classes * inner + i % inner; }
  /// The target of row i, or -1 if the row counts for nothing.
  __device__ int64_t target_of(int64_t i) const {
    const int64_t t = target[i];
    if (t == ignore_index) return -1;
    return check.valid(t, classes) ? t : -1;
  }
  __device__ void put(int64_t i, S value, S w) const {
    if (out) {
      out[i] = value;
    } else {
      scratch[i] = value;
      scratch[n + i] = w;
    }
  }
};

/// The gradient's factor of a row.
template <class T>
struct RowGradient {
  using S = SumType<T>;
  const S* g;
  const S* total_weight;  // null unless divided by
  bool per_row;
  RowGradient(const ClassLoss& l, const Tensor& g_, const Tensor& total)
      : g(g_.data<S>()), total_weight(l.mean ? total.data<S>() : nullptr), per_row(!l.reduce) {}
  __device__ S of(int64_t i) const {
    const S v = g[per_row ? i : 0];
    return total_weight ? v / *total_weight : v;
  }
};

/// Joins of the G threads of a row: a warp by shuffles, a block through shared memory. All threads get the result.
template <int G, class S, class F>
__device__ __forceinline__ S join(S v, const F& f) {
#pragma unroll
  for (int offset = 16; offset > 0; offset /= 2) v = f(v, __shfl_xor_sync(0xFFFFFFFFu, v, offset));
  if constexpr (G > 32) {
    __shared__ S parts[G / 32];
    __syncthreads();
    if (threadIdx.x % 32 == 0) parts[threadIdx.x / 32] = v;
    __syncthreads();
    v = parts[0];
#pragma unroll
    for (int k = 1; k < G / 32; ++k) v = f(v, parts[k]);
  }
  return v;
}
template <int G, class S>
__device__ __forceinline__ S join_sum(S v) {
  return join<G>(v, [](S a, S b) { return a + b; });
}
template <int G, class S>
__device__ __forceinline__ S join_max(S v) {
  return join<G>(v, [](S a, S b) { return a > b ? a : b; });
}

/// Row and lane of this thread when G threads work on a row.
template <int G>
__device__ __forceinline__ int64_t row_of_thread() {
  return G == 32 ? static_cast<int64_t>(blockIdx.x) * (kThreads / 32) + threadIdx.x / 32 : blockIdx.x;
}

/// exp(x). In float32 to 2 units of the last place where the result is 1 or less, and 0 below 2^-126: what sums of
/// such numbers can tell apart, for a third of expf's instructions.
__device__ __forceinline__ double scaled_exp(double x) { return exp(x); }
__device__ __forceinline__ float scaled_exp(float x) {
  const float y = x * 1.44269504f;  // log2(e)
#if defined(__NVCC__)
  float z;
  asm("ex2.approx.ftz.f32 %0, %1;" : "=f"(z) : "f"(y));
  return z;
#else
  return exp2f(y);
#endif
}

/// The largest of the scores so far and the sum of exp(x - largest), in one pass over them.
template <class S>
struct OnlineSum {
  S top = -INFINITY, base = 0, sum = 0;  // base is top once that is finite

  /// Adds N scores, rescaling at most once for all of them. NaN and +inf make the sum NaN.
  template <int N>
  __device__ __forceinline__ void add(const S (&v)[N]) {
    S largest = v[0];
#pragma unroll
    for (int k = 1; k < N; ++k) largest = fmax(largest, v[k]);
    if (largest > top) {
      sum *= scaled_exp(top - largest);
      top = base = largest;
    }
    S terms = 0;
#pragma unroll
    for (int k = 0; k < N; ++k) terms += scaled_exp(v[k] - base);
    sum += terms;
  }
  __device__ __forceinline__ void add(S v) {
    const S one[1] = {v};
    add(one);
  }
};

template <class T>
__device__ __forceinline__ void finish_row(const Rows<T>& r, int64_t i, int64_t t, const T* scores, int64_t stride,
                                           SumType<T> lse, SumType<T> even) {
  using S = SumType<T>;
  r.lse[i] = lse;
  if (t < 0) return r.put(i, S(0), S(0));
  const S w = r.of(t);
  S value = r.q.peak * w * (lse - wide(scores[t * stride]));
  if (r.q.spread != S(0)) value += r.q.spread * even;
  r.put(i, value, w);
}

/// Vectors that a thread has on their way at once, of scores that are read by 16 bytes.
constexpr int kUnroll = 4;
template <class T>
constexpr int kWidth = 16 / sizeof(T);

template <class T>
inline bool has_vectors(const ClassLoss& loss, const void* x) {
  return loss.classes % kWidth<T> == 0 && reinterpret_cast<uintptr_t>(x) % 16 == 0;
}

/// Calls f(c, vectors) for each group of kUnroll vectors of a row that this lane of G has; vector u holds the classes from
/// c + u * G * kWidth on, as long as those are below `classes`.
template <class T, int G, class F>
__device__ __forceinline__ void each_vectors(const T* scores, int64_t classes, int lane, const F& f) {
  using S = SumType<T>;
  constexpr int W = kWidth<T>;
  for (int64_t c = lane * W; c < classes; c += G * W * kUnroll) {
    loops::Vector<T, W> raw[kUnroll];
#pragma unroll
    for (int u = 0; u < kUnroll; ++u)
      if (c + u * G * W < classes) raw[u] = *reinterpret_cast<const loops::Vector<T, W>*>(scores + c + u * G * W);
#pragma unroll
    for (int u = 0; u < kUnroll; ++u) {
      if (c + u * G * W >= classes) break;
      S v[W];
#pragma unroll
      for (int k = 0; k < W; ++k) v[k] = wide(raw[u].v[k]);
      f(c + u * G * W, v);
    }
  }
}

/// G threads to a row.
template <class T, int G, bool Vectors>
__global__ void __launch_bounds__(kThreads) forward_rows(const Rows<T> r) {
  using S = SumType<T>;
  const int64_t i = row_of_thread<G>();
  if (i >= r.n) return;
  const int lane = threadIdx.x % G;
  const T* scores = r.x + i * r.classes;
  OnlineSum<S> own;
  if constexpr (Vectors) {
    each_vectors<T, G>(scores, r.classes, lane, [&](int64_t, const S(&v)[kWidth<T>]) { own.add(v); });
  } else {
    for (int64_t c = lane; c < r.classes; c += G) own.add(wide(scores[c]));
  }
  const S top = join_max<G>(own.top);
  const S sum = join_sum<G>(own.sum == S(0) ? S(0) : own.sum * scaled_exp(own.top - top));
  const S lse = top + log(sum);
  S even = 0;
  if (r.q.spread != S(0)) {
    for (int64_t c = lane; c < r.classes; c += G) even += r.of(c) * (lse - wide(scores[c]));
    even = join_sum<G>(even);
  }
  if (lane == 0) finish_row(r, i, r.target_of(i), scores, 1, lse, even);
}

/// What the gradients of a row are made of: d[c] = rise * exp(x[c] - lse) - spread * weight[c] - (c == t ? drop : 0).
template <class S>
struct RowFactors {
  S rise, drop, spread, lse;
};

/// Those of row i, whose target is t and whose classes are spread over G threads.
template <class T, int G>
__device__ __forceinline__ RowFactors<SumType<T>> row_factors(const Rows<T>& r, const RowGradient<T>& gradient, int64_t i,
                                                              int64_t t, int lane) {
  using S = SumType<T>;
  S mass = 0;
  if (r.q.spread != S(0) && r.weight && t >= 0) {
    for (int64_t c = lane; c < r.classes; c += G) mass += r.weight[c];
    if constexpr (G > 1) mass = join_sum<G>(mass);
  } else {
    mass = static_cast<S>(r.classes);
  }
  const S peak = t >= 0 ? r.q.peak * r.of(t) : S(0), factor = t >= 0 ? gradient.of(i) : S(0);
  return {factor * (peak + r.q.spread * mass), factor * peak, factor * r.q.spread, r.lse[i]};
}

/// G threads to a row. dx may be x itself: a thread reads its scores before it writes there.
template <class T, int G, bool Vectors>
__global__ void __launch_bounds__(kThreads) backward_rows(const Rows<T> r, const RowGradient<T> gradient, T* dx) {
  using S = SumType<T>;
  const int64_t i = row_of_thread<G>();
  if (i >= r.n) return;
  const int lane = threadIdx.x % G;
  const T* scores = r.x + i * r.classes;
  T* to = dx + i * r.classes;
  const int64_t t = r.target_of(i);
  const RowFactors<S> f = row_factors<T, G>(r, gradient, i, t, lane);
  const auto value = [&](int64_t c, S x) {
    S d = f.rise * scaled_exp(x - f.lse);
    if (f.spread != S(0)) d -= f.spread * r.of(c);
    if (c == t) d -= f.drop;
    return static_cast<T>(t >= 0 ? d : S(0));
  };
  if constexpr (Vectors) {
    each_vectors<T, G>(scores, r.classes, lane, [&](int64_t c, const S(&v)[kWidth<T>]) {
      loops::Vector<T, kWidth<T>> out;
#pragma unroll
      for (int k = 0; k < kWidth<T>; ++k) out.v[k] = value(c + k, v[k]);
      *reinterpret_cast<loops::Vector<T, kWidth<T>>*>(to + c) = out;
    });
  } else {
    for (int64_t c = lane; c < r.classes; c += G) to[c] = value(c, wide(scores[c]));
  }
}

}  // namespace norch::kernels::cuda::class_loss
