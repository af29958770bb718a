// Tensors from Python data: numbers, nested sequences, arrays.
#include <algorithm>
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

/// Whether this is an array, which stands for the nested sequences of its elements.
bool is_array(PyObject* o) {
  return !is_tensor(o) && PySequence_Check(o) && PyObject_HasAttrString(o, "__array_interface__");
}

/// Sequences other than lists and tuples (range, deque, Series) as a list; not valid for what is none.
nb::object other_sequence(PyObject* o) {
  if (is_sequence(o) || is_tensor(o) || !PySequence_Check(o) || PyUnicode_Check(o) || PyBytes_Check(o)) return {};
  nb::object list = nb::steal(PySequence_List(o));
  if (!list.is_valid()) throw nb::python_error();
  return list;
}

/// An array's memory while it is read.
class ArrayView {
 public:
  explicit ArrayView(PyObject* array) {
    if (PyObject_GetBuffer(array, &view_, PyBUF_RECORDS_RO) < 0) throw nb::python_error();
  }
  ArrayView(const ArrayView&) = delete;
  ArrayView& operator=(const ArrayView&) = delete;
  ~ArrayView() { PyBuffer_Release(&view_); }

  DType dtype() const { return dtype_of_format(view_.format, view_.itemsize); }
  Shape sizes() const {
    Shape sizes(static_cast<size_t>(view_.ndim));
    for (int i = 0; i < view_.ndim; ++i) sizes[i] = view_.shape[i];
    return sizes;
  }
  /// The elements in row-major order.
  void copy_to(void* out) {
    if (PyBuffer_ToContiguous(out, &view_, view_.len, 'C') < 0) throw nb::python_error();
  }

 private:
  Py_buffer view_;
};

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
  size_t dims = depth;  // how many dims the sequences around this and the array that it may be have
  if (PyBool_Check(o)) {
    type = kBool;
  } else if (PyLong_Check(o)) {
    type = kInt64;
  } else if (is_tensor(o)) {
    NORCH_CHECK_VALUE(unwrap(o).numel() == 1, "only one element tensors can be converted to Python scalars, got shape ",
                      unwrap(o).sizes(), "; use norch.stack for larger ones");
    type = unwrap(o).dtype();
  } else if (is_array(o)) {
    const ArrayView array(o);
    for (const int64_t n : array.sizes()) {
      if (dims == found.shape.size()) {
        NORCH_CHECK_TYPE(!found.any, "expected a number at dim ", dims, ", got an array");
        found.shape.push_back(n);
      }
      NORCH_CHECK_VALUE(found.shape[dims] == n, "expected sequence of length ", found.shape[dims], " at dim ", dims,
                        " (got ", n, ")");
      ++dims;
    }
    type = array.dtype();
  } else if (!PyFloat_Check(o)) {
    Scalar s;
    if (PyLong_Check(o) || !scalar_from_python(o, s)) {
      if (const nb::object list = other_sequence(o); list.is_valid()) return look(list.ptr(), found, depth);
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
  NORCH_CHECK_TYPE(dims >= found.shape.size(), "expected sequence of length ", found.shape[dims], " at dim ", dims,
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
  if (is_array(o)) {
    ArrayView array(o);
    const Tensor elements = new_tensor(array.sizes(), array.dtype(), kCPU);
    array.copy_to(elements.data_ptr());
    const Tensor converted = elements.to(kCPU, dtype_of<T>);
    out = std::copy_n(static_cast<const T*>(converted.data_ptr()), converted.numel(), out);
    return;
  }
  Scalar s;
  if (!scalar_from_python(o, s)) {
    if (const nb::object list = other_sequence(o); list.is_valid()) return store(list.ptr(), out);
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
  ArrayView view(array.ptr());
  Tensor t = new_tensor(view.sizes(), view.dtype(), kCPU);
  view.copy_to(t.data_ptr());
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
  // A sequence, with arrays and other sequences among its elements. (A tensor in a sequence is a number.)
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
