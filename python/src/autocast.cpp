// norch._C._autocast: the state behind norch.amp.
#include "autocast.h"

#include "norch/autocast.h"

namespace norch::python {

namespace {

DeviceType device_type(const std::string& name) {
  if (name == "cuda") return DeviceType::CUDA;
  NORCH_CHECK(name == "cpu", "User specified an unsupported autocast device_type '", name, "'; expected 'cuda' or 'cpu'");
  return DeviceType::CPU;
}

}  // namespace

void bind_autocast(Binder& b) {
  nb::module_ m = b.root.def_submodule("_autocast", "The state of automatic mixed precision in this thread.");
  b.in(m, "is_enabled", [](const std::string& device) { return autocast::enabled(device_type(device)); },
       "Whether ops on 'cpu' or 'cuda' are cast.", "device_type"_a);
  b.in(m, "set_enabled",
       [](const std::string& device, bool enabled) { autocast::set_enabled(device_type(device), enabled); },
       "Switches it.", "device_type"_a, "enabled"_a);
  b.in(m, "get_dtype", [](const std::string& device) { return autocast::dtype(device_type(device)); },
       "The dtype of ops that profit from a narrow one.", "device_type"_a);
  b.in(m, "set_dtype",
       [](const std::string& device, DType dtype) { autocast::set_dtype(device_type(device), dtype); }, "Sets it.",
       "device_type"_a, "dtype"_a);
  b.in(m, "is_cache_enabled", &autocast::cache_enabled, "Whether casts of weights are kept.");
  b.in(m, "set_cache_enabled", &autocast::set_cache_enabled, "Switches it.", "enabled"_a);
  b.in(m, "clear_cache", &autocast::clear_cache, "Forgets the casts.");
  b.in(m, "increment_nesting", &autocast::enter, "Counts a scope that begins; returns how deep.");
  b.in(m, "decrement_nesting", &autocast::leave, "Counts a scope that ends; returns how deep.");
}

}  // namespace norch::python
