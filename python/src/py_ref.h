#pragma once

#include "bind.h"

namespace norch::python {

/// Whether Python can still be called (a graph may be freed while the interpreter shuts down).
inline bool python_alive() { return Py_IsInitialized() != 0; }

/// A reference to a Python object that may be dropped by any thread.
class PyRef {
 public:
  explicit PyRef(nb::handle h) : o_(h.inc_ref().ptr()) {}
  PyRef(const PyRef&) = delete;
  PyRef& operator=(const PyRef&) = delete;
  ~PyRef() {
    if (!python_alive()) return;
    const PyGILState_STATE gil = PyGILState_Ensure();
    Py_DECREF(o_);
    PyGILState_Release(gil);
  }
  PyObject* get() const { return o_; }

 private:
  PyObject* o_;
};

}  // namespace norch::python
