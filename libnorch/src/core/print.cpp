#include "norch/print.h"

#include <cmath>
#include <cstdio>
#include <mutex>
#include <vector>

#include "autograd/node.h"
#include "core/factory.h"
#include "norch/ops/copy.h"

namespace norch {

namespace {

std::mutex g_mutex;
PrintOptions g_options;

/// The tensor with every dim longer than 2 * edge cut down to its two ends, on the CPU in row-major order.
Tensor shown_part(Tensor t, bool summarize, int64_t edge) {
  for (int64_t d = 0; summarize && d < t.dim(); ++d) {
    if (t.sizes()[d] <= 2 * edge) continue;
    Shape sizes(t.sizes());
    const int64_t n = sizes[d];
    sizes[d] = 2 * edge;
    Tensor cut = new_tensor(sizes, t.dtype(), t.device());
    Shape part(sizes);
    part[d] = edge;
    for (int end = 0; end < 2; ++end) {
      const int64_t from = end ? n - edge : 0;
      copy_into(new_view(cut, part, cut.strides(), end * edge * cut.strides()[d]),
                new_view(t, part, t.strides(), t.storage_offset() + from * t.strides()[d]));
    }
    t = cut;
  }
  return t.cpu().contiguous();
}

std::string formatted(const char* format, int width, int precision, double v) {
  char text[400];
  const int n = std::snprintf(text, sizeof text, format, width, precision, v);
  return std::string(text, static_cast<size_t>(n < 0 ? 0 : n));
}

/// Chooses one notation and width for all values shown, as torch/_tensor_str.py does.
class Formatter {
 public:
  Formatter(const std::vector<Scalar>& values, bool floating, const PrintOptions& options)
      : floating_(floating), precision_(options.precision) {
    if (!floating) {
      for (const Scalar& v : values) widen(plain(v));
      return;
    }
    double low = INFINITY, high = 0;
    bool any = false;
    for (const Scalar& s : values) {
      const double v = s.to_double();
      if (!std::isfinite(v) || v == 0) continue;
      any = true;
      low = std::fmin(low, std::fabs(v));
      high = std::fmax(high, std::fabs(v));
      if (v != std::ceil(v)) integral_ = false;
    }
    if (!any) return;
    sci_ = high / low > 1000 || high > 1e8 || (!integral_ && low < 1e-4);
    if (options.sci_mode) sci_ = *options.sci_mode;
    for (const Scalar& s : values) {
      const double v = s.to_double();
      if (std::isfinite(v) && v != 0) widen(number(v));
    }
  }

  size_t width() const { return width_; }

  std::string operator()(const Scalar& s) const {
    std::string text = floating_ ? number(s.to_double()) : plain(s);
    return text.size() < width_ ? std::string(width_ - text.size(), ' ') + text : text;
  }

 private:
  static std::string plain(const Scalar& s) { return str(s); }
  std::string number(double v) const {
    if (std::isnan(v)) return "nan";
    if (std::isinf(v)) return v < 0 ? "-inf" : "inf";
    if (sci_) return formatted("%*.*e", 0, precision_, v);
    if (integral_) return formatted("%*.*f", 0, 0, v) + ".";
    return formatted("%*.*f", 0, precision_, v);
  }
  void widen(const std::string& text) {
    if (text.size() > width_) width_ = text.size();
  }

  bool floating_;
  bool integral_ = true;
  bool sci_ = false;
  int precision_;
  size_t width_ = 1;
};

/// The text of an element: complex numbers are formatted part by part, each part with a notation of its own.
class ElementFormatter {
 public:
  ElementFormatter(const std::vector<Scalar>& values, DType type, const PrintOptions& options)
      : complex_(is_complex(type)),
        real_(complex_ ? parts(values, false) : values, is_differentiable(type), options),
        imag_(complex_ ? parts(values, true) : std::vector<Scalar>(), true, options) {}

  size_t width() const { return real_.width() + (complex_ ? imag_.width() + 1 : 0); }

  std::string operator()(const Scalar& s) const {
    if (!complex_) return real_(s);
    const Complex<double> z = s.to_complex();
    std::string imaginary = imag_(z.im) + "j";
    imaginary.erase(0, imaginary.find_first_not_of(' '));
    return real_(z.re) + (imaginary[0] == '-' ? "" : "+") + imaginary;
  }

 private:
  static std::vector<Scalar> parts(const std::vector<Scalar>& values, bool imaginary) {
    std::vector<Scalar> out;
    out.reserve(values.size());
    for (const Scalar& s : values) out.emplace_back(imaginary ? s.to_complex().im : s.to_complex().re);
    return out;
  }

  bool complex_;
  Formatter real_, imag_;
};

/// Writes nested brackets over the shown values; `full` has the sizes before summarising.
class Writer {
 public:
  Writer(const std::vector<Scalar>& values, const ElementFormatter& format, const PrintOptions& options, Ints full, Ints shown)
      : values_(values), format_(format), options_(options), full_(full), shown_(shown) {}

