// Discrete Fourier transforms.
//
// Forward: y[k] = sum over j of x[j] exp(-2 pi i j k / n); the inverse has a plus and divides by n. `norm` says where the
// 1/n goes: "backward" (the default) to the inverse, "forward" to the forward transform, "ortho" 1/sqrt(n) to both.
// `n` cuts the dim, or fills it with zeros at its end, before the transform. Numbers are complex64 and complex128 and
// their real types; integers are taken as the default float dtype. Transforms along several dims go one dim after
// another.
// \throws Error for n < 1, another norm or dtype, IndexError for a dim out of range.
//
//   norch::Tensor spectrum = norch::fft::rfft(norch::randn({8, 1024}));  // complex64[8, 513]
#pragma once

#include <optional>
#include <string>

#include "norch/tensor.h"

namespace norch::fft {

using Norm = std::optional<std::string>;
using Length = std::optional<int64_t>;
using Lengths = std::optional<Shape>;

// ---- along one dim

NORCH_API Tensor fft(const Tensor& x, Length n = {}, int64_t dim = -1, const Norm& norm = {});
NORCH_API Tensor ifft(const Tensor& x, Length n = {}, int64_t dim = -1, const Norm& norm = {});
/// The first n / 2 + 1 numbers of fft of a real tensor; the others are their conjugates.
NORCH_API Tensor rfft(const Tensor& x, Length n = {}, int64_t dim = -1, const Norm& norm = {});
/// The inverse of rfft: real, of length n (by default 2 * (size - 1)).
NORCH_API Tensor irfft(const Tensor& x, Length n = {}, int64_t dim = -1, const Norm& norm = {});
/// fft of the conjugate-symmetric signal of length n whose first half is x: real.
NORCH_API Tensor hfft(const Tensor& x, Length n = {}, int64_t dim = -1, const Norm& norm = {});
/// The inverse of hfft: the first n / 2 + 1 numbers of ifft of a real tensor.
NORCH_API Tensor ihfft(const Tensor& x, Length n = {}, int64_t dim = -1, const Norm& norm = {});

// ---- along several dims: `dims`, or as many of the last as `lengths` has, or all; a length of -1 keeps the size. The
// forms for real signals halve the last of the dims.

NORCH_API Tensor fftn(const Tensor& x, const Lengths& lengths = {}, const Lengths& dims = {}, const Norm& norm = {});
NORCH_API Tensor ifftn(const Tensor& x, const Lengths& lengths = {}, const Lengths& dims = {}, const Norm& norm = {});
NORCH_API Tensor rfftn(const Tensor& x, const Lengths& lengths = {}, const Lengths& dims = {}, const Norm& norm = {});
NORCH_API Tensor irfftn(const Tensor& x, const Lengths& lengths = {}, const Lengths& dims = {}, const Norm& norm = {});
NORCH_API Tensor hfftn(const Tensor& x, const Lengths& lengths = {}, const Lengths& dims = {}, const Norm& norm = {});
NORCH_API Tensor ihfftn(const Tensor& x, const Lengths& lengths = {}, const Lengths& dims = {}, const Norm& norm = {});

// ---- frequencies

/// The frequencies of fft's n results for samples `d` apart: 0, 1, ..., -2, -1 over n * d.
NORCH_API Tensor fftfreq(int64_t n, double d = 1, const TensorOptions& options = {});
/// Those of rfft's results: 0, 1, ..., n / 2 over n * d.
NORCH_API Tensor rfftfreq(int64_t n, double d = 1, const TensorOptions& options = {});
/// Puts frequency 0 in the middle of the dims (all by default).
NORCH_API Tensor fftshift(const Tensor& x, const Lengths& dims = {});
/// The reverse.
NORCH_API Tensor ifftshift(const Tensor& x, const Lengths& dims = {});

}  // namespace norch::fft

namespace norch {

/// What stft and istft share.
struct StftOptions {
  int64_t n_fft = 0;
  std::optional<int64_t> hop_length, win_length;  // n_fft / 4 and n_fft unless given
  Tensor window;                                  // (win_length), ones unless given; centred in n_fft samples
  bool center = true;
  bool normalized = false;                        // 1/sqrt(n_fft) in both directions
  std::optional<bool> onesided;                   // only frequencies from 0 up; by default where the signal is real
};

/// The spectra of windowed frames of a signal (..., L), hop_length apart: complex (..., n_fft / 2 + 1 or n_fft, frames).
/// With `center` the signal is padded by n_fft / 2 on both sides in `pad_mode`.
NORCH_API Tensor stft(const Tensor& x, const StftOptions& options, const std::string& pad_mode = "reflect");
/// The signal of the given spectra, by overlap-add; cut to `length`. \throws Error where the windows leave gaps.
NORCH_API Tensor istft(const Tensor& x, const StftOptions& options, std::optional<int64_t> length = {},
                       bool return_complex = false);

}  // namespace norch
