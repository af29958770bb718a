#include "kernels/fft.h"

#include <atomic>

#include "core/fft_provider.h"

#if defined(NORCH_HAVE_FFTW)
#include <fftw3.h>

#include <limits>
#include <mutex>
#endif

namespace norch {

namespace {

#if defined(NORCH_HAVE_FFTW)

/// FFTW's planner is not thread-safe; execution is. Plans are estimated, so that they depend on sizes alone.
std::mutex g_planner;

#define NORCH_FFTW_RUN(R, x)                                                                                       \
  void run(const FftRows& f, R) {                                                                                  \
    const int n = static_cast<int>(f.n), half = n / 2 + 1, count = static_cast<int>(f.rows);                       \
    constexpr unsigned flags = FFTW_ESTIMATE | FFTW_PRESERVE_INPUT | FFTW_UNALIGNED;                               \
    auto* complex_in = static_cast<x##_complex*>(const_cast<void*>(f.in));                                         \
    auto* real_in = static_cast<R*>(const_cast<void*>(f.in));                                                      \
    auto* complex_out = static_cast<x##_complex*>(f.out);                                                          \
    auto* real_out = static_cast<R*>(f.out);                                                                       \
    x##_plan plan;                                                                                                 \
    {                                                                                                              \
      std::lock_guard<std::mutex> lock(g_planner);                                                                 \
      if (f.kind == FftRows::Kind::ComplexToComplex)                                                               \
        plan = x##_plan_many_dft(1, &n, count, complex_in, nullptr, 1, n, complex_out, nullptr, 1, n,              \
                                 f.forward ? FFTW_FORWARD : FFTW_BACKWARD, flags);                                 \
      else if (f.kind == FftRows::Kind::RealToComplex)                                                             \
        plan = x##_plan_many_dft_r2c(1, &n, count, real_in, nullptr, 1, n, complex_out, nullptr, 1, half, flags);  \
      else                                                                                                         \
        plan = x##_plan_many_dft_c2r(1, &n, count, complex_in, nullptr, 1, half, real_out, nullptr, 1, n, flags);  \
    }                                                                                                              \
    NORCH_CHECK(plan, "fft: FFTW has no plan for length ", f.n);                                                   \
    x##_execute(plan);                                                                                             \
    std::lock_guard<std::mutex> lock(g_planner);                                                                   \
    x##_destroy_plan(plan);                                                                                        \
  }
NORCH_FFTW_RUN(float, fftwf)
NORCH_FFTW_RUN(double, fftw)
#undef NORCH_FFTW_RUN

void by_fftw(const FftRows& f) {
  NORCH_CHECK(f.n <= std::numeric_limits<int>::max() && f.rows <= std::numeric_limits<int>::max(),
              "fft: FFTW counts in 32 bits, got ", f.rows, " transforms of length ", f.n);
  if (f.real == DType::Float32)
    run(f, 0.0f);
  else
    run(f, 0.0);
}
constexpr FftProvider kBuiltIn = by_fftw;

#else
constexpr FftProvider kBuiltIn = nullptr;
#endif

std::atomic<FftProvider> g_provider{nullptr};

}  // namespace

void set_fft_provider(FftProvider provider) { g_provider.store(provider); }

FftProvider fft_provider() {
  const FftProvider registered = g_provider.load();
  return registered ? registered : kBuiltIn;
}

namespace kernels::cpu {

void fft_rows(const Tensor& out, const Tensor& in, bool forward) {
  const FftProvider provider = fft_provider();
  NORCH_CHECK_IMPLEMENTED(provider, "fft: this build of libnorch has no FFT library; configure it with NORCH_FFTW=ON "
                          "(Debian: libfftw3-dev), or use the Python package, which has NumPy's");
  FftRows f;
  f.kind = !in.is_complex() ? FftRows::Kind::RealToComplex
           : out.is_complex() ? FftRows::Kind::ComplexToComplex : FftRows::Kind::ComplexToReal;
  f.real = to_real(in.dtype());
  f.n = in.is_complex() ? out.size(-1) : in.size(-1);
  f.rows = in.numel() / in.size(-1);
  f.forward = forward;
  f.in = in.data_ptr();
  f.out = out.data_ptr();
  provider(f);
}

}  // namespace kernels::cpu
}  // namespace norch
