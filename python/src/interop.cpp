// Tensors in and out of Python: text, lists, the buffer protocol, NumPy, DLPack.
#include <cstring>

#include "bind.h"
#include "norch/cuda.h"
#include "autograd/record.h"
#include "core/factory.h"
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

// ---- DLPack (https://dmlc.github.io/dlpack/latest/c_api.html)

struct DLDevice {
  int32_t type;
  int32_t id;
};
struct DLType {
  uint8_t code;
  uint8_t bits;
  uint16_t lanes;
};
struct DLTensor {
  void* data;
  DLDevice device;
  int32_t ndim;
  DLType dtype;
  int64_t* shape;
  int64_t* strides;
  uint64_t byte_offset;
};
struct DLManaged {
  DLTensor tensor;
  void* context;
  void (*deleter)(DLManaged*);
};
struct DLManagedVersioned {
  uint32_t major, minor;
  void* context;
  void (*deleter)(DLManagedVersioned*);
  uint64_t flags;
  DLTensor tensor;
};

constexpr int32_t kDLCPU = 1, kDLCUDA = 2, kDLCUDAHost = 3, kDLCUDAManaged = 13;
constexpr uint64_t kDLReadOnly = 1;
constexpr const char* kName = "dltensor";
constexpr const char* kVersionedName = "dltensor_versioned";

DLType dl_type(DType t) {
  const uint8_t code = t == kBool             ? 6
                       : is_complex(t)        ? 5
                       : t == kBFloat16       ? 4
                       : is_floating_point(t) ? 2
                       : is_signed(t)         ? 0
                                              : 1;
  return {code, static_cast<uint8_t>(itemsize(t) * 8), 1};
}

DType from_dl_type(DLType t) {
  for (int i = 0; i < kNumDTypes; ++i) {
    const DLType mine = dl_type(static_cast<DType>(i));
    if (mine.code == t.code && mine.bits == t.bits && t.lanes == 1) return static_cast<DType>(i);
  }
  NORCH_RAISE(TypeError, "from_dlpack: unsupported element type (code ", static_cast<int>(t.code), ", ",
              static_cast<int>(t.bits), " bits, ", t.lanes, " lanes)");
}

/// The exported struct with the tensor it keeps alive and the arrays it points to.
template <class Managed>
struct Export {
  Managed managed;
  Tensor tensor;
  Shape shape, strides;
};

template <class Managed>
nb::object export_capsule(const Tensor& t, const char* name) {
  auto* e = new Export<Managed>{{}, t, Shape(t.sizes()), Shape(t.strides())};
  DLTensor& d = e->managed.tensor;
  d.data = t.numel() ? t.data_ptr() : nullptr;
  d.device = {t.is_cuda() ? kDLCUDA : kDLCPU, t.is_cuda() ? t.device().index : 0};
  d.ndim = static_cast<int32_t>(t.dim());
  d.dtype = dl_type(t.dtype());
  d.shape = e->shape.data();
  d.strides = e->strides.data();
  d.byte_offset = 0;
  e->managed.context = e;
  e->managed.deleter = [](Managed* m) { delete static_cast<Export<Managed>*>(m->context); };
  if constexpr (std::is_same_v<Managed, DLManagedVersioned>) {
    e->managed.major = 1;
    e->managed.minor = 0;
    e->managed.flags = 0;
  }
  PyObject* capsule = PyCapsule_New(&e->managed, name, [](PyObject* c) {
    // A consumer renames the capsule and calls the deleter itself; one that nobody consumed is ours to free.
    const char* current = PyCapsule_GetName(c);
    if (current && (std::strcmp(current, kName) == 0 || std::strcmp(current, kVersionedName) == 0)) {
      auto* m = static_cast<Managed*>(PyCapsule_GetPointer(c, current));
      if (m && m->deleter) m->deleter(m);
    }
  });
  if (!capsule) {
    delete e;
    throw nb::python_error();
  }
  return nb::steal(capsule);
}

