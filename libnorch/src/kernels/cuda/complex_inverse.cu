#include "kernels/cuda/complex.h"

#include "kernels/complex_math.h"
#include "kernels/cuda/loops.cuh"

namespace norch::kernels::cuda {

void complex_inverse(UnaryOp op, const Plan& plan) {
  visit_complex("complex", plan.dtype[1], [&](auto tag) {
    using Z = typename decltype(tag)::type;
    switch (op) {
#define NORCH_CASE(name, function) \
  case UnaryOp::name: return elementwise<Z, Z>(plan, of_complex::name{});
      NORCH_COMPLEX_INVERSE(NORCH_CASE)
#undef NORCH_CASE
      default: return;
    }
  });
}

}  // namespace norch::kernels::cuda
