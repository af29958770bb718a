// The default device, and the switches that norch.compat sets.
#include "compat.h"

#include <string>
#include <vector>

#include "autograd/node.h"
#include "bind.h"
#include "kernels/ties.h"
#include "norch/config.h"
#include "norch/ops.h"
#include "norch/print.h"

namespace norch::python {

bool strict_scalar_index = false;

namespace {

thread_local std::vector<Device> t_entered;
thread_local Device t_default = kCPU;

/// Cuts a tensor out of its graph in place; views can't be, since the graph still writes through them.
Tensor detach_(const Tensor& t) {
  NORCH_CHECK(!autograd::base_of(t).defined(), "detach_: Can't detach views in-place. Use detach() instead. If you are "
              "using a view of a leaf, detach the leaf first");
  TensorImpl& impl = *t.impl();
  impl.grad_fn = {};
  impl.output_nr = 0;
  impl.requires_grad = false;
  return t;
}

}  // namespace

Device default_device() { return t_entered.empty() ? t_default : t_entered.back(); }

void enter_device(Device device) { t_entered.push_back(device); }

void leave_device() {
  if (!t_entered.empty()) t_entered.pop_back();
}

void bind_compat(Binder& b) {
  b.function(
      "set_default_device", [](std::optional<Device> device) { t_default = device.value_or(kCPU); },
      "set_default_device(device)\n\nWhere this thread's factories make tensors when they are given no device; None: the "
      "CPU. `with norch.device(...)` does the same for a block.\n\n    >>> norch.set_default_device('cpu')\n    >>> "
      "norch.zeros(2).device\n    device(type='cpu')",
      "device"_a.none());
  b.function(
      "get_default_device", [] { return default_device().resolve(); },
      "get_default_device() -> device\n\nWhere factories make tensors when they are given no device.");
  b.op("detach_", &detach_,
       "detach_(input) -> Tensor\n\nMakes this tensor a leaf that requires no gradient: what comes after it no longer "
       "reaches what made it. Raises RuntimeError for views.",
       "input"_a);
  b.op(
      "is_inference", [](const Tensor& t) { return t.impl()->inference; },
      "is_inference(input) -> bool\n\nWhether the tensor was made in inference mode.", "input"_a);
  b.in(
      b.root, "_set_strict_scalar_index", [](bool strict) { strict_scalar_index = strict; },
      "Whether an integer index of a 0-d tensor raises IndexError.", "strict"_a);
  b.in(b.root, "_set_pytorch_ties", &kernels::set_pytorch_ties,
       "Whether topk on the CPU chooses among equal elements as PyTorch's does.", "on"_a);
  b.in(
      b.root, "_set_package_name",
      [](const std::string& name) {
        PrintOptions options = print_options();
        options.package = name;
        set_print_options(options);
      },
      "What the printed names of dtypes and sizes start with.", "name"_a);
  b.in(
      b.root, "_configuration",
      [] {
        nb::dict all;
        for (const auto& [name, value] : configuration()) all[name.c_str()] = value;
        all["CUDA driver"] = cuda::driver_version();
        all["CUDA runtime"] = cuda::runtime_version();
        return all;
      },
      "What this build is made of, by name.");
  b.in(
      b.root, "_cuda_libraries",
      [] {
        nb::list all;
        for (const cuda::LibraryInfo& i : cuda::libraries())
          all.append(nb::make_tuple(i.name, i.file, i.path, i.version, i.problem));
        return all;
      },
      "NVIDIA's libraries: for each its name, file, path, version, and why it can't be used.");
#ifdef NORCH_CUDA_TOOLKIT
  b.root.attr("_cuda_toolkit") = NORCH_CUDA_TOOLKIT;
#else
  b.root.attr("_cuda_toolkit") = nb::none();
#endif
  b.in(
      b.root, "_package_name", [] { return print_options().package; },
      "What the printed names of dtypes and sizes start with.");
}

}  // namespace norch::python
