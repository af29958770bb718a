#include "norch/ops/pool.h"

#include <cmath>

#include "autograd/record.h"
#include "core/channels_last.h"
#include "core/factory.h"
#include "kernels/pool.h"
#include "norch/ops/activation.h"
#include "norch/ops/binary.h"
#include "norch/ops/fold.h"
#include "norch/ops/unary.h"
#include "norch/ops/view.h"

namespace norch {

using autograd::Backward;
using autograd::record;
using autograd::recording;
using kernels::Pool;

namespace {

/// The format of a pool's tensors of that many dims. (Unbatched ones are always row-major.)
MemoryFormat format_of(const Pool& p, Ints shape) {
  if (!p.channels_last) return MemoryFormat::contiguous;
  return shape.size() == 4 ? MemoryFormat::channels_last : MemoryFormat::channels_last_3d;
}
/// An operand as the kernels take it.
Tensor operand(const Pool& p, const Tensor& t) { return t.detach().contiguous(format_of(p, t.sizes())); }
/// A result of that shape, beside an operand.
Tensor result(const Pool& p, Ints shape, const Tensor& like) {
  return new_in(format_of(p, shape), shape, like.dtype(), like.device());
}

// Indices have no gradient and nobody writes to them here, so closures keep them as they are. scatter and gather are
// each other's gradient, and so are average and its backward.

Tensor gather(const Pool& p, Ints shape, const Tensor& x, const Tensor& indices);

Tensor scatter(const Pool& p, Ints shape, const Tensor& g, const Tensor& indices) {
  Tensor out = result(p, shape, g);
  if (out.numel() > 0) kernels::max_pool_scatter(out.device(), p, out, operand(p, g), indices);
  if (recording(g)) {
    record("MaxPoolScatterBackward0", {g}, {out}, [p, shape = Shape(g.sizes()), indices](Backward& ctx) {
      ctx.set(0, gather(p, shape, ctx.grad(), indices));
    });
  }
  return out;
}

Tensor gather(const Pool& p, Ints shape, const Tensor& x, const Tensor& indices) {
  Tensor out = result(p, shape, x);
  if (out.numel() > 0) kernels::max_pool_gather(out.device(), p, out, operand(p, x), indices);
  if (recording(x)) {
    record("MaxPoolGatherBackward0", {x}, {out}, [p, shape = Shape(x.sizes()), indices](Backward& ctx) {
      ctx.set(0, scatter(p, shape, ctx.grad(), indices));
    });
  }
  return out;
}

Tensor average_backward(const char* name, const Pool& p, Ints shape, const Tensor& g);

Tensor average(const char* name, const Pool& p, Ints shape, const Tensor& x) {
  Tensor out = result(p, shape, x);
  if (out.numel() > 0) kernels::avg_pool(out.device(), p, out, operand(p, x));
  if (recording(x)) {
    record(name, {x}, {out}, [name, p, shape = Shape(x.sizes())](Backward& ctx) {
      ctx.set(0, average_backward(name, p, shape, ctx.grad()));
    });
  }
  return out;
}

Tensor average_backward(const char* name, const Pool& p, Ints shape, const Tensor& g) {
  Tensor out = result(p, shape, g);
  if (out.numel() > 0) kernels::avg_pool_backward(out.device(), p, out, operand(p, g));
  if (recording(g)) {
    record("AvgPoolBackwardBackward0", {g}, {out}, [name, p, shape = Shape(g.sizes())](Backward& ctx) {
      ctx.set(0, average(name, p, shape, ctx.grad()));
    });
  }
  return out;
}

std::pair<Tensor, Tensor> largest(const char* name, const Pool& p, Ints shape, const Tensor& x, bool want_indices) {
  Tensor out = result(p, shape, x), indices;
  if (want_indices || recording(x))
    indices = new_in(format_of(p, shape), shape, fits_32_bits(p) ? DType::Int32 : DType::Int64, x.device());
  if (out.numel() > 0) kernels::max_pool(out.device(), p, out, indices, operand(p, x));
  if (recording(x)) {
    record(name, {x}, {out}, [p, shape = Shape(x.sizes()), indices](Backward& ctx) {
      ctx.set(0, scatter(p, shape, ctx.grad(), indices));
    });
  }
  return {out, want_indices ? indices.to(x.device(), DType::Int64, false, format_of(p, shape)) : Tensor()};
}

/// The numbers of `v` for the last `dims` of three dims.
void spread(const char* op, const char* what, Ints v, int dims, int64_t* to) {
  NORCH_CHECK(v.size() == 1 || v.size() == static_cast<size_t>(dims), op, ": ", what, " must either be a single int, ",
              "or a tuple of ", dims, dims == 1 ? " int" : " ints", ", got ", v);
  for (int d = 0; d < dims; ++d) to[3 - dims + d] = v[v.size() == 1 ? 0 : static_cast<size_t>(d)];
}

/// Checks the input; fills in its sizes and layout. Returns the shape of the output but for the spatial sizes. Only the batch may be
/// empty, or the channels too.
Shape start(const char* op, const Tensor& input, int dims, Pool& p, bool empty_channels = false) {
  const int64_t n = input.dim();
  NORCH_CHECK(n == dims + 1 || n == dims + 2, op, ": Expected ", dims + 1, "D or ", dims + 2, "D (batch mode) tensor ",
              "for input, but got a tensor of shape ", input.sizes());
  const size_t lead = static_cast<size_t>(n - dims);
  p.planes = numel_of(input.sizes().slice(0, lead), op);
  bool empty = !empty_channels && input.sizes()[lead - 1] == 0;
  for (int d = 0; d < dims; ++d) {
    p.in[3 - dims + d] = input.sizes()[lead + static_cast<size_t>(d)];
    empty |= p.in[3 - dims + d] == 0;
  }
  p.channels_last = n == dims + 2 && suggested_format(input) != MemoryFormat::contiguous;
  if (p.channels_last) p.channels = input.sizes()[1];
  NORCH_CHECK(!empty, op, ": Expected a tensor with non-zero sizes but for the batch, got shape ", input.sizes());
  return Shape(input.sizes().slice(0, lead));
}

/// Geometry of windows with a fixed size. Returns the output's shape.
Shape windows(const char* op, const Tensor& input, int dims, Ints kernel, Ints stride, Ints padding, Ints dilation,
              bool ceil_mode, Pool& p) {
  Shape shape = start(op, input, dims, p);
  spread(op, "kernel_size", kernel, dims, p.kernel);
  spread(op, "stride", stride.empty() ? kernel : stride, dims, p.stride);
  spread(op, "padding", padding, dims, p.pad);
  spread(op, "dilation", dilation, dims, p.dilation);
  for (int d = 3 - dims; d < 3; ++d) {
    constexpr int64_t kMost = int64_t{1} << 31;
    const int64_t k = p.kernel[d], s = p.stride[d], pad = p.pad[d], spacing = p.dilation[d];
    NORCH_CHECK(k > 0 && k < kMost, op, ": kernel size should be greater than zero, but got ", kernel);
    NORCH_CHECK(s > 0 && s < kMost, op, ": stride should be greater than zero, but got ", s);
    NORCH_CHECK(spacing > 0 && spacing < kMost, op, ": dilation should be greater than zero, but got ", dilation);
    NORCH_CHECK(pad >= 0, op, ": pad must be non-negative, but got pad=", pad);
    NORCH_CHECK(pad <= ((k - 1) * spacing + 1) / 2, op, ": pad should be at most half of effective kernel size, but got ",
                "pad=", pad, ", kernel_size=", k, " and dilation=", spacing);
    const int64_t room = p.in[d] + 2 * pad - spacing * (k - 1) - 1;
    p.out[d] = room < 0 && !(ceil_mode && room + s - 1 >= 0) ? 0 : (room + (ceil_mode ? s - 1 : 0)) / s + 1;
    if (ceil_mode && (p.out[d] - 1) * s >= p.in[d] + pad) --p.out[d];
    NORCH_CHECK(p.out[d] > 0, op, ": Given input size: ", input.sizes(), ". Calculated output size: ", p.out[d],
                " in dim ", d - 3, ". Output size is too small");
    shape.push_back(p.out[d]);
  }
  return shape;
}

Shape adaptive_windows(const char* op, const Tensor& input, int dims, Ints output_size, Pool& p) {
  Shape shape = start(op, input, dims, p, true);
  p.adaptive = true;
  spread(op, "output_size", output_size, dims, p.out);
  for (int d = 3 - dims; d < 3; ++d) {
    if (p.out[d] == -1) p.out[d] = p.in[d];
    NORCH_CHECK(p.out[d] >= 0 && p.out[d] < (int64_t{1} << 31), op, ": elements of output_size must be greater than or ",
                "equal to 0, but got ", output_size);
    p.kernel[d] = p.out[d] > 0 ? (p.in[d] + p.out[d] - 1) / p.out[d] : 1;  // about the size, to judge the work by
    shape.push_back(p.out[d]);
  }
  return shape;
}

std::pair<Tensor, Tensor> max_pool(const char* op, const char* node, int dims, const Tensor& input, Ints kernel,
                                   Ints stride, Ints padding, Ints dilation, bool ceil_mode, bool want_indices) {
  NORCH_CHECK_IMPLEMENTED(input.dtype() != DType::Bool, op, ": not implemented for bool");
  Pool p;
  const Shape shape = windows(op, input, dims, kernel, stride, padding, dilation, ceil_mode, p);
  return largest(node, p, shape, input, want_indices);
}

void check_float(const char* op, const Tensor& input) {
  NORCH_CHECK_IMPLEMENTED(input.is_floating_point(), op, ": not implemented for ", input.dtype(),
                          "; convert to a floating-point dtype");
}

Tensor avg_pool(const char* op, const char* node, int dims, const Tensor& input, Ints kernel, Ints stride, Ints padding,
                bool ceil_mode, bool count_include_pad, std::optional<int64_t> divisor) {
  if (input.dtype() != DType::Int64) check_float(op, input);
  NORCH_CHECK(!divisor || *divisor != 0, op, ": divisor must be not zero");
  Pool p;
  const Shape shape = windows(op, input, dims, kernel, stride, padding, {1}, ceil_mode, p);
  p.count_include_pad = count_include_pad;
  p.divisor = divisor.value_or(0);
  return average(node, p, shape, input);
}

Tensor adaptive_avg_pool(const char* op, const char* node, int dims, const Tensor& input, Ints output_size) {
  check_float(op, input);
  Pool p;
  const Shape shape = adaptive_windows(op, input, dims, output_size, p);
  return average(node, p, shape, input);
}

std::pair<Tensor, Tensor> adaptive_max_pool(const char* op, const char* node, int dims, const Tensor& input,
                                            Ints output_size) {
  check_float(op, input);
  Pool p;
  const Shape shape = adaptive_windows(op, input, dims, output_size, p);
  return largest(node, p, shape, input, true);
}

Tensor lp_pool(const char* op, int dims, const Tensor& input, double norm_type, Ints kernel, Ints stride,
               bool ceil_mode) {
  const auto extreme = [&](const Tensor& x) {
    return max_pool(op, "MaxPoolBackward0", dims, x, kernel, stride, {0}, {1}, ceil_mode, false).first;
  };
  if (norm_type == INFINITY) return extreme(abs(input));
  if (norm_type == -INFINITY) return neg(extreme(neg(abs(input))));
  const Tensor means = avg_pool(op, "AvgPoolBackward0", dims, pow(input, Tensor::wrap(norm_type)), kernel, stride, {0},
                                ceil_mode, true, {});
  int64_t taps = 1;
  for (int d = 0; d < dims; ++d) taps *= kernel[kernel.size() == 1 ? 0 : static_cast<size_t>(d)];
  // sign(m) relu(|m|) is m with a gradient of 0 at 0, where that of the root is infinite.
  return pow(mul(sign(means), relu(abs(means))) * Scalar(taps), Tensor::wrap(1 / norm_type));
}

/// Whether a batch of sequences (N, C, L) has its channels adjacent in memory. Its pool is then that of images
/// (N, C, 1, L), whose result lies so too, as in PyTorch: programs turn it back and take views of it. (In PyTorch the
/// largest elements lie row-major where no gradient is recorded, and so they do here.)
bool as_images(const Tensor& input) {
  return input.dim() == 3 && !input.is_contiguous() && suggested_format(unsqueeze(input, -2)) != MemoryFormat::contiguous;
}
/// The argument of a pool of images that is `value` along the sequence.
Shape beside(int64_t other, Ints value) {
  if (value.size() != 1) return Shape(value);
  return {other, value[0]};
}

}  // namespace

#define NORCH_POOL(dims)                                                                                               \
  Tensor max_pool##dims##d(const Tensor& input, Ints kernel_size, Ints stride, Ints padding, Ints dilation,            \
                           bool ceil_mode) {                                                                           \
    if (dims == 1 && recording(input) && kernel_size.size() == 1 && as_images(input))                                  \
      return squeeze(max_pool2d(unsqueeze(input, -2), beside(1, kernel_size), beside(1, stride), beside(0, padding),   \
                                beside(1, dilation), ceil_mode),                                                       \
                     -2);                                                                                              \
    return max_pool("max_pool" #dims "d", "MaxPool" #dims "DWithIndicesBackward0", dims, input, kernel_size, stride,   \
                    padding, dilation, ceil_mode, false)                                                               \
        .first;                                                                                                        \
  }                                                                                                                    \
  std::pair<Tensor, Tensor> max_pool##dims##d_with_indices(const Tensor& input, Ints kernel_size, Ints stride,         \
                                                           Ints padding, Ints dilation, bool ceil_mode) {              \
    return max_pool("max_pool" #dims "d", "MaxPool" #dims "DWithIndicesBackward0", dims, input, kernel_size, stride,   \
                    padding, dilation, ceil_mode, true);                                                               \
  }                                                                                                                    \
  Tensor adaptive_avg_pool##dims##d(const Tensor& input, Ints output_size) {                                           \
    if (dims == 1 && output_size.size() == 1 && as_images(input))                                                      \
      return squeeze(adaptive_avg_pool2d(unsqueeze(input, -2), beside(1, output_size)), -2);                           \
    return adaptive_avg_pool("adaptive_avg_pool" #dims "d", "AdaptiveAvgPool" #dims "DBackward0", dims, input,         \
                             output_size);                                                                             \
  }                                                                                                                    \
  std::pair<Tensor, Tensor> adaptive_max_pool##dims##d_with_indices(const Tensor& input, Ints output_size) {           \
    if (dims == 1 && output_size.size() == 1 && as_images(input)) {                                                    \
      const auto [out, indices] = adaptive_max_pool2d_with_indices(unsqueeze(input, -2), beside(1, output_size));      \
      return {squeeze(out, -2), squeeze(indices, -2)};                                                                 \
    }                                                                                                                  \
    return adaptive_max_pool("adaptive_max_pool" #dims "d", "AdaptiveMaxPool" #dims "DBackward0", dims, input,         \
                             output_size);                                                                             \
  }
