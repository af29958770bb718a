#include "norch/dtype.h"

#include <atomic>

#include "norch/scalar.h"

namespace norch {

namespace {
std::atomic<DType> g_default_dtype{DType::Float32};
}

const char* name(DType t) {
  static constexpr const char* names[kNumDTypes] = {"bool",  "uint8",   "int8",     "int16",   "int32",
                                                    "int64", "float16", "bfloat16", "float32", "float64"};
  return names[static_cast<int>(t)];
}

DType promote_types(DType a, DType b) {
  if (a == b) return a;
  if (a > b) {
    const DType t = a;
    a = b;
    b = t;
  }
  // From here on a < b in enumeration order, so b decides, but for the two pairs in which neither holds the other.
  if (a == DType::UInt8 && b == DType::Int8) return DType::Int16;
  if (a == DType::Float16 && b == DType::BFloat16) return DType::Float32;
  return b;
}

bool can_cast(DType from, DType to) {
  if (is_floating_point(from)) return is_floating_point(to);
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
  if (s.is_floating_point()) return is_floating_point(tensor) ? tensor : default_dtype();
  if (s.is_integral()) return tensor == DType::Bool ? DType::Int64 : tensor;
  return tensor;
}

void append(std::string& s, const Scalar& v) {
  if (v.is_bool())
    detail::append(s, v.to_bool());
  else if (v.is_integral())
    detail::append(s, v.to_int());
  else
    detail::append(s, v.to_double());
}

}  // namespace norch
