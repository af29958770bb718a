// A number of any dtype category, as an operand of an op.
#pragma once

#include <cstdint>
#include <string>
#include <type_traits>

#include "norch/dtype.h"

namespace norch {

/// A bool, integer, floating-point or complex number. In promotion a Scalar only raises the category (bool < integer <
/// float < complex) of the tensor it meets, never its width, as a Python number does in PyTorch.
class NORCH_API Scalar {
 public:
  enum class Kind : uint8_t { Bool, Int, Float, Complex };

  Scalar() : Scalar(int64_t{0}) {}
  Scalar(bool v) : kind_(Kind::Bool) { v_.i = v; }
  template <class T, std::enable_if_t<std::is_integral_v<T> && !std::is_same_v<T, bool>, int> = 0>
  Scalar(T v) : kind_(Kind::Int) {
    v_.i = static_cast<int64_t>(v);
    if constexpr (std::is_unsigned_v<T> && sizeof(T) == 8) above_int64_ = v_.i < 0;
  }
  Scalar(double v) : kind_(Kind::Float) { v_.d = v; }
  Scalar(float v) : Scalar(static_cast<double>(v)) {}
  Scalar(Half v) : Scalar(static_cast<float>(v)) {}
  Scalar(BFloat16 v) : Scalar(static_cast<float>(v)) {}
  /// From norch::Complex or std::complex.
  template <class Z, class = decltype(std::declval<const Z&>().imag())>
  Scalar(const Z& z) : imag_(static_cast<double>(z.imag())), kind_(Kind::Complex) {
    v_.d = static_cast<double>(z.real());
  }

  Kind kind() const { return kind_; }
  bool is_complex() const { return kind_ == Kind::Complex; }
  bool is_floating_point() const { return kind_ == Kind::Float; }
  bool is_integral() const { return kind_ == Kind::Int; }
  bool is_bool() const { return kind_ == Kind::Bool; }
  /// Whether an integer of at least 2^63, which only uint64 holds.
  bool above_int64() const { return above_int64_; }

  /// The value converted as C++ converts numbers (float to integer truncates; bool is "not zero").
  /// \throws Error for a complex number with an imaginary part, unless T is complex or bool.
  template <class T>
  T to() const {
    if constexpr (is_complex_v<T>) {
      using R = typename T::value_type;
      return T(kind_ == Kind::Complex ? static_cast<R>(v_.d) : to<R>(), static_cast<R>(imag_));
    } else if constexpr (std::is_same_v<T, bool>) {
      return holds_double() ? v_.d != 0 || imag_ != 0 : v_.i != 0;
    } else if constexpr (std::is_same_v<T, Half> || std::is_same_v<T, BFloat16>) {
      return T(to<float>());
    } else {
      if (imag_ != 0) has_imaginary_part();
      if (above_int64_) return static_cast<T>(static_cast<uint64_t>(v_.i));
      return holds_double() ? static_cast<T>(v_.d) : static_cast<T>(v_.i);
    }
  }
  double to_double() const { return to<double>(); }
  int64_t to_int() const { return to<int64_t>(); }
  bool to_bool() const { return to<bool>(); }
  Complex<double> to_complex() const { return to<Complex<double>>(); }
  /// The real part of a complex number; any other number itself.
  Scalar real() const { return kind_ == Kind::Complex ? Scalar(v_.d) : *this; }

  /// The dtype a 0-d tensor of this number has: bool, int64 (uint64 where only that holds it), the default float dtype
  /// or its complex type.
  DType dtype() const {
    switch (kind_) {
      case Kind::Bool: return DType::Bool;
      case Kind::Int: return above_int64_ ? DType::UInt64 : DType::Int64;
      case Kind::Float: return default_dtype();
      default: return norch::to_complex(default_dtype());
    }
  }

 private:
  bool holds_double() const { return kind_ >= Kind::Float; }
  [[noreturn]] static void has_imaginary_part();

  union {
    double d;   // Float; the real part of Complex
    int64_t i;  // Bool, Int (above_int64_: the bits of a uint64_t)
  } v_;
  double imag_ = 0;
  Kind kind_;
  bool above_int64_ = false;
};

/// The dtype of `tensor op scalar`: the tensor's dtype unless the scalar is of a higher category.
NORCH_API DType promote_scalar(DType tensor, const Scalar& s);
NORCH_API void append(std::string& s, const Scalar& v);

}  // namespace norch
