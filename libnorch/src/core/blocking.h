// Stretches in which this thread computes or waits for long: a language binding may let others run meanwhile.
#pragma once

#include "norch/export.h"

namespace norch {

/// Called around long stretches: `leave` returns what `enter` gets back. Set once by the bindings, which let go of
/// Python's lock when the calling thread holds it.
NORCH_API void set_blocking_hooks(void* (*leave)(), void (*enter)(void* state));

class BlockingScope {
 public:
  BlockingScope();
  ~BlockingScope();
  BlockingScope(const BlockingScope&) = delete;
  BlockingScope& operator=(const BlockingScope&) = delete;

 private:
  void* state_;
};

}  // namespace norch
