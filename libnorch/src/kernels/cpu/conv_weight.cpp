// The gradient of a convolution by its weight: sums of products of two planes (see conv.cpp), the output's gradient laid
// out in rows of the input planes' pitch, with zeros in between. Each sum is made by one thread in one order.
//
// This file is compiled with -ffp-contract=fast: products and sums fuse where the machine can.
#include <vector>

#include "kernels/conv.h"
#include "kernels/conv_row_major.h"
#include "kernels/cpu/conv_columns.h"
#include "kernels/cpu/conv_last.h"
#include "kernels/cpu/conv_planes.h"
#include "kernels/cpu/parallel.h"
#include "kernels/dispatch.h"

namespace norch::kernels::cpu::NORCH_ISA {

namespace {

/// Rows of the output's gradient and planes of the input of several samples.
template <class C>
struct Pair {
  const C *g, *x;
  int64_t g_sample, x_sample, g_channel;
  int64_t samples, length;  // a whole number of vectors
};

/// sums[row][tap] += the sum over samples and positions of g[row][q] * x[offsets[tap] + q].
template <class C, int Rows, int Taps>
void dot_block(const Pair<C>& pair, const int64_t* offsets, C* sums, int64_t stride) {
  using V = Vec<C>;
  constexpr int kN = kLanes<C>;
  V acc[Rows][Taps];
  for (int i = 0; i < Rows; ++i)
    for (int j = 0; j < Taps; ++j) acc[i][j] = V{};
  for (int64_t m = 0; m < pair.samples; ++m) {
    const C* g = pair.g + m * pair.g_sample;
    const C* p[Taps];
    for (int j = 0; j < Taps; ++j) p[j] = pair.x + m * pair.x_sample + offsets[j];
    for (int64_t q = 0; q < pair.length; q += kN) {
      V v[Taps];
      for (int j = 0; j < Taps; ++j) v[j] = *reinterpret_cast<const V*>(p[j] + q);
      for (int i = 0; i < Rows; ++i) {
        const V u = *reinterpret_cast<const V*>(g + i * pair.g_channel + q);
        for (int j = 0; j < Taps; ++j) acc[i][j] += u * v[j];
      }
    }
  }
  for (int i = 0; i < Rows; ++i)
    for (int j = 0; j < Taps; ++j) {
      C s = 0;
      for (int l = 0; l < kN; ++l) s += acc[i][j][l];
      sums[i * stride + j] += s;
    }
}

template <class C, int Rows>
void dot_taps(const Pair<C>& pair, const std::vector<int64_t>& offsets, C* sums, int64_t stride) {
  const int64_t taps = static_cast<int64_t>(offsets.size());
  const int64_t* p = offsets.data();
  int64_t j = 0;
  for (; j + 3 <= taps; j += 3) dot_block<C, Rows, 3>(pair, p + j, sums + j, stride);
  if (taps - j == 2) dot_block<C, Rows, 2>(pair, p + j, sums + j, stride);
  if (taps - j == 1) dot_block<C, Rows, 1>(pair, p + j, sums + j, stride);
}

template <class T, class C>
void backward_weight(const Conv& conv, const Tensor& gw, const Tensor& grad, const Tensor& x) {
  const Planes g = input_planes<C>(conv);
  // The gradient in rows of the same pitch, zero in between.
  Planes h;
  h.channels = conv.c_out;
  for (int d = 0; d < 3; ++d) {
    h.in[d] = conv.out[d];
    h.stride[d] = h.residues[d] = 1;
    h.pad[d] = 0;
    h.size[d] = d == 0 ? conv.out[d] : g.size[d];
  }
  h.finish(kSlack<C>);
  const int64_t c_group = conv.c_in / conv.groups, o_group = conv.c_out / conv.groups, taps = conv.taps();
  const std::vector<int64_t> offsets = tap_offsets(conv, g);
  const int64_t length = round_up(((conv.out[0] - 1) * g.size[1] + conv.out[1] - 1) * g.size[2] + conv.out[2],
                                  kLanes<C>);
  const int64_t rows = o_group < kRows ? 1 : kRows, blocks = (o_group + rows - 1) / rows;
  const int64_t at_once = samples_at_once(conv.n, (g.sample() + h.sample()) * static_cast<int64_t>(sizeof(C)));
  Scratch<C> planes(at_once * g.sample()), grads(at_once * h.sample()), sums(conv.c_out * c_group * taps);
  std::fill(sums.data, sums.data + conv.c_out * c_group * taps, C(0));
  for (int64_t n = 0; n < conv.n; n += at_once) {
    const int64_t samples = std::min(at_once, conv.n - n);
    fill_samples(g, static_cast<const T*>(x.data_ptr()) + n * conv.c_in * conv.in_size(), planes.data, samples);
    fill_samples(h, static_cast<const T*>(grad.data_ptr()) + n * conv.c_out * conv.out_size(), grads.data, samples);
    const int64_t work = samples * rows * taps * length;
    parallel_for(conv.groups * blocks * c_group, 1 + (1 << 18) / (work + 1), [&](int64_t begin, int64_t end) {
      for (int64_t i = begin; i < end; ++i) {
        const int64_t group = i / (blocks * c_group), block = i / c_group % blocks, c = i % c_group;
        const int64_t first = block * rows, count = std::min(rows, o_group - first);
        C* s = sums.data + ((group * o_group + first) * c_group + c) * taps;
        Pair<C> pair{grads.data + (group * o_group + first) * h.channel, planes.data + (group * c_group + c) * g.channel,
                     h.sample(), g.sample(), h.channel, samples, length};
        if (count == kRows) {
          dot_taps<C, kRows>(pair, offsets, s, c_group * taps);
          continue;
        }
        for (int64_t r = 0; r < count; ++r, pair.g += h.channel)
          dot_taps<C, 1>(pair, offsets, s + r * c_group * taps, c_group * taps);
      }
    });
  }
  T* out = static_cast<T*>(gw.data_ptr());
  for (int64_t i = 0; i < gw.numel(); ++i) out[i] = static_cast<T>(sums.data[i]);
}

}  // namespace

void conv_backward_weight(const Conv& conv, const Tensor& gw, const Tensor& g, const Tensor& x) {
  if (conv.channels_last) {
    if (takes_last(conv, gw.dtype())) return last_backward_weight(conv, gw, g, x);
    return in_row_major(conv, gw, g, x, conv_backward_weight);
  }
  if (takes_columns(conv, gw.dtype())) return columns_backward_weight(conv, gw, g, x);
  visit_float("conv", gw.dtype(), [&](auto tag) {
    using T = typename decltype(tag)::type;
    backward_weight<T, ComputeType<T>>(conv, gw, g, x);
  });
}

}  // namespace norch::kernels::cpu::NORCH_ISA
