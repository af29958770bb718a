// What makes the bindings behave as PyTorch does where norch's own way differs, and the default device.
#pragma once

#include <optional>

#include "norch/device.h"

namespace norch::python {

class Binder;

/// Whether t[0] of a 0-d tensor raises IndexError, as in PyTorch. Off unless norch.compat is installed.
extern bool strict_scalar_index;

/// Where factories make tensors when no device is asked for: that of the innermost `with norch.device(...)` of this
/// thread, else that of set_default_device, else the CPU.
Device default_device();
/// The device asked for, else default_device().
inline Device device_or_default(const std::optional<Device>& device) { return device ? *device : default_device(); }
/// `with norch.device(...)`.
void enter_device(Device device);
void leave_device();

void bind_compat(Binder& b);

}  // namespace norch::python
