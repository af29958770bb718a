// Sampling is made of gathers of the pixels around each position, weighted by how near they are: their gradients are the
// operations' own.
#include "norch/ops/grid_sample.h"

#include <algorithm>
#include <cmath>
#include <string>
#include <vector>

#include "autograd/record.h"
#include "norch/ops/binary.h"
#include "norch/ops/factory.h"
#include "norch/ops/gather.h"
#include "norch/ops/join.h"
#include "norch/ops/matmul.h"
#include "norch/ops/reduce.h"
#include "norch/ops/slice.h"
#include "norch/ops/ternary.h"
#include "norch/ops/unary.h"
#include "norch/ops/view.h"
#include "ops/autocast.h"

namespace norch {

namespace {

enum class Padding { zeros, border, reflection };

Tensor number(double v) { return Tensor::wrap(v); }

/// Positions reflected at low / 2 and high / 2 until they lie between.
Tensor reflect(const Tensor& at, double twice_low, double twice_high) {
  if (twice_low == twice_high) return at * Scalar(0);
  const double low = twice_low / 2, span = (twice_high - twice_low) / 2;
  const Tensor off = abs(at - Scalar(low));
  const Tensor flips = floor(off.detach() / Scalar(span)), extra = off - flips * Scalar(span);
  const Tensor odd = ne(fmod(flips, number(2)), number(0));
  return where(odd, Scalar(span + low) - extra, extra + Scalar(low));
}

/// Pixel positions made to lie in the image, as the padding says.
Tensor bounded(const Tensor& at, int64_t size, Padding padding, bool align_corners) {
  const double n = static_cast<double>(size);
  if (padding == Padding::zeros) return at;
  const Tensor p = padding == Padding::border   ? at
                   : align_corners              ? reflect(at, 0, 2 * (n - 1))
                                                : reflect(at, -1, 2 * n - 1);
  return clamp(p, number(0), number(n - 1));
}

/// From [-1, 1] to pixels.
Tensor unnormalized(const Tensor& g, int64_t size, bool align_corners) {
  const double n = static_cast<double>(size);
  return align_corners ? (g + Scalar(1)) * Scalar((n - 1) / 2) : ((g + Scalar(1)) * Scalar(n) - Scalar(1)) / Scalar(2);
}

/// Taps along one dim: whole positions (float), and their weights.
struct Taps {
  std::vector<Tensor> at, weight;
};

/// The sum over all combinations of taps of the dims of weight * pixel.
Tensor sample(const Tensor& input, const std::vector<Taps>& dims) {
  const Ints s = input.sizes();
  const int64_t n = s[0], channels = s[1];
  const Tensor flat = flatten(input, 2);
  const Shape places(dims[0].at[0].sizes());
  size_t combinations = 1;
  for (const Taps& t : dims) combinations *= t.at.size();
  Tensor total;
  for (size_t c = 0; c < combinations; ++c) {
    Tensor index, inside, weight;
    size_t rest = c;
    for (size_t d = 0; d < dims.size(); ++d) {
      const Taps& t = dims[d];
      const size_t k = rest % t.at.size();
      rest /= t.at.size();
      const int64_t size = s[2 + d];
      const Tensor at = t.at[k].detach();
      const Tensor fits = logical_and(ge(at, number(0)), le(at, number(static_cast<double>(size - 1))));
      // What lies outside (NaN too) is taken from pixel 0 and then counts for nothing.
      const Tensor i = where(fits, at, zeros({}, at.options())).to(DType::Int64);
      index = index.defined() ? index * Scalar(size) + i : i;
      inside = inside.defined() ? logical_and(inside, fits) : fits;
      if (!t.weight.empty()) weight = weight.defined() ? weight * t.weight[k] : t.weight[k];
    }
    const Tensor columns = expand(reshape(index, {n, 1, -1}), {n, channels, numel_of(Ints(places).slice(1))});
    const Tensor pixels = gather(flat, 2, columns);
    const Tensor keep = reshape(inside, {n, 1, -1});
    Tensor part = masked_fill(pixels, logical_not(keep), number(0));
    if (weight.defined()) part = part * masked_fill(reshape(weight, {n, 1, -1}), logical_not(keep), number(0));
    total = total.defined() ? total + part : part;
  }
  Shape shape{n, channels};
  for (int64_t d : Ints(places).slice(1)) shape.push_back(d);
  return reshape(total, shape);
}

Taps linear_taps(const Tensor& at) {
  const Tensor low = floor(at.detach()), past = at - low;
  return {{low, low + Scalar(1)}, {Scalar(1) - past, past}};
}

/// Cubic convolution with a = -0.75 of four neighbours, each placed in the image by the padding.
Taps cubic_taps(const Tensor& at, int64_t size, Padding padding, bool align_corners) {
  constexpr double a = -0.75;
  const Tensor low = floor(at.detach()), t = at - low, u = Scalar(1) - t;
  const auto far = [&](const Tensor& x) {  // of distance 1 + x
    const Tensor d = x + Scalar(1);
    return ((d * Scalar(a) - Scalar(5 * a)) * d + Scalar(8 * a)) * d - Scalar(4 * a);
  };
  const auto near = [&](const Tensor& x) { return (x * Scalar(a + 2) - Scalar(a + 3)) * x * x + Scalar(1); };
  Taps taps;
  for (int k = -1; k <= 2; ++k) taps.at.push_back(bounded(low + Scalar(k), size, padding, align_corners));
  taps.weight = {far(t), near(t), near(u), far(u)};
  return taps;
}

void check_operands(const Tensor& input, const Tensor& grid) {
  const char* op = "grid_sampler()";
  NORCH_CHECK_IMPLEMENTED(input.is_floating_point(), op, ": not implemented for ", input.dtype(),
                          "; convert to a floating-point dtype");
  NORCH_CHECK(input.device() == grid.device(), op, ": expected input and grid to be on same device, but input is on ",
              input.device(), " and grid is on ", grid.device());
  NORCH_CHECK(input.dtype() == grid.dtype(), op, ": expected input and grid to have the same dtype, but got ",
              input.dtype(), " and ", grid.dtype());
  const Ints si = input.sizes(), sg = grid.sizes();
  NORCH_CHECK((si.size() == 4 || si.size() == 5) && si.size() == sg.size(), op, ": expected 4D or 5D input and grid with "
              "same number of dimensions, but got input with sizes ", si, " and grid with sizes ", sg);
  NORCH_CHECK(si[0] == sg[0], op, ": expected grid and input to have same batch size, but got input with sizes ", si,
              " and grid with sizes ", sg);
  NORCH_CHECK(sg.back() == static_cast<int64_t>(si.size()) - 2, op, ": expected grid to have size ", si.size() - 2,
              " in last dimension, but got grid with sizes ", sg);
  for (size_t d = 2; d < si.size(); ++d)
    NORCH_CHECK(si[d] > 0, op, ": expected input to have non-empty spatial dimensions, but input has sizes ", si,
                " with dimension ", d, " being empty");
}

}  // namespace

Tensor grid_sample(const Tensor& input, const Tensor& grid, std::string_view mode, std::string_view padding_mode,
                   bool align_corners) {
  NORCH_AUTOCAST(widest_cuda, grid_sample, input, grid, mode, padding_mode, align_corners);
  NORCH_AUTOCAST(float32_cpu, grid_sample, input, grid, mode, padding_mode, align_corners);
  NORCH_CHECK_VALUE(mode == "bilinear" || mode == "nearest" || mode == "bicubic", "nn.functional.grid_sample(): expected "
                    "mode to be 'bilinear', 'nearest' or 'bicubic', but got: '", std::string(mode), "'");
  NORCH_CHECK_VALUE(padding_mode == "zeros" || padding_mode == "border" || padding_mode == "reflection",
                    "nn.functional.grid_sample(): expected padding_mode to be 'zeros', 'border', or 'reflection', but got: "
                    "'", std::string(padding_mode), "'");
  check_operands(input, grid);
  const size_t dims = input.sizes().size() - 2;
  NORCH_CHECK(mode != "bicubic" || dims == 2, "grid_sampler(): bicubic interpolation only supports 4D input, got ",
              input.sizes());
  const Padding padding = padding_mode == "zeros"    ? Padding::zeros
                          : padding_mode == "border" ? Padding::border
                                                     : Padding::reflection;
  // 16-bit positions would be off by whole pixels.
  const DType type = input.dtype() == DType::Float64 ? DType::Float64 : DType::Float32;
  const Tensor positions = grid.to(type), image = input.to(type);
  if (grid.numel() == 0 || input.numel() == 0) {
    Shape shape{input.sizes()[0], input.sizes()[1]};
    for (size_t d = 0; d < dims; ++d) shape.push_back(grid.sizes()[1 + d]);
    const Tensor none = zeros(shape, input.options());
    return autograd::recording(input, grid) ? none + (sum(input) + sum(grid)) * Scalar(0) : none;
  }
  std::vector<Taps> taps;
  for (size_t d = 0; d < dims; ++d) {
    const int64_t size = input.sizes()[2 + d];
    const Tensor at =
        unnormalized(select(positions, -1, static_cast<int64_t>(dims - 1 - d)), size, align_corners);
    if (mode == "bicubic") {
      taps.push_back(cubic_taps(at, size, padding, align_corners));
      continue;
    }
    const Tensor placed = bounded(at, size, padding, align_corners);
    if (mode == "nearest") {
      taps.push_back({{round(placed)}, {}});
      // The position takes part with a gradient of zero.
      if (autograd::recording(placed))
        taps.back().weight.push_back(masked_fill(placed, full({}, true, kBool), number(1)));
    } else {
      taps.push_back(linear_taps(placed));
    }
  }
  return sample(image, taps).to(input.dtype());
}

Tensor affine_grid(const Tensor& theta, Ints size, bool align_corners) {
  NORCH_CHECK_VALUE(theta.is_floating_point(), "Expected theta to have floating point type, but got ", theta.dtype());
  NORCH_CHECK_IMPLEMENTED(size.size() == 4 || size.size() == 5, "affine_grid only supports 4D and 5D sizes, for 2D and 3D "
                          "affine transforms, respectively. Got size ", size, ".");
  const int64_t dims = static_cast<int64_t>(size.size()) - 2;
  NORCH_CHECK_VALUE(theta.dim() == 3 && theta.sizes()[1] == dims && theta.sizes()[2] == dims + 1, "Expected a batch of ",
                    dims, "D affine matrices of shape Nx", dims, "x", dims + 1, " for size ", size, ". Got ",
                    theta.sizes(), ".");
  for (int64_t v : size) NORCH_CHECK_VALUE(v > 0, "Expected non-zero, positive output size. Got ", size);
  NORCH_CHECK(theta.sizes()[0] == size[0], "affine_grid: theta is for a batch of ", theta.sizes()[0], ", size ", size,
              " for one of ", size[0]);
  // Positions (x, y, z, 1) of the pixels by the transposed matrices.
  const Ints spatial = size.slice(2);
  TensorList columns;
  for (int64_t d = dims - 1; d >= 0; --d) {
    const int64_t n = spatial[static_cast<size_t>(d)];
    Tensor at = n > 1 ? linspace(-1, 1, n, theta.options()) : zeros({n}, theta.options());
    if (!align_corners) at = at * Scalar(static_cast<double>(n - 1) / static_cast<double>(n));
    Shape along(static_cast<size_t>(dims), 1);
    along[static_cast<size_t>(d)] = n;
    columns.push_back(expand(reshape(at, along), spatial));
  }
  columns.push_back(ones(spatial, theta.options()));
  const Tensor base = reshape(stack(columns, -1), {1, numel_of(spatial), dims + 1});
  Shape shape{size[0]};
  for (int64_t n : spatial) shape.push_back(n);
  shape.push_back(dims);
  return reshape(matmul(base, transpose(theta, 1, 2)), shape);
}

}  // namespace norch
