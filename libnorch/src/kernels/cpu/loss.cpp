#include "kernels/loss.h"

#include <algorithm>
#include <type_traits>
#include <vector>

#include "kernels/cpu/blocks.h"
#include "kernels/cpu/parallel.h"
#include "kernels/cpu/vector_math.h"

namespace norch::kernels::cpu::NORCH_ISA {

namespace {

/// Losses with exp or log are computed in whole lanes only: see blocks.h.
template <class F>
constexpr bool is_exact = std::is_same_v<F, MseLoss> || std::is_same_v<F, L1Loss> || std::is_same_v<F, SmoothL1Loss> ||
                          std::is_same_v<F, HuberLoss>;

template <class F, class C>
struct Value {
  static constexpr bool exact = is_exact<F>, heavy = !exact;
  C parameter;
  C operator()(C x, C t) const { return F::value(x, t, parameter); }
};

template <class F, int Order, class C>
struct Derivative {
  static constexpr bool exact = is_exact<F>, heavy = !exact;
  C parameter, scale;
  C operator()(C g, C x, C t) const {
    if constexpr (Order == 1)
      return g * scale * F::first(x, t, parameter);
    else
      return g * scale * F::second(x, t, parameter);
  }
};

/// Sum over [begin, end) in lanes of their own: a fixed order of additions that is also a vector loop.
template <class T, class F>
double sum_chunk(const T* x, const T* t, int64_t begin, int64_t end, ComputeType<T> parameter) {
  using C = ComputeType<T>;
  constexpr int kLanes = 16;
  C lanes[kLanes] = {};
  int64_t i = begin;
  for (; i + kLanes <= end; i += kLanes)
#pragma omp simd
    for (int k = 0; k < kLanes; ++k)
      lanes[k] += F::value(static_cast<C>(x[i + k]), static_cast<C>(t[i + k]), parameter);
  double sum = 0;
  for (; i < end; ++i) sum += static_cast<double>(F::value(static_cast<C>(x[i]), static_cast<C>(t[i]), parameter));
  for (C lane : lanes) sum += static_cast<double>(lane);
  return sum;
}

template <class F, int Order>
void run_derivative(const Plan& plan, double parameter, double scale) {
  visit_float("loss", plan.dtype[0], [&](auto tag) {
    using C = ComputeType<typename decltype(tag)::type>;
    using D = Derivative<F, Order, C>;
    run_blocks(plan, block3<D, C, C>, D{static_cast<C>(parameter), static_cast<C>(scale)});
  });
}

}  // namespace

void loss_value(LossOp op, const Plan& plan, double parameter) {
  visit_loss(op, [&](auto f) {
    visit_float("loss", plan.dtype[0], [&](auto tag) {
      using C = ComputeType<typename decltype(tag)::type>;
      using V = Value<decltype(f), C>;
      run_blocks(plan, block2<V, C, C>, V{static_cast<C>(parameter)});
    });
  });
}

void loss_sum(LossOp op, const Tensor& out, const Tensor& x, const Tensor& t, double parameter, double scale) {
  const int64_t n = x.numel();
  visit_loss(op, [&](auto f) {
    using F = decltype(f);
    visit_float("loss", x.dtype(), [&](auto tag) {
      using T = typename decltype(tag)::type;
      using C = ComputeType<T>;
      const T* xs = static_cast<const T*>(x.data_ptr());
      const T* ts = static_cast<const T*>(t.data_ptr());
      const C p = static_cast<C>(parameter);
      double sum = 0;
      if (n <= kLossChunk) {
        sum = sum_chunk<T, F>(xs, ts, 0, n, p);
      } else {
        const int64_t chunks = (n + kLossChunk - 1) / kLossChunk;
        std::vector<double> part(static_cast<size_t>(chunks));
        parallel_for(chunks, 4, [&](int64_t first, int64_t last) {
          for (int64_t c = first; c < last; ++c)
            part[c] = sum_chunk<T, F>(xs, ts, c * kLossChunk, std::min(n, (c + 1) * kLossChunk), p);
        });
        for (double v : part) sum += v;
      }
      *static_cast<T*>(out.data_ptr()) = static_cast<T>(static_cast<C>(sum * scale));
    });
  });
}

void loss_derivative(LossOp op, int order, const Plan& plan, double parameter, double scale) {
  if (order == 1)
    visit_loss(op, [&](auto f) { run_derivative<decltype(f), 1>(plan, parameter, scale); });
  else
    visit_difference(op, [&](auto f) { run_derivative<decltype(f), 2>(plan, parameter, scale); });
}

}  // namespace norch::kernels::cpu::NORCH_ISA
