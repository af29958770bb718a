// What the rows of linear algebra share.
#pragma once

#include "named_results.h"

namespace norch::python {

/// norch.linalg.LinAlgError.
extern PyObject* linalg_error;

/// The rows that are not in norch.linalg.
void bind_linalg_relatives(Binder& b);

}  // namespace norch::python
