// NORCH_NARROW_KERNEL: a kernel that gains nothing from the widest registers.
//
// As NORCH_KERNEL (kernels/kernel.h), but machines with AVX-512 run the twin for AVX2: what waits for memory, counts,
// compares or sorts is as fast with it, and a third of the time to compile is saved. Its stems are the
// NORCH_NARROW_KERNEL_STEMS of cmake/NorchKernels.cmake.
#pragma once

#include "kernels/kernel.h"

#if NORCH_HAVE_ISA_AVX2
#define NORCH_TWIN_NARROW(name) NORCH_TWIN_AVX2(name)
#else
#define NORCH_TWIN_NARROW(name) NORCH_TWIN_AVX512(name)
#endif

#define NORCH_NARROW_KERNEL(name, ...)                                                                \
  using name##_signature = __VA_ARGS__;                                                               \
  namespace cpu {                                                                                     \
  NORCH_DECLARE_BASELINE(name) NORCH_DECLARE_AVX2(name) NORCH_DECLARE_AVX512(name)                    \
  }                                                                                                   \
  namespace cuda {                                                                                    \
  name##_signature name;                                                                              \
  }                                                                                                   \
  inline constexpr Kernel<name##_signature> name{                                                     \
      #name, {NORCH_TWIN_BASELINE(name), NORCH_TWIN_AVX2(name), NORCH_TWIN_NARROW(name)}, NORCH_TWIN_CUDA(name)};
