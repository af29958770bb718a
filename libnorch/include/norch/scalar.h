// A number of any dtype category, as an operand of an op.
#pragma once

#include <cstdint>
#include <string>
#include <type_traits>

#include "norch/dtype.h"

namespace norch {

/// A bool, integer or floating-point number. In promotion a Scalar only raises the category (bool < integer < float)
/// of the tensor it meets, never its width, as a Python number does in PyTorch.
class Scalar {
 public:
  enum class Kind : uint8_t { Bool, Int, Float };

  Scalar() : Scalar(int64_t{0}) {}
  Scalar(bool v) : kind_(Kind::Bool) { v_.i = v; }
  template <class T, std::enable_if_t<std::is_integral_v<T> && !std::is_same_v<T, bool>, int> = 0>
  Scalar(T v) : kind_(Kind::Int) {
    v_.i = static_cast<int64_t>(v);
  }
  Scalar(double v) : kind_(Kind::Float) { v_.d = v; }
  Scalar(float v) : Scalar(static_cast<double>(v)) {}
  Scalar(Half v) : Scalar(static_cast<float>(v)) {}
  Scalar(BFloat16 v) : Scalar(static_cast<float>(v)) {}

  Kind kind() const { return kind_; }
  bool is_floating_point() const { return kind_ == Kind::Float; }
  bool is_integral() const { return kind_ == Kind::Int; }
  bool is_bool() const { return kind_ == Kind::Bool; }

  /// The value converted as C++ converts numbers (float to integer truncates; bool is "not zero").
  template <class T>
  T to() const {
    if constexpr (std::is_same_v<T, bool>) {
      return kind_ == Kind::Float ? v_.d != 0 : v_.i != 0;
    } else if constexpr (std::is_same_v<T, Half> || std::is_same_v<T, BFloat16>) {
      return T(to<float>());
    } else {
      return kind_ == Kind::Float ? static_cast<T>(v_.d) : static_cast<T>(v_.i);
    }
  }
  double to_double() const { return to<double>(); }
  int64_t to_int() const { return to<int64_t>(); }
  bool to_bool() const { return to<bool>(); }

  /// The dtype a 0-d tensor of this number has: bool, int64 or the default float dtype.
  DType dtype() const {
    return kind_ == Kind::Bool ? DType::Bool : kind_ == Kind::Int ? DType::Int64 : default_dtype();
  }

 private:
  union {
    double d;
    int64_t i;
  } v_;
  Kind kind_;
};

/// The dtype of `tensor op scalar`: the tensor's dtype unless the scalar is of a higher category.
NORCH_API DType promote_scalar(DType tensor, const Scalar& s);
NORCH_API void append(std::string& s, const Scalar& v);

}  // namespace norch
