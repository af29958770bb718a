#include "norch/ops/fold.h"

#include <algorithm>

#include "autograd/record.h"
#include "autograd/record_linear.h"
#include "core/channels_last.h"
#include "kernels/fold.h"
#include "norch/ops/complex.h"
#include "norch/ops/copy.h"
#include "norch/ops/factory.h"
#include "norch/ops/indexing.h"
#include "norch/ops/view.h"

namespace norch {

using autograd::Backward;
using autograd::record;
using autograd::record_linear;
using autograd::recording;
using kernels::Conv;
using kernels::Pad;

namespace {

// Each pair of functions here is each other's gradient.

Tensor constant_pad(const Tensor& x, const Shape& pads, const Scalar& value) {
  const size_t n = x.sizes().size();
  Shape shape(x.sizes()), common(x.sizes());
  int64_t from = x.storage_offset(), to = 0;
  bool larger = false;
  for (size_t i = 0; i < pads.size() / 2; ++i) {
    const size_t d = n - 1 - i;
    const int64_t before = pads[2 * i], after = pads[2 * i + 1];
    shape[d] += before + after;
    NORCH_CHECK(shape[d] >= 0, "pad: The input size ", x.sizes()[d], ", plus negative padding ", before, " and ", after,
                ", resulted in a negative output size, which is invalid. Check dimension ", d, " of your input.");
    common[d] = std::max<int64_t>(0, x.sizes()[d] + std::min<int64_t>(before, 0) + std::min<int64_t>(after, 0));
    larger |= before > 0 || after > 0;
  }
  Tensor out = new_in(format_of(x), shape, x.dtype(), x.device());
  if (larger) fill_(out, value);
  for (size_t i = 0; i < pads.size() / 2; ++i) {
    const size_t d = n - 1 - i;
    from += std::max<int64_t>(0, -pads[2 * i]) * x.strides()[d];
    to += std::max<int64_t>(0, pads[2 * i]) * out.strides()[d];
  }
  if (numel_of(common) > 0 && out.numel() > 0)
    copy_into(new_view(out.detach(), common, out.strides(), to), new_view(x.detach(), common, x.strides(), from));
  if (recording(x)) {
    record_linear("ConstantPadNdBackward0", {x}, {out}, [pads](Backward& ctx) {
      Shape back(pads);
      for (int64_t& p : back) p = -p;
      ctx.set(0, constant_pad(ctx.grad(), back, 0));
    });
  }
  return out;
}

Tensor border_backward(const Pad& p, Ints shape, const Tensor& g);

Tensor border(const Pad& p, Ints shape, const Tensor& x) {
  Tensor out = new_tensor(shape, x.dtype(), x.device());
  if (out.numel() > 0) kernels::pad_border(out.device(), p, out, x.detach().contiguous());
  if (recording(x)) {
    record("PadBackward0", {x}, {out}, [p, shape = Shape(x.sizes())](Backward& ctx) {
      ctx.set(0, border_backward(p, shape, ctx.grad()));
    });
  }
  return out;
}

Tensor border_backward(const Pad& p, Ints shape, const Tensor& g) {
  Tensor out = new_tensor(shape, g.dtype(), g.device());
  if (g.numel() == 0)
    fill_(out, 0);
  else if (out.numel() > 0)
    kernels::pad_border_backward(out.device(), p, out, g.detach().contiguous());
  if (recording(g)) {
    record("PadBackwardBackward0", {g}, {out},
           [p, shape = Shape(g.sizes())](Backward& ctx) { ctx.set(0, border(p, shape, ctx.grad())); });
  }
  return out;
}

Tensor folded(const Conv& c, Ints shape, const Tensor& columns);

Tensor unfolded(const Conv& c, Ints shape, const Tensor& x) {
  Tensor out = new_tensor(shape, x.dtype(), x.device());
  if (out.numel() > 0) kernels::unfold_patches(out.device(), c, out, x.detach().contiguous());
  if (recording(x)) {
    record("Im2ColBackward0", {x}, {out},
           [c, shape = Shape(x.sizes())](Backward& ctx) { ctx.set(0, folded(c, shape, ctx.grad())); });
  }
  return out;
}

Tensor folded(const Conv& c, Ints shape, const Tensor& columns) {
  Tensor out = new_tensor(shape, columns.dtype(), columns.device());
  if (out.numel() > 0) kernels::fold_patches(out.device(), c, out, columns.detach().contiguous());
  if (recording(columns)) {
    record("Col2ImBackward0", {columns}, {out},
           [c, shape = Shape(columns.sizes())](Backward& ctx) { ctx.set(0, unfolded(c, shape, ctx.grad())); });
  }
  return out;
}

void two(const char* op, const char* what, Ints v, int64_t least, int64_t* to) {
  NORCH_CHECK(v.size() == 1 || v.size() == 2, op, ": It is expected ", what, " equals to 1 or 2 numbers, but got size ",
              v.size());
  for (size_t d = 0; d < 2; ++d) {
    to[1 + d] = v[v.size() == 1 ? 0 : d];
    NORCH_CHECK(to[1 + d] >= least && to[1 + d] < (int64_t{1} << 31), op, ": ", what, " should be ",
                least == 0 ? "non-negative" : "greater than zero", ", but got ", v);
  }
}

/// The windows over an image whose sizes are in c.in.
void set_windows(const char* op, Conv& c, Ints kernel, Ints dilation, Ints padding, Ints stride) {
  two(op, "kernel_size", kernel, 1, c.kernel);
  two(op, "dilation", dilation, 1, c.dilation);
  two(op, "padding", padding, 0, c.pad);
  two(op, "stride", stride, 1, c.stride);
  for (int d = 1; d < 3; ++d) {
    const int64_t room = c.in[d] + 2 * c.pad[d] - c.dilation[d] * (c.kernel[d] - 1) - 1;
    c.out[d] = room < 0 ? 0 : room / c.stride[d] + 1;
    NORCH_CHECK(c.out[d] > 0, op, ": Given input with spatial size (", c.in[1], ", ", c.in[2], "), kernel_size=", kernel,
                ", dilation=", dilation, ", padding=", padding, ", stride=", stride,
                ", the array of sliding blocks has no elements in one dim, but its components must be at least one.");
  }
}

void check_float(const char* op, const Tensor& t) {
  NORCH_CHECK_IMPLEMENTED(t.is_floating_point(), op, ": not implemented for ", t.dtype(),
                          "; convert to a floating-point dtype");
}

}  // namespace

Tensor pad(const Tensor& input, Ints pad, PaddingMode mode, const Scalar& value) {
  const int64_t n = input.dim(), dims = static_cast<int64_t>(pad.size() / 2);
  NORCH_CHECK(pad.size() % 2 == 0, "pad: Padding length must be divisible by 2, got ", pad);
  NORCH_CHECK(dims <= n, "pad: Padding length should be less than or equal to two times the input dimension but got ",
              "padding length ", pad.size(), " and input of dimension ", n);
  for (int64_t p : pad)
    NORCH_CHECK(p > -(int64_t{1} << 40) && p < (int64_t{1} << 40), "pad: ", p, " is too large a padding");
  if (mode == PaddingMode::constant) return constant_pad(input, Shape(pad), value);
  NORCH_CHECK_IMPLEMENTED(dims >= 1 && dims <= 3, "pad: only one to three dims can be padded in a mode other than ",
                          "constant, got padding ", pad);
  if (mode == PaddingMode::circular) {
    // What wraps around is the cropped image.
    Shape crop(pad), grow(pad);
    for (size_t i = 0; i < pad.size(); ++i) {
      crop[i] = std::min<int64_t>(pad[i], 0);
      grow[i] = std::max<int64_t>(pad[i], 0);
    }
    if (grow != pad) return norch::pad(constant_pad(input, crop, 0), grow, mode, value);
  }
  Pad p;
  p.mode = mode == PaddingMode::reflect     ? kernels::PadMode::Reflect
           : mode == PaddingMode::replicate ? kernels::PadMode::Replicate
                                            : kernels::PadMode::Circular;
  Shape shape(input.sizes());
  p.planes = numel_of(input.sizes().slice(0, static_cast<size_t>(n - dims)));
  for (int64_t i = 0; i < dims; ++i) {
    const int64_t d = n - 1 - i, size = input.sizes()[d], before = pad[2 * i], after = pad[2 * i + 1];
    NORCH_CHECK(size > 0, "pad: Expected an input with non-zero sizes but for the batch, got shape ", input.sizes());
    NORCH_CHECK(mode != PaddingMode::reflect || (before < size && after < size), "pad: Padding size should be less than ",
                "the corresponding input dimension, but got: padding (", before, ", ", after, ") at dimension ", d,
                " of input ", input.sizes());
    NORCH_CHECK(mode != PaddingMode::circular || (before <= size && after <= size),
                "pad: Padding value causes wrapping around more than once.");
    shape[d] = size + before + after;
    NORCH_CHECK(shape[d] > 0, "pad: padding (", before, ", ", after, ") leaves nothing of dimension ", d, " of input ",
                input.sizes());
    p.in[2 - i] = size;
    p.out[2 - i] = shape[d];
    p.before[2 - i] = before;
  }
  if (input.is_floating_point()) return border(p, shape, input);
  Tensor out = input;
  for (int64_t i = 0; i < dims; ++i) {
    const int e = static_cast<int>(2 - i);
    const Tensor source = new_tensor({p.out[e]}, DType::Int64, kCPU);
    for (int64_t o = 0; o < p.out[e]; ++o) source.data<int64_t>()[o] = kernels::pad_source(p, e, o);
    out = index_select(out, n - 1 - i, source.to(input.device()));
  }
  return out;
}

Tensor im2col(const Tensor& input, Ints kernel_size, Ints dilation, Ints padding, Ints stride) {
  if (input.is_complex())
    return complex(im2col(real(input), kernel_size, dilation, padding, stride),
                   im2col(imag(input), kernel_size, dilation, padding, stride));
  NORCH_CHECK(input.dim() == 3 || input.dim() == 4, "unfold: Expected 3D or 4D (batch mode) tensor for input, but got: ",
              input.sizes());
  if (input.dim() == 3) {
    const Tensor out = im2col(reshape(input, {1, input.sizes()[0], input.sizes()[1], input.sizes()[2]}), kernel_size,
                              dilation, padding, stride);
    return reshape(out, out.sizes().slice(1));
  }
  Conv c;
  c.n = input.sizes()[0];
  c.c_in = input.sizes()[1];
  c.in[1] = input.sizes()[2];
  c.in[2] = input.sizes()[3];
  set_windows("unfold", c, kernel_size, dilation, padding, stride);
  return unfolded(c, {c.n, c.c_in * c.taps(), c.out_size()}, input);
}

Tensor col2im(const Tensor& input, Ints output_size, Ints kernel_size, Ints dilation, Ints padding, Ints stride) {
  if (input.is_complex())
    return complex(col2im(real(input), output_size, kernel_size, dilation, padding, stride),
                   col2im(imag(input), output_size, kernel_size, dilation, padding, stride));
  check_float("fold", input);
  NORCH_CHECK(input.dim() == 2 || input.dim() == 3, "fold: Expected 2D or 3D (batch mode) tensor for input, but got: ",
              input.sizes());
  if (input.dim() == 2) {
    const Tensor out = col2im(reshape(input, {1, input.sizes()[0], input.sizes()[1]}), output_size, kernel_size, dilation,
                              padding, stride);
    return reshape(out, out.sizes().slice(1));
  }
  Conv c;
  two("fold", "output_size", output_size, 1, c.in);
  set_windows("fold", c, kernel_size, dilation, padding, stride);
  c.n = input.sizes()[0];
  const int64_t channels = input.sizes()[1], taps = c.taps();
  NORCH_CHECK(channels % taps == 0, "fold: Expected size of input's dimension 1 to be divisible by the product of ",
              "kernel_size, but got input.size(1)=", channels, " and kernel_size=", kernel_size, ".");
  c.c_in = channels / taps;
  NORCH_CHECK(input.sizes()[2] == c.out_size(), "fold: Given output_size=", output_size, ", kernel_size=", kernel_size,
              ", dilation=", dilation, ", padding=", padding, ", stride=", stride, ", expected size of input's dimension ",
              "2 to match the calculated number of sliding blocks ", c.out[1], " * ", c.out[2], " = ", c.out_size(),
              ", but got input.size(2)=", input.sizes()[2], ".");
  return folded(c, {c.n, c.c_in, c.in[1], c.in[2]}, input);
}

}  // namespace norch
