// A backward pass over a graph: one thread, later ops first.
//
// A pass finds every node reachable from the roots, counts for each how many edges lead to it, and runs a node when
// all its gradients have arrived, the most recently recorded first. All state of a pass is local to it, so hooks and
// custom functions may start passes of their own. No step recurses over the graph.
#pragma once

#include <utility>
#include <vector>

#include "autograd/node.h"
#include "autograd/task_index.h"

namespace norch::autograd {

class Pass {
 public:
  Pass(bool retain_graph, bool create_graph) : retain_(retain_graph), mode_(create_graph) {}

  /// The innermost that runs on this thread, or null.
  static Pass* current();
  /// Passes are numbered when somebody asks.
  int64_t number();
  /// Whether the pass runs the node, or shows a gradient of it.
  bool runs(const Node& node) { return index_.contains(&node) && runs(index_.at(&node)); }
  bool runs_numbered(uint64_t sequence_nr);

  void add_root(const Edge& edge, const Tensor& grad);
  /// Finds all nodes and counts edges. With targets, marks the nodes that lead to one.
  void prepare(const std::vector<Edge>* captures, const std::vector<Edge>* accumulate);
  /// Runs everything; captured gradients go to `results`.
  void run(TensorList* results);

  /// See Backward::take_sum.
  Tensor take_sum(const Node& node, size_t i);
  /// See Backward::best_dtype.
  DType best_dtype(const Edge& e);
  /// Whether saved tensors are dropped once their node has run, and no op on them is recorded.
  bool drops_saved() const { return !retain_ && !mode_; }

 private:
  struct Task {
    Node* node;
    uint32_t waiting_for = 0;  // edges into this node that have not delivered yet
    bool needed = true;        // leads to something that was asked for
    SmallVector<Tensor, 2> grads;
  };
  /// A gradient that the caller wants to see: that of output `output_nr` of a node.
  struct Capture {
    uint32_t task;
    uint32_t output_nr;
    size_t result;
  };

  bool runs(uint32_t task) const;
  /// The index of the node's task, a new one if need be.
  uint32_t discover(Node* node);
  void push_ready(uint32_t task);
  void process(uint32_t index, TensorList* results);
  // What is rarely wanted, hooks and profiles, stays out of the way of what every node does.
  [[gnu::noinline]] void process_recorded(uint32_t index, TensorList* results);
  bool wanted(const Edge& e);
  void deliver(const Node& from, const Edge& e, size_t i, Tensor g);
  /// Whether the node that e leads to gets but one gradient there, which is yet to come over e, and nobody else sees it.
  bool takes_one(const Edge& e);
  void add_to(Tensor& slot, Tensor grad);

  bool retain_, mode_;
  int64_t number_ = -1;
  std::vector<Task> tasks_;
  TaskIndex index_;
  std::vector<Capture> captures_;
  std::vector<std::pair<uint64_t, uint32_t>> ready_;
  std::vector<Ref<Node>> keep_alive_;
};

}  // namespace norch::autograd
