#include "norch/ops/resample.h"

#include <algorithm>
#include <cmath>
#include <memory>
#include <string>

#include "autograd/record.h"
#include "core/channels_last.h"
#include "core/factory.h"
#include "kernels/resample.h"
#include "norch/ops/copy.h"
#include "norch/ops/pool.h"
#include "norch/ops/view.h"
#include "ops/autocast.h"
#include "ops/resample_taps.h"

namespace norch {

using autograd::Backward;
using autograd::record;
using autograd::recording;

namespace {

/// What a resampling does along its spatial dims; the tensors of its kernel are made from that, for either direction.
struct Geometry {
  bool weighted = true;   // false: each output is one element
  bool separate = false;  // one dim after the other: the filter is wide
  std::vector<TapTable> dims;
};

Tensor table(Device device, DType type, const void* data, size_t n) {
  const Tensor host = new_tensor({static_cast<int64_t>(n)}, type, kCPU);
  std::copy_n(static_cast<const char*>(data), n * itemsize(type), static_cast<char*>(host.data_ptr()));
  return host.to(device);
}

/// With `innermost`, channels are the last of the kernel's dims, which stays as it is.
kernels::Resample plan_of(const Geometry& geometry, Ints in, Ints out, bool adjoint, bool innermost, DType type,
                          Device device) {
  kernels::Resample r;
  const size_t dims = geometry.dims.size(), lead = in.size() - dims;
  r.planes = innermost ? in[0] : numel_of(in.slice(0, lead), "interpolate");
  if (innermost) r.dim[2].in = r.dim[2].out = in[1];
  for (size_t d = 0; d < dims; ++d) {
    kernels::ResampleDim& to = r.dim[3 - dims + d - (innermost ? 1 : 0)];
    to.in = in[lead + d];
    to.out = out[lead + d];
    const TapTable taps = adjoint                  ? transposed(geometry.dims[d], to.out)
                          : type == DType::UInt8 ? quantised(geometry.dims[d])
                                                 : geometry.dims[d];
    to.begin = table(device, DType::Int32, taps.begin.data(), taps.begin.size());
    to.index = table(device, DType::Int32, taps.index.data(), taps.index.size());
    if (!geometry.weighted) continue;
    if (type == DType::Float64) {
      to.weight = table(device, DType::Float64, taps.weight.data(), taps.weight.size());
    } else {
      const std::vector<float> rounded(taps.weight.begin(), taps.weight.end());
      to.weight = table(device, DType::Float32, rounded.data(), rounded.size());
    }
  }
  return r;
}

/// One dim after the other, in float or double; bytes are rounded after each, as on the CPU.
void run_by_dims(const kernels::Resample& r, const Tensor& out, const Tensor& x, bool innermost) {
  autograd::NoGrad off;
  const DType type = x.dtype() == DType::Float16 || x.dtype() == DType::BFloat16 ? DType::Float32 : x.dtype();
  Tensor now = x.to(type);
  int64_t sizes[3] = {r.dim[0].in, r.dim[1].in, r.dim[2].in};
  for (int d = 2; d >= 0; --d) {
    if (!r.dim[d].begin.defined()) continue;
    kernels::Resample one;
    one.planes = r.planes;
    for (int e = 0; e < 3; ++e) one.dim[e].in = one.dim[e].out = sizes[e];
    one.dim[d] = r.dim[d];
    sizes[d] = r.dim[d].out;
    const Tensor next = new_tensor({r.planes, sizes[0], sizes[1], sizes[2]}, type, x.device());
    kernels::resample(x.device(), one, next, now);
    now = next;
  }
  copy_into(out, innermost ? permute(now, {0, 3, 1, 2}) : reshape(now, out.sizes()));
}

Tensor resampled(const std::shared_ptr<const Geometry>& geometry, Ints shape, const Tensor& x, bool adjoint,
                 MemoryFormat format) {
  Tensor out = new_in(format, shape, x.dtype(), x.device());
  if (out.numel() > 0) {
    // Channels-last images are worked on as they are, with the channels as a third dim: not those of three spatial dims,
    // since the kernels know no more, nor weighted sums on the CPU of few images, which its threads take whole.
    const bool picks = !geometry->weighted && !adjoint;
    const bool innermost = format == MemoryFormat::channels_last && (x.is_cuda() || picks || shape[0] >= 8);
    const kernels::Resample r = plan_of(*geometry, x.sizes(), shape, adjoint, innermost, x.dtype(), x.device());
    const MemoryFormat used = innermost ? format : MemoryFormat::contiguous;
    const Tensor input = x.detach().contiguous(used);
    const Tensor result = used == format ? out : new_tensor(shape, x.dtype(), x.device());
    // The CPU's kernel goes dim by dim by itself.
    if ((geometry->separate || (geometry->weighted && x.dtype() == DType::UInt8)) && x.is_cuda())
      run_by_dims(r, result, input, innermost);
    else
      kernels::resample(x.device(), r, result, input);
    if (used != format) copy_into(out, result);
  }
  if (recording(x)) {
    record(adjoint ? "InterpolateBackwardBackward0" : "InterpolateBackward0", {x}, {out},
           [geometry, shape = Shape(x.sizes()), adjoint, format](Backward& ctx) {
             ctx.set(0, resampled(geometry, shape, ctx.grad(), !adjoint, format));
           });
  }
  return out;
}

struct Mode {
  const char* name;
  Filter filter;
  int dims;  // the number of spatial dims it needs, 0: any
};
constexpr Mode kModes[] = {{"nearest", Filter::nearest, 0},  {"nearest-exact", Filter::nearest_exact, 0},
                           {"linear", Filter::linear, 1},    {"bilinear", Filter::linear, 2},
                           {"trilinear", Filter::linear, 3}, {"bicubic", Filter::cubic, 2},
                           {"lanczos", Filter::lanczos, 2}};

const Mode& find_mode(std::string_view name, int64_t dims) {
  for (const Mode& m : kModes) {
    if (name != m.name) continue;
    NORCH_CHECK_IMPLEMENTED(m.dims == 0 || m.dims == dims, "interpolate: Got ", dims + 2, "D input, but ", m.name,
                            " mode needs ", m.dims + 2, "D input");
    return m;
  }
  NORCH_RAISE(NotImplementedError, "interpolate: unknown mode '", std::string(name), "'; modes are nearest, nearest-exact, "
              "linear, bilinear, trilinear, bicubic, lanczos and area");
}

void check_size(const Tensor& input, int64_t dims, Ints size) {
  bool empty = false;
  for (int64_t d = 1; d < input.dim(); ++d) empty |= input.sizes()[d] == 0;
  NORCH_CHECK(!empty, "interpolate: Non-empty ", dims + 2, "D data tensor expected but got a tensor with sizes ",
              input.sizes());
  for (int64_t v : size)
    NORCH_CHECK(v > 0 && v < (int64_t{1} << 31) / 8, "interpolate: Input and output sizes should be greater than 0, but got "
                "input ", input.sizes().slice(2), " output ", size);
}

}  // namespace

Tensor interpolate(const Tensor& input, Ints size, const std::vector<double>& scale_factor, std::string_view mode,
                   std::optional<bool> align_corners, std::optional<bool> recompute_scale_factor, bool antialias) {
  NORCH_AUTOCAST(float32_cuda, interpolate, input, size, scale_factor, mode, align_corners, recompute_scale_factor, antialias);
  const bool aligns = mode != "nearest" && mode != "area" && mode != "nearest-exact";
  NORCH_CHECK_VALUE(aligns || !align_corners, "align_corners option can only be set with the interpolating modes: linear | "
                    "bilinear | bicubic | trilinear");
  const int64_t dims = input.dim() - 2;
  NORCH_CHECK_VALUE(size.empty() || scale_factor.empty(), "only one of size or scale_factor should be defined");
  NORCH_CHECK_VALUE(!size.empty() || !scale_factor.empty(), "either size or scale_factor should be defined");
  NORCH_CHECK_IMPLEMENTED(dims >= 1 && dims <= 3, "Input Error: Only 3D, 4D and 5D input Tensors supported (got ",
                          input.dim(), "D) for the modes: nearest | linear | bilinear | bicubic | trilinear | lanczos | "
                          "area | nearest-exact (got ", std::string(mode), ")");
  const size_t n = static_cast<size_t>(dims);
  NORCH_CHECK_VALUE(size.size() <= 1 || size.size() == n, "Input and output must have the same number of spatial "
                    "dimensions, but got input with spatial dimensions of ", input.sizes().slice(2),
                    " and output size of ", size, ". Please provide input tensor in (N, C, d1, d2, ...,dK) format and "
                    "output size in (o1, o2, ...,oK) format.");
  NORCH_CHECK_VALUE(scale_factor.size() <= 1 || scale_factor.size() == n, "Input and scale_factor must have the same number "
                    "of spatial dimensions, but got input with spatial dimensions of ", input.sizes().slice(2), " and ",
                    scale_factor.size(), " factors.");
  NORCH_CHECK_VALUE(!recompute_scale_factor.value_or(false) || size.empty(),
                    "recompute_scale_factor is not meaningful with an explicit size.");
  NORCH_CHECK_VALUE(!antialias || (dims == 2 && (mode == "bilinear" || mode == "bicubic" || mode == "lanczos")),
                    "Anti-alias option is restricted to bilinear, bicubic, and lanczos modes and requires a 4-D tensor as "
                    "input");
  Shape out_size;
  for (size_t d = 0; d < n; ++d) {
    if (!size.empty()) {
      out_size.push_back(size[size.size() == 1 ? 0 : d]);
      continue;
    }
    const double f = scale_factor[scale_factor.size() == 1 ? 0 : d];
    const double wanted = std::floor(static_cast<double>(input.sizes()[2 + d]) * f);
    NORCH_CHECK(wanted >= 0 && wanted < 1e18, "interpolate: scale_factor ", f, " is out of range");
    out_size.push_back(static_cast<int64_t>(wanted));
  }
  if (mode == "area") {
    return dims == 1   ? adaptive_avg_pool1d(input, out_size)
           : dims == 2 ? adaptive_avg_pool2d(input, out_size)
                       : adaptive_avg_pool3d(input, out_size);
  }
  const Mode& m = find_mode(mode, dims);
  NORCH_CHECK_VALUE(m.filter != Filter::lanczos || antialias, "Lanczos mode requires antialias=True");
  NORCH_CHECK_VALUE(m.filter != Filter::lanczos || !align_corners.value_or(false),
                    "Lanczos mode does not support align_corners=True");
  check_size(input, dims, out_size);
  NORCH_CHECK_IMPLEMENTED(input.is_floating_point() || input.dtype() == DType::UInt8, "interpolate: not implemented for ",
                          input.dtype(), "; convert to a floating-point dtype");
  auto geometry = std::make_shared<Geometry>();
  geometry->weighted = m.filter != Filter::nearest && m.filter != Filter::nearest_exact;
  geometry->separate = antialias;
  const bool by_factor = size.empty() && !recompute_scale_factor.value_or(false);
  Shape shape(input.sizes());
  for (size_t d = 0; d < n; ++d) {
    std::optional<double> factor;
    if (by_factor) factor = scale_factor[scale_factor.size() == 1 ? 0 : d];
    geometry->dims.push_back(
        taps_of(m.filter, shape[2 + d], out_size[d], factor, align_corners.value_or(false), antialias));
    shape[2 + d] = out_size[d];
  }
  return resampled(geometry, shape, input, false, suggested_format(input));
}

}  // namespace norch
