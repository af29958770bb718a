// What the convolution kernels (conv.cpp) stand on: vectors of the widest kind, products held in registers, scratch
// memory, and zero-padded planes.
#pragma once

#include <algorithm>
#include <vector>

#include "core/factory.h"
#include "kernels/conv.h"
#include "kernels/cpu/parallel.h"

namespace norch::kernels::cpu::NORCH_ISA {

namespace {

#if defined(__AVX512F__)
constexpr int kVectorBytes = 64, kRows = 8, kVectors = 3;  // rows * vectors accumulators fill the registers
#elif defined(__AVX2__)
constexpr int kVectorBytes = 32, kRows = 4, kVectors = 3;
#else
constexpr int kVectorBytes = 16, kRows = 4, kVectors = 3;
#endif

template <class C>
struct Vector {
  typedef C type __attribute__((vector_size(kVectorBytes), aligned(alignof(C)), may_alias));
};
template <class C>
using Vec = typename Vector<C>::type;
template <class C>
constexpr int kLanes = kVectorBytes / static_cast<int>(sizeof(C));

/// So many products are summed in one go: the error of a long sum grows with its length, that of a sum of sums hardly.
constexpr int64_t kRun = 256;

/// sums[row][position] = sum over p < k of w[p][row] * x[offsets[p] + position].
template <class C, int Rows, int Vectors>
void sum_block(int64_t k, const C* w, const C* x, const int64_t* offsets, C* sums) {
  using V = Vec<C>;
  constexpr int kN = kLanes<C>;
  std::fill_n(sums, Rows * Vectors * kN, C(0));
  for (int64_t p = 0; p < k;) {
    V acc[Rows][Vectors];
    for (int i = 0; i < Rows; ++i)
      for (int j = 0; j < Vectors; ++j) acc[i][j] = V{};
    for (const int64_t end = std::min(k, p + kRun); p < end; ++p, w += Rows) {
      const C* q = x + offsets[p];
      V v[Vectors];
      for (int j = 0; j < Vectors; ++j) v[j] = *reinterpret_cast<const V*>(q + j * kN);
      for (int i = 0; i < Rows; ++i)
        for (int j = 0; j < Vectors; ++j) acc[i][j] += v[j] * w[i];
    }
    for (int i = 0; i < Rows; ++i)
      for (int j = 0; j < Vectors; ++j) *reinterpret_cast<V*>(sums + (i * Vectors + j) * kN) += acc[i][j];
  }
}

/// Scratch memory of elements of C.
template <class C>
struct Scratch {
  explicit Scratch(int64_t n) : tensor(new_tensor({n}, dtype_of<C>, kCPU)), data(static_cast<C*>(tensor.data_ptr())) {}
  Tensor tensor;
  C* data;
};

int64_t round_up(int64_t v, int64_t to) { return (v + to - 1) / to * to; }
int64_t floor_div(int64_t a, int64_t b) { return a >= 0 ? a / b : -((-a + b - 1) / b); }

/// The geometry of the planes made of one (channels, in) sample: position i of residue r along a dim is the source's
/// i * stride + r - pad.
struct Planes {
  int64_t channels, in[3], stride[3], pad[3], size[3];
  int64_t residues[3];        // how many of each dim are made (the first ones)
  int64_t plane, channel;     // distances: between residues, between channels
  int64_t sample() const { return channel * channels; }

