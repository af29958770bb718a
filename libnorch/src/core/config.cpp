#include "norch/config.h"

#include "kernels/cpu/blas.h"
#include "kernels/kernel.h"
#include "norch/version.h"

#if defined(NORCH_BLAS_OPENBLAS)
extern "C" char* NORCH_BLAS(openblas_get_config)();
#endif

namespace norch {

namespace {

const char* name_of(kernels::Isa isa) {
  switch (isa) {
    case kernels::Isa::avx512: return "avx512";
    case kernels::Isa::avx2: return "avx2";
    default: return "baseline";
  }
}

const char* compiler() {
#if defined(__clang__)
  return "Clang " __clang_version__;
#elif defined(__GNUC__)
  return "GCC " __VERSION__;
#else
  return "unknown";
#endif
}

}  // namespace

std::vector<std::pair<std::string, std::string>> configuration() {
  std::string sets;
#if NORCH_HAVE_ISA_BASELINE
  sets += " baseline";
#endif
#if NORCH_HAVE_ISA_AVX2
  sets += " avx2";
#endif
#if NORCH_HAVE_ISA_AVX512
  sets += " avx512";
#endif
  if (!sets.empty()) sets.erase(0, 1);
  std::string blas;
#if defined(NORCH_BLAS_OPENBLAS)
  blas = NORCH_BLAS(openblas_get_config)();
  while (!blas.empty() && blas.back() == ' ') blas.pop_back();
#endif
#if NORCH_HAVE_LIBMVEC
  const char* vector_maths = "libmvec";
#else
  const char* vector_maths = "none";
#endif
  return {{"version", version()},
          {"compiler", compiler()},
          {"C++ standard", std::to_string(__cplusplus)},
          {"build type", NORCH_CONFIG_BUILD_TYPE},
          {"flags", NORCH_CONFIG_FLAGS},
          {"BLAS", blas},
          {"BLAS library", NORCH_CONFIG_BLAS},
          {"instruction sets", sets},
          {"instruction set", name_of(kernels::cpu_isa())},
          {"vector maths", vector_maths},
          {"CUDA", NORCH_CONFIG_CUDA}};
}

}  // namespace norch
