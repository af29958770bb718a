#include "autograd/in_place.h"

#include <algorithm>

#include "core/factory.h"
#include "norch/ops.h"

namespace norch::autograd {

namespace {

/// The history of a base after an in-place op on one of its views: the gradient of the part that was overwritten goes
/// through the op, the rest passes on. (PyTorch's CopySlices.)
class CopySlices final : public Node {
 public:
  CopySlices(const Tensor& base, const Tensor& view, Ref<Node> fn, uint32_t fn_output_nr)
      : base_sizes_(base.sizes()),
        base_strides_(base.strides()),
        view_(base, view),
        fn_(std::move(fn)),
        fn_output_nr_(fn_output_nr) {
    outputs.resize(1);
    outputs[0].sizes = base.sizes();
    outputs[0].dtype = base.dtype();
    outputs[0].device = base.device();
    // Edge 0 is the base as it was; the op's own input 0 (the view) is served by the slice of that gradient.
    next_edges.resize(std::max<size_t>(fn_->next_edges.size(), 1));
    next_edges[0] = gradient_edge(base);
    for (size_t i = 1; i < fn_->next_edges.size(); ++i)
      if (fn_->next_edges[i].node) next_edges[i] = fn_->next_edges[i];
  }

  std::string name() const override { return "CopySlices"; }

  void apply(Backward& ctx) override {
    if (!fn_) detail_freed();
    const Tensor& g = ctx.grad();
    // The view's geometry counts from the base's memory layout, so the gradient has to be laid out the same way.
    Tensor laid_out = g.strides() == Ints(base_strides_)
                          ? g
                          : as_strided_scatter(empty_strided(base_sizes_, base_strides_, g.options()), g, base_sizes_,
                                               base_strides_, 0);
    Tensor slice = view_.take(laid_out).clone();

    SmallVector<Tensor, 2> grads(fn_->outputs.size());
    grads[fn_output_nr_] = slice;
    SmallVector<Tensor, 4> results(fn_->next_edges.size());
    uint64_t needs = 0;
    for (size_t i = 0; i < std::min<size_t>(fn_->next_edges.size(), 64); ++i)
      if (ctx.needs(i)) needs |= uint64_t{1} << i;
    Backward inner(*fn_, grads, results, needs);
    fn_->apply(inner);

    if (ctx.needs(0)) {
      Tensor part = results.empty() ? Tensor() : results[0];
      if (!part.defined())
        part = zeros(view_.sizes(), g.options().dtype(view_.dtype()));
      else if (part.sizes() != view_.sizes())
        part = sum_to_size(part, view_.sizes());
      ctx.set(0, view_.put(laid_out, part.to(view_.dtype())));
    }
    for (size_t i = 1; i < results.size(); ++i) ctx.set(i, results[i]);
  }

  void release_saved() override {
    if (fn_) fn_->release_saved();
    fn_ = nullptr;
  }

 private:
  [[noreturn]] static void detail_freed();

