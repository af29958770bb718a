// The gradient by the weight sums over every position of every sample: long sums for few results. They are cut into
// parts of a length that depends on the shapes alone, and the parts added in order.
#include "core/factory.h"
#include "kernels/conv_row_major.h"
#include "kernels/cuda/conv_fold.h"
#include "kernels/cuda/conv_product.h"
#include "kernels/cuda/conv_tiles.cuh"
#include "kernels/cuda/cudnn.h"

namespace norch::kernels::cuda {

namespace {

/// Output channels by (input channel, tap); k counts samples and positions.
template <class T, class I>
struct BackwardWeight {
  using S = ComputeType<T>;
  ConvGeometry<I> c;
  S* sums;  // (part, weight)
  const T *g, *x;

  __device__ S left(I group, I o, I k) const {
    return static_cast<S>(g[((k / c.out_size * c.groups + group) * c.c_out + o) * c.out_size + k % c.out_size]);
  }
  __device__ S right(I group, I k, I j) const {
    const I at = c.input_at(k % c.out_size, j % c.taps);
    if (at < 0) return S(0);
    return static_cast<S>(x[((k / c.out_size * c.groups + group) * c.c_in + j / c.taps) * c.in_size + at]);
  }
  __device__ void store(I group, I part, I o, I j, S sum) const {
    const int64_t row = static_cast<int64_t>(c.c_in) * c.taps;
    sums[(static_cast<int64_t>(part) * c.groups * c.c_out + group * c.c_out + o) * row + j] = sum;
  }
};

/// The convolution as it is given.
void backward_weight(const Conv& conv, const Tensor& gw, const Tensor& g, const Tensor& x) {
  using norch::cuda::ConvResult;
  if (norch::cuda::cudnn_convolve(ConvResult::w, conv, gw.dtype(), x.data_ptr(), gw.data_ptr(), g.data_ptr())) return;
  if (conv_backward_weight_product(conv, gw, g, x)) return;
  if (conv.channels_last) return in_row_major(conv, gw, g, x, backward_weight);
  visit_float("conv", gw.dtype(), [&](auto tag) {
    using T = typename decltype(tag)::type;
    using S = ComputeType<T>;
    const int64_t m = conv.c_out / conv.groups, n = conv.c_in / conv.groups * conv.taps(), k = conv.n * conv.out_size();
    const int64_t tiles = (m + 63) / 64 * ((n + 63) / 64) * conv.groups;
    const int64_t wanted = std::max<int64_t>(1, std::min<int64_t>(512 / tiles, 64));
    const int64_t k_part = std::max<int64_t>(256, (k + wanted - 1) / wanted), parts = (k + k_part - 1) / k_part;
    const Tensor sums = new_tensor({parts, gw.numel()}, dtype_of<S>, gw.device());
    const auto run = [&](auto index) {
      using I = typename decltype(index)::type;
      const BackwardWeight<T, I> f{ConvGeometry<I>(conv), static_cast<S*>(sums.data_ptr()),
                                   static_cast<const T*>(g.data_ptr()), static_cast<const T*>(x.data_ptr())};
      run_tiles<S, I>(f, conv.groups, m, n, k, parts, k_part);
    };
    if (fits_32_bits(conv))
      run(TypeTag<int32_t>{});
    else
      run(TypeTag<int64_t>{});
    launch(add_parts<T, S>, blocks_for(gw.numel(), 256), 256, 0, static_cast<T*>(gw.data_ptr()),
           static_cast<const S*>(sums.data_ptr()), gw.numel(), parts);
  });
}

}  // namespace

void conv_backward_weight(const Conv& conv, const Tensor& gw, const Tensor& g, const Tensor& x) {
  const auto folded = fold(conv, gw.dtype(), true);
  if (!folded) return backward_weight(conv, gw, g, x);
  const Tensor result = folded->new_weight(gw);
  backward_weight(folded->conv, result, g, folded->input(conv, x));
  folded->unfold_weight(conv, gw, result);
}

}  // namespace norch::kernels::cuda
