#include "kernels/cuda/reduce.cuh"

namespace norch::kernels::cuda {

namespace {

template <bool kLargest, class T>
struct Select {
  using Element = T;
  using C = ComputeType<T>;
  using Acc = Found<C>;
  T* values;
  int64_t* indices;
  __device__ __forceinline__ Acc identity() const { return {C(0), -1}; }
  __device__ __forceinline__ Acc join(Acc a, Acc b) const {
    if (b.index < 0) return a;
    if (a.index < 0 || beats<kLargest>(b.value, a.value)) return b;
    // Threads meet elements out of order: of equal ones the first counts.
    const bool equal = !beats<kLargest>(a.value, b.value);
    return equal && b.index < a.index ? b : a;
  }
  __device__ __forceinline__ Acc step(Acc a, T x, int64_t index) const { return join(a, {static_cast<C>(x), index}); }
  __device__ __forceinline__ void store(const Acc& a, int64_t at) const {
    if (values) values[at] = static_cast<T>(a.value);
    if (indices) indices[at] = a.index;
  }
};

}  // namespace

void reduce_select(bool largest, const ReducePlan& plan, const Tensor& values, const Tensor& indices) {
  const Device device = values.defined() ? values.device() : indices.device();
  visit_all(plan.dtype, [&](auto tag) {
    using T = typename decltype(tag)::type;
    T* v = values.defined() ? values.data<T>() : nullptr;
    int64_t* i = indices.defined() ? indices.data<int64_t>() : nullptr;
    if (largest)
      reduction::run(plan, Select<true, T>{v, i}, device);
    else
      reduction::run(plan, Select<false, T>{v, i}, device);
  });
}

}  // namespace norch::kernels::cuda
