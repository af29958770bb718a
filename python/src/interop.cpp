// Tensors in and out of Python: text, lists, the buffer protocol, NumPy; DLPack is in dlpack.cpp.
#include <cstring>

#include "bind.h"
#include "autograd/record.h"
#include "core/factory.h"
#include "dlpack.h"
#include "norch/ops.h"
#include "norch/print.h"

namespace norch::python {

namespace {

// ---- lists

nb::object to_list(const Tensor& cpu, int64_t dim, int64_t offset) {
  if (dim == cpu.dim()) {
    const auto* base = static_cast<const char*>(cpu.data_ptr());
    return nb::cast(scalar_from_bytes(base + offset * static_cast<int64_t>(cpu.itemsize()), cpu.dtype()));
  }
  const int64_t n = cpu.sizes()[dim];
  nb::object list = nb::steal(PyList_New(static_cast<Py_ssize_t>(n)));
  if (!list.is_valid()) throw nb::python_error();
  for (int64_t i = 0; i < n; ++i)
    PyList_SET_ITEM(list.ptr(), static_cast<Py_ssize_t>(i),
                    to_list(cpu, dim + 1, offset + i * cpu.strides()[dim]).release().ptr());
  return list;
}

// ---- buffer protocol

/// What a Py_buffer's `internal` points to.
struct Exported {
  Py_ssize_t shape[kMaxTensorDims];
  Py_ssize_t strides[kMaxTensorDims];
};

const char* buffer_format(DType t) {
  static const char* const formats[kNumDTypes] = {"?", "B", "H", "I",     "Q", "b", "h",  "i",
                                                   "q", "e", nullptr, "f", "d", "Zf", "Zd"};
  return formats[static_cast<int>(t)];
}

// ---- NumPy

Tensor from_numpy(nb::handle array) {
  NORCH_CHECK_TYPE(nb::hasattr(array, "__array_interface__"), "expected np.ndarray (got ", Py_TYPE(array.ptr())->tp_name, ")");
  auto* view = new Py_buffer;
  if (PyObject_GetBuffer(array.ptr(), view, PyBUF_RECORDS) < 0) {
    delete view;
    PyErr_Clear();
    // Read-only memory can't be shared: a write through the tensor would go through.
    return tensor_from_array(array);
  }
  Ref<Storage> storage = Storage::wrap(view->buf, static_cast<size_t>(view->len), kCPU, view, [](void* context) {
    const PyGILState_STATE gil = PyGILState_Ensure();
    PyBuffer_Release(static_cast<Py_buffer*>(context));
    delete static_cast<Py_buffer*>(context);
    PyGILState_Release(gil);
  });
  const DType type = dtype_of_format(view->format, view->itemsize);
  Shape sizes(static_cast<size_t>(view->ndim)), strides(static_cast<size_t>(view->ndim));
  int64_t last = 0;
  bool empty = false;
  for (int i = 0; i < view->ndim; ++i) {
    sizes[i] = view->shape[i];
    empty |= sizes[i] == 0;
    NORCH_CHECK_VALUE(view->strides[i] >= 0 || sizes[i] <= 1,
                      "At least one stride in the given numpy array is negative, and tensors with negative strides are not "
                      "currently supported. (You can probably work around this by making a copy of your array with array.copy().)");
    NORCH_CHECK_VALUE(view->strides[i] % view->itemsize == 0,
                      "given numpy array strides not a multiple of the element byte size. Copy the numpy array to reallocate the memory.");
    strides[i] = sizes[i] <= 1 && view->strides[i] < 0 ? 0 : view->strides[i] / view->itemsize;
    last += (sizes[i] - 1) * strides[i];
  }
  // A strided array spans more memory than it has elements.
  if (!empty && static_cast<size_t>(last + 1) * itemsize(type) > storage->nbytes()) {
    Ref<Storage> inner = storage;
    inner->inc_ref();
    storage = Storage::wrap(view->buf, static_cast<size_t>(last + 1) * itemsize(type), kCPU, inner.get(),
                            [](void* context) { static_cast<Storage*>(context)->dec_ref(); });
  }
  return Tensor(Ref<TensorImpl>(new TensorImpl(std::move(storage), sizes, strides, 0, type)));
}

}  // namespace

/// bf_getbuffer of the Tensor type.
int get_buffer(PyObject* self, Py_buffer* view, int flags) {
  view->obj = nullptr;
  try {
    const Tensor t = unwrap(self);
    if (t.is_cuda()) {
      PyErr_SetString(PyExc_TypeError, "can't convert cuda device type tensor to numpy. Use Tensor.cpu() to copy the tensor "
                                       "to host memory first.");
      return -1;
    }
    if (t.requires_grad()) {
      PyErr_SetString(PyExc_RuntimeError, "Can't call numpy() on Tensor that requires grad. Use tensor.detach().numpy() instead.");
      return -1;
    }
    const char* format = buffer_format(t.dtype());
    if (!format) {
      PyErr_SetString(PyExc_TypeError, "Got unsupported ScalarType BFloat16: NumPy has no such type; convert with .float()");
      return -1;
    }
    if (!t.is_contiguous() && (flags & PyBUF_STRIDES) != PyBUF_STRIDES) {
      PyErr_SetString(PyExc_BufferError, "the tensor is not contiguous");
      return -1;
    }
    auto* e = new Exported;
    const auto size = static_cast<Py_ssize_t>(t.itemsize());
    for (int64_t i = 0; i < t.dim(); ++i) {
      e->shape[i] = static_cast<Py_ssize_t>(t.sizes()[i]);
      // A stride that leads nowhere may be any number, too large in bytes as well.
      const bool used = t.numel() > 0 && t.sizes()[i] > 1;
      e->strides[i] = used ? static_cast<Py_ssize_t>(t.strides()[i]) * size : size;
    }
    view->buf = t.data_ptr();
    view->len = static_cast<Py_ssize_t>(t.numel()) * size;
    view->itemsize = size;
    view->readonly = 0;
    view->ndim = static_cast<int>(t.dim());
    view->format = (flags & PyBUF_FORMAT) ? const_cast<char*>(format) : nullptr;
    view->shape = (flags & PyBUF_ND) ? e->shape : nullptr;
    view->strides = (flags & PyBUF_STRIDES) == PyBUF_STRIDES ? e->strides : nullptr;
    view->suboffsets = nullptr;
    view->internal = e;
    Py_INCREF(self);
    view->obj = self;
    return 0;
  } catch (...) {
    set_python_error();
    return -1;
  }
}

void release_buffer(PyObject*, Py_buffer* view) { delete static_cast<Exported*>(view->internal); }

void bind_interop(Binder& b) {
  b.method(
      "tolist",
      [](const Tensor& t) {
        const Tensor cpu = t.detach().cpu();
        return to_list(cpu, 0, 0);
      },
      "tolist() -> list or number\n\nThe values as nested lists.");
  b.method("_to_string", &to_string, "The text that repr() shows.");
  b.in(
      b.root, "_print_options",
      [] {
        const PrintOptions o = print_options();
        return nb::make_tuple(o.precision, o.threshold, o.edgeitems, o.linewidth, o.sci_mode);
      },
      "precision, threshold, edgeitems, linewidth, sci_mode");
  b.in(
      b.root, "_set_print_options",
      [](int precision, int64_t threshold, int edgeitems, int linewidth, std::optional<bool> sci_mode) {
        set_print_options({precision, threshold, edgeitems, linewidth, sci_mode, print_options().package});
      },
      "See norch.set_printoptions.", "precision"_a, "threshold"_a, "edgeitems"_a, "linewidth"_a, "sci_mode"_a.none());
  b.method(
      "_to_bytes",
      [](const Tensor& t) {
        const Tensor c = t.detach().cpu().contiguous();
        return nb::bytes(static_cast<const char*>(c.data_ptr()), static_cast<size_t>(c.numel()) * c.itemsize());
      },
      "The elements in row-major order, as bytes.");
  b.in(
      b.root, "_from_bytes",
      [](nb::bytes data, DType dtype, const Shape& shape) {
        Tensor t = new_tensor(shape, dtype, kCPU);
        NORCH_CHECK(data.size() == static_cast<size_t>(t.numel()) * t.itemsize(), "_from_bytes: got ", data.size(),
                    " bytes for shape ", shape, " of ", dtype);
        std::memcpy(t.data_ptr(), data.c_str(), data.size());
        return t;
      },
      "The reverse of Tensor._to_bytes.", "data"_a, "dtype"_a, "shape"_a);
  b.in(
      b.root, "_as_subclass",
      [](const Tensor& t, nb::type_object type) {
        auto* cls = reinterpret_cast<PyTypeObject*>(type.ptr());
        NORCH_CHECK_TYPE(PyType_IsSubtype(cls, tensor_type), "_as_subclass: expected a subclass of norch.Tensor");
        if (!autograd::recording(t)) return nb::steal(wrap_as(cls, t.detach()));
        const Tensor alias = new_view(t, t.sizes(), t.strides(), t.storage_offset());
        autograd::record("AliasBackward0", {t}, {alias}, [](autograd::Backward& ctx) { ctx.set(0, ctx.grad()); });
        return nb::steal(wrap_as(cls, alias));
      },
      "The tensor's memory as an instance of a subclass of Tensor; gradients flow through.", "tensor"_a, "cls"_a);
  b.function("from_numpy", &from_numpy,
             "from_numpy(ndarray) -> Tensor\n\nA tensor on the array's memory (a copy if the array is read-only).",
             "ndarray"_a);
  bind_dlpack(b);
}

}  // namespace norch::python
