#include "kernels/factory.h"

#include "kernels/cpu/loops.h"
#include "kernels/cpu/parallel.h"

namespace norch::kernels::cpu::NORCH_ISA {

namespace {

template <class T, class F>
void generate(const Tensor& out, const F& f) {
  T* p = static_cast<T*>(out.data_ptr());
  parallel_for(out.numel(), kGrain, [&](int64_t begin, int64_t end) {
#pragma omp simd
    for (int64_t i = begin; i < end; ++i) p[i] = f(i);
  });
}

}  // namespace

void arange(const Tensor& out, const Scalar& start, const Scalar& step) {
  visit_numbers("arange", out.dtype(), [&](auto tag) {
    using T = typename decltype(tag)::type;
    generate<T>(out, ArangeAt<T>(start, step, out.numel()));
  });
}

void linspace(const Tensor& out, double start, double end) {
  visit_numbers("linspace", out.dtype(), [&](auto tag) {
    using T = typename decltype(tag)::type;
    generate<T>(out, LinspaceAt<T>(start, end, out.numel()));
  });
}

}  // namespace norch::kernels::cpu::NORCH_ISA
