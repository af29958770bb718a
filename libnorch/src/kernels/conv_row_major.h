// Channels-last convolutions on the kernels for row-major tensors.
#pragma once

#include "core/factory.h"
#include "kernels/conv.h"
#include "kernels/copy.h"

namespace norch::kernels {

/// Calls f(conv, out, a, b), one of conv.h's kernels, with row-major copies of a result and two operands that lie
/// channels-last, and copies the result back.
template <class F>
void in_row_major(const Conv& conv, const Tensor& out, const Tensor& a, const Tensor& b, const F& f) {
  Conv plain = conv;
  plain.channels_last = 0;
  const Tensor to = new_tensor(out.sizes(), out.dtype(), out.device());
  f(plain, to, a.contiguous(), b.contiguous());
  copy(out.device(), make_plan({out}, {to}));
}

}  // namespace norch::kernels