/// Makes the consumer's stream wait for the work queued so far. As the protocol has it: None and 1 stand for the legacy
/// default stream, 2 for the per-thread one, -1 for no waiting.
void wait_for_export(int device, nb::handle stream) {
  const int64_t given = stream.is_none() ? 1 : nb::cast<int64_t>(stream);
  if (given == -1) return;
  NORCH_CHECK_VALUE(given > 0, "__dlpack__: unsupported stream ", given, " for a CUDA tensor; pass 1 for the default one");
  const cuda::Stream consumer = cuda::Stream::external(reinterpret_cast<CUstream_st*>(given == 1 ? 0 : given), device);
  const cuda::Stream producer = cuda::current_stream(device);
  if (consumer != producer) consumer.wait_stream(producer);
}

nb::object to_dlpack(const Tensor& t, nb::handle stream, nb::handle max_version, nb::handle dl_device,
                     std::optional<bool> copy) {
  NORCH_CHECK_AS(Error, !t.requires_grad(), "__dlpack__: Can't export tensors that require gradient, use tensor.detach()");
  Tensor source = copy.value_or(false) ? t.detach().clone() : t;
  if (!dl_device.is_none()) {
    auto [type, id] = nb::cast<std::pair<int, int>>(dl_device);
    const bool same = t.is_cuda() ? type == kDLCUDA && id == t.device().index : type == kDLCPU;
    if (!same) {
      NORCH_CHECK_VALUE(copy.value_or(true), "__dlpack__: moving to another device needs a copy");
      source = t.detach().to(type == kDLCPU ? kCPU : Device(DeviceType::CUDA, id));
    }
  }
  if (source.is_cuda()) wait_for_export(source.device().index, stream);
  const bool versioned = !max_version.is_none() && nb::cast<int>(max_version[0]) >= 1;
  return versioned ? export_capsule<DLManagedVersioned>(source, kVersionedName)
                   : export_capsule<DLManaged>(source, kName);
}

template <class Managed>
Tensor import_managed(Managed* m) {
  const DLTensor& d = m->tensor;
  NORCH_CHECK(d.ndim >= 0 && d.ndim <= kMaxTensorDims, "from_dlpack: ", d.ndim, " dims (at most ", kMaxTensorDims, ")");
  NORCH_CHECK(d.ndim == 0 || d.shape, "from_dlpack: the shape is missing");
  const DType type = from_dl_type(d.dtype);
  Device device;
  if (d.device.type == kDLCUDA || d.device.type == kDLCUDAManaged)
    device = Device(DeviceType::CUDA, d.device.id).resolve();
  else
    NORCH_CHECK_AS(Error, d.device.type == kDLCPU || d.device.type == kDLCUDAHost, "from_dlpack: device type ",
                   d.device.type, " is not supported; norch has the CPU and CUDA");
  Shape sizes(Ints(d.shape, static_cast<size_t>(d.ndim)));
  const int64_t n = numel_of(sizes, "from_dlpack");
  Shape strides = d.strides ? Shape(Ints(d.strides, sizes.size())) : contiguous_strides(sizes);
  int64_t last = 0;
  bool overflow = false;
  for (size_t i = 0; i < sizes.size(); ++i) {
    NORCH_CHECK_VALUE(strides[i] >= 0 || n == 0, "from_dlpack: negative strides are not supported, got ", strides,
                      "; make a contiguous copy first");
    int64_t span = 0;
    overflow |= __builtin_mul_overflow(sizes[i] - 1, strides[i], &span) || __builtin_add_overflow(last, span, &last);
  }
  size_t bytes = 0;
  overflow |= __builtin_mul_overflow(static_cast<size_t>(n ? last + 1 : 0), itemsize(type), &bytes);
  NORCH_CHECK(!overflow, "from_dlpack: shape ", sizes, " with strides ", strides, " does not fit in memory");
  NORCH_CHECK(n == 0 || d.data, "from_dlpack: the data pointer is null");
  char* data = static_cast<char*>(d.data) + d.byte_offset;
  // The CPU reads complex numbers part by part, the GPU as a whole.
  const size_t alignment = device.is_cpu() ? itemsize(to_real(type)) : itemsize(type);
  NORCH_CHECK(reinterpret_cast<uintptr_t>(data) % alignment == 0 || n == 0,
              "from_dlpack: the data is not aligned to its element size");
  Ref<Storage> storage = Storage::wrap(data, bytes, device, m, [](void* context) {
    auto* managed = static_cast<Managed*>(context);
    if (!managed->deleter) return;
    const PyGILState_STATE gil = PyGILState_Ensure();  // the producer may be Python code
    managed->deleter(managed);
    PyGILState_Release(gil);
  });
  return Tensor(Ref<TensorImpl>(new TensorImpl(std::move(storage), sizes, strides, 0, type)));
}

