// Tensors in and out of Python by DLPack (https://dmlc.github.io/dlpack/latest/c_api.html).
#include "dlpack.h"

#include <cstring>

#include "norch/cuda.h"
#include "norch/ops.h"

namespace norch::python {

namespace {

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
  if (t.requires_grad()) {  // the class that the protocol names
    PyErr_SetString(PyExc_BufferError, "__dlpack__: Can't export tensors that require gradient, use tensor.detach()");
    throw nb::python_error();
  }
  Tensor source = copy.value_or(false) ? t.detach().clone() : t;
  if (!dl_device.is_none()) {
    auto [type, id] = nb::cast<std::pair<int, int>>(dl_device);
    NORCH_CHECK(type == kDLCPU || type == kDLCUDA, "__dlpack__: device type ", type, " is not supported; norch has the CPU (",
                kDLCPU, ") and CUDA (", kDLCUDA, ")");
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
  bool read_only = false;
  if (versioned) {
    auto* m = static_cast<DLManagedVersioned*>(pointer);
    NORCH_CHECK_AS(Error, m->major == 1, "from_dlpack: DLPack version ", m->major, ".", m->minor, " is not supported");
    t = import_managed(m);
    read_only = m->flags & kDLReadOnly;
  } else {
    t = import_managed(static_cast<DLManaged*>(pointer));
  }
  // The tensor owns what the capsule held, also if one of the next steps fails.
  if (PyCapsule_SetName(capsule.ptr(), plain ? "used_dltensor" : "used_dltensor_versioned") != 0) throw nb::python_error();
  if (read_only) t = t.clone();
  // Producers are asked for data that is ready on the default stream.
  if (t.is_cuda() && cuda::current_stream(t.device().index) != cuda::Stream::default_stream(t.device().index))
    cuda::current_stream(t.device().index).wait_stream(cuda::Stream::default_stream(t.device().index));
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

}  // namespace

void bind_dlpack(Binder& b) {
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
}

}  // namespace norch::python
