// The one door to threads.
#pragma once

#include <cstdint>
#include <utility>

#include "norch/parallel.h"

namespace norch::kernels::cpu {

using norch::num_threads;
using norch::set_num_threads;

namespace detail {
using RangeFunction = void (*)(const void* context, int64_t begin, int64_t end);
void parallel_for(int64_t n, int64_t grain, RangeFunction f, const void* context);
}  // namespace detail

/// Calls f(begin, end) on parts that together cover [0, n), from several threads when n exceeds `grain`: the number of
/// items that take about five microseconds, which pays for the help of a thread that is awake. How the range is cut
/// depends on the number of threads, so f must compute each item the same way wherever the cuts fall. The first
/// exception is rethrown here.
template <class F>
void parallel_for(int64_t n, int64_t grain, const F& f) {
  if (n <= 0) return;
  if (n <= grain) {
    f(int64_t{0}, n);
    return;
  }
  detail::parallel_for(
      n, grain, [](const void* context, int64_t begin, int64_t end) { (*static_cast<const F*>(context))(begin, end); },
      &f);
}

}  // namespace norch::kernels::cpu
