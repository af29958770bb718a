#include "kernels/loss.h"

#include <algorithm>
#include <vector>

#include "kernels/cpu/loops.h"
#include "kernels/cpu/parallel.h"

namespace norch::kernels::cpu::NORCH_ISA {

namespace {

template <class T, class F>
void value_loop(char* const* data, const int64_t* strides, int64_t n, const void* context) {
  using C = ComputeType<T>;
  constexpr int64_t kSize = sizeof(T);
  const C parameter = *static_cast<const C*>(context);
  if (strides[0] == kSize && strides[1] == kSize && strides[2] == kSize) {
    T* out = reinterpret_cast<T*>(data[0]);
    const T* x = reinterpret_cast<const T*>(data[1]);
    const T* t = reinterpret_cast<const T*>(data[2]);
#pragma omp simd
    for (int64_t i = 0; i < n; ++i)
      out[i] = static_cast<T>(F::value(static_cast<C>(x[i]), static_cast<C>(t[i]), parameter));
    return;
  }
  for (int64_t i = 0; i < n; ++i) {
    const C x = static_cast<C>(*reinterpret_cast<const T*>(data[1] + i * strides[1]));
    const C t = static_cast<C>(*reinterpret_cast<const T*>(data[2] + i * strides[2]));
    *reinterpret_cast<T*>(data[0] + i * strides[0]) = static_cast<T>(F::value(x, t, parameter));
  }
}

template <class C>
struct DerivativeContext {
  C parameter, scale;
};

template <class F, int Order, class C>
inline C derivative(C x, C t, C parameter) {
  if constexpr (Order == 1)
    return F::first(x, t, parameter);
  else
    return F::second(x, t, parameter);
}

template <class T, class F, int Order>
void derivative_loop(char* const* data, const int64_t* strides, int64_t n, const void* context) {
  using C = ComputeType<T>;
  constexpr int64_t kSize = sizeof(T);
  const auto& k = *static_cast<const DerivativeContext<C>*>(context);
  const C parameter = k.parameter;
  if (strides[0] == kSize && strides[1] == 0 && strides[2] == kSize && strides[3] == kSize) {
    T* out = reinterpret_cast<T*>(data[0]);
    const C g = static_cast<C>(*reinterpret_cast<const T*>(data[1])) * k.scale;
    const T* x = reinterpret_cast<const T*>(data[2]);
    const T* t = reinterpret_cast<const T*>(data[3]);
#pragma omp simd
    for (int64_t i = 0; i < n; ++i)
      out[i] = static_cast<T>(g * derivative<F, Order>(static_cast<C>(x[i]), static_cast<C>(t[i]), parameter));
    return;
  }
  for (int64_t i = 0; i < n; ++i) {
    const C g = static_cast<C>(*reinterpret_cast<const T*>(data[1] + i * strides[1])) * k.scale;
    const C x = static_cast<C>(*reinterpret_cast<const T*>(data[2] + i * strides[2]));
    const C t = static_cast<C>(*reinterpret_cast<const T*>(data[3] + i * strides[3]));
    *reinterpret_cast<T*>(data[0] + i * strides[0]) = static_cast<T>(g * derivative<F, Order>(x, t, parameter));
  }
}

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

template <class F>
void run_derivative(const Plan& plan, int order, double parameter, double scale) {
  visit_float("loss", plan.dtype[0], [&](auto tag) {
    using T = typename decltype(tag)::type;
    using C = ComputeType<T>;
    const DerivativeContext<C> context{static_cast<C>(parameter), static_cast<C>(scale)};
    if (order == 1) return for_each(plan, derivative_loop<T, F, 1>, &context);
    if constexpr (std::is_same_v<F, MseLoss> || std::is_same_v<F, L1Loss> || std::is_same_v<F, SmoothL1Loss> ||
                  std::is_same_v<F, HuberLoss>)
      for_each(plan, derivative_loop<T, F, 2>, &context);
  });
}

}  // namespace

void loss_value(LossOp op, const Plan& plan, double parameter) {
  visit_loss(op, [&](auto f) {
    visit_float("loss", plan.dtype[0], [&](auto tag) {
      using T = typename decltype(tag)::type;
      const ComputeType<T> context = static_cast<ComputeType<T>>(parameter);
      for_each(plan, value_loop<T, decltype(f)>, &context);
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
  visit_loss(op, [&](auto f) { run_derivative<decltype(f)>(plan, order, parameter, scale); });
}

}  // namespace norch::kernels::cpu::NORCH_ISA
