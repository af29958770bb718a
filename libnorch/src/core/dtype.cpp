#include "norch/dtype.h"

#include <atomic>

#include "norch/scalar.h"

namespace norch {

namespace {
std::atomic<DType> g_default_dtype{DType::Float32};
}

const char* name(DType t) {
  static constexpr const char* names[kNumDTypes] = {
      "bool",  "uint8",   "uint16",   "uint32",  "uint64",  "int8",      "int16",     "int32",
      "int64", "float16", "bfloat16", "float32", "float64", "complex64", "complex128"};
  return names[static_cast<int>(t)];
}

namespace {

constexpr bool is_wide_unsigned(DType t) { return t >= DType::UInt16 && t <= DType::UInt64; }

/// a < b, and a is not signed. The smallest integer type that holds both.
DType promote_unsigned(DType a, DType b) {
  const bool holds = !is_signed(b) || itemsize(b) > itemsize(a);
  if (holds) return b;
  switch (itemsize(a)) {
    case 1: return DType::Int16;
    case 2: return DType::Int32;
    case 4: return DType::Int64;
    default: NORCH_RAISE(Error, "promote_types: no integer type holds both ", a, " and ", b, "; convert one of them");
  }
}

}  // namespace

DType promote_types(DType a, DType b) {
  if (a == b) return a;
  if (a > b) {
    const DType t = a;
    a = b;
    b = t;
  }
  // From here on a < b in enumeration order, so b decides, but for the pairs in which it does not hold a.
  if (is_integral(b)) {
    if (a == DType::Bool) {
      NORCH_CHECK(!is_wide_unsigned(b), "promote_types: Promotion for uint16, uint32, uint64 types is not supported with "
                  "bool, attempted to promote ", a, " and ", b, "; convert one of them");
      return b;
    }
    return is_signed(a) ? b : promote_unsigned(a, b);
  }
  if (a == DType::Float16 && b == DType::BFloat16) return DType::Float32;
  if (is_complex(b)) {
    NORCH_CHECK(!is_wide_unsigned(a), "promote_types: Promotion for uint16, uint32, uint64 types is not supported with "
                "complex numbers, attempted to promote ", a, " and ", b, "; convert one of them");
    if (a == DType::Float64) return DType::Complex128;
  }
  return b;
}

bool can_cast(DType from, DType to) {
  if (is_complex(from)) return is_complex(to);
  if (is_floating_point(from)) return is_differentiable(to);
  if (from != DType::Bool) return to != DType::Bool;
  return true;
}

DType default_dtype() { return g_default_dtype.load(std::memory_order_relaxed); }

void set_default_dtype(DType t) {
  NORCH_CHECK_TYPE(is_floating_point(t), "set_default_dtype: only floating-point types are supported as the default "
                                         "type, got ", t);
  g_default_dtype.store(t, std::memory_order_relaxed);
}

DType promote_scalar(DType tensor, const Scalar& s) {
  if (s.is_complex()) return is_complex(tensor) ? tensor : to_complex(is_integral(tensor, true) ? default_dtype() : tensor);
  if (s.is_floating_point()) return is_differentiable(tensor) ? tensor : default_dtype();
  if (s.is_integral()) return tensor == DType::Bool ? DType::Int64 : tensor;
  return tensor;
}

void Scalar::has_imaginary_part() {
  NORCH_RAISE(Error, "value cannot be converted to a real type without overflow: it is a complex number with an "
                     "imaginary part; take .real() first");
}

void append(std::string& s, const Scalar& v) {
  if (v.is_bool())
    detail::append(s, v.to_bool());
  else if (v.is_complex())
    s += '(' + str(v.to_complex().re, ", ", v.to_complex().im) + ')';
  else if (v.above_int64())
    s += std::to_string(v.to<uint64_t>());
  else if (v.is_integral())
    detail::append(s, v.to_int());
  else
    detail::append(s, v.to_double());
}

}  // namespace norch
