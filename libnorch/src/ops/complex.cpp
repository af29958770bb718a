#include "norch/ops/complex.h"

#include "autograd/in_place.h"
#include "autograd/record.h"
#include "core/factory.h"
#include "norch/ops.h"
#include "ops/elementwise.h"

namespace norch {

using autograd::Backward;
using autograd::InPlace;
using autograd::record;
using autograd::recording;
using autograd::save;

namespace {

/// A view of one part of complex numbers, outside the graph.
Tensor part_view(const Tensor& x, int64_t which) {
  Shape strides(x.strides());
  for (int64_t& s : strides) s *= 2;
  return new_view(x, to_real(x.dtype()), x.sizes(), strides, x.storage_offset() * 2 + which);
}

/// Both parts into a new tensor of shape `sizes`, outside the graph.
Tensor from_parts(const Tensor& re, const Tensor& im, Ints sizes, DType type, Device device) {
  Tensor out = new_tensor(sizes, type, device);
  copy_into(part_view(out, 0), re);
  copy_into(part_view(out, 1), im);
  return out;
}

}  // namespace

Tensor view_as_real(const Tensor& x) {
  NORCH_CHECK(x.is_complex(), "view_as_real: view_as_real is only supported for complex tensors, got ", x.dtype());
  Shape sizes(x.sizes()), strides(x.strides());
  for (int64_t& s : strides) s *= 2;
  sizes.push_back(2);
  strides.push_back(1);
  Tensor out = new_view(x, to_real(x.dtype()), sizes, strides, x.storage_offset() * 2);
  if (recording(x))
    record("ViewAsRealBackward0", {x}, {out},
           [](Backward& ctx) { ctx.set(0, view_as_complex(ctx.grad().contiguous())); });
  return out;
}

Tensor view_as_complex(const Tensor& x) {
  NORCH_CHECK(x.dtype() == DType::Float32 || x.dtype() == DType::Float64, "view_as_complex: view_as_complex is only ",
              "supported for floating point tensors of dtype float32 and float64, but got a tensor of dtype ", x.dtype());
  NORCH_CHECK(x.dim() > 0, "view_as_complex: Input tensor must have one or more dimensions");
  const size_t last = static_cast<size_t>(x.dim()) - 1;
  NORCH_CHECK(x.sizes()[last] == 2, "view_as_complex: Tensor must have a last dimension of size 2, got shape ",
              x.sizes());
  NORCH_CHECK(x.strides()[last] == 1, "view_as_complex: Tensor must have a last dimension with stride 1, got strides ",
              x.strides());
  NORCH_CHECK(x.storage_offset() % 2 == 0, "view_as_complex: Tensor must have a storage_offset divisible by 2, got ",
              x.storage_offset());
  Shape sizes, strides;
  for (size_t d = 0; d < last; ++d) {
    NORCH_CHECK(x.strides()[d] % 2 == 0, "view_as_complex: Tensor must have a stride divisible by 2 for all but last ",
                "dimension, got strides ", x.strides());
    sizes.push_back(x.sizes()[d]);
    strides.push_back(x.strides()[d] / 2);
  }
  Tensor out = new_view(x, to_complex(x.dtype()), sizes, strides, x.storage_offset() / 2);
  if (recording(x))
    record("ViewAsComplexBackward0", {x}, {out}, [](Backward& ctx) { ctx.set(0, view_as_real(ctx.grad())); });
  return out;
}

Tensor real(const Tensor& x) {
  if (!x.is_complex()) return x;
  Tensor out = part_view(x, 0);
  if (recording(x)) record("RealBackward0", {x}, {out}, [](Backward& ctx) { ctx.set(0, ctx.grad()); });
  return out;
}

Tensor imag(const Tensor& x) {
  NORCH_CHECK(x.is_complex(), "imag: imag is not implemented for tensors with non-complex dtypes, got ", x.dtype());
  Tensor out = part_view(x, 1);
  if (recording(x))
    record("ImagBackward0", {x}, {out},
           [](Backward& ctx) { ctx.set(0, complex(zeros_like(ctx.grad()), ctx.grad())); });
  return out;
}

Tensor complex(const Tensor& re, const Tensor& im) {
  for (const Tensor& t : {re, im})
    NORCH_CHECK(t.is_floating_point() && t.dtype() != DType::BFloat16, "complex: Expected both inputs to be Half, Float or ",
                "Double tensors but got ", re.dtype(), " and ", im.dtype());
  NORCH_CHECK(re.dtype() == im.dtype(), "complex: Expected object of scalar type ", re.dtype(), " but got scalar type ",
              im.dtype(), " for second argument");
  const Device device = common_device("complex", {re, im});
  const Tensor out = from_parts(re, im, broadcast_shapes(re.sizes(), im.sizes(), "complex"), to_complex(re.dtype()), device);
  if (recording(re, im)) {
    record("ComplexBackward0", {re, im}, {out}, [](Backward& ctx) {
      if (ctx.needs(0)) ctx.set(0, real(ctx.grad()));
      if (ctx.needs(1)) ctx.set(1, imag(ctx.grad()));
    });
  }
  return out;
}

Tensor polar(const Tensor& abs, const Tensor& angle) {
  for (const Tensor& t : {abs, angle})
    NORCH_CHECK(t.dtype() == DType::Float32 || t.dtype() == DType::Float64, "polar: Expected both inputs to be Float or ",
                "Double tensors but got ", abs.dtype(), " and ", angle.dtype());
  NORCH_CHECK(abs.dtype() == angle.dtype(), "polar: Expected object of scalar type ", abs.dtype(),
              " but got scalar type ", angle.dtype(), " for second argument");
  broadcast_shapes(abs.sizes(), angle.sizes(), "polar");
  return complex(abs * cos(angle), abs * sin(angle));
}

Tensor detail::conj_of_complex(const Tensor& x) {
  Tensor out = new_like(x, x.dtype(), x.device(), MemoryFormat::preserve);
  {
    autograd::NoGrad off;
    copy_into(part_view(out, 0), part_view(x, 0));
    copy_into(part_view(out, 1), neg(part_view(x, 1)));
  }
  if (recording(x)) record("ConjBackward0", {x}, {out}, [](Backward& ctx) { ctx.set(0, conj(ctx.grad())); });
  return out;
}

Tensor conj_physical(const Tensor& x) { return x.is_complex() ? conj(x) : x.clone(); }
Tensor conj_physical_(const Tensor& self) {
  if (!self.is_complex()) return self;
  InPlace write("conj_physical_", self);
  return write.finish(conj(write.input()));
}

Tensor angle(const Tensor& x) {
  if (x.is_complex()) return atan2(imag(x), real(x));
  const Tensor value = x.to(float_type(x.dtype()));
  Tensor out;
  {
    autograd::NoGrad off;
    const Tensor flat = zeros_like(value);
    out = where(lt(value, Tensor::wrap(0)), full_like(value, 3.14159265358979323846), where(isnan(value), value, flat));
  }
  if (recording(x)) record("AngleBackward0", {x}, {out}, [](Backward& ctx) { ctx.set(0, zeros_like(ctx.grad())); });
  return out;
}

Tensor sgn(const Tensor& x) {
  if (!x.is_complex()) return sign(x);
  const Tensor size = unsqueeze(abs(x), -1), none = eq(size.detach(), Tensor::wrap(0));
  const Tensor parts = view_as_real(x) / masked_fill(size, none, Tensor::wrap(1));
  return view_as_complex(masked_fill(parts, none, Tensor::wrap(0)));  // without a gradient at 0
}
Tensor sgn_(const Tensor& self) {
  InPlace write("sgn_", self);
  return write.finish(sgn(autograd::saved_input(write.input(), write.output())));
}

Tensor isreal(const Tensor& x) {
  if (x.is_complex()) return eq(imag(x), Tensor::wrap(0));
  return ones(x.sizes(), TensorOptions(DType::Bool).device(x.device()));
}

}  // namespace norch