NORCH_POOL(1)
NORCH_POOL(2)
NORCH_POOL(3)
#undef NORCH_POOL

Tensor avg_pool1d(const Tensor& input, Ints kernel_size, Ints stride, Ints padding, bool ceil_mode,
                  bool count_include_pad) {
  if (kernel_size.size() == 1 && as_images(input))
    return squeeze(avg_pool2d(unsqueeze(input, -2), beside(1, kernel_size), beside(1, stride), beside(0, padding), ceil_mode,
                              count_include_pad, {}),
                   -2);
  return avg_pool("avg_pool1d", "AvgPool1DBackward0", 1, input, kernel_size, stride, padding, ceil_mode,
                  count_include_pad, {});
}
Tensor avg_pool2d(const Tensor& input, Ints kernel_size, Ints stride, Ints padding, bool ceil_mode,
                  bool count_include_pad, std::optional<int64_t> divisor_override) {
  return avg_pool("avg_pool2d", "AvgPool2DBackward0", 2, input, kernel_size, stride, padding, ceil_mode,
                  count_include_pad, divisor_override);
}
Tensor avg_pool3d(const Tensor& input, Ints kernel_size, Ints stride, Ints padding, bool ceil_mode,
                  bool count_include_pad, std::optional<int64_t> divisor_override) {
  return avg_pool("avg_pool3d", "AvgPool3DBackward0", 3, input, kernel_size, stride, padding, ceil_mode,
                  count_include_pad, divisor_override);
}

