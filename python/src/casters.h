// How nanobind converts norch's value types. Included by every file with binding rows.
#pragma once

#include <nanobind/nanobind.h>
#include <nanobind/stl/optional.h>
#include <nanobind/stl/pair.h>
#include <nanobind/stl/string.h>
#include <nanobind/stl/tuple.h>

#include <optional>

#include "tensor_type.h"

namespace norch::python {

/// An argument that is a tensor or a Python number; the number becomes a 0-d wrapped-number tensor.
struct Operand {
  Tensor tensor;
  operator const Tensor&() const { return tensor; }
};

/// Reads an integer (int, anything with __index__, an integer tensor of one element). False without one; no exception
/// is left set.
inline bool int_from_python(PyObject* o, int64_t& out) noexcept {
  if (PyLong_Check(o) || PyIndex_Check(o)) {
    if (PyBool_Check(o)) {
      out = o == Py_True;
      return true;
    }
    const Py_ssize_t v = PyNumber_AsSsize_t(o, PyExc_OverflowError);
    if (v == -1 && PyErr_Occurred()) {
      PyErr_Clear();
      return false;
    }
    out = v;
    return true;
  }
  return false;
}

}  // namespace norch::python

namespace nanobind::detail {

template <>
struct type_caster<norch::Tensor> {
  NB_TYPE_CASTER(norch::Tensor, const_name("norch.Tensor"))
  bool from_python(handle src, uint8_t, cleanup_list*) noexcept {
    if (!norch::python::is_tensor(src.ptr())) return false;
    value = norch::python::unwrap(src.ptr());
    return true;
  }
  static handle from_cpp(const norch::Tensor& t, rv_policy, cleanup_list*) noexcept { return norch::python::wrap(t); }
};

template <>
struct type_caster<norch::python::Operand> {
  NB_TYPE_CASTER(norch::python::Operand, const_name("norch.Tensor | complex"))
  bool from_python(handle src, uint8_t, cleanup_list*) noexcept {
    value.tensor = norch::python::operand_from_python(src.ptr());
    return value.tensor.defined();
  }
};

template <>
struct type_caster<norch::TensorList> {
  NB_TYPE_CASTER(norch::TensorList, const_name("collections.abc.Sequence[norch.Tensor]"))
  bool from_python(handle src, uint8_t, cleanup_list*) noexcept {
    value.clear();
    if (norch::python::is_tensor(src.ptr()) || PyUnicode_Check(src.ptr()) || PyDict_Check(src.ptr())) return false;
    PyObject* fast = PySequence_Fast(src.ptr(), "");
    if (!fast) {
      PyErr_Clear();
      return false;
    }
    const Py_ssize_t n = PySequence_Fast_GET_SIZE(fast);
    PyObject** items = PySequence_Fast_ITEMS(fast);
    bool ok = true;
    value.reserve(static_cast<size_t>(n));
    for (Py_ssize_t i = 0; i < n && ok; ++i) {
      if (norch::python::is_tensor(items[i]))
        value.push_back(norch::python::unwrap(items[i]));
      else if (items[i] == Py_None)
        value.emplace_back();
      else
        ok = false;
    }
    Py_DECREF(fast);
    return ok;
  }
  static handle from_cpp(const norch::TensorList& list, rv_policy, cleanup_list*) noexcept {
    PyObject* tuple = PyTuple_New(static_cast<Py_ssize_t>(list.size()));
    if (!tuple) return {};
    for (size_t i = 0; i < list.size(); ++i) {
      PyObject* item = norch::python::wrap(list[i]);
      if (!item) {
        Py_DECREF(tuple);
        return {};
      }
      PyTuple_SET_ITEM(tuple, static_cast<Py_ssize_t>(i), item);
    }
    return tuple;
  }
};

template <>
struct type_caster<norch::Scalar> {
  NB_TYPE_CASTER(norch::Scalar, const_name("complex"))
  bool from_python(handle src, uint8_t, cleanup_list*) noexcept {
    return norch::python::scalar_from_python(src.ptr(), value);
  }
  static handle from_cpp(const norch::Scalar& v, rv_policy, cleanup_list*) noexcept {
    if (v.is_bool()) return PyBool_FromLong(v.to_bool());
    if (v.above_int64()) return PyLong_FromUnsignedLongLong(v.to<uint64_t>());
    if (v.is_integral()) return PyLong_FromLongLong(v.to_int());
    if (v.is_complex()) return PyComplex_FromDoubles(v.to_complex().re, v.to_complex().im);
    return PyFloat_FromDouble(v.to_double());
  }
};

template <>
struct type_caster<norch::DType> {
  NB_TYPE_CASTER(norch::DType, const_name("norch.dtype"))
  bool from_python(handle src, uint8_t, cleanup_list*) noexcept {
    PyObject* o = src.ptr();
    if (Py_TYPE(o) == norch::python::dtype_type) {
      value = reinterpret_cast<norch::python::DTypeObject*>(o)->value;
      return true;
    }
    // Python's own number types stand for dtypes, as in PyTorch.
    if (o == reinterpret_cast<PyObject*>(&PyFloat_Type))
      value = norch::default_dtype();
    else if (o == reinterpret_cast<PyObject*>(&PyLong_Type))
      value = norch::DType::Int64;
    else if (o == reinterpret_cast<PyObject*>(&PyBool_Type))
      value = norch::DType::Bool;
    else if (o == reinterpret_cast<PyObject*>(&PyComplex_Type))
      value = norch::to_complex(norch::default_dtype());
    else
      return false;
    return true;
  }
  static handle from_cpp(norch::DType t, rv_policy, cleanup_list*) noexcept { return norch::python::wrap(t); }
};

template <>
struct type_caster<norch::Device> {
  NB_TYPE_CASTER(norch::Device, const_name("norch.device | str | int"))
  bool from_python(handle src, uint8_t, cleanup_list*) { return norch::python::device_from_python(src.ptr(), value); }
  static handle from_cpp(norch::Device d, rv_policy, cleanup_list*) noexcept { return norch::python::wrap(d); }
};

// nanobind's own caster for optional values does not let exceptions pass, and a bad device string is one.
template <>
struct type_caster<std::optional<norch::Device>> {
  NB_TYPE_CASTER(std::optional<norch::Device>, const_name("norch.device | str | int | None"))
  bool from_python(handle src, uint8_t, cleanup_list*) {
    value.reset();
    if (src.is_none()) return true;
    norch::Device d;
    if (!norch::python::device_from_python(src.ptr(), d)) return false;
    value = d;
    return true;
  }
  static handle from_cpp(const std::optional<norch::Device>& d, rv_policy, cleanup_list*) noexcept {
    return d ? handle(norch::python::wrap(*d)) : none().release();
  }
};

/// An int or a sequence of ints; returns a norch.Size.
template <>
struct type_caster<norch::Shape> {
  NB_TYPE_CASTER(norch::Shape, const_name("int | collections.abc.Sequence[int]"))
  bool from_python(handle src, uint8_t, cleanup_list*) noexcept {
    value.clear();
    PyObject* o = src.ptr();
    int64_t v;
    if (norch::python::int_from_python(o, v)) {
      value.push_back(v);
      return true;
    }
    if (!PyTuple_Check(o) && !PyList_Check(o)) return false;
    const Py_ssize_t n = PySequence_Fast_GET_SIZE(o);
    PyObject** items = PySequence_Fast_ITEMS(o);
    if (n > norch::kMaxTensorDims) return false;
    for (Py_ssize_t i = 0; i < n; ++i) {
      if (!norch::python::int_from_python(items[i], v)) return false;
      value.push_back(v);
    }
    return true;
  }
  static handle from_cpp(const norch::Shape& s, rv_policy, cleanup_list*) noexcept {
    return norch::python::wrap_size(s);
  }
};

}  // namespace nanobind::detail
