// The `out=` argument of elementwise functions.
#pragma once

#include "casters.h"
#include "norch/autograd.h"
#include "norch/ops/copy.h"

namespace norch::python {

/// Writes a finished result into `out`, if given, and returns that. An `out` of another shape takes the result's.
/// \throws Error if `out` can't hold the result's dtype, or if gradients would have to flow through it.
inline Tensor into(const Tensor& result, const std::optional<Tensor>& out) {
  if (!out) return result;
  NORCH_CHECK(!result.requires_grad() && !(autograd::grad_enabled() && out->requires_grad()),
              "functions with out=... arguments don't support automatic differentiation, but one of the arguments "
              "requires grad.");
  NORCH_CHECK(can_cast(result.dtype(), out->dtype()), "out: result type ", result.dtype(),
              " can't be cast to the desired output type ", out->dtype());
  NORCH_CHECK(result.device() == out->device(), "out: Expected all tensors to be on the same device, but the result is "
              "on ", result.device(), " and out on ", out->device());
  if (out->sizes() != result.sizes()) {
    // Resized: new memory of its own, as views of the old memory must keep their shape.
    const Tensor fresh = result.to(out->device(), out->dtype(), true).contiguous();
    TensorImpl& impl = *out->impl();
    impl.storage = fresh.storage();
    impl.sizes = fresh.sizes();
    impl.strides = fresh.strides();
    impl.offset = 0;
    impl.refresh();
    return *out;
  }
  return copy_(*out, result);
}

}  // namespace norch::python
