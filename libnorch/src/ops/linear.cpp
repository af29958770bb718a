#include "norch/ops/linear.h"

#include "norch/ops/binary.h"
#include "norch/ops/matmul.h"
#include "norch/ops/view.h"
#include "ops/autocast.h"
#include "ops/product.h"

namespace norch {

Tensor linear(const Tensor& input, const Tensor& weight, const Tensor& bias) {
  NORCH_AUTOCAST(lower, linear, input, weight, bias);
  const Ints si = input.sizes(), sw = weight.sizes();
  NORCH_CHECK(!si.empty() && !sw.empty(), "linear: both arguments to linear need to be at least 1D, but they are ",
              si.size(), "D and ", sw.size(), "D");
  NORCH_CHECK(sw.size() <= 2, "linear: weight must be a matrix (out_features, in_features) or a vector, got shape ", sw);
  if (sw.size() == 1) {
    const Tensor out = matmul(input, weight);
    return bias.defined() ? out + bias : out;
  }
  if (__builtin_expect(si.back() != sw[1], 0)) {
    int64_t rows = 1;
    for (size_t d = 0; d + 1 < si.size(); ++d) rows *= si[d];
    NORCH_RAISE(Error, "linear: mat1 and mat2 shapes cannot be multiplied (", rows, "x", si.back(), " and ", sw[1], "x",
                sw[0], "): input has shape ", si, ", weight ", sw);
  }
  NORCH_CHECK(input.dtype() == weight.dtype(), "linear: expected m1 and m2 to have the same dtype, but got: ",
              ctype_name(input.dtype()), " != ", ctype_name(weight.dtype()));
  check_same_device("linear", input, weight);
  if (!bias.defined()) return affine(si.size() == 2 ? "MmBackward0" : "UnsafeViewBackward0", input, weight, true);
  NORCH_CHECK(bias.dtype() == input.dtype(), "linear: self and mat2 must have the same dtype, but got ",
              scalar_type_name(bias.dtype()), " and ", scalar_type_name(input.dtype()));
  check_same_device("linear", bias, input);
  if (bias.dim() == 1 && bias.sizes()[0] == sw[0])
    return affine(si.size() == 2 ? "AddmmBackward0" : "ViewBackward0", input, weight, true, bias);
  Shape shape(si);
  shape.back() = sw[0];
  return affine("MmBackward0", input, weight, true) + expand(bias, shape);
}

Tensor bilinear(const Tensor& input1, const Tensor& input2, const Tensor& weight, const Tensor& bias) {
  NORCH_AUTOCAST(widest_cuda, bilinear, input1, input2, weight, bias);
  const Ints s1 = input1.sizes(), s2 = input2.sizes(), sw = weight.sizes();
  NORCH_CHECK(s1.size() == s2.size() && !s1.empty() && s1.slice(0, s1.size() - 1) == s2.slice(0, s2.size() - 1),
              "bilinear: batch dimensions of input1 and input2 do not match: got shapes ", s1, " and ", s2);
  NORCH_CHECK(sw.size() == 3, "bilinear: weight must have 3 dims (out, in1, in2), got shape ", sw);
  NORCH_CHECK(s1.back() == sw[1], "bilinear(): input1 size does not match weight size: got ", s1.back(),
              " but expected ", sw[1]);
  NORCH_CHECK(s2.back() == sw[2], "bilinear(): input2 size does not match weight size: got ", s2.back(),
              " but expected ", sw[2]);
  NORCH_CHECK(!bias.defined() || (bias.dim() == 1 && bias.sizes()[0] == sw[0]),
              "bilinear(): bias size does not match weight size: got ", bias.sizes(), " but expected [", sw[0], "]");
  NORCH_CHECK(input1.dtype() == weight.dtype() && input2.dtype() == weight.dtype() &&
                  (!bias.defined() || bias.dtype() == weight.dtype()),
              "bilinear(): All tensors must have the same dtype, got input1: ", input1.dtype(), ", input2: ",
              input2.dtype(), ", weight: ", weight.dtype());
  check_same_device("bilinear", input1, weight);
  check_same_device("bilinear", input2, weight);
  // (rows, in1) by (in1, out * in2), then each row's (out, in2) by its input2.
  const int64_t rows = [&] {
    int64_t n = 1;
    for (int64_t d : s1.slice(0, s1.size() - 1)) n *= d;
    return n;
  }();
  const Tensor w = reshape(transpose(weight, 0, 1), {sw[1], sw[0] * sw[2]});
  const Tensor half = reshape(mm(reshape(input1, {rows, s1.back()}), w), {rows, sw[0], sw[2]});
  Tensor out = bmm(half, reshape(input2, {rows, s2.back(), 1}));
  Shape shape(s1);
  shape.back() = sw[0];
  out = reshape(out, shape);
  return bias.defined() ? out + bias : out;
}

}  // namespace norch
