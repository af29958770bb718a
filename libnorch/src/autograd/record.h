// record(): the only way by which an op enters the graph.
//
//   Tensor mul(const Tensor& a, const Tensor& b) {
//     Tensor out = ...;
//     if (recording(a, b)) {
//       record("MulBackward0", {a, b}, {out}, [a = save_if(wants_grad(b), a), b = save_if(wants_grad(a), b)](Backward& ctx) {
//         if (ctx.needs(0)) ctx.set(0, mul(ctx.grad(), ctx.get(b)));
//         if (ctx.needs(1)) ctx.set(1, mul(ctx.grad(), ctx.get(a)));
//       });
//     }
//     return out;
//   }
#pragma once

#include <optional>
#include <utility>

#include "autograd/saved_tensor.h"
#include "core/tensor_refs.h"

namespace norch::autograd {

inline bool wants_grad(const Tensor& t) { return t.defined() && t.requires_grad(); }
inline bool wants_grad(const TensorList& list) {
  for (const Tensor& t : list)
    if (wants_grad(t)) return true;
  return false;
}

/// Whether an op on these inputs has to be recorded (grad mode is on and one of them requires grad).
template <class... T>
bool recording(const T&... inputs) {
  return grad_enabled() && (wants_grad(inputs) || ...);
}

namespace detail {
NORCH_API void connect(Node& node, TensorRefs inputs);
NORCH_API void attach(const Ref<Node>& node, TensorRefs outputs);
[[noreturn]] NORCH_API void freed_twice();

template <class F>
class ClosureNode final : public Node {
 public:
  ClosureNode(const char* name, F&& f) : name_(name), f_(std::move(f)) {}
  std::string name() const override { return name_; }
  void apply(Backward& ctx) override {
    if (!f_) freed_twice();
    (*f_)(ctx);
  }
  void release_saved() override { f_.reset(); }

 private:
  const char* name_;
  std::optional<F> f_;
};
}  // namespace detail

/// Makes `outputs` results of an op on `inputs` whose backward is `f(Backward&)`. Outputs of non-float dtype (indices)
/// take no part. The op's inputs are numbered in the order given; undefined ones are allowed. An op that has an
/// in-place form gives the tensor it overwrites as input 0 (see in_place.h).
template <class F>
void record(const char* name, TensorRefs inputs, TensorRefs outputs, F f) {
  Ref<Node> node(new detail::ClosureNode<F>(name, std::move(f)));
  detail::connect(*node, inputs);
  detail::attach(node, outputs);
}

}  // namespace norch::autograd
