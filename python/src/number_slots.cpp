// The Tensor type's C slots: operators, comparisons, truth, length.
#include <string_view>

#include "bind.h"
#include "norch/ops.h"
#include "overrides.h"
#include "profiler.h"

namespace norch::python {

namespace {

// PyTorch's names of the ops, for norch.profiler.
namespace names {
#define NORCH_OPERATOR(name) constexpr char name[] = "aten::" #name
NORCH_OPERATOR(add);
NORCH_OPERATOR(sub);
NORCH_OPERATOR(mul);
NORCH_OPERATOR(matmul);
NORCH_OPERATOR(div);
NORCH_OPERATOR(floor_divide);
NORCH_OPERATOR(remainder);
NORCH_OPERATOR(pow);
NORCH_OPERATOR(bitwise_and);
NORCH_OPERATOR(bitwise_or);
NORCH_OPERATOR(bitwise_xor);
NORCH_OPERATOR(add_);
NORCH_OPERATOR(sub_);
NORCH_OPERATOR(mul_);
NORCH_OPERATOR(div_);
NORCH_OPERATOR(floor_divide_);
NORCH_OPERATOR(remainder_);
NORCH_OPERATOR(pow_);
NORCH_OPERATOR(bitwise_and_);
NORCH_OPERATOR(bitwise_or_);
NORCH_OPERATOR(bitwise_xor_);
NORCH_OPERATOR(neg);
NORCH_OPERATOR(positive);
NORCH_OPERATOR(abs);
NORCH_OPERATOR(bitwise_not);
constexpr char lshift[] = "aten::__lshift__";
constexpr char rshift[] = "aten::__rshift__";
constexpr char lshift_[] = "aten::__ilshift__";
constexpr char rshift_[] = "aten::__irshift__";
#undef NORCH_OPERATOR
}  // namespace names

struct MethodNames {
  const char *forward, *reversed;
};
/// The methods that stand for a binary operator in calls of __torch_function__, by PyTorch's names.
constexpr MethodNames methods_of(std::string_view op) {
  op.remove_prefix(std::string_view("aten::").size());
  if (op == "add") return {"add", "add"};
  if (op == "sub") return {"sub", "__rsub__"};
  if (op == "mul") return {"mul", "mul"};
  if (op == "matmul") return {"matmul", "__rmatmul__"};
  if (op == "div") return {"div", "__rtruediv__"};
  if (op == "floor_divide") return {"__floordiv__", "__rfloordiv__"};
  if (op == "remainder") return {"remainder", "__rmod__"};
  if (op == "pow") return {"pow", "__rpow__"};
  if (op == "bitwise_and") return {"__and__", "__rand__"};
  if (op == "bitwise_or") return {"__or__", "__ror__"};
  if (op == "bitwise_xor") return {"__xor__", "__rxor__"};
  if (op == "__lshift__") return {"__lshift__", "__rlshift__"};
  if (op == "__rshift__") return {"__rshift__", "__rrshift__"};
  if (op == "floor_divide_") return {"__ifloordiv__", nullptr};
  if (op == "bitwise_and_") return {"__iand__", nullptr};
  if (op == "bitwise_or_") return {"__ior__", nullptr};
  if (op == "bitwise_xor_") return {"__ixor__", nullptr};
  if (op == "bitwise_not") return {"__invert__", nullptr};
  return {op.data(), nullptr};  // the op's own name: of a literal, so it ends with a null
}

/// The answer of a slot whose operands are not both tensors or numbers: Python then asks the other one. Of integers only
/// those that do not fit are none. \throws OverflowError for these.
PyObject* not_operands(PyObject* a, PyObject* b) {
  for (PyObject* o : {a, b}) {
    if (!PyLong_Check(o)) continue;
    Scalar s;
    if (scalar_from_python(o, s)) continue;
    PyErr_SetString(PyExc_OverflowError,
                    "int too big to convert: tensors take integers of up to 64 bits; make it a float");
    return nullptr;
  }
  Py_RETURN_NOTIMPLEMENTED;
}

/// Slot of a binary operator: either side may be a number.
template <const char* Name, Tensor (*F)(const Tensor&, const Tensor&)>
PyObject* binary(PyObject* a, PyObject* b) {
  if (overrides::on()) {
    constexpr MethodNames methods = methods_of(Name);
    PyObject* result;
    if (overrides::call_binary(methods.forward, methods.reversed, a, b, result)) return result;
  }
  return guarded([&]() -> PyObject* {
    const Tensor x = operand_from_python(a), y = operand_from_python(b);
    if (!x.defined() || !y.defined()) return not_operands(a, b);
    const OpRange range(Name, {&x, &y});
    return wrap(F(x, y));
  });
}

Tensor add_one(const Tensor& a, const Tensor& b) { return add(a, b); }
Tensor sub_one(const Tensor& a, const Tensor& b) { return sub(a, b); }
Tensor add_in_place(const Tensor& a, const Tensor& b) { return add_(a, b); }
Tensor sub_in_place(const Tensor& a, const Tensor& b) { return sub_(a, b); }
Tensor div_one(const Tensor& a, const Tensor& b) { return div(a, b); }
Tensor div_in_place(const Tensor& a, const Tensor& b) { return div_(a, b); }

/// Slot of a unary operator.
template <const char* Name, Tensor (*F)(const Tensor&)>
PyObject* unary(PyObject* a) {
  PyObject* result;
  if (overrides::on() && overrides::call(methods_of(Name).forward, {a}, result)) return result;
  return guarded([&] {
    const Tensor x = unwrap(a);
    const OpRange range(Name, {&x});
    return wrap(F(x));
  });
}

Tensor invert(const Tensor& a) {
  NORCH_CHECK_TYPE(is_integral(a.dtype(), true),
                   "~ (operator.invert) is only implemented on integer and Boolean-type tensors");
  return bitwise_not(a);
}

template <const char* Name, Tensor (*F)(const Tensor&, const Tensor&)>
PyObject* power(PyObject* a, PyObject* b, PyObject* modulus) {
  if (modulus != Py_None) Py_RETURN_NOTIMPLEMENTED;
  return binary<Name, F>(a, b);
}

/// a @ b: numbers have no matrix product.
PyObject* matrix_multiply(PyObject* a, PyObject* b) {
  PyObject* result;
  if (overrides::on() && overrides::call_binary("matmul", "__rmatmul__", a, b, result)) return result;
  if (!is_tensor(a) || !is_tensor(b)) Py_RETURN_NOTIMPLEMENTED;
  return binary<names::matmul, matmul>(a, b);
}

bool is_numpy_array(PyObject* o) { return std::string_view(Py_TYPE(o)->tp_name) == "numpy.ndarray"; }

/// a / b: an array divided by a tensor is the array times the tensor's reciprocal, for which NumPy asks __array_wrap__.
PyObject* true_divide(PyObject* a, PyObject* b) {
  if (!is_numpy_array(a) || !is_tensor(b)) return binary<names::div, div_one>(a, b);
  return guarded([&]() -> PyObject* {
    const nb::object inverse = nb::steal(wrap(reciprocal(unwrap(b))));
    return PyNumber_Multiply(inverse.ptr(), a);
  });
}

/// The array's numbers, for tensor == array; undefined for what is no array, or not of numbers.
Tensor array_of_numbers(PyObject* o) {
  if (!is_numpy_array(o)) return Tensor();
  try {
    return tensor_from_array(o);
  } catch (const std::exception&) {
    PyErr_Clear();
    return Tensor();
  }
}

PyObject* compare(PyObject* a, PyObject* b, int op) {
  if (overrides::on()) {
    static constexpr const char* kMethods[] = {"lt", "le", "__eq__", "ne", "gt", "ge"};
    PyObject* result;
    if (overrides::call(kMethods[op], {a, b}, result)) return result;
  }
  return guarded([&]() -> PyObject* {
    Tensor x = operand_from_python(a), y = operand_from_python(b);
    if (op == Py_EQ && !x.defined()) x = array_of_numbers(a);
    if (op == Py_EQ && !y.defined()) y = array_of_numbers(b);
    if (!x.defined() || !y.defined()) return not_operands(a, b);
    static constexpr const char* kNames[] = {"aten::lt", "aten::le", "aten::eq", "aten::ne", "aten::gt", "aten::ge"};
    static_assert(Py_LT == 0 && Py_LE == 1 && Py_EQ == 2 && Py_NE == 3 && Py_GT == 4 && Py_GE == 5);
    const OpRange range(kNames[op], {&x, &y});
    switch (op) {
      case Py_EQ: return wrap(eq(x, y));
      case Py_NE: return wrap(ne(x, y));
      case Py_LT: return wrap(lt(x, y));
      case Py_LE: return wrap(le(x, y));
      case Py_GT: return wrap(gt(x, y));
      default: return wrap(ge(x, y));
    }
  });
}

/// What an overridden slot returned, as a C number; -1 with an exception set on failure.
template <class F>
auto unpacked(PyObject* result, F&& f) -> decltype(f(result)) {
  if (!result) return -1;
  const auto value = f(result);
  Py_DECREF(result);
  return value;
}

int truth(PyObject* self) {
  PyObject* result;
  if (overrides::on() && overrides::call("__bool__", {self}, result)) return unpacked(result, PyObject_IsTrue);
  try {
    const Tensor t = unwrap(self);
    NORCH_CHECK(t.numel() == 1, t.numel() == 0 ? "Boolean value of Tensor with no values is ambiguous"
                                               : "Boolean value of Tensor with more than one value is ambiguous");
    const OpRange range("aten::is_nonzero", {&t});
    return t.item<bool>();
  } catch (...) {
    set_python_error();
    return -1;
  }
}

/// What int() and float() of a tensor start from.
Scalar only_element(const Tensor& t) {
  NORCH_CHECK_VALUE(t.numel() == 1, "only one element tensors can be converted to Python scalars, got shape ", t.sizes());
  const OpRange range("aten::item", {&t});
  return t.item();
}

PyObject* as_int(PyObject* self) {
  PyObject* result;
  if (overrides::on() && overrides::call("__int__", {self}, result)) return result;
  return guarded([&]() -> PyObject* {
    const Scalar s = only_element(unwrap(self));
    if (s.above_int64()) return PyLong_FromUnsignedLongLong(s.to<uint64_t>());
    return s.is_floating_point() ? PyLong_FromDouble(s.to_double()) : PyLong_FromLongLong(s.to_int());
  });
}

PyObject* as_index(PyObject* self) {
  PyObject* result;
  if (overrides::on() && overrides::call("__index__", {self}, result)) return result;
  return guarded([&]() -> PyObject* {
    const Tensor t = unwrap(self);
    NORCH_CHECK_TYPE(is_integral(t.dtype(), true) && t.numel() == 1,
                     "only integer tensors of a single element can be converted to an index");
    return PyLong_FromLongLong(t.item<int64_t>());
  });
}

PyObject* as_float(PyObject* self) {
  PyObject* result;
  if (overrides::on() && overrides::call("__float__", {self}, result)) return result;
  return guarded([&] { return PyFloat_FromDouble(only_element(unwrap(self)).to<double>()); });
}

Py_ssize_t length(PyObject* self) {
  PyObject* result;
  if (overrides::on() && overrides::call("__len__", {self}, result)) return unpacked(result, PyLong_AsSsize_t);
  try {
    const Tensor t = unwrap(self);
    NORCH_CHECK_TYPE(t.dim() > 0, "len() of a 0-d tensor");
    return t.sizes()[0];
  } catch (...) {
    set_python_error();
    return -1;
  }
}

PyObject* subscript(PyObject* self, PyObject* key) {
  PyObject* result;
  if (overrides::on() && overrides::call("__getitem__", {self, key}, result)) return result;
  return guarded([&] {
    const Tensor t = unwrap(self);
    const OpRange range(PyLong_Check(key) ? "aten::select" : PySlice_Check(key) ? "aten::slice" : "aten::index", {&t});
    return wrap(getitem(t, key));
  });
}

int assign_subscript(PyObject* self, PyObject* key, PyObject* value) {
  PyObject* result;
  if (overrides::on() && value && overrides::call("__setitem__", {self, key, value}, result))
    return unpacked(result, [](PyObject*) { return 0; });
  try {
    NORCH_CHECK_TYPE(value, "elements of a tensor can't be deleted");
    const Tensor t = unwrap(self);
    const OpRange range("aten::index_put_", {&t});
    setitem(t, key, value);
    return 0;
  } catch (...) {
    set_python_error();
    return -1;
  }
}

PyObject* iterate(PyObject* self) {
  return guarded([&] {
    const Tensor t = unwrap(self);
    NORCH_CHECK_TYPE(t.dim() > 0, "iteration over a 0-d tensor");
    const OpRange range("aten::unbind", {&t});
    return PyObject_GetIter(nb::cast(unbind(t, 0)).ptr());
  });
}

template <class F>
void* slot(F f) {
  return reinterpret_cast<void*>(f);
}

}  // namespace

PyType_Slot number_slots[] = {
    {Py_nb_add, slot(binary<names::add, add_one>)},
    {Py_nb_subtract, slot(binary<names::sub, sub_one>)},
    {Py_nb_multiply, slot(binary<names::mul, mul>)},
    {Py_nb_matrix_multiply, slot(matrix_multiply)},
    {Py_nb_true_divide, slot(true_divide)},
    {Py_nb_inplace_add, slot(binary<names::add_, add_in_place>)},
    {Py_nb_inplace_subtract, slot(binary<names::sub_, sub_in_place>)},
    {Py_nb_inplace_multiply, slot(binary<names::mul_, mul_>)},
    {Py_nb_inplace_true_divide, slot(binary<names::div_, div_in_place>)},
    {Py_nb_floor_divide, slot(binary<names::floor_divide, floor_divide>)},
    {Py_nb_inplace_floor_divide, slot(binary<names::floor_divide_, floor_divide_>)},
    {Py_nb_remainder, slot(binary<names::remainder, remainder>)},
    {Py_nb_inplace_remainder, slot(binary<names::remainder_, remainder_>)},
    {Py_nb_power, slot(power<names::pow, pow>)},
    {Py_nb_inplace_power, slot(power<names::pow_, pow_>)},
    {Py_nb_and, slot(binary<names::bitwise_and, bitwise_and>)},
    {Py_nb_inplace_and, slot(binary<names::bitwise_and_, bitwise_and_>)},
    {Py_nb_or, slot(binary<names::bitwise_or, bitwise_or>)},
    {Py_nb_inplace_or, slot(binary<names::bitwise_or_, bitwise_or_>)},
    {Py_nb_xor, slot(binary<names::bitwise_xor, bitwise_xor>)},
    {Py_nb_inplace_xor, slot(binary<names::bitwise_xor_, bitwise_xor_>)},
    {Py_nb_lshift, slot(binary<names::lshift, bitwise_left_shift>)},
    {Py_nb_inplace_lshift, slot(binary<names::lshift_, bitwise_left_shift_>)},
    {Py_nb_rshift, slot(binary<names::rshift, bitwise_right_shift>)},
    {Py_nb_inplace_rshift, slot(binary<names::rshift_, bitwise_right_shift_>)},
    {Py_nb_negative, slot(unary<names::neg, neg>)},
    {Py_nb_positive, slot(unary<names::positive, positive>)},
    {Py_nb_absolute, slot(unary<names::abs, norch::abs>)},
    {Py_nb_invert, slot(unary<names::bitwise_not, invert>)},
    {Py_nb_bool, slot(truth)},
    {Py_nb_int, slot(as_int)},
    {Py_nb_index, slot(as_index)},
    {Py_nb_float, slot(as_float)},
    {Py_tp_richcompare, slot(compare)},
    {Py_mp_length, slot(length)},
    {Py_mp_subscript, slot(subscript)},
    {Py_mp_ass_subscript, slot(assign_subscript)},
    {Py_tp_iter, slot(iterate)},
    {0, nullptr},
};

}  // namespace norch::python
