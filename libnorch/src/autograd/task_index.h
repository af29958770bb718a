#pragma once

#include <cstddef>
#include <cstdint>

namespace norch::autograd {

class Node;

/// Node -> index of its task. Open addressing; a small graph needs no heap memory.
class TaskIndex {
 public:
  TaskIndex() : slots_(inline_), mask_(kInline - 1) {}
  ~TaskIndex() {
    if (slots_ != inline_) delete[] slots_;
  }
  TaskIndex(const TaskIndex&) = delete;
  TaskIndex& operator=(const TaskIndex&) = delete;

  /// The index of `node`, or `next` after entering the node with it.
  uint32_t find_or_insert(const Node* node, uint32_t next) {
    if (2 * (n_ + 1) > mask_ + 1) grow();
    Slot& s = slot(node);
    if (s.node) return s.task;
    s = {node, next};
    ++n_;
    return next;
  }
  uint32_t at(const Node* node) { return slot(node).task; }
  bool contains(const Node* node) { return slot(node).node != nullptr; }

 private:
  static constexpr size_t kInline = 32;
  struct Slot {
    const Node* node = nullptr;
    uint32_t task = 0;
  };
  Slot& slot(const Node* node) {
    size_t i = (reinterpret_cast<uintptr_t>(node) >> 4) * 0x9E3779B97F4A7C15ull >> 20;
    while (slots_[i & mask_].node && slots_[i & mask_].node != node) ++i;
    return slots_[i & mask_];
  }
  void grow() {
    Slot* old = slots_;
    const size_t size = mask_ + 1;
    slots_ = new Slot[size * 4];
    mask_ = size * 4 - 1;
    for (size_t i = 0; i < size; ++i)
      if (old[i].node) slot(old[i].node) = old[i];
    if (old != inline_) delete[] old;
  }

  Slot inline_[kInline];
  Slot* slots_;
  size_t mask_;
  size_t n_ = 0;
};

}  // namespace norch::autograd
