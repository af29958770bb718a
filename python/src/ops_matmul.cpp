// Products: the matmul family, linear.
#include "bind.h"
#include "norch/ops/linear.h"
#include "norch/ops/matmul.h"

namespace norch::python {

namespace {

using Product = Tensor (*)(const Tensor&, const Tensor&);
using Sum = Tensor (*)(const Tensor&, const Tensor&, const Tensor&, const Scalar&, const Scalar&);

/// An operand of a product whose result has dtype `out`: 16-bit floats may give float32, in which their products are exact.
Tensor operand(const char* op, const Tensor& t, DType out) {
  const bool widens = (t.dtype() == DType::Float16 || t.dtype() == DType::BFloat16) && out == DType::Float32;
  NORCH_CHECK(t.dtype() == out || widens, op, ": out_dtype must be the same as the operands' dtype, ", t.dtype(),
              ", or float32 for float16 and bfloat16 operands, got ", out);
  return t.to(out);
}

}  // namespace

void bind_matmul(Binder& b) {
  b.op("matmul", &matmul,
       "matmul(input, other) -> Tensor\n\nThe product of the last two dims, the dims before them broadcast; 1-d operands "
       "count as a row (left) or a column (right). Also written input @ other.",
       "input"_a, "other"_a);
  b.op("mm", &mm, "mm(input, mat2) -> Tensor\n\n(m, k) by (k, n) -> (m, n).", "input"_a, "mat2"_a);
  b.op("bmm", &bmm, "bmm(input, mat2) -> Tensor\n\n(b, m, k) by (b, k, n) -> (b, m, n).", "input"_a, "mat2"_a);
  for (const auto& [name, f] : {std::pair<const char*, Product>{"mm", &mm}, {"bmm", &bmm}}) {
    b.op(
        name,
        [name, f](const Tensor& input, const Tensor& mat2, DType out_dtype) {
          return f(operand(name, input, out_dtype), operand(name, mat2, out_dtype));
        },
        "With the result's dtype: the operands', or float32 for 16-bit floats.", "input"_a, "mat2"_a, "out_dtype"_a);
  }
  b.op("mv", &mv, "mv(input, vec) -> Tensor\n\n(m, k) by (k) -> (m).", "input"_a, "vec"_a);
  b.op("dot", &dot, "dot(input, tensor) -> Tensor\n\nThe sum of the products of two 1-d tensors' elements.", "input"_a,
       "tensor"_a);
  b.op("vdot", &vdot, "vdot(input, other) -> Tensor\n\nAs dot, for real numbers.", "input"_a, "other"_a);
  b.op("outer", &outer, "outer(input, vec2) -> Tensor\n\nEvery product of two elements: (m) and (n) -> (m, n).",
       "input"_a, "vec2"_a);
  struct Row {
    const char* name;
    Sum f, in_place;
    const char *x, *y, *doc;
  };
  const Row rows[] = {
      {"addmm", &addmm, &addmm_, "mat1", "mat2", "(input, mat1, mat2, *, beta=1, alpha=1): mat1 @ mat2"},
      {"addmv", &addmv, &addmv_, "mat", "vec", "(input, mat, vec, *, beta=1, alpha=1): mat @ vec"},
      {"addr", &addr, &addr_, "vec1", "vec2", "(input, vec1, vec2, *, beta=1, alpha=1): outer(vec1, vec2)"},
      {"baddbmm", &baddbmm, &baddbmm_, "batch1", "batch2", "(input, batch1, batch2, *, beta=1, alpha=1): batch1 @ batch2"},
      {"addbmm", &addbmm, &addbmm_, "batch1", "batch2",
       "(input, batch1, batch2, *, beta=1, alpha=1): the sum of batch1 @ batch2"},
  };
  for (const Row& r : rows) {
    const std::string doc = std::string("beta * input + alpha * product, for ") + r.name + r.doc;
    b.op(r.name, r.f, doc.c_str(), "input"_a, nb::arg(r.x), nb::arg(r.y), nb::kw_only(), "beta"_a = Scalar(1),
         "alpha"_a = Scalar(1));
    if (r.name == std::string("addmm") || r.name == std::string("baddbmm")) {
      b.op(
          r.name,
          [name = r.name, f = r.f](const Tensor& input, const Tensor& x, const Tensor& y, DType out_dtype,
                                   const Scalar& beta, const Scalar& alpha) {
            return f(operand(name, input, out_dtype), operand(name, x, out_dtype), operand(name, y, out_dtype), beta, alpha);
          },
          "With the result's dtype: the operands', or float32 for 16-bit floats.", "input"_a, nb::arg(r.x), nb::arg(r.y),
          "out_dtype"_a, nb::kw_only(), "beta"_a = Scalar(1), "alpha"_a = Scalar(1));
    }
    b.method((std::string(r.name) + "_").c_str(), r.in_place, doc.c_str(), nb::arg(r.x), nb::arg(r.y), nb::kw_only(),
             "beta"_a = Scalar(1), "alpha"_a = Scalar(1));
  }
  const auto linear_row = [](const Tensor& input, const Tensor& weight, const std::optional<Tensor>& bias) {
    return linear(input, weight, bias.value_or(Tensor()));
  };
  b.functional("linear", linear_row,
               "linear(input, weight, bias=None) -> Tensor\n\ninput @ weight.T + bias over the last dim.", "input"_a,
               "weight"_a, "bias"_a = nb::none());
  b.functional(
      "bilinear",
      [](const Tensor& x, const Tensor& y, const Tensor& weight, const std::optional<Tensor>& bias) {
        return bilinear(x, y, weight, bias.value_or(Tensor()));
      },
      "bilinear(input1, input2, weight, bias=None) -> Tensor\n\ninput1 weight[o] input2 + bias[o] over the last dims.",
      "input1"_a, "input2"_a, "weight"_a, "bias"_a = nb::none());
}

}  // namespace norch::python
