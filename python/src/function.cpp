// Python in the graph: autograd.Function.
#include <vector>

#include "autograd/in_place.h"
#include "autograd/record.h"
#include "bind.h"
#include "graph_nodes.h"
#include "norch/ops.h"
#include "py_ref.h"
#include "sparse.h"

namespace norch::python {

namespace {

/// The node of a Python autograd.Function: calls cls.backward(ctx, *grads).
class FunctionNode final : public autograd::Node {
 public:
  FunctionNode(nb::handle cls, nb::handle ctx, std::string name) : cls_(cls), ctx_(ctx), name_(std::move(name)) {}
  std::string name() const override { return name_; }

  void apply(autograd::Backward& ctx) override {
    const nb::gil_scoped_acquire gil;
    if (released_) autograd::detail::freed_twice();
    nb::handle context(ctx_.get());
    nb::list saved;
    for (const auto& s : saved_) saved.append(nb::steal(wrap(ctx.get(s))));
    const bool materialize = nb::cast<bool>(context.attr("_materialize_grads"));
    nb::list grads;
    for (size_t i = 0; i < ctx.num_grads(); ++i) {
      const bool differentiable = is_differentiable(outputs[i].dtype);
      grads.append(nb::steal(wrap(ctx.grad(i).defined() || !materialize || !differentiable ? ctx.grad(i)
                                                                                           : ctx.grad_or_zeros(i))));
    }
    nb::object results = context.attr("_run_backward")(nb::handle(cls_.get()), nb::tuple(saved), nb::tuple(grads));
    nb::tuple tuple = nb::isinstance<nb::tuple>(results) ? nb::borrow<nb::tuple>(results) : nb::make_tuple(results);
    size_t given = tuple.size();
    // Trailing None values for inputs that backward did not know about are fine, as in PyTorch.
    while (given > inputs_.size() && tuple[given - 1].is_none()) --given;
    NORCH_CHECK(given == inputs_.size(), "function ", name_, " returned an incorrect number of gradients (expected ",
                inputs_.size(), ", got ", given, ")");
    for (size_t i = 0; i < inputs_.size(); ++i) {
      nb::object g = tuple[i];
      if (g.is_none()) continue;
      const bool sparse = is_sparse_object(g.ptr());
      NORCH_CHECK_TYPE(sparse || is_tensor(g.ptr()), "expected Variable or None (got ", Py_TYPE(g.ptr())->tp_name, ")");
      if (inputs_[i] < 0) continue;  // not a tensor, so nothing to accumulate into
      const size_t edge = static_cast<size_t>(inputs_[i]);
      if (!ctx.needs(edge)) continue;
      const Tensor t = sparse ? unwrap_sparse(g.ptr()) : unwrap(g.ptr());
      if (const auto& next = next_edges[edge]; next.node) {
        const auto& meta = next.node->outputs[next.input_nr];
        bool fits = t.dim() >= static_cast<int64_t>(meta.sizes.size());
        const int64_t extra = t.dim() - static_cast<int64_t>(meta.sizes.size());
        for (int64_t d = 0; fits && d < static_cast<int64_t>(meta.sizes.size()); ++d)
          fits = meta.sizes[d] == 1 || meta.sizes[d] == t.sizes()[d + extra];
        NORCH_CHECK(fits, "Function ", name_, " returned an invalid gradient at index ", i, " - got ", t.sizes(),
                    " but expected shape compatible with ", meta.sizes);
      }
      ctx.set(edge, t);
    }
  }
  void release_saved() override {
    saved_.clear();
    released_ = true;
  }
  PyObject* context() const { return ctx_.get(); }

  std::vector<int> inputs_;  // for each argument of apply(), its edge or -1
  std::vector<autograd::SavedTensor> saved_;

