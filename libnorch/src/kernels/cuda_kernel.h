// NORCH_CUDA_KERNEL: a kernel for CUDA alone.
//
// As NORCH_KERNEL (kernels/kernel.h), for an op that the CPU does in another way: it must not be called for the CPU.
#pragma once

#include "kernels/kernel.h"

#define NORCH_CUDA_KERNEL(name, ...)    \
  using name##_signature = __VA_ARGS__; \
  namespace cuda {                      \
  name##_signature name;                \
  }                                     \
  inline constexpr Kernel<name##_signature> name{#name, {nullptr, nullptr, nullptr}, NORCH_TWIN_CUDA(name)};
