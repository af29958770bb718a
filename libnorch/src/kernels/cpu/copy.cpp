#include "kernels/copy.h"

#include <cstring>

#include "kernels/cpu/loops.h"

namespace norch::kernels::cpu::NORCH_ISA {

namespace {

template <class To, class From>
To convert(From v) {
  // A negative float becomes an unsigned integer by way of int64, as in PyTorch: C++ leaves the direct way undefined.
  if constexpr (std::is_same_v<To, uint8_t> && is_floating_point(dtype_of<From>))
    return static_cast<To>(static_cast<int64_t>(static_cast<ComputeType<From>>(v)));
  else if constexpr (std::is_same_v<To, bool>)
    return static_cast<ComputeType<From>>(v) != 0;
  else
    return static_cast<To>(static_cast<ComputeType<To>>(static_cast<ComputeType<From>>(v)));
}

template <class To, class From>
void cast_loop(char* const* data, const int64_t* strides, int64_t n, const void*) {
  if (strides[0] == sizeof(To) && strides[1] == sizeof(From)) {
    To* out = reinterpret_cast<To*>(data[0]);
    const From* in = reinterpret_cast<const From*>(data[1]);
#pragma omp simd
    for (int64_t i = 0; i < n; ++i) out[i] = convert<To>(in[i]);
    return;
  }
  for (int64_t i = 0; i < n; ++i)
    *reinterpret_cast<To*>(data[0] + i * strides[0]) =
        convert<To>(*reinterpret_cast<const From*>(data[1] + i * strides[1]));
}

template <class U>
void move_loop(char* const* data, const int64_t* strides, int64_t n, const void*) {
  if (strides[0] == sizeof(U) && strides[1] == sizeof(U)) {
    std::memmove(data[0], data[1], static_cast<size_t>(n) * sizeof(U));
    return;
  }
  for (int64_t i = 0; i < n; ++i)
    *reinterpret_cast<U*>(data[0] + i * strides[0]) = *reinterpret_cast<const U*>(data[1] + i * strides[1]);
}

template <class U>
void fill_loop(char* const* data, const int64_t* strides, int64_t n, const void* context) {
  const U v = *static_cast<const U*>(context);
  if (strides[0] == sizeof(U)) {
    U* out = reinterpret_cast<U*>(data[0]);
    for (int64_t i = 0; i < n; ++i) out[i] = v;
    return;
  }
  for (int64_t i = 0; i < n; ++i) *reinterpret_cast<U*>(data[0] + i * strides[0]) = v;
}

}  // namespace

void copy(const Plan& plan) {
  if (plan.dtype[0] == plan.dtype[1]) {
    visit_width(plan.dtype[0], [&](auto tag) { for_each(plan, move_loop<typename decltype(tag)::type>, nullptr); });
    return;
  }
  visit_all(plan.dtype[0], [&](auto to) {
    visit_all(plan.dtype[1], [&](auto from) {
      for_each(plan, cast_loop<typename decltype(to)::type, typename decltype(from)::type>, nullptr);
    });
  });
}

void fill(const Plan& plan, const Scalar& value) {
  visit_all(plan.dtype[0], [&](auto tag) {
    using T = typename decltype(tag)::type;
    const T v = value.to<T>();
    for_each(plan, fill_loop<T>, &v);
  });
}

}  // namespace norch::kernels::cpu::NORCH_ISA
