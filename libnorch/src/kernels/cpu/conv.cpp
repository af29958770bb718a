// Convolution without im2col (but for small images: conv_columns.h).
//
// The input is copied once into zero-padded planes, one per channel and per residue of the stride, in which a tap of
// the kernel is a shift: for output position q, counted along the padded rows, tap t reads plane[q + offset(t)]. So a
// vector of adjacent positions is a plain load, whatever the stride, dilation or padding, and a block of output
// channels times a block of positions is held in registers over runs of channels and taps, whose sums are added.
// Positions in the padding between rows are computed and dropped.
//
// No transform of Winograd's: its results differ by rounding where a direct sum is exactly zero, and optimizers that
// divide by a gradient's size make whole steps of that.
//
// The gradient of the input is the same thing over planes of the output's gradient, once per residue of the stride. How a
// sum is split follows from its length, so results depend on shapes alone.
//
// This file is compiled with -ffp-contract=fast: products and sums fuse where the machine can.
#include "kernels/conv.h"

#include <algorithm>
#include <vector>

#include "kernels/conv_row_major.h"
#include "kernels/cpu/conv_columns.h"
#include "kernels/cpu/conv_last.h"
#include "kernels/cpu/conv_planes.h"
#include "kernels/cpu/parallel.h"
#include "kernels/dispatch.h"
#include "kernels/gemm.h"

namespace norch::kernels::cpu::NORCH_ISA {

namespace {

/// Where computed positions go: position q of the planes' grid is (q0, q1, q2), at out[q0 * step[0] + ...].
struct Target {
  int64_t pitch, rows;  // of the grid: columns in a row, rows in a slab
  int64_t size[3];      // positions beyond these are dropped
  int64_t step[3], offset;
  int64_t length() const { return ((size[0] - 1) * rows + size[1] - 1) * pitch + size[2]; }
};

template <class T, class C>
void store_row(const Target& t, T* out, const C* sums, int64_t q, int64_t n, C bias) {
  while (n > 0) {
    const int64_t row = q / t.pitch, col = q % t.pitch;
    const int64_t run = std::min(n, t.pitch - col), keep = std::min(run, t.size[2] - col);
    const int64_t q0 = row / t.rows, q1 = row % t.rows;
    if (q1 < t.size[1] && keep > 0) {
      T* p = out + t.offset + q0 * t.step[0] + q1 * t.step[1] + col * t.step[2];
      if (t.step[2] == 1)
        for (int64_t i = 0; i < keep; ++i) p[i] = static_cast<T>(sums[i] + bias);
      else
        for (int64_t i = 0; i < keep; ++i) p[i * t.step[2]] = static_cast<T>(sums[i] + bias);
    }
    q += run;
    sums += run;
    n -= run;
  }
}

/// Rows of output channels computed together: single ones in depthwise convolutions.
inline int64_t rows_for(int64_t channels) { return channels <= 2 ? 1 : kRows; }

/// Weights of a group as panels [channels / Rows][k][Rows]; get(channel, p) gives one.
template <class C, class Get>
void pack_panels(C* dst, int64_t channels, int64_t k, const Get& get) {
  const int64_t rows = rows_for(channels);
  parallel_for((channels + rows - 1) / rows, 1 + 16384 / (k * rows + 1), [&](int64_t begin, int64_t end) {
    for (int64_t panel = begin; panel < end; ++panel)
      for (int64_t p = 0; p < k; ++p)
        for (int64_t i = 0; i < rows; ++i) {
          const int64_t c = panel * rows + i;
          dst[(panel * k + p) * rows + i] = c < channels ? get(c, p) : C(0);
        }
  });
}

/// One set of taps over planes that have been filled, for several samples and all groups.
template <class T, class C>
struct Job {
  Target target;
  std::vector<int64_t> offsets;  // one per (channel of the group, tap)
  const C* weights;              // panels, group after group
  int64_t group_weights;
  int64_t groups, rows;  // output channels in a group
  int64_t in_sample, in_group, out_channel;
  const T* bias;

  void run(const C* planes, T* out, int64_t samples) const {
    // The work is cut into blocks of positions, sample after sample; each thread takes a run of them for one panel of
    // channels after the other, so that a panel's weights stay in its cache.
    const int64_t k = static_cast<int64_t>(offsets.size());
    const int64_t blocks = block_count();
    const int64_t block_work = kVectors * kLanes<C> * k * rows;
    const int64_t part = std::max<int64_t>(1, std::min<int64_t>(16, (1 << 20) / (block_work + 1)));
    const int64_t parts = (samples * blocks + part - 1) / part;
    parallel_for(groups * parts, std::max<int64_t>(1, (1 << 18) / (part * block_work + 1)),
                 [&](int64_t begin, int64_t end) {
                   for (int64_t i = begin; i < end; ++i) {
                     const int64_t first = i % parts * part, last = std::min(samples * blocks, first + part);
                     if (rows_for(rows) == 1)
                       run_blocks<1>(planes, out, i / parts, first, last, blocks);
                     else
                       run_blocks<kRows>(planes, out, i / parts, first, last, blocks);
                   }
                 });
  }

