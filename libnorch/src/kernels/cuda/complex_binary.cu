#include "kernels/complex.h"
#include "kernels/complex_math.h"
#include "kernels/cuda/loops.cuh"

namespace norch::kernels::cuda {

void binary_complex(const char* op_name, BinaryOp op, const Plan& plan, const Scalar& alpha) {
  visit_complex(op_name, plan.dtype[1], [&](auto tag) {
    using Z = typename decltype(tag)::type;
    const Z scale = alpha.to<Z>();
    switch (op) {
      case BinaryOp::Add:
      case BinaryOp::Sub:
        if (scale == Z(1))
          return op == BinaryOp::Add ? elementwise<Z, Z, Z>(plan, of_complex::Add{})
                                     : elementwise<Z, Z, Z>(plan, of_complex::Sub{});
        return elementwise<Z, Z, Z>(plan, of_complex::AddScaled(op == BinaryOp::Add ? scale : -scale));
#define NORCH_CASE(name) \
  case BinaryOp::name: return elementwise<Z, Z, Z>(plan, of_complex::name{});
      NORCH_COMPLEX_BINARY(NORCH_CASE)
#undef NORCH_CASE
#define NORCH_CASE(name) \
  case BinaryOp::name: return elementwise<bool, Z, Z>(plan, of_complex::name{});
      NORCH_COMPLEX_COMPARE(NORCH_CASE)
#undef NORCH_CASE
      default: no_complex_op(op_name, plan.dtype[1]);
    }
  });
}

}  // namespace norch::kernels::cuda
