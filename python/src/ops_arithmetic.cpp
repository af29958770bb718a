// Elementwise ops of two and three tensors or numbers.
#include "bind.h"
#include "norch/ops.h"

namespace norch::python {

namespace {

using Binary = Tensor (*)(const Tensor&, const Tensor&);

/// Which operands of a function may be Python numbers: none, the second, one of the two, or both.
enum class Numbers { None, Second, One, Both };

struct BinaryRow {
  const char* name;
  Binary f;
  Binary in_place;  // null where PyTorch has none
  Numbers numbers;
  const char* doc;
};

// The last three are an example: the elements of two tensors, and what is printed.
#define DOC(name, doc, a, b, printed)                                                             \
  #name "(input, other, *, out=None) -> Tensor\n\n" doc                                           \
        " The operands broadcast and promote to one dtype.\n\n>>> norch." #name "(norch.tensor(" a \
        "), norch.tensor(" b "))\n" printed
#define ROW(name, numbers, doc, a, b, printed) \
  {#name, &norch::name, &norch::name##_, numbers, DOC(name, doc, a, b, printed)}
#define ROW_OUT_OF_PLACE(name, doc, a, b, printed) \
  {#name, &norch::name, nullptr, Numbers::None, DOC(name, doc, a, b, printed)}
const BinaryRow binary_rows[] = {
    ROW(mul, Numbers::Both, "input * other.", "[1.0, 2.0]", "[3.0, 1.0]", "tensor([3., 2.])"),
    ROW(floor_divide, Numbers::Both, "input / other rounded down.", "[7.0, -7.0]", "[2.0, 2.0]", "tensor([ 3., -4.])"),
    ROW(remainder, Numbers::One, "The rest of the division, with the divisor's sign.", "[7.0, -7.0]", "[2.0, 2.0]",
        "tensor([1., 1.])"),
    ROW(fmod, Numbers::Second, "The rest of the division, with the dividend's sign.", "[7.0, -7.0]", "[2.0, 2.0]",
        "tensor([ 1., -1.])"),
    ROW(copysign, Numbers::Second, "|input| with the sign of other.", "[7.0, -7.0]", "[2.0, 2.0]", "tensor([7., 7.])"),
    ROW(xlogy, Numbers::One, "input * log(other), 0 where input is 0.", "[1.0, 2.0]", "[3.0, 1.0]",
        "tensor([1.0986, 0.0000])"),
    ROW(eq, Numbers::Second, "input == other.", "[1.0, 2.0]", "[3.0, 1.0]", "tensor([False, False])"),
    ROW(ne, Numbers::Second, "input != other.", "[1.0, 2.0]", "[3.0, 1.0]", "tensor([True, True])"),
    ROW(lt, Numbers::Second, "input < other.", "[1.0, 2.0]", "[3.0, 1.0]", "tensor([ True, False])"),
    ROW(le, Numbers::Second, "input <= other.", "[1.0, 2.0]", "[3.0, 1.0]", "tensor([ True, False])"),
    ROW(gt, Numbers::Second, "input > other.", "[1.0, 2.0]", "[3.0, 1.0]", "tensor([False,  True])"),
    ROW(ge, Numbers::Second, "input >= other.", "[1.0, 2.0]", "[3.0, 1.0]", "tensor([False,  True])"),
    ROW(bitwise_and, Numbers::One, "Bitwise and.", "[6, 5]", "[3, 1]", "tensor([2, 1])"),
    ROW(bitwise_or, Numbers::One, "Bitwise or.", "[6, 5]", "[3, 1]", "tensor([7, 5])"),
    ROW(bitwise_xor, Numbers::One, "Bitwise exclusive or.", "[6, 5]", "[3, 1]", "tensor([5, 4])"),
    ROW(bitwise_left_shift, Numbers::One, "input * 2^other.", "[6, 5]", "[3, 1]", "tensor([48, 10])"),
    ROW(bitwise_right_shift, Numbers::One, "input / 2^other rounded down.", "[6, 5]", "[3, 1]", "tensor([0, 2])"),
    ROW(atan2, Numbers::None, "The angle of the point (other, input).", "[1.0, 2.0]", "[3.0, 1.0]",
        "tensor([0.3218, 1.1071])"),
    ROW(hypot, Numbers::None, "sqrt(input^2 + other^2).", "[3.0, 6.0]", "[4.0, 8.0]", "tensor([ 5., 10.])"),
    ROW(nextafter, Numbers::None, "The next number after input towards other.", "[1.0, 2.0]", "[3.0, 1.0]",
        "tensor([1.0000, 2.0000])"),
    ROW(logical_and, Numbers::None, "Whether both are non-zero.", "[True, False]", "[True, True]",
        "tensor([ True, False])"),
    ROW(logical_or, Numbers::None, "Whether either is non-zero.", "[True, False]", "[True, True]",
        "tensor([True, True])"),
    ROW(logical_xor, Numbers::None, "Whether one of them is non-zero.", "[True, False]", "[True, True]",
        "tensor([False,  True])"),
    ROW_OUT_OF_PLACE(maximum, "The larger; NaN if either is.", "[1.0, 2.0]", "[3.0, 1.0]", "tensor([3., 2.])"),
    ROW_OUT_OF_PLACE(minimum, "The smaller; NaN if either is.", "[1.0, 2.0]", "[3.0, 1.0]", "tensor([1., 1.])"),
    ROW_OUT_OF_PLACE(fmax, "The larger; a number wins over NaN.", "[1.0, 2.0]", "[3.0, 1.0]", "tensor([3., 2.])"),
    ROW_OUT_OF_PLACE(fmin, "The smaller; a number wins over NaN.", "[1.0, 2.0]", "[3.0, 1.0]", "tensor([1., 1.])"),
    ROW_OUT_OF_PLACE(logaddexp, "log(exp(input) + exp(other)).", "[1.0, 2.0]", "[3.0, 1.0]",
        "tensor([3.1269, 2.3133])"),
    ROW_OUT_OF_PLACE(logaddexp2, "log2(2^input + 2^other).", "[1.0, 2.0]", "[3.0, 1.0]", "tensor([3.3219, 2.5850])"),
};
#undef ROW
#undef ROW_OUT_OF_PLACE
#undef DOC

void check_one_tensor(const char* op, const Tensor& x, const Tensor& y) {
  NORCH_CHECK_TYPE(!(x.is_wrapped_number() && y.is_wrapped_number()), op,
                   "(): one of the operands must be a Tensor, but both are numbers");
}

void bind_binary_rows(Binder& b) {
  for (const BinaryRow& row : binary_rows) {
    const char* in_place_doc = "The same, written into the tensor.";
    const std::string in_place = std::string(row.name) + "_";
    if (row.numbers != Numbers::None) {
      if (row.numbers == Numbers::Second)
        b.function(
            row.name, [f = row.f](const Tensor& x, const Operand& y) { return f(x, y); }, row.doc, "input"_a, "other"_a);
      else
        b.function(
            row.name,
            [row](const Operand& x, const Operand& y) {
              if (row.numbers == Numbers::One) check_one_tensor(row.name, x, y);
              return row.f(x, y);
            },
            row.doc, "input"_a, "other"_a);
      b.method(
          row.name, [f = row.f](const Tensor& x, const Operand& y) { return f(x, y); }, row.doc, "other"_a);
      b.method(
          in_place.c_str(), [f = row.in_place](const Tensor& x, const Operand& y) { return f(x, y); }, in_place_doc,
          "other"_a);
    } else {
      b.op(row.name, row.f, row.doc, "input"_a, "other"_a);
      if (row.in_place) b.method(in_place.c_str(), row.in_place, in_place_doc, "other"_a);
    }
  }
}

using Scaled = Tensor (*)(const Tensor&, const Tensor&, const Scalar&);

void bind_scaled(Binder& b, const char* name, const char* doc, Scaled f, Scaled in_place) {
  b.function(
      name,
      [f](const Operand& x, const Operand& y, const Scalar& alpha) { return f(x, y, alpha); }, doc, "input"_a,
      "other"_a, nb::kw_only(), "alpha"_a = 1);
  b.method(
      name, [f](const Tensor& x, const Operand& y, const Scalar& alpha) { return f(x, y, alpha); }, doc, "other"_a,
      nb::kw_only(), "alpha"_a = 1);
  b.method(
      (std::string(name) + "_").c_str(),
      [in_place](const Tensor& x, const Operand& y, const Scalar& alpha) { return in_place(x, y, alpha); },
      "The same, written into the tensor.", "other"_a, nb::kw_only(), "alpha"_a = 1);
  // PyTorch's old spelling, the factor before the tensor.
  b.op(
      name, [f](const Tensor& x, const Scalar& alpha, const Tensor& y) { return f(x, y, alpha); },
      "The old spelling.", "input"_a, "alpha"_a, "other"_a);
  b.method(
      (std::string(name) + "_").c_str(),
      [in_place](const Tensor& x, const Scalar& alpha, const Tensor& y) { return in_place(x, y, alpha); },
      "The old spelling.", "alpha"_a, "other"_a);
}

using Ternary = Tensor (*)(const Tensor&, const Tensor&, const Tensor&, const Scalar&);

/// addcmul and addcdiv, and their old spelling.
void bind_fused(Binder& b, const char* name, const char* doc, Ternary f, Ternary in_place) {
  const std::string name_ = std::string(name) + "_";
  b.op(name, f, doc, "input"_a, "tensor1"_a, "tensor2"_a, nb::kw_only(), "value"_a = 1);
  b.method(name_.c_str(), in_place, "The same, written into the tensor.", "tensor1"_a, "tensor2"_a, nb::kw_only(),
           "value"_a = 1);
  b.op(
      name,
      [f](const Tensor& x, const Scalar& value, const Tensor& y, const Tensor& z) { return f(x, y, z, value); },
      "The old spelling.", "input"_a, "value"_a, "tensor1"_a, "tensor2"_a);
  b.method(
      name_.c_str(),
      [in_place](const Tensor& x, const Scalar& value, const Tensor& y, const Tensor& z) {
        return in_place(x, y, z, value);
      },
      "The old spelling.", "value"_a, "tensor1"_a, "tensor2"_a);
}

using Mode = std::optional<std::string>;
std::optional<std::string_view> view(const Mode& mode) {
  return mode ? std::optional<std::string_view>(*mode) : std::nullopt;
}

void bind_arithmetic(Binder& b) {
  bind_scaled(b, "add", "add(input, other, *, alpha=1, out=None) -> Tensor\n\ninput + alpha * other.", &add, &add_);
  bind_scaled(b, "sub", "sub(input, other, *, alpha=1, out=None) -> Tensor\n\ninput - alpha * other.", &sub, &sub_);
  b.op(
      "rsub", [](const Tensor& x, const Operand& y, const Scalar& alpha) { return rsub(x, y, alpha); },
      "rsub(input, other, alpha=1) -> Tensor\n\nother - alpha * input.", "input"_a, "other"_a, "alpha"_a = 1);

  const char* div_doc =
      "div(input, other, *, rounding_mode=None, out=None) -> Tensor\n\ninput / other; rounding_mode 'trunc' or 'floor' "
      "rounds the quotient.";
  b.function(
      "div",
      [](const Operand& x, const Operand& y, const Mode& mode) { return div(x, y, view(mode)); }, div_doc, "input"_a,
      "other"_a, nb::kw_only(), "rounding_mode"_a = nb::none());
  b.method(
      "div", [](const Tensor& x, const Operand& y, const Mode& mode) { return div(x, y, view(mode)); }, div_doc,
      "other"_a, nb::kw_only(), "rounding_mode"_a = nb::none());
  b.method(
      "div_", [](const Tensor& x, const Operand& y, const Mode& mode) { return div_(x, y, view(mode)); },
      "The same, written into the tensor.", "other"_a, nb::kw_only(), "rounding_mode"_a = nb::none());

  const std::pair<const char*, Binary> powers[] = {{"pow", &norch::pow}, {"float_power", &norch::float_power}};
  for (auto& [name, f] : powers) {
    b.function(
        name,
        [name = name, f = f](const Operand& x, const Operand& y) {
          check_one_tensor(name, x, y);
          return f(x, y);
        },
        "pow(input, exponent, *, out=None) -> Tensor\n\ninput to the power exponent (float_power: in float64).",
        "input"_a, "exponent"_a);
    b.method(
        name, [f = f](const Tensor& x, const Operand& y) { return f(x, y); }, "pow(exponent) -> Tensor", "exponent"_a);
  }
  b.method(
      "pow_", [](const Tensor& x, const Operand& y) { return pow_(x, y); }, "pow_(exponent) -> Tensor", "exponent"_a);
  b.method(
      "float_power_", [](const Tensor& x, const Operand& y) { return float_power_(x, y); },
      "float_power_(exponent) -> Tensor", "exponent"_a);

  const char* close_doc =
      "isclose(input, other, rtol=1e-05, atol=1e-08, equal_nan=False) -> Tensor\n\n|input - other| <= atol + rtol * "
      "|other|; allclose tells whether that holds everywhere.";
  b.op("isclose", &isclose, close_doc, "input"_a, "other"_a, "rtol"_a = 1e-5, "atol"_a = 1e-8, "equal_nan"_a = false);
  b.op("allclose", &allclose, close_doc, "input"_a, "other"_a, "rtol"_a = 1e-5, "atol"_a = 1e-8, "equal_nan"_a = false);
  b.op("equal", &equal, "equal(input, other) -> bool\n\nWhether shapes and all elements are equal.", "input"_a,
       "other"_a);
}

const Tensor& or_none(const std::optional<Operand>& t) {
  static const Tensor none;
  return t ? t->tensor : none;
}

void bind_ternary(Binder& b) {
  b.function(
      "where", [](const Tensor& c, const Operand& x, const Operand& y) { return where(c, x, y); },
      "where(condition, input, other) -> Tensor\n\ninput where the condition holds, other elsewhere.", "condition"_a,
      "input"_a, "other"_a);
  b.method(
      "where", [](const Tensor& x, const Tensor& c, const Operand& y) { return where(c, x, y); },
      "where(condition, other) -> Tensor\n\nThis tensor where the condition holds, other elsewhere.", "condition"_a,
      "other"_a);
  b.op(
      "masked_fill", [](const Tensor& x, const Tensor& mask, const Operand& v) { return masked_fill(x, mask, v); },
      "masked_fill(input, mask, value) -> Tensor\n\n`value` where the bool mask holds.", "input"_a, "mask"_a, "value"_a);
  b.method(
      "masked_fill_", [](const Tensor& x, const Tensor& mask, const Operand& v) { return masked_fill_(x, mask, v); },
      "masked_fill_(mask, value) -> Tensor", "mask"_a, "value"_a);

  using Limit = std::optional<Operand>;
  const char* clamp_doc = "clamp(input, min=None, max=None) -> Tensor\n\ninput limited to [min, max]: numbers or tensors.";
  b.function(
      "clamp",
      [](const Tensor& x, const Limit& l, const Limit& h) { return clamp(x, or_none(l), or_none(h)); }, clamp_doc,
      "input"_a, "min"_a = nb::none(), "max"_a = nb::none());
  b.method(
      "clamp", [](const Tensor& x, const Limit& l, const Limit& h) { return clamp(x, or_none(l), or_none(h)); },
      clamp_doc, "min"_a = nb::none(), "max"_a = nb::none());
  b.method(
      "clamp_", [](const Tensor& x, const Limit& l, const Limit& h) { return clamp_(x, or_none(l), or_none(h)); },
      clamp_doc, "min"_a = nb::none(), "max"_a = nb::none());
  b.op(
      "clamp_min", [](const Tensor& x, const Operand& min) { return clamp_min(x, min); },
      "clamp_min(input, min) -> Tensor", "input"_a, "min"_a);
  b.op(
      "clamp_max", [](const Tensor& x, const Operand& max) { return clamp_max(x, max); },
      "clamp_max(input, max) -> Tensor", "input"_a, "max"_a);
  b.op(
      "clamp_min_", [](const Tensor& x, const Operand& min) { return clamp_min_(x, min); },
      "clamp_min_(input, min) -> Tensor", "input"_a, "min"_a);
  b.op(
      "clamp_max_", [](const Tensor& x, const Operand& max) { return clamp_max_(x, max); },
      "clamp_max_(input, max) -> Tensor", "input"_a, "max"_a);

  b.op(
      "lerp", [](const Tensor& x, const Tensor& end, const Operand& w) { return lerp(x, end, w); },
      "lerp(input, end, weight) -> Tensor\n\ninput + weight * (end - input).", "input"_a, "end"_a, "weight"_a);
  b.method(
      "lerp_", [](const Tensor& x, const Tensor& end, const Operand& w) { return lerp_(x, end, w); },
      "lerp_(end, weight) -> Tensor", "end"_a, "weight"_a);
  bind_fused(b, "addcmul", "addcmul(input, tensor1, tensor2, *, value=1) -> Tensor\n\ninput + value * tensor1 * tensor2.",
             &addcmul, &addcmul_);
  bind_fused(b, "addcdiv", "addcdiv(input, tensor1, tensor2, *, value=1) -> Tensor\n\ninput + value * tensor1 / tensor2.",
             &addcdiv, &addcdiv_);
}

}  // namespace

void bind_binary_ops(Binder& b) {
  bind_binary_rows(b);
  bind_arithmetic(b);
  bind_ternary(b);
}

}  // namespace norch::python
