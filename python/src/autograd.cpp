// norch.autograd's C part: modes, backward, grad.
#include "norch/autograd.h"

#include "autograd/node.h"
#include "bind.h"

namespace norch::python {

namespace {

/// A tensor, a sequence of tensors, or None as a list. \throws TypeError, naming the argument, for anything else.
TensorList list_of(const char* argument, nb::handle h) {
  if (h.is_none()) return {};
  if (is_tensor(h.ptr())) return {unwrap(h.ptr())};
  TensorList list;
  NORCH_CHECK_TYPE(nb::try_cast(h, list), argument, " must be a tensor or a sequence of tensors alone, got ",
                   Py_TYPE(h.ptr())->tp_name, nb::isinstance<nb::sequence>(h) ? " with something else in it" : "");
  return list;
}

}  // namespace

void bind_autograd(Binder& b) {
  b.method(
      "backward",
      [](const Tensor& t, std::optional<Tensor> gradient, std::optional<bool> retain_graph, bool create_graph,
         nb::handle inputs) {
        autograd::backward({t}, {gradient.value_or(Tensor())}, retain_graph.value_or(create_graph), create_graph,
                           list_of("inputs", inputs));
      },
      "backward(gradient=None, retain_graph=None, create_graph=False, inputs=None)\n\nAccumulates into .grad of the "
      "leaves the gradient of this tensor times `gradient` (1 for a one-element tensor).",
      "gradient"_a = nb::none(), "retain_graph"_a = nb::none(), "create_graph"_a = false, "inputs"_a = nb::none());
  b.function(
      "detach", [](const Tensor& t) { return t.detach(); },
      "detach(input) -> Tensor\n\nThe same memory, outside the graph.\n\n>>> x = norch.ones(1, requires_grad=True)\n"
      ">>> norch.detach(x).requires_grad\nFalse",
      "input"_a);
  b.method("detach", &Tensor::detach, "detach() -> Tensor\n\nThe same memory, outside the graph.");
  b.method(
      "requires_grad_", [](const Tensor& t, bool v) { return t.requires_grad_(v); },
      "requires_grad_(requires_grad=True) -> Tensor", "requires_grad"_a = true);
  b.method("retain_grad", &autograd::retain_grad, "retain_grad()\n\nKeeps the gradient of a non-leaf in .grad.");

  nb::module_ m = b.root.def_submodule("_autograd", "What norch.autograd is made of.");
  b.in(
      m, "backward",
      [](nb::handle tensors, nb::handle grads, std::optional<bool> retain_graph, bool create_graph, nb::handle inputs) {
        autograd::backward(list_of("tensors", tensors), list_of("grad_tensors", grads),
                           retain_graph.value_or(create_graph), create_graph, list_of("inputs", inputs));
      },
      "See norch.autograd.backward.", "tensors"_a, "grad_tensors"_a = nb::none(), "retain_graph"_a = nb::none(),
      "create_graph"_a = false, "inputs"_a = nb::none());
  b.in(
      m, "grad",
      [](nb::handle outputs, nb::handle inputs, nb::handle grad_outputs, std::optional<bool> retain_graph,
         bool create_graph, std::optional<bool> allow_unused, bool materialize_grads) {
        return autograd::grad(list_of("outputs", outputs), list_of("inputs", inputs),
                              list_of("grad_outputs", grad_outputs), retain_graph.value_or(create_graph), create_graph,
                              allow_unused.value_or(materialize_grads), materialize_grads);
      },
      "See norch.autograd.grad.", "outputs"_a, "inputs"_a, "grad_outputs"_a = nb::none(),
      "retain_graph"_a = nb::none(), "create_graph"_a = false, "allow_unused"_a = nb::none(),
      "materialize_grads"_a = false);
  b.function("is_grad_enabled", &autograd::grad_enabled, "is_grad_enabled() -> bool");
  b.function("is_inference_mode_enabled", &autograd::inference_mode, "is_inference_mode_enabled() -> bool");
  b.in(m, "set_grad_enabled", &autograd::set_grad_enabled, "Sets grad mode for this thread.", "mode"_a);
  b.in(m, "set_inference_mode", &autograd::set_inference_mode, "Sets inference mode for this thread.", "mode"_a);
  b.in(m, "set_anomaly_enabled", &autograd::set_anomaly_enabled, "See norch.autograd.set_detect_anomaly.", "mode"_a,
       "check_nan"_a = true);
  b.in(m, "anomaly_enabled", &autograd::anomaly_enabled, "Whether anomaly mode is on.");
}

}  // namespace norch::python
