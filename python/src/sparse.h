// Sparse tensors, which are a class of Python.
#pragma once

#include "norch/tensor.h"

#include <Python.h>

namespace norch::python {

class Binder;

/// A new norch.sparse.SparseTensor on the parts of a sparse gradient; null with an exception set on failure.
PyObject* wrap_sparse(const Tensor& t) noexcept;
/// Whether the object is a norch.sparse.SparseTensor.
bool is_sparse_object(PyObject* o) noexcept;
/// The sparse gradient of such an object's parts.
Tensor unwrap_sparse(PyObject* o);

/// After the rows of the functions that it gives one more overload; before bind_variants, whose come last.
void bind_sparse(Binder& b);

}  // namespace norch::python
