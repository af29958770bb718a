// Recording what Python calls, for norch.profiler.
#pragma once

#include <initializer_list>

#include "bind.h"
#include "norch/profiler.h"

namespace norch::python {

/// An op that Python calls through one of the Tensor type's own slots (operators, indexing). Rows of functions and
/// methods need nothing of the kind: profiler.cpp finds them.
class OpRange {
 public:
  OpRange(const char* name, std::initializer_list<const Tensor*> inputs) {
    if (profiler::on()) begin(name, inputs);
  }
  ~OpRange() {
    if (token_.log) profiler::detail::leave(token_);
  }
  OpRange(const OpRange&) = delete;
  OpRange& operator=(const OpRange&) = delete;

 private:
  void begin(const char* name, std::initializer_list<const Tensor*> inputs);
  profiler::detail::Token token_;
};

/// norch._C._profiler: what norch.profiler is made of. After all rows.
void bind_profiler(Binder& b);

}  // namespace norch::python
