#include "kernels/complex_math.h"
#include "kernels/cuda/complex.h"
#include "kernels/cuda/loops.cuh"

namespace norch::kernels::cuda {

void unary_complex(const char* op_name, UnaryOp op, const Plan& plan) {
  visit_complex(op_name, plan.dtype[1], [&](auto tag) {
    using Z = typename decltype(tag)::type;
    switch (op) {
#define NORCH_CASE(name, function) case UnaryOp::name:
      NORCH_COMPLEX_INVERSE(NORCH_CASE)
      return complex_inverse(op, plan);
      NORCH_COMPLEX_PERIODIC(NORCH_CASE)
      return complex_periodic(op, plan);
#undef NORCH_CASE
#define NORCH_CASE(name) \
  case UnaryOp::name: return elementwise<Z, Z>(plan, of_complex::name{});
      NORCH_COMPLEX_UNARY(NORCH_CASE)
#undef NORCH_CASE
#define NORCH_CASE(name) \
  case UnaryOp::name: return elementwise<bool, Z>(plan, of_complex::name{});
      NORCH_COMPLEX_TEST(NORCH_CASE)
#undef NORCH_CASE
      default: no_complex_op(op_name, plan.dtype[1]);
    }
  });
}

}  // namespace norch::kernels::cuda
