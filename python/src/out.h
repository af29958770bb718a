// The `out=` argument of functions.
#pragma once

#include "autograd/in_place.h"
#include "casters.h"
#include "norch/autograd.h"
#include "norch/ops/copy.h"

namespace norch::python {

/// Writes a finished result into `out`, which takes its shape if it has another (with a warning, unless it is empty).
/// \throws Error if `out` can't hold the result's dtype, or if gradients would have to flow through it.
inline void into(const Tensor& result, const Tensor& out) {
  NORCH_CHECK(!result.requires_grad() && !(autograd::grad_enabled() && out.requires_grad()),
              "functions with out=... arguments don't support automatic differentiation, but one of the arguments "
              "requires grad.");
  NORCH_CHECK(can_cast(result.dtype(), out.dtype()), "out: result type ", result.dtype(),
              " can't be cast to the desired output type ", out.dtype());
  NORCH_CHECK(result.device() == out.device(), "out: Expected all tensors to be on the same device, but the result is "
              "on ", result.device(), " and out on ", out.device());
  NORCH_CHECK(!autograd::overlaps_itself(out), "out: unsupported operation: more than one element of the written-to "
              "tensor refers to a single memory location. Please clone() the tensor before performing the operation.");
  if (out.sizes() != result.sizes()) {
    if (out.numel() > 0) {
      const std::string text =
          str("An output with one or more elements was resized since it had shape ", out.sizes(), ", which does not match "
              "the required output shape ", result.sizes(), ". This behavior is deprecated, and in a future release "
              "outputs will not be resized unless they have zero elements. You can explicitly reuse an out tensor t by "
              "resizing it, inplace, to zero elements with t.resize_(0).");
      if (PyErr_WarnEx(PyExc_UserWarning, text.c_str(), 1) != 0) throw nb::python_error();
    }
    // Resized: new memory of its own, as views of the old memory must keep their shape.
    const Tensor fresh = result.to(out.device(), out.dtype(), true).contiguous();
    TensorImpl& impl = *out.impl();
    impl.storage = fresh.storage();
    impl.sizes = fresh.sizes();
    impl.strides = fresh.strides();
    impl.offset = 0;
    impl.refresh();
    return;
  }
  copy_(out, result);
}

}  // namespace norch::python
