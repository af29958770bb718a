#include "kernels/cuda/conv_product.h"

#include <algorithm>
#include <atomic>
#include <numeric>
#include <optional>

#include "core/factory.h"
#include "kernels/copy.h"
#include "kernels/cuda/conv_product.cuh"
#include "kernels/cuda/conv_tiles.cuh"

namespace norch::kernels::cuda {

namespace {

/// Whether this build has the kernels for the current device: the functions of one made for older GPUs are empty.
bool has_kernels() {
  static std::atomic<int> known[norch::cuda::kMaxDevices];  // 0: not yet; 1: no; 2: yes
  std::atomic<int>& answer = known[norch::cuda::current_device()];
  if (answer == 0) {
    cudaFuncAttributes found;
    check(cudaFuncGetAttributes(&found, reinterpret_cast<const void*>(weight_product_kernel<Half, 64>)),
          "cudaFuncGetAttributes");
    answer = found.ptxVersion >= 80 ? 2 : 1;
  }
  return answer == 2;
}

/// The convolution as the kernels do it: channels-last, and without groups with channels rounded up to multiples of 8.
/// Nothing for one that they do not take.
std::optional<Conv> taken(const Conv& conv, const Tensor& t) {
  Conv c = conv;
  c.channels_last = 1;
  if (c.groups == 1) {
    c.c_in = (c.c_in + 7) / 8 * 8;
    c.c_out = (c.c_out + 7) / 8 * 8;
  }
  if (t.itemsize() != 2 || c.in[0] != 1 || c.kernel[0] != 1 || c.out[0] != 1 || c.pad[0] != 0) return {};
  if (c.c_in / c.groups % 8 != 0 || c.c_out / c.groups % 8 != 0 || c.groups > 65535 || !fits_32_bits(c)) return {};
  if (!has_kernels()) return {};
  return c;
}

/// An operand or a result (first, second, height, width) of a convolution as the kernels take it: itself, or a tensor
/// (first, height, width, second) of rounded sizes that it is copied to or from.
class Side {
 public:
  Side(const Tensor& t, bool channels_last, Ints sizes, int64_t first, int64_t second) : t_(t), whole_(t) {
    const int64_t h = sizes[2], w = sizes[3];
    if (channels_last && first == sizes[0] && second == sizes[1] && reinterpret_cast<uintptr_t>(t.data_ptr()) % 16 == 0)
      return;
    whole_ = new_tensor({first, h, w, second}, t.dtype(), t.device());
    rounded_ = first != sizes[0] || second != sizes[1];
    part_ = new_view(whole_, sizes, {h * w * second, 1, w * second, second}, 0);
    const int64_t row = sizes[1];
    t_ = channels_last ? new_view(t, sizes, {h * w * row, 1, w * row, row}, 0)
                       : new_view(t, sizes, {row * h * w, h * w, w, 1}, 0);
  }
  /// An operand: brings it over.
  const Side& read() const {
    if (!part_.defined()) return *this;
    if (rounded_) kernels::fill(whole_.device(), make_plan({whole_}, {}), Scalar(0));
    kernels::copy(whole_.device(), make_plan({part_}, {t_}));
    return *this;
  }
  /// A result: takes it back.
  void write() const {
    if (part_.defined()) kernels::copy(whole_.device(), make_plan({t_}, {part_}));
  }
  const Tensor& tensor() const { return whole_; }

