#include "norch/ops/conv.h"

#include "autograd/record.h"
#include "core/channels_last.h"
#include "core/factory.h"
#include "kernels/conv.h"
#include "norch/ops/binary.h"
#include "norch/ops/factory.h"
#include "norch/ops/reduce.h"
#include "norch/ops/view.h"
#include "ops/autocast.h"
#include "ops/conv_integer.h"
#include "ops/product.h"

namespace norch {

using autograd::Backward;
using autograd::record;
using autograd::recording;
using autograd::save;
using autograd::SavedTensor;
using autograd::wants_grad;
using kernels::Conv;

namespace {

/// Whether the tensors of a convolution lie channels-last: where one of its operands does, as in PyTorch, but for float64
/// on the GPU, which cuDNN computes row-major alone.
bool is_channels_last(const Tensor& x, const Tensor& w) {
  if (!x.is_floating_point() || (x.is_cuda() && x.dtype() == DType::Float64)) return false;
  return suggested_format(x) != MemoryFormat::contiguous || suggested_format(w) != MemoryFormat::contiguous;
}
MemoryFormat format_for(const Conv& c, const Tensor& t) {
  if (!c.channels_last) return MemoryFormat::contiguous;
  return t.dim() == 4 ? MemoryFormat::channels_last : MemoryFormat::channels_last_3d;
}
/// An operand as the kernels take it.
Tensor operand(const Conv& c, const Tensor& t) { return t.detach().contiguous(format_for(c, t)); }
/// A result of that shape, beside an operand.
Tensor result(const Conv& c, Ints shape, const Tensor& like) {
  return new_in(format_for(c, like), shape, like.dtype(), like.device());
}

// The three below are the gradients of each other: of <convolve(x, w), g> by x, w and g.

Tensor gradient_of_input(const Conv& c, Ints x_shape, const Tensor& g, const Tensor& w);
Tensor gradient_of_weight(const Conv& c, Ints w_shape, const Tensor& g, const Tensor& x);

Tensor convolve(const Conv& c, Ints shape, const Tensor& x, const Tensor& w, const Tensor& bias = {}) {
  if (!x.is_floating_point()) return integer_convolution(c, shape, x, w, bias);
  Tensor out = result(c, shape, x);
  if (out.numel() > 0) {
    if (x.numel() > 0 && w.numel() > 0)
      kernels::conv_forward(out.device(), c, out, operand(c, x), operand(c, w),
                            bias.defined() ? bias.detach().contiguous() : bias);
    else
      fill_(out, 0);
  }
  if (recording(x, w, bias)) {
    record("ConvolutionBackward0", {x, w, bias}, {out},
           [c, x_shape = Shape(x.sizes()), w_shape = Shape(w.sizes()), x = wants_grad(w) ? save(x) : SavedTensor(),
            w = wants_grad(x) ? save(w) : SavedTensor()](Backward& ctx) {
             const Tensor& g = ctx.grad();
             if (ctx.needs(0)) ctx.set(0, gradient_of_input(c, x_shape, g, ctx.get(w)));
             if (ctx.needs(1)) ctx.set(1, gradient_of_weight(c, w_shape, g, ctx.get(x)));
             if (ctx.needs(2)) {
               Shape dims{0};
               for (int64_t d = 2; d < g.dim(); ++d) dims.push_back(d);
               ctx.set(2, sum(g, dims));
             }
           });
  }
  return out;
}

Tensor gradient_of_input(const Conv& c, Ints x_shape, const Tensor& g, const Tensor& w) {
  if (!g.is_floating_point()) return integer_transposed(c, x_shape, g, w);
  Tensor out = result(c, x_shape, g);
  if (out.numel() > 0) {
    if (g.numel() > 0 && w.numel() > 0)
      kernels::conv_backward_input(out.device(), c, out, operand(c, g), operand(c, w));
    else
      fill_(out, 0);
  }
  if (recording(g, w)) {
    record("ConvolutionBackward0", {g, w}, {out},
           [c, g_shape = Shape(g.sizes()), w_shape = Shape(w.sizes()), g = wants_grad(w) ? save(g) : SavedTensor(),
            w = wants_grad(g) ? save(w) : SavedTensor()](Backward& ctx) {
             if (ctx.needs(0)) ctx.set(0, convolve(c, g_shape, ctx.grad(), ctx.get(w)));
             if (ctx.needs(1)) ctx.set(1, gradient_of_weight(c, w_shape, ctx.get(g), ctx.grad()));
           });
  }
  return out;
}

Tensor gradient_of_weight(const Conv& c, Ints w_shape, const Tensor& g, const Tensor& x) {
  Tensor out = result(c, w_shape, g);
  if (out.numel() > 0) {
    if (g.numel() > 0 && x.numel() > 0)
      kernels::conv_backward_weight(out.device(), c, out, operand(c, g), operand(c, x));
    else
      fill_(out, 0);
  }
  if (recording(g, x)) {
    record("ConvolutionBackwardWeightBackward0", {g, x}, {out},
           [c, g_shape = Shape(g.sizes()), x_shape = Shape(x.sizes()), g = wants_grad(x) ? save(g) : SavedTensor(),
            x = wants_grad(g) ? save(x) : SavedTensor()](Backward& ctx) {
             if (ctx.needs(0)) ctx.set(0, convolve(c, g_shape, ctx.get(x), ctx.grad()));
             if (ctx.needs(1)) ctx.set(1, gradient_of_input(c, x_shape, ctx.get(g), ctx.grad()));
           });
  }
  return out;
}

/// One number per spatial dim.
Shape per_dim(const char* op, const char* what, Ints v, int dims) {
  if (v.size() == 1) return Shape(static_cast<size_t>(dims), v[0]);
  NORCH_CHECK(v.size() == static_cast<size_t>(dims), op, ": expected ", what, " to be a single integer value or a list ",
              "of ", dims, " values to match the convolution dimensions, but got ", what, "=", v);
  return Shape(v);
}

void check_numbers(const char* op, Ints stride, Ints padding, Ints dilation, int64_t groups) {
  constexpr int64_t kMost = int64_t{1} << 40;
  for (int64_t v : stride) NORCH_CHECK(v > 0, op, ": non-positive stride is not supported, got ", stride);
  for (int64_t v : padding) NORCH_CHECK(v >= 0, op, ": negative padding is not supported, got ", padding);
  for (int64_t v : dilation) NORCH_CHECK(v > 0, op, ": dilation should be greater than zero, got ", dilation);
  NORCH_CHECK(groups > 0, op, ": non-positive groups is not supported, got ", groups);
  for (Ints list : {stride, padding, dilation})
    for (int64_t v : list) NORCH_CHECK(v < kMost, op, ": ", v, " is too large a stride, padding or dilation");
}

void check_operands(const char* op, const Tensor& input, const Tensor& weight, const Tensor& bias, int dims) {
  NORCH_CHECK(input.dim() == dims + 1 || input.dim() == dims + 2, op, ": Expected ", dims + 1, "D (unbatched) or ",
              dims + 2, "D (batched) input to ", op, ", but got input of size: ", input.sizes());
  NORCH_CHECK(weight.dim() == dims + 2, op, ": weight should have ", dims + 2, " dims, but got weight of size: ",
              weight.sizes());
  NORCH_CHECK(input.dtype() == weight.dtype(), op, ": Input type (", input.dtype(), ") and weight type (",
              weight.dtype(), ") should be the same");
  check_same_device(op, input, weight);
  NORCH_CHECK_IMPLEMENTED(input.dtype() != DType::Bool, op, ": not implemented for bool; convert to another dtype");
  for (int64_t d = 2; d < weight.dim(); ++d)
    NORCH_CHECK(weight.sizes()[d] > 0, op, ": kernel size must be positive, but got weight of size ", weight.sizes());
  if (!bias.defined()) return;
  NORCH_CHECK(input.dtype() == bias.dtype(), op, ": Input type (", input.dtype(), ") and bias type (", bias.dtype(),
              ") should be the same");
  check_same_device(op, input, bias);
}

void append_sizes(std::string& s, const int64_t* v, int dims) {
  for (int d = 0; d < dims; ++d) {
    if (d) s += " x ";
    s += std::to_string(v[d]);
  }
}

/// A convolution with `before` and `after` zeros around each spatial dim.
Tensor convolution(const char* op, int dims, const Tensor& input, const Tensor& weight, const Tensor& bias, Ints stride,
                   Ints before, Ints after, Ints dilation, int64_t groups) {
  check_numbers(op, stride, before, dilation, groups);
  if (input.dim() == dims + 1) {
    Shape shape(input.sizes());
    shape.insert(0, 1);
    const Tensor out = convolution(op, dims, reshape(input, shape), weight, bias, stride, before, after, dilation,
                                   groups);
    return reshape(out, out.sizes().slice(1));
  }
  const Ints si = input.sizes(), sw = weight.sizes();
  NORCH_CHECK(sw[0] >= groups && sw[0] % groups == 0, op, ": Given groups=", groups, ", expected weight to be ",
              "divisible by ", groups, " at dimension 0, but got weight of size ", sw, " instead");
  NORCH_CHECK(si[1] == sw[1] * groups, op, ": Given groups=", groups, ", weight of size ", sw, ", expected input", si,
              " to have ", sw[1] * groups, " channels, but got ", si[1], " channels instead");
  NORCH_CHECK(!bias.defined() || (bias.dim() == 1 && bias.sizes()[0] == sw[0]), op, ": Given weight of size ", sw,
              ", expected bias to be 1-dimensional with ", sw[0], " elements, but got bias of size ", bias.sizes(),
              " instead");
  Conv c;
  c.n = si[0];
  c.groups = groups;
  c.c_in = si[1];
  c.c_out = sw[0];
  c.channels_last = is_channels_last(input, weight);
  Shape shape{si[0], sw[0]};
  int64_t padded[3], reach[3];
  bool fits = true;
  for (int i = 0; i < dims; ++i) {
    const int d = 3 - dims + i;
    c.in[d] = si[2 + i];
    c.kernel[d] = sw[2 + i];
    c.stride[d] = stride[i];
    c.pad[d] = before[i];
    c.dilation[d] = dilation[i];
    padded[i] = si[2 + i] + before[i] + after[i];
    NORCH_CHECK(!__builtin_mul_overflow(dilation[i], sw[2 + i] - 1, &reach[i]), op, ": dilation ", dilation[i],
                " is too large");
    fits &= padded[i] > reach[i];
    c.out[d] = (padded[i] - reach[i] - 1) / stride[i] + 1;
    shape.push_back(c.out[d]);
  }
  if (!fits) {
    for (int i = 0; i < dims; ++i) ++reach[i];
    std::string text = str(op, ": Calculated padded input size per channel: (");
    append_sizes(text, padded, dims);
    text += "). Kernel size: (";
    append_sizes(text, reach, dims);
    text += "). Kernel size can't be greater than actual input size";
    NORCH_RAISE(Error, text);
  }
  return convolve(c, shape, input, weight, bias);
}

Tensor conv(const char* op, int dims, const Tensor& input, const Tensor& weight, const Tensor& bias, Ints stride,
            Ints padding, Ints dilation, int64_t groups) {
  NORCH_AUTOCAST(lower, conv, op, dims, input, weight, bias, stride, padding, dilation, groups);
  check_operands(op, input, weight, bias, dims);
  const Shape pad = per_dim(op, "padding", padding, dims);
  return convolution(op, dims, input, weight, bias, per_dim(op, "stride", stride, dims), pad, pad,
                     per_dim(op, "dilation", dilation, dims), groups);
}

Tensor conv(const char* op, int dims, const Tensor& input, const Tensor& weight, const Tensor& bias, Ints stride,
            ConvPadding padding, Ints dilation, int64_t groups) {
  NORCH_AUTOCAST(lower, conv, op, dims, input, weight, bias, stride, padding, dilation, groups);
  if (padding == ConvPadding::valid) return conv(op, dims, input, weight, bias, stride, Ints{0}, dilation, groups);
  check_operands(op, input, weight, bias, dims);
  const Shape steps = per_dim(op, "stride", stride, dims), spread = per_dim(op, "dilation", dilation, dims);
  for (int64_t s : steps) NORCH_CHECK(s == 1, op, ": padding='same' is not supported for strided convolutions");
  check_numbers(op, steps, {}, spread, groups);
  Shape before(static_cast<size_t>(dims)), after(static_cast<size_t>(dims));
  for (int d = 0; d < dims; ++d) {
    int64_t total = 0;
    NORCH_CHECK(!__builtin_mul_overflow(spread[d], weight.sizes()[2 + d] - 1, &total), op, ": dilation ", spread[d],
                " is too large");
    before[d] = total / 2;
    after[d] = total - before[d];
  }
  return convolution(op, dims, input, weight, bias, steps, before, after, spread, groups);
}

Tensor transposed(const char* op, int dims, const Tensor& input, const Tensor& weight, const Tensor& bias, Ints stride,
                  Ints padding, Ints output_padding, int64_t groups, Ints dilation) {
  NORCH_AUTOCAST(lower, transposed, op, dims, input, weight, bias, stride, padding, output_padding, groups, dilation);
  check_operands(op, input, weight, bias, dims);
  if (input.dim() == dims + 1) {
    Shape shape(input.sizes());
    shape.insert(0, 1);
    const Tensor out = transposed(op, dims, reshape(input, shape), weight, bias, stride, padding, output_padding,
                                  groups, dilation);
    return reshape(out, out.sizes().slice(1));
  }
  const Shape s = per_dim(op, "stride", stride, dims), p = per_dim(op, "padding", padding, dims),
              extra = per_dim(op, "output_padding", output_padding, dims), k = per_dim(op, "dilation", dilation, dims);
  check_numbers(op, s, p, k, groups);
  const Ints si = input.sizes(), sw = weight.sizes();
  NORCH_CHECK(si[1] == sw[0] && sw[0] % groups == 0, op, ": Given transposed=1, weight of size ", sw, ", groups=", groups,
              ", expected input", si, " to have ", sw[0], " channels, a multiple of groups, but got ", si[1],
              " channels instead");
  Conv c;
  c.n = si[0];
  c.groups = groups;
  c.c_in = sw[1] * groups;
  c.c_out = si[1];
  c.channels_last = is_channels_last(input, weight);
  Shape shape{si[0], c.c_in};
  for (int i = 0; i < dims; ++i) {
    const int d = 3 - dims + i;
    NORCH_CHECK(extra[i] >= 0 && (extra[i] < s[i] || extra[i] < k[i]), op, ": output padding must be smaller than ",
                "either stride or dilation, but got output_padding=", extra, ", stride=", s, ", dilation=", k);
    c.out[d] = si[2 + i];
    c.kernel[d] = sw[2 + i];
    c.stride[d] = s[i];
    c.pad[d] = p[i];
    c.dilation[d] = k[i];
    int64_t size = 0, reach = 0;
    const bool overflow = __builtin_mul_overflow(si[2 + i] - 1, s[i], &size) ||
                          __builtin_mul_overflow(k[i], sw[2 + i] - 1, &reach) ||
                          __builtin_add_overflow(size, reach, &size);
    NORCH_CHECK(!overflow, op, ": the output is too large");
    c.in[d] = size - 2 * p[i] + extra[i] + 1;
    NORCH_CHECK(c.in[d] > 0 && si[2 + i] > 0, op, ": Given input size per channel: ", si.slice(2),
                ". Calculated output size per channel: ", c.in[d], " in dim ", i, ". Output size is too small");
    shape.push_back(c.in[d]);
  }
  const Tensor out = gradient_of_input(c, shape, input, weight);
  if (!bias.defined()) return out;
  NORCH_CHECK(bias.dim() == 1 && bias.sizes()[0] == c.c_in, op, ": Given transposed=1, weight of size ", sw,
              ", expected bias to be 1-dimensional with ", c.c_in, " elements, but got bias of size ", bias.sizes(),
              " instead");
  Shape column(static_cast<size_t>(dims + 1), 1);
  column[0] = c.c_in;
  return add_(out, reshape(bias, column));
}

}  // namespace

#define NORCH_CONV(dims)                                                                                               \
  Tensor conv##dims##d(const Tensor& input, const Tensor& weight, const Tensor& bias, Ints stride, Ints padding,       \
                       Ints dilation, int64_t groups) {                                                                \
    return conv("conv" #dims "d", dims, input, weight, bias, stride, padding, dilation, groups);                       \
  }                                                                                                                    \
  Tensor conv##dims##d(const Tensor& input, const Tensor& weight, const Tensor& bias, Ints stride,                     \
                       ConvPadding padding, Ints dilation, int64_t groups) {                                    \
    return conv("conv" #dims "d", dims, input, weight, bias, stride, padding, dilation, groups);                       \
  }                                                                                                                    \
  Tensor conv_transpose##dims##d(const Tensor& input, const Tensor& weight, const Tensor& bias, Ints stride,           \
                                 Ints padding, Ints output_padding, int64_t groups, Ints dilation) {                   \
    return transposed("conv_transpose" #dims "d", dims, input, weight, bias, stride, padding, output_padding, groups,  \
                      dilation);                                                                                       \
  }
NORCH_CONV(1)
NORCH_CONV(2)
NORCH_CONV(3)
#undef NORCH_CONV

}  // namespace norch
