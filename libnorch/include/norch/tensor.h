// Tensor: an n-dimensional array on one device, and a value in the autograd graph.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <type_traits>
#include <vector>

#include "norch/device.h"
#include "norch/dtype.h"
#include "norch/export.h"
#include "norch/memory_format.h"
#include "norch/scalar.h"
#include "norch/shape.h"
#include "norch/storage.h"

namespace norch {

class Tensor;
class TensorImpl;
using TensorList = std::vector<Tensor>;

namespace autograd {
class Node;
struct Meta;
}  // namespace autograd

/// Dtype, device and requires_grad of a new tensor; what is left out takes its default (default_dtype(), CPU, false).
/// `TensorOptions(kFloat64)`, `TensorOptions(kCUDA)`, `options().dtype(kInt64).device("cuda")`.
class TensorOptions {
 public:
  TensorOptions() = default;
  TensorOptions(DType t) : dtype_(t), has_dtype_(true) {}
  TensorOptions(Device d) : device_(d) {}
  TensorOptions dtype(DType t) const {
    TensorOptions o = *this;
    o.dtype_ = t;
    o.has_dtype_ = true;
    return o;
  }
  TensorOptions device(Device d) const {
    TensorOptions o = *this;
    o.device_ = d;
    return o;
  }
  TensorOptions requires_grad(bool v) const {
    TensorOptions o = *this;
    o.requires_grad_ = v;
    return o;
  }
  bool has_dtype() const { return has_dtype_; }
  DType dtype() const { return has_dtype_ ? dtype_ : default_dtype(); }
  Device device() const { return device_; }
  bool requires_grad() const { return requires_grad_; }

 private:
  DType dtype_ = DType::Float32;
  bool has_dtype_ = false;
  bool requires_grad_ = false;
  Device device_{};
};

/// What a Tensor points to. Users see Tensor; ops and bindings reach in here.
class NORCH_API TensorImpl final : public RefCounted {
 public:
  TensorImpl(Ref<Storage> storage, Ints sizes, Ints strides, int64_t offset, DType dtype);

  Ref<Storage> storage;
  Shape sizes;
  Shape strides;        // in elements
  int64_t offset = 0;   // in elements
  int64_t numel = 0;
  DType dtype;
  Device device;
  bool contiguous = false;

  // Autograd. The three most used fields lie here, the rest in Meta, which plain results never allocate.
  bool requires_grad = false;   // set on leaves only; a result requires grad by having a grad_fn
  bool wrapped_number = false;  // made from a Scalar: takes part in promotion as one
  bool inference = false;       // made in inference mode: autograd may not save it
  bool pending_write = false;   // the output of an in-place op that is not finished yet (see autograd/in_place.h)
  uint32_t output_nr = 0;       // which output of grad_fn
  Ref<autograd::Node> grad_fn;
  std::unique_ptr<autograd::Meta> meta;

  // The Python object of this tensor, if one exists, and whether this tensor keeps it alive (true while Python itself
  // holds no reference but the object has state of its own: a subclass, attributes, weak references).
  void* py_object = nullptr;
  bool owns_py_object = false;

  char* data() const { return static_cast<char*>(storage->data()) + offset * static_cast<int64_t>(itemsize(dtype)); }
  /// Recomputes numel and contiguous after sizes or strides changed.
  void refresh();

 protected:
  ~TensorImpl() override;
  void on_zero_refs() noexcept override;
};

/// Called with TensorImpl::py_object when a tensor that owns its Python object dies. Set once by the bindings.
NORCH_API void set_python_release_hook(void (*release)(void* py_object));

/// A handle on a tensor: copying it shares the tensor. A default-constructed one is undefined: it stands for "no
/// tensor" (a missing gradient or argument). Asking it for anything but defined(), impl() and is_same() throws Error.
class NORCH_API Tensor {
 public:
  Tensor() = default;
  explicit Tensor(Ref<TensorImpl> impl) : impl_(std::move(impl)) {}
  /// A 0-d CPU tensor of the number that takes part in promotion as the number itself.
  static Tensor wrap(const Scalar& value);

  bool defined() const { return static_cast<bool>(impl_); }
  explicit operator bool() const = delete;  // ask defined(), or item<bool>()
  TensorImpl* impl() const { return impl_.get(); }
  /// Whether both handles name the same tensor object.
  bool is_same(const Tensor& o) const { return impl_.get() == o.impl_.get(); }

