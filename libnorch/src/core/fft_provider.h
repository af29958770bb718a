// Where the CPU's Fourier transforms come from.
//
// libnorch has none of its own. Its users bring one: the Python package registers NumPy's pocketfft, which is there
// anyway; a build with FFTW (NORCH_FFTW=ON, for C++ programs) uses that where nothing is registered.
#pragma once

#include <cstdint>

#include "norch/dtype.h"
#include "norch/export.h"

namespace norch {

/// Rows to transform as kernels::fft_rows says. Both are contiguous.
struct FftRows {
  enum class Kind { ComplexToComplex, RealToComplex, ComplexToReal };
  Kind kind;
  DType real;    // Float32 or Float64: the type of the parts
  int64_t rows;
  int64_t n;     // length of the transform
  bool forward;
  const void* in;
  void* out;
};

using FftProvider = void (*)(const FftRows& rows);

/// Sets the function that the CPU's transforms call; it may raise.
NORCH_API void set_fft_provider(FftProvider provider);
/// The one that is set, FFTW's if there is none, null if neither.
FftProvider fft_provider();

}  // namespace norch
