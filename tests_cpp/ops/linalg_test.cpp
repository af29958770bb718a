#include "norch/ops/linalg.h"

#include "error_text.h"
#include "ops/op_testing.h"

namespace norch {
namespace {

using testing::check_gradients;
using testing::max_difference;
using testing::numbers;

Tensor matrices() { return numbers({2, 3, 3}, kFloat64, 5) + eye(3, kFloat64) * Scalar(4); }

TEST(Linalg, SolvesAndInverts) {
  const Tensor a = matrices(), b = numbers({2, 3, 2}, kFloat64, 6);
  EXPECT_LT(max_difference(matmul(a, linalg::solve(a, b)), b), 1e-12);
  EXPECT_LT(max_difference(matmul(linalg::inv(a), a), expand(eye(3, kFloat64), {2, 3, 3})), 1e-12);
  const linalg::LUFactor f = linalg::lu_factor(a);
  EXPECT_LT(max_difference(linalg::lu_solve(f.lu, f.pivots, b), linalg::solve(a, b)), 1e-12);
  EXPECT_LT(max_difference(matmul(matmul(lu_unpack(f.lu, f.pivots).p, lu_unpack(f.lu, f.pivots).l),
                                  lu_unpack(f.lu, f.pivots).u), a), 1e-12);
}

TEST(Linalg, FactorsMultiplyToTheMatrix) {
  const Tensor a = numbers({2, 4, 3}, kFloat64, 7);
  const linalg::SVD f = linalg::svd(a, false);
  EXPECT_LT(max_difference(matmul(f.u * unsqueeze(f.s, -2), f.vh), a), 1e-12);
  const linalg::QR g = linalg::qr(a);
  EXPECT_LT(max_difference(matmul(g.q, g.r), a), 1e-12);
  const Reflectors h = geqrf(a);
  EXPECT_LT(max_difference(linalg::householder_product(h.a, h.tau), g.q), 1e-12);
  const Tensor s = matmul(adjoint(a), a);
  const linalg::Eigen e = linalg::eigh(s);
  EXPECT_LT(max_difference(matmul(e.vectors * unsqueeze(e.values, -2), adjoint(e.vectors)), s), 1e-11);
}

TEST(Linalg, HasGradients) {
  check_gradients([](const TensorList& x) { return linalg::det(x[0]); }, {matrices() * Scalar(0.25)});
  check_gradients([](const TensorList& x) { return linalg::solve(x[0], x[1]); }, {matrices(), numbers({2, 3}, kFloat64, 8)});
  check_gradients([](const TensorList& x) { return linalg::pinv(x[0]); }, {numbers({3, 2}, kFloat64, 9) * Scalar(0.2) + eye(3, 2, kFloat64)});
}

TEST(Linalg, ErrorsSayWhichMatrix) {
  Tensor a = matrices();
  zero_(select(a, 0, 1));
  try {
    linalg::inv(a);
    FAIL() << "nothing was raised";
  } catch (const linalg::LinAlgError& e) {
    EXPECT_NE(std::string(e.what()).find("(Batch element 1): The diagonal element 1 is zero"), std::string::npos);
  }
  EXPECT_ERROR(Error, linalg::det(numbers({2, 3}, kFloat64, 1)), "they are 2 by 3 matrices");
}

}  // namespace
}  // namespace norch
