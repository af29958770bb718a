#include "kernels/class_loss.h"

#include <cmath>

#include "kernels/cuda/launch.cuh"
#include "kernels/cuda/loops.cuh"

namespace norch::kernels::cuda {

namespace {

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

/// A running maximum and the sum of exp(x - maximum): one pass over the scores.
template <class S>
struct OnlineSum {
  S top = -INFINITY, sum = 0;
  __device__ __forceinline__ void add(S v) {
    if (v > top) {
      sum = sum * exp(top - v) + S(1);
      top = v;
    } else if (v == v && v > S(-INFINITY)) {
      sum += exp(v - top);
    } else if (v != v) {
      sum = v;
      top = INFINITY;
    }
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

/// Adjacent classes: G threads to a row.
template <class T, int G>
__global__ void __launch_bounds__(kThreads) forward_rows(const Rows<T> r) {
  using S = SumType<T>;
  constexpr int W = 16 / sizeof(T);
  const int64_t i = row_of_thread<G>();
  if (i >= r.n) return;
  const int lane = threadIdx.x % G;
  const T* scores = r.x + i * r.classes;
  OnlineSum<S> own;
  if (r.classes % W == 0 && reinterpret_cast<uintptr_t>(r.x) % 16 == 0) {
    for (int64_t c = lane * W; c < r.classes; c += G * W) {
      const auto v = *reinterpret_cast<const loops::Vector<T, W>*>(scores + c);
#pragma unroll
      for (int k = 0; k < W; ++k) own.add(wide(v.v[k]));
    }
  } else {
    for (int64_t c = lane; c < r.classes; c += G) own.add(wide(scores[c]));
  }
  const S top = join_max<G>(own.top);
  const S sum = join_sum<G>(own.sum == S(0) ? S(0) : own.sum * exp(own.top - top));
  const S lse = top + log(sum);
  S even = 0;
  if (r.q.spread != S(0)) {
    for (int64_t c = lane; c < r.classes; c += G) even += r.of(c) * (lse - wide(scores[c]));
    even = join_sum<G>(even);
  }
  if (lane == 0) finish_row(r, i, r.target_of(i), scores, 1, lse, even);
}

/// Classes apart: one thread to a row, neighbours read neighbouring columns.
template <class T>
__global__ void __launch_bounds__(kThreads) forward_columns(const Rows<T> r) {
  using S = SumType<T>;
  const int64_t i = static_cast<int64_t>(blockIdx.x) * kThreads + threadIdx.x;
  if (i >= r.n) return;
  const T* scores = r.x + r.row_start(i);
  OnlineSum<S> own;
  for (int64_t c = 0; c < r.classes; ++c) own.add(wide(scores[c * r.inner]));
  const S lse = own.top + log(own.sum);
  S even = 0;
  if (r.q.spread != S(0))
    for (int64_t c = 0; c < r.classes; ++c) even += r.of(c) * (lse - wide(scores[c * r.inner]));
  finish_row(r, i, r.target_of(i), scores, r.inner, lse, even);
}

template <class T>
__global__ void __launch_bounds__(kThreads) nll_rows(const Rows<T> r) {
  const int64_t i = static_cast<int64_t>(blockIdx.x) * kThreads + threadIdx.x;
  if (i >= r.n) return;
  const int64_t t = r.target_of(i);
  if (t < 0) return r.put(i, 0, 0);
  const auto w = r.of(t);
  r.put(i, -w * wide(r.x[r.row_start(i) + t * r.inner]), w);
}

/// Sums the rows' losses and weights in a fixed order.
template <class T>
__global__ void __launch_bounds__(kThreads) finish_kernel(const SumType<T>* scratch, int64_t n, bool mean,
                                                          SumType<T>* out,
                                                          SumType<T>* total_weight) {
  __shared__ double losses[kThreads], weights[kThreads];
  double loss = 0, weight = 0;
  for (int64_t i = threadIdx.x; i < n; i += kThreads) {
    loss += static_cast<double>(scratch[i]);
    weight += static_cast<double>(scratch[n + i]);
  }
  losses[threadIdx.x] = loss;
  weights[threadIdx.x] = weight;
  for (int half = kThreads / 2; half > 0; half /= 2) {
    __syncthreads();
    if (threadIdx.x < half) {
      losses[threadIdx.x] += losses[threadIdx.x + half];
      weights[threadIdx.x] += weights[threadIdx.x + half];
    }
  }
  if (threadIdx.x != 0) return;
  *total_weight = static_cast<SumType<T>>(weights[0]);
  *out = static_cast<SumType<T>>(mean ? losses[0] / weights[0] : losses[0]);
}

template <class T>
void finish(const ClassLoss& loss, const Tensor& out, const Tensor& total_weight, const Tensor& rows) {
  using S = SumType<T>;
  if (!loss.reduce) return;
  launch(finish_kernel<T>, 1, kThreads, 0, rows.data<S>(), loss.n * loss.inner, loss.mean,
         out.data<S>(), total_weight.data<S>());
}

/// G threads to a row of adjacent classes; G = 1: one to a row whose classes lie apart.
template <class T, int G>
__global__ void __launch_bounds__(kThreads) backward_kernel(const Rows<T> r, const RowGradient<T> gradient, T* dx) {
  using S = SumType<T>;
  const int64_t i = G == 1 ? static_cast<int64_t>(blockIdx.x) * kThreads + threadIdx.x : row_of_thread<G>();
  if (i >= r.n) return;
  const int lane = G == 1 ? 0 : threadIdx.x % G;
  const int64_t start = r.row_start(i);
  const T* scores = r.x + start;
  T* to = dx + start;
  const int64_t t = r.target_of(i);
  S mass = 0;
  if (r.q.spread != S(0) && r.weight && t >= 0) {
    for (int64_t c = lane; c < r.classes; c += G) mass += r.weight[c];
    if constexpr (G > 1) mass = join_sum<G>(mass);
  } else {
    mass = static_cast<S>(r.classes);
  }
  const S peak = t >= 0 ? r.q.peak * r.of(t) : S(0);
  mass = peak + r.q.spread * mass;
  const S factor = t >= 0 ? gradient.of(i) : S(0), lse = r.lse[i];
  for (int64_t c = lane; c < r.classes; c += G) {
    const S share = r.q.spread * r.of(c) + (c == t ? peak : S(0));
    const S d = factor * (mass * exp(wide(scores[c * r.inner]) - lse) - share);
    to[c * r.inner] = static_cast<T>(t >= 0 ? d : S(0));
  }
}

template <class T>
__global__ void __launch_bounds__(kThreads) nll_backward_kernel(const Rows<T> r, const RowGradient<T> gradient, T* dx) {
  const int64_t i = static_cast<int64_t>(blockIdx.x) * kThreads + threadIdx.x;
  if (i >= r.n) return;
  const int64_t t = r.target_of(i);
  if (t >= 0) dx[r.row_start(i) + t * r.inner] = static_cast<T>(-r.of(t) * gradient.of(i));
}

template <class T>
__global__ void __launch_bounds__(kThreads) targets_kernel(const Rows<T> r, T* q) {
  using S = SumType<T>;
  const int64_t at = static_cast<int64_t>(blockIdx.x) * kThreads + threadIdx.x;
  if (at >= r.n * r.classes) return;
  const int64_t c = (at / r.inner) % r.classes;
  const int64_t t = r.target_of(at / (r.classes * r.inner) * r.inner + at % r.inner);
  const S share = r.q.spread * r.of(c) + (c == t ? r.q.peak * r.of(c) : S(0));
  q[at] = static_cast<T>(t < 0 ? S(0) : share);
}

/// Calls run(G as a constant, blocks) for the number of threads that a row takes.
template <class Run>
void visit_rows(const ClassLoss& loss, const Run& run) {
  if (loss.classes <= kWarpClasses)
    run(std::integral_constant<int, 32>{}, blocks_for(loss.n, kThreads / 32));
  else
    run(std::integral_constant<int, kThreads>{}, blocks_for(loss.n, 1));
}

}  // namespace

void nll_forward(const ClassLoss& loss, const Tensor& out, const Tensor& total_weight, const Tensor& rows,
                 const Tensor& x, const Tensor& target, const Tensor& weight) {
  visit_float("nll_loss", x.dtype(), [&](auto tag) {
    using T = typename decltype(tag)::type;
    Rows<T> r(loss, x, target, weight, "nll_loss");
    r.out = loss.reduce ? nullptr : out.data<SumType<T>>();
    r.scratch = loss.reduce ? rows.data<SumType<T>>() : nullptr;
    launch(nll_rows<T>, blocks_for(r.n, kThreads), kThreads, 0, r);
    finish<T>(loss, out, total_weight, rows);
  });
}

void nll_backward(const ClassLoss& loss, const Tensor& dx, const Tensor& g, const Tensor& total_weight,
                  const Tensor& target, const Tensor& weight) {
  visit_float("nll_loss", dx.dtype(), [&](auto tag) {
    using T = typename decltype(tag)::type;
    const Rows<T> r(loss, Tensor(), target, weight, "nll_loss");
    check(cudaMemsetAsync(dx.data_ptr(), 0, static_cast<size_t>(dx.numel()) * sizeof(T), norch::cuda::current_stream()),
          "cudaMemsetAsync");
    launch(nll_backward_kernel<T>, blocks_for(r.n, kThreads), kThreads, 0, r, RowGradient<T>(loss, g, total_weight),
           static_cast<T*>(dx.data_ptr()));
  });
}

void cross_entropy_forward(const ClassLoss& loss, const Tensor& out, const Tensor& total_weight, const Tensor& lse,
                           const Tensor& rows, const Tensor& x, const Tensor& target, const Tensor& weight) {
  visit_float("cross_entropy", x.dtype(), [&](auto tag) {
    using T = typename decltype(tag)::type;
    Rows<T> r(loss, x, target, weight, "cross_entropy");
    r.out = loss.reduce ? nullptr : out.data<SumType<T>>();
    r.scratch = loss.reduce ? rows.data<SumType<T>>() : nullptr;
    r.lse = lse.data<SumType<T>>();
    if (loss.inner == 1)
      visit_rows(loss, [&](auto threads, unsigned blocks) {
        launch(forward_rows<T, decltype(threads)::value>, blocks, kThreads, 0, r);
      });
    else
      launch(forward_columns<T>, blocks_for(r.n, kThreads), kThreads, 0, r);
    finish<T>(loss, out, total_weight, rows);
  });
}

void cross_entropy_backward(const ClassLoss& loss, const Tensor& dx, const Tensor& g, const Tensor& total_weight,
                            const Tensor& x, const Tensor& lse, const Tensor& target, const Tensor& weight) {
  visit_float("cross_entropy", x.dtype(), [&](auto tag) {
    using T = typename decltype(tag)::type;
    Rows<T> r(loss, x, target, weight, "cross_entropy");
    r.lse = lse.data<SumType<T>>();
    const RowGradient<T> gradient(loss, g, total_weight);
    T* to = static_cast<T*>(dx.data_ptr());
    if (loss.inner == 1)
      visit_rows(loss, [&](auto threads, unsigned blocks) {
        launch(backward_kernel<T, decltype(threads)::value>, blocks, kThreads, 0, r, gradient, to);
      });
    else
      launch(backward_kernel<T, 1>, blocks_for(r.n, kThreads), kThreads, 0, r, gradient, to);
  });
}

void cross_entropy_targets(const ClassLoss& loss, const Tensor& q, const Tensor& target, const Tensor& weight) {
  visit_float("cross_entropy", q.dtype(), [&](auto tag) {
    using T = typename decltype(tag)::type;
    const Rows<T> r(loss, Tensor(), target, weight, "cross_entropy");
    launch(targets_kernel<T>, blocks_for(q.numel(), kThreads), kThreads, 0, r, static_cast<T*>(q.data_ptr()));
  });
}

}  // namespace norch::kernels::cuda
