#include "kernels/cuda/reduce.cuh"

namespace norch::kernels::cuda {

namespace {

/// Welford's running mean and variance; what a thread reads at once is joined as a part.
template <class A>
struct Moments {
  using Value = A;
  using Acc = MomentsOf<A>;
  static constexpr bool kWide = false;
  static constexpr bool kByRuns = true;
  void* mean;
  void* var;
  DType out_dtype;
  double n;
  MomentsArgs args;

  static __device__ __forceinline__ A quotient(A a, A b) {
    if constexpr (sizeof(A) == 4)
      return __fdividef(a, b);
    else
      return a / b;
  }
  __device__ __forceinline__ Acc identity() const { return {A(0), A(0), A(0)}; }
  template <class F>
  __device__ __forceinline__ void visit(const F& f) const {
    f([](Acc a, A x, int64_t) {
      const A delta = x - a.mean;
      a.n += A(1);
      a.mean += quotient(delta, a.n);
      a.m2 += delta * (x - a.mean);
      return a;
    });
  }
  /// In two passes over the registers: the mean first, then the squares of what is left of it.
  template <int kSize, int N, int U, class Step, class F>
  __device__ __forceinline__ Acc take(const Step&, const Acc& a, int count, const F& values) const {
    // By the distances from the first: their sum does not overflow where the elements' would.
    A x[N], sum = 0, m2 = 0;
    values(0, x);
    const A first = x[0];
#pragma unroll
    for (int u = 0; u < U; ++u) {
      values(u, x);
      A some = 0;
#pragma unroll
      for (int j = 0; j < N; ++j) some += x[j] - first;
      sum += u < count ? some : A(0);
    }
    const A n = static_cast<A>(N * count), shift = quotient(sum, n);
#pragma unroll
    for (int u = 0; u < U; ++u) {
      values(u, x);
      A some = 0;
#pragma unroll
      for (int j = 0; j < N; ++j) some += (x[j] - first - shift) * (x[j] - first - shift);
      m2 += u < count ? some : A(0);
    }
    return join(a, {n, first + shift, m2});
  }
  /// As MomentsOf::join; with fast division, and without branches: short rows spend their time here.
  __device__ __forceinline__ Acc join(const Acc& a, const Acc& b) const {
    const A total = a.n + b.n, delta = b.mean - a.mean, share = quotient(b.n, total);
    const Acc both{total, a.mean + delta * share, a.m2 + (b.m2 + delta * delta * a.n * share)};
    return a.n == A(0) ? b : b.n == A(0) ? a : both;
  }
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