 private:
  Tensor t_, whole_, part_;
  bool rounded_ = false;
};

Side input_side(const Conv& conv, const Conv& c, const Tensor& t) {
  return Side(t, conv.channels_last, {conv.n, conv.c_in, conv.in[1], conv.in[2]}, conv.n, c.c_in);
}
Side output_side(const Conv& conv, const Conv& c, const Tensor& t) {
  return Side(t, conv.channels_last, {conv.n, conv.c_out, conv.out[1], conv.out[2]}, conv.n, c.c_out);
}
Side weight_side(const Conv& conv, const Conv& c, const Tensor& t) {
  return Side(t, conv.channels_last, {conv.c_out, conv.c_in / conv.groups, conv.kernel[1], conv.kernel[2]}, c.c_out,
              c.c_in / c.groups);
}

int narrow(int64_t n) { return static_cast<int>(n); }  // fits_32_bits
FastDivider divider(int64_t n) { return FastDivider(static_cast<uint32_t>(std::max<int64_t>(n, 1))); }

/// How output positions read the input.
Gather input_gather(const Conv& c) {
  Gather g;
  g.width = divider(c.out[2]);
  g.height = divider(c.out[1]);
  g.channels = divider(c.c_in / c.groups);
  g.across = divider(c.kernel[2]);
  for (int d = 0; d < 2; ++d) {
    g.size[d] = narrow(c.in[d + 1]);
    g.stride[d] = narrow(c.stride[d + 1]);
    g.from[d] = -narrow(c.pad[d + 1]);
    g.step[d] = narrow(c.dilation[d + 1]);
    g.taps[d] = narrow(c.kernel[d + 1]);
  }
  g.all_channels = narrow(c.c_in);
  return g;
}

template <class T, int N, bool across>
void launch_positions(const PositionProduct& p, int64_t groups) {
  const int64_t tiles = (p.rows + int64_t{kProductRows} - 1) / kProductRows * ((p.columns + N - 1) / N);
  launch(position_product_kernel<T, N, across>, dim3(blocks_for(tiles, 1), static_cast<unsigned>(groups)),
         kProductThreads, PositionTiles<N>::kShared, p);
}

template <bool across>
void run_positions(const PositionProduct& p, int64_t groups, DType dtype) {
  const bool wide = p.columns > 64;
  if (dtype == DType::BFloat16)
    (wide ? launch_positions<BFloat16, 128, across> : launch_positions<BFloat16, 64, across>)(p, groups);
  else
    (wide ? launch_positions<Half, 128, across> : launch_positions<Half, 64, across>)(p, groups);
}

int steps_for(int64_t sum) { return narrow((sum + kProductStep - 1) / kProductStep); }

/// The taps of one dim that reach the input positions `first`, `first` + stride, ...: tap `from`, and every `step`th.
struct Taps {
  int64_t from = 0, step = 1, count = 0;

