// norch.fft, stft and istft; NumPy's pocketfft for libnorch.
#include "norch/ops/fft.h"

#include "compat.h"
#include "core/fft_provider.h"
#include "layout.h"
#include "linalg_module.h"
#include "norch/ops/complex.h"
#include "norch/ops/factory.h"
#include "norch/ops/fold.h"

namespace norch::python {

namespace {

/// Memory as a NumPy array.
nb::object array_of(void* data, int64_t rows, int64_t columns, const char* dtype, int64_t itemsize, nb::handle numpy) {
  nb::object view = nb::steal(PyMemoryView_FromMemory(static_cast<char*>(data), rows * columns * itemsize, PyBUF_WRITE));
  if (!view) throw nb::python_error();
  return numpy.attr("frombuffer")(view, dtype).attr("reshape")(rows, columns);
}

/// NumPy's transforms, unscaled: it scales the direction that `norm` names.
void by_numpy(const FftRows& f) {
  nb::gil_scoped_acquire gil;
  const nb::object numpy = nb::module_::import_("numpy"), fft = numpy.attr("fft");
  const bool single = f.real == DType::Float32;
  const char *real = single ? "f4" : "f8", *complex = single ? "c8" : "c16";
  const int64_t bytes = single ? 4 : 8, half = f.n / 2 + 1;
  void* in = const_cast<void*>(f.in);
  switch (f.kind) {
    case FftRows::Kind::ComplexToComplex:
      fft.attr(f.forward ? "fft" : "ifft")(array_of(in, f.rows, f.n, complex, 2 * bytes, numpy),
                                           nb::arg("norm") = f.forward ? "backward" : "forward",
                                           nb::arg("out") = array_of(f.out, f.rows, f.n, complex, 2 * bytes, numpy));
      break;
    case FftRows::Kind::RealToComplex:
      fft.attr("rfft")(array_of(in, f.rows, f.n, real, bytes, numpy), nb::arg("norm") = "backward",
                       nb::arg("out") = array_of(f.out, f.rows, half, complex, 2 * bytes, numpy));
      break;
    case FftRows::Kind::ComplexToReal:
      fft.attr("irfft")(array_of(in, f.rows, half, complex, 2 * bytes, numpy), nb::arg("n") = f.n,
                        nb::arg("norm") = "forward", nb::arg("out") = array_of(f.out, f.rows, f.n, real, bytes, numpy));
      break;
  }
}

using One = Tensor (*)(const Tensor&, fft::Length, int64_t, const fft::Norm&);
using Many = Tensor (*)(const Tensor&, const fft::Lengths&, const fft::Lengths&, const fft::Norm&);

void bind_transforms(Binder& b, nb::module_& m) {
  struct OneRow {
    const char* name;
    One f;
    const char* doc;
  };
  const OneRow ones[] = {
      {"fft", &fft::fft, "The discrete Fourier transform along a dim."},
      {"ifft", &fft::ifft, "The inverse of fft."},
      {"rfft", &fft::rfft, "The first n // 2 + 1 numbers of fft of a real tensor."},
      {"irfft", &fft::irfft, "The inverse of rfft: real, of length n, by default 2 * (size - 1)."},
      {"hfft", &fft::hfft, "fft of a conjugate-symmetric signal given by its first half: real."},
      {"ihfft", &fft::ihfft, "The inverse of hfft."}};
  for (const OneRow& row : ones) {
    const std::string doc = std::string(row.name) + "(input, n=None, dim=-1, norm=None, *, out=None) -> Tensor\n\n" +
                            row.doc + " norm is 'backward' (1/n in the inverse), 'ortho' or 'forward'.";
    b.in(m, row.name, row.f, doc.c_str(), "input"_a, "n"_a = nb::none(), "dim"_a = -1, "norm"_a = nb::none());
  }
  struct ManyRow {
    const char *one, *two, *several;
    Many f;
  };
  const ManyRow rows[] = {{"fft", "fft2", "fftn", &fft::fftn},       {"ifft", "ifft2", "ifftn", &fft::ifftn},
                          {"rfft", "rfft2", "rfftn", &fft::rfftn},   {"irfft", "irfft2", "irfftn", &fft::irfftn},
                          {"hfft", "hfft2", "hfftn", &fft::hfftn},   {"ihfft", "ihfft2", "ihfftn", &fft::ihfftn}};
  for (const ManyRow& row : rows) {
    const std::string several = std::string(row.several) + "(input, s=None, dim=None, norm=None, *, out=None) -> Tensor\n\n" +
                                row.one + " along several dims, all by default; s are the lengths.";
    b.in(m, row.several, row.f, several.c_str(), "input"_a, "s"_a = nb::none(), "dim"_a = nb::none(),
         "norm"_a = nb::none());
    const std::string two = std::string(row.two) + "(input, s=None, dim=(-2, -1), norm=None, *, out=None) -> Tensor\n\n" +
                            row.one + " along two dims.";
    b.in(m, row.two, row.f, two.c_str(), "input"_a, "s"_a = nb::none(), "dim"_a = Shape{-2, -1},
         "norm"_a = nb::none());
  }
  for (const auto& [name, f] : {std::pair{"fftshift", &fft::fftshift}, std::pair{"ifftshift", &fft::ifftshift}})
    b.in(m, name, f, "(input, dim=None) -> Tensor\n\nPuts frequency 0 in the middle of the dims (fftshift), or back.",
         "input"_a, "dim"_a = nb::none());
  for (const auto& [name, f] : {std::pair{"fftfreq", &fft::fftfreq}, std::pair{"rfftfreq", &fft::rfftfreq}})
    b.in(
        m, name,
        [f = f](int64_t n, double d, std::optional<DType> dtype, std::optional<Device> device,
                bool requires_grad, nb::handle, bool) {
          TensorOptions options(dtype.value_or(default_dtype()));
          const Tensor t = f(n, d, options.device(device_or_default(device)));
          if (requires_grad) t.requires_grad_();
          return t;
        },
        "(n, d=1.0, *, out=None, dtype=None, device=None, requires_grad=False) -> Tensor\n\nThe frequencies of the results "
        "of fft (fftfreq) or rfft (rfftfreq) of n samples `d` apart.",
        "n"_a, "d"_a = 1.0, nb::kw_only(), "dtype"_a = nb::none(), "device"_a = nb::none(),
        "requires_grad"_a = false, "layout"_a = nb::none(), "pin_memory"_a = false);
}

StftOptions stft_options(int64_t n_fft, std::optional<int64_t> hop, std::optional<int64_t> length, const std::optional<Tensor>& window,
                         bool center, bool normalized, std::optional<bool> onesided) {
  StftOptions o;
  o.n_fft = n_fft;
  o.hop_length = hop;
  o.win_length = length;
  o.window = window.value_or(Tensor());
  o.center = center;
  o.normalized = normalized;
  o.onesided = onesided;
  return o;
}

void bind_short_time(Binder& b) {
  b.op(
      "stft",
      [](const Tensor& x, int64_t n_fft, std::optional<int64_t> hop, std::optional<int64_t> length, const std::optional<Tensor>& window,
         bool center, const std::string& pad_mode, bool normalized, std::optional<bool> onesided,
         std::optional<bool> return_complex, std::optional<bool> align_to_window) {
        NORCH_CHECK(!center || !align_to_window, "stft align_to_window should only be set when center = false");
        NORCH_CHECK(return_complex || x.is_complex() || (window && window->is_complex()), "stft requires the "
                    "return_complex parameter be given for real inputs, and will further require that "
                    "return_complex=True in a future PyTorch release.");
        const int64_t margin = align_to_window.value_or(false) ? n_fft - length.value_or(n_fft) : 0;
        const Tensor signal = margin > 0 ? pad(x, {margin / 2, margin - margin / 2}, PaddingMode::constant) : x;
        const Tensor y = stft(signal, stft_options(n_fft, hop, length, window, center, normalized, onesided), pad_mode);
        return return_complex.value_or(true) ? y : view_as_real(y);
      },
      "stft(input, n_fft, hop_length=None, win_length=None, window=None, center=True, pad_mode='reflect', "
      "normalized=False, onesided=None, return_complex=None, align_to_window=None) -> Tensor\n\nSpectra of windowed frames "
      "of a signal: (..., frequencies, frames). Without `center`, align_to_window=True pads the signal so that the first "
      "window, not the first frame of n_fft, begins with it.",
      "input"_a, "n_fft"_a, "hop_length"_a = nb::none(), "win_length"_a = nb::none(), "window"_a = nb::none(),
      "center"_a = true, "pad_mode"_a = "reflect", "normalized"_a = false, "onesided"_a = nb::none(),
      "return_complex"_a = nb::none(), "align_to_window"_a = nb::none());
  b.op(
      "istft",
      [](const Tensor& x, int64_t n_fft, std::optional<int64_t> hop, std::optional<int64_t> length, const std::optional<Tensor>& window,
         bool center, bool normalized, std::optional<bool> onesided, std::optional<int64_t> samples, bool return_complex) {
        return istft(x, stft_options(n_fft, hop, length, window, center, normalized, onesided), samples, return_complex);
      },
      "istft(input, n_fft, hop_length=None, win_length=None, window=None, center=True, normalized=False, onesided=None, "
      "length=None, return_complex=False) -> Tensor\n\nThe signal of the spectra that stft returns.",
      "input"_a, "n_fft"_a, "hop_length"_a = nb::none(), "win_length"_a = nb::none(), "window"_a = nb::none(),
      "center"_a = true, "normalized"_a = false, "onesided"_a = nb::none(), "length"_a = nb::none(),
      "return_complex"_a = false);
}

}  // namespace

void bind_fft(Binder& b) {
  set_fft_provider(by_numpy);
  nb::module_ m = b.root.def_submodule("_fft", "Functions of norch.fft.");
  bind_transforms(b, m);
  bind_short_time(b);
}

}  // namespace norch::python
