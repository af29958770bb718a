// NORCH_KERNEL: from a kernel's name to its implementation for a device.
//
//   NORCH_KERNEL(fill, void(const Plan&, const Scalar&))      // in kernels/copy.h
//
// declares the twins cpu::<isa>::fill (kernels/cpu/copy.cpp, compiled once per instruction set) and cuda::fill
// (kernels/cuda/copy.cu), and the function object kernels::fill, called with the device first:
//
//   kernels::fill(out.device(), plan, value);
//
// The CPU twin is the widest that this machine runs. A missing twin is a link error; without CUDA in the build, a call
// for a CUDA device raises.
#pragma once

#include <utility>

#include "norch/device.h"

#ifndef NORCH_ISA
#define NORCH_ISA baseline
#endif

namespace norch::kernels {

/// The instruction sets that kernels are compiled for, narrowest first.
enum class Isa : int { baseline, avx2, avx512 };

/// The widest one that is both in this build and on this machine; NORCH_ISA=baseline|avx2|avx512 in the environment
/// lowers it. Fixed when first asked.
Isa cpu_isa();

namespace detail {
[[noreturn]] void no_cuda_kernel(const char* name);
/// Makes `device` the current GPU for the calls of a scope.
class DeviceScope {
 public:
  explicit DeviceScope(int device);
  ~DeviceScope();

 private:
  int previous_;
};
}  // namespace detail

template <class Signature>
struct Kernel;

template <class R, class... A>
struct Kernel<R(A...)> {
  const char* name;
  R (*cpu[3])(A...);
  R (*cuda)(A...);

  template <class... B>
  R operator()(Device device, B&&... args) const {
    if (device.is_cpu()) return cpu[static_cast<int>(cpu_isa())](std::forward<B>(args)...);
    if (!cuda) detail::no_cuda_kernel(name);
    detail::DeviceScope scope(device.index);
    return cuda(std::forward<B>(args)...);
  }
};

#if NORCH_HAVE_ISA_BASELINE
#define NORCH_TWIN_BASELINE(name) cpu::baseline::name
#define NORCH_DECLARE_BASELINE(name) namespace baseline { name##_signature name; }
#else
#define NORCH_TWIN_BASELINE(name) nullptr
#define NORCH_DECLARE_BASELINE(name)
#endif
#if NORCH_HAVE_ISA_AVX2
#define NORCH_TWIN_AVX2(name) cpu::avx2::name
#define NORCH_DECLARE_AVX2(name) namespace avx2 { name##_signature name; }
#else
#define NORCH_TWIN_AVX2(name) nullptr
#define NORCH_DECLARE_AVX2(name)
#endif
#if NORCH_HAVE_ISA_AVX512
#define NORCH_TWIN_AVX512(name) cpu::avx512::name
#define NORCH_DECLARE_AVX512(name) namespace avx512 { name##_signature name; }
#else
#define NORCH_TWIN_AVX512(name) nullptr
#define NORCH_DECLARE_AVX512(name)
#endif
#if NORCH_WITH_CUDA
#define NORCH_TWIN_CUDA(name) cuda::name
#else
#define NORCH_TWIN_CUDA(name) nullptr
#endif

#define NORCH_KERNEL(name, ...)                                                                       \
  using name##_signature = __VA_ARGS__;                                                               \
  namespace cpu {                                                                                     \
  NORCH_DECLARE_BASELINE(name) NORCH_DECLARE_AVX2(name) NORCH_DECLARE_AVX512(name)                    \
  }                                                                                                   \
  namespace cuda {                                                                                    \
  name##_signature name;                                                                              \
  }                                                                                                   \
  inline constexpr Kernel<name##_signature> name{                                                     \
      #name, {NORCH_TWIN_BASELINE(name), NORCH_TWIN_AVX2(name), NORCH_TWIN_AVX512(name)}, NORCH_TWIN_CUDA(name)};

}  // namespace norch::kernels