#define NORCH_LP_POOL(dims)                                                                                            \
  Tensor lp_pool##dims##d(const Tensor& input, double norm_type, Ints kernel_size, Ints stride, bool ceil_mode) {      \
    return lp_pool("lp_pool" #dims "d", dims, input, norm_type, kernel_size, stride, ceil_mode);                       \
  }
NORCH_LP_POOL(1)
NORCH_LP_POOL(2)
NORCH_LP_POOL(3)
#undef NORCH_LP_POOL

Tensor local_response_norm(const Tensor& input, int64_t size, double alpha, double beta, double k) {
  NORCH_CHECK_VALUE(input.dim() >= 3, "local_response_norm: Expected 3D or higher dimensionality input (got ",
                    input.dim(), " dimensions)");
  NORCH_CHECK(size > 0, "local_response_norm: size must be greater than zero, got ", size);
  if (input.numel() == 0) return input;
  // The mean of squares over `size` channels around each one, zeros outside, as a pool over (channels, everything else).
  const Ints s = input.sizes();
  const Tensor squares = reshape(mul(input, input), {s[0], 1, s[1], -1});
  const Tensor padded = pad(squares, {0, 0, size / 2, (size - 1) / 2});
  const Tensor means = reshape(avg_pool2d(padded, {size, 1}, {1}), s);
  return div(input, pow(means * Scalar(alpha) + Scalar(k), Tensor::wrap(beta)));
}

}  // namespace norch
