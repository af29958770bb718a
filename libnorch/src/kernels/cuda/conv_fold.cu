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
  int32_t channels, size[3], folded_channels, folded_size[3];
  int32_t block[3], step[3], pad[3];
  int64_t row_stride, channel_stride, stride[3];
  int64_t folded_row_stride, folded_channel_stride, folded_stride[3];
  FastDivider by_channels, by_size[3], by_step[3];
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
    m.by_size[d] = FastDivider(static_cast<uint32_t>(size[d]));
    m.by_step[d] = FastDivider(static_cast<uint32_t>(step[d]));
  }
  m.channels_last = channels_last;
  dense_strides(channels, m.size, channels_last, m.row_stride, m.channel_stride, m.stride);
  dense_strides(folded_channels, m.folded_size, channels_last, m.folded_row_stride, m.folded_channel_stride,
                m.folded_stride);
  return m;
}

constexpr int kFoldThreads = 256, kFoldShared = 24 << 10;
constexpr uint16_t kNoElement = 0xFFFF;

/// How fold_kernel cuts the innermost dim.
struct FoldTiles {
  int32_t tile, tiles;   // positions of one block, and blocks
  int32_t rows;          // of elements that a block reads: one for each j of the outer dims, and channel if row-major
  FastDivider by_units;  // of 8 channels at one position
};

/// Writes the folded tensor, all channels at some positions along the innermost dim per block: the elements that these
/// are made of are read to shared memory, (row, place), and picked there by a table of where each channel's lie.
template <bool channels_last>
__global__ void __launch_bounds__(kFoldThreads) fold_kernel(uint16_t* folded, const uint16_t* plain, FoldMap m,
                                                            FoldTiles t) {
  extern __shared__ uint4 fold_shared[];
  auto* const table = reinterpret_cast<uint16_t*>(fold_shared);
  uint16_t* const elements = table + m.folded_channels;
  const int thread = threadIdx.x, lane = thread % 32, warp = thread / 32;
  int at = blockIdx.x;
  const int first = at % t.tiles * t.tile, count = min(t.tile, m.folded_size[2] - first);
  at /= t.tiles;
  const int b1 = at % m.folded_size[1], b0 = at / m.folded_size[1] % m.folded_size[0];
  const int64_t n = at / m.folded_size[1] / m.folded_size[0];
  const int width = channels_last ? m.channels : 1;  // elements at one place of a row
  const int length = ((count - 1) * m.step[2] + m.block[2]) * width;

  for (int k = thread; k < m.folded_channels; k += kFoldThreads) {
    const int j = k / m.channels, c = k % m.channels, j2 = j % m.block[2], j01 = j / m.block[2];
    const int outer = m.block[0] * m.block[1];
    const int place = channels_last ? j01 * length + j2 * width + c : (c * outer + j01) * length + j2;
    table[k] = j01 < outer ? static_cast<uint16_t>(place) : kNoElement;
  }
  const int begin = (first * m.step[2] - m.pad[2]) * width, end = m.size[2] * width;
  for (int row = warp; row < t.rows; row += kFoldThreads / 32) {
    int j = row;
    int64_t from = n * m.row_stride;
    if (!channels_last) {
      const int c = row / (m.block[0] * m.block[1]);
      j -= c * m.block[0] * m.block[1];
      from += c * m.channel_stride;
    }
    const int i0 = b0 * m.step[0] + j / m.block[1] - m.pad[0], i1 = b1 * m.step[1] + j % m.block[1] - m.pad[1];
    const bool inside = i0 >= 0 && i0 < m.size[0] && i1 >= 0 && i1 < m.size[1];
    from += i0 * m.stride[0] + i1 * m.stride[1];
#pragma unroll 4
    for (int i = lane; i < length; i += 32) {
      const int k = begin + i;
      elements[row * length + i] = inside && k >= 0 && k < end ? plain[from + k] : uint16_t{0};
    }
  }
  __syncthreads();

  folded += n * m.folded_row_stride + b0 * m.folded_stride[0] + b1 * m.folded_stride[1] + first * m.folded_stride[2];
  const int step = m.step[2] * width;
  if constexpr (channels_last) {
    struct alignas(16) Unit {
      uint16_t v[kChannels];
    };
    const int units = m.folded_channels / kChannels;
    for (int i = thread; i < count * units; i += kFoldThreads) {
      const int position = static_cast<int>(t.by_units.divide(static_cast<uint32_t>(i)));
      const Unit places = reinterpret_cast<const Unit*>(table)[i - position * units];
      Unit out;
#pragma unroll
      for (int k = 0; k < kChannels; ++k)
        out.v[k] = places.v[k] != kNoElement ? elements[places.v[k] + position * step] : uint16_t{0};
      reinterpret_cast<Unit*>(folded)[i] = out;
    }
  } else {
    for (int k = warp; k < m.folded_channels; k += kFoldThreads / 32) {
      const int place = table[k];
      for (int position = lane; position < count; position += 32)
        folded[k * m.folded_channel_stride + position] =
            place != kNoElement ? elements[place + position * step] : uint16_t{0};
    }
  }
}

