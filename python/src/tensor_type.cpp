#include "tensor_type.h"

#include <structmember.h>

#include <exception>
#include <vector>

#include "autograd/node.h"
#include "bind.h"
#include "compat.h"
#include "norch/autograd.h"
#include "norch/ops.h"
#include "overrides.h"
#include "sparse.h"

namespace norch::python {

PyTypeObject* tensor_type = nullptr;
PyTypeObject* parameter_type = nullptr;

namespace {

TensorObject* as_object(PyObject* o) { return reinterpret_cast<TensorObject*>(o); }

/// Hands the object over to the tensor when it has state that a new object would lack. True if it lives on.
bool resurrect(PyObject* self) {
  TensorObject* o = as_object(self);
  TensorImpl* impl = o->impl;
  if (!impl || impl->use_count() < 2) return false;
  const bool stateful = Py_TYPE(self) != tensor_type || o->weak_references || (o->dict && PyDict_GET_SIZE(o->dict));
  if (!stateful) return false;
  _Py_NewReference(self);
  impl->owns_py_object = true;
  impl->dec_ref();
  return true;
}

void tensor_dealloc(PyObject* self) {
  if (resurrect(self)) return;
  TensorObject* o = as_object(self);
  PyTypeObject* type = Py_TYPE(self);
  PyObject_GC_UnTrack(self);
  if (type->tp_finalize) {
    if (PyObject_CallFinalizerFromDealloc(self) < 0) return;
  }
  if (o->weak_references) PyObject_ClearWeakRefs(self);
  Py_CLEAR(o->dict);
  if (TensorImpl* impl = o->impl) {
    o->impl = nullptr;
    impl->py_object = nullptr;
    impl->dec_ref();
  }
  type->tp_free(self);
  Py_DECREF(type);
}

/// The tensor that kept its Python object alive is being destroyed (see set_python_release_hook).
void release_object(void* py_object) {
  const PyGILState_STATE gil = PyGILState_Ensure();
  auto* self = static_cast<PyObject*>(py_object);
  as_object(self)->impl = nullptr;
  Py_DECREF(self);
  PyGILState_Release(gil);
}

int tensor_traverse(PyObject* self, visitproc visit, void* arg) {
  Py_VISIT(as_object(self)->dict);
  Py_VISIT(Py_TYPE(self));
  // Hooks are part of this object's garbage only if nobody else holds the tensor.
  const TensorImpl* impl = as_object(self)->impl;
  return impl && impl->use_count() == 1 ? visit_hooks(Tensor(Ref<TensorImpl>(as_object(self)->impl)), visit, arg) : 0;
}

int tensor_clear(PyObject* self) {
  Py_CLEAR(as_object(self)->dict);
  TensorImpl* impl = as_object(self)->impl;
  if (impl && impl->meta && impl->use_count() == 1) {
    impl->meta->leaf_hooks.clear();
    impl->meta->post_accumulate_hooks.clear();
  }
  return 0;
}

PyObject* allocate(PyTypeObject* type, const Tensor& t) {
  PyObject* self = type->tp_alloc(type, 0);
  if (!self) return nullptr;
  as_object(self)->impl = Ref<TensorImpl>(t.impl()).release();
  t.impl()->py_object = self;
  return self;
}

// ---- construction

/// Tensor(), Tensor(2, 3) (sizes), Tensor(data): PyTorch's legacy constructor; always the default dtype.
PyObject* tensor_new(PyTypeObject* type, PyObject* args, PyObject* kwargs) {
  return guarded([&]() -> PyObject* {
    Device device = default_device();
    if (kwargs && PyDict_GET_SIZE(kwargs)) {
      PyObject* d = PyDict_GetItemString(kwargs, "device");
      NORCH_CHECK_TYPE(d && PyDict_GET_SIZE(kwargs) == 1,
                       "Tensor: new() takes sizes or data and the keyword 'device' only; use norch.tensor(data, dtype=...)");
      NORCH_CHECK_TYPE(d == Py_None || device_from_python(d, device), "Tensor: device must be a device or a string");
    }
    device = device.resolve();
    const Py_ssize_t n = PyTuple_GET_SIZE(args);
    Shape sizes;
    bool all_ints = true;
    for (Py_ssize_t i = 0; i < n && all_ints; ++i) {
      int64_t v;
      PyObject* a = PyTuple_GET_ITEM(args, i);
      all_ints = !is_tensor(a) && !PyFloat_Check(a) && int_from_python(a, v);
      if (all_ints) sizes.push_back(v);
    }
    Tensor t;
    if (n == 0)
      t = empty({0}, TensorOptions(default_dtype()).device(device));
    else if (all_ints)
      t = empty(sizes, TensorOptions(default_dtype()).device(device));
    else if (n == 1 && Py_TYPE(PyTuple_GET_ITEM(args, 0)) == size_type)
      t = empty(nb::cast<Shape>(nb::handle(PyTuple_GET_ITEM(args, 0))), TensorOptions(default_dtype()).device(device));
    else if (n == 1 && is_tensor(PyTuple_GET_ITEM(args, 0)))
      t = unwrap(PyTuple_GET_ITEM(args, 0)).detach().to(device);
    else
      t = tensor_from_python(PyTuple_GET_ITEM(args, 0), default_dtype(), device);
    NORCH_CHECK_TYPE(n <= 1 || all_ints, "Tensor: new() received an invalid combination of arguments: expected sizes "
                                         "(integers) or one sequence of data");
    return t.impl()->py_object ? wrap_as(type, autograd::shallow_copy(t)) : wrap_as(type, t);
  });
}

/// Parameter(data=None, requires_grad=True) shares memory with `data`.
PyObject* parameter_new(PyTypeObject* type, PyObject* args, PyObject* kwargs) {
  static const char* names[] = {"data", "requires_grad", nullptr};
  PyObject* data = Py_None;
  int requires_grad = 1;
  if (!PyArg_ParseTupleAndKeywords(args, kwargs, "|Op:Parameter", const_cast<char**>(names), &data, &requires_grad))
    return nullptr;
  return guarded([&]() -> PyObject* {
    NORCH_CHECK_TYPE(data == Py_None || is_tensor(data), "Parameter: data must be a Tensor");
    Tensor t = data == Py_None ? empty({0}) : autograd::shallow_copy(unwrap(data));
    t.requires_grad_(requires_grad != 0);
    return wrap_as(type, t);
  });
}

/// type.__init__ for subclasses made in Python: CPython would give them a deallocator that knows nothing of resurrection.
int tensor_meta_init(PyObject* cls, PyObject* args, PyObject* kwargs) {
  if (PyType_Type.tp_init(cls, args, kwargs) < 0) return -1;
  reinterpret_cast<PyTypeObject*>(cls)->tp_dealloc = tensor_dealloc;
  try {
    overrides::new_class(reinterpret_cast<PyTypeObject*>(cls));
    return 0;
  } catch (...) {
    set_python_error();
    return -1;
  }
}

// ---- attributes

// One C function serves all read-only attributes: what to compute travels as the attribute's closure.
using Getter = PyObject* (*)(const Tensor&);
const char* name_of(void* closure);
PyObject* get(PyObject* self, void* closure) {
  PyObject* result;
  if (overrides::on() && overrides::call_getter(name_of(closure), self, result)) return result;
  return guarded([&] { return reinterpret_cast<Getter>(closure)(unwrap(self)); });
}
void* by(Getter g) { return reinterpret_cast<void*>(g); }

PyObject* new_bool(bool v) { return PyBool_FromLong(v); }

Tensor tensor_argument(PyObject* v, const char* what) {
  NORCH_CHECK_TYPE(v && is_tensor(v), "assigned ", what, " must be a Tensor");
  return unwrap(v);
}

template <class F>
int set_guarded(F&& f) {
  try {
    f();
    return 0;
  } catch (...) {
    set_python_error();
    return -1;
  }
}

int set_grad(PyObject* self, PyObject* v, void*) {
  return set_guarded([&] {
    const Tensor t = unwrap(self);
    t.set_grad(!v || v == Py_None ? Tensor() : is_sparse_object(v) ? unwrap_sparse(v) : tensor_argument(v, "grad"));
  });
}

int set_requires_grad(PyObject* self, PyObject* v, void*) {
  return set_guarded([&] {
    NORCH_CHECK(v, "can't delete requires_grad");
    const int truth = PyObject_IsTrue(v);
    if (truth < 0) throw nb::python_error();
    unwrap(self).requires_grad_(truth != 0);
  });
}

/// x.data = y: takes over y's memory, shape and dtype; history and gradient stay.
int set_data(PyObject* self, PyObject* v, void*) {
  return set_guarded([&] {
    const Tensor t = unwrap(self), source = tensor_argument(v, "data");
    NORCH_CHECK(!t.requires_grad() || is_differentiable(source.dtype()),
                "data set to a tensor that requires gradients must be floating point, got ", source.dtype());
    TensorImpl& impl = *t.impl();
    impl.storage = source.data_alias().storage();
    impl.sizes = source.impl()->sizes;
    impl.strides = source.impl()->strides;
    impl.offset = source.impl()->offset;
    impl.dtype = source.dtype();
    impl.device = source.device();
    impl.refresh();
    autograd::forget_accumulator(t);
  });
}

/// t.real = values, t.imag = values.
template <Tensor (*Part)(const Tensor&)>
int set_part(PyObject* self, PyObject* value, void*) {
  return set_guarded([&] {
    NORCH_CHECK_TYPE(value, "real and imag can't be deleted");
    const Tensor source = operand_from_python(value);
    NORCH_CHECK_TYPE(source.defined(), "real and imag take a tensor or a number, got ", Py_TYPE(value)->tp_name);
    copy_(Part(unwrap(self)), source);
  });
}

PyGetSetDef attributes[] = {
    {"shape", get, nullptr, "The sizes, a norch.Size.",
     by([](const Tensor& t) -> PyObject* { return wrap_size(t.sizes()); })},
    {"dtype", get, nullptr, "The element type.",
     by([](const Tensor& t) -> PyObject* { return wrap(t.dtype()); })},
    {"device", get, nullptr, "Where the memory lies.",
     by([](const Tensor& t) -> PyObject* { return wrap(t.device()); })},
    {"ndim", get, nullptr, "The number of dims.",
     by([](const Tensor& t) -> PyObject* { return PyLong_FromLongLong(t.dim()); })},
    {"itemsize", get, nullptr, "Bytes per element.",
     by([](const Tensor& t) -> PyObject* { return PyLong_FromSize_t(t.itemsize()); })},
    {"nbytes", get, nullptr, "Bytes of all elements.",
     by([](const Tensor& t) -> PyObject* { return PyLong_FromLongLong(t.numel() * static_cast<int64_t>(t.itemsize())); })},
    {"is_cuda", get, nullptr, "Whether on a GPU.",
     by([](const Tensor& t) -> PyObject* { return new_bool(t.is_cuda()); })},
    {"is_cpu", get, nullptr, "Whether on the CPU.",
     by([](const Tensor& t) -> PyObject* { return new_bool(t.is_cpu()); })},
    {"output_nr", get, nullptr, "Which of its operation's results this tensor is.",
     by([](const Tensor& t) -> PyObject* { return PyLong_FromUnsignedLong(t.impl()->output_nr); })},
    {"is_leaf", get, nullptr, "Whether no op made this tensor.",
     by([](const Tensor& t) -> PyObject* { return new_bool(t.is_leaf()); })},
    {"requires_grad", get, set_requires_grad, "Whether gradients flow to this tensor.",
     by([](const Tensor& t) -> PyObject* { return new_bool(t.requires_grad()); })},
    {"grad", get, set_grad, "The accumulated gradient, or None.",
     by([](const Tensor& t) -> PyObject* { return wrap(t.grad()); })},
    {"data", get, set_data, "The same memory, unseen by autograd.",
     by([](const Tensor& t) -> PyObject* { return wrap(t.data_alias()); })},
    {"retains_grad", get, nullptr, "Whether a non-leaf keeps its gradient.",
     by([](const Tensor& t) -> PyObject* { return new_bool(autograd::retains_grad(t)); })},
    {"_version", get, nullptr, "How often the memory was written to in place.",
     by([](const Tensor& t) -> PyObject* { return PyLong_FromUnsignedLong(t.version()); })},
    {"_base", get, nullptr, "The tensor that this one is a view of, or None.",
     by([](const Tensor& t) -> PyObject* { return wrap(autograd::base_of(t)); })},
    {"T", get, nullptr, "All dims in reverse order.",
     by([](const Tensor& t) -> PyObject* { return wrap(numpy_T(t)); })},
    {"mT", get, nullptr, "The last two dims swapped.",
     by([](const Tensor& t) -> PyObject* { return wrap(matrix_T(t)); })},
    {"H", get, nullptr, "The conjugate transpose of a matrix.",
     by([](const Tensor& t) -> PyObject* { return wrap(matrix_H(t)); })},
    {"mH", get, nullptr, "The last two dims swapped, conjugate.",
     by([](const Tensor& t) -> PyObject* { return wrap(adjoint(t)); })},
    {"real", get, set_part<norch::real>, "The real parts, a view; a real tensor itself.",
     by([](const Tensor& t) -> PyObject* { return wrap(real(t)); })},
    {"imag", get, set_part<norch::imag>, "The imaginary parts, a view.",
     by([](const Tensor& t) -> PyObject* { return wrap(imag(t)); })},
    {"__dict__", PyObject_GenericGetDict, PyObject_GenericSetDict, nullptr, nullptr},
    {nullptr, nullptr, nullptr, nullptr, nullptr},
};

const char* name_of(void* closure) {
  const PyGetSetDef* a = attributes;
  while (a->closure != closure) ++a;
  return a->name;
}

PyMemberDef members[] = {
    {"__dictoffset__", T_PYSSIZET, offsetof(TensorObject, dict), READONLY, nullptr},
    {"__weaklistoffset__", T_PYSSIZET, offsetof(TensorObject, weak_references), READONLY, nullptr},
    {nullptr, 0, 0, 0, nullptr},
};

PyTypeObject* make_type(const char* name, const char* doc, newfunc make, PyTypeObject* base, PyTypeObject* meta) {
  std::vector<PyType_Slot> slots = {
      {Py_tp_doc, const_cast<char*>(doc)},
      {Py_tp_new, reinterpret_cast<void*>(make)},
      {Py_tp_dealloc, reinterpret_cast<void*>(tensor_dealloc)},
      {Py_tp_traverse, reinterpret_cast<void*>(tensor_traverse)},
      {Py_tp_clear, reinterpret_cast<void*>(tensor_clear)},
  };
  if (!base) {
    slots.push_back({Py_tp_getset, attributes});
    slots.push_back({Py_tp_members, members});
    slots.push_back({Py_bf_getbuffer, reinterpret_cast<void*>(get_buffer)});
    slots.push_back({Py_bf_releasebuffer, reinterpret_cast<void*>(release_buffer)});
    slots.push_back({Py_tp_hash, reinterpret_cast<void*>(_Py_HashPointer)});
    for (const PyType_Slot* s = number_slots; s->slot; ++s) slots.push_back(*s);
  }
  slots.push_back({0, nullptr});
  PyType_Spec spec = {name, sizeof(TensorObject), 0, Py_TPFLAGS_DEFAULT | Py_TPFLAGS_BASETYPE | Py_TPFLAGS_HAVE_GC,
                      slots.data()};
  PyObject* bases = base ? PyTuple_Pack(1, base) : nullptr;
  auto* type = reinterpret_cast<PyTypeObject*>(PyType_FromSpecWithBases(&spec, bases));
  Py_XDECREF(bases);
  if (!type) throw nb::python_error();
  // PyType_FromMetaclass exists from Python 3.12 on only; giving a fresh type its metaclass this way is what it does.
  Py_INCREF(meta);
  Py_SET_TYPE(reinterpret_cast<PyObject*>(type), meta);
  return type;
}

}  // namespace

PyObject* wrap(const Tensor& t) noexcept {
  TensorImpl* impl = t.impl();
  if (!impl) Py_RETURN_NONE;
  if (auto* self = static_cast<PyObject*>(impl->py_object)) {
    if (impl->owns_py_object) {
      // Python takes the object back: the tensor's reference to it becomes the caller's.
      impl->owns_py_object = false;
      impl->inc_ref();
      return self;
    }
    Py_INCREF(self);
    return self;
  }
  if (impl->meta && impl->meta->sparse) return wrap_sparse(t);
  return allocate(tensor_type, t);
}

PyObject* wrap_as(PyTypeObject* type, const Tensor& t) {
  NORCH_CHECK(!t.impl()->py_object, "this tensor has a Python object already");
  PyObject* self = allocate(type, t);
  if (!self) throw nb::python_error();
  return self;
}

void bind_tensor_type(nb::module_& m) {
  static PyType_Slot meta_slots[] = {{Py_tp_init, reinterpret_cast<void*>(tensor_meta_init)}, {0, nullptr}};
  static PyType_Spec meta_spec = {"norch._TensorMeta", 0, 0, Py_TPFLAGS_DEFAULT | Py_TPFLAGS_BASETYPE, meta_slots};
  PyObject* meta_bases = PyTuple_Pack(1, &PyType_Type);
  auto* meta = reinterpret_cast<PyTypeObject*>(PyType_FromSpecWithBases(&meta_spec, meta_bases));
  Py_XDECREF(meta_bases);
  if (!meta) throw nb::python_error();

  tensor_type = make_type("norch.Tensor", "An n-dimensional array that autograd can differentiate through.", tensor_new,
                          nullptr, meta);
  parameter_type = make_type("norch.nn.Parameter",
                             "A tensor that a module owns and optimizes.\n\nParameter(data=None, requires_grad=True)",
                             parameter_new, tensor_type, meta);
  m.attr("Tensor") = nb::handle(reinterpret_cast<PyObject*>(tensor_type));
  m.attr("Parameter") = nb::handle(reinterpret_cast<PyObject*>(parameter_type));
  set_python_release_hook(release_object);
}

}  // namespace norch::python
