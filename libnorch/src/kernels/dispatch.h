// From a run-time dtype to a compile-time type.
#pragma once

#include "norch/dtype.h"

namespace norch {

template <class T>
struct TypeTag {
  using type = T;
};

/// Sixteen bytes, to be moved as they are.
struct Bits128 {
  uint64_t half[2];
};

namespace detail {
/// \throws NotImplementedError: the op that asked has no kernel for this dtype.
[[noreturn]] NORCH_API void no_kernel_for(DType t);
}  // namespace detail

/// Calls f(TypeTag<T>) for the C++ type of `t`, any of the fifteen: for code on the host that takes single elements. A
/// kernel that moves elements goes by visit_width, one that computes by one of the others.
template <class F>
decltype(auto) visit_any(DType t, F&& f) {
  switch (t) {
    case DType::Bool: return f(TypeTag<bool>{});
    case DType::UInt8: return f(TypeTag<uint8_t>{});
    case DType::UInt16: return f(TypeTag<uint16_t>{});
    case DType::UInt32: return f(TypeTag<uint32_t>{});
    case DType::UInt64: return f(TypeTag<uint64_t>{});
    case DType::Int8: return f(TypeTag<int8_t>{});
    case DType::Int16: return f(TypeTag<int16_t>{});
    case DType::Int32: return f(TypeTag<int32_t>{});
    case DType::Int64: return f(TypeTag<int64_t>{});
    case DType::Float16: return f(TypeTag<Half>{});
    case DType::BFloat16: return f(TypeTag<BFloat16>{});
    case DType::Float32: return f(TypeTag<float>{});
    case DType::Float64: return f(TypeTag<double>{});
    case DType::Complex64: return f(TypeTag<Complex<float>>{});
    default: return f(TypeTag<Complex<double>>{});
  }
}

/// Calls f(TypeTag<T>) for the C++ type of `t`, one of the ten that every op computes with. The others are left out
/// because each costs compile time in every kernel: complex numbers have kernels of their own (visit_complex), and
/// uint16, uint32 and uint64 are computed in other integer types. \throws NotImplementedError for those five.
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
    case DType::Float64: return f(TypeTag<double>{});
    default: detail::no_kernel_for(t);
  }
}

/// As visit_all for complex64 and complex128. \throws NotImplementedError, naming `op`, for others.
template <class F>
decltype(auto) visit_complex(const char* op, DType t, F&& f) {
  switch (t) {
    case DType::Complex64: return f(TypeTag<Complex<float>>{});
    case DType::Complex128: return f(TypeTag<Complex<double>>{});
    default: NORCH_RAISE(NotImplementedError, op, ": not implemented for ", t, "; convert to a complex dtype");
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

/// Calls f with the unsigned integer type of the same width (Bits128 for complex128): for kernels that only move
/// elements.
template <class F>
decltype(auto) visit_width(DType t, F&& f) {
  switch (itemsize(t)) {
    case 1: return f(TypeTag<uint8_t>{});
    case 2: return f(TypeTag<uint16_t>{});
    case 4: return f(TypeTag<uint32_t>{});
    case 8: return f(TypeTag<uint64_t>{});
    default: return f(TypeTag<Bits128>{});
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
