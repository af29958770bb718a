#pragma once

#include "bind.h"

namespace norch::python {

/// norch._C._autocast: the state behind norch.amp.
void bind_autocast(Binder& b);

}  // namespace norch::python