  Shape base_sizes_, base_strides_;
  ViewGeometry view_;
  Ref<Node> fn_;
  uint32_t fn_output_nr_;
};

}  // namespace

namespace detail {
[[noreturn]] void freed_twice();
}
void CopySlices::detail_freed() { detail::freed_twice(); }

bool overlaps_itself(const Tensor& t) {
  if (t.is_contiguous()) return false;
  for (int64_t d = 0; d < t.dim(); ++d)
    if (t.sizes()[d] > 1 && t.strides()[d] == 0) return true;
  return false;
}

Tensor saved_input(const Tensor& input, const Tensor& out) {
  if (!out.defined() || !(out.storage() == input.storage())) return input;
  NoGrad off;
  Tensor copy = input.clone();
  if (const Ref<Node>& node = input.grad_fn()) {
    copy.impl()->grad_fn = node;
    copy.impl()->output_nr = input.impl()->output_nr;
  }
  return copy;
}

InPlace::InPlace(const char* op, const Tensor& self) : op_(op), self_(self) {
  NORCH_CHECK(!overlaps_itself(self), op, ": unsupported operation: more than one element of the written-to tensor ",
              "refers to a single memory location. Please clone() the tensor before performing the operation.");
  if (grad_enabled()) {
    const Meta* meta = self.impl()->meta.get();
    const bool is_view = meta && meta->base.defined();
    NORCH_CHECK(!(self.impl()->requires_grad && !self.impl()->grad_fn), op,
                ": a leaf Variable that requires grad is being used in an in-place operation.");
    if (is_view && self.requires_grad()) {
      NORCH_CHECK(!(meta->base.impl()->requires_grad && meta->base.is_leaf()), op,
                  ": a view of a leaf Variable that requires grad is being used in an in-place operation.");
      NORCH_CHECK(meta->view_kind != ViewKind::NoGradMode, op,
                  ": A view was created in no_grad mode and is being modified inplace with grad mode enabled. Make the "
                  "view with grad mode enabled, or modify it under no_grad.");
      NORCH_CHECK(meta->view_kind != ViewKind::MultiOutput, op,
                  ": This view is the output of a function that returns multiple views. Such functions do not allow the "
                  "output views to be modified inplace. You should replace the inplace operation by an out-of-place one.");
    }
    NORCH_CHECK(!self.impl()->inference || inference_mode(), op,
                ": Inplace update to inference tensor outside InferenceMode is not allowed; clone() it first.");
  }
  input_ = shallow_copy(self);
  if (const Ref<Node>& node = self.grad_fn()) {
    input_.impl()->grad_fn = node;
    input_.impl()->output_nr = self.impl()->output_nr;
  }
  output_ = shallow_copy(self);
  output_.impl()->pending_write = true;
}

Tensor InPlace::finish(const Tensor& out) {
  TensorImpl& self = *self_.impl();
  if (!(out.storage() == self.storage)) {
    NORCH_CHECK(out.sizes() == Ints(self.sizes), op_, ": output with shape ", self.sizes,
                " doesn't match the broadcast shape ", out.sizes());
    NORCH_CHECK(can_cast(out.dtype(), self.dtype), op_, ": result type ", out.dtype(),
                " can't be cast to the desired output type ", self.dtype);
    NoGrad off;
    copy_into(output_, out);
  }
  self.storage->bump_version();
  Ref<Node> node = out.impl()->grad_fn;
  Meta* meta = self.meta.get();
  if (!node) {
    // Without a recorded op (grad mode off, or nothing requires grad) the history stays as it was.
    if (meta && meta->base.defined() && meta->grad_fn_version + 1 == self.storage->version())
      meta->grad_fn_version = self.storage->version();
    return self_;
  }
  if (meta && meta->base.defined()) {
    const Tensor base = meta->base;
    Ref<Node> slices(new CopySlices(base, self_, node, out.impl()->output_nr));
    base.impl()->grad_fn = slices;
    base.impl()->output_nr = 0;
    base.impl()->requires_grad = false;
    self_.grad_fn();  // rebuilt from the base, whose version has moved on
  } else {
    const bool retained = retains_grad(self_);
    if (retained) forget_retained(self);
    self.grad_fn = node;
    self.output_nr = out.impl()->output_nr;
    if (retained) retain_grad(self_);
  }
  return self_;
}

void mark_view(const Tensor& view, const Tensor& base) {
  const Meta* base_meta = base.impl()->meta.get();
  const bool of_view = base_meta && base_meta->base.defined();
  Meta& meta = meta_of(view);
  meta.base = of_view ? base_meta->base : base;
  meta.grad_fn_version = view.version();
  if (!grad_enabled() && !inference_mode())
    meta.view_kind = ViewKind::NoGradMode;
  else if (of_view)
    meta.view_kind = base_meta->view_kind;
}

}  // namespace norch::autograd
