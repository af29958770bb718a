#include "norch/ops/fft.h"

#include <cmath>

#include "autograd/record.h"
#include "core/factory.h"
#include "kernels/fft.h"
#include "norch/ops/binary.h"
#include "norch/ops/complex.h"
#include "norch/ops/factory.h"
#include "norch/ops/join.h"
#include "norch/ops/rearrange.h"
#include "norch/ops/slice.h"
#include "norch/ops/view.h"
#include "ops/product.h"

namespace norch::fft {

using autograd::Backward;
using autograd::record;
using autograd::recording;

namespace {

enum class Kind { ComplexToComplex, RealToComplex, ComplexToReal };

/// The unscaled transform along a dim, times `scale`. `n` is the length of a complex to real one's result.
Tensor transform(Kind kind, const Tensor& x, int64_t dim, bool forward, double scale, int64_t n);

/// Half a spectrum as a whole one, the other half zero.
Tensor filled_up(const Tensor& g, int64_t dim, int64_t n) {
  Shape rest(g.sizes());
  rest[dim] = n - rest[dim];
  return rest[dim] ? cat({g, zeros(rest, g.options())}, dim) : g;
}

/// Half a spectrum with those numbers doubled that stand for two.
Tensor doubled(const Tensor& g, int64_t dim, int64_t n) {
  const int64_t twice = n - g.size(dim);
  if (twice == 0) return g;
  const Tensor middle = narrow(g, dim, 1, twice) * Scalar(2);
  const int64_t rest = g.size(dim) - 1 - twice;
  TensorList parts{narrow(g, dim, 0, 1), middle};
  if (rest) parts.push_back(narrow(g, dim, 1 + twice, rest));
  return cat(parts, dim);
}

const char* node_name(Kind kind) {
  return kind == Kind::ComplexToComplex ? "FftC2CBackward0" : kind == Kind::RealToComplex ? "FftR2CBackward0"
                                                                                        : "FftC2RBackward0";
}

Tensor transform(Kind kind, const Tensor& x, int64_t dim, bool forward, double scale, int64_t n) {
  const int64_t last = x.dim() - 1;
  const bool moved = dim != last;
  Tensor in = moved ? transpose(x.detach(), dim, last).contiguous() : x.detach().contiguous();
  Shape shape(in.sizes());
  shape.back() = kind == Kind::RealToComplex ? n / 2 + 1 : n;
  const DType type = kind == Kind::ComplexToReal ? to_real(x.dtype()) : to_complex(x.dtype());
  Tensor out = new_tensor(shape, type, x.device());
  if (in.numel()) {
    kernels::fft_rows(x.device(), out, in, forward);
    if (scale != 1) mul_(out, Tensor::wrap(scale));
  } else {
    zero_(out);
  }
  if (moved) out = transpose(out, dim, last).contiguous();
  if (recording(x)) {
    record(node_name(kind), {x}, {out}, [kind, dim, forward, scale, n](Backward& ctx) {
      const Tensor& g = ctx.grad();
      if (kind == Kind::ComplexToComplex)
        ctx.set(0, transform(kind, g, dim, !forward, scale, n));
      else if (kind == Kind::RealToComplex)  // the real part of the inverse of what was left out of the result too
        ctx.set(0, real(transform(Kind::ComplexToComplex, filled_up(g, dim, n), dim, !forward, scale, n)));
      else
        ctx.set(0, doubled(transform(Kind::RealToComplex, g, dim, true, scale, n), dim, n));
    });
  }
  return out;
}

double scale_of(const Norm& norm, int64_t n, bool forward) {
  if (norm && *norm == "ortho") return 1 / std::sqrt(static_cast<double>(n));
  const bool at_forward = norm && *norm == "forward";
  NORCH_CHECK(!norm || at_forward || *norm == "backward", "Invalid normalization mode: \"", *norm, "\"");
  return forward == at_forward ? 1 / static_cast<double>(n) : 1;
}

/// Floats and complex numbers as they are, integers as the default float dtype.
Tensor promoted(const char* op, const Tensor& x, bool to_complex_type) {
  Tensor y = is_differentiable(x.dtype()) ? x : x.to(default_dtype());
  NORCH_CHECK(y.dtype() != kFloat16 && y.dtype() != kBFloat16, op, ": Unsupported dtype ", scalar_type_name(y.dtype()),
              "; convert to float32");
  return to_complex_type && !y.is_complex() ? y.to(to_complex(y.dtype())) : y;
}

/// The dim cut, or filled up with zeros, to n.
Tensor resized(const Tensor& x, int64_t dim, int64_t n) {
  const int64_t size = x.size(dim);
  if (n <= size) return n == size ? x : narrow(x, dim, 0, n);
  return filled_up(x, dim, n);
}

int64_t checked_dim(const char* op, const Tensor& x, int64_t dim) {
  NORCH_CHECK_INDEX(x.dim() > 0, op, ": Dimension specified as ", dim, " but tensor has no dimensions");
  return wrap_dim(dim, x.dim(), op);
}

void check_length(const char* op, int64_t n) {
  NORCH_CHECK(n >= 1, op, ": Invalid number of data points (", n, ") specified");
}

Tensor c2c(const char* op, const Tensor& x, Length n, int64_t dim, const Norm& norm, bool forward) {
  const int64_t d = checked_dim(op, x, dim), length = n.value_or(x.size(d));
  check_length(op, length);
  const Tensor y = resized(promoted(op, x, true), d, length);
  return transform(Kind::ComplexToComplex, y, d, forward, scale_of(norm, length, forward), length);
}

Tensor r2c(const char* op, const Tensor& x, Length n, int64_t dim, const Norm& norm, bool forward) {
  NORCH_CHECK(!x.is_complex(), op, " expects a real input tensor, but got ", scalar_type_name(x.dtype()));
  const int64_t d = checked_dim(op, x, dim), length = n.value_or(x.size(d));
  check_length(op, length);
  const Tensor y = resized(promoted(op, x, false), d, length);
  const Tensor out = transform(Kind::RealToComplex, y, d, true, scale_of(norm, length, forward), length);
  return forward ? out : conj(out);
}

Tensor c2r(const char* op, const Tensor& x, Length n, int64_t dim, const Norm& norm, bool forward) {
  const int64_t d = checked_dim(op, x, dim), length = n.value_or(2 * (x.size(d) - 1));
  check_length(op, length);
  Tensor y = resized(promoted(op, x, true), d, length / 2 + 1);
  if (forward) y = conj(y);
  return transform(Kind::ComplexToReal, y, d, false, scale_of(norm, length, forward), length);
}

/// Checked dims and their lengths; -1 stands for the size itself.
struct Plan {
  Shape dims, lengths;
};

Plan plan_of(const char* op, const Tensor& x, const Lengths& lengths, const Lengths& dims) {
  Plan p;
  NORCH_CHECK(!lengths || !dims || lengths->size() == dims->size(), op,
              ": When given, dim and shape arguments must have the same length");
  NORCH_CHECK(!lengths || static_cast<int64_t>(lengths->size()) <= x.dim(), op, ": Got shape with ",
              lengths ? lengths->size() : 0, " values but input tensor only has ", x.dim(), " dimensions.");
  const int64_t count = dims ? static_cast<int64_t>(dims->size()) : lengths ? static_cast<int64_t>(lengths->size()) : x.dim();
  uint64_t seen = 0;
  for (int64_t i = 0; i < count; ++i) {
    const int64_t d = dims ? checked_dim(op, x, (*dims)[i]) : x.dim() - count + i;
    NORCH_CHECK(!((seen >> d) & 1), op, ": FFT dims must be unique");
    seen |= uint64_t{1} << d;
    const int64_t n = lengths ? (*lengths)[i] : -1;
    NORCH_CHECK(n == -1 || n >= 1, op, ": Invalid number of data points (", n, ") specified");
    p.dims.push_back(d);
    p.lengths.push_back(n);
  }
  return p;
}

Length length_at(const Plan& p, size_t i) { return p.lengths[i] == -1 ? Length() : Length(p.lengths[i]); }

/// c2c along the first `count` of the planned dims.
Tensor along_dims(const char* op, Tensor x, const Plan& p, size_t count, const Norm& norm, bool forward) {
  for (size_t i = 0; i < count; ++i) x = c2c(op, x, length_at(p, i), p.dims[i], norm, forward);
  return x;
}

size_t all_but_last(const char* op, const Plan& p) {
  NORCH_CHECK(p.dims.size() > 0, op, " must transform at least one axis");
  return p.dims.size() - 1;
}

}  // namespace

Tensor fft(const Tensor& x, Length n, int64_t dim, const Norm& norm) { return c2c("fft", x, n, dim, norm, true); }
Tensor ifft(const Tensor& x, Length n, int64_t dim, const Norm& norm) { return c2c("ifft", x, n, dim, norm, false); }
Tensor rfft(const Tensor& x, Length n, int64_t dim, const Norm& norm) { return r2c("rfft", x, n, dim, norm, true); }
Tensor irfft(const Tensor& x, Length n, int64_t dim, const Norm& norm) { return c2r("irfft", x, n, dim, norm, false); }
Tensor hfft(const Tensor& x, Length n, int64_t dim, const Norm& norm) { return c2r("hfft", x, n, dim, norm, true); }
Tensor ihfft(const Tensor& x, Length n, int64_t dim, const Norm& norm) { return r2c("ihfft", x, n, dim, norm, false); }

Tensor fftn(const Tensor& x, const Lengths& lengths, const Lengths& dims, const Norm& norm) {
  const Plan p = plan_of("fftn", x, lengths, dims);
  return along_dims("fftn", promoted("fftn", x, true), p, p.dims.size(), norm, true);
}

Tensor ifftn(const Tensor& x, const Lengths& lengths, const Lengths& dims, const Norm& norm) {
  const Plan p = plan_of("ifftn", x, lengths, dims);
  return along_dims("ifftn", promoted("ifftn", x, true), p, p.dims.size(), norm, false);
}

Tensor rfftn(const Tensor& x, const Lengths& lengths, const Lengths& dims, const Norm& norm) {
  const Plan p = plan_of("rfftn", x, lengths, dims);
  const size_t last = all_but_last("rfftn", p);
  return along_dims("rfftn", r2c("rfftn", x, length_at(p, last), p.dims[last], norm, true), p, last, norm, true);
}

Tensor irfftn(const Tensor& x, const Lengths& lengths, const Lengths& dims, const Norm& norm) {
  const Plan p = plan_of("irfftn", x, lengths, dims);
  const size_t last = all_but_last("irfftn", p);
  return c2r("irfftn", along_dims("irfftn", x, p, last, norm, false), length_at(p, last), p.dims[last], norm, false);
}

Tensor hfftn(const Tensor& x, const Lengths& lengths, const Lengths& dims, const Norm& norm) {
  const Plan p = plan_of("hfftn", x, lengths, dims);
  const size_t last = all_but_last("hfftn", p);
  return c2r("hfftn", along_dims("hfftn", x, p, last, norm, true), length_at(p, last), p.dims[last], norm, true);
}

Tensor ihfftn(const Tensor& x, const Lengths& lengths, const Lengths& dims, const Norm& norm) {
  const Plan p = plan_of("ihfftn", x, lengths, dims);
  const size_t last = all_but_last("ihfftn", p);
  return along_dims("ihfftn", r2c("ihfftn", x, length_at(p, last), p.dims[last], norm, false), p, last, norm, false);
}

Tensor fftfreq(int64_t n, double d, const TensorOptions& options) {
  NORCH_CHECK(n >= 0, "fftfreq: n must be non-negative, got ", n);
  const Tensor k = cat({arange(0, (n + 1) / 2, 1, options.dtype(options.dtype())),
                        arange(-(n / 2), 0, 1, options.dtype(options.dtype()))});
  return k * Scalar(1 / (static_cast<double>(n) * d));
}

Tensor rfftfreq(int64_t n, double d, const TensorOptions& options) {
  NORCH_CHECK(n >= 0, "rfftfreq: n must be non-negative, got ", n);
  return arange(0, n / 2 + 1, 1, options.dtype(options.dtype())) * Scalar(1 / (static_cast<double>(n) * d));
}

namespace {

Tensor shifted(const Tensor& x, const Lengths& dims, bool back) {
  Shape all, shifts;
  if (dims)
    all = *dims;
  else
    for (int64_t d = 0; d < x.dim(); ++d) all.push_back(d);
  for (int64_t d : all) {
    const int64_t n = x.dim() ? x.size(d) : 1;
    shifts.push_back(back ? (n + 1) / 2 : n / 2);
  }
  return all.empty() ? x.clone() : roll(x, shifts, all);
}

}  // namespace

Tensor fftshift(const Tensor& x, const Lengths& dims) { return shifted(x, dims, false); }
Tensor ifftshift(const Tensor& x, const Lengths& dims) { return shifted(x, dims, true); }

}  // namespace norch::fft
