#include "kernels/reduce.h"

#include "kernels/cpu/parallel.h"
#include "kernels/dispatch.h"

namespace norch::kernels::cpu::NORCH_ISA {

void sum(const Tensor& out, const Tensor& in, int64_t outer, int64_t n, int64_t inner) {
  visit_all(in.dtype(), [&](auto tag) {
    using T = typename decltype(tag)::type;
    using S = SumType<T>;
    const T* x = static_cast<const T*>(in.data_ptr());
    auto run = [&](auto* y) {
      parallel_for(outer * inner, 1 + 32768 / (n + 1), [&](int64_t begin, int64_t end) {
        for (int64_t i = begin; i < end; ++i) {
          const T* p = x + (i / inner) * n * inner + i % inner;
          S s = 0;
          for (int64_t j = 0; j < n; ++j) s += static_cast<S>(static_cast<ComputeType<T>>(p[j * inner]));
          y[i] = static_cast<std::remove_reference_t<decltype(y[0])>>(s);
        }
      });
    };
    if (out.dtype() == in.dtype())
      run(static_cast<T*>(out.data_ptr()));
    else
      run(static_cast<S*>(out.data_ptr()));
  });
}

}  // namespace norch::kernels::cpu::NORCH_ISA
