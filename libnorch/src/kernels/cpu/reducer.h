// The walk of CPU reductions: who reduces which part, in what order. Compiled once; the loops over elements are
// function pointers that a kernel file instantiates per op and dtype (reduce_loops.h).
#pragma once

#include "kernels/reduce_plan.h"

namespace norch::kernels::cpu {

/// The inner loops of one reduction. `w` are partial results, one for each output in hand.
struct Reducer {
  /// Bytes of a partial result; at most kMaxPartial.
  size_t partial;
  /// Sets m partial results to those of nothing.
  void (*init)(const void* op, void* w, int64_t m);
  /// Folds `rows` rows of n elements `stride` bytes apart, row_stride bytes from each other, into a partial result each.
  /// The first element is number `first` of its reduction.
  void (*rows)(const void* op, void* w, const char* x, int64_t rows, int64_t row_stride, int64_t n, int64_t stride,
               int64_t first);
  /// Folds `rows` rows of m elements, element j into partial result j.
  void (*cols)(const void* op, void* w, const char* x, int64_t m, int64_t stride, int64_t rows, int64_t row_stride,
               int64_t first);
  /// Joins m partial results with those of a later part.
  void (*merge)(const void* op, void* w, const void* later, int64_t m);
  /// Stores m results as outputs at, at + step, ...
  void (*finish)(const void* op, const void* w, int64_t at, int64_t step, int64_t m);
};

inline constexpr int64_t kMaxPartial = 24;

void run_reduction(const ReducePlan& plan, const Reducer& r, const void* op);

}  // namespace norch::kernels::cpu
