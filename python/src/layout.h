// The keyword `layout` of functions that make tensors.
#pragma once

#include "casters.h"

namespace norch::python {

/// None or norch.strided. A call with another layout takes no overload that has this argument, and so reaches the last
/// one, which asks norch.sparse (see sparse.cpp).
struct Strided {};

}  // namespace norch::python

namespace nanobind::detail {

template <>
struct type_caster<norch::python::Strided> {
  NB_TYPE_CASTER(norch::python::Strided, const_name("norch.layout | None"))
  bool from_python(handle src, uint8_t, cleanup_list*) noexcept {
    if (src.is_none()) return true;
    PyObject* name = PyObject_GetAttrString(src.ptr(), "_name");
    const bool strided = name && PyUnicode_Check(name) && PyUnicode_CompareWithASCIIString(name, "strided") == 0;
    Py_XDECREF(name);
    PyErr_Clear();
    return strided;
  }
};

}  // namespace nanobind::detail
