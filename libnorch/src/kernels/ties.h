// Which of several equal elements a selection returns.
#pragma once

#include "norch/export.h"

namespace norch::kernels {

/// Whether topk on the CPU chooses among equal elements as PyTorch's does, instead of taking the first ones. Off unless
/// norch.compat is installed.
NORCH_API bool pytorch_ties();
NORCH_API void set_pytorch_ties(bool on);

}  // namespace norch::kernels
