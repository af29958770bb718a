// Functions and methods called with a sparse tensor, which is a class of Python (norch.sparse): the call goes there.
#include "sparse.h"

#include <string>

#include "bind.h"
#include "norch/sparse.h"

namespace norch::python {

namespace {

/// Functions of norch, and of norch.nn.functional, that sparse tensors have or are often tried with.
constexpr const char* kFunctions[] = {
    "abs", "add", "addcdiv", "addcmul", "addmm", "allclose", "any", "all", "argmax", "argmin", "asin", "asinh", "atan",
    "atanh", "bmm", "cat", "ceil", "clone", "conj", "cos", "cumsum", "deg2rad", "div", "dropout", "einsum", "eq", "equal",
    "erf", "erfinv", "exp", "expm1", "flatten", "floor", "frac", "gelu", "gather", "hstack", "index_select", "is_complex",
    "is_floating_point", "isinf", "isnan", "isneginf", "isposinf", "linear", "log", "log1p", "log_softmax", "logical_not",
    "masked_select", "matmul", "max", "maximum", "mean", "min", "minimum", "mm", "mul", "mv", "ne", "neg",
    "nan_to_num", "nonzero", "norm", "permute", "pow", "prod", "rad2deg", "relu", "reshape", "resolve_conj", "round",
    "select", "sgn", "sigmoid", "sign", "signbit", "sin", "sinh", "softmax", "split", "sqrt", "square", "squeeze",
    "stack", "std", "sub", "sum", "t", "tan", "tanh", "topk", "trace", "transpose", "trunc", "unsqueeze", "var", "vstack",
    "where",
    // Functions that make tensors, asked for a sparse layout or for one like a sparse tensor.
    "arange", "empty", "empty_like", "eye", "full", "full_like", "linspace", "logspace", "ones", "ones_like", "rand",
    "rand_like", "randint", "randint_like", "randn", "randn_like", "randperm", "scalar_tensor", "zeros", "zeros_like"};
/// Methods of dense tensors that take a sparse one as argument, or a layout.
constexpr const char* kMethods[] = {"add", "add_", "addmm", "copy_", "div", "empty_like", "matmul", "mm", "mul", "mv",
                                    "new_empty", "new_full", "new_ones", "new_zeros", "sub", "sub_"};

PyObject* sparse_type = nullptr;  // all three set once by norch.sparse, and kept
PyObject* compressed_type = nullptr;
PyObject* sparse_handler = nullptr;

bool is_sparse(nb::handle h) {
  auto* type = reinterpret_cast<PyObject*>(Py_TYPE(h.ptr()));
  return type == sparse_type || type == compressed_type;
}

/// A keyword layout=norch.sparse_coo or the like. No other object has an attribute of that name.
bool names_sparse_layout(nb::handle key, nb::handle value) {
  return PyUnicode_CompareWithASCIIString(key.ptr(), "layout") == 0 && nb::hasattr(value, "_sparse_layout");
}

bool holds_sparse(nb::handle h) {
  if (is_sparse(h)) return true;
  if (!PyTuple_CheckExact(h.ptr()) && !PyList_CheckExact(h.ptr())) return false;
  for (nb::handle item : h)
    if (is_sparse(item)) return true;
  return false;
}

/// The last overload of scope.name: for calls that no other took, because a sparse tensor is no Tensor in C++.
void give_sparse(nb::handle scope, const char* name, bool method) {
  if (!nb::hasattr(scope, name)) return;
  const std::string signature =
      std::string("def ") + name + "(*args: norch.sparse.SparseTensor, **kwargs: object) -> norch.Tensor";
  auto call = [name](const nb::args& args, const nb::kwargs& kwargs) -> nb::object {
    bool sparse = false;
    if (sparse_type)
      for (nb::handle a : args) sparse = sparse || holds_sparse(a);
    for (auto [key, value] : kwargs)
      sparse = sparse || names_sparse_layout(key, value) || (sparse_type && holds_sparse(value));
    if (!sparse) throw nb::next_overload();
    if (!sparse_type) nb::module_::import_("norch.sparse");
    return nb::handle(sparse_handler)(name, args, kwargs);
  };
  constexpr const char* doc = "The same with sparse tensors: see norch.sparse.";
  if (method)
    nb::cpp_function_def(call, nb::scope(scope), nb::name(name), nb::is_method(), nb::sig(signature.c_str()), doc);
  else
    nb::cpp_function_def(call, nb::scope(scope), nb::name(name), nb::sig(signature.c_str()), doc);
}

}  // namespace

PyObject* wrap_sparse(const Tensor& t) noexcept {
  return guarded([&]() -> PyObject* {
    if (!sparse_type) nb::module_::import_("norch.sparse");
    const SparseParts& parts = *sparse_parts(t);
    const nb::object size = nb::steal(wrap_size(t.sizes()));
    return nb::handle(sparse_type)(parts.indices, parts.values, size, parts.coalesced).release().ptr();
  });
}

bool is_sparse_object(PyObject* o) noexcept { return sparse_type && reinterpret_cast<PyObject*>(Py_TYPE(o)) == sparse_type; }

Tensor unwrap_sparse(PyObject* o) {
  const nb::handle h(o);
  return make_sparse(nb::cast<Tensor>(h.attr("_i")), nb::cast<Tensor>(h.attr("_v")), nb::cast<Shape>(h.attr("_size")),
                     nb::cast<bool>(h.attr("_coalesced")));
}

void bind_sparse(Binder& b) {
  for (const char* name : kFunctions) {
    give_sparse(b.root, name, false);
    give_sparse(b.nn, name, false);
  }
  for (const char* name : kMethods) give_sparse(b.tensor, name, true);
  b.in(
      b.root, "_set_sparse",
      [](nb::handle type, nb::handle compressed, nb::handle handler) {
        Py_XSETREF(sparse_type, type.inc_ref().ptr());
        Py_XSETREF(compressed_type, compressed.inc_ref().ptr());
        Py_XSETREF(sparse_handler, handler.inc_ref().ptr());
      },
      "Makes handler(name, args, kwargs) what functions call when an argument is of one of these types.", "type"_a,
      "compressed"_a, "handler"_a);
}

}  // namespace norch::python
