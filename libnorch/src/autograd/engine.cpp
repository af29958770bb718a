// backward() and grad(): the ways into a backward pass.
#include <vector>

#include "autograd/node_hooks.h"
#include "autograd/pass.h"
#include "autograd/sparse_grad.h"
#include "norch/ops.h"
#include "ops/autocast.h"

namespace norch::autograd {

namespace {

/// The gradient to start from, checked against its output; 1 for a one-element output.
Tensor root_grad(const Tensor& out, const Tensor& grad, bool create_graph) {
  if (!grad.defined()) {
    NORCH_CHECK(out.numel() == 1, "grad can be implicitly created only for scalar outputs, got shape ", out.sizes());
    NORCH_CHECK(!out.is_complex(), "grad can be implicitly created only for real scalar outputs but got ", out.dtype());
    NORCH_CHECK(out.is_floating_point(), "grad can be computed only for floating-point outputs, got ", out.dtype());
    return full(out.sizes(), 1.0, out.options());
  }
  NORCH_CHECK(grad.sizes() == out.sizes(), "Mismatch in shape: grad_output has a shape of ", grad.sizes(),
              " and output has a shape of ", out.sizes(), ".");
  NORCH_CHECK(grad.device() == out.device(), "grad_output is on ", grad.device(), ", the output on ", out.device());
  Tensor g = grad.dtype() == out.dtype() ? grad : grad.to(out.dtype());
  return create_graph ? g : g.detach();
}

/// Where the gradient of a tensor that is asked for arrives. A view made without grad mode has no such place, though its
/// base requires grad.
Edge target_edge(const Tensor& t) {
  Edge edge = t.defined() && t.requires_grad() ? gradient_edge(t) : Edge();
  NORCH_CHECK(edge.node, "One of the differentiated Tensors does not require grad");
  return edge;
}

void add_roots(Pass& pass, const TensorList& outputs, const TensorList& grads, bool create_graph) {
  NORCH_CHECK(!outputs.empty(), "grad requires non-empty outputs");
  NORCH_CHECK(grads.empty() || grads.size() == outputs.size(), "got ", outputs.size(), " tensors and ", grads.size(),
              " gradients");
  for (size_t i = 0; i < outputs.size(); ++i) {
    const Tensor& out = outputs[i];
    NORCH_CHECK(out.defined(), "element ", i, " of tensors is undefined");
    const Edge edge = gradient_edge(out);
    NORCH_CHECK(edge.node, "element ", i, " of tensors does not require grad and does not have a grad_fn");
    pass.add_root(edge, root_grad(out, grads.empty() ? Tensor() : grads[i], create_graph));
  }
}

}  // namespace

int64_t current_pass() { return Pass::current() ? Pass::current()->number() : -1; }

bool current_pass_runs(const Node& node) {
  NORCH_CHECK(Pass::current(), "current_pass_runs: no backward pass is running on this thread");
  return Pass::current()->runs(node);
}

bool current_pass_runs(uint64_t sequence_nr) {
  NORCH_CHECK(Pass::current(), "current_pass_runs: no backward pass is running on this thread");
  return Pass::current()->runs_numbered(sequence_nr);
}

void backward(const TensorList& tensors, const TensorList& grads, bool retain_graph, bool create_graph,
              const TensorList& inputs) {
  const autocast::Suspend off;
  Pass pass(retain_graph || create_graph, create_graph);
  add_roots(pass, tensors, grads, create_graph);
  if (inputs.empty()) {
    pass.prepare(nullptr, nullptr);
    pass.run(nullptr);
    return;
  }
  std::vector<Edge> leaves, others;
  TensorList captured;
  for (const Tensor& t : inputs) {
    (t.is_leaf() ? leaves : others).push_back(target_edge(t));
    if (!t.is_leaf()) captured.push_back(t);
  }
  TensorList results(others.size());
  pass.prepare(&others, &leaves);
  pass.run(&results);
  for (size_t i = 0; i < results.size(); ++i) {
    if (!results[i].defined()) continue;
    const Tensor old = captured[i].grad();
    const bool sparse = is_sparse(results[i]) || (old.defined() && is_sparse(old));
    captured[i].set_grad(!old.defined() ? results[i] : sparse ? add_gradients(old, results[i]) : add(old, results[i]));
  }
}

TensorList grad(const TensorList& outputs, const TensorList& inputs, const TensorList& grad_outputs, bool retain_graph,
                bool create_graph, bool allow_unused, bool materialize_grads) {
  NORCH_CHECK(!inputs.empty(), "`inputs` argument to `grad()` cannot be empty.");
  const autocast::Suspend off;
  Pass pass(retain_graph || create_graph, create_graph);
  add_roots(pass, outputs, grad_outputs, create_graph);
  std::vector<Edge> targets;
  for (const Tensor& t : inputs) {
    targets.push_back(target_edge(t));
  }
  TensorList results(inputs.size());
  pass.prepare(&targets, nullptr);
  pass.run(&results);
  for (size_t i = 0; i < results.size(); ++i) {
    if (results[i].defined()) continue;
    if (materialize_grads) {
      results[i] = zeros(inputs[i].sizes(), inputs[i].options());
      continue;
    }
    NORCH_CHECK(allow_unused, "The differentiated Tensor at index ", i, " appears to not have been used in the graph. Set "
                "allow_unused=True if this is the desired behavior.");
  }
  return results;
}

}  // namespace norch::autograd
