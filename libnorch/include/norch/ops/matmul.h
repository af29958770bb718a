// Products of matrices, vectors and batches of them.
//
// Operands have one dtype (any but bool) and lie on one device. Floats accumulate in float32 (float64 in its own) and
// round once. All of these raise Error for shapes, dtypes or devices that do not fit.
#pragma once

#include <optional>
#include <string>

#include "norch/tensor.h"

namespace norch {

/// The product of the last two dims, the dims before them broadcast. A 1-d operand counts as a row on the left and as a
/// column on the right, and its dim is left out of the result: two 1-d operands give their 0-d dot product.
NORCH_API Tensor matmul(const Tensor& a, const Tensor& b);
/// (m, k) by (k, n) -> (m, n).
NORCH_API Tensor mm(const Tensor& a, const Tensor& b);
/// (b, m, k) by (b, k, n) -> (b, m, n).
NORCH_API Tensor bmm(const Tensor& a, const Tensor& b);
/// (m, k) by (k) -> (m).
NORCH_API Tensor mv(const Tensor& a, const Tensor& v);
/// (k) by (k) -> 0-d. vdot is the same for real numbers.
NORCH_API Tensor dot(const Tensor& a, const Tensor& b);
NORCH_API Tensor vdot(const Tensor& a, const Tensor& b);
/// Sums products over the last dim of both: shape a[:-1] + b[:-1]. A 0-d operand multiplies.
NORCH_API Tensor inner(const Tensor& a, const Tensor& b);
/// (m) and (n) -> (m, n): every product of two elements. The dtypes may differ.
NORCH_API Tensor outer(const Tensor& a, const Tensor& b);

/// beta * input + alpha * (mat1 @ mat2); input broadcasts to the product's shape and is ignored where beta is 0.
NORCH_API Tensor addmm(const Tensor& input, const Tensor& mat1, const Tensor& mat2, const Scalar& beta = 1,
                       const Scalar& alpha = 1);
/// beta * input + alpha * (mat @ vec).
NORCH_API Tensor addmv(const Tensor& input, const Tensor& mat, const Tensor& vec, const Scalar& beta = 1,
                       const Scalar& alpha = 1);
/// beta * input + alpha * outer(vec1, vec2).
NORCH_API Tensor addr(const Tensor& input, const Tensor& vec1, const Tensor& vec2, const Scalar& beta = 1,
                      const Scalar& alpha = 1);
/// beta * input + alpha * bmm(batch1, batch2).
NORCH_API Tensor baddbmm(const Tensor& input, const Tensor& batch1, const Tensor& batch2, const Scalar& beta = 1,
                         const Scalar& alpha = 1);
/// beta * input + alpha * (the sum of the products over the batch).
NORCH_API Tensor addbmm(const Tensor& input, const Tensor& batch1, const Tensor& batch2, const Scalar& beta = 1,
                        const Scalar& alpha = 1);
NORCH_API Tensor addmm_(const Tensor& self, const Tensor& mat1, const Tensor& mat2, const Scalar& beta = 1,
                        const Scalar& alpha = 1);
NORCH_API Tensor addmv_(const Tensor& self, const Tensor& mat, const Tensor& vec, const Scalar& beta = 1,
                        const Scalar& alpha = 1);
NORCH_API Tensor addr_(const Tensor& self, const Tensor& vec1, const Tensor& vec2, const Scalar& beta = 1,
                       const Scalar& alpha = 1);
NORCH_API Tensor baddbmm_(const Tensor& self, const Tensor& batch1, const Tensor& batch2, const Scalar& beta = 1,
                          const Scalar& alpha = 1);
NORCH_API Tensor addbmm_(const Tensor& self, const Tensor& batch1, const Tensor& batch2, const Scalar& beta = 1,
                         const Scalar& alpha = 1);

/// Sums products over the given dims of a and b, paired in order; what remains of a comes before what remains of b.
NORCH_API Tensor tensordot(const Tensor& a, const Tensor& b, Ints dims_a, Ints dims_b);
/// As above over the last `dims` dims of a and the first `dims` of b.
NORCH_API Tensor tensordot(const Tensor& a, const Tensor& b, int64_t dims = 2);
/// Einstein's summation: "ij,jk->ik". Letters name dims, "..." stands for further, broadcast ones; a letter twice in
/// one operand takes its diagonal; without "->" the output has the letters seen once, in alphabetical order. `path`
/// lists the pairs of operands to contract (as NumPy's einsum_path gives them); without it they go left to right.
NORCH_API Tensor einsum(const std::string& equation, const TensorList& operands, Ints path = {});
/// Kronecker's product: every element of a times the whole of b.
NORCH_API Tensor kron(const Tensor& a, const Tensor& b);
/// The product of a chain of matrices in the cheapest order; the first and last may be 1-d.
NORCH_API Tensor multi_dot(const TensorList& tensors);
/// The product of a chain of matrices in the cheapest order.
NORCH_API Tensor chain_matmul(const TensorList& matrices);
/// The cross product of 3-vectors along `dim`; the other dims broadcast.
NORCH_API Tensor linalg_cross(const Tensor& a, const Tensor& b, int64_t dim = -1);
/// As linalg_cross; without a dim, along the first of size 3.
NORCH_API Tensor cross(const Tensor& a, const Tensor& b, std::optional<int64_t> dim = {});
/// The sum of the diagonal of a matrix; integers sum in int64.
NORCH_API Tensor trace(const Tensor& t);

}  // namespace norch
