// Python in the graph: hooks, and nodes as objects.
#include "graph_nodes.h"

#include <memory>

#include "autograd/node_hooks.h"
#include "autograd/record.h"
#include "autograd/saved_hooks.h"
#include "norch/ops.h"
#include "py_ref.h"
#include "sparse.h"

namespace norch::python {

namespace {

class PyHook final : public autograd::Hook {
 public:
  explicit PyHook(nb::handle f) : function_(f) {}
  Tensor call(const Tensor& grad) override {
    const nb::gil_scoped_acquire gil;
    nb::object result = nb::handle(function_.get())(grad);
    if (result.is_none()) return {};
    const bool sparse = is_sparse_object(result.ptr());
    NORCH_CHECK_TYPE(sparse || is_tensor(result.ptr()), "a hook must return None or a Tensor, got ", Py_TYPE(result.ptr())->tp_name);
    Tensor t = sparse ? unwrap_sparse(result.ptr()) : unwrap(result.ptr());
    NORCH_CHECK(t.sizes() == grad.sizes() || !is_differentiable(grad.dtype()), "hook has changed the size of value: from ",
                grad.sizes(), " to ", t.sizes());
    return t;
  }
  PyObject* function() const { return function_.get(); }

 private:
  PyRef function_;
};

// ---- nodes as Python objects

struct PyNode {
  Ref<autograd::Node> node;
};

// ---- hooks of nodes and of saved tensors

template <size_t N>
nb::tuple tuple_of(const SmallVector<Tensor, N>& tensors) {
  nb::list out;
  for (const Tensor& t : tensors) out.append(nb::steal(wrap(t)));
  return nb::tuple(out);
}

/// Puts what a hook returned (None: nothing) in the place of `tensors`.
template <size_t N>
void replace(SmallVector<Tensor, N>& tensors, const nb::object& result) {
  if (result.is_none()) return;
  const bool one = is_tensor(result.ptr());
  NORCH_CHECK_TYPE(one || PyTuple_Check(result.ptr()) || PyList_Check(result.ptr()),
                   "a hook of a node must return None, a Tensor or a tuple, got ", Py_TYPE(result.ptr())->tp_name);
  const nb::tuple given = one ? nb::make_tuple(result) : nb::tuple(result);
  NORCH_CHECK(given.size() == tensors.size(), "hook has returned an incorrect number of values (got ", given.size(),
              ", but expected ", tensors.size(), ")");
  for (size_t i = 0; i < tensors.size(); ++i) {
    const nb::object item = given[i];
    NORCH_CHECK_TYPE(item.is_none() || is_tensor(item.ptr()), "a hook of a node must return tensors or None, got ",
                     Py_TYPE(item.ptr())->tp_name);
    tensors[i] = item.is_none() ? Tensor() : unwrap(item.ptr());
  }
}

class PyNodeHook final : public autograd::NodeHook {
 public:
  PyNodeHook(nb::handle f, bool before) : function_(f), before_(before) {}
  void before(SmallVector<Tensor, 2>& grads) override {
    if (!before_) return;
    const nb::gil_scoped_acquire gil;
    replace(grads, nb::handle(function_.get())(tuple_of(grads)));
  }
  void after(SmallVector<Tensor, 4>& inputs, const SmallVector<Tensor, 2>& grads) override {
    if (before_) return;
    const nb::gil_scoped_acquire gil;
    replace(inputs, nb::handle(function_.get())(tuple_of(inputs), tuple_of(grads)));
  }

 private:
  PyRef function_;
  bool before_;
};

/// Keeps a node's `metadata`.
class PyMetadata final : public autograd::NodeHook {
 public:
  PyMetadata() : dict_(nb::dict()) {}
  PyObject* dict() const { return dict_.get(); }

