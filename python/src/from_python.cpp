// Tensors from Python data: numbers, nested sequences, arrays.
#include <cstring>
#include <string_view>

#include "bind.h"
#include "core/factory.h"
#include "core/fits.h"
#include "kernels/dispatch.h"
#include "norch/ops.h"

namespace norch::python {

namespace {

/// What a walk over nested sequences finds: the shape, and the dtype that holds all numbers.
struct Found {
  Shape shape;
  bool any = false;
  DType type = kBool;  // the dtypes of the numbers, promoted
  bool typed = false;  // whether the dtype is given, so that nothing is inferred from the elements
};

bool is_sequence(PyObject* o) { return PyList_Check(o) || PyTuple_Check(o); }

/// \throws ValueError for a dict or another collection that stands where a sequence of `length` has to.
void check_collection(PyObject* o, int64_t length, size_t depth) {
  const Py_ssize_t n = PyUnicode_Check(o) ? -1 : PyObject_Size(o);
  PyErr_Clear();
  NORCH_CHECK_VALUE(n < 0, "expected sequence of length ", length, " at dim ", depth, " (got ", n, ")");
}

/// The dtype of a number that is none of Python's ints and floats: NumPy's floats have their own.
DType dtype_of_number(PyObject* o, const Scalar& s) {
  const std::string_view name = Py_TYPE(o)->tp_name;
  if (name == "numpy.float16") return kFloat16;
  if (name == "numpy.float32") return kFloat32;
  if (name == "numpy.complex64") return kComplex64;
  return s.is_bool() ? kBool : s.is_integral() ? kInt64 : s.is_complex() ? to_complex(default_dtype()) : default_dtype();
}

void look(PyObject* o, Found& found, size_t depth) {
  if (is_sequence(o)) {
    NORCH_CHECK_VALUE(depth < static_cast<size_t>(kMaxTensorDims), "too many dimensions in nested sequence (more than ",
                      kMaxTensorDims, ")");
    const Py_ssize_t n = PySequence_Fast_GET_SIZE(o);
    if (depth == found.shape.size()) {
      NORCH_CHECK_TYPE(!found.any, "expected a number at dim ", depth, ", got a sequence");
      found.shape.push_back(n);
    }
    NORCH_CHECK_VALUE(found.shape[depth] == n, "expected sequence of length ", found.shape[depth], " at dim ", depth,
                      " (got ", n, ")");
    for (Py_ssize_t i = 0; i < n; ++i) look(PySequence_Fast_ITEMS(o)[i], found, depth + 1);
    return;
  }
  DType type = default_dtype();
  if (PyBool_Check(o)) {
    type = kBool;
  } else if (PyLong_Check(o)) {
    type = kInt64;
  } else if (is_tensor(o)) {
    NORCH_CHECK_VALUE(unwrap(o).numel() == 1, "only one element tensors can be converted to Python scalars, got shape ",
                      unwrap(o).sizes(), "; use norch.stack for larger ones");
    type = unwrap(o).dtype();
  } else if (!PyFloat_Check(o)) {
    Scalar s;
    if (PyLong_Check(o) || !scalar_from_python(o, s)) {
      const char* name = Py_TYPE(o)->tp_name;
      if (found.typed && depth < found.shape.size()) check_collection(o, found.shape[depth], depth);
      NORCH_CHECK_TYPE(!found.typed || PyUnicode_Check(o), "expected a number, got ", name);
      NORCH_CHECK(PyUnicode_Check(o), "Could not infer dtype of ", name,
                  "; tensors are made from numbers, nested sequences of them, or arrays");
      NORCH_CHECK_VALUE(depth == 0 || found.any, "too many dimensions '", name,
                        "'; tensors are made from numbers, nested sequences of them, or arrays");
      NORCH_RAISE(TypeError, "new(): invalid data type '", name, "'");
    }
    type = dtype_of_number(o, s);
  }
  NORCH_CHECK_TYPE(depth >= found.shape.size(), "expected sequence of length ", found.shape[depth], " at dim ", depth,
                   " (got a number)");
  if (!found.any || type != found.type) found.type = found.any ? promote_types(found.type, type) : type;
  found.any = true;
}

template <class T>
void store(PyObject* o, T*& out) {
  if (is_sequence(o)) {
    const Py_ssize_t n = PySequence_Fast_GET_SIZE(o);
    for (Py_ssize_t i = 0; i < n; ++i) store(PySequence_Fast_ITEMS(o)[i], out);
    return;
  }
  Scalar s;
  if (!scalar_from_python(o, s)) {
    NORCH_CHECK_VALUE(!PyLong_Check(o), "Overflow when unpacking long long: an integer does not fit in 64 bits");
    NORCH_RAISE(TypeError, "expected a number, got ", Py_TYPE(o)->tp_name);
  }
  constexpr bool holds_all = std::is_same_v<T, uint64_t> || !std::is_integral_v<T>;
  NORCH_CHECK_VALUE(holds_all || !s.above_int64(),
                    "Overflow when unpacking long long: an integer of 2**63 or more needs dtype=uint64");
  if constexpr (std::is_integral_v<T> && !std::is_same_v<T, bool>)
    if (!std::is_same_v<T, int64_t> || s.is_floating_point()) check_fits(s, dtype_of<T>);
  *out++ = s.to<T>();
}

/// The parts, which must agree in shape, along a new first dim.
Tensor stack_parts(const TensorList& parts) {
  const Tensor& first = parts[0];
  DType type = first.dtype();
  for (const Tensor& p : parts) {
    NORCH_CHECK_VALUE(p.sizes() == first.sizes(), "expected all parts of the sequence to have shape ", first.sizes(),
                      ", got ", p.sizes());
    type = promote_types(type, p.dtype());
  }
  Shape sizes(first.sizes());
  sizes.insert(0, static_cast<int64_t>(parts.size()));
  Tensor out = new_tensor(sizes, type, first.device());
  for (size_t i = 0; i < parts.size(); ++i)
    copy_into(as_strided(out, first.sizes(), contiguous_strides(first.sizes()), static_cast<int64_t>(i) * first.numel()),
              parts[i]);
  return out;
}

}  // namespace

DType dtype_of_format(const char* format, Py_ssize_t size) {
  NORCH_CHECK_VALUE(!format || *format != '>', "given numpy array has byte order different from the native byte order. "
                    "Conversion between byte orders is currently not supported.");
  const char c = format ? format[std::strspn(format, "@=<")] : 'B';
  if (c == '?') return kBool;
  if (c == 'e') return kFloat16;
  if (c == 'f') return kFloat32;
  if (c == 'd') return kFloat64;
  if (c == 'Z') return size == 8 ? kComplex64 : kComplex128;
  if (std::strchr("BHILQ", c)) return size == 1 ? kUInt8 : size == 2 ? kUInt16 : size == 4 ? kUInt32 : kUInt64;
  if (std::strchr("bhilq", c)) return size == 1 ? kInt8 : size == 2 ? kInt16 : size == 4 ? kInt32 : kInt64;
  NORCH_RAISE(TypeError, "can't convert an array of format '", format ? format : "", "'. The only supported types are: "
              "float64, float32, float16, complex64, complex128, int64, int32, int16, int8, uint64, uint32, uint16, "
              "uint8, and bool.");
}

Tensor tensor_from_array(nb::handle array) {
  Py_buffer view;
  if (PyObject_GetBuffer(array.ptr(), &view, PyBUF_RECORDS_RO) < 0) throw nb::python_error();
  struct Release {
    Py_buffer* view;
    ~Release() { PyBuffer_Release(view); }
  } release{&view};
  const DType type = dtype_of_format(view.format, view.itemsize);
  Shape sizes(static_cast<size_t>(view.ndim));
  for (int i = 0; i < view.ndim; ++i) sizes[i] = view.shape[i];
  Tensor t = new_tensor(sizes, type, kCPU);
  if (PyBuffer_ToContiguous(t.data_ptr(), &view, view.len, 'C') < 0) throw nb::python_error();
  return t;
}

Tensor tensor_from_python(nb::handle data, std::optional<DType> dtype, Device device) {
  PyObject* o = data.ptr();
  device = device.resolve();
  if (is_tensor(o)) {
    const Tensor t = unwrap(o).detach();
    return t.to(device, dtype.value_or(t.dtype()), true);
  }
  if (!is_sequence(o) && nb::hasattr(data, "__array_interface__")) {
    const Tensor t = tensor_from_array(data);
    return t.to(device, dtype.value_or(t.dtype()), true);
  }
  nb::object list;  // other sequences and iterables with a length (range, deque) as a list
  if (!is_sequence(o) && PySequence_Check(o) && !PyUnicode_Check(o) && !PyBytes_Check(o)) {
    list = nb::steal(PySequence_List(o));
    if (!list.is_valid()) throw nb::python_error();
    o = list.ptr();
  }
  // A sequence of arrays: stack them by way of their own conversion. (A tensor in a sequence is a number.)
  if (is_sequence(o) && PySequence_Fast_GET_SIZE(o) > 0) {
    PyObject* first = PySequence_Fast_ITEMS(o)[0];
    const bool arrays = !is_sequence(first) && !PyFloat_Check(first) && !PyLong_Check(first) && !is_tensor(first) &&
                        PyObject_HasAttrString(first, "__array_interface__") && PyObject_HasAttrString(first, "__len__");
    if (arrays) {
      TensorList parts;
      for (Py_ssize_t i = 0; i < PySequence_Fast_GET_SIZE(o); ++i) {
        PyObject* part = PySequence_Fast_ITEMS(o)[i];
        if (dtype && PyDict_Check(part)) check_collection(part, parts[0].size(0), 1);
        parts.push_back(tensor_from_python(part, dtype, device));
      }
      return stack_parts(parts);
    }
  }
  Found found;
  found.typed = dtype.has_value();
  look(o, found, 0);
  const DType type = dtype.value_or(found.any ? found.type : default_dtype());
  Tensor t = new_tensor(found.shape, type, kCPU);
  visit_any(type, [&](auto tag) {
    auto* out = static_cast<typename decltype(tag)::type*>(t.data_ptr());
    store(o, out);
  });
  return device.is_cpu() ? t : t.to(device);
}

}  // namespace norch::python
