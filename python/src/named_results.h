// Results that PyTorch returns as named tuples: norch.return_types.max(values=..., indices=...).
#pragma once

#include "bind.h"
#include "norch/ops/reduce.h"

namespace norch::python {

/// Two tensors under the names of a type that named_type made.
struct NamedPair {
  PyObject* type;
  Tensor first, second;
};

/// Tensors under the names of such a type.
struct NamedTensors {
  PyObject* type;
  TensorList tensors;
};

/// Makes norch.return_types.<name>, a tuple of these fields (python/norch/return_types.py).
PyObject* named_type(const char* name, std::initializer_list<const char*> fields);

}  // namespace norch::python

namespace nanobind::detail {

template <>
struct type_caster<norch::python::NamedPair> {
  using Value = norch::python::NamedPair;
  static constexpr auto Name = const_name("tuple[norch.Tensor, norch.Tensor]");
  template <typename T>
  static handle from_cpp(T&& v, rv_policy, cleanup_list*) noexcept {
    PyObject* a = norch::python::wrap(v.first);
    PyObject* b = norch::python::wrap(v.second);
    PyObject* both = a && b ? PyTuple_Pack(2, a, b) : nullptr;
    PyObject* out = both ? PyObject_CallOneArg(v.type, both) : nullptr;
    Py_XDECREF(a);
    Py_XDECREF(b);
    Py_XDECREF(both);
    return out;
  }
};

template <>
struct type_caster<norch::python::NamedTensors> {
  using Value = norch::python::NamedTensors;
  static constexpr auto Name = const_name("tuple[norch.Tensor, ...]");
  template <typename T>
  static handle from_cpp(T&& v, rv_policy policy, cleanup_list* cleanup) noexcept {
    handle items = type_caster<norch::TensorList>::from_cpp(v.tensors, policy, cleanup);
    if (!items) return {};
    PyObject* out = PyObject_CallOneArg(v.type, items.ptr());
    items.dec_ref();
    return out;
  }
};

}  // namespace nanobind::detail
