// From a run-time dtype to a compile-time type.
#pragma once

#include "norch/dtype.h"

namespace norch {

template <class T>
struct TypeTag {
  using type = T;
};

/// Calls f(TypeTag<T>) for the C++ type of `t`, any of the ten.
template <class F>
decltype(auto) visit_all(DType t, F&& f) {
  switch (t) {
    case DType::Bool: return f(TypeTag<bool>{});
    case DType::UInt8: return f(TypeTag<uint8_t>{});
    case DType::Int8: return f(TypeTag<int8_t>{});
    case DType::Int16: return f(TypeTag<int16_t>{});
    case DType::Int32: return f(TypeTag<int32_t>{});
    case DType::Int64: return f(TypeTag<int64_t>{});
    case DType::Float16: return f(TypeTag<Half>{});
    case DType::BFloat16: return f(TypeTag<BFloat16>{});
    case DType::Float32: return f(TypeTag<float>{});
    default: return f(TypeTag<double>{});
  }
}

/// As visit_all for the four float types. \throws NotImplementedError, naming `op`, for others.
template <class F>
decltype(auto) visit_float(const char* op, DType t, F&& f) {
  switch (t) {
    case DType::Float16: return f(TypeTag<Half>{});
    case DType::BFloat16: return f(TypeTag<BFloat16>{});
    case DType::Float32: return f(TypeTag<float>{});
    case DType::Float64: return f(TypeTag<double>{});
    default: NORCH_RAISE(NotImplementedError, op, ": not implemented for ", t, "; convert to a floating-point dtype");
  }
}

/// As visit_all for all but bool. \throws NotImplementedError for bool.
template <class F>
decltype(auto) visit_numbers(const char* op, DType t, F&& f) {
  if (t == DType::Bool) NORCH_RAISE(NotImplementedError, op, ": not implemented for bool; convert to an integer dtype");
  return visit_all(t, [&](auto tag) -> decltype(auto) {
    using T = typename decltype(tag)::type;
    if constexpr (std::is_same_v<T, bool>)
      return f(TypeTag<uint8_t>{});  // never reached; keeps bool from being instantiated
    else
      return f(tag);
  });
}

/// As visit_all for bool and the integers. \throws NotImplementedError for floats.
template <class F>
decltype(auto) visit_integral(const char* op, DType t, F&& f) {
  switch (t) {
    case DType::Bool: return f(TypeTag<bool>{});
    case DType::UInt8: return f(TypeTag<uint8_t>{});
    case DType::Int8: return f(TypeTag<int8_t>{});
    case DType::Int16: return f(TypeTag<int16_t>{});
    case DType::Int32: return f(TypeTag<int32_t>{});
    case DType::Int64: return f(TypeTag<int64_t>{});
    default: NORCH_RAISE(NotImplementedError, op, ": not implemented for ", t, "; convert to an integer dtype");
  }
}

/// Calls f with the unsigned integer type of the same width: for kernels that only move elements.
template <class F>
decltype(auto) visit_width(DType t, F&& f) {
  switch (itemsize(t)) {
    case 1: return f(TypeTag<uint8_t>{});
    case 2: return f(TypeTag<uint16_t>{});
    case 4: return f(TypeTag<uint32_t>{});
    default: return f(TypeTag<uint64_t>{});
  }
}

/// The type in which values of T are computed: float for the 16-bit floats, T otherwise.
template <class T>
struct ComputeTypeOf {
  using type = T;
};
template <>
struct ComputeTypeOf<Half> {
  using type = float;
};
template <>
struct ComputeTypeOf<BFloat16> {
  using type = float;
};
template <class T>
using ComputeType = typename ComputeTypeOf<T>::type;

/// The type in which sums of T are kept: double for double, float for the other floats, int64 for integers and bool.
template <class T>
struct SumTypeOf {
  using type = int64_t;
};
template <>
struct SumTypeOf<Half> {
  using type = float;
};
template <>
struct SumTypeOf<BFloat16> {
  using type = float;
};
template <>
struct SumTypeOf<float> {
  using type = float;
};
template <>
struct SumTypeOf<double> {
  using type = double;
};
template <class T>
using SumType = typename SumTypeOf<T>::type;

}  // namespace norch
