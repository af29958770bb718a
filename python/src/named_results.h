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

/// Makes norch.return_types.<name>, a named tuple of two fields.
PyObject* named_type(Binder& b, const char* name, const char* first, const char* second);

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
    PyObject* out = a && b ? PyObject_CallFunctionObjArgs(v.type, a, b, nullptr) : nullptr;
    Py_XDECREF(a);
    Py_XDECREF(b);
    return out;
  }
};

}  // namespace nanobind::detail
