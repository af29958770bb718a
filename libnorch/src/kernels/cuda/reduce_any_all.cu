#include "kernels/cuda/reduce.cuh"

namespace norch::kernels::cuda {

namespace {

/// Counts the elements that are not zero. Floats are read as integers, of which the sign bit does not count.
struct CountNonzero {
  using Value = int64_t;
  using Acc = int64_t;
  static constexpr bool kWide = false;
  static constexpr bool kByRuns = true;
  TestOp op;
  int64_t mask, n;
  void* out;
  DType out_dtype;
  __device__ __forceinline__ int64_t identity() const { return 0; }
  template <class F>
  __device__ __forceinline__ void visit(const F& f) const {
    f([m = mask](int64_t a, int64_t x, int64_t) { return a + ((x & m) != 0); });
  }
  template <int kSize, int N, int U, class Step, class F>
  __device__ __forceinline__ int64_t take(const Step&, int64_t a, int count, const F& values) const {
    int found = 0;
#pragma unroll
    for (int u = 0; u < U; ++u) {
      int64_t x[N];
      values(u, x);
      int some = 0;
#pragma unroll
      for (int j = 0; j < N; ++j) {
        if constexpr (kSize <= 4)
          some += (static_cast<uint32_t>(x[j]) & static_cast<uint32_t>(mask)) != 0;
        else
          some += (x[j] & mask) != 0;
      }
      found += u < count ? some : 0;
    }
    return a + found;
  }
  __device__ __forceinline__ int64_t join(int64_t a, int64_t b) const { return a + b; }
  __device__ __forceinline__ void store(int64_t a, int64_t at) const {
    reduction::Values<int64_t>::store(out_dtype, out, at, op == TestOp::Any ? a != 0 : op == TestOp::All ? a == n : a);
  }
};

}  // namespace

void reduce_any_all(TestOp op, const ReducePlan& plan, const Tensor& out) {
  visit_zeroness(plan.dtype, [&](auto tag) {
    constexpr int kBits = 8 * sizeof(typename decltype(tag)::type);
    const int64_t mask = is_floating_point(plan.dtype) ? static_cast<int64_t>(~uint64_t{0} >> (65 - kBits)) : -1;
    reduction::run(plan, CountNonzero{op, mask, plan.n, out.data_ptr(), out.dtype()}, out.device());
  });
}

}  // namespace norch::kernels::cuda