 private:
  int64_t vector_count() const { return (target.length() + kLanes<C> - 1) / kLanes<C>; }
  int64_t block_count() const { return (vector_count() + kVectors - 1) / kVectors; }

  /// All channels of a group over blocks [first, last) of positions.
  template <int Rows>
  void run_blocks(const C* planes, T* out, int64_t group, int64_t first, int64_t last, int64_t blocks) const {
    constexpr int64_t kN = kLanes<C>, kBlock = kVectors * kN;
    alignas(64) C sums[Rows * kBlock];
    const int64_t k = static_cast<int64_t>(offsets.size()), length = target.length(), total = vector_count();
    for (int64_t r = 0; r < rows; r += Rows) {
      const C* panel = weights + group * group_weights + r * k;
      for (int64_t b = first; b < last; ++b) {
        // The vectors of a sample are spread evenly over its blocks: one alone would not keep the processor busy.
        const int64_t sample = b / blocks, from = total * (b % blocks) / blocks, to = total * (b % blocks + 1) / blocks;
        const int64_t q = from * kN, n = std::min(length - q, (to - from) * kN);
        const C* x = planes + sample * in_sample + group * in_group + q;
        const int64_t vectors = to - from;
        if (vectors == 3)
          sum_block<C, Rows, 3>(k, panel, x, offsets.data(), sums);
        else if (vectors == 2)
          sum_block<C, Rows, 2>(k, panel, x, offsets.data(), sums);
        else
          sum_block<C, Rows, 1>(k, panel, x, offsets.data(), sums);
        for (int64_t i = 0; i < std::min<int64_t>(Rows, rows - r); ++i) {
          const int64_t channel = group * rows + r + i;
          store_row(target, out + (sample * groups * rows + channel) * out_channel, sums + i * vectors * kN, q, n,
                    bias ? static_cast<C>(bias[channel]) : C(0));
        }
      }
    }
  }
};

/// A convolution whose kernel is one point: a product of matrices for each sample.
bool is_pointwise(const Conv& c) {
  for (int d = 0; d < 3; ++d)
    if (c.kernel[d] != 1 || c.stride[d] != 1 || c.pad[d] != 0) return false;
  return c.groups == 1 && c.in_size() == c.out_size();
}

template <class T, class C>
void forward(const Conv& conv, const Tensor& out, const Tensor& x, const Tensor& w, const Tensor& bias) {
  const Planes g = input_planes<C>(conv);
  const int64_t c_group = conv.c_in / conv.groups, rows = conv.c_out / conv.groups, taps = conv.taps();
  const int64_t k = c_group * taps, group_weights = round_up(rows, rows_for(rows)) * k;
  Scratch<C> weights(group_weights * conv.groups);
  const T* src = static_cast<const T*>(w.data_ptr());
  for (int64_t i = 0; i < conv.groups; ++i)
    pack_panels(weights.data + i * group_weights, rows, k,
                [&](int64_t o, int64_t p) { return static_cast<C>(src[(i * rows + o) * k + p]); });
  Job<T, C> job;
  job.target = {g.size[2],  g.size[1], {conv.out[0], conv.out[1], conv.out[2]}, {conv.out[1] * conv.out[2], conv.out[2], 1},
                0};
  const std::vector<int64_t> offsets = tap_offsets(conv, g);
  for (int64_t c = 0; c < c_group; ++c)
    for (int64_t offset : offsets) job.offsets.push_back(c * g.channel + offset);
  job.weights = weights.data;
  job.group_weights = group_weights;
  job.groups = conv.groups;
  job.rows = rows;
  job.in_sample = g.sample();
  job.in_group = c_group * g.channel;
  job.out_channel = conv.out_size();
  job.bias = bias.defined() ? static_cast<const T*>(bias.data_ptr()) : nullptr;
  const int64_t at_once = samples_at_once(conv.n, g.sample() * static_cast<int64_t>(sizeof(C)));
  Scratch<C> planes(at_once * g.sample());
  for (int64_t n = 0; n < conv.n; n += at_once) {
    const int64_t samples = std::min(at_once, conv.n - n);
    fill_samples(g, static_cast<const T*>(x.data_ptr()) + n * conv.c_in * conv.in_size(), planes.data, samples);
    job.run(planes.data, static_cast<T*>(out.data_ptr()) + n * conv.c_out * conv.out_size(), samples);
  }
}

/// The input positions along one dim that belong to residue r of the stride: i with i + pad = stride * t + r for t in
/// [first, first + count).
struct Residue {
  int64_t r, first, count;
};

/// The residues that some tap uses; an input position of another one has gradient zero. Position t reads output
/// position t - a * dilation / stride through the taps a with a * dilation % stride == r.
std::vector<Residue> used_residues(const Conv& conv, int d) {
  const int64_t s = conv.stride[d];
  std::vector<Residue> used;
  for (int64_t a = 0; a < conv.kernel[d]; ++a) {
    const int64_t r = a * conv.dilation[d] % s;
    if (std::any_of(used.begin(), used.end(), [&](const Residue& u) { return u.r == r; })) continue;
    const int64_t first = -floor_div(r - conv.pad[d], s);
    const int64_t count = floor_div(conv.in[d] - 1 + conv.pad[d] - r, s) - first + 1;
    if (count > 0) used.push_back({r, first, count});
  }
  return used;
}

/// The taps that lead to input positions of one residue in each dim, and the gradient's planes behind them.
template <class T, class C>
struct InputGradient {
  const Conv& conv;
  const Planes& planes;
  const int64_t* lead;  // zeros before the gradient's first position
  const T* weight;
  C* panels;

