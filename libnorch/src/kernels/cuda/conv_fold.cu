#include "kernels/cuda/conv_fold.h"

#include <algorithm>

#include "core/channels_last.h"
#include "kernels/cuda/launch.cuh"

namespace norch::kernels::cuda {

namespace {

constexpr int64_t kChannels = 8;  // 16 bytes: what kernels of the tensor cores read at once

int64_t round_up(int64_t n, int64_t to) { return (n + to - 1) / to * to; }

/// A tensor (rows, channels, size...) and the folded one it corresponds to: element (n, c, i) of the plain tensor is
/// (n, (j, c), b) of the folded one wherever i = b * step + j - pad with 0 <= j < block.
struct FoldMap {
  int32_t channels, size[3];
  int32_t block[3], step[3], pad[3];
  int64_t row_stride, channel_stride, stride[3];  // of the plain tensor
  // The dims of the tensor that is written, the innermost first but for channels, which are in units of a thread's elements.
  FastDivider channel_units, extent[3];
  FastDivider by_channels, by_block[3];      // of a channel of the folded one
  FastDivider by_step[3];
  int32_t folded_channels, folded_size[3];
  int64_t folded_row_stride, folded_channel_stride, folded_stride[3];
  bool channels_last;
};

void dense_strides(int64_t channels, const int32_t (&size)[3], bool channels_last, int64_t& row, int64_t& channel,
                   int64_t (&stride)[3]) {
  int64_t at = channels_last ? channels : 1;
  for (int d = 2; d >= 0; --d) {
    stride[d] = at;
    at *= size[d];
  }
  channel = channels_last ? 1 : at;
  row = channels_last ? at : at * channels;
}

FoldMap fold_map(int64_t channels, const int64_t (&size)[3], const int64_t (&block)[3], const int64_t (&step)[3],
                 const int64_t (&pad)[3], int64_t folded_channels, const int64_t (&folded_size)[3], bool channels_last) {
  FoldMap m;
  m.channels = static_cast<int32_t>(channels);
  m.folded_channels = static_cast<int32_t>(folded_channels);
  m.by_channels = FastDivider(static_cast<uint32_t>(channels));
  for (int d = 0; d < 3; ++d) {
    m.size[d] = static_cast<int32_t>(size[d]);
    m.block[d] = static_cast<int32_t>(block[d]);
    m.step[d] = static_cast<int32_t>(step[d]);
    m.pad[d] = static_cast<int32_t>(pad[d]);
    m.folded_size[d] = static_cast<int32_t>(folded_size[d]);
    m.by_block[d] = FastDivider(static_cast<uint32_t>(block[d]));
    m.by_step[d] = FastDivider(static_cast<uint32_t>(step[d]));
  }
  m.channels_last = channels_last;
  dense_strides(channels, m.size, channels_last, m.row_stride, m.channel_stride, m.stride);
  dense_strides(folded_channels, m.folded_size, channels_last, m.folded_row_stride, m.folded_channel_stride,
                m.folded_stride);
  return m;
}

/// Where in the tensor to be written a thread's unit lies: a row, a unit of channels, and a position.
struct Place {
  uint32_t row, channel, at[3];
};
__device__ __forceinline__ Place place_of(const FoldMap& m, uint32_t unit) {
  Place p;
  if (m.channels_last) {
    p.channel = unit;
    unit = m.channel_units.divide_in_place(p.channel);
  }
#pragma unroll
  for (int d = 2; d >= 0; --d) {
    p.at[d] = unit;
    unit = m.extent[d].divide_in_place(p.at[d]);
  }
  if (!m.channels_last) {
    p.channel = unit;
    unit = m.channel_units.divide_in_place(p.channel);
  }
  p.row = unit;
  return p;
}

/// Writes the folded tensor, N of its channels per thread. Channels-last, they are neighbours: one access.
template <int N>
__global__ void __launch_bounds__(256) fold_kernel(uint16_t* folded, const uint16_t* plain, FoldMap m, uint32_t units) {
  const uint32_t unit = blockIdx.x * 256 + threadIdx.x;
  if (unit >= units) return;
  const Place place = place_of(m, unit);
  // The channel (j0, j1, j2, c), and the element's place in the plain tensor.
  uint32_t c = place.channel * N, rest = m.by_channels.divide_in_place(c), j[3];
#pragma unroll
  for (int d = 2; d >= 0; --d) {
    j[d] = rest;
    rest = m.by_block[d].divide_in_place(j[d]);
  }
  bool behind = rest > 0;  // beyond the last channel: what makes it a round number
  int32_t from[3];
#pragma unroll
  for (int d = 0; d < 3; ++d) from[d] = static_cast<int32_t>(place.at[d]) * m.step[d] - m.pad[d];
  struct alignas(N * 2) {
    uint16_t v[N];
  } out;
  bool inside = false;
  const uint16_t* source = nullptr;
  const auto find = [&] {
    inside = !behind;
    int64_t offset = place.row * m.row_stride;
#pragma unroll
    for (int d = 0; d < 3; ++d) {
      const int32_t i = from[d] + static_cast<int32_t>(j[d]);
      inside = inside && i >= 0 && i < m.size[d];
      offset += i * m.stride[d];
    }
    source = plain + offset;
  };
  find();
#pragma unroll
  for (int k = 0; k < N; ++k) {
    out.v[k] = inside ? source[c * m.channel_stride] : uint16_t{0};
    if (k + 1 == N || ++c < static_cast<uint32_t>(m.channels)) continue;
    c = 0;
    if (++j[2] == static_cast<uint32_t>(m.block[2])) {
      j[2] = 0;
      if (++j[1] == static_cast<uint32_t>(m.block[1])) {
        j[1] = 0;
        if (++j[0] == static_cast<uint32_t>(m.block[0])) behind = true;
      }
    }
    find();
  }
  int64_t offset = place.row * m.folded_row_stride + int64_t{place.channel} * N * m.folded_channel_stride;
#pragma unroll
  for (int d = 0; d < 3; ++d) offset += place.at[d] * m.folded_stride[d];
  *reinterpret_cast<decltype(out)*>(folded + offset) = out;
}

/// Writes the plain tensor: each element from its place in the folded one, zero for one that has none.
__global__ void __launch_bounds__(256) unfold_kernel(uint16_t* plain, const uint16_t* folded, FoldMap m, uint32_t units) {
  const uint32_t unit = blockIdx.x * 256 + threadIdx.x;
  if (unit >= units) return;
  const Place place = place_of(m, unit);
  int64_t from = place.row * m.folded_row_stride, to = place.row * m.row_stride + place.channel * m.channel_stride;
  uint32_t channel = 0;
  bool used = true;
#pragma unroll
  for (int d = 0; d < 3; ++d) {
    uint32_t j = place.at[d] + static_cast<uint32_t>(m.pad[d]);
    const uint32_t b = m.by_step[d].divide_in_place(j);
    used = used && j < static_cast<uint32_t>(m.block[d]) && b < static_cast<uint32_t>(m.folded_size[d]);
    channel = channel * static_cast<uint32_t>(m.block[d]) + j;
    from += b * m.folded_stride[d];
    to += place.at[d] * m.stride[d];
  }
  from += (int64_t{channel} * m.channels + place.channel) * m.folded_channel_stride;
  plain[to] = used ? folded[from] : uint16_t{0};
}

void set_written(FoldMap& m, int64_t channel_units, const int32_t (&size)[3]) {
  m.channel_units = FastDivider(static_cast<uint32_t>(channel_units));
  for (int d = 0; d < 3; ++d) m.extent[d] = FastDivider(static_cast<uint32_t>(size[d]));
}

void run_fold(FoldMap m, const Tensor& folded, const Tensor& plain) {
  auto* to = static_cast<uint16_t*>(folded.data_ptr());
  const auto* from = static_cast<const uint16_t*>(plain.data_ptr());
  const int64_t per_thread = m.channels_last ? kChannels : 1, units = folded.numel() / per_thread;
  set_written(m, m.folded_channels / per_thread, m.folded_size);
  launch(m.channels_last ? fold_kernel<kChannels> : fold_kernel<1>, blocks_for(units, 256), 256, 0, to, from, m, units);
}
void run_unfold(FoldMap m, const Tensor& plain, const Tensor& folded) {
  set_written(m, m.channels, m.size);
  launch(unfold_kernel, blocks_for(plain.numel(), 256), 256, 0, static_cast<uint16_t*>(plain.data_ptr()),
         static_cast<const uint16_t*>(folded.data_ptr()), m, plain.numel());
}

FoldMap input_map(const Conv& plain, const Folded& f) {
  return fold_map(plain.c_in, plain.in, f.block, plain.stride, plain.pad, f.conv.c_in, f.conv.in, plain.channels_last);
}
FoldMap weight_map(const Conv& plain, const Folded& f) {
  constexpr int64_t kNone[3] = {0, 0, 0};
  return fold_map(plain.c_in, plain.kernel, f.block, f.block, kNone, f.conv.c_in, f.conv.kernel, plain.channels_last);
}

Tensor new_like(const Folded& f, int64_t rows, const int64_t (&size)[3], const Tensor& like) {
  return new_in(f.conv.channels_last ? MemoryFormat::channels_last_3d : MemoryFormat::contiguous,
                {rows, f.conv.c_in, size[0], size[1], size[2]}, like.dtype(), like.device());
}

/// An estimate of a convolution's time, as a number of bytes that could be moved instead: the arithmetic of one tap is over
/// a multiple of 32 channels, and of about 100 operations a byte.
double arithmetic(const Conv& c) {
  return 2.0 / 100 * static_cast<double>(c.n * c.out_size() * c.taps()) * static_cast<double>(c.c_out) *
         static_cast<double>(round_up(c.c_in, 32));
}

}  // namespace

Tensor Folded::new_input(const Tensor& like) const { return new_like(*this, conv.n, conv.in, like); }
Tensor Folded::new_weight(const Tensor& like) const { return new_like(*this, conv.c_out, conv.kernel, like); }

Tensor Folded::input(const Conv& original, const Tensor& x) const {
  const Tensor out = new_input(x);
  run_fold(input_map(original, *this), out, x);
  return out;
}
Tensor Folded::weight(const Conv& original, const Tensor& w) const {
  const Tensor out = new_weight(w);
  run_fold(weight_map(original, *this), out, w);
  return out;
}
void Folded::unfold_input(const Conv& original, const Tensor& gx, const Tensor& folded) const {
  run_unfold(input_map(original, *this), gx, folded);
}
void Folded::unfold_weight(const Conv& original, const Tensor& gw, const Tensor& folded) const {
  run_unfold(weight_map(original, *this), gw, folded);
}

std::optional<Folded> fold(const Conv& conv, DType dtype, bool overlapping) {
  constexpr int64_t kMostElements = int64_t{1} << 31;
  constexpr int64_t kMostChannels = 4096;
  constexpr double kExtra = 40e6;  // what the additional kernels cost, in bytes
  if (itemsize(dtype) != 2 || conv.groups != 1 || conv.c_in >= 32 || conv.taps() == 1) return {};
  for (int d = 0; d < 3; ++d) {
    if (conv.dilation[d] != 1 && conv.kernel[d] != 1) return {};
    const double reach = static_cast<double>(conv.out[d]) * static_cast<double>(conv.stride[d]);
    if (reach + static_cast<double>(conv.pad[d] + conv.kernel[d]) >= kMostElements) return {};
  }
  // A row-major tensor is turned by whoever computes: twice the bytes again.
  const double moves = conv.channels_last ? 1 : 3;
  const auto bytes = [&](const Conv& c) { return 2.0 * static_cast<double>(c.n * c.in_size() * c.c_in); };
  Conv rounded = conv;
  rounded.c_in = round_up(conv.c_in, kChannels);
  double best = 0.75 * (arithmetic(conv) + bytes(conv) + 2 * moves * bytes(rounded));
  std::optional<Folded> found;
  for (int choice = 0; choice < 8; ++choice) {
    Folded f;
    f.conv = conv;
    int64_t channels = conv.c_in;
    bool useful = false, possible = true;
    for (int d = 0; d < 3 && possible; ++d) {
      const bool all = choice >> (2 - d) & 1;  // first along the innermost dim: longer runs of memory
      possible = !all || (overlapping && conv.kernel[d] > conv.stride[d]);
      f.block[d] = all ? conv.kernel[d] : std::min(conv.stride[d], conv.kernel[d]);
      f.conv.kernel[d] = (conv.kernel[d] + f.block[d] - 1) / f.block[d];
      f.conv.in[d] = conv.out[d] + f.conv.kernel[d] - 1;
      f.conv.stride[d] = f.conv.dilation[d] = 1;
      f.conv.pad[d] = 0;
      useful = useful || f.block[d] > 1;
      channels *= f.block[d];
      possible = possible && channels <= kMostChannels;
    }
    if (!useful || !possible) continue;
    f.conv.c_in = round_up(channels, kChannels);
    const double elements = static_cast<double>(f.conv.c_in) * static_cast<double>(f.conv.in_size());
    if (elements * static_cast<double>(conv.n) >= kMostElements ||
        elements * static_cast<double>(conv.c_out) >= kMostElements ||
        conv.in_size() * conv.n * conv.c_in >= kMostElements)
      continue;
    const double cost = arithmetic(f.conv) + bytes(conv) + 2 * moves * bytes(f.conv) + kExtra;
    if (cost < best) {
      best = cost;
      found = f;
    }
  }
  return found;
}

}  // namespace norch::kernels::cuda
