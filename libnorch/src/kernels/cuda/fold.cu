// One thread per result; sums gather what belongs to a position, in order.
#include "kernels/fold.h"

#include "kernels/cuda/conv_tiles.cuh"
#include "kernels/cuda/launch.cuh"
#include "kernels/dispatch.h"

namespace norch::kernels::cuda {

namespace {

using Geometry = ConvGeometry<int64_t>;

template <class T>
__global__ void __launch_bounds__(256) unfold_kernel(Geometry c, T* out, const T* x, int64_t n) {
  const int64_t i = static_cast<int64_t>(blockIdx.x) * 256 + threadIdx.x;
  if (i >= n) return;
  const int64_t window = i % c.out_size, tap = i / c.out_size % c.taps, plane = i / (c.out_size * c.taps);
  const int64_t at = c.input_at(window, tap);
  out[i] = at < 0 ? T{} : x[plane * c.in_size + at];
}

template <class T>
__global__ void __launch_bounds__(256) fold_kernel(Geometry c, T* out, const T* columns, int64_t n) {
  const int64_t i = static_cast<int64_t>(blockIdx.x) * 256 + threadIdx.x;
  if (i >= n) return;
  ComputeType<T> sum = 0;
  for (int64_t tap = 0; tap < c.taps; ++tap) {
    const int64_t window = c.output_at(i % c.in_size, tap);
    if (window >= 0)
      sum += static_cast<ComputeType<T>>(columns[(i / c.in_size * c.taps + tap) * c.out_size + window]);
  }
  out[i] = static_cast<T>(sum);
}

template <class T>
__global__ void __launch_bounds__(256) pad_kernel(Pad p, T* out, const T* x, int64_t n) {
  const int64_t o = static_cast<int64_t>(blockIdx.x) * 256 + threadIdx.x;
  if (o >= n) return;
  const int64_t o2 = o % p.out[2], o1 = o / p.out[2] % p.out[1], o0 = o / (p.out[2] * p.out[1]) % p.out[0];
  const int64_t plane = o / (p.out[2] * p.out[1] * p.out[0]);
  out[o] = x[((plane * p.in[0] + pad_source(p, 0, o0)) * p.in[1] + pad_source(p, 1, o1)) * p.in[2] +
             pad_source(p, 2, o2)];
}

/// Steps through the output positions along dim d that may show input position i: the border in front, the position
/// itself, the border behind.
struct Candidates {
  int64_t o, itself, in_begin, in_end, out;
  __device__ Candidates(const Pad& p, int d, int64_t i)
      : o(0), itself(i + p.before[d]), in_begin(p.before[d]), in_end(p.before[d] + p.in[d]), out(p.out[d]) {
    settle();
  }
  __device__ void settle() {
    if (o >= in_begin && o < itself) o = itself;
    if (o > itself && o < in_end) o = in_end;
  }
  __device__ bool done() const { return o >= out; }
  __device__ void next() {
    ++o;
    settle();
  }
};

template <class T>
__global__ void __launch_bounds__(256) pad_backward_kernel(Pad p, T* gx, const T* g, int64_t n) {
  const int64_t at = static_cast<int64_t>(blockIdx.x) * 256 + threadIdx.x;
  if (at >= n) return;
  const int64_t i2 = at % p.in[2], i1 = at / p.in[2] % p.in[1], i0 = at / (p.in[2] * p.in[1]) % p.in[0];
  const int64_t plane = at / (p.in[2] * p.in[1] * p.in[0]);
  ComputeType<T> sum = 0;
  for (Candidates a(p, 0, i0); !a.done(); a.next()) {
    if (pad_source(p, 0, a.o) != i0) continue;
    for (Candidates b(p, 1, i1); !b.done(); b.next()) {
      if (pad_source(p, 1, b.o) != i1) continue;
      for (Candidates c(p, 2, i2); !c.done(); c.next())
        if (pad_source(p, 2, c.o) == i2)
          sum += static_cast<ComputeType<T>>(g[((plane * p.out[0] + a.o) * p.out[1] + b.o) * p.out[2] + c.o]);
    }
  }
  gx[at] = static_cast<T>(sum);
}

/// One thread for each element of `out`.
template <class P, class Q, class K>
void run(const char* op, K&& kernel_for, const Tensor& out, const Tensor& in, const Q& geometry) {
  visit_float(op, out.dtype(), [&](auto tag) {
    using T = typename decltype(tag)::type;
    launch(kernel_for(tag), blocks_for(out.numel(), 256), 256, 0, P(geometry), static_cast<T*>(out.data_ptr()),
           static_cast<const T*>(in.data_ptr()), out.numel());
  });
}

}  // namespace

void unfold_patches(const Conv& c, const Tensor& out, const Tensor& x) {
  visit_width(out.dtype(), [&](auto tag) {
    using T = typename decltype(tag)::type;
    launch(unfold_kernel<T>, blocks_for(out.numel(), 256), 256, 0, Geometry(c), static_cast<T*>(out.data_ptr()),
           static_cast<const T*>(x.data_ptr()), out.numel());
  });
}

void fold_patches(const Conv& c, const Tensor& out, const Tensor& columns) {
  run<Geometry>("fold", [](auto tag) { return fold_kernel<typename decltype(tag)::type>; }, out, columns, c);
}

void pad_border(const Pad& p, const Tensor& out, const Tensor& x) {
  run<Pad>("pad", [](auto tag) { return pad_kernel<typename decltype(tag)::type>; }, out, x, p);
}

void pad_border_backward(const Pad& p, const Tensor& gx, const Tensor& g) {
  run<Pad>("pad", [](auto tag) { return pad_backward_kernel<typename decltype(tag)::type>; }, gx, g, p);
}

}  // namespace norch::kernels::cuda