  void finish(int64_t slack) {
    plane = size[0] * size[1] * size[2];
    channel = round_up(plane * residues[0] * residues[1] * residues[2] + slack, 16);
  }
};

/// Copies one channel into its planes.
template <class T, class C>
void fill_planes(const Planes& g, const T* src, C* dst) {
  C* const end = dst + g.channel;
  for (int64_t r0 = 0; r0 < g.residues[0]; ++r0)
    for (int64_t r1 = 0; r1 < g.residues[1]; ++r1)
      for (int64_t r2 = 0; r2 < g.residues[2]; ++r2)
        for (int64_t i0 = 0; i0 < g.size[0]; ++i0)
          for (int64_t i1 = 0; i1 < g.size[1]; ++i1, dst += g.size[2]) {
            const int64_t s0 = i0 * g.stride[0] + r0 - g.pad[0], s1 = i1 * g.stride[1] + r1 - g.pad[1];
            if (s0 < 0 || s0 >= g.in[0] || s1 < 0 || s1 >= g.in[1]) {
              std::fill(dst, dst + g.size[2], C(0));
              continue;
            }
            // Columns [first, last) have a source.
            const int64_t shift = r2 - g.pad[2], step = g.stride[2];
            const int64_t first = std::min(g.size[2], std::max<int64_t>(0, -floor_div(shift, step)));
            const int64_t last = std::max(first, std::min(g.size[2], floor_div(g.in[2] - 1 - shift, step) + 1));
            const T* row = src + (s0 * g.in[1] + s1) * g.in[2] + shift;
            std::fill(dst, dst + first, C(0));
            if (step == 1)
              for (int64_t i = first; i < last; ++i) dst[i] = static_cast<C>(row[i]);
            else
              for (int64_t i = first; i < last; ++i) dst[i] = static_cast<C>(row[i * step]);
            std::fill(dst + last, dst + g.size[2], C(0));
          }
  std::fill(dst, end, C(0));
}

template <class T, class C>
void fill_samples(const Planes& g, const T* src, C* dst, int64_t samples) {
  const int64_t source = g.in[0] * g.in[1] * g.in[2];
  parallel_for(samples * g.channels, 1 + 32768 / (g.channel + 1), [&](int64_t begin, int64_t end) {
    for (int64_t i = begin; i < end; ++i) fill_planes(g, src + i * source, dst + i * g.channel);
  });
}

/// Samples whose planes are made at a time: as many as keep the scratch memory in the cache, at least one.
inline int64_t samples_at_once(int64_t n, int64_t sample_bytes) {
  return std::max<int64_t>(1, std::min(n, (int64_t{8} << 20) / std::max<int64_t>(1, sample_bytes)));
}

/// Slack behind a channel's planes, so that vectors at the end of the last row stay inside.
template <class C>
constexpr int64_t kSlack = (kVectors + 1) * kLanes<C>;

/// Planes of the input of `conv` for its forward taps.
template <class C>
Planes input_planes(const Conv& conv) {
  Planes g;
  g.channels = conv.c_in;
  for (int d = 0; d < 3; ++d) {
    const int64_t reach = (conv.kernel[d] - 1) * conv.dilation[d];
    g.in[d] = conv.in[d];
    g.stride[d] = conv.stride[d];
    g.pad[d] = conv.pad[d];
    g.size[d] = conv.out[d] + reach / conv.stride[d];
    g.residues[d] = std::min(conv.stride[d], reach + 1);
  }
  g.finish(kSlack<C>);
  return g;
}

/// Where each tap of `conv` reads in the planes of a channel.
std::vector<int64_t> tap_offsets(const Conv& conv, const Planes& g) {
  std::vector<int64_t> offsets;
  for (int64_t a = 0; a < conv.kernel[0]; ++a)
    for (int64_t b = 0; b < conv.kernel[1]; ++b)
      for (int64_t c = 0; c < conv.kernel[2]; ++c) {
        const int64_t t0 = a * conv.dilation[0], t1 = b * conv.dilation[1], t2 = c * conv.dilation[2];
        const int64_t residue = (t0 % g.stride[0] * g.residues[1] + t1 % g.stride[1]) * g.residues[2] + t2 % g.stride[2];
        offsets.push_back(residue * g.plane +
                          (t0 / g.stride[0] * g.size[1] + t1 / g.stride[1]) * g.size[2] + t2 / g.stride[2]);
      }
  return offsets;
}

}  // namespace
}  // namespace norch::kernels::cpu::NORCH_ISA
