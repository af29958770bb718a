// The tables are filled by one block per sample, step after step; the gradient by one block per step and sample.
#include "kernels/ctc.h"

#include "kernels/cuda/launch.cuh"
#include "kernels/dispatch.h"

namespace norch::kernels::cuda {

namespace {

constexpr int kThreads = 256;

struct Samples {
  int64_t steps, batch, classes, states, blank;
  const int64_t *targets, *offsets, *input_lengths, *target_lengths;
  explicit Samples(const Ctc& c)
      : steps(c.steps),
        batch(c.batch),
        classes(c.classes),
        states(c.states),
        blank(c.blank),
        targets(static_cast<const int64_t*>(c.targets.data_ptr())),
        offsets(static_cast<const int64_t*>(c.offsets.data_ptr())),
        input_lengths(static_cast<const int64_t*>(c.input_lengths.data_ptr())),
        target_lengths(static_cast<const int64_t*>(c.target_lengths.data_ptr())) {}
  template <class C>
  __device__ CtcSample<C> sample(const C* log_probs, int64_t n) const {
    return ctc_sample(targets, offsets[n], input_lengths[n], target_lengths[n], blank, classes, batch, log_probs, n);
  }
};

template <class C>
__global__ void __launch_bounds__(kThreads) alpha_kernel(Samples c, C* losses, C* alpha, const C* log_probs,
                                                         IndexCheck check) {
  const int64_t n = blockIdx.x;
  const CtcSample<C> s = c.sample(log_probs, n);
  bool valid = true;
  for (int64_t i = threadIdx.x; i < s.states / 2; i += kThreads) valid &= check.valid(s.labels[i], c.classes);
  if (__syncthreads_or(!valid)) {
    if (threadIdx.x == 0) losses[n] = static_cast<C>(NAN);
    return;
  }
  C* const table = alpha + n * c.steps * c.states;
  for (int64_t t = 0; t < s.steps; ++t) {
    C* now = table + t * c.states;
    for (int64_t i = threadIdx.x; i < s.states; i += kThreads)
      now[i] = t ? s.forward(now - c.states, t, i) : s.first(i);
    __syncthreads();
  }
  if (threadIdx.x == 0) losses[n] = s.loss(table, c.states);
}

template <class C>
__global__ void __launch_bounds__(kThreads) beta_kernel(Samples c, C* beta, const C* losses, const C* log_probs) {
  const int64_t n = blockIdx.x;
  if (isnan(losses[n])) return;
  const CtcSample<C> s = c.sample(log_probs, n);
  for (int64_t t = s.steps - 1; t >= 0; --t) {
    C* now = beta + (n * c.steps + t) * c.states;
    for (int64_t i = threadIdx.x; i < s.states; i += kThreads)
      now[i] = t + 1 < s.steps ? s.backward(now + c.states, t, i) : s.last(i);
    __syncthreads();
  }
}

template <class C>
__global__ void __launch_bounds__(kThreads) gradient_kernel(Samples c, C* grad, const C* beta, const C* grad_out,
                                                            const C* losses, const C* alpha, const C* log_probs,
                                                            bool zero_infinity) {
  const int64_t n = blockIdx.x % c.batch, t = blockIdx.x / c.batch;
  const CtcSample<C> s = c.sample(log_probs, n);
  const C loss = losses[n], g = grad_out[n];
  C* row = grad + (t * c.batch + n) * c.classes;
  const bool zero = t >= s.steps || (zero_infinity && isinf(loss)) || isnan(loss);
  for (int64_t k = threadIdx.x; k < c.classes; k += kThreads) row[k] = zero ? C(0) : std::exp(s.probs[t * s.row + k]) * g;
  if (zero) return;
  __syncthreads();
  // The first state of each label sums the shares of all of them, in order.
  const C *forward = alpha + (n * c.steps + t) * c.states, *backward = beta + (n * c.steps + t) * c.states;
  for (int64_t i = threadIdx.x; i < s.states; i += kThreads) {
    const int64_t label = s.label(i);
    bool first = true;
    for (int64_t j = 0; j < i && first; ++j) first = s.label(j) != label;
    if (!first) continue;
    C share = 0;
    for (int64_t j = i; j < s.states; ++j)
      if (s.label(j) == label) share += std::exp(forward[j] + backward[j] - s.prob(t, j) + loss);
    row[label] -= share * g;
  }
}

template <class C>
C* data(const Tensor& t) {
  return static_cast<C*>(t.data_ptr());
}

}  // namespace

void ctc_loss(const Ctc& c, const Tensor& losses, const Tensor& alpha, const Tensor& log_probs) {
  visit_ctc(log_probs.dtype(), [&](auto tag) {
    using C = typename decltype(tag)::type;
    launch(alpha_kernel<C>, blocks_for(c.batch, 1), kThreads, 0, Samples(c), data<C>(losses), data<C>(alpha),
           data<C>(log_probs), index_check("ctc_loss"));
  });
}

void ctc_loss_backward(const Ctc& c, const Tensor& grad, const Tensor& beta, const Tensor& grad_out, const Tensor& losses,
                       const Tensor& alpha, const Tensor& log_probs, bool zero_infinity) {
  visit_ctc(log_probs.dtype(), [&](auto tag) {
    using C = typename decltype(tag)::type;
    launch(beta_kernel<C>, blocks_for(c.batch, 1), kThreads, 0, Samples(c), data<C>(beta), data<C>(losses),
           data<C>(log_probs));
    launch(gradient_kernel<C>, blocks_for(c.batch * c.steps, 1), kThreads, 0, Samples(c), data<C>(grad), data<C>(beta),
           data<C>(grad_out), data<C>(losses), data<C>(alpha), data<C>(log_probs), zero_infinity);
  });
}

}  // namespace norch::kernels::cuda
