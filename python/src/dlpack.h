#pragma once

#include "bind.h"

namespace norch::python {

void bind_dlpack(Binder& b);

}  // namespace norch::python
