#include "core/fits.h"

#include <cmath>
#include <limits>

#include "norch/error.h"

namespace norch {

namespace {

bool is_unsigned(DType type) { return is_integral(type) && !is_signed(type); }

double largest(DType type) {
  switch (type) {
    case DType::Float16: return 65504;
    case DType::BFloat16: return 3.3895313892515355e38;
    case DType::Float32: return std::numeric_limits<float>::max();
    case DType::Float64: return std::numeric_limits<double>::max();
    default: {
      const int bits = static_cast<int>(8 * itemsize(type)) - (is_unsigned(type) ? 0 : 1);
      return std::ldexp(1.0, bits) - 1;  // of 64 bits: the power of two itself, which a double holds
    }
  }
}

bool in_range(double v, DType type) {
  if (is_floating_point(type)) return !std::isfinite(v) || std::fabs(v) <= largest(type);
  if (std::isnan(v)) return false;
  const double most = largest(type);
  return v <= most && v >= (is_unsigned(type) ? -most : -most - 1);
}

}  // namespace

void check_fits(const Scalar& v, DType type) {
  if (type == DType::Bool) return;
  bool fits = true;
  if (v.is_complex()) {
    const Complex<double> z = v.to_complex();
    fits = is_complex(type) ? in_range(z.real(), to_real(type)) && in_range(z.imag(), to_real(type))
                            : z.imag() != 0 || in_range(z.real(), type);  // an imaginary part: Scalar::to says so
  } else if (!v.is_bool()) {
    const DType part = is_complex(type) ? to_real(type) : type;
    if (part == DType::Int64 && v.is_integral())
      fits = !v.above_int64();
    else if (part == DType::Float64 || (part == DType::UInt64 && v.is_integral()))
      return;
    else
      fits = in_range(v.above_int64() ? static_cast<double>(v.to<uint64_t>()) : v.to_double(), part);
  }
  NORCH_CHECK(fits, "value cannot be converted to type ", type, " without overflow: ", v);
}

void check_fits(const Tensor& operand, DType type) {
  if (operand.is_wrapped_number() && operand.is_cpu()) check_fits(operand.item(), type);
}

}  // namespace norch
