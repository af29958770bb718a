// The graph: Node (one recorded op), Edge, and what hangs on a tensor.
//
// A Node is the backward of one op. Edges lead from it towards the leaves: edge i says where the gradient of input i
// goes, as (node, which of that node's forward outputs). A leaf's node is its AccumulateGrad.
//
// Ownership runs from results towards leaves: tensor -> grad_fn -> edges -> ... -> AccumulateGrad -> leaf. Nothing
// points the other way with a counted reference, so graphs are freed without a collector (SavedTensor explains how an
// op can save its own output without a cycle).
#pragma once

#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "core/small_vector.h"
#include "norch/autograd.h"
#include "norch/tensor.h"

namespace norch {
struct SparseParts;
}

namespace norch::autograd {

class SavedTensor;
class Pass;

struct Edge {
  Ref<Node> node;
  uint32_t input_nr = 0;
};

/// Shape, dtype and device of a forward output: what its gradient has to look like.
struct OutputMeta {
  Shape sizes;
  DType dtype = DType::Float32;
  Device device;
  /// Whether the node's backward also takes a gradient of a narrower float dtype: what a cast would only widen.
  bool takes_narrow = false;
  /// Whether it hands a gradient of 16-bit floats on as it is to an input of float32 (a cast's): then also one of float32,
  /// which need not be rounded in between.
  bool takes_wide = false;
  /// Whether it takes the gradient's sums over all dims but the last, too (those of a bias).
  bool takes_row_sums = false;
};

/// What a backward closure sees: the gradients of its op's outputs, and where to put those of its inputs.
class NORCH_API Backward {
 public:
  /// `pass` is null for a backward that is run as a part of another node's.
  Backward(Node& node, SmallVector<Tensor, 2>& grads, SmallVector<Tensor, 4>& results, uint64_t needs,
           Pass* pass = nullptr)
      : node_(node), grads_(grads), results_(results), needs_(needs), pass_(pass) {}

  /// Gradient of output i. Undefined if nothing used that output (never for a single-output op).
  const Tensor& grad(size_t i = 0) const { return grads_[i]; }
  /// As grad(i), with zeros for an unused output.
  Tensor grad_or_zeros(size_t i) const;
  size_t num_grads() const { return grads_.size(); }
  /// Whether the gradient of input i is wanted. Inputs past the 63rd share one bit.
  bool needs(size_t i) const { return (needs_ >> (i < 63 ? i : 63)) & 1; }
  /// Hands over the gradient of input i. Broadcasting and dtype are the engine's business: it reduces the gradient to
  /// the input's shape and casts it.
  void set(size_t i, Tensor g) { results_[i] = std::move(g); }
  /// The saved tensor. \throws Error when it was modified in place since it was saved.
  Tensor get(const SavedTensor& s) const;
  /// What has arrived so far, from other nodes, of the gradient that input i's is a part of: contiguous, aligned to 16
  /// bytes, of the input's shape and dtype, and nobody else's. A closure that can add its own part to it for less than
  /// writing it apart does so and hands the sum to set(i). Undefined if nothing has arrived, or nothing that may be
  /// written to; then the closure sets its own part as ever.
  Tensor take_sum(size_t i) const;
  /// The narrower float dtype to which the gradient of input i will be cast next, if the node that it goes to hands it
  /// on so (a sum of tensors of two dtypes, as on a residual path under autocasting). A closure that can write both at
  /// once leaves the narrower beside the other (autocast::set_twin), and beside that its row sums where they are
  /// wanted.
  struct Cast {
    DType dtype;
    bool wants_row_sums;
  };
  std::optional<Cast> cast_next(size_t i) const;
  /// The dtype in which a closure that can make the gradient of input i in either had best do so: float32 where a
  /// gradient of 16-bit floats is cast to that next (a weight's under autocasting), otherwise the input's.
  DType best_dtype(size_t i) const;
  /// Whether the node that the gradient of input i goes to also takes its sums over all dims but the last. A closure
  /// that can make them on the way leaves them beside it (set_row_sums).
  bool wants_row_sums(size_t i) const;
  /// Room for a gradient that looks like `saved`, which is what get() returned: its own memory, if this pass is the
  /// last to need it and nothing else shows it, otherwise new memory.
  Tensor room_like(const Tensor& saved) const;
  Node& node() const { return node_; }

 private:
  Node& node_;
  SmallVector<Tensor, 2>& grads_;
  SmallVector<Tensor, 4>& results_;
  uint64_t needs_;
  Pass* pass_;
};

/// One recorded op.
class NORCH_API Node : public RefCounted {
 public:
  struct TensorHook {
    uint32_t output_nr;
    uint64_t id;
    Ref<Hook> hook;
  };

