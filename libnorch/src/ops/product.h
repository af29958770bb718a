// The products that the ops of this folder are written in: recorded, and closed under differentiation, with a flag in
// place of every transposed view.
#pragma once

#include <optional>

#include "kernels/gemm.h"
#include "norch/tensor.h"

namespace norch {

/// op(a) op(b) over the last two dims, where op transposes them if its flag is set; the dims before them broadcast.
/// Both have at least 2 dims. Shapes, dtypes and devices must have been checked. With a `dtype` of float32 that of 16-bit
/// floats is not rounded: for a gradient that Backward::best_dtype wants so, not for what is recorded itself.
Tensor product(const char* name, const Tensor& a, bool trans_a, const Tensor& b, bool trans_b,
               std::optional<DType> dtype = {});

/// x op(w) + bias over the last dim of x, which has at least 1 dim; w is a matrix, op as above, and bias is 1-d or
/// undefined. All dims of x but the last count as rows of one matrix.
Tensor affine(const char* name, const Tensor& x, const Tensor& w, bool trans_w, const Tensor& bias = {});

/// out = alpha * op(a) op(b) + beta * out, below autograd. `out` has the product's shape and is contiguous; it may be of
/// float32 where a and b are of 16-bit floats.
void product_into(const Tensor& out, const Tensor& a, bool trans_a, const Tensor& b, bool trans_b,
                  const Scalar& alpha = 1, const Scalar& beta = 0);

/// What every op here checks first. \throws Error.
void check_same_device(const char* op, const Tensor& a, const Tensor& b);
/// C++'s name of a dtype as PyTorch writes it in the errors of products: "float", "long int", "c10::Half".
const char* ctype_name(DType t);
/// PyTorch's other name of a dtype: "Float", "Long", "Half".
const char* scalar_type_name(DType t);

}  // namespace norch