 private:
  PyRef dict_;
};

nb::object metadata(const PyNode& n) {
  for (const auto& h : n.node->hooks)
    if (auto* found = autograd::is_node_hook(h) ? dynamic_cast<PyMetadata*>(h.hook.get()) : nullptr)
      return nb::borrow(found->dict());
  Ref<PyMetadata> made(new PyMetadata);
  autograd::add_node_hook(*n.node, made);
  return nb::borrow(made->dict());
}

nb::object add_hook(const nb::object& self, nb::callable f, bool before) {
  const uint64_t id = autograd::add_node_hook(*nb::cast<PyNode&>(self).node, Ref<autograd::NodeHook>(new PyNodeHook(f, before)));
  return nb::module_::import_("norch.autograd.graph").attr("NodeHookHandle")(self, id);
}

class PyPacked final : public autograd::Packed {
 public:
  PyPacked(nb::handle value, nb::handle unpack) : value_(value), unpack_(unpack) {}
  Tensor unpack() override {
    const nb::gil_scoped_acquire gil;
    const nb::object t = nb::handle(unpack_.get())(nb::handle(value_.get()));
    NORCH_CHECK_TYPE(is_tensor(t.ptr()), "Output of saved tensor unpack_hook expected to be a Tensor but got result of type ",
                     Py_TYPE(t.ptr())->tp_name);
    return unwrap(t.ptr());
  }

 private:
  PyRef value_, unpack_;
};

class PySavingHooks final : public autograd::SavingHooks {
 public:
  PySavingHooks(nb::handle pack, nb::handle unpack) : pack_(pack), unpack_(unpack) {}
  std::unique_ptr<autograd::Packed> pack(const Tensor& t) override {
    const nb::gil_scoped_acquire gil;
    return std::make_unique<PyPacked>(nb::handle(pack_.get())(t), nb::handle(unpack_.get()));
  }

