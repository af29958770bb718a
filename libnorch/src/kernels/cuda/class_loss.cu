#include "kernels/class_loss.h"

#include "kernels/cuda/class_loss_rows.cuh"

namespace norch::kernels::cuda {

using namespace class_loss;

namespace {

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

/// Classes apart: one thread to a row.
template <class T>
__global__ void __launch_bounds__(kThreads) backward_columns(const Rows<T> r, const RowGradient<T> gradient, T* dx) {
  using S = SumType<T>;
  const int64_t i = static_cast<int64_t>(blockIdx.x) * kThreads + threadIdx.x;
  if (i >= r.n) return;
  const int64_t start = r.row_start(i), t = r.target_of(i);
  const RowFactors<S> f = row_factors<T, 1>(r, gradient, i, t, 0);
  for (int64_t c = 0; c < r.classes; ++c) {
    const int64_t at = start + c * r.inner;
    const S d = f.rise * scaled_exp(wide(r.x[at]) - f.lse) - f.spread * r.of(c) - (c == t ? f.drop : S(0));
    dx[at] = static_cast<T>(t >= 0 ? d : S(0));
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

/// Calls run(G, Vectors, blocks), the first two as constants: the threads that a row takes, and whether its scores are
/// read by 16 bytes.
template <class Run>
void visit_rows(const ClassLoss& loss, bool vectors, const Run& run) {
  const auto with = [&](auto threads, unsigned blocks) {
    vectors ? run(threads, std::true_type{}, blocks) : run(threads, std::false_type{}, blocks);
  };
  if (loss.classes <= kWarpClasses)
    with(std::integral_constant<int, 32>{}, blocks_for(loss.n, kThreads / 32));
  else
    with(std::integral_constant<int, kThreads>{}, blocks_for(loss.n, 1));
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
      visit_rows(loss, has_vectors<T>(loss, r.x), [&](auto threads, auto vectors, unsigned blocks) {
        launch(forward_rows<T, decltype(threads)::value, decltype(vectors)::value>, blocks, kThreads, 0, r);
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
      visit_rows(loss, has_vectors<T>(loss, r.x) && has_vectors<T>(loss, to), [&](auto threads, auto vectors, unsigned blocks) {
        launch(backward_rows<T, decltype(threads)::value, decltype(vectors)::value>, blocks, kThreads, 0, r, gradient, to);
      });
    else
      launch(backward_columns<T>, blocks_for(r.n, kThreads), kThreads, 0, r, gradient, to);
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
