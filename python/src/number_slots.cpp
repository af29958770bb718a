// The Tensor type's C slots: operators, comparisons, truth, length.
#include "bind.h"
#include "norch/ops.h"

namespace norch::python {

namespace {

/// Slot of a binary operator: either side may be a number.
template <Tensor (*F)(const Tensor&, const Tensor&)>
PyObject* binary(PyObject* a, PyObject* b) {
  return guarded([&]() -> PyObject* {
    const Tensor x = operand_from_python(a), y = operand_from_python(b);
    if (!x.defined() || !y.defined()) Py_RETURN_NOTIMPLEMENTED;
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
template <Tensor (*F)(const Tensor&)>
PyObject* unary(PyObject* a) {
  return guarded([&] { return wrap(F(unwrap(a))); });
}

Tensor invert(const Tensor& a) {
  NORCH_CHECK_TYPE(is_integral(a.dtype(), true),
                   "~ (operator.invert) is only implemented on integer and Boolean-type tensors");
  return bitwise_not(a);
}

template <Tensor (*F)(const Tensor&, const Tensor&)>
PyObject* power(PyObject* a, PyObject* b, PyObject* modulus) {
  if (modulus != Py_None) Py_RETURN_NOTIMPLEMENTED;
  return binary<F>(a, b);
}

/// a @ b: numbers have no matrix product.
PyObject* matrix_multiply(PyObject* a, PyObject* b) {
  if (!is_tensor(a) || !is_tensor(b)) Py_RETURN_NOTIMPLEMENTED;
  return binary<matmul>(a, b);
}

PyObject* compare(PyObject* a, PyObject* b, int op) {
  return guarded([&]() -> PyObject* {
    const Tensor x = operand_from_python(a), y = operand_from_python(b);
    if (!x.defined() || !y.defined()) Py_RETURN_NOTIMPLEMENTED;
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

int truth(PyObject* self) {
  try {
    const Tensor t = unwrap(self);
    NORCH_CHECK(t.numel() == 1, t.numel() == 0 ? "Boolean value of Tensor with no values is ambiguous"
                                               : "Boolean value of Tensor with more than one value is ambiguous");
    return t.item<bool>();
  } catch (...) {
    set_python_error();
    return -1;
  }
}

PyObject* as_int(PyObject* self) {
  return guarded([&]() -> PyObject* {
    const Scalar s = unwrap(self).item();
    if (s.above_int64()) return PyLong_FromUnsignedLongLong(s.to<uint64_t>());
    return s.is_floating_point() ? PyLong_FromDouble(s.to_double()) : PyLong_FromLongLong(s.to_int());
  });
}

PyObject* as_index(PyObject* self) {
  return guarded([&]() -> PyObject* {
    const Tensor t = unwrap(self);
    NORCH_CHECK_TYPE(is_integral(t.dtype(), true) && t.numel() == 1,
                     "only integer tensors of a single element can be converted to an index");
    return PyLong_FromLongLong(t.item<int64_t>());
  });
}

PyObject* as_float(PyObject* self) {
  return guarded([&] { return PyFloat_FromDouble(unwrap(self).item<double>()); });
}

Py_ssize_t length(PyObject* self) {
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
  return guarded([&] { return wrap(getitem(unwrap(self), key)); });
}

int assign_subscript(PyObject* self, PyObject* key, PyObject* value) {
  try {
    NORCH_CHECK_TYPE(value, "elements of a tensor can't be deleted");
    setitem(unwrap(self), key, value);
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
    return PyObject_GetIter(nb::cast(unbind(t, 0)).ptr());
  });
}

template <class F>
void* slot(F f) {
  return reinterpret_cast<void*>(f);
}

}  // namespace

PyType_Slot number_slots[] = {
    {Py_nb_add, slot(binary<add_one>)},
    {Py_nb_subtract, slot(binary<sub_one>)},
    {Py_nb_multiply, slot(binary<mul>)},
    {Py_nb_matrix_multiply, slot(matrix_multiply)},
    {Py_nb_true_divide, slot(binary<div_one>)},
    {Py_nb_inplace_add, slot(binary<add_in_place>)},
    {Py_nb_inplace_subtract, slot(binary<sub_in_place>)},
    {Py_nb_inplace_multiply, slot(binary<mul_>)},
    {Py_nb_inplace_true_divide, slot(binary<div_in_place>)},
    {Py_nb_floor_divide, slot(binary<floor_divide>)},
    {Py_nb_inplace_floor_divide, slot(binary<floor_divide_>)},
    {Py_nb_remainder, slot(binary<remainder>)},
    {Py_nb_inplace_remainder, slot(binary<remainder_>)},
    {Py_nb_power, slot(power<pow>)},
    {Py_nb_inplace_power, slot(power<pow_>)},
    {Py_nb_and, slot(binary<bitwise_and>)},
    {Py_nb_inplace_and, slot(binary<bitwise_and_>)},
    {Py_nb_or, slot(binary<bitwise_or>)},
    {Py_nb_inplace_or, slot(binary<bitwise_or_>)},
    {Py_nb_xor, slot(binary<bitwise_xor>)},
    {Py_nb_inplace_xor, slot(binary<bitwise_xor_>)},
    {Py_nb_lshift, slot(binary<bitwise_left_shift>)},
    {Py_nb_inplace_lshift, slot(binary<bitwise_left_shift_>)},
    {Py_nb_rshift, slot(binary<bitwise_right_shift>)},
    {Py_nb_inplace_rshift, slot(binary<bitwise_right_shift_>)},
    {Py_nb_negative, slot(unary<neg>)},
    {Py_nb_positive, slot(unary<positive>)},
    {Py_nb_absolute, slot(unary<norch::abs>)},
    {Py_nb_invert, slot(unary<invert>)},
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
