#include "kernels/cuda/reduce.cuh"

namespace norch::kernels::cuda {

namespace {

/// Welford's running mean and variance.
template <class A>
struct Moments {
  using Value = A;
  using Acc = MomentsOf<A>;
  void* mean;
  void* var;
  DType out_dtype;
  double n;
  MomentsArgs args;

  __device__ __forceinline__ Acc identity() const { return {A(0), A(0), A(0)}; }
  template <class F>
  __device__ __forceinline__ void visit(const F& f) const {
    f([](Acc a, A x, int64_t) {
      const A delta = x - a.mean;
      a.n += A(1);
      if constexpr (sizeof(A) == 4)
        a.mean += __fdividef(delta, a.n);
      else
        a.mean += delta / a.n;
      a.m2 += delta * (x - a.mean);
      return a;
    });
  }
  __device__ __forceinline__ Acc join(const Acc& a, const Acc& b) const { return a.join(b); }
  __device__ __forceinline__ void store(const Acc& a, int64_t at) const {
    if (mean) reduction::Values<A>::store(out_dtype, mean, at, n > 0 ? a.mean : A(NAN));
    if (var) reduction::Values<A>::store(out_dtype, var, at, finish_moments(a, n, args));
  }
};

}  // namespace

void moments(const ReducePlan& plan, const Tensor& mean, const Tensor& var, const MomentsArgs& args) {
  const Tensor& any = mean.defined() ? mean : var;
  auto run = [&](auto zero) {
    reduction::run(plan,
                   Moments<decltype(zero)>{mean.defined() ? mean.data_ptr() : nullptr,
                                           var.defined() ? var.data_ptr() : nullptr, any.dtype(),
                                           static_cast<double>(plan.n), args},
                   any.device());
  };
  visit_float("var", plan.dtype, [](auto) {});  // raises for others
  if (plan.dtype == DType::Float64)
    run(0.0);
  else
    run(0.0f);
}

}  // namespace norch::kernels::cuda
