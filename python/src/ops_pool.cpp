// Pooling and its reverse.
#include "bind.h"
#include "norch/ops/pool.h"
#include "truth.h"

namespace norch::python {

namespace {

const Shape one{1}, zero{0};

Ints step_of(const std::optional<Shape>& stride) { return stride ? Ints(*stride) : Ints(); }

using MaxPool = Tensor (*)(const Tensor&, Ints, Ints, Ints, Ints, bool);
using MaxPoolIndices = std::pair<Tensor, Tensor> (*)(const Tensor&, Ints, Ints, Ints, Ints, bool);

void bind_max_pool(Binder& b, const char* name, MaxPool f, MaxPoolIndices with_indices) {
  const std::string doc = std::string(name) + "(input, kernel_size, stride=None, padding=0, dilation=1, "
                          "ceil_mode=False, return_indices=False) -> Tensor\n\nThe largest element of each window; with "
                          "return_indices also where it was in its plane.";
  b.functional(
      name,
      [f, with_indices](const Tensor& input, const Shape& kernel_size, const std::optional<Shape>& stride,
                        const Shape& padding, const Shape& dilation, bool ceil_mode,
                        Truth return_indices) -> nb::object {
        const Ints step = step_of(stride);
        if (!return_indices) return nb::cast(f(input, kernel_size, step, padding, dilation, ceil_mode));
        return nb::cast(with_indices(input, kernel_size, step, padding, dilation, ceil_mode));
      },
      doc.c_str(), "input"_a, "kernel_size"_a, "stride"_a = nb::none(), "padding"_a = zero, "dilation"_a = one,
      "ceil_mode"_a = false, "return_indices"_a.none() = false);
  for (nb::handle scope : {nb::handle(b.root), nb::handle(b.nn)})
    b.in(
        scope, (std::string(name) + "_with_indices").c_str(),
        [with_indices](const Tensor& input, const Shape& kernel_size, const std::optional<Shape>& stride,
                       const Shape& padding, const Shape& dilation, bool ceil_mode, Truth return_indices) {
          static_cast<void>(return_indices);
          return with_indices(input, kernel_size, step_of(stride), padding, dilation, ceil_mode);
        },
        "The largest element of each window and where it was in its plane.", "input"_a, "kernel_size"_a,
        "stride"_a = nb::none(), "padding"_a = zero, "dilation"_a = one, "ceil_mode"_a = false,
        "return_indices"_a.none() = true);
}

/// An output size: an int, or a sequence in which None keeps the input's (-1 in C++).
Shape output_size_of(const char* op, nb::handle size) {
  Shape sizes;
  if (nb::try_cast<Shape>(size, sizes)) {
    for (int64_t n : sizes)
      NORCH_CHECK(n >= 0, op, ": elements of output_size must be greater than or equal to 0, but got ", sizes);
    return sizes;
  }
  sizes.clear();
  bool ok = size.is_none() || PyTuple_Check(size.ptr()) || PyList_Check(size.ptr());
  if (size.is_none()) sizes.push_back(-1);
  else if (ok) {
    for (nb::handle item : size) {
      int64_t v = -1;
      ok = ok && (item.is_none() || (nb::try_cast<int64_t>(item, v) && v >= 0));
      sizes.push_back(v);
    }
  }
  NORCH_CHECK_TYPE(ok, op, "(): output_size must be an int or a tuple of ints (not negative) and None");
  return sizes;
}

using Adaptive = Tensor (*)(const Tensor&, Ints);
using AdaptiveMax = std::pair<Tensor, Tensor> (*)(const Tensor&, Ints);

void bind_adaptive_avg_pool(Binder& b, const char* name, Adaptive f) {
  const std::string doc = std::string(name) + "(input, output_size) -> Tensor\n\nThe mean of each of output_size windows.";
  b.functional(
      name, [f, name](const Tensor& input, nb::handle size) { return f(input, output_size_of(name, size)); },
      doc.c_str(), "input"_a, "output_size"_a.none());
}

void bind_adaptive_max_pool(Binder& b, const char* name, AdaptiveMax f) {
  const std::string doc = std::string(name) + "(input, output_size, return_indices=False) -> Tensor\n\nThe largest "
                          "element of each of output_size windows.";
  b.functional(
      name,
      [f, name](const Tensor& input, nb::handle size, Truth return_indices) -> nb::object {
        std::pair<Tensor, Tensor> both = f(input, output_size_of(name, size));
        if (return_indices) return nb::cast(both);
        return nb::cast(both.first);
      },
      doc.c_str(), "input"_a, "output_size"_a.none(), "return_indices"_a.none() = false);
  const auto with_indices = [f, name](const Tensor& input, nb::handle size, bool) { return f(input, output_size_of(name, size)); };
  const std::string shape = std::string("1, ") + (name[17] == '1' ? "4" : name[17] == '2' ? "4, 4" : "4, 4, 4");
  const std::string both = std::string(name) + "_with_indices(input, output_size) -> (Tensor, Tensor)\n\nAs " + name +
                           ", with the places of the largest elements.\n\n>>> norch.nn.functional." + name +
                           "_with_indices(norch.zeros(" + shape + "), 1)[1].flatten()\ntensor([0])";
  b.functional((std::string(name) + "_with_indices").c_str(), with_indices, both.c_str(), "input"_a,
               "output_size"_a.none(), "return_indices"_a.none() = false);
}

using AvgPool = Tensor (*)(const Tensor&, Ints, Ints, Ints, bool, bool, std::optional<int64_t>);

void bind_avg_pool(Binder& b, const char* name, AvgPool f) {
  const std::string doc = std::string(name) + "(input, kernel_size, stride=None, padding=0, ceil_mode=False, "
                          "count_include_pad=True, divisor_override=None) -> Tensor\n\nThe mean of each window.";
  b.functional(
      name,
      [f](const Tensor& input, const Shape& kernel_size, const std::optional<Shape>& stride, const Shape& padding,
          bool ceil_mode, bool count_include_pad, std::optional<int64_t> divisor_override) {
        return f(input, kernel_size, step_of(stride), padding, ceil_mode, count_include_pad, divisor_override);
      },
      doc.c_str(), "input"_a, "kernel_size"_a, "stride"_a = nb::none(), "padding"_a = zero, "ceil_mode"_a = false,
      "count_include_pad"_a = true, "divisor_override"_a = nb::none());
}

using LpPool = Tensor (*)(const Tensor&, double, Ints, Ints, bool);

void bind_lp_pool(Binder& b, const char* name, LpPool f) {
  const std::string doc = std::string(name) + "(input, norm_type, kernel_size, stride=None, ceil_mode=False) -> Tensor"
                          "\n\n(sum of x^p)^(1/p) over each window, for p = norm_type; inf is the largest |x|.";
  b.functional(
      name,
      [f](const Tensor& input, double norm_type, const Shape& kernel_size, const std::optional<Shape>& stride,
          bool ceil_mode) { return f(input, norm_type, kernel_size, step_of(stride), ceil_mode); },
      doc.c_str(), "input"_a, "norm_type"_a, "kernel_size"_a, "stride"_a = nb::none(), "ceil_mode"_a = false);
}

using Unpool = Tensor (*)(const Tensor&, const Tensor&, Ints);

/// The numbers of an argument that is one int or one per dim.
Shape per_dim(const char* op, const char* what, const Shape& v, int dims) {
  if (v.size() == 1) return Shape(static_cast<size_t>(dims), v[0]);
  NORCH_CHECK(v.size() == static_cast<size_t>(dims), op, ": ", what, " must be one int or ", dims, " ints, got ", v);
  return v;
}

void bind_unpool(Binder& b, const char* name, int dims, Unpool f) {
  const std::string doc =
      std::string(name) + "(input, indices, kernel_size, stride=None, padding=0, output_size=None) -> Tensor\n\nZeros "
      "with the elements of input at the places in their plane that max pooling found them (return_indices=True). "
      "output_size, where given, is within a stride of (size - 1) * stride - 2 * padding + kernel_size.";
  b.functional(
      name,
      [f, name, dims](const Tensor& input, const Tensor& indices, const Shape& kernel_size,
                      const std::optional<Shape>& stride, const Shape& padding, const std::optional<Shape>& output_size) {
        const Shape k = per_dim(name, "kernel_size", kernel_size, dims),
                    s = stride ? per_dim(name, "stride", *stride, dims) : k,
                    p = per_dim(name, "padding", padding, dims);
        Shape size;
        for (int d = 0; d < dims; ++d) size.push_back((input.size(d - dims) - 1) * s[d] + k[d] - 2 * p[d]);
        if (output_size) {
          const size_t given = output_size->size(), n = static_cast<size_t>(dims);
          NORCH_CHECK_VALUE(given == n || given == n + 2, "output_size should be a sequence containing ", dims, " or ",
                            dims + 2, " elements, but it has a length of '", given, "'");
          const Ints wanted = Ints(*output_size).slice(given - n);
          for (int d = 0; d < dims; ++d) {
            NORCH_CHECK_VALUE(wanted[d] > size[d] - s[d] && wanted[d] < size[d] + s[d], "invalid output_size \"", wanted,
                              "\" (dim ", d, " must be between ", size[d] - s[d], " and ", size[d] + s[d], ")");
            size[d] = wanted[d];
          }
        }
        for (int d = 0; d < dims; ++d)
          NORCH_CHECK_VALUE(size[d] >= 0, "max_unpooling: output_size must contain non-negative spatial dimensions, but "
                            "got output_size[", d, "]=", size[d]);
        return f(input, indices, size);
      },
      doc.c_str(), "input"_a, "indices"_a, "kernel_size"_a, "stride"_a = nb::none(), "padding"_a = zero,
      "output_size"_a = nb::none());
}

using Fractional = std::pair<Tensor, Tensor> (*)(const Tensor&, Ints, Ints, const Tensor&);

void bind_fractional(Binder& b, const char* name, int dims, Fractional f) {
  const std::string doc =
      std::string(name) + "(input, kernel_size, output_size=None, output_ratio=None, return_indices=False, "
      "_random_samples=None) -> Tensor\n\nMax pooling over windows at random places that together give output_size, or "
      "output_ratio times the input's size.";
  b.functional(
      name,
      [f, name, dims](const Tensor& input, const Shape& kernel_size, const std::optional<Shape>& output_size,
                      nb::handle output_ratio, Truth return_indices,
                      const std::optional<Tensor>& _random_samples) -> nb::object {
        NORCH_CHECK_VALUE(output_size || !output_ratio.is_none(), name,
                          " requires specifying either an output_size or an output_ratio");
        Shape size;
        if (output_size) {
          size = *output_size;
        } else {
          std::vector<double> ratios;
          double ratio;
          if (nb::try_cast<double>(output_ratio, ratio)) ratios.assign(static_cast<size_t>(dims), ratio);
          else
            for (nb::handle r : output_ratio) ratios.push_back(nb::cast<double>(r));
          NORCH_CHECK_VALUE(ratios.size() == static_cast<size_t>(dims), name,
                            " requires output_ratio to either be a single Int or tuple of Ints.");
          for (int d = 0; d < dims; ++d) {
            const double r = ratios[static_cast<size_t>(d)];
            NORCH_CHECK_VALUE(r > 0 && r < 1, name, ": output_ratio must be between 0 and 1, got ", r);
            size.push_back(static_cast<int64_t>(static_cast<double>(input.size(d - dims)) * r));
          }
        }
        std::pair<Tensor, Tensor> both = f(input, kernel_size, size, _random_samples.value_or(Tensor()));
        if (return_indices) return nb::cast(both);
        return nb::cast(both.first);
      },
      doc.c_str(), "input"_a, "kernel_size"_a, "output_size"_a = nb::none(), "output_ratio"_a = nb::none(),
      "return_indices"_a.none() = false, "_random_samples"_a = nb::none());
}

}  // namespace

void bind_pools(Binder& b) {
  bind_max_pool(b, "max_pool1d", &max_pool1d, &max_pool1d_with_indices);
  bind_max_pool(b, "max_pool2d", &max_pool2d, &max_pool2d_with_indices);
  bind_max_pool(b, "max_pool3d", &max_pool3d, &max_pool3d_with_indices);
  b.functional(
      "avg_pool1d",
      [](const Tensor& input, const Shape& kernel_size, const std::optional<Shape>& stride, const Shape& padding,
         bool ceil_mode, bool count_include_pad) {
        return avg_pool1d(input, kernel_size, step_of(stride), padding, ceil_mode, count_include_pad);
      },
      "avg_pool1d(input, kernel_size, stride=None, padding=0, ceil_mode=False, count_include_pad=True) -> Tensor\n\nThe "
      "mean of each window.",
      "input"_a, "kernel_size"_a, "stride"_a = nb::none(), "padding"_a = zero, "ceil_mode"_a = false,
      "count_include_pad"_a = true);
  bind_avg_pool(b, "avg_pool2d", &avg_pool2d);
  bind_avg_pool(b, "avg_pool3d", &avg_pool3d);
  bind_adaptive_avg_pool(b, "adaptive_avg_pool1d", &adaptive_avg_pool1d);
  bind_adaptive_avg_pool(b, "adaptive_avg_pool2d", &adaptive_avg_pool2d);
  bind_adaptive_avg_pool(b, "adaptive_avg_pool3d", &adaptive_avg_pool3d);
  bind_adaptive_max_pool(b, "adaptive_max_pool1d", &adaptive_max_pool1d_with_indices);
  b.function(
      "adaptive_max_pool1d",
      [](const Tensor& input, nb::handle size) {
        return adaptive_max_pool1d_with_indices(input, output_size_of("adaptive_max_pool1d", size));
      },
      "adaptive_max_pool1d(input, output_size) -> (Tensor, Tensor)\n\nThe largest element of each of output_size "
      "windows, and where it is.",
      "input"_a, "output_size"_a.none());
  bind_adaptive_max_pool(b, "adaptive_max_pool2d", &adaptive_max_pool2d_with_indices);
  bind_adaptive_max_pool(b, "adaptive_max_pool3d", &adaptive_max_pool3d_with_indices);
  bind_lp_pool(b, "lp_pool1d", &lp_pool1d);
  bind_lp_pool(b, "lp_pool2d", &lp_pool2d);
  bind_lp_pool(b, "lp_pool3d", &lp_pool3d);
  bind_unpool(b, "max_unpool1d", 1, &max_unpool1d);
  bind_unpool(b, "max_unpool2d", 2, &max_unpool2d);
  bind_unpool(b, "max_unpool3d", 3, &max_unpool3d);
  bind_fractional(b, "fractional_max_pool2d", 2, &fractional_max_pool2d);
  bind_fractional(b, "fractional_max_pool3d", 3, &fractional_max_pool3d);
  b.functional("local_response_norm", &local_response_norm,
               "local_response_norm(input, size, alpha=0.0001, beta=0.75, k=1.0) -> Tensor\n\nx / (k + alpha * mean of "
               "x^2 over `size` neighbouring channels)^beta.",
               "input"_a, "size"_a, "alpha"_a = 1e-4, "beta"_a = 0.75, "k"_a = 1.0);
}

}  // namespace norch::python