  std::string write(size_t dim, size_t first, int indent) const {
    if (full_.empty()) return format_(values_[0]);
    if (dim + 1 == full_.size()) return vector(dim, first, indent);
    size_t step = 1;
    for (size_t d = dim + 1; d < shown_.size(); ++d) step *= static_cast<size_t>(shown_[d]);
    const std::string separator =
        "," + std::string(full_.size() - dim - 1, '\n') + std::string(static_cast<size_t>(indent) + 1, ' ');
    std::string out = "[";
    for (int64_t i = 0; i < shown_[dim]; ++i) {
      if (i) out += separator;
      if (cut(dim) && i == options_.edgeitems) out += "..." + separator;
      out += write(dim + 1, first + static_cast<size_t>(i) * step, indent + 1);
    }
    return out + "]";
  }

 private:
  bool cut(size_t dim) const { return shown_[dim] != full_[dim]; }

  std::string vector(size_t dim, size_t first, int indent) const {
    std::vector<std::string> items;
    for (int64_t i = 0; i < shown_[dim]; ++i) {
      if (cut(dim) && i == options_.edgeitems) items.emplace_back(" ...");
      items.push_back(format_(values_[first + static_cast<size_t>(i)]));
    }
    const int room = (options_.linewidth - indent) / static_cast<int>(format_.width() + 2);
    const size_t per_line = static_cast<size_t>(room < 1 ? 1 : room);
    std::string out = "[";
    for (size_t i = 0; i < items.size(); ++i) {
      if (i) out += i % per_line ? ", " : ",\n" + std::string(static_cast<size_t>(indent) + 1, ' ');
      out += items[i];
    }
    return out + "]";
  }

  const std::vector<Scalar>& values_;
  const ElementFormatter& format_;
  const PrintOptions& options_;
  Ints full_, shown_;
};

}  // namespace

PrintOptions print_options() {
  std::lock_guard<std::mutex> lock(g_mutex);
  return g_options;
}

void set_print_options(const PrintOptions& options) {
  NORCH_CHECK_VALUE(options.precision >= 0 && options.precision <= 64 && options.edgeitems >= 0 &&
                        options.linewidth > 0 && options.threshold >= 0,
                    "set_printoptions: precision must be in [0, 64], edgeitems and threshold not negative, linewidth "
                    "positive");
  std::lock_guard<std::mutex> lock(g_mutex);
  g_options = options;
}

std::string values_to_string(const Tensor& t, int indent) {
  if (t.numel() == 0) return "[]";
  const PrintOptions options = print_options();
  autograd::NoGrad off;
  const Tensor shown = shown_part(t.detach(), t.numel() > options.threshold, options.edgeitems);
  std::vector<Scalar> values;
  values.reserve(static_cast<size_t>(shown.numel()));
  const char* bytes = static_cast<const char*>(shown.data_ptr());
  for (int64_t i = 0; i < shown.numel(); ++i)
    values.push_back(scalar_from_bytes(bytes + i * static_cast<int64_t>(shown.itemsize()), shown.dtype()));
  const ElementFormatter format(values, t.dtype(), options);
  return Writer(values, format, options, t.sizes(), shown.sizes()).write(0, 0, indent);
}

/// Whether floats or complex numbers written without a dtype have this one.
static bool is_default(DType t) {
  return t == default_dtype() || (is_complex(t) && t == to_complex(default_dtype()));
}

std::string to_string(const Tensor& t) {
  if (!t.defined()) return "undefined tensor";
  const std::string prefix = "tensor(";
  const int indent = static_cast<int>(prefix.size());
  std::vector<std::string> suffixes;
  if (t.is_cuda()) suffixes.push_back("device='" + t.device().str() + "'");
  if (t.numel() == 0) {
    if (t.dim() != 1) {
      std::string size = str(t.sizes());
      size.front() = '(';
      size.back() = ')';
      suffixes.push_back("size=" + size);
    }
    if (t.dtype() != default_dtype()) suffixes.push_back(str("dtype=", print_options().package, ".", t.dtype()));
  } else if (!is_default(t.dtype()) && t.dtype() != kInt64 && t.dtype() != kBool) {
    suffixes.push_back(str("dtype=", print_options().package, ".", t.dtype()));
  }
  if (const auto& node = t.grad_fn())
    suffixes.push_back("grad_fn=<" + node->name() + ">");
  else if (t.requires_grad())
    suffixes.push_back("requires_grad=True");

  std::string out = prefix + values_to_string(t, indent);
  const size_t newline = out.rfind('\n');
  size_t last_line = newline == std::string::npos ? out.size() + 2 : out.size() - newline + 1;
  const size_t linewidth = static_cast<size_t>(print_options().linewidth);
  for (const std::string& s : suffixes) {
    if (last_line + s.size() + 2 > linewidth) {
      out += ",\n" + std::string(prefix.size(), ' ') + s;
      last_line = prefix.size() + s.size();
    } else {
      out += ", " + s;
      last_line += s.size() + 2;
    }
  }
  return out + ")";
}

}  // namespace norch