  // ---- what it is
  Ints sizes() const { return checked().sizes; }
  Ints shape() const { return checked().sizes; }
  Ints strides() const { return checked().strides; }
  int64_t dim() const { return static_cast<int64_t>(checked().sizes.size()); }
  /// Size along a dim, which may be negative. \throws IndexError.
  int64_t size(int64_t d) const { return checked().sizes[wrap_dim(d, dim())]; }
  int64_t stride(int64_t d) const { return checked().strides[wrap_dim(d, dim())]; }
  int64_t numel() const { return checked().numel; }
  int64_t storage_offset() const { return checked().offset; }
  DType dtype() const { return checked().dtype; }
  Device device() const { return checked().device; }
  bool is_cuda() const { return checked().device.is_cuda(); }
  bool is_cpu() const { return checked().device.is_cpu(); }
  size_t itemsize() const { return norch::itemsize(checked().dtype); }
  bool is_floating_point() const { return norch::is_floating_point(checked().dtype); }
  bool is_complex() const { return norch::is_complex(checked().dtype); }
  bool is_contiguous() const { return checked().contiguous; }
  /// Whether it was made from a number (wrap()) and takes part in promotion as one.
  bool is_wrapped_number() const { return checked().wrapped_number; }
  /// Whether the elements lie in memory in that order, without gaps. \throws Error for MemoryFormat::preserve.
  bool is_contiguous(MemoryFormat format) const;
  TensorOptions options() const { return TensorOptions(dtype()).device(device()); }
  const Ref<Storage>& storage() const { return checked().storage; }
  uint32_t version() const { return checked().storage->version(); }

  /// Address of the first element. Reading it on the host is valid for CPU tensors only.
  void* data_ptr() const { return checked().data(); }
  /// As data_ptr, typed. \throws Error unless T is the tensor's element type.
  template <class T>
  T* data() const {
    NORCH_CHECK(dtype() == dtype_of<T>, "data: the tensor's dtype is ", dtype(), ", not ", dtype_of<T>);
    return static_cast<T*>(data_ptr());
  }
  /// The value of a one-element tensor, converted. Waits for the device. \throws Error for another numel.
  Scalar item() const;
  template <class T>
  T item() const {
    return item().template to<T>();
  }

  // ---- autograd
  bool requires_grad() const {
    return checked().requires_grad || checked().grad_fn || (checked().meta && base_requires_grad());
  }
  /// \throws Error for a dtype that has no gradient or, when false, for a non-leaf.
  const Tensor& requires_grad_(bool v = true) const;
  bool is_leaf() const { return !grad_fn(); }
  /// The node that made this tensor (null for a leaf). A view whose base was written to in place since gets a new one.
  const Ref<autograd::Node>& grad_fn() const;
  /// The accumulated gradient, undefined if none.
  Tensor grad() const;
  /// Replaces the gradient (undefined clears it). \throws Error unless shape, dtype and device match.
  void set_grad(Tensor g) const;
  /// Runs backward from this tensor; `gradient` may be left out for a one-element tensor.
  void backward(const Tensor& gradient = {}, bool retain_graph = false, bool create_graph = false) const;
  /// The same data, outside the graph.
  Tensor detach() const;
  /// The same data with version counting of its own: writes to it stay unseen by autograd.
  Tensor data_alias() const;

  // ---- moving and casting (autograd records them); same tensor when nothing changes. What is new keeps the order in
  // which the dims lie in memory, unless another format is asked for.
  Tensor to(DType dtype) const;
  Tensor to(Device device) const;
  Tensor to(Device device, DType dtype, bool copy = false, MemoryFormat format = MemoryFormat::preserve) const;
  Tensor cpu() const { return to(kCPU); }
  Tensor cuda() const { return to(kCUDA); }
  Tensor contiguous(MemoryFormat format = MemoryFormat::contiguous) const;
  Tensor clone(MemoryFormat format = MemoryFormat::preserve) const;

 private:
  TensorImpl& checked() const {
    if (!impl_) raise_undefined();
    return *impl_;
  }
  [[noreturn]] static void raise_undefined();
  bool base_requires_grad() const;
  Ref<TensorImpl> impl_;
};

/// Writes dtype, shape and device: "float32[2, 3] on cpu".
NORCH_API void append(std::string& s, const Tensor& t);
/// PyTorch's text form: "tensor([[1., 2.]])".
NORCH_API std::string to_string(const Tensor& t);

}  // namespace norch
