// Factories of sequences, diagonals and triangles.
#include <cmath>
#include <complex>

#include "autograd/in_place.h"
#include "autograd/record.h"
#include "autograd/record_linear.h"
#include "core/factory.h"
#include "kernels/copy.h"
#include "kernels/cpu/parallel.h"
#include "kernels/factory.h"
#include "norch/ops/binary.h"
#include "norch/ops/complex.h"
#include "norch/ops/copy.h"
#include "norch/ops/factory.h"
#include "norch/ops/view.h"
#include "ops/dtype_views.h"

namespace norch {

namespace {

Tensor finish(Tensor t, const TensorOptions& options) {
  if (options.requires_grad()) t.requires_grad_();
  return t;
}

int64_t count_integers(int64_t start, int64_t end, int64_t step) {
  NORCH_CHECK(step != 0, "arange: step must be nonzero");
  NORCH_CHECK(step > 0 ? end >= start : end <= start,
              "arange: upper bound and lower bound inconsistent with step sign");
  const uint64_t span = step > 0 ? static_cast<uint64_t>(end) - static_cast<uint64_t>(start)
                                 : static_cast<uint64_t>(start) - static_cast<uint64_t>(end);
  const uint64_t stride = step > 0 ? static_cast<uint64_t>(step) : 0 - static_cast<uint64_t>(step);
  const uint64_t n = span / stride + (span % stride != 0);
  NORCH_CHECK(n <= static_cast<uint64_t>(INT64_MAX), "arange: the range has too many numbers");
  return static_cast<int64_t>(n);
}

int64_t count_floats(double start, double end, double step) {
  NORCH_CHECK(step != 0, "arange: step must be nonzero");
  NORCH_CHECK(std::isfinite(start) && std::isfinite(end) && !std::isnan(step), "arange: unsupported range: ", start,
              " -> ", end);
  NORCH_CHECK(step > 0 ? end >= start : end <= start,
              "arange: upper bound and lower bound inconsistent with step sign");
  const double n = std::ceil((end - start) / step);
  NORCH_CHECK(n < 9e18, "arange: invalid size, possible overflow: ", start, " -> ", end, " in steps of ", step);
  return static_cast<int64_t>(n);
}

/// A number as an integer result takes it: without its fraction.
Scalar whole(const char* op, const Scalar& v) {
  if (!v.is_floating_point()) return v;
  const double d = v.to_double();
  NORCH_CHECK(std::fabs(d) < 9e18, op, ": ", d, " does not fit an integer dtype");
  return static_cast<int64_t>(d);
}
/// \throws Error for a number that is too large for the dtype.
Scalar end_for(const char* op, const Scalar& v, DType t) {
  if (is_complex(t) || v.is_complex()) return v;
  const double d = v.to_double();
  const double bits = static_cast<double>(8 * itemsize(t) - (is_integral(t) ? 1 : 0));
  const bool fits = t == DType::Float16    ? std::fabs(d) <= 65504
                    : t == DType::Float32  ? std::fabs(d) <= 3.4028234663852886e38
                    : t == DType::BFloat16 ? std::fabs(d) <= 3.3895313892515355e38
                    : t == DType::UInt8    ? std::fabs(d) < 256
                    : is_integral(t)       ? std::fabs(d) <= std::ldexp(1.0, static_cast<int>(bits))
                                           : true;
  NORCH_CHECK(fits || !std::isfinite(d), op, ": value cannot be converted to type ", t, " without overflow: ", d);
  return is_integral(t) ? whole(op, v) : v;
}

// Powers of the base, computed on the CPU as PyTorch computes them there: they are few, and the functions of the C
// library give its digits. All of one line of numbers, counted from the nearer end.

/// float64: exponents are in double, between ends that `type` has rounded.
Tensor real_powers(const Scalar& start, const Scalar& end, int64_t steps, double base, DType type) {
  const Tensor out = new_tensor({steps}, kFloat64, kCPU);
  double* p = out.data<double>();
  if (steps == 1) {
    p[0] = std::pow(base, start.to_double());
    return out;
  }
  const auto as_type = [&](const Scalar& v) { return full({}, end_for("logspace", v, type), type); };
  const Tensor first = as_type(start), last = as_type(end);
  const double from = first.item<double>(), to = last.item<double>();
  const double span = is_integral(type) ? to - from : (last - first).item<double>();
  const double step = span / static_cast<double>(steps - 1);
  kernels::cpu::parallel_for(steps, 1024, [&](int64_t begin, int64_t stop) {
    for (int64_t i = begin; i < stop; ++i)
      p[i] = std::pow(base, i < steps / 2 ? from + step * static_cast<double>(i) : to - step * static_cast<double>(steps - i - 1));
  });
  return out;
}

template <class T>
Tensor complex_powers(const Scalar& start, const Scalar& end, int64_t steps, double base) {
  using C = std::complex<T>;
  const Tensor out = new_tensor({steps}, std::is_same_v<T, float> ? kComplex64 : kComplex128, kCPU);
  C* p = static_cast<C*>(out.data_ptr());
  const auto number = [](const Scalar& v) {
    const Complex<double> c = v.to_complex();
    return C(static_cast<T>(c.re), static_cast<T>(c.im));
  };
  if (steps == 1) {
    const Complex<double> c = start.to_complex();
    p[0] = C(std::pow(base, std::complex<double>(c.re, c.im)));
    return out;
  }
  const C from = number(start), to = number(end), step = (to - from) * (1 / static_cast<T>(steps - 1));
  kernels::cpu::parallel_for(steps, 1024, [&](int64_t begin, int64_t stop) {
    for (int64_t i = begin; i < stop; ++i)
      p[i] = std::pow(C(static_cast<T>(base)),
                      i < steps / 2 ? from + step * static_cast<T>(i) : to - step * static_cast<T>(steps - i - 1));
  });
  return out;
}

Tensor triangle(const char* op, const Tensor& t, int64_t diagonal, bool lower) {
  NORCH_CHECK(t.dim() >= 2, op, ": input tensor must have at least 2 dimensions, got shape ", t.sizes());
  // Beyond the matrix all diagonals are alike; this keeps the sums in range.
  const int64_t k = std::min(std::max(diagonal, -t.size(-2) - 1), t.size(-1) + 1);
  Tensor out = new_tensor(t.sizes(), t.dtype(), t.device());
  {
    autograd::NoGrad off;
    kernels::triangle(t.device(), out, t.contiguous(), lower ? k : k - 1, lower);
  }
  if (autograd::recording(t)) {
    autograd::record_linear(lower ? "TrilBackward0" : "TriuBackward0", {t}, {out}, [k, lower](autograd::Backward& ctx) {
      ctx.set(0, lower ? tril(ctx.grad(), k) : triu(ctx.grad(), k));
    });
  }
  return out;
}

Tensor triangle_indices(const char* op, int64_t rows, int64_t cols, int64_t offset, bool lower,
                        const TensorOptions& options) {
  NORCH_CHECK(rows >= 0, op, ": row must be non-negative, got ", rows);
  NORCH_CHECK(cols >= 0, op, ": col must be non-negative, got ", cols);
  NORCH_CHECK(options.dtype() == kInt64 || options.dtype() == kInt32, op, ": dtype must be int32 or int64, got ",
              options.dtype());
  const double area = static_cast<double>(rows) * static_cast<double>(cols);
  NORCH_CHECK(std::max(static_cast<double>(std::max(rows, cols)), area) < 0x1p61, op, ": a triangle of ", rows, " x ", cols,
              " does not fit in memory");
  const int64_t k = std::min(std::max(offset, -rows - 1), cols + 1);
  // Row r of the lower triangle has r + k + 1 elements, from none at all to the whole row.
  const auto below = [&](int64_t diagonal) {
    const int64_t begin = std::min(std::max<int64_t>(-diagonal, 0), rows);
    const int64_t full = std::min(std::max(cols - diagonal - 1, begin), rows);
    return (full - begin) * (begin + full + 2 * diagonal + 1) / 2 + (rows - full) * cols;
  };
  const int64_t n = lower ? below(k) : rows * cols - below(k - 1);
  const Tensor t = new_tensor({2, n}, kInt64, kCPU);
  int64_t* p = t.data<int64_t>();
  int64_t i = 0;
  for (int64_t r = lower ? std::max<int64_t>(-k, 0) : 0; i < n; ++r) {
    const int64_t first = lower ? 0 : std::max<int64_t>(r + k, 0);
    const int64_t last = lower ? std::min(r + k + 1, cols) : cols;
    for (int64_t c = first; c < last; ++c, ++i) {
      p[i] = r;
      p[n + i] = c;
    }
  }
  return t.to(options.device(), options.dtype());
}

}  // namespace

Tensor arange(const Scalar& start, const Scalar& end, const Scalar& step, const TensorOptions& options) {
  const bool integers = !start.is_floating_point() && !end.is_floating_point() && !step.is_floating_point();
  const DType type = options.has_dtype() ? options.dtype() : integers ? kInt64 : default_dtype();
  if (type == kInt64 && !integers)  // computed in integers throughout, as in PyTorch
    return arange(whole("arange", start), whole("arange", end), whole("arange", step), options);
  const int64_t n = integers ? count_integers(start.to_int(), end.to_int(), step.to_int())
                             : count_floats(start.to_double(), end.to_double(), step.to_double());
  NORCH_CHECK_IMPLEMENTED(type != kBool, "arange: not implemented for bool");
  if (is_wide_unsigned(type)) {
    const Tensor wide = arange(start, end, step, options.dtype(integers ? kInt64 : kFloat64).requires_grad(false));
    return wide.to(type);
  }
  Tensor t = new_tensor({n}, type, options.device().resolve());
  kernels::arange(t.device(), t, start, step);
  return finish(t, options);
}

Tensor linspace(const Scalar& start, const Scalar& end, int64_t steps, const TensorOptions& options) {
  NORCH_CHECK(steps >= 0, "linspace: number of steps must be non-negative, got ", steps);
  NORCH_CHECK_IMPLEMENTED(options.dtype() != kBool, "linspace: not implemented for bool");
  const DType type = options.has_dtype()                      ? options.dtype()
                     : start.is_complex() || end.is_complex() ? to_complex(default_dtype())
                                                              : default_dtype();
  if (is_wide_unsigned(type)) return linspace(start, end, steps, options.dtype(kFloat64)).to(type);
  if (is_complex(type)) {
    const Complex<double> a = start.to_complex(), b = end.to_complex();
    const TensorOptions parts = TensorOptions(to_real(type)).device(options.device());
    return finish(complex(linspace(a.re, b.re, steps, parts), linspace(a.im, b.im, steps, parts)), options);
  }
  Tensor t = new_tensor({steps}, type, options.device().resolve());
  kernels::linspace(t.device(), t, end_for("linspace", start, type).to_double(),
                    end_for("linspace", end, type).to_double());
  return finish(t, options);
}

Tensor logspace(const Scalar& start, const Scalar& end, int64_t steps, double base, const TensorOptions& options) {
  NORCH_CHECK(steps >= 0, "logspace: number of steps must be non-negative, got ", steps);
  const DType type = options.has_dtype()                      ? options.dtype()
                     : start.is_complex() || end.is_complex() ? to_complex(default_dtype())
                                                              : default_dtype();
  autograd::NoGrad off;
  const Tensor wide = type == kComplex64    ? complex_powers<float>(start, end, steps, base)
                      : type == kComplex128 ? complex_powers<double>(start, end, steps, base)
                                            : real_powers(start, end, steps, base, type);
  return finish(wide.to(options.device().resolve(), type), options);
}

Tensor eye(int64_t n, int64_t m, const TensorOptions& options) {
  NORCH_CHECK(n >= 0, "eye: n must be greater or equal to 0, got ", n);
  NORCH_CHECK(m >= 0, "eye: m must be greater or equal to 0, got ", m);
  Tensor t = zeros({n, m}, options.requires_grad(false));
  const int64_t length = std::min(n, m);
  if (length > 0) {
    const Tensor diagonal = autograd::shallow_copy(t);
    kernels::fill(t.device(), make_plan({new_view(diagonal, {length}, {m + 1}, 0)}, {}), 1);
  }
  return finish(t, options);
}

Tensor tril(const Tensor& t, int64_t diagonal) { return triangle("tril", t, diagonal, true); }
Tensor triu(const Tensor& t, int64_t diagonal) { return triangle("triu", t, diagonal, false); }
Tensor tril_(const Tensor& self, int64_t diagonal) {
  autograd::InPlace write("tril_", self);
  return write.finish(triangle("tril_", write.input(), diagonal, true));
}
Tensor triu_(const Tensor& self, int64_t diagonal) {
  autograd::InPlace write("triu_", self);
  return write.finish(triangle("triu_", write.input(), diagonal, false));
}

Tensor tril_indices(int64_t rows, int64_t cols, int64_t offset, const TensorOptions& options) {
  return triangle_indices("tril_indices", rows, cols, offset, true, options);
}
Tensor triu_indices(int64_t rows, int64_t cols, int64_t offset, const TensorOptions& options) {
  return triangle_indices("triu_indices", rows, cols, offset, false, options);
}

TensorList meshgrid(const TensorList& tensors, std::string_view indexing) {
  NORCH_CHECK(!tensors.empty(), "meshgrid expects a non-empty TensorList");
  NORCH_CHECK(indexing == "ij" || indexing == "xy", "meshgrid: indexing must be one of \"xy\" or \"ij\", but received: ",
              std::string(indexing));
  const size_t n = tensors.size();
  const bool swap = indexing == "xy" && n >= 2;
  auto dim_of = [&](size_t i) { return swap && i < 2 ? 1 - i : i; };
  Shape shape(n);
  for (size_t i = 0; i < n; ++i) {
    NORCH_CHECK(tensors[i].defined(), "meshgrid: tensor ", i, " is undefined");
    NORCH_CHECK(tensors[i].dim() <= 1, "meshgrid: Expected 0D or 1D tensor in the tensor list but got shape ",
                tensors[i].sizes());
    NORCH_CHECK(tensors[i].dtype() == tensors[0].dtype(), "meshgrid expects all tensors to have the same dtype");
    shape[dim_of(i)] = tensors[i].numel();
  }
  TensorList grid;
  for (size_t i = 0; i < n; ++i) {
    Shape own(n, 1);
    own[dim_of(i)] = tensors[i].numel();
    grid.push_back(expand(reshape(tensors[i], own), shape));
  }
  return grid;
}

}  // namespace norch
