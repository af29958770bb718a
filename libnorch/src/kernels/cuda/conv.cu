#include "kernels/conv.h"

#include "kernels/conv_row_major.h"
#include "kernels/cuda/conv_fold.h"
#include "kernels/cuda/conv_product.h"
#include "kernels/cuda/conv_tiles.cuh"
#include "kernels/cuda/cudnn.h"

namespace norch::kernels::cuda {

using norch::cuda::ConvResult;
using norch::cuda::cudnn_convolve;

namespace {

/// Output channels by positions of all samples; k counts channels and taps.
template <class T, class I>
struct Forward {
  using S = ComputeType<T>;
  ConvGeometry<I> c;
  T* out;
  const T *x, *w, *bias;

  __device__ S left(I group, I o, I k) const {
    return static_cast<S>(w[(group * c.c_out + o) * c.c_in * c.taps + k]);
  }
  __device__ S right(I group, I k, I j) const {
    const I at = c.input_at(j % c.out_size, k % c.taps);
    if (at < 0) return S(0);
    return static_cast<S>(x[((j / c.out_size * c.groups + group) * c.c_in + k / c.taps) * c.in_size + at]);
  }
  __device__ void store(I group, I, I o, I j, S sum) const {
    if (bias) sum += static_cast<S>(bias[group * c.c_out + o]);
    out[((j / c.out_size * c.groups + group) * c.c_out + o) * c.out_size + j % c.out_size] = static_cast<T>(sum);
  }
};

/// Input channels by positions of all samples; k counts output channels and taps.
template <class T, class I>
struct BackwardInput {
  using S = ComputeType<T>;
  ConvGeometry<I> c;
  T* gx;
  const T *g, *w;

  __device__ S left(I group, I i, I k) const {
    return static_cast<S>(w[((group * c.c_out + k / c.taps) * c.c_in + i) * c.taps + k % c.taps]);
  }
  __device__ S right(I group, I k, I j) const {
    const I at = c.output_at(j % c.in_size, k % c.taps);
    if (at < 0) return S(0);
    return static_cast<S>(g[((j / c.in_size * c.groups + group) * c.c_out + k / c.taps) * c.out_size + at]);
  }
  __device__ void store(I group, I, I i, I j, S sum) const {
    gx[((j / c.in_size * c.groups + group) * c.c_in + i) * c.in_size + j % c.in_size] = static_cast<T>(sum);
  }
};

/// Adds bias[channel] to (..., channels, inner). I is wide enough for the number of elements.
template <class T, class I>
__global__ void __launch_bounds__(256) add_bias_kernel(T* out, const T* bias, I total, I inner, I channels) {
  using S = ComputeType<T>;
  const I i = static_cast<I>(blockIdx.x) * 256 + threadIdx.x;
  if (i < total) out[i] = static_cast<T>(static_cast<S>(out[i]) + static_cast<S>(bias[i / inner % channels]));
}

void add_bias(const Conv& conv, const Tensor& out, const Tensor& bias) {
  const int64_t total = out.numel();
  visit_float("conv", out.dtype(), [&](auto tag) {
    using T = typename decltype(tag)::type;
    auto go = [&](auto kernel) {
      launch(kernel, blocks_for(total, 256), 256, 0, out.data<T>(), static_cast<const T*>(bias.data_ptr()), total,
             conv.channels_last ? 1 : conv.out_size(), conv.c_out);
    };
    total < (int64_t{1} << 31) ? go(add_bias_kernel<T, uint32_t>) : go(add_bias_kernel<T, int64_t>);
  });
}

template <class F>
void with_types(const Conv& conv, DType t, const F& f) {
  visit_float("conv", t, [&](auto tag) {
    if (fits_32_bits(conv))
      f(tag, TypeTag<int32_t>{});
    else
      f(tag, TypeTag<int64_t>{});
  });
}

// The convolutions as they are given.

void forward(const Conv& conv, const Tensor& out, const Tensor& x, const Tensor& w, const Tensor& bias) {
  if (cudnn_convolve(ConvResult::y, conv, out.dtype(), x.data_ptr(), w.data_ptr(), out.data_ptr())) {
    if (bias.defined()) add_bias(conv, out, bias);
    return;
  }
  if (conv_forward_product(conv, out, x, w, bias)) return;
  if (conv.channels_last)
    return in_row_major(conv, out, x, w, [&](const Conv& c, const Tensor& to, const Tensor& from, const Tensor& weight) {
      forward(c, to, from, weight, bias);
    });
  with_types(conv, out.dtype(), [&](auto tag, auto index) {
    using T = typename decltype(tag)::type;
    using I = typename decltype(index)::type;
    const int64_t k = conv.c_in / conv.groups * conv.taps();
    const Forward<T, I> f{ConvGeometry<I>(conv), static_cast<T*>(out.data_ptr()), static_cast<const T*>(x.data_ptr()),
                          static_cast<const T*>(w.data_ptr()),
                          bias.defined() ? static_cast<const T*>(bias.data_ptr()) : nullptr};
    run_tiles<ComputeType<T>, I>(f, conv.groups, conv.c_out / conv.groups, conv.n * conv.out_size(), k, 1, k);
  });
}

void backward_input(const Conv& conv, const Tensor& gx, const Tensor& g, const Tensor& w) {
  if (cudnn_convolve(ConvResult::x, conv, gx.dtype(), gx.data_ptr(), w.data_ptr(), g.data_ptr())) return;
  if (conv_backward_input_product(conv, gx, g, w)) return;
  if (conv.channels_last) return in_row_major(conv, gx, g, w, backward_input);
  with_types(conv, gx.dtype(), [&](auto tag, auto index) {
    using T = typename decltype(tag)::type;
    using I = typename decltype(index)::type;
    const int64_t k = conv.c_out / conv.groups * conv.taps();
    const BackwardInput<T, I> f{ConvGeometry<I>(conv), static_cast<T*>(gx.data_ptr()),
                                static_cast<const T*>(g.data_ptr()), static_cast<const T*>(w.data_ptr())};
    run_tiles<ComputeType<T>, I>(f, conv.groups, conv.c_in / conv.groups, conv.n * conv.in_size(), k, 1, k);
  });
}

}  // namespace

void conv_forward(const Conv& conv, const Tensor& out, const Tensor& x, const Tensor& w, const Tensor& bias) {
  if (const auto folded = fold(conv, out.dtype(), true))
    forward(folded->conv, out, folded->input(conv, x), folded->weight(conv, w), bias);
  else
    forward(conv, out, x, w, bias);
}

void conv_backward_input(const Conv& conv, const Tensor& gx, const Tensor& g, const Tensor& w) {
  // An element of x that x' held twice would get a sum of two rounded gradients.
  const auto folded = fold(conv, gx.dtype(), false);
  if (!folded) return backward_input(conv, gx, g, w);
  const Tensor result = folded->new_input(gx);
  backward_input(folded->conv, result, g, folded->weight(conv, w));
  folded->unfold_input(conv, gx, result);
}

}  // namespace norch::kernels::cuda