  Taps(const Conv& c, int d, int64_t first) : step(c.stride[d] / std::gcd(c.stride[d], c.dilation[d])) {
    const int64_t most = std::min(step, c.kernel[d]);
    while (from < most && (first + c.pad[d] - from * c.dilation[d]) % c.stride[d] != 0) ++from;
    if (from < most) count = (c.kernel[d] - from + step - 1) / step;
  }
};

}  // namespace

bool conv_forward_product(const Conv& conv, const Tensor& out, const Tensor& x, const Tensor& w, const Tensor& bias) {
  const std::optional<Conv> rounded = taken(conv, out);
  if (!rounded) return false;
  const Conv& c = *rounded;
  const Side from = input_side(conv, c, x).read(), weights = weight_side(conv, c, w).read(),
             to = output_side(conv, c, out);
  const int64_t channels = c.c_in / c.groups, sum = c.taps() * channels;
  PositionProduct p;
  p.gather = input_gather(c);
  p.source = from.tensor().data_ptr();
  p.weight = weights.tensor().data_ptr();
  p.bias = bias.defined() ? bias.data_ptr() : nullptr;
  p.biases = narrow(conv.c_out / conv.groups);
  p.out = to.tensor().data_ptr();
  p.rows = static_cast<uint32_t>(c.n * c.out_size());
  p.columns = narrow(c.c_out / c.groups);
  p.steps = steps_for(sum);
  p.out_channels = narrow(c.c_out);
  p.weight_from = 0;
  p.weight_group = narrow(p.columns * sum);
  p.weight_stride = narrow(sum);
  p.weight_tap[0] = narrow(c.kernel[2] * channels);
  p.weight_tap[1] = narrow(channels);
  for (int d = 0; d < 2; ++d) {
    p.out_size[d] = narrow(c.out[d + 1]);
    p.out_from[d] = 0;
    p.out_stride[d] = 1;
  }
  run_positions<false>(p, c.groups, out.dtype());
  to.write();
  return true;
}

bool conv_backward_input_product(const Conv& conv, const Tensor& gx, const Tensor& g, const Tensor& w) {
  const std::optional<Conv> rounded = taken(conv, gx);
  if (!rounded) return false;
  const Conv& c = *rounded;
  const Side from = output_side(conv, c, g).read(), weights = weight_side(conv, c, w).read(),
             to = input_side(conv, c, gx);
  const int64_t columns = c.c_in / c.groups, channels = c.c_out / c.groups, sum = c.taps() * columns;
  // Positions of one remainder by the stride are reached by the same taps, and no others.
  for (int64_t y = 0; y < std::min(c.stride[1], c.in[1]); ++y) {
    for (int64_t x = 0; x < std::min(c.stride[2], c.in[2]); ++x) {
      const int64_t first[2] = {y, x};
      const Taps taps[2] = {Taps(c, 1, y), Taps(c, 2, x)};
      PositionProduct p;
      int64_t grid[2];
      for (int d = 0; d < 2; ++d) {
        const int64_t stride = c.stride[d + 1], dilation = c.dilation[d + 1];
        grid[d] = (c.in[d + 1] - first[d] + stride - 1) / stride;
        p.gather.size[d] = narrow(c.out[d + 1]);
        p.gather.stride[d] = 1;
        p.gather.from[d] = taps[d].count ? narrow((first[d] + c.pad[d + 1] - taps[d].from * dilation) / stride) : 0;
        p.gather.step[d] = -narrow(taps[d].step * dilation / stride);
        p.gather.taps[d] = narrow(taps[d].count);
        p.out_size[d] = narrow(c.in[d + 1]);
        p.out_from[d] = narrow(first[d]);
        p.out_stride[d] = narrow(stride);
      }
      p.gather.height = divider(grid[0]);
      p.gather.width = divider(grid[1]);
      p.gather.channels = divider(channels);
      p.gather.across = divider(taps[1].count);
      p.gather.all_channels = narrow(c.c_out);
      p.source = from.tensor().data_ptr();
      p.weight = weights.tensor().data_ptr();
      p.bias = nullptr;
      p.biases = 0;
      p.out = to.tensor().data_ptr();
      p.rows = static_cast<uint32_t>(c.n * grid[0] * grid[1]);
      p.columns = narrow(columns);
      p.steps = steps_for(taps[0].count * taps[1].count * channels);
      p.out_channels = narrow(c.c_in);
      p.weight_from = narrow((taps[0].from * c.kernel[2] + taps[1].from) * columns);
      p.weight_tap[0] = narrow(taps[0].step * c.kernel[2] * columns);
      p.weight_tap[1] = narrow(taps[1].step * columns);
      p.weight_group = narrow(channels * sum);
      p.weight_stride = narrow(sum);
      run_positions<true>(p, c.groups, gx.dtype());
    }
  }
  to.write();
  return true;
}

bool conv_backward_weight_product(const Conv& conv, const Tensor& gw, const Tensor& g, const Tensor& x) {
  const std::optional<Conv> rounded = taken(conv, gw);
  if (!rounded) return false;
  const Conv& c = *rounded;
  const Side grad = output_side(conv, c, g).read(), from = input_side(conv, c, x).read(), to = weight_side(conv, c, gw);
  WeightProduct p;
  p.gather = input_gather(c);
  p.grad = grad.tensor().data_ptr();
  p.source = from.tensor().data_ptr();
  p.positions = static_cast<uint32_t>(c.n * c.out_size());
  p.rows = narrow(c.c_out / c.groups);
  p.columns = narrow(c.taps() * (c.c_in / c.groups));
  p.grad_channels = narrow(c.c_out);
  const int64_t width = p.columns > 64 ? 128 : 64;
  const int64_t tiles = (p.rows + int64_t{kProductRows} - 1) / kProductRows * ((p.columns + width - 1) / width);
  // Enough blocks to fill a GPU, of parts that depend on the shapes alone.
  const int64_t wanted = std::max<int64_t>(1, 512 / (tiles * c.groups));
  const int64_t part = std::max<int64_t>(1024, (p.positions + wanted - 1) / wanted);
  p.part = static_cast<uint32_t>((part + kProductStep - 1) / kProductStep * kProductStep);
  const int64_t parts = (p.positions + int64_t{p.part} - 1) / p.part;
  const Tensor& result = to.tensor();
  const Tensor sums = new_tensor({parts, result.numel()}, DType::Float32, gw.device());
  p.sums = sums.data<float>();
  visit_float("conv", gw.dtype(), [&](auto tag) {
    using T = typename decltype(tag)::type;
    if constexpr (sizeof(T) == 2) {
      const auto run = [&](auto kernel, size_t shared) {
        launch(kernel, dim3(blocks_for(tiles, 1), static_cast<unsigned>(c.groups), static_cast<unsigned>(parts)),
               kProductThreads, shared, p);
      };
      if (width == 128)
        run(weight_product_kernel<T, 128>, WeightTiles<128>::kShared);
      else
        run(weight_product_kernel<T, 64>, WeightTiles<64>::kShared);
      launch(add_parts<T, float>, blocks_for(result.numel(), 256), 256, 0, result.data<T>(), sums.data<float>(),
             result.numel(), parts);
    }
  });
  to.write();
  return true;
}

}  // namespace norch::kernels::cuda
