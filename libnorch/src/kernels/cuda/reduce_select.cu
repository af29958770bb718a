#include "kernels/cuda/reduce.cuh"

namespace norch::kernels::cuda {

namespace {

template <class A>
struct Select {
  using Value = A;
  using Acc = Found<A>;
  static constexpr bool kWide = false;
  static constexpr bool kByRuns = false;
  bool largest;
  DType dtype;
  void* values;
  int64_t* indices;

  __device__ __forceinline__ Acc identity() const { return {A(0), -1}; }
  template <class F>
  __device__ __forceinline__ void visit(const F& f) const {
    if (largest)
      f([](const Acc& a, A x, int64_t i) { return a.index < 0 || beats<true>(x, a.value) ? Acc{x, i} : a; });
    else
      f([](const Acc& a, A x, int64_t i) { return a.index < 0 || beats<false>(x, a.value) ? Acc{x, i} : a; });
  }
  __device__ __forceinline__ bool better(A x, A best) const {
    return largest ? beats<true>(x, best) : beats<false>(x, best);
  }
  /// Of equal elements the first counts.
  __device__ __forceinline__ Acc join(const Acc& a, const Acc& b) const {
    if (b.index < 0) return a;
    if (a.index < 0 || better(b.value, a.value)) return b;
    return b.index < a.index && !better(a.value, b.value) ? b : a;
  }
  __device__ __forceinline__ void store(const Acc& a, int64_t at) const {
    if (values) reduction::Values<A>::store(dtype, values, at, a.value);
    if (indices) indices[at] = a.index;
  }
};

}  // namespace

void reduce_select(bool largest, const ReducePlan& plan, const Tensor& values, const Tensor& indices) {
  const Device device = values.defined() ? values.device() : indices.device();
  reduction::visit_value_type(plan.dtype, [&](auto tag) {
    reduction::run(plan,
                   Select<typename decltype(tag)::type>{largest, plan.dtype,
                                                        values.defined() ? values.data_ptr() : nullptr,
                                                        indices.defined() ? indices.data<int64_t>() : nullptr},
                   device);
  });
}

}  // namespace norch::kernels::cuda
