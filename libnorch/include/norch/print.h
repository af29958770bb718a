// Tensors as text, in PyTorch's format.
#pragma once

#include <optional>
#include <string>

#include "norch/tensor.h"

namespace norch {

/// How tensors are printed; the defaults are PyTorch's.
struct PrintOptions {
  int precision = 4;        // digits after the point
  int64_t threshold = 1000; // tensors of more elements are summarised
  int edgeitems = 3;        // items shown at each end of a summarised dim
  int linewidth = 80;
  std::optional<bool> sci_mode;  // scientific notation always or never; unset: where the values ask for it
  std::string package = "norch";  // what the names of dtypes start with
};

NORCH_API PrintOptions print_options();
NORCH_API void set_print_options(const PrintOptions& options);

/// The values alone: "[1., 2.]". `indent` is the column they start in.
NORCH_API std::string values_to_string(const Tensor& t, int indent = 0);

}  // namespace norch
