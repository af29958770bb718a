// The walk of CPU reductions: who reduces which part, in what order. Compiled once; the loops over elements are
// function pointers, which the kernel files instantiate for the few types that reductions compute in.
#pragma once

#include "kernels/reduce_plan.h"

namespace norch::kernels::cpu {

inline constexpr int64_t kMaxPartial = 24;
inline constexpr int64_t kMaxRun = 1024;     // elements of a row that Reducer::rows gets at once
inline constexpr int64_t kMaxColumns = 1024;
inline constexpr int64_t kMaxRows = 64;      // rows that Reducer::cols gets at once

/// The inner loops of one reduction. `w` are partial results, one for each output in hand; `op` is what run_reduction
/// was given. The elements that `rows` and `cols` read are adjacent and of the loops' own type.
struct Reducer {
  /// Bytes of a partial result, at most kMaxPartial, and of an element of the loops' type.
  int64_t partial, size;
  /// Whether the tensor's elements are of the loops' type already; otherwise `load` converts them.
  bool as_they_are;
  /// Whether `first` matters.
  bool counts;
  /// Brings n elements `stride` bytes apart next to each other, in the loops' type.
  void (*load)(const void* op, void* to, const char* from, int64_t n, int64_t stride);
  /// Sets m partial results to those of nothing.
  void (*init)(const void* op, void* w, int64_t m);
  /// Folds `rows` rows of n <= kMaxRun elements, row_stride bytes from each other, into a partial result each. The first
  /// element of row r is number `first` + r * first_step of its reduction.
  void (*rows)(const void* op, void* w, const void* x, int64_t rows, int64_t row_stride, int64_t n, int64_t first,
               int64_t first_step);
  /// Folds `count` <= kMaxRows rows of m <= kMaxColumns elements, element j into partial result j. Row r is element
  /// number first + r.
  void (*cols)(const void* op, void* w, const void* const* row, int64_t count, int64_t m, int64_t first);
  /// Joins m partial results with those of another part.
  void (*merge)(const void* op, void* w, const void* other, int64_t m);
  /// Stores m results as outputs at, at + step, ...
  void (*finish)(const void* op, const void* w, int64_t at, int64_t step, int64_t m);
};

void run_reduction(const ReducePlan& plan, const Reducer& r, const void* op);

}  // namespace norch::kernels::cpu