 private:
  PyRef cls_, ctx_;
  std::string name_;
  bool released_ = false;
};

/// Puts the outputs of cls.forward into the graph. `inputs` are the arguments of apply().
nb::object record_function(nb::handle cls, nb::handle ctx, const std::string& name, nb::tuple inputs, nb::tuple outputs) {
  TensorList tensors;
  std::vector<int> edges;
  for (nb::handle a : inputs) {
    edges.push_back(is_tensor(a.ptr()) ? static_cast<int>(tensors.size()) : -1);
    if (is_tensor(a.ptr())) tensors.push_back(unwrap(a.ptr()));
  }
  auto contains = [](nb::handle list, const Tensor& t) {
    if (list.is_none()) return false;
    for (nb::handle h : list)
      if (is_tensor(h.ptr()) && unwrap(h.ptr()).is_same(t)) return true;
    return false;
  };
  nb::object dirty = ctx.attr("_dirty"), non_differentiable = ctx.attr("_non_differentiable");
  const bool records = autograd::recording(tensors);

  TensorList results;
  for (nb::handle o : outputs) {
    if (!is_tensor(o.ptr())) {
      results.emplace_back();
      continue;
    }
    Tensor t = unwrap(o.ptr());
    const bool is_input = [&] {
      for (const Tensor& in : tensors)
        if (in.is_same(t)) return true;
      return false;
    }();
    if (is_input && contains(dirty, t)) {
      if (records) {
        NORCH_CHECK(!(t.impl()->requires_grad && t.is_leaf()), "a leaf Variable that requires grad is being used in an in-place operation.");
        NORCH_CHECK(!autograd::base_of(t).defined(), name, ": in-place custom functions on views are not supported; clone() the view first");
      }
      t.storage()->bump_version();
    } else if (is_input || (t.requires_grad() && records)) {
      t = t.detach();  // a new object: the input itself keeps its own history
    }
    results.push_back(t);
  }
  if (records) {
    Ref<FunctionNode> node(new FunctionNode(cls, ctx, name));
    node->inputs_ = edges;
    autograd::detail::connect(*node, tensors);
    TensorList differentiable = results;
    for (Tensor& t : differentiable)
      if (t.defined() && contains(non_differentiable, t)) t = Tensor();
    nb::object to_save = ctx.attr("_to_save");
    if (!to_save.is_none()) {
      for (nb::handle h : to_save) {
        if (h.is_none()) {
          node->saved_.emplace_back();
          continue;
        }
        NORCH_CHECK_TYPE(is_tensor(h.ptr()), "save_for_backward can only save variables, but argument is of type ",
                         Py_TYPE(h.ptr())->tp_name);
        const Tensor t = unwrap(h.ptr());
        size_t nr = results.size();
        for (size_t i = 0; i < outputs.size(); ++i)
          if (is_tensor(outputs[i].ptr()) && unwrap(outputs[i].ptr()).is_same(t)) nr = i;
        const bool is_output = nr < results.size() && differentiable[nr].defined();
        node->saved_.push_back(is_output ? autograd::save_output(t, static_cast<uint32_t>(nr)) : autograd::save(t));
      }
    }
    autograd::detail::attach(Ref<autograd::Node>(node.get()), differentiable);
    // An output kept by `attach` for its shape only, because it is non-differentiable, has no meta to size gradients.
    for (size_t i = 0; i < results.size(); ++i) {
      if (differentiable[i].defined() || !results[i].defined()) continue;
      node->outputs[i].sizes = results[i].sizes();
      node->outputs[i].dtype = results[i].dtype();
      node->outputs[i].device = results[i].device();
    }
  }
  nb::list out;
  for (size_t i = 0; i < results.size(); ++i)
    out.append(results[i].defined() ? nb::steal(wrap(results[i])) : nb::borrow(outputs[i]));
  return nb::tuple(out);
}

}  // namespace

void bind_function(Binder& b) {
  nb::object m = b.root.attr("_autograd");
  b.in(m, "record_function", &record_function, "Puts the outputs of a Function's forward into the graph.", "cls"_a,
       "ctx"_a, "name"_a, "inputs"_a, "outputs"_a);
  bind_graph_nodes(b, m);
}

}  // namespace norch::python