 private:
  PyRef pack_, unpack_;
};

/// A tensor without memory that stands for an output of a node, to name it to backward() and grad().
Tensor output_of(const PyNode& n, uint32_t output_nr) {
  NORCH_CHECK_INDEX(output_nr < n.node->outputs.size(), n.node->name(), " has ", n.node->outputs.size(), " outputs, not ",
                    output_nr + 1);
  const autograd::OutputMeta& m = n.node->outputs[output_nr];
  Tensor t(Ref<TensorImpl>(new TensorImpl(Storage::wrap(nullptr, 0, m.device, nullptr, nullptr), m.sizes,
                                          Shape(m.sizes.size(), 0), 0, m.dtype)));
  t.impl()->grad_fn = n.node;
  t.impl()->output_nr = output_nr;
  return t;
}

nb::object node_object(const Ref<autograd::Node>& node) {
  return node ? nb::cast(PyNode{node}) : nb::none();
}

PyObject* grad_fn(PyObject* self, void*) {
  return guarded([&] { return node_object(unwrap(self).grad_fn()).release().ptr(); });
}

}  // namespace

int visit_hooks(const Tensor& t, visitproc visit, void* arg) {
  const autograd::Meta* meta = t.impl()->meta.get();
  if (!meta) return 0;
  for (const auto* list : {&meta->leaf_hooks, &meta->post_accumulate_hooks}) {
    for (const auto& h : *list) {
      if (auto* hook = dynamic_cast<PyHook*>(h.hook.get())) Py_VISIT(hook->function());
    }
  }
  return 0;
}

void bind_graph_nodes(Binder& b, nb::object m) {
  b.method(
      "_add_hook",
      [](const Tensor& t, nb::callable f) { return autograd::add_hook(t, Ref<autograd::Hook>(new PyHook(f))); },
      "Adds a gradient hook; returns its id.", "hook"_a);
  b.method(
      "_add_post_accumulate_hook",
      [](const Tensor& t, nb::callable f) {
        return autograd::add_post_accumulate_hook(t, Ref<autograd::Hook>(new PyHook(f)));
      },
      "Adds a hook on the accumulated gradient; returns its id.", "hook"_a);
  b.method(
      "_remove_hook", [](const Tensor& t, uint64_t id) { autograd::remove_hook(t, id); }, "Removes a hook.", "id"_a);

  nb::class_<PyNode>(m, "Node", "A recorded op: what Tensor.grad_fn shows.")
      .def("name", [](const PyNode& n) { return n.node->name(); })
      .def_prop_ro("next_functions",
                   [](const PyNode& n) {
                     nb::list out;
                     for (const auto& e : n.node->next_edges) out.append(nb::make_tuple(node_object(e.node), e.input_nr));
                     return nb::tuple(out);
                   },
                   "For each input, (its node or None, which of that node's outputs it is).")
      .def_prop_ro("variable",
                   [](const PyNode& n) {
                     const Tensor t = n.node->variable();
                     if (!t.defined()) throw nb::attribute_error("only AccumulateGrad nodes have a variable");
                     return t;
                   },
                   "The leaf of an AccumulateGrad.")
      .def(
          "register_hook", [](const nb::object& self, nb::callable f) { return add_hook(self, f, false); },
          "fn(grad_inputs, grad_outputs) -> tuple or None is called after the node has run; what it returns takes the place "
          "of grad_inputs. Returns a handle with remove().",
          "fn"_a)
      .def(
          "register_prehook", [](const nb::object& self, nb::callable f) { return add_hook(self, f, true); },
          "fn(grad_outputs) -> tuple or None is called before the node runs; what it returns takes the place of "
          "grad_outputs. Returns a handle with remove().",
          "fn"_a)
      .def("_remove_hook", [](const PyNode& n, uint64_t id) { autograd::remove_node_hook(*n.node, id); })
      .def_prop_ro("metadata", &metadata, "A dict for whoever wants to note something about the node.")
      .def("_sequence_nr", [](const PyNode& n) { return n.node->sequence_nr; })
      .def("__repr__", [](const PyNode& n) { return "<" + n.node->name() + ">"; })
      .def("__eq__", [](const PyNode& a, nb::handle b2) {
        PyNode* other = nullptr;
        return nb::try_cast<PyNode*>(b2, other) && other && other->node == a.node;
      })
      .def("__hash__", [](const PyNode& n) { return reinterpret_cast<Py_hash_t>(n.node.get()) >> 4; });
  b.in(m, "output_of", &output_of, "A tensor without memory that stands for an output of a node.", "node"_a,
       "output_nr"_a);
  b.in(
      m, "gradient_edge",
      [](const Tensor& t) {
        const autograd::Edge edge = autograd::gradient_edge(t);
        return nb::make_tuple(node_object(edge.node), edge.input_nr);
      },
      "(node, which of its outputs): where the tensor's gradient goes; (None, 0) if it requires none.", "tensor"_a);
  b.in(
      m, "push_saving_hooks",
      [](nb::callable pack, nb::callable unpack) {
        autograd::push_saving_hooks(Ref<autograd::SavingHooks>(new PySavingHooks(pack, unpack)));
      },
      "Hooks on what ops save for backward; those pushed last count.", "pack"_a, "unpack"_a);
  b.in(m, "pop_saving_hooks", &autograd::pop_saving_hooks, "Removes the hooks pushed last.");
  b.in(m, "forbid_saving_hooks", &autograd::forbid_saving_hooks,
       "Makes push_saving_hooks raise this text, if not empty; returns the former one.", "why"_a);
  b.in(m, "current_pass", &autograd::current_pass, "The number of the backward pass that runs, -1 outside of any.");
  b.in(
      m, "current_pass_reaches", [](const Tensor& leaf) { return autograd::current_pass_runs(*autograd::accumulator_of(leaf)); },
      "Whether that pass computes the gradient of a leaf.", "leaf"_a);
  b.in(
      m, "current_pass_runs", [](uint64_t sequence_nr) { return autograd::current_pass_runs(sequence_nr); },
      "Whether that pass runs the node of this number.", "sequence_nr"_a);
  b.in(
      m, "increment_version", [](const Tensor& t) { t.storage()->bump_version(); }, "Counts a write to the tensor.",
      "tensor"_a);
  static PyGetSetDef grad_fn_attribute = {"grad_fn", grad_fn, nullptr, "The op that made this tensor, or None.", nullptr};
  nb::object descriptor = nb::steal(PyDescr_NewGetSet(tensor_type, &grad_fn_attribute));
  b.tensor.attr("grad_fn") = descriptor;

  // Anomaly mode remembers where ops were called from as a Python traceback.
  autograd::set_anomaly_context([]() -> std::string {
    if (!PyGILState_Check()) return {};
    nb::object lines = nb::module_::import_("traceback").attr("format_stack")();
    return nb::cast<std::string>(nb::str("").attr("join")(lines));
  });
}

}  // namespace norch::python
