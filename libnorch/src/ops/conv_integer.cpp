#include "ops/conv_integer.h"

#include <algorithm>

#include "norch/ops/binary.h"
#include "norch/ops/factory.h"
#include "norch/ops/fold.h"
#include "norch/ops/matmul.h"
#include "norch/ops/slice.h"
#include "norch/ops/view.h"

namespace norch {

using kernels::Conv;

namespace {

/// Calls f(tap, its position along each dim).
template <class F>
void over_taps(const Conv& c, const F& f) {
  for (int64_t t = 0; t < c.taps(); ++t)
    f(t, Shape{t / (c.kernel[1] * c.kernel[2]), t / c.kernel[2] % c.kernel[1], t % c.kernel[2]});
}

/// What the windows see at a tap: the last three dims of t cut to one element per window.
Tensor at_tap(const Conv& c, Tensor t, const Shape& tap) {
  for (int d = 0; d < 3; ++d) {
    const int64_t first = tap[static_cast<size_t>(d)] * c.dilation[d];
    t = slice(t, 3 + d, first, first + (c.out[d] - 1) * c.stride[d] + 1, c.stride[d]);
  }
  return t;
}

/// The weight of each tap: (taps, groups, c_out / groups, c_in / groups).
Tensor weight_by_taps(const Conv& c, const Tensor& w) {
  return permute(reshape(w, {c.groups, c.c_out / c.groups, c.c_in / c.groups, c.taps()}), {3, 0, 1, 2});
}

int64_t reach(const Conv& c, int d) { return (c.out[d] - 1) * c.stride[d] + (c.kernel[d] - 1) * c.dilation[d] + 1; }

}  // namespace

Tensor integer_convolution(const Conv& c, Ints shape, const Tensor& x, const Tensor& w, const Tensor& bias) {
  const Tensor image = reshape(x, {c.n, c.groups, c.c_in / c.groups, c.in[0], c.in[1], c.in[2]});
  Shape zeros_around;
  for (int d = 2; d >= 0; --d) {
    zeros_around.push_back(c.pad[d]);
    zeros_around.push_back(reach(c, d) - c.in[d] - c.pad[d]);
  }
  const Tensor padded = pad(image, zeros_around), taps = weight_by_taps(c, w);
  Tensor out = zeros({c.n, c.groups, c.c_out / c.groups, c.out_size()}, x.options());
  over_taps(c, [&](int64_t t, const Shape& tap) {
    const Tensor seen = reshape(at_tap(c, padded, tap), {c.n, c.groups, c.c_in / c.groups, c.out_size()});
    add_(out, matmul(select(taps, 0, t), seen));
  });
  out = reshape(out, shape);
  if (!bias.defined()) return out;
  Shape column(shape.size() - 1, 1);
  column[0] = c.c_out;
  return add(out, reshape(bias, column));
}

Tensor integer_transposed(const Conv& c, Ints shape, const Tensor& g, const Tensor& w) {
  Shape size{c.n, c.groups, c.c_in / c.groups};
  for (int d = 0; d < 3; ++d) size.push_back(std::max(reach(c, d), c.in[d] + c.pad[d]));
  Tensor image = zeros(size, g.options());
  const Tensor columns = reshape(g, {c.n, c.groups, c.c_out / c.groups, c.out_size()}), taps = weight_by_taps(c, w);
  over_taps(c, [&](int64_t t, const Shape& tap) {
    const Tensor part = matmul(transpose(select(taps, 0, t), -1, -2), columns);
    const Tensor place = at_tap(c, image, tap);
    add_(place, reshape(part, place.sizes()));
  });
  for (int d = 0; d < 3; ++d) image = narrow(image, 3 + d, c.pad[d], c.in[d]);
  return reshape(image, shape);
}

}  // namespace norch
