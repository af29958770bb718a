// Sparse tensors, which are a class of Python.
#pragma once

namespace norch::python {

class Binder;

/// After the rows of the functions that it gives one more overload; before bind_variants, whose come last.
void bind_sparse(Binder& b);

}  // namespace norch::python
