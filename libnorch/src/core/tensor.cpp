#include "norch/tensor.h"

#include <atomic>

#include "autograd/node.h"
#include "core/factory.h"
#include "core/cuda_runtime.h"
#include "ops/autocast_weights.h"

namespace norch {

namespace {
std::atomic<void (*)(void*)> g_python_release{nullptr};
}

void set_python_release_hook(void (*release)(void*)) { g_python_release.store(release); }

TensorImpl::TensorImpl(Ref<Storage> s, Ints sizes_, Ints strides_, int64_t offset_, DType t)
    : storage(std::move(s)), sizes(sizes_), strides(strides_), offset(offset_), dtype(t), device(storage->device()) {
  refresh();
  inference = autograd::inference_mode();
}

TensorImpl::~TensorImpl() {
  if (!meta) return;
  if (meta->retains_grad) autograd::forget_retained(*this);
  autocast::forget(*this);
}

void TensorImpl::on_zero_refs() noexcept {
  if (owns_py_object) {
    owns_py_object = false;
    if (auto* release = g_python_release.load()) release(py_object);
  }
  delete this;
}

void TensorImpl::refresh() {
  numel = 1;
  contiguous = true;
  for (size_t i = sizes.size(); i-- > 0;) {
    if (sizes[i] != 1 && strides[i] != numel) contiguous = false;
    numel *= sizes[i];
  }
  if (numel == 0) contiguous = true;
}

bool Tensor::is_contiguous(MemoryFormat format) const {
  if (format == MemoryFormat::contiguous) return is_contiguous();
  NORCH_CHECK(format != MemoryFormat::preserve, "is_contiguous: preserve_format is not an order of its own; ask for "
              "contiguous_format, channels_last or channels_last_3d");
  if (dim() != (format == MemoryFormat::channels_last ? 4 : 5)) return false;
  const Shape wanted = format_strides(sizes(), format);
  for (size_t d = 0; d < wanted.size(); ++d)
    if (sizes()[d] > 1 && strides()[d] != wanted[d]) return false;
  return true;
}

Tensor Tensor::wrap(const Scalar& value) {
  // A float keeps its double precision, whatever the default dtype; promotion counts it as the default dtype.
  const DType type = value.is_complex()          ? DType::Complex128
                     : value.is_floating_point() ? DType::Float64
                                                 : value.dtype();
  Tensor t = new_tensor({}, type, kCPU);
  scalar_to_bytes(value, type, t.data_ptr());
  t.impl()->wrapped_number = true;
  return t;
}

Scalar Tensor::item() const {
  NORCH_CHECK(numel() == 1, "a Tensor with ", numel(), " elements cannot be converted to Scalar");
  alignas(16) char bytes[16];
  if (is_cpu())
    std::memcpy(bytes, data_ptr(), itemsize());
  else
    cuda::copy_to_host(bytes, data_ptr(), itemsize(), device().index);
  return scalar_from_bytes(bytes, dtype());
}

void Tensor::raise_undefined() {
  NORCH_RAISE(Error, "tensor: expected a tensor, but this one is undefined (default-constructed); ask defined() first");
}

Tensor Tensor::grad() const { return checked().meta ? impl_->meta->grad : Tensor(); }

void Tensor::set_grad(Tensor g) const {
  if (g.defined()) {
    NORCH_CHECK(g.sizes() == sizes(), "assigned grad has data of a different size: the tensor has shape ", sizes(),
                ", the gradient ", g.sizes());
    NORCH_CHECK(g.dtype() == dtype(), "assigned grad has data of a different type: the tensor is ", dtype(),
                ", the gradient ", g.dtype());
    NORCH_CHECK(g.device() == device(), "assigned grad has data located on a different device: the tensor is on ",
                device(), ", the gradient on ", g.device());
    NORCH_CHECK(!g.is_same(*this), "can't assign a tensor as its own gradient");
  } else if (!checked().meta) {
    return;
  }
  autograd::meta_of(*this).grad = std::move(g);
}

const Tensor& Tensor::requires_grad_(bool v) const {
  if (v) {
    NORCH_CHECK(is_differentiable(dtype()),
                "only Tensors of floating point and complex dtype can require gradients, got ", dtype());
    NORCH_CHECK(!impl_->inference || autograd::inference_mode(),
                "Setting requires_grad=True on an inference tensor outside InferenceMode is not allowed: clone() it first");
    if (is_leaf()) impl_->requires_grad = true;
  } else {
    NORCH_CHECK(is_leaf(), "you can only change requires_grad flags of leaf variables. If you want to use a computed "
                           "variable in a subgraph that doesn't require differentiation use var_no_grad = var.detach().");
    impl_->requires_grad = false;
  }
  return *this;
}

bool Tensor::base_requires_grad() const { return impl_->meta->base.defined() && impl_->meta->base.requires_grad(); }

void Tensor::backward(const Tensor& gradient, bool retain_graph, bool create_graph) const {
  autograd::backward({*this}, {gradient}, retain_graph, create_graph);
}

Tensor Tensor::detach() const {
  Tensor out = autograd::shallow_copy(*this);
  if (impl_->meta && impl_->meta->base.defined()) autograd::mark_view(out, impl_->meta->base.detach());
  return out;
}

Tensor Tensor::data_alias() const {
  autocast::weight_exposed(*this);
  return Tensor(Ref<TensorImpl>(
      new TensorImpl(Storage::alias(storage()), sizes(), strides(), storage_offset(), dtype())));
}

void append(std::string& s, const Tensor& t) {
  if (!t.defined()) {
    s += "undefined tensor";
    return;
  }
  append(s, t.dtype());
  append(s, t.sizes());
  s += " on ";
  append(s, t.device());
}

}  // namespace norch
