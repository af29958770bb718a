// Convolution and its gradients as products of matrices whose operands are computed from positions as they are read
// (implicit GEMM): tiles of 64 x 64 results, 4 x 4 per thread, summed in one order over k.
#pragma once

#include "kernels/conv.h"
#include "kernels/cuda/launch.cuh"
#include "kernels/dispatch.h"

namespace norch::kernels::cuda {

/// A Conv in the index type of the kernels: 32 bits where every tensor is small enough.
template <class I>
struct ConvGeometry {
  I n, groups, c_in, c_out;  // channels of one group
  I in[3], out[3], kernel[3], stride[3], pad[3], dilation[3];
  I in_size, out_size, taps;

  explicit ConvGeometry(const Conv& c)
      : n(static_cast<I>(c.n)), groups(static_cast<I>(c.groups)), c_in(static_cast<I>(c.c_in / c.groups)),
        c_out(static_cast<I>(c.c_out / c.groups)), in_size(static_cast<I>(c.in_size())),
        out_size(static_cast<I>(c.out_size())), taps(static_cast<I>(c.taps())) {
    for (int d = 0; d < 3; ++d) {
      in[d] = static_cast<I>(c.in[d]);
      out[d] = static_cast<I>(c.out[d]);
      kernel[d] = static_cast<I>(c.kernel[d]);
      stride[d] = static_cast<I>(c.stride[d]);
      pad[d] = static_cast<I>(c.pad[d]);
      dilation[d] = static_cast<I>(c.dilation[d]);
    }
  }

  /// The input's index that output position p reads through tap t; -1 in the padding.
  __device__ I input_at(I p, I t) const {
    I at = 0;
    const I p2 = p % out[2], p1 = p / out[2] % out[1], p0 = p / (out[2] * out[1]);
    const I t2 = t % kernel[2], t1 = t / kernel[2] % kernel[1], t0 = t / (kernel[2] * kernel[1]);
    const I position[3] = {p0, p1, p2}, tap[3] = {t0, t1, t2};
#pragma unroll
    for (int d = 0; d < 3; ++d) {
      const I i = position[d] * stride[d] + tap[d] * dilation[d] - pad[d];
      if (i < 0 || i >= in[d]) return -1;
      at = at * in[d] + i;
    }
    return at;
  }
  /// The output position that reads input position i through tap t; -1 if none does.
  __device__ I output_at(I i, I t) const {
    I at = 0;
    const I i2 = i % in[2], i1 = i / in[2] % in[1], i0 = i / (in[2] * in[1]);
    const I t2 = t % kernel[2], t1 = t / kernel[2] % kernel[1], t0 = t / (kernel[2] * kernel[1]);
    const I position[3] = {i0, i1, i2}, tap[3] = {t0, t1, t2};
#pragma unroll
    for (int d = 0; d < 3; ++d) {
      const I reach = position[d] + pad[d] - tap[d] * dilation[d];
      if (reach < 0 || reach % stride[d] != 0) return -1;
      const I p = reach / stride[d];
      if (p >= out[d]) return -1;
      at = at * out[d] + p;
    }
    return at;
  }
};

/// Whether 32-bit indices do for a convolution.
inline bool fits_32_bits(const Conv& c) {
  constexpr int64_t kMost = int64_t{1} << 30;
  bool fits = c.n * c.c_in * c.in_size() < kMost && c.n * c.c_out * c.out_size() < kMost &&
              c.c_out * (c.c_in / c.groups) * c.taps() < kMost;
  for (int d = 0; d < 3; ++d)
    fits &= c.pad[d] < kMost && c.stride[d] < kMost && c.out[d] * c.stride[d] + c.kernel[d] * c.dilation[d] + c.pad[d] < kMost;
  return fits;
}

/// result(i, j) = sum over p in [begin, end) of F::left(i, p) * F::right(p, j) for i < m, j < n; group blockIdx.z.
template <class F, class S, class I>
__global__ void __launch_bounds__(256) conv_tiles(F f, I m, I n, I k, I k_part, I tiles_down) {
  __shared__ S left[16][68], right[16][68];
  const I i0 = static_cast<I>(blockIdx.x) % tiles_down * 64, j0 = static_cast<I>(blockIdx.x) / tiles_down * 64;
  const I group = static_cast<I>(blockIdx.z), part = static_cast<I>(blockIdx.y);
  const I begin = part * k_part, end = begin + k_part < k ? begin + k_part : k;
  const int x = threadIdx.x % 16, y = threadIdx.x / 16, lane = threadIdx.x % 64, row = threadIdx.x / 64;
  S sums[4][4];
#pragma unroll
  for (int a = 0; a < 4; ++a)
#pragma unroll
    for (int b = 0; b < 4; ++b) sums[a][b] = 0;
  for (I p = begin; p < end; p += 16) {
#pragma unroll
    for (int r = 0; r < 4; ++r) {
      // Neighbouring threads read what lies together: k for the left operand, positions for the right one.
      const I q = p + x, i = i0 + y + 16 * r;
      left[x][y + 16 * r] = q < end && i < m ? f.left(group, i, q) : S(0);
      const I u = p + row + 4 * r, j = j0 + lane;
      right[row + 4 * r][lane] = u < end && j < n ? f.right(group, u, j) : S(0);
    }
    __syncthreads();
#pragma unroll
    for (int q = 0; q < 16; ++q) {
      S u[4], v[4];
#pragma unroll
      for (int a = 0; a < 4; ++a) u[a] = left[q][y + 16 * a], v[a] = right[q][x + 16 * a];
#pragma unroll
      for (int a = 0; a < 4; ++a)
#pragma unroll
        for (int b = 0; b < 4; ++b) sums[a][b] += u[a] * v[b];
    }
    __syncthreads();
  }
#pragma unroll
  for (int a = 0; a < 4; ++a)
#pragma unroll
    for (int b = 0; b < 4; ++b) {
      const I i = i0 + y + 16 * a, j = j0 + x + 16 * b;
      if (i < m && j < n) f.store(group, part, i, j, sums[a][b]);
    }
}

template <class S, class I, class F>
void run_tiles(const F& f, int64_t groups, int64_t m, int64_t n, int64_t k, int64_t parts, int64_t k_part) {
  const int64_t down = (m + 63) / 64, across = (n + 63) / 64;
  NORCH_CHECK(groups <= 65535 && parts <= 65535, "conv: ", groups, " groups are more than this kernel can take");
  launch(conv_tiles<F, S, I>,
         dim3(blocks_for(down * across, 1), static_cast<unsigned>(parts), static_cast<unsigned>(groups)), 256, 0, f,
         static_cast<I>(m), static_cast<I>(n), static_cast<I>(k), static_cast<I>(k_part), static_cast<I>(down));
}

/// out = the sum over the parts of (part, n), in order.
template <class T, class S>
__global__ void __launch_bounds__(256) add_parts(T* out, const S* sums, int64_t n, int64_t parts) {
  const int64_t i = static_cast<int64_t>(blockIdx.x) * 256 + threadIdx.x;
  if (i >= n) return;
  S sum = sums[i];
  for (int64_t part = 1; part < parts; ++part) sum += sums[part * n + i];
  out[i] = static_cast<T>(sum);
}

}  // namespace norch::kernels::cuda
