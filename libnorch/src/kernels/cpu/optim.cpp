#include "kernels/optim.h"

#include <algorithm>
#include <atomic>

#include "kernels/cpu/optim_update.h"

namespace norch::kernels::cpu::NORCH_ISA {

void sgd_step(DType dtype, const OptimTensors& list, const optim::SgdOptions& options, const float* skip) {
  visit_sgd(dtype, options, [&](const auto& f, auto tag) { update_all<typename decltype(tag)::type>(list, f, skip); });
}

void adam_step(DType dtype, const OptimTensors& list, const optim::AdamOptions& options, const float* skip) {
  visit_adam(dtype, options, [&](const auto& f, auto tag) { update_all<typename decltype(tag)::type>(list, f, skip); });
}

void rmsprop_step(DType dtype, const OptimTensors& list, const optim::RmspropOptions& options) {
  visit_rmsprop(dtype, options, [&](const auto& f, auto tag) { update_all<typename decltype(tag)::type>(list, f); });
}

void norm_chunks(DType dtype, const OptimTensors& list, double p, const Tensor& partial) {
  double* out = partial.data<double>();
  visit_float("clip_grad_norm_", dtype, [&](auto tag) {
    using T = typename decltype(tag)::type;
    visit_norm(p, [&](auto kind) {
      constexpr NormKind K = decltype(kind)::value;
      for (const OptimTensor& t : list) {
        const T* x = static_cast<const T*>(t.data[0]);
        const int64_t chunks = (t.n + kNormChunk - 1) / kNormChunk;
        parallel_for(chunks, 1, [&](int64_t first, int64_t last) {
          for (int64_t c = first; c < last; ++c) {
            // Lanes of their own make the order of the additions fixed and the loop a vector loop.
            double lanes[8] = {};
            const int64_t begin = c * kNormChunk, end = std::min(t.n, begin + kNormChunk);
            int64_t i = begin;
            for (; i + 8 <= end; i += 8)
              for (int k = 0; k < 8; ++k)
                lanes[k] = norm_join<K>(norm_term<K>(static_cast<double>(static_cast<ComputeType<T>>(x[i + k])), p),
                                        lanes[k]);
            for (; i < end; ++i)
              lanes[0] = norm_join<K>(norm_term<K>(static_cast<double>(static_cast<ComputeType<T>>(x[i])), p), lanes[0]);
            double joined = lanes[0];
            for (int k = 1; k < 8; ++k) joined = norm_join<K>(joined, lanes[k]);
            out[c] = joined;
          }
        });
        out += chunks;
      }
    });
  });
}

void norm_finish(const Tensor& partial, double p, double max_norm, const Tensor& result) {
  const double* x = partial.data<double>();
  visit_norm(p, [&](auto kind) {
    constexpr NormKind K = decltype(kind)::value;
    double joined = 0;
    for (int64_t i = 0; i < partial.numel(); ++i) joined = norm_join<K>(x[i], joined);
    finish_norm(joined, p, max_norm, result.data<double>());
  });
}

void scale_list(DType dtype, const OptimTensors& list, const Tensor& coefficient) {
  visit_float("clip_grad_norm_", dtype, [&](auto tag) {
    using T = typename decltype(tag)::type;
    using C = ComputeType<T>;
    const C by = static_cast<C>(coefficient.data<double>()[1]);
    if (by == C(1)) return;
    for (const OptimTensor& t : list) {
      T* x = static_cast<T*>(t.data[0]);
      parallel_for(t.n, kStepGrain, [&](int64_t begin, int64_t end) {
#pragma omp simd
        for (int64_t i = begin; i < end; ++i) x[i] = static_cast<T>(static_cast<C>(x[i]) * by);
      });
    }
  });
}

void narrow_list(DType to, const OptimTensors& list) {
  const auto run = [&](auto tag) {
    using T = typename decltype(tag)::type;
    for (const OptimTensor& t : list) {
      const float* from = static_cast<const float*>(t.data[0]);
      T* out = static_cast<T*>(t.data[1]);
      parallel_for(t.n, kStepGrain, [&](int64_t begin, int64_t end) {
#pragma omp simd
        for (int64_t i = begin; i < end; ++i) out[i] = static_cast<T>(from[i]);
      });
    }
  };
  to == DType::BFloat16 ? run(TypeTag<BFloat16>{}) : run(TypeTag<Half>{});
}

void unscale_list(DType dtype, const OptimTensors& list, const Tensor& inverse_scale, const Tensor& found_inf) {
  std::atomic<bool> found{false};
  visit_float("unscale_", dtype, [&](auto tag) {
    using T = typename decltype(tag)::type;
    using C = ComputeType<T>;
    const C by = static_cast<C>(*inverse_scale.data<float>());
    for (const OptimTensor& t : list) {
      T* x = static_cast<T*>(t.data[0]);
      parallel_for(t.n, kStepGrain, [&](int64_t begin, int64_t end) {
        C odd = 0;  // stays 0 while all are finite: inf * 0 and NaN * 0 are NaN
        for (int64_t i = begin; i < end; ++i) {
          const C v = static_cast<C>(x[i]);
          odd = odd + v * C(0);
          x[i] = static_cast<T>(v * by);
        }
        if (odd != C(0)) found.store(true, std::memory_order_relaxed);
      });
    }
  });
  if (found) *found_inf.data<float>() = 1;
}

void update_scale(const Tensor& scale, const Tensor& growth_tracker, const Tensor& found_inf, double growth,
                  double backoff, int64_t interval) {
  next_scale(scale.data<float>(), growth_tracker.data<int32_t>(), *found_inf.data<float>(), growth, backoff, interval);
}

}  // namespace norch::kernels::cpu::NORCH_ISA
