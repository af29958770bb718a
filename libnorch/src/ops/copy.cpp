#include "norch/ops/copy.h"

#include <cstring>

#include "autograd/in_place.h"
#include "autograd/record_linear.h"
#include "core/channels_last.h"
#include "core/cuda_runtime.h"
#include "core/factory.h"
#include "kernels/copy.h"
#include "norch/ops/binary.h"
#include "norch/ops/view.h"
#include "ops/conversion.h"
#include "ops/dtype_views.h"

namespace norch {

using autograd::Backward;
using autograd::record_linear;
using autograd::recording;

namespace {

void copy_bytes_across(const Tensor& dst, const Tensor& src) {
  const size_t n = static_cast<size_t>(src.numel()) * src.itemsize();
  if (n == 0) return;
  if (dst.is_cpu())
    cuda::copy_to_host(dst.data_ptr(), src.data_ptr(), n, src.device().index);
  else if (src.is_cpu())
    cuda::copy_from_host(dst.data_ptr(), src.data_ptr(), n, dst.device().index);
  else
    cuda::copy_peer(dst.data_ptr(), dst.device().index, src.data_ptr(), src.device().index, n);
}

/// A conversion within one device that the kernel does not have, from those that it has.
void copy_in_steps(const Tensor& dst, const Tensor& src) {
  const DType to = dst.dtype(), from = src.dtype();
  if (is_complex(to)) {
    copy_into(part_of(dst, 0), is_complex(from) ? part_of(src, 0) : src);
    if (is_complex(from))
      copy_into(part_of(dst, 1), part_of(src, 1));
    else
      kernels::fill(dst.device(), make_plan({part_of(dst, 1)}, {}), 0);
  } else if (is_complex(from)) {
    if (to != DType::Bool) return copy_into(dst, part_of(src, 0));
    autograd::NoGrad off;
    copy_into(dst, logical_or(part_of(src, 0), part_of(src, 1)));
  } else if (is_wide_unsigned(to) && is_integral(from, true)) {
    // Integers of one width differ in no bit, whatever their sign.
    copy_into(reinterpreted(dst, signed_twin(to)), src);
  } else if (from == DType::UInt64 && is_integral(to, true)) {
    copy_into(dst, reinterpreted(src, DType::Int64));
  } else {
    const bool by_float = to == DType::UInt64 || from == DType::UInt64;
    const Tensor between = new_tensor(src.sizes(), by_float ? DType::Float32 : DType::Int64, src.device());
    copy_into(between, src);
    copy_into(dst, between);
  }
}

}  // namespace

void copy_into(const Tensor& dst, const Tensor& src) {
  if (dst.device() == src.device()) {
    if (!kernels::casts_directly(dst.dtype(), src.dtype())) return copy_in_steps(dst, src);
    kernels::copy(dst.device(), make_plan({dst}, {src}));
    return;
  }
  if (src.is_cpu() && src.numel() == 1) {
    // One number is an argument of a kernel, not a transfer.
    const Scalar value = scalar_from_bytes(src.data_ptr(), src.dtype());
    const bool keeps = is_complex(dst.dtype()) || dst.dtype() == DType::Bool;
    kernels::fill(dst.device(), make_plan({dst}, {}), keeps ? value : value.real());
    return;
  }
  // Across devices only whole blocks of bytes travel: cast and compact on the source's side, spread on the other.
  Tensor packed = src;
  if (src.dtype() != dst.dtype() || !(src.is_contiguous() || is_dense(src.sizes(), src.strides()))) {
    packed = new_like(src, dst.dtype(), src.device(), MemoryFormat::preserve);
    copy_into(packed, src);
  }
  if (dst.sizes() == packed.sizes() &&
      ((dst.is_contiguous() && packed.is_contiguous()) || dst.strides() == packed.strides())) {
    copy_bytes_across(dst, packed);
    return;
  }
  Tensor landed = new_like(packed, dst.dtype(), dst.device(), MemoryFormat::preserve);
  copy_bytes_across(landed, packed);
  copy_into(dst, landed);
}

Tensor copy_(const Tensor& self, const Tensor& src) {
  NORCH_CHECK(broadcast_shapes(self.sizes(), src.sizes(), "copy_") == self.sizes(), "copy_: shape ", src.sizes(),
              " does not broadcast to ", self.sizes());
  if (self.is_same(src)) return self;
  autograd::InPlace write("copy_", self);
  Tensor out = write.output();
  copy_into(out, src);
  if (recording(write.input(), src)) {
    record_linear("CopyBackwards", {write.input(), src}, {out}, [device = src.device()](Backward& ctx) {
      if (ctx.needs(1)) ctx.set(1, ctx.grad().to(device));
    });
  }
  return write.finish(out);
}

void record_conversion(const Tensor& out, const Tensor& t) {
  if (!is_differentiable(out.dtype()) || !recording(t)) return;
  record_linear("ToCopyBackward0", {t}, {out}, [from = t.device()](Backward& ctx) { ctx.set(0, ctx.grad().to(from)); });
  out.impl()->grad_fn->outputs[0].takes_wide = t.dtype() == DType::Float32 && itemsize(out.dtype()) == 2;
}

Tensor Tensor::to(Device where, DType type, bool copy, MemoryFormat format) const {
  where = where.resolve();
  if (!copy && where == device() && type == dtype() &&
      (format == MemoryFormat::preserve || (suggested_format(*this) == format && is_contiguous(format))))
    return *this;
  Tensor out = new_like(*this, type, where, format);
  copy_into(out, *this);
  record_conversion(out, *this);
  return out;
}

Tensor Tensor::to(DType type) const { return to(device(), type); }
Tensor Tensor::to(Device where) const { return to(where, dtype()); }

Tensor Tensor::clone(MemoryFormat format) const {
  Tensor out = new_like(*this, dtype(), device(), format);
  copy_into(out, *this);
  if (recording(*this)) record_linear("CloneBackward0", {*this}, {out}, [](Backward& ctx) { ctx.set(0, ctx.grad()); });
  return out;
}

Tensor Tensor::contiguous(MemoryFormat format) const {
  NORCH_CHECK(format != MemoryFormat::preserve, "contiguous: preserve_format is not an order of its own; ask for "
              "contiguous_format, channels_last or channels_last_3d");
  return is_contiguous(format) ? *this : clone(format);
}

}  // namespace norch
