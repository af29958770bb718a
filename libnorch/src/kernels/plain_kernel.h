// NORCH_PLAIN_KERNEL: a kernel whose CPU twin is compiled once, for any machine.
//
// As NORCH_KERNEL (kernels/kernel.h), but the twin is cpu::NAME. For rarely used dtypes, where wider registers do not
// earn the time to compile their loops once per instruction set. Its files are no kernel stems.
#pragma once

#include "kernels/kernel.h"

#define NORCH_PLAIN_KERNEL(name, ...)           \
  using name##_signature = __VA_ARGS__;         \
  namespace cpu {                               \
  name##_signature name;                        \
  }                                             \
  namespace cuda {                              \
  name##_signature name;                        \
  }                                             \
  inline constexpr Kernel<name##_signature> name{#name, {cpu::name, cpu::name, cpu::name}, NORCH_TWIN_CUDA(name)};
