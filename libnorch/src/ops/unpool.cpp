// Max unpooling and pooling at random places, made of gather and scatter, which differentiate them.
#include "norch/ops/binary.h"
#include "norch/ops/factory.h"
#include "norch/ops/fold.h"
#include "norch/ops/gather.h"
#include "norch/ops/pool.h"
#include "norch/ops/random.h"
#include "norch/ops/reduce.h"
#include "norch/ops/slice.h"
#include "norch/ops/ternary.h"
#include "norch/ops/unary.h"
#include "norch/ops/view.h"

namespace norch {

namespace {

Tensor max_unpool(const char* op, int dims, const Tensor& input, const Tensor& indices, Ints output_size) {
  NORCH_CHECK(indices.dtype() == DType::Int64, op, ": elements in indices should be type int64 but got: ",
              indices.dtype());
  NORCH_CHECK(input.dim() == dims + 1 || input.dim() == dims + 2, op, ": Input to ", op, " should be a ", dims + 1,
              "d or ", dims + 2, "d Tensor, but got a tensor with ", input.dim(), " dimensions.");
  NORCH_CHECK(input.sizes() == indices.sizes(), op, ": Expected shape of indices to be same as that of the input tensor ",
              input.sizes(), " but got indices tensor with shape: ", indices.sizes());
  NORCH_CHECK(output_size.size() == static_cast<size_t>(dims), op, ": There should be exactly ", dims,
              " elements in output_size, but got ", output_size.size(), " elements.");
  const size_t lead = static_cast<size_t>(input.dim() - dims);
  for (size_t d = 1; d < input.sizes().size(); ++d)
    NORCH_CHECK(input.sizes()[d] > 0, op, ": Expected input to have non-zero size for non-batch dimensions, but got ",
                input.sizes(), " with dimension ", d, " being empty.");
  Shape shape(input.sizes().slice(0, lead)), planes(shape);
  for (int64_t v : output_size) {
    NORCH_CHECK(v >= 0, op, ": output_size must not be negative, but got ", output_size);
    shape.push_back(v);
  }
  planes.push_back(numel_of(output_size, op));
  const int64_t last = static_cast<int64_t>(lead);
  const Tensor filled = scatter(zeros(planes, input.options()), last, flatten(indices, last), flatten(input, last));
  return reshape(filled, shape);
}

/// The first position of each of `out` windows of `kernel` along a dim of size `in`, from random numbers u of any shape:
/// u.sizes() + [out], int64. Window i starts at floor((i + u) alpha) - floor(u alpha), the last at the end.
Tensor window_starts(const Tensor& u, int64_t in, int64_t out, int64_t kernel) {
  Shape whole(u.sizes());
  whole.push_back(1);
  const Tensor last = full(whole, in - kernel, TensorOptions(kInt64).device(u.device()));
  if (out == 1) return last;
  // In the dtype of the samples, as PyTorch computes it.
  const double alpha = static_cast<double>(in - kernel) / static_cast<double>(out - 1);
  const Tensor step = full({}, alpha, u.options()), shift = reshape(u, whole);
  const Tensor i = arange(0, out - 1, 1, u.options());
  const Tensor starts = sub(trunc(mul(add(i, shift), step)), trunc(mul(shift, step))).to(DType::Int64);
  return where(ge(arange(out, TensorOptions(kInt64).device(u.device())), Tensor::wrap(out - 1)), last,
               pad(starts, {0, 1}));
}

std::pair<Tensor, Tensor> fractional(const char* op, int dims, const Tensor& input, Ints kernel_size, Ints output_size,
                                     const Tensor& samples_) {
  NORCH_CHECK_IMPLEMENTED(input.is_floating_point(), op, ": not implemented for ", input.dtype(),
                          "; convert to a floating-point dtype");
  NORCH_CHECK(input.dim() == dims + 1 || input.dim() == dims + 2, op, ": Expected ", dims + 1, "D or ", dims + 2,
              "D tensor, but got: ", input.sizes());
  const auto both = [&](const char* what, Ints v) {
    NORCH_CHECK(v.size() == 1 || v.size() == static_cast<size_t>(dims), op, ": ", what, " must either be a single Int or "
                "a tuple of ", dims, " ints, got ", v);
    return v.size() == 1 ? Shape(static_cast<size_t>(dims), v[0]) : Shape(v);
  };
  const Shape kernel = both("kernel_size", kernel_size), out = both("output_size", output_size);
  if (input.dim() == dims + 1) {
    const auto [y, places] = fractional(op, dims, unsqueeze(input, 0), kernel, out, samples_);
    return {squeeze(y, 0), squeeze(places, 0)};
  }
  const Ints s = input.sizes();
  for (int64_t d = 1; d < input.dim(); ++d)
    NORCH_CHECK(s[d] > 0, op, ": Expected input to have non-zero size for non-batch dimensions, but got ", s,
                " with dimension ", d, " being empty.");
  for (int d = 0; d < dims; ++d) {
    NORCH_CHECK(kernel[d] > 0 && out[d] > 0, op, ": kernel_size and output_size must be greater than zero, but got ",
                kernel, " and ", out);
    NORCH_CHECK(out[d] <= s[2 + d] && kernel[d] <= s[2 + d] && out[d] + kernel[d] - 1 <= s[2 + d], op,
                ": pool size ", kernel, " too large relative to input size ", s.slice(2), " and output size ", out);
  }
  const Tensor samples = samples_.defined() ? samples_ : rand({s[0], s[1], dims}, input.options());
  NORCH_CHECK(samples.dtype() == input.dtype(), op, ": Expect _random_samples to have the same dtype as input, got ",
              samples.dtype());
  NORCH_CHECK(samples.dim() == 3 && samples.sizes()[0] >= s[0] && samples.sizes()[1] == s[1] &&
                  samples.sizes()[2] == dims,
              op, ": Expect _random_samples of shape (batch, channels, ", dims, "), got ", samples.sizes());

  // Positions in the plane of the taps of each window: (batch, channels, windows..., taps...), then flat on both sides.
  const TensorOptions places_options = TensorOptions(kInt64).device(input.device());
  Tensor positions = zeros({}, places_options);
  int64_t stride = 1, windows = 1, taps = 1;
  for (int d = dims - 1; d >= 0; --d) {
    // PyTorch's samples run over the dims from the last to the first.
    const Tensor u = select(narrow(samples.detach(), 0, 0, s[0]), 2, dims == 2 ? 1 - d : d);
    Shape of_window{s[0], s[1]}, of_tap{1, 1};
    for (int e = 0; e < dims; ++e) {
      of_window.push_back(e == d ? out[d] : 1);
      of_tap.push_back(1);
    }
    for (int e = 0; e < dims; ++e) {
      of_window.push_back(1);
      of_tap.push_back(e == d ? kernel[d] : 1);
    }
    const Tensor starts = window_starts(u, s[2 + d], out[d], kernel[d]);
    positions = positions + (reshape(starts, of_window) + reshape(arange(kernel[d], places_options), of_tap)) * Scalar(stride);
    stride *= s[2 + d];
    windows *= out[d];
    taps *= kernel[d];
  }
  positions = reshape(positions, {s[0], s[1], windows, taps});
  const Tensor seen = reshape(gather(flatten(input.detach(), 2), 2, reshape(positions, {s[0], s[1], windows * taps})), positions.sizes());
  const Tensor places = squeeze(gather(positions, 3, argmax(seen, 3, true)), 3);
  Shape shape{s[0], s[1]};
  for (int64_t v : out) shape.push_back(v);
  return {reshape(gather(flatten(input, 2), 2, places), shape), reshape(places, shape)};
}

}  // namespace

Tensor max_unpool1d(const Tensor& input, const Tensor& indices, Ints output_size) {
  return max_unpool("max_unpool1d", 1, input, indices, output_size);
}
Tensor max_unpool2d(const Tensor& input, const Tensor& indices, Ints output_size) {
  return max_unpool("max_unpool2d", 2, input, indices, output_size);
}
Tensor max_unpool3d(const Tensor& input, const Tensor& indices, Ints output_size) {
  return max_unpool("max_unpool3d", 3, input, indices, output_size);
}

std::pair<Tensor, Tensor> fractional_max_pool2d(const Tensor& input, Ints kernel_size, Ints output_size,
                                                const Tensor& samples) {
  return fractional("fractional_max_pool2d", 2, input, kernel_size, output_size, samples);
}
std::pair<Tensor, Tensor> fractional_max_pool3d(const Tensor& input, Ints kernel_size, Ints output_size,
                                                const Tensor& samples) {
  return fractional("fractional_max_pool3d", 3, input, kernel_size, output_size, samples);
}

}  // namespace norch
