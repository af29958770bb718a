#include "norch/ops/factory.h"

#include "autograd/in_place.h"
#include "autograd/record.h"
#include "core/factory.h"
#include "core/fits.h"
#include "kernels/copy.h"
#include "norch/ops/slice.h"

namespace norch {

namespace {
Tensor finish(Tensor t, const TensorOptions& options) {
  if (options.requires_grad()) t.requires_grad_();
  return t;
}

void fill_into(const Tensor& t, const Scalar& value) {
  check_fits(value, t.dtype());
  kernels::fill(t.device(), make_plan({t}, {}), value);
}

Tensor filled(const char* op, Ints sizes, const Scalar& value, DType dtype, const TensorOptions& options) {
  Tensor t = new_named(op, sizes, dtype, options.device().resolve());
  fill_into(t, value);
  return finish(t, options);
}
}  // namespace

Tensor empty(Ints sizes, const TensorOptions& options) {
  return finish(new_tensor(sizes, options.dtype(), options.device().resolve()), options);
}

Tensor empty_strided(Ints sizes, Ints strides, const TensorOptions& options) {
  NORCH_CHECK(sizes.size() == strides.size(), "empty_strided: dimensionality of sizes ", sizes,
              " must match dimensionality of strides ", strides);
  for (int64_t s : strides) NORCH_CHECK(s >= 0, "empty_strided: negative strides are not supported, got ", strides);
  return finish(new_strided(sizes, strides, options.dtype(), options.device().resolve()), options);
}

Tensor full(Ints sizes, const Scalar& value, const TensorOptions& options) {
  return filled("full", sizes, value, options.has_dtype() ? options.dtype() : value.dtype(), options);
}

Tensor zeros(Ints sizes, const TensorOptions& options) { return filled("zeros", sizes, 0, options.dtype(), options); }
Tensor ones(Ints sizes, const TensorOptions& options) { return filled("ones", sizes, 1, options.dtype(), options); }

Tensor empty_like(const Tensor& like, const TensorOptions& options, MemoryFormat format) {
  return finish(new_like(like, options.dtype(), options.device().resolve(), format), options);
}
Tensor full_like(const Tensor& like, const Scalar& value, const TensorOptions& options, MemoryFormat format) {
  Tensor t = new_like(like, options.dtype(), options.device().resolve(), format);
  fill_into(t, value);
  return finish(t, options);
}
Tensor zeros_like(const Tensor& like, const TensorOptions& options, MemoryFormat format) {
  return full_like(like, 0, options, format);
}
Tensor ones_like(const Tensor& like, const TensorOptions& options, MemoryFormat format) {
  return full_like(like, 1, options, format);
}
Tensor empty_like(const Tensor& like) { return empty_like(like, like.options()); }
Tensor zeros_like(const Tensor& like) { return zeros_like(like, like.options()); }
Tensor ones_like(const Tensor& like) { return ones_like(like, like.options()); }
Tensor full_like(const Tensor& like, const Scalar& value) { return full_like(like, value, like.options()); }

Tensor fill_(const Tensor& self, const Scalar& value) {
  if (autograd::overlaps_itself(self)) {  // expanded: every element gets the same value, so each place is written once
    Tensor once = self;
    for (int64_t d = 0; d < self.dim(); ++d)
      if (self.strides()[d] == 0 && self.sizes()[d] > 1) once = narrow(once, d, 0, 1);
    fill_(once, value);
    return self;
  }
  autograd::InPlace write("fill_", self);
  Tensor out = write.output();
  fill_into(out, value);
  if (autograd::recording(write.input()))
    autograd::record("FillBackward0", {write.input()}, {out}, [](autograd::Backward&) {});
  return write.finish(out);
}

Tensor zero_(const Tensor& self) { return fill_(self, 0); }

}  // namespace norch