  void run(const Residue* const* residue, const C* filled, T* out, int64_t samples) const {
    Job<T, C> job;
    job.target = {planes.size[2], planes.size[1], {}, {}, 0};
    int64_t distance = 1;
    for (int d = 2; d >= 0; --d) {
      const Residue& u = *residue[d];
      job.target.size[d] = u.count;
      job.target.step[d] = conv.stride[d] * distance;
      job.target.offset += (conv.stride[d] * u.first + u.r - conv.pad[d]) * distance;
      distance *= conv.in[d];
    }
    std::vector<int64_t> used, shift;
    for (int64_t i = 0; i < conv.taps(); ++i) {
      const int64_t tap[3] = {i / (conv.kernel[1] * conv.kernel[2]), i / conv.kernel[2] % conv.kernel[1],
                              i % conv.kernel[2]};
      bool fits = true;
      int64_t at = 0;
      for (int d = 0; d < 3; ++d) {
        const int64_t reach = tap[d] * conv.dilation[d];
        fits &= reach % conv.stride[d] == residue[d]->r;
        at = at * planes.size[d] + residue[d]->first + lead[d] - reach / conv.stride[d];
      }
      if (!fits) continue;
      used.push_back(i);
      shift.push_back(at);
    }
    const int64_t o_group = conv.c_out / conv.groups, rows = conv.c_in / conv.groups, taps = conv.taps();
    const int64_t m = static_cast<int64_t>(used.size()), k = o_group * m;
    for (int64_t o = 0; o < o_group; ++o)
      for (int64_t s : shift) job.offsets.push_back(o * planes.channel + s);
    job.weights = panels;
    job.group_weights = round_up(rows, rows_for(rows)) * k;
    for (int64_t i = 0; i < conv.groups; ++i)
      pack_panels(panels + i * job.group_weights, rows, k, [&](int64_t c, int64_t p) {
        return static_cast<C>(weight[((i * o_group + p / m) * rows + c) * taps + used[p % m]]);
      });
    job.groups = conv.groups;
    job.rows = rows;
    job.in_sample = planes.sample();
    job.in_group = o_group * planes.channel;
    job.out_channel = conv.in_size();
    job.bias = nullptr;
    job.run(filled, out, samples);
  }
};

template <class T, class C>
void backward_input(const Conv& conv, const Tensor& gx, const Tensor& grad, const Tensor& w) {
  T* out = static_cast<T*>(gx.data_ptr());
  std::vector<Residue> used[3];
  int64_t lead[3];
  bool covered = true, any = true;
  Planes g;
  g.channels = conv.c_out;
  for (int d = 0; d < 3; ++d) {
    used[d] = used_residues(conv, d);
    covered &= static_cast<int64_t>(used[d].size()) == std::min(conv.stride[d], conv.in[d]);
    any &= !used[d].empty();
    int64_t lowest = INT64_MAX, highest = 0;
    for (const Residue& u : used[d]) {
      lowest = std::min(lowest, u.first);
      highest = std::max(highest, u.first + u.count - 1);
    }
    lead[d] = (conv.kernel[d] - 1) * conv.dilation[d] / conv.stride[d] - lowest;
    g.in[d] = conv.out[d];
    g.stride[d] = g.residues[d] = 1;
    g.pad[d] = lead[d];
    g.size[d] = highest + lead[d] + 1;
  }
  if (!covered) std::fill(out, out + gx.numel(), T(0));
  if (!any) return;
  g.finish(kSlack<C>);

  const int64_t rows = conv.c_in / conv.groups;
  const int64_t at_once = samples_at_once(conv.n, g.sample() * static_cast<int64_t>(sizeof(C)));
  Scratch<C> planes(at_once * g.sample());
  Scratch<C> panels(round_up(rows, rows_for(rows)) * conv.c_out * conv.taps());
  const InputGradient<T, C> gradient{conv, g, lead, static_cast<const T*>(w.data_ptr()), panels.data};
  for (int64_t n = 0; n < conv.n; n += at_once) {
    const int64_t samples = std::min(at_once, conv.n - n);
    fill_samples(g, static_cast<const T*>(grad.data_ptr()) + n * conv.c_out * conv.out_size(), planes.data, samples);
    for (const Residue& a : used[0])
      for (const Residue& b : used[1])
        for (const Residue& c : used[2]) {
          const Residue* const residue[3] = {&a, &b, &c};
          gradient.run(residue, planes.data, out + n * conv.c_in * conv.in_size(), samples);
        }
  }
}

/// Pointwise: out = w x, or w^T x, for each sample, added to what is there if `add`.
void pointwise(const Conv& conv, const Tensor& out, const Tensor& x, const Tensor& w, bool transpose, bool add) {
  const int64_t positions = conv.out_size(), from = transpose ? conv.c_out : conv.c_in,
                to = transpose ? conv.c_in : conv.c_out;
  Gemm g;
  g.dtype = out.dtype();
  g.batch = conv.n;
  g.m = to;
  g.n = positions;
  g.k = from;
  g.a = transpose ? MatrixRef{w.data_ptr(), 1, conv.c_in, 0} : MatrixRef{w.data_ptr(), conv.c_in, 1, 0};
  g.b = {x.data_ptr(), positions, 1, from * positions};
  g.c = out.data_ptr();
  g.c_row = positions;
  g.c_batch = to * positions;
  g.beta = add ? 1 : 0;
  kernels::gemm(kCPU, g);
}

}  // namespace

void conv_forward(const Conv& conv, const Tensor& out, const Tensor& x, const Tensor& w, const Tensor& bias) {
  if (conv.channels_last) {
    if (takes_last(conv, out.dtype())) return last_forward(conv, out, x, w, bias);
    return in_row_major(conv, out, x, w, [&](const Conv& c, const Tensor& to, const Tensor& from, const Tensor& weight) {
      conv_forward(c, to, from, weight, bias);
    });
  }
  if (!is_pointwise(conv) && takes_columns(conv, out.dtype())) return columns_forward(conv, out, x, w, bias);
  visit_float("conv", out.dtype(), [&](auto tag) {
    using T = typename decltype(tag)::type;
    // A 16-bit result of `bias + product` would be rounded twice.
    if (!is_pointwise(conv) || (bias.defined() && sizeof(T) == 2))
      return forward<T, ComputeType<T>>(conv, out, x, w, bias);
    if (bias.defined()) {
      const int64_t p = conv.out_size();
      T* y = static_cast<T*>(out.data_ptr());
      const T* b = static_cast<const T*>(bias.data_ptr());
      for (int64_t i = 0; i < conv.n * conv.c_out; ++i) std::fill(y + i * p, y + (i + 1) * p, b[i % conv.c_out]);
    }
    pointwise(conv, out, x, w, false, bias.defined());
  });
}

void conv_backward_input(const Conv& conv, const Tensor& gx, const Tensor& g, const Tensor& w) {
  if (conv.channels_last) {
    if (takes_last(conv, gx.dtype())) return last_backward_input(conv, gx, g, w);
    return in_row_major(conv, gx, g, w, conv_backward_input);
  }
  if (!is_pointwise(conv) && takes_columns(conv, gx.dtype())) return columns_backward_input(conv, gx, g, w);
  visit_float("conv", gx.dtype(), [&](auto tag) {
    using T = typename decltype(tag)::type;
    if (is_pointwise(conv)) return pointwise(conv, gx, g, w, true, false);
    backward_input<T, ComputeType<T>>(conv, gx, g, w);
  });
}

}  // namespace norch::kernels::cpu::NORCH_ISA
