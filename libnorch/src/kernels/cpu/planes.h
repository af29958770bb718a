// Loops over planes (an image's channels one by one) that pooling, padding and folding share.
#pragma once

#include <algorithm>

#include "core/factory.h"
#include "kernels/cpu/parallel.h"
#include "kernels/dispatch.h"

namespace norch::kernels::cpu::NORCH_ISA {

namespace {

/// Planes that are worth a thread's wake-up, at so many elements each.
inline int64_t plane_grain(int64_t elements) { return 1 + 16384 / (elements + 1); }

/// Runs add(plane, sums) for every plane of n elements of `out`, where sums (zero at first) has the type in which T is
/// summed, and rounds once. `work` is how many elements a plane's sums are made of.
template <class T, class Add>
void sum_planes(const Tensor& out, int64_t planes, int64_t n, int64_t work, const Add& add) {
  using C = ComputeType<T>;
  T* dst = static_cast<T*>(out.data_ptr());
  parallel_for(planes, plane_grain(work), [&](int64_t begin, int64_t end) {
    Tensor wide;
    if (sizeof(T) != sizeof(C)) wide = new_tensor({n}, dtype_of<C>, kCPU);
    for (int64_t plane = begin; plane < end; ++plane) {
      C* sums = static_cast<C*>(wide.defined() ? wide.data_ptr() : static_cast<void*>(dst + plane * n));
      std::fill(sums, sums + n, C(0));
      add(plane, sums);
      if (wide.defined())
        for (int64_t i = 0; i < n; ++i) dst[plane * n + i] = static_cast<T>(sums[i]);
    }
  });
}

}  // namespace

}  // namespace norch::kernels::cpu::NORCH_ISA
