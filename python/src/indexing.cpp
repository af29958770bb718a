// Tensor.__getitem__ and __setitem__: from Python's brackets to C++ index items.
#include "norch/index.h"

#include <cstring>
#include <vector>

#include "bind.h"
#include "compat.h"
#include "norch/ops.h"

namespace norch::python {

namespace {

TensorIndex parse_slice(PyObject* o) {
  Py_ssize_t start, stop, step;
  if (PySlice_Unpack(o, &start, &stop, &step) < 0) throw nb::python_error();
  const auto* s = reinterpret_cast<PySliceObject*>(o);
  Slice out({}, {}, step);
  if (s->start != Py_None) out.start = start;
  if (s->stop != Py_None) out.stop = stop;
  return out;
}

int64_t parse_int(PyObject* o) {
  const Py_ssize_t v = PyNumber_AsSsize_t(o, PyExc_ValueError);
  if (v == -1 && PyErr_Occurred()) throw nb::python_error();
  return v;
}

/// A list, a range, an array: what tensor(...) makes of it, as an index.
Tensor parse_sequence(PyObject* o) {
  NORCH_CHECK_TYPE(!PyUnicode_Check(o) && !PyBytes_Check(o) && !PyDict_Check(o) && !PySet_Check(o),
                   "only integers, slices (`:`), ellipsis (`...`), None and long or byte Variables are valid indices "
                   "(got ", Py_TYPE(o)->tp_name, ")");
  if (PyList_Check(o) || PyTuple_Check(o)) {
    for (Py_ssize_t i = 0; i < PySequence_Fast_GET_SIZE(o); ++i) {
      PyObject* item = PySequence_Fast_ITEMS(o)[i];
      NORCH_CHECK_INDEX(!PySlice_Check(item) && item != Py_None && item != Py_Ellipsis,
                        "a list as an index stands for a tensor, so it cannot hold slices, None or Ellipsis; use a tuple "
                        "to index several dims");
    }
  }
  Tensor t = tensor_from_python(o, {}, kCPU);
  return t.numel() == 0 && t.is_floating_point() ? t.to(kInt64) : t;
}

TensorIndex parse_item(PyObject* o) {
  if (PyLong_CheckExact(o)) return parse_int(o);
  if (PySlice_Check(o)) return parse_slice(o);
  if (o == Py_None) return None;
  if (o == Py_Ellipsis) return Ellipsis;
  if (is_tensor(o)) return unwrap(o);
  if (PyBool_Check(o)) return o == Py_True;
  // An array has a length; a NumPy number has none, but an __index__.
  if (PyObject_HasAttrString(o, "__len__")) return parse_sequence(o);
  if (PyIndex_Check(o)) return parse_int(o);
  const char* type = Py_TYPE(o)->tp_name;
  if (std::strcmp(type, "numpy.bool") == 0 || std::strcmp(type, "numpy.bool_") == 0) return PyObject_IsTrue(o) == 1;
  NORCH_RAISE(IndexError, "only integers, slices (`:`), ellipsis (`...`), None and long or byte Variables are valid "
              "indices (got ", type, ")");
}

/// Calls f with the items between the brackets.
template <class F>
decltype(auto) with_items(PyObject* key, F&& f) {
  if (!PyTuple_Check(key)) {
    const TensorIndex item = parse_item(key);
    return f(IndexItems(&item, 1));
  }
  const Py_ssize_t n = PyTuple_GET_SIZE(key);
  std::vector<TensorIndex> items;
  items.reserve(static_cast<size_t>(n));
  for (Py_ssize_t i = 0; i < n; ++i) items.push_back(parse_item(PyTuple_GET_ITEM(key, i)));
  return f(IndexItems(items));
}

}  // namespace

Tensor getitem(const Tensor& t, nb::handle key) {
  NORCH_CHECK_INDEX(!strict_scalar_index || t.dim() != 0 || !PyLong_CheckExact(key.ptr()),
                    "invalid index of a 0-dim tensor. Use `tensor.item()` in Python or `tensor.item<T>()` in C++ to "
                    "convert a 0-dim tensor to a number");
  return with_items(key.ptr(), [&](IndexItems items) { return index(t, items); });
}

void setitem(const Tensor& t, nb::handle key, nb::handle value) {
  Scalar number;
  if (is_tensor(value.ptr())) {
    const Tensor v = unwrap(value.ptr());
    with_items(key.ptr(), [&](IndexItems items) { return index_put_(t, items, v); });
  } else if (scalar_from_python(value.ptr(), number)) {
    with_items(key.ptr(), [&](IndexItems items) { return index_put_(t, items, number); });
  } else {
    NORCH_CHECK_VALUE(!PyLong_Check(value.ptr()), "Overflow when unpacking long long: an integer does not fit in 64 bits");
    NORCH_RAISE(TypeError, "can't assign a ", Py_TYPE(value.ptr())->tp_name, " to a ", t.dtype(),
                " tensor; make a tensor of it first");
  }
}

}  // namespace norch::python
