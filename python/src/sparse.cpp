// Functions and methods called with a sparse tensor, which is a class of Python (norch.sparse): the call goes there.
#include "sparse.h"

#include <string>

#include "bind.h"

namespace norch::python {

namespace {

/// Functions of norch, and of norch.nn.functional, that sparse tensors have or are often tried with.
constexpr const char* kFunctions[] = {
    "abs", "add", "addmm", "allclose", "argmax", "bmm", "cat", "ceil", "clone", "div", "dropout", "einsum", "eq",
    "equal", "exp", "expm1", "floor", "index_select", "is_complex", "is_floating_point", "linear", "log", "log1p", "log_softmax",
    "matmul", "max", "mean", "min", "mm", "mul", "mv", "ne", "neg", "norm", "ones_like", "permute", "pow", "relu",
    "reshape", "round", "sign", "sin", "softmax", "sqrt", "square", "stack", "sub", "sum", "t", "tan", "tanh",
    "transpose", "trunc", "unsqueeze", "where", "zeros_like"};
/// Methods of dense tensors that take a sparse one as argument.
constexpr const char* kMethods[] = {"add", "add_", "addmm", "copy_", "div", "matmul", "mm", "mul", "sub", "sub_"};

PyObject* sparse_type = nullptr;     // both set once by norch.sparse, and kept
PyObject* sparse_handler = nullptr;

bool is_sparse(nb::handle h) { return reinterpret_cast<PyObject*>(Py_TYPE(h.ptr())) == sparse_type; }

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
    if (sparse_type) {
      for (nb::handle a : args) sparse = sparse || holds_sparse(a);
      for (auto [key, value] : kwargs) sparse = sparse || holds_sparse(value);
    }
    if (!sparse) throw nb::next_overload();
    return nb::handle(sparse_handler)(name, args, kwargs);
  };
  constexpr const char* doc = "The same with sparse tensors: see norch.sparse.";
  if (method)
    nb::cpp_function_def(call, nb::scope(scope), nb::name(name), nb::is_method(), nb::sig(signature.c_str()), doc);
  else
    nb::cpp_function_def(call, nb::scope(scope), nb::name(name), nb::sig(signature.c_str()), doc);
}

}  // namespace

void bind_sparse(Binder& b) {
  for (const char* name : kFunctions) {
    give_sparse(b.root, name, false);
    give_sparse(b.nn, name, false);
  }
  for (const char* name : kMethods) give_sparse(b.tensor, name, true);
  b.in(
      b.root, "_set_sparse",
      [](nb::handle type, nb::handle handler) {
        Py_XSETREF(sparse_type, type.inc_ref().ptr());
        Py_XSETREF(sparse_handler, handler.inc_ref().ptr());
      },
      "Makes handler(name, args, kwargs) what functions call when an argument is of this type.", "type"_a, "handler"_a);
}

}  // namespace norch::python
