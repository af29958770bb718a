#include "core/blocking.h"

#include <atomic>

namespace norch {

namespace {
std::atomic<void* (*)()> g_leave{nullptr};
std::atomic<void (*)(void*)> g_enter{nullptr};
}  // namespace

void set_blocking_hooks(void* (*leave)(), void (*enter)(void*)) {
  g_enter.store(enter);
  g_leave.store(leave);
}

BlockingScope::BlockingScope() : state_(nullptr) {
  if (auto* leave = g_leave.load(std::memory_order_acquire)) state_ = leave();
}

BlockingScope::~BlockingScope() {
  if (state_) g_enter.load(std::memory_order_acquire)(state_);
}

}  // namespace norch
