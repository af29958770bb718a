#include "kernels/kernel.h"

#include <cstdlib>
#include <string>

#include "core/cuda_runtime.h"

namespace norch::kernels {

namespace {

bool machine_runs(Isa isa) {
  switch (isa) {
#if NORCH_HAVE_ISA_AVX512
    case Isa::avx512:
      return __builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512bw") &&
             __builtin_cpu_supports("avx512dq") && __builtin_cpu_supports("avx512vl") && __builtin_cpu_supports("bmi2");
#endif
#if NORCH_HAVE_ISA_AVX2
    case Isa::avx2:
      return __builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma") && __builtin_cpu_supports("bmi2");
#endif
#if NORCH_HAVE_ISA_BASELINE
    case Isa::baseline: return true;
#endif
    default: return false;
  }
}

Isa choose_isa() {
  Isa limit = Isa::avx512;
  if (const char* wish = std::getenv("NORCH_ISA")) {
    if (std::string(wish) == "avx2") limit = Isa::avx2;
    if (std::string(wish) == "baseline") limit = Isa::baseline;
  }
  for (Isa isa : {Isa::avx512, Isa::avx2, Isa::baseline})
    if (isa <= limit && machine_runs(isa)) return isa;
  for (Isa isa : {Isa::baseline, Isa::avx2, Isa::avx512})
    if (machine_runs(isa)) return isa;
  NORCH_RAISE(Error, "this build of norch has no CPU kernels for this machine's instruction set: rebuild it with "
                     "-DNORCH_CPU_ISA=baseline");
}

}  // namespace

Isa cpu_isa() {
  static const Isa isa = choose_isa();
  return isa;
}

namespace detail {

void no_cuda_kernel(const char* name) {
  NORCH_RAISE(Error, name, ": this build of norch has no CUDA: rebuild with -DNORCH_CUDA=ON (needs the CUDA toolkit)");
}

DeviceScope::DeviceScope(int device) : previous_(cuda::swap_device(device)) {}
DeviceScope::~DeviceScope() { cuda::swap_device(previous_); }

}  // namespace detail
}  // namespace norch::kernels

namespace norch::detail {

void no_kernel_for(DType t) {
  NORCH_RAISE(NotImplementedError, "not implemented for ", t,
              is_complex(t) ? "; take real and imaginary parts (view_as_real)" : "; convert to int32 or int64");
}

}  // namespace norch::detail
