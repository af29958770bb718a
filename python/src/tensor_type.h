// The Python types that norch defines at C level: Tensor, Parameter, Size, dtype.
//
// A Tensor object holds one counted reference to its C++ tensor, which points back without counting; so there is at
// most one Python object per tensor. When the last Python reference goes while C++ still holds the tensor (in a graph,
// as a gradient), an ordinary object just dies and is made anew later, which nobody can tell. An object with state of
// its own (a subclass such as Parameter, attributes, weak references) is kept alive by the tensor instead.
#pragma once

#include <nanobind/nanobind.h>

#include <optional>

#include "norch/tensor.h"

namespace nb = nanobind;

namespace norch::python {

struct TensorObject {
  PyObject_HEAD
  TensorImpl* impl;
  PyObject* dict;
  PyObject* weak_references;
};

struct DTypeObject {
  PyObject_HEAD
  DType value;
};

extern PyTypeObject* tensor_type;
extern PyTypeObject* parameter_type;
extern PyTypeObject* size_type;
extern PyTypeObject* dtype_type;

inline bool is_tensor(PyObject* o) { return PyObject_TypeCheck(o, tensor_type); }
/// The tensor of a Python object that is_tensor.
inline Tensor unwrap(PyObject* o) { return Tensor(Ref<TensorImpl>(reinterpret_cast<TensorObject*>(o)->impl)); }
/// A new reference to the tensor's Python object, None for an undefined one; null with an exception set on failure.
PyObject* wrap(const Tensor& t) noexcept;
/// As wrap, as an instance of `type` (Tensor or a subclass). \throws Error if the tensor has an object already.
PyObject* wrap_as(PyTypeObject* type, const Tensor& t);

/// A new reference to the object of a dtype (norch.float32 ...).
PyObject* wrap(DType t) noexcept;
/// A new norch.Size.
PyObject* wrap_size(Ints sizes) noexcept;

/// norch.OutOfMemoryError.
extern PyObject* out_of_memory_error;
/// Sets the Python exception that stands for the C++ exception being handled.
void set_python_error() noexcept;
/// Runs `f`, which returns a new reference; turns a C++ exception into a Python one and null.
template <class F>
PyObject* guarded(F&& f) noexcept {
  try {
    return f();
  } catch (...) {
    set_python_error();
    return nullptr;
  }
}

/// A tensor from nested sequences, numbers, NumPy arrays or anything with __dlpack__/__array_interface__; a Tensor is
/// copied. Without a dtype it is inferred as PyTorch does.
Tensor tensor_from_python(nb::handle data, std::optional<DType> dtype, Device device);
/// A copy of an object with the buffer protocol (NumPy arrays and scalars). \throws TypeError for other element types.
Tensor tensor_from_array(nb::handle array);
/// The dtype of a buffer-protocol format of native byte order. \throws TypeError for formats norch lacks.
DType dtype_of_format(const char* format, Py_ssize_t size);
/// A Python number as an operand, a tensor as itself; an undefined tensor for anything else.
Tensor operand_from_python(PyObject* o);
bool scalar_from_python(PyObject* o, Scalar& out) noexcept;
bool device_from_python(PyObject* o, Device& out);
PyObject* wrap(Device d) noexcept;

}  // namespace norch::python
