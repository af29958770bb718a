// Convolution, windows and padding.
#include <nanobind/stl/variant.h>

#include <variant>

#include "bind.h"
#include "norch/ops/conv.h"
#include "norch/ops/fold.h"

namespace norch::python {

namespace {

const Shape one{1}, zero{0};

using Convolution = Tensor (*)(const Tensor&, const Tensor&, const Tensor&, Ints, Ints, Ints, int64_t);
using SameConvolution = Tensor (*)(const Tensor&, const Tensor&, const Tensor&, Ints, ConvPadding, Ints, int64_t);
using Transposed = Tensor (*)(const Tensor&, const Tensor&, const Tensor&, Ints, Ints, Ints, int64_t, Ints);

void bind_convolution(Binder& b, const char* name, Convolution f, SameConvolution same) {
  const std::string doc = std::string(name) + "(input, weight, bias=None, stride=1, padding=0, dilation=1, groups=1) -> "
                          "Tensor\n\ninput (batch, channels, ...) or (channels, ...), weight (out, in / groups, ...). "
                          "padding may be 'same' or 'valid'.";
  const auto row = [f, same](const Tensor& input, const Tensor& weight, const std::optional<Tensor>& bias,
                             const Shape& stride, const std::variant<Shape, std::string>& padding,
                             const Shape& dilation, int64_t groups) {
    const Tensor added = bias.value_or(Tensor());
    if (const Shape* p = std::get_if<Shape>(&padding)) return f(input, weight, added, stride, *p, dilation, groups);
    const std::string& text = std::get<std::string>(padding);
    NORCH_CHECK(text == "same" || text == "valid", "Invalid padding string: '", text,
                "', should be one of 'valid', 'same'");
    return same(input, weight, added, stride, text == "same" ? ConvPadding::same : ConvPadding::valid, dilation, groups);
  };
  for (nb::handle scope : {nb::handle(b.root), nb::handle(b.nn)})
    b.in(scope, name, row, doc.c_str(), "input"_a, "weight"_a, "bias"_a = nb::none(), "stride"_a = one,
         "padding"_a = zero, "dilation"_a = one, "groups"_a = 1);
}

void bind_transposed(Binder& b, const char* name, Transposed f) {
  const std::string doc = std::string(name) + "(input, weight, bias=None, stride=1, padding=0, output_padding=0, "
                          "groups=1, dilation=1) -> Tensor\n\nThe gradient of a convolution by its input, as an op; weight "
                          "is (in, out / groups, ...).";
  const auto row = [f](const Tensor& input, const Tensor& weight, const std::optional<Tensor>& bias, const Shape& stride,
                       const Shape& padding, const Shape& output_padding, int64_t groups, const Shape& dilation) {
    return f(input, weight, bias.value_or(Tensor()), stride, padding, output_padding, groups, dilation);
  };
  for (nb::handle scope : {nb::handle(b.root), nb::handle(b.nn)})
    b.in(scope, name, row, doc.c_str(), "input"_a, "weight"_a, "bias"_a = nb::none(), "stride"_a = one,
         "padding"_a = zero, "output_padding"_a = zero, "groups"_a = 1, "dilation"_a = one);
}

Tensor pad_row(const Tensor& input, const Shape& amounts, const std::string& mode, std::optional<Scalar> value) {
  if (mode == "constant") return pad(input, amounts, PaddingMode::constant, value.value_or(Scalar(0)));
  NORCH_CHECK_IMPLEMENTED(mode == "reflect" || mode == "replicate" || mode == "circular", "Unrecognised padding mode ", mode);
  NORCH_CHECK_VALUE(!value || value->to_double() == 0, "Padding mode \"", mode, "\" doesn't take in value argument");
  return pad(input, amounts,
             mode == "reflect"     ? PaddingMode::reflect
             : mode == "replicate" ? PaddingMode::replicate
                                   : PaddingMode::circular);
}

}  // namespace

void bind_conv(Binder& b) {
  bind_convolution(b, "conv1d", &conv1d, &conv1d);
  bind_convolution(b, "conv2d", &conv2d, &conv2d);
  bind_convolution(b, "conv3d", &conv3d, &conv3d);
  bind_transposed(b, "conv_transpose1d", &conv_transpose1d);
  bind_transposed(b, "conv_transpose2d", &conv_transpose2d);
  bind_transposed(b, "conv_transpose3d", &conv_transpose3d);

  b.functional(
      "unfold",
      [](const Tensor& input, const Shape& kernel_size, const Shape& dilation, const Shape& padding,
         const Shape& stride) { return im2col(input, kernel_size, dilation, padding, stride); },
      "unfold(input, kernel_size, dilation=1, padding=0, stride=1) -> Tensor\n\nThe windows of an image as columns.",
      "input"_a, "kernel_size"_a, "dilation"_a = one, "padding"_a = zero, "stride"_a = one);
  b.functional(
      "fold",
      [](const Tensor& input, const Shape& output_size, const Shape& kernel_size, const Shape& dilation,
         const Shape& padding, const Shape& stride) {
        return col2im(input, output_size, kernel_size, dilation, padding, stride);
      },
      "fold(input, output_size, kernel_size, dilation=1, padding=0, stride=1) -> Tensor\n\nThe sum of columns at the "
      "places in an image that they come from.",
      "input"_a, "output_size"_a, "kernel_size"_a, "dilation"_a = one, "padding"_a = zero, "stride"_a = one);
  b.functional("pad", &pad_row,
               "pad(input, pad, mode='constant', value=None) -> Tensor\n\nPads the last dims: `pad` is (before, after) of "
               "the last dim, then of the one before, and so on; negative amounts crop. mode: 'constant', 'reflect', "
               "'replicate' or 'circular'.",
               "input"_a, "pad"_a, "mode"_a = "constant", "value"_a = nb::none());
  b.function(
      "constant_pad_nd",
      [](const Tensor& t, const Shape& p, const Scalar& value) { return pad(t, p, PaddingMode::constant, value); },
      "constant_pad_nd(input, pad, value=0) -> Tensor\n\nnn.functional.pad with numbers.\n\n"
      ">>> norch.constant_pad_nd(norch.ones(2), (1, 0), 7)\ntensor([7., 1., 1.])",
      "input"_a, "pad"_a, "value"_a = 0);
}

}  // namespace norch::python
