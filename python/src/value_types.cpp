// norch.dtype, norch.Size and norch.device; reading numbers and devices from Python.
#include "bind.h"
#include "compat.h"
#include "linalg_module.h"
#include "norch/ops/linalg.h"
#include "norch/ops.h"
#include "norch/print.h"

namespace norch::python {

PyTypeObject* dtype_type = nullptr;
PyTypeObject* size_type = nullptr;

namespace {

PyObject* g_dtypes[kNumDTypes];

// ---- dtype

DType dtype_of_object(PyObject* self) { return reinterpret_cast<DTypeObject*>(self)->value; }

PyObject* dtype_repr(PyObject* self) {
  return PyUnicode_FromFormat("%s.%s", print_options().package.c_str(), name(dtype_of_object(self)));
}
// Pickled by name: unpickling gives the same object.
PyObject* dtype_reduce(PyObject* self, PyObject*) { return PyUnicode_FromString(name(dtype_of_object(self))); }
PyObject* dtype_itemsize(PyObject* self, void*) { return PyLong_FromSize_t(itemsize(dtype_of_object(self))); }
PyObject* dtype_is_float(PyObject* self, void*) { return PyBool_FromLong(is_floating_point(dtype_of_object(self))); }
PyObject* dtype_is_signed(PyObject* self, void*) { return PyBool_FromLong(is_signed(dtype_of_object(self))); }
PyObject* dtype_is_complex(PyObject* self, void*) { return PyBool_FromLong(is_complex(dtype_of_object(self))); }
PyObject* dtype_to_real(PyObject* self, PyObject*) { return wrap(to_real(dtype_of_object(self))); }
PyObject* dtype_to_complex(PyObject* self, PyObject*) {
  const DType t = dtype_of_object(self);
  if (is_differentiable(t)) return wrap(to_complex(t));
  return PyErr_Format(PyExc_RuntimeError, "to_complex: no complex dtype has parts of %s; convert to a float dtype", name(t));
}

PyGetSetDef dtype_attributes[] = {
    {"itemsize", dtype_itemsize, nullptr, "Bytes per element.", nullptr},
    {"is_floating_point", dtype_is_float, nullptr, "Whether a float type.", nullptr},
    {"is_signed", dtype_is_signed, nullptr, "Whether it holds negative numbers.", nullptr},
    {"is_complex", dtype_is_complex, nullptr, "Whether a complex type.", nullptr},
    {nullptr, nullptr, nullptr, nullptr, nullptr},
};
PyMethodDef dtype_methods[] = {
    {"__reduce__", dtype_reduce, METH_NOARGS, nullptr},
    {"to_real", dtype_to_real, METH_NOARGS, "The dtype of the real and imaginary parts; a real dtype itself."},
    {"to_complex", dtype_to_complex, METH_NOARGS, "The complex dtype with parts of this float dtype."},
    {nullptr, nullptr, 0, nullptr}};

// ---- Size

PyObject* size_repr(PyObject* self) {
  std::string text = print_options().package + ".Size([";
  for (Py_ssize_t i = 0; i < PyTuple_GET_SIZE(self); ++i) {
    if (i) text += ", ";
    text += nb::repr(nb::handle(PyTuple_GET_ITEM(self, i))).c_str();
  }
  return PyUnicode_FromString((text + "])").c_str());
}

PyObject* size_numel(PyObject* self, PyObject*) {
  long long n = 1;
  for (Py_ssize_t i = 0; i < PyTuple_GET_SIZE(self); ++i) {
    const long long v = PyLong_AsLongLong(PyTuple_GET_ITEM(self, i));
    if (v == -1 && PyErr_Occurred()) return nullptr;
    n *= v;
  }
  return PyLong_FromLongLong(n);
}

PyObject* as_size(PyObject* tuple) {
  if (!tuple || !PyTuple_CheckExact(tuple)) return tuple;
  PyObject* args = PyTuple_Pack(1, tuple);
  Py_DECREF(tuple);
  if (!args) return nullptr;
  PyObject* size = PyTuple_Type.tp_new(size_type, args, nullptr);
  Py_DECREF(args);
  return size;
}

PyObject* size_subscript(PyObject* self, PyObject* key) {
  return as_size(PyTuple_Type.tp_as_mapping->mp_subscript(self, key));
}
PyObject* size_concat(PyObject* a, PyObject* b) { return as_size(PyTuple_Type.tp_as_sequence->sq_concat(a, b)); }

PyMethodDef size_methods[] = {{"numel", size_numel, METH_NOARGS, "The number of elements of this shape."},
                              {nullptr, nullptr, 0, nullptr}};

// ---- device

/// The Python class norch.device: a Device, as users see it.
struct PyDevice {
  Device device;
};

// Borrowed from the module, which lives as long as tensors can ask for it.
nb::handle g_cpu_device;

}  // namespace

PyObject* wrap(DType t) noexcept {
  PyObject* o = g_dtypes[static_cast<int>(t)];
  Py_INCREF(o);
  return o;
}

PyObject* wrap_size(Ints sizes) noexcept {
  PyObject* self = size_type->tp_alloc(size_type, static_cast<Py_ssize_t>(sizes.size()));
  if (!self) return nullptr;
  for (size_t i = 0; i < sizes.size(); ++i) {
    PyObject* item = PyLong_FromLongLong(sizes[i]);
    if (!item) {
      Py_DECREF(self);
      return nullptr;
    }
    PyTuple_SET_ITEM(self, static_cast<Py_ssize_t>(i), item);
  }
  return self;
}

PyObject* wrap(Device d) noexcept {
  if (d.is_cpu()) return g_cpu_device.inc_ref().ptr();
  try {
    return nb::cast(PyDevice{d}).release().ptr();
  } catch (...) {
    set_python_error();
    return nullptr;
  }
}

bool device_from_python(PyObject* o, Device& out) {
  if (PyUnicode_Check(o)) {
    out = Device(nb::cast<std::string>(nb::handle(o)));
    return true;
  }
  if (PyLong_CheckExact(o)) {
    const long i = PyLong_AsLong(o);
    NORCH_CHECK(!(i == -1 && PyErr_Occurred()) && i >= 0 && i < 128, "device: index must be in [0, 128)");
    out = Device(DeviceType::CUDA, static_cast<int>(i));
    return true;
  }
  PyDevice* d = nullptr;
  if (!nb::try_cast<PyDevice*>(nb::handle(o), d) || !d) return false;
  out = d->device;
  return true;
}

bool scalar_from_python(PyObject* o, Scalar& out) noexcept {
  if (PyFloat_Check(o)) {
    out = PyFloat_AS_DOUBLE(o);
    return true;
  }
  if (PyBool_Check(o)) {
    out = o == Py_True;
    return true;
  }
  if (PyLong_Check(o)) {
    int overflow = 0;
    const long long v = PyLong_AsLongLongAndOverflow(o, &overflow);
    if (overflow < 0) return false;
    if (overflow > 0) {
      const unsigned long long large = PyLong_AsUnsignedLongLong(o);
      if (PyErr_Occurred()) {
        PyErr_Clear();
        return false;
      }
      out = static_cast<uint64_t>(large);
      return true;
    }
    out = static_cast<int64_t>(v);
    return true;
  }
  if (PyComplex_Check(o)) {
    out = Complex<double>(PyComplex_RealAsDouble(o), PyComplex_ImagAsDouble(o));
    return true;
  }
  if (is_tensor(o)) {
    const Tensor t = unwrap(o);
    if (t.numel() != 1) return false;
    try {
      out = t.item();
      return true;
    } catch (...) {
      return false;
    }
  }
  // NumPy's scalars: integers by __index__, others by __float__ (arrays have neither in one piece).
  if (PyIndex_Check(o)) {
    PyObject* i = PyNumber_Index(o);
    const bool ok = i && scalar_from_python(i, out);
    Py_XDECREF(i);
    PyErr_Clear();
    return ok;
  }
  if (!PyUnicode_Check(o) && Py_TYPE(o)->tp_as_number && Py_TYPE(o)->tp_as_number->nb_float) {
    PyObject* ndim = PyObject_GetAttrString(o, "ndim");
    const bool scalar = ndim && PyLong_Check(ndim) && PyLong_AsLong(ndim) == 0;
    Py_XDECREF(ndim);
    PyErr_Clear();
    if (!scalar) return false;
    if (PyObject_HasAttrString(o, "__complex__")) {  // numpy.complex64; complex128 is a Python complex number
      const Py_complex z = PyComplex_AsCComplex(o);
      PyErr_Clear();
      out = Complex<double>(z.real, z.imag);
      return true;
    }
    const double v = PyFloat_AsDouble(o);
    if (v == -1 && PyErr_Occurred()) {
      PyErr_Clear();
      return false;
    }
    out = v;
    return true;
  }
  return false;
}

Tensor operand_from_python(PyObject* o) {
  if (is_tensor(o)) return unwrap(o);
  Scalar s;
  return scalar_from_python(o, s) ? Tensor::wrap(s) : Tensor();
}

void set_python_error() noexcept {
  // The order matters: derived classes first.
  try {
    throw;
  } catch (nb::python_error& e) {
    e.restore();
  } catch (const IndexError& e) {
    PyErr_SetString(PyExc_IndexError, e.what());
  } catch (const ValueError& e) {
    PyErr_SetString(PyExc_ValueError, e.what());
  } catch (const TypeError& e) {
    PyErr_SetString(PyExc_TypeError, e.what());
  } catch (const NotImplementedError& e) {
    PyErr_SetString(PyExc_NotImplementedError, e.what());
  } catch (const OutOfMemoryError& e) {
    PyErr_SetString(out_of_memory_error, e.what());
  } catch (const linalg::LinAlgError& e) {
    PyErr_SetString(linalg_error, e.what());
  } catch (const std::bad_alloc&) {
    PyErr_NoMemory();
  } catch (const std::exception& e) {
    PyErr_SetString(PyExc_RuntimeError, e.what());
  }
}

void bind_value_types(nb::module_& m) {
  static PyType_Slot dtype_slots[] = {{Py_tp_doc, const_cast<char*>("The element type of a tensor.")},
                                      {Py_tp_repr, reinterpret_cast<void*>(dtype_repr)},
                                      {Py_tp_getset, dtype_attributes},
                                      {Py_tp_methods, dtype_methods},
                                      {0, nullptr}};
  static PyType_Spec dtype_spec = {"norch.dtype", sizeof(DTypeObject), 0,
                                   Py_TPFLAGS_DEFAULT | Py_TPFLAGS_DISALLOW_INSTANTIATION, dtype_slots};
  dtype_type = reinterpret_cast<PyTypeObject*>(PyType_FromSpec(&dtype_spec));
  if (!dtype_type) throw nb::python_error();
  m.attr("dtype") = nb::handle(reinterpret_cast<PyObject*>(dtype_type));
  for (int i = 0; i < kNumDTypes; ++i) {
    g_dtypes[i] = dtype_type->tp_alloc(dtype_type, 0);
    if (!g_dtypes[i]) throw nb::python_error();
    reinterpret_cast<DTypeObject*>(g_dtypes[i])->value = static_cast<DType>(i);
    m.attr(name(static_cast<DType>(i))) = nb::handle(g_dtypes[i]);
  }
  const std::pair<const char*, DType> aliases[] = {{"half", kFloat16}, {"float", kFloat32}, {"double", kFloat64},
                                                   {"short", kInt16},  {"int", kInt32},     {"long", kInt64},
                                                   {"cfloat", kComplex64}, {"cdouble", kComplex128}};
  for (auto& [alias, t] : aliases) m.attr(alias) = nb::handle(g_dtypes[static_cast<int>(t)]);

  static PyType_Slot size_slots[] = {{Py_tp_doc, const_cast<char*>("The shape of a tensor: a tuple of ints.")},
                                     {Py_tp_repr, reinterpret_cast<void*>(size_repr)},
                                     {Py_tp_methods, size_methods},
                                     {Py_mp_subscript, reinterpret_cast<void*>(size_subscript)},
                                     {Py_sq_concat, reinterpret_cast<void*>(size_concat)},
                                     {0, nullptr}};
  static PyType_Spec size_spec = {"norch.Size", 0, 0, Py_TPFLAGS_DEFAULT | Py_TPFLAGS_BASETYPE, size_slots};
  PyObject* bases = PyTuple_Pack(1, &PyTuple_Type);
  size_type = reinterpret_cast<PyTypeObject*>(PyType_FromSpecWithBases(&size_spec, bases));
  Py_XDECREF(bases);
  if (!size_type) throw nb::python_error();
  m.attr("Size") = nb::handle(reinterpret_cast<PyObject*>(size_type));

  nb::class_<PyDevice>(m, "device", "A device: norch.device('cpu'), ('cuda'), ('cuda:1'), ('cuda', 1).")
      .def("__init__", [](PyDevice* self, Device d) { new (self) PyDevice{d}; }, nb::arg("device"))
      .def("__init__",
           [](PyDevice* self, const std::string& type, int index) {
             new (self) PyDevice{Device(type + ":" + std::to_string(index))};
           },
           nb::arg("type"), nb::arg("index"))
      .def_prop_ro("type", [](const PyDevice& d) { return d.device.is_cpu() ? "cpu" : "cuda"; })
      .def_prop_ro("index", [](const PyDevice& d) -> nb::object {
        if (d.device.is_cpu() || d.device.index < 0) return nb::none();
        return nb::int_(static_cast<int>(d.device.index));
      })
      .def("__repr__", [](const PyDevice& d) {
        if (d.device.is_cpu() || d.device.index < 0)
          return std::string("device(type='") + (d.device.is_cpu() ? "cpu" : "cuda") + "')";
        return "device(type='cuda', index=" + std::to_string(d.device.index) + ")";
      })
      .def("__str__", [](const PyDevice& d) { return d.device.str(); })
      .def("__eq__", [](const PyDevice& a, nb::handle b) {
        PyDevice* other = nullptr;
        return nb::try_cast<PyDevice*>(b, other) && other && a.device == other->device;
      })
      .def("__hash__", [](const PyDevice& d) { return static_cast<int>(d.device.type) * 1000 + d.device.index; })
      .def("__enter__",
           [](nb::handle self) {
             enter_device(nb::cast<PyDevice&>(self).device.resolve());
             return nb::borrow(self);
           },
           "Factories make tensors on this device until the block ends.")
      .def("__exit__", [](const PyDevice&, nb::args) { leave_device(); })
      .def("__reduce__", [](const PyDevice& d) {
        return nb::make_tuple(nb::type<PyDevice>(), nb::make_tuple(d.device.str()));
      });
  nb::enum_<MemoryFormat>(m, "memory_format", "The order in which the dims of a tensor lie in memory.")
      .value("contiguous_format", MemoryFormat::contiguous, "Row-major.")
      .value("preserve_format", MemoryFormat::preserve, "That of the tensor that a new one is like.")
      .value("channels_last", MemoryFormat::channels_last, "(N, C, H, W) with the channels innermost.")
      .value("channels_last_3d", MemoryFormat::channels_last_3d, "(N, C, D, H, W) with the channels innermost.")
      .export_values();
  for (const char* text : {"__repr__", "__str__"})
    m.attr("memory_format").attr(text) = nb::cpp_function([](MemoryFormat f) { return str(print_options().package, ".", f); }, nb::is_method());

  m.attr("_cpu_device") = nb::cast(PyDevice{kCPU});
  g_cpu_device = m.attr("_cpu_device").ptr();
}

}  // namespace norch::python
