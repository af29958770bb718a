// Short-time Fourier transforms.
#include <cmath>

#include "norch/ops/binary.h"
#include "norch/ops/complex.h"
#include "norch/ops/factory.h"
#include "norch/ops/fft.h"
#include "norch/ops/fold.h"
#include "norch/ops/indexing.h"
#include "norch/ops/join.h"
#include "norch/ops/reduce.h"
#include "norch/ops/slice.h"
#include "norch/ops/unary.h"
#include "norch/ops/view.h"

namespace norch {

namespace {

/// The options with their defaults filled in, checked.
struct Frames {
  int64_t n, hop;
  Tensor window;  // (n)
  Frames(const char* op, const Tensor& x, const StftOptions& o, DType real)
      : n(o.n_fft), hop(o.hop_length.value_or(o.n_fft / 4)) {
    const int64_t length = o.win_length.value_or(n);
    NORCH_CHECK(n > 0, op, ": expected n_fft > 0, but got n_fft=", n);
    NORCH_CHECK(hop > 0, op, ": expected hop_length > 0, but got hop_length=", hop);
    NORCH_CHECK(length > 0 && length <= n, op, ": expected 0 < win_length <= n_fft, but got win_length=", length);
    NORCH_CHECK(!o.window.defined() || (o.window.dim() == 1 && o.window.size(0) == length), op,
                ": expected a 1D window tensor of size equal to win_length=", length, ", but got window with size ",
                o.window.defined() ? Shape(o.window.sizes()) : Shape());
    NORCH_CHECK(!o.window.defined() || o.window.device() == x.device(), op, ": expected window on ", x.device(),
                ", but got it on ", o.window.defined() ? o.window.device() : x.device());
    window = o.window.defined() ? o.window : ones({length}, TensorOptions(real).device(x.device()));
    if (length < n) {
      const int64_t left = (n - length) / 2;
      window = cat({zeros({left}, window.options()), window, zeros({n - length - left}, window.options())});
    }
  }
};

}  // namespace

Tensor stft(const Tensor& input, const StftOptions& o, const std::string& pad_mode) {
  constexpr const char* op = "stft";
  NORCH_CHECK(is_differentiable(input.dtype()), op, ": expected a tensor of floating point or complex values, got ",
              input.dtype());
  NORCH_CHECK(input.dim() == 1 || input.dim() == 2, op, ": expected a 1D or 2D tensor, but got a tensor of shape ",
              input.sizes());
  const bool batched = input.dim() == 2;
  Tensor x = batched ? input : unsqueeze(input, 0);
  const Frames f(op, x, o, to_real(x.dtype()));
  if (o.center) {
    const PaddingMode mode = pad_mode == "constant"    ? PaddingMode::constant
                             : pad_mode == "replicate" ? PaddingMode::replicate
                             : pad_mode == "circular"  ? PaddingMode::circular
                                                       : PaddingMode::reflect;
    NORCH_CHECK_IMPLEMENTED(mode != PaddingMode::reflect || pad_mode == "reflect", op, ": unrecognised padding mode ",
                            pad_mode);
    const int64_t side = f.n / 2;
    if (x.is_complex())  // parts as channels
      x = view_as_complex(transpose(pad(transpose(view_as_real(x), 1, 2), {side, side}, mode), 1, 2).contiguous());
    else
      x = squeeze(pad(unsqueeze(x, 1), {side, side}, mode), 1);
  }
  NORCH_CHECK(f.n <= x.size(1), op, ": expected 0 < n_fft <= ", x.size(1), ", but got n_fft=", f.n);
  const bool is_complex = x.is_complex() || f.window.is_complex(), half = o.onesided.value_or(!is_complex);
  NORCH_CHECK(!half || !is_complex, op, ": Cannot have onesided output if window or input is complex");
  const Tensor frames = mul(unfold(x, 1, f.n, f.hop), f.window);  // (batch, frames, n)
  const fft::Norm norm = o.normalized ? "ortho" : "backward";
  const Tensor y = transpose(half ? fft::rfft(frames, {}, -1, norm) : fft::fft(frames, {}, -1, norm), 1, 2);
  return batched ? y : squeeze(y, 0);
}

Tensor istft(const Tensor& input, const StftOptions& o, std::optional<int64_t> length, bool return_complex) {
  constexpr const char* op = "istft";
  NORCH_CHECK(input.is_complex(), op, " requires a complex-valued input tensor matching the output from stft with "
              "return_complex=True.");
  NORCH_CHECK(input.dim() == 2 || input.dim() == 3, op, ": expected a tensor with 2 or 3 dimensions, but got ",
              input.dim());
  NORCH_CHECK(input.numel() > 0, op, ": input tensor cannot be empty.");
  const bool batched = input.dim() == 3;
  const Tensor x = transpose(batched ? input : unsqueeze(input, 0), 1, 2);  // (batch, frames, frequencies)
  const Frames f(op, x, o, to_real(x.dtype()));
  NORCH_CHECK(f.hop <= o.win_length.value_or(f.n), op, ": expected 0 < hop_length <= win_length");
  const bool half = o.onesided.value_or(x.size(2) != f.n);
  NORCH_CHECK(x.size(2) == (half ? f.n / 2 + 1 : f.n), op, ": expected the frequency dimension (3rd to the last) of the "
              "input tensor to match n_fft", half ? " / 2 + 1 when onesided=True" : " when onesided=False", ", but got ",
              x.size(2));
  NORCH_CHECK(!return_complex || !half, op, ": cannot have onesided output if window or input is complex");
  NORCH_CHECK(return_complex || !f.window.is_complex(), op, ": Complex windows are incompatible with "
              "return_complex=False");
  const fft::Norm norm = o.normalized ? "ortho" : "backward";
  // A real signal is that of the lower half of the frequencies, whatever the upper half holds.
  Tensor frames = return_complex ? fft::ifft(x, {}, -1, norm) : fft::irfft(narrow(x, -1, 0, f.n / 2 + 1), f.n, -1, norm);
  frames = mul(frames, f.window);
  // Overlapping frames add up; so do the squares of their windows, which the sum is divided by.
  const int64_t count = frames.size(1), total = f.n + f.hop * (count - 1);
  const TensorOptions places = TensorOptions(kInt64).device(x.device());
  const Tensor at = reshape(unsqueeze(arange(0, count, 1, places), 1) * Scalar(f.hop) + arange(0, f.n, 1, places), {-1});
  const auto overlapped = [&](const Tensor& t) {
    const Tensor flat = reshape(t, {t.size(0), count * f.n}), parts = flat.is_complex() ? view_as_real(flat) : flat;
    Shape shape(parts.sizes());
    shape[1] = total;
    const Tensor sums = index_add(zeros(shape, parts.options()), 1, at, parts);
    return flat.is_complex() ? view_as_complex(sums) : sums;
  };
  const Tensor y = overlapped(frames);
  const Tensor weight = overlapped(expand(mul(f.window, f.window), {1, count, f.n}).contiguous());
  const int64_t start = o.center ? f.n / 2 : 0;
  const int64_t end = length ? start + *length : o.center ? total - f.n / 2 : total;
  const int64_t stop = std::min(end, total);
  NORCH_CHECK(stop > start, op, ": the signal has no samples left between ", start, " and ", stop);
  const Tensor kept = narrow(weight, 1, start, stop - start);
  NORCH_CHECK(gt(amin(abs(kept.detach())), Tensor::wrap(1e-11)).item<bool>(), op, ": window overlap add min: 1; the "
              "windows leave gaps between frames");
  Tensor out = div(narrow(y, 1, start, stop - start), kept);
  if (end > total) out = cat({out, zeros({out.size(0), end - total}, out.options())}, 1);
  return batched ? out : squeeze(out, 0);
}

}  // namespace norch