  /// PyTorch's name of the backward, e.g. "MulBackward0".
  virtual std::string name() const = 0;
  virtual void apply(Backward& ctx) = 0;
  /// Drops what was saved for backward; apply() after that raises.
  virtual void release_saved() {}
  /// The leaf, for an AccumulateGrad; undefined otherwise.
  virtual Tensor variable() const { return {}; }

  SmallVector<Edge, 3> next_edges;
  SmallVector<OutputMeta, 1> outputs;
  std::vector<TensorHook> hooks;
  /// Creation order on this process; backward runs later ops first. AccumulateGrad has the maximum.
  uint64_t sequence_nr;
  /// Where the forward op was called (anomaly mode only).
  std::string forward_context;

 protected:
  Node();
  explicit Node(uint64_t sequence) : sequence_nr(sequence) {}
  ~Node() override = default;
  /// Deletes without recursing, however long the chain behind this node is.
  void on_zero_refs() noexcept override;
};

/// How a view came to be, where in-place writes to it need care.
enum class ViewKind : uint8_t {
  Ordinary,
  NoGradMode,   // made under no_grad: writing to it with grad mode on would bypass the graph silently
  MultiOutput,  // one of several views that one op returned: their histories cannot be rebased one by one
};

/// The rarely used part of a tensor's autograd state.
struct Meta {
  Tensor grad;
  Node* accumulator = nullptr;  // a leaf's AccumulateGrad, not counted; guarded by a lock in accumulate_grad.cpp
  bool retains_grad = false;
  uint64_t next_hook_id = 1;
  std::vector<Node::TensorHook> leaf_hooks;
  std::vector<Node::TensorHook> post_accumulate_hooks;
  // Views: the tensor whose memory this one shows, which is never itself a view, and the storage's version at which
  // grad_fn was right. A later in-place write makes grad_fn() rebuild it from the base's.
  Tensor base;
  uint32_t grad_fn_version = 0;
  ViewKind view_kind = ViewKind::Ordinary;
  // A sparse gradient's coordinates and values (see sparse_grad.h).
  std::shared_ptr<const SparseParts> sparse;
  // The same values in the dtype that autocasting casts to, as the op that made this tensor left them (see
  // autocast::set_twin), and the storage's version at which they were the same.
  Tensor twin;
  uint32_t twin_version = 0;
  // Of a gradient: its sums over all dims but the last, as the op that made it left them, and as above.
  Tensor row_sums;
  uint32_t row_sums_version = 0;
};

/// The Meta of a tensor, made if missing.
NORCH_API Meta& meta_of(const Tensor& t);
/// Where the gradient of `t` goes; a null node if it requires none.
NORCH_API Edge gradient_edge(const Tensor& t);
/// The AccumulateGrad of a leaf that requires grad.
NORCH_API Ref<Node> accumulator_of(const Tensor& leaf);
/// Makes the leaf get a new AccumulateGrad: its shape or dtype was changed.
NORCH_API void forget_accumulator(const Tensor& leaf);
/// The tensor that `t` is a view of, undefined if it is none.
NORCH_API Tensor base_of(const Tensor& t);
/// Makes `view` a differentiable view of `base` (or of base's own base).
NORCH_API void mark_view(const Tensor& view, const Tensor& base);
/// Captures where ops are called from, for anomaly mode (the bindings return a Python traceback).
NORCH_API void set_anomaly_context(std::string (*source)());

/// Which part of a base's memory a view shows, counted from the base's first element. The view may show the parts of
/// complex numbers as real ones, or pairs of real numbers as complex ones.
class ViewGeometry {
 public:
  ViewGeometry(const Tensor& base, const Tensor& view);
  /// That part of `like`, which has the base's dtype and strides. Differentiable.
  Tensor take(const Tensor& like) const;
  /// A copy of `like` with that part replaced. Differentiable.
  Tensor put(const Tensor& like, const Tensor& part) const;
  Ints sizes() const { return sizes_; }
  DType dtype() const { return dtype_; }

 private:
  bool as_real_ = false, as_complex_ = false;  // what the view makes of the base's elements
  DType dtype_;
  Shape sizes_;
  // In memory seen as the base, or as real numbers under as_real_.
  Shape sizes_in_memory_, strides_;
  int64_t offset_;
};

/// Removes the hook that retain_grad put on the tensor's grad_fn.
void forget_retained(TensorImpl& impl);
/// A new tensor object on the same memory with no history, for code below autograd.
NORCH_API Tensor shallow_copy(const Tensor& t);

/// Keeps the sums of a gradient over all dims but the last beside it: who needs them (the engine, for the gradient of a
/// bias) takes them instead of reading it again, unless it is written to first.
NORCH_API void set_row_sums(const Tensor& grad, const Tensor& sums);
/// What set_row_sums kept, undefined if nothing or no longer right.
NORCH_API Tensor row_sums(const Tensor& grad);

}  // namespace norch::autograd
