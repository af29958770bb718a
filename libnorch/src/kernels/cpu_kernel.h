// NORCH_CPU_KERNEL: a kernel for the CPU alone.
//
// As NORCH_KERNEL (kernels/kernel.h), for an op that is composed of others on CUDA. Its stems are the
// NORCH_CPU_KERNEL_STEMS of cmake/NorchKernels.cmake.
#pragma once

#include "kernels/kernel.h"

#define NORCH_CPU_KERNEL(name, ...)                                                \
  using name##_signature = __VA_ARGS__;                                            \
  namespace cpu {                                                                  \
  NORCH_DECLARE_BASELINE(name) NORCH_DECLARE_AVX2(name) NORCH_DECLARE_AVX512(name) \
  }                                                                                \
  inline constexpr Kernel<name##_signature> name{                                  \
      #name, {NORCH_TWIN_BASELINE(name), NORCH_TWIN_AVX2(name), NORCH_TWIN_AVX512(name)}, nullptr};
