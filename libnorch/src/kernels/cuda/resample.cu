// One thread per result, over the taps of all dims.
#include "kernels/resample.h"

#include "kernels/cuda/launch.cuh"
#include "kernels/dispatch.h"

namespace norch::kernels::cuda {

namespace {

template <class C>
struct Taps {
  int64_t in, out;
  const int32_t *begin, *index;  // null: the dim stays as it is
  const C* weight;               // null: 1
  explicit Taps(const ResampleDim& d)
      : in(d.in),
        out(d.out),
        begin(d.begin.defined() ? static_cast<const int32_t*>(d.begin.data_ptr()) : nullptr),
        index(d.begin.defined() ? static_cast<const int32_t*>(d.index.data_ptr()) : nullptr),
        weight(d.weight.defined() ? static_cast<const C*>(d.weight.data_ptr()) : nullptr) {}

  /// Calls f(input position, weight) for each tap of output position o.
  template <class F>
  __device__ void over(int64_t o, const F& f) const {
    if (!begin) {
      f(o, C(1));
      return;
    }
    for (int32_t t = begin[o]; t < begin[o + 1]; ++t) f(static_cast<int64_t>(index[t]), weight ? weight[t] : C(1));
  }
};

template <class T, class C>
__global__ void __launch_bounds__(256) resample_kernel(Taps<C> d0, Taps<C> d1, Taps<C> d2, T* out, const T* x, int64_t n) {
  const int64_t at = static_cast<int64_t>(blockIdx.x) * 256 + threadIdx.x;
  if (at >= n) return;
  const int64_t o2 = at % d2.out, o1 = at / d2.out % d1.out, o0 = at / (d2.out * d1.out) % d0.out;
  const T* src = x + at / (d2.out * d1.out * d0.out) * (d0.in * d1.in * d2.in);
  C sum = 0;
  d0.over(o0, [&](int64_t i0, C w0) {
    d1.over(o1, [&](int64_t i1, C w1) {
      C row = 0;
      d2.over(o2, [&](int64_t i2, C w2) { row += w2 * static_cast<C>(src[(i0 * d1.in + i1) * d2.in + i2]); });
      sum += w0 * w1 * row;
    });
  });
  out[at] = resampled<T>(sum);
}

}  // namespace

void resample(const Resample& r, const Tensor& out, const Tensor& x) {
  const auto run = [&](auto tag) {
    using T = typename decltype(tag)::type;
    using C = std::conditional_t<std::is_same_v<T, double>, double, float>;
    launch(resample_kernel<T, C>, blocks_for(out.numel(), 256), 256, 0, Taps<C>(r.dim[0]), Taps<C>(r.dim[1]),
           Taps<C>(r.dim[2]), static_cast<T*>(out.data_ptr()), static_cast<const T*>(x.data_ptr()), out.numel());
  };
  if (out.dtype() == DType::UInt8)
    run(TypeTag<uint8_t>{});
  else
    visit_float("interpolate", out.dtype(), run);
}

}  // namespace norch::kernels::cuda
