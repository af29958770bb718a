// The loop that every optimizer's step runs in: see kernels/optim.h for what a step is.
#pragma once

#include "kernels/cpu/parallel.h"
#include "kernels/optim.h"

namespace norch::kernels::cpu::NORCH_ISA {

/// Elements per thread: a step does more arithmetic per element than a plain sum.
constexpr int64_t kStepGrain = 16384;

template <class T, class F>
void update(const OptimTensor& t, const F& f, int64_t begin, int64_t end) {
  using C = ComputeType<T>;
  const PerTensor<C> per(t);
  T* __restrict p = static_cast<T*>(t.data[0]);
  const T* __restrict g = static_cast<const T*>(t.data[1]);
  T* __restrict s0 = static_cast<T*>(t.data[2]);
  T* __restrict s1 = static_cast<T*>(t.data[3]);
  T* __restrict s2 = static_cast<T*>(t.data[4]);
  // Vectorised without being told: `omp simd` would give the references into memory here.
  for (int64_t i = begin; i < end; ++i) {
    C x = static_cast<C>(p[i]);
    if constexpr (F::states == 0) {
      f(per, x, static_cast<C>(g[i]));
    } else if constexpr (F::states == 1) {
      C a = static_cast<C>(s0[i]);
      f(per, x, static_cast<C>(g[i]), a);
      s0[i] = static_cast<T>(a);
    } else if constexpr (F::states == 2) {
      C a = static_cast<C>(s0[i]), b = static_cast<C>(s1[i]);
      f(per, x, static_cast<C>(g[i]), a, b);
      s0[i] = static_cast<T>(a);
      s1[i] = static_cast<T>(b);
    } else {
      C a = static_cast<C>(s0[i]), b = static_cast<C>(s1[i]), c = static_cast<C>(s2[i]);
      f(per, x, static_cast<C>(g[i]), a, b, c);
      s0[i] = static_cast<T>(a);
      s1[i] = static_cast<T>(b);
      s2[i] = static_cast<T>(c);
    }
    p[i] = static_cast<T>(x);
  }
}

template <class T, class F>
void update_all(const OptimTensors& list, const F& f, const float* skip = nullptr) {
  if (skip && *skip != 0) return;
  for (const OptimTensor& t : list)
    parallel_for(t.n, kStepGrain, [&](int64_t begin, int64_t end) { update<T>(t, f, begin, end); });
}

}  // namespace norch::kernels::cpu::NORCH_ISA
