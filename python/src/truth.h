// Arguments that PyTorch's Python code only asks for their truth value.
#pragma once

#include "bind.h"

namespace norch::python {

/// Any object as a bool: inplace, return_indices and the like of nn.functional, which PyTorch implements in Python.
struct Truth {
  bool value = false;
  operator bool() const { return value; }
};

}  // namespace norch::python

namespace nanobind::detail {

template <>
struct type_caster<norch::python::Truth> {
  NB_TYPE_CASTER(norch::python::Truth, const_name("bool"))
  bool from_python(handle src, uint8_t, cleanup_list*) noexcept {
    const int answer = PyObject_IsTrue(src.ptr());
    if (answer < 0) PyErr_Clear();
    value.value = answer == 1;
    return answer >= 0;
  }
};

}  // namespace nanobind::detail
