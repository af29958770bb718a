#include "core/factory.h"

#include "autograd/node.h"
#include "kernels/dispatch.h"

namespace norch {

Tensor new_tensor(Ints sizes, DType dtype, Device device) { return new_named("empty", sizes, dtype, device); }

Tensor new_named(const char* op, Ints sizes, DType dtype, Device device) {
  const int64_t n = numel_of(sizes, op);
  size_t bytes = 0;
  NORCH_CHECK(!__builtin_mul_overflow(static_cast<size_t>(n), itemsize(dtype), &bytes) && bytes < (size_t{1} << 62),
              op, ": a ", dtype, " tensor of shape ", sizes, " does not fit in memory");
  return Tensor(Ref<TensorImpl>(
      new TensorImpl(Storage::allocate(bytes, device), sizes, contiguous_strides(sizes), 0, dtype)));
}

Tensor new_strided(Ints sizes, Ints strides, DType dtype, Device device) {
  int64_t last = 0;
  bool overflow = false;
  if (numel_of(sizes, "empty_strided") > 0) {
    for (size_t i = 0; i < sizes.size(); ++i) {
      int64_t span = 0;
      overflow |= __builtin_mul_overflow(sizes[i] - 1, strides[i], &span) || __builtin_add_overflow(last, span, &last);
    }
    ++last;
  }
  NORCH_CHECK(!overflow && last < (int64_t{1} << 58), "empty_strided: shape ", sizes, " with strides ", strides,
              " does not fit in memory");
  return Tensor(Ref<TensorImpl>(new TensorImpl(
      Storage::allocate(static_cast<size_t>(last) * itemsize(dtype), device), sizes, strides, 0, dtype)));
}

Tensor new_like(const Tensor& like, DType dtype, Device device, MemoryFormat format) {
  // A row-major tensor keeps the strides of its dims of size 1 too: a kernel of one position stays channels-last.
  if (format == MemoryFormat::contiguous || (format == MemoryFormat::preserve && like.is_contiguous() && like.dim() < 4))
    return new_tensor(like.sizes(), dtype, device);
  return new_strided(like.sizes(), format_strides(like.sizes(), format, like.strides()), dtype, device);
}

Tensor new_view(const Tensor& base, Ints sizes, Ints strides, int64_t offset) {
  return new_view(base, base.dtype(), sizes, strides, offset);
}

Tensor new_view(const Tensor& base, DType dtype, Ints sizes, Ints strides, int64_t offset) {
  Tensor out(Ref<TensorImpl>(new TensorImpl(base.storage(), sizes, strides, offset, dtype)));
  if (is_differentiable(base.dtype())) autograd::mark_view(out, base);
  return out;
}

Scalar scalar_from_bytes(const void* bytes, DType dtype) {
  return visit_any(dtype, [&](auto tag) {
    using T = typename decltype(tag)::type;
    T v;
    std::memcpy(&v, bytes, sizeof(T));
    return Scalar(v);
  });
}

void scalar_to_bytes(const Scalar& value, DType dtype, void* bytes) {
  visit_any(dtype, [&](auto tag) {
    using T = typename decltype(tag)::type;
    const T v = value.to<T>();
    std::memcpy(bytes, &v, sizeof(T));
  });
}

}  // namespace norch