/// Writes the plain tensor: each element from its place in the folded one, zero for one that has none.
__global__ void __launch_bounds__(256) unfold_kernel(uint16_t* plain, const uint16_t* folded, FoldMap m,
                                                     uint32_t total) {
  const uint32_t i = blockIdx.x * 256 + threadIdx.x;
  if (i >= total) return;
  uint32_t at[3], channel = i, rest = i;
  if (m.channels_last) rest = m.by_channels.divide_in_place(channel);
#pragma unroll
  for (int d = 2; d >= 0; --d) {
    at[d] = rest;
    rest = m.by_size[d].divide_in_place(at[d]);
  }
  if (!m.channels_last) {
    channel = rest;
    rest = m.by_channels.divide_in_place(channel);
  }
  int64_t from = rest * m.folded_row_stride;
  uint32_t block = 0;
  bool used = true;
#pragma unroll
  for (int d = 0; d < 3; ++d) {
    uint32_t j = at[d] + static_cast<uint32_t>(m.pad[d]);
    const uint32_t b = m.by_step[d].divide_in_place(j);
    used = used && j < static_cast<uint32_t>(m.block[d]) && b < static_cast<uint32_t>(m.folded_size[d]);
    block = block * static_cast<uint32_t>(m.block[d]) + j;
    from += b * m.folded_stride[d];
  }
  from += (int64_t{block} * m.channels + channel) * m.folded_channel_stride;
  plain[i] = used ? folded[from] : uint16_t{0};
}

void run_fold(const FoldMap& m, const Tensor& folded, const Tensor& plain) {
  FoldTiles t;
  t.rows = m.block[0] * m.block[1] * (m.channels_last ? 1 : m.channels);
  const auto shared = [&](int64_t tile) {
    const int64_t length = ((tile - 1) * m.step[2] + m.block[2]) * (m.channels_last ? m.channels : 1);
    return static_cast<int64_t>(sizeof(uint16_t)) * (m.folded_channels + t.rows * length);
  };
  t.tile = m.folded_size[2];
  while (t.tile > 1 && shared(t.tile) > kFoldShared) t.tile = (t.tile + 1) / 2;
  t.tiles = (m.folded_size[2] + t.tile - 1) / t.tile;
  t.by_units = FastDivider(static_cast<uint32_t>(m.folded_channels / kChannels));
  const int64_t positions = folded.numel() / m.folded_channels / m.folded_size[2];
  launch(m.channels_last ? fold_kernel<true> : fold_kernel<false>, blocks_for(positions * t.tiles, 1), kFoldThreads,
         static_cast<size_t>(shared(t.tile)), static_cast<uint16_t*>(folded.data_ptr()),
         static_cast<const uint16_t*>(plain.data_ptr()), m, t);
}
void run_unfold(const FoldMap& m, const Tensor& plain, const Tensor& folded) {
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

/// An estimate of a convolution's time, as a number of bytes that could be moved instead: one for 100 operations, and the
/// channels of one tap in multiples of 32.
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
  constexpr double kExtra = 80e6;  // what the additional kernels cost, in bytes
  if (itemsize(dtype) != 2 || conv.groups != 1 || conv.c_in >= 32 || conv.taps() == 1) return {};
  for (int d = 0; d < 3; ++d) {
    if (conv.dilation[d] != 1 && conv.kernel[d] != 1) return {};
    const double reach = static_cast<double>(conv.out[d]) * static_cast<double>(conv.stride[d]) +
                         static_cast<double>(conv.pad[d] + conv.kernel[d]);
    if (reach * static_cast<double>(conv.c_in) >= static_cast<double>(kMostElements)) return {};
  }
  // A row-major tensor is turned by whoever computes: twice the bytes again, in short runs.
  const double moves = conv.channels_last ? 1 : 5;
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
      const bool all = choice >> d & 1;
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
    f.conv.c_in = round_up(channels, channels < 32 ? kChannels : 32);
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
