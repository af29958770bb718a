#include "kernels/cuda/reduce.cuh"

namespace norch::kernels::cuda {

namespace {

/// Welford's running mean and variance.
template <class T>
struct Moments {
  using Element = T;
  using A = ComputeType<T>;
  using Acc = MomentsOf<A>;
  void* mean;
  void* var;
  bool out_is_input_type;
  double n;
  MomentsArgs args;
  __device__ __forceinline__ Acc identity() const { return {A(0), A(0), A(0)}; }
  __device__ __forceinline__ Acc join(const Acc& a, const Acc& b) const { return a.join(b); }
  __device__ __forceinline__ Acc step(Acc a, T element, int64_t) const {
    const A x = static_cast<A>(element), delta = x - a.mean;
    a.n += A(1);
    if constexpr (sizeof(A) == 4)
      a.mean += __fdividef(delta, a.n);
    else
      a.mean += delta / a.n;
    a.m2 += delta * (x - a.mean);
    return a;
  }
  template <class Out>
  __device__ __forceinline__ void store_as(const Acc& a, int64_t at) const {
    if (mean) static_cast<Out*>(mean)[at] = static_cast<Out>(n > 0 ? a.mean : A(NAN));
    if (var) static_cast<Out*>(var)[at] = static_cast<Out>(finish_moments(a, n, args));
  }
  __device__ __forceinline__ void store(const Acc& a, int64_t at) const {
    if (out_is_input_type)
      store_as<T>(a, at);
    else
      store_as<SumType<T>>(a, at);
  }
};

}  // namespace

void moments(const ReducePlan& plan, const Tensor& mean, const Tensor& var, const MomentsArgs& args) {
  const Tensor& any = mean.defined() ? mean : var;
  visit_float("var", plan.dtype, [&](auto tag) {
    reduction::run(plan,
                   Moments<typename decltype(tag)::type>{mean.defined() ? mean.data_ptr() : nullptr,
                                                         var.defined() ? var.data_ptr() : nullptr,
                                                         any.dtype() == plan.dtype, static_cast<double>(plan.n), args},
                   any.device());
  });
}

}  // namespace norch::kernels::cuda
