// Elementwise kernels of the functors that both devices share.
#pragma once

#include "kernels/cuda/loops.cuh"

namespace norch::kernels::cuda {

/// The one copy of a heavy functor's code for its types.
template <class F, class... T>
__device__ __noinline__ auto call_outlined(const F f, T... x) {
  return f(x...);
}

template <class F>
struct Outlined {
  F f;
  template <class... T>
  __device__ auto operator()(T... x) const {
    return call_outlined(f, x...);
  }
};

/// As elementwise; heavy functors are called instead of inlined.
template <class Out, class... In, class F>
void apply(const Plan& plan, const F& f) {
  if constexpr (F::heavy)
    elementwise<Out, In...>(plan, Outlined<F>{f});
  else
    elementwise<Out, In...>(plan, f);
}

}  // namespace norch::kernels::cuda