Tensor from_capsule(nb::handle capsule) {
  NORCH_CHECK_TYPE(PyCapsule_CheckExact(capsule.ptr()), "from_dlpack: expected a DLPack capsule or an object with __dlpack__");
  const char* name = PyCapsule_GetName(capsule.ptr());
  if (PyErr_Occurred()) throw nb::python_error();
  const bool plain = name && std::strcmp(name, kName) == 0;
  const bool versioned = name && std::strcmp(name, kVersionedName) == 0;
  NORCH_CHECK(plain || versioned, "from_dlpack: received an invalid capsule ('", name ? name : "",
              "'). Note that DLTensor capsules can be consumed only once, so you might have already constructed a tensor "
              "from it once.");
  void* pointer = PyCapsule_GetPointer(capsule.ptr(), name);
  if (!pointer) throw nb::python_error();
  Tensor t;
  if (versioned) {
    auto* m = static_cast<DLManagedVersioned*>(pointer);
    NORCH_CHECK_AS(Error, m->major == 1, "from_dlpack: DLPack version ", m->major, ".", m->minor, " is not supported");
    t = import_managed(m);
    if (m->flags & kDLReadOnly) t = t.clone();
  } else {
    t = import_managed(static_cast<DLManaged*>(pointer));
  }
  // Producers are asked for data that is ready on the default stream.
  if (t.is_cuda() && cuda::current_stream(t.device().index) != cuda::Stream::default_stream(t.device().index))
    cuda::current_stream(t.device().index).wait_stream(cuda::Stream::default_stream(t.device().index));
  // From here on the tensor owns what the capsule held.
  if (PyCapsule_SetName(capsule.ptr(), plain ? "used_dltensor" : "used_dltensor_versioned") != 0) throw nb::python_error();
  return t;
}

Tensor from_dlpack(nb::handle source) {
  if (PyCapsule_CheckExact(source.ptr())) return from_capsule(source);
  NORCH_CHECK_TYPE(nb::hasattr(source, "__dlpack__"), "from_dlpack: expected a DLPack capsule or an object with __dlpack__, got ",
                   Py_TYPE(source.ptr())->tp_name);
  nb::object capsule;
  try {
    capsule = source.attr("__dlpack__")("max_version"_a = nb::make_tuple(1, 0));
  } catch (nb::python_error& e) {
    // Producers older than DLPack 1.0 don't know the argument.
    if (!e.matches(PyExc_TypeError)) throw;
    capsule = source.attr("__dlpack__")();
  }
  return from_capsule(capsule);
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
  b.method("__dlpack__", &to_dlpack, "A DLPack capsule that shares this tensor's memory.", nb::kw_only(),
           "stream"_a = nb::none(), "max_version"_a = nb::none(), "dl_device"_a = nb::none(), "copy"_a = nb::none());
  b.method(
      "__dlpack_device__",
      [](const Tensor& t) { return nb::make_tuple(t.is_cuda() ? kDLCUDA : kDLCPU, static_cast<int>(t.device().index)); },
      "DLPack's (device type, device id).");
  b.function(
      "from_dlpack",
      [](nb::handle source, std::optional<Device> device, std::optional<bool> copy) {
        const Tensor t = from_dlpack(source);
        const Device to = device ? device->resolve() : t.device();
        NORCH_CHECK_VALUE(to == t.device() || copy.value_or(true), "from_dlpack: the memory is on ", t.device(), " and ", to,
                          " needs a copy; leave out copy=False");
        return to != t.device() ? t.to(to) : copy.value_or(false) ? t.clone() : t;
      },
      "from_dlpack(ext_tensor, *, device=None, copy=None) -> Tensor\n\nA tensor on the memory of any object with __dlpack__, "
      "or of a capsule; copied if `copy` is True, or where another device asks for it.",
      "ext_tensor"_a, nb::kw_only(), "device"_a = nb::none(), "copy"_a = nb::none());
  b.function("from_numpy", &from_numpy,
             "from_numpy(ndarray) -> Tensor\n\nA tensor on the array's memory (a copy if the array is read-only).",
             "ndarray"_a);
}

}  // namespace norch::python
