#include "kernels/linalg.h"

#include <numeric>

#include "kernels/cpu/linalg.h"

namespace norch::kernels::cpu {

using blas::Lapack;

void cholesky(const Tensor& a, const Tensor& info, bool upper) {
  visit_lapack("cholesky", a.dtype(), [&](auto tag) {
    using T = typename decltype(tag)::type;
    const Matrices x(a);
    for_each_part(x.count, std::pow(x.n, 3) / 3, [&](int64_t begin, int64_t end) {
      for (int64_t i = begin; i < end; ++i)
        info.data<int32_t>()[i] = Lapack<T>::potrf(upper ? 'U' : 'L', x.n, a.data<T>() + i * x.step, x.n);
    });
  });
}

void lu(const Tensor& a, const Tensor& pivots, const Tensor& info, bool pivot) {
  NORCH_CHECK(pivot, "linalg.lu_factor: LU without pivoting is not implemented on the CPU; use pivot=True");
  visit_lapack("lu_factor", a.dtype(), [&](auto tag) {
    using T = typename decltype(tag)::type;
    const Matrices x(a);
    const int64_t k = std::min(x.m, x.n);
    for_each_part(x.count, static_cast<double>(x.step) * k, [&](int64_t begin, int64_t end) {
      for (int64_t i = begin; i < end; ++i)
        info.data<int32_t>()[i] =
            Lapack<T>::getrf(x.m, x.n, a.data<T>() + i * x.step, x.m, pivots.data<int32_t>() + i * k);
    });
  });
}

void lu_order(const Tensor& order, const Tensor& pivots) {
  const int64_t m = order.size(-1), k = pivots.size(-1), count = order.numel() / m;
  for (int64_t i = 0; i < count; ++i) {
    int64_t* row = order.data<int64_t>() + i * m;
    std::iota(row, row + m, int64_t{0});
    for (int64_t j = 0; j < k; ++j) {
      const int64_t other = int64_t{pivots.data<int32_t>()[i * k + j]} - 1;
      NORCH_CHECK(other >= 0 && other < m, "lu_unpack: pivots passed must be between 1 and ", m, ", got ", other + 1);
      std::swap(row[j], row[other]);
    }
  }
}

void qr(const Tensor& a, const Tensor& tau) {
  visit_lapack("qr", a.dtype(), [&](auto tag) {
    using T = typename decltype(tag)::type;
    const Matrices x(a);
    const int64_t k = std::min(x.m, x.n);
    T best{};
    Lapack<T>::geqrf(x.m, x.n, a.data<T>(), x.m, tau.data<T>(), &best, -1);
    const int lwork = workspace_size("linalg.qr", best);
    for_each_part(x.count, 2.0 * x.step * k, [&](int64_t begin, int64_t end) {
      const auto work = workspace<T>(lwork);
      for (int64_t i = begin; i < end; ++i)
        Lapack<T>::geqrf(x.m, x.n, a.data<T>() + i * x.step, x.m, tau.data<T>() + i * k, work.get(), lwork);
    });
  });
}

void solve_triangular(const Tensor& a, const Tensor& b, bool left, bool upper, char op, bool unit) {
  visit_lapack("solve_triangular", a.dtype(), [&](auto tag) {
    using T = typename decltype(tag)::type;
    const Matrices x(a), y(b);
    for_each_part(y.count, static_cast<double>(y.step) * x.n, [&](int64_t begin, int64_t end) {
      for (int64_t i = begin; i < end; ++i)
        Lapack<T>::trsm(left ? 'L' : 'R', upper ? 'U' : 'L', op, unit ? 'U' : 'N', y.m, y.n, a.data<T>() + i * x.step,
                        x.n, b.data<T>() + i * y.step, y.m);
    });
  });
}

void ldl(const Tensor& a, const Tensor& pivots, const Tensor& info, bool hermitian) {
  visit_lapack("ldl_factor", a.dtype(), [&](auto tag) {
    using T = typename decltype(tag)::type;
    const Matrices x(a);
    T best{};
    Lapack<T>::ldl(hermitian, 'L', x.n, a.data<T>(), x.n, pivots.data<int32_t>(), &best, -1);
    const int lwork = workspace_size("linalg.ldl_factor", best);
    for_each_part(x.count, std::pow(x.n, 3) / 3, [&](int64_t begin, int64_t end) {
      const auto work = workspace<T>(lwork);
      for (int64_t i = begin; i < end; ++i)
        info.data<int32_t>()[i] = Lapack<T>::ldl(hermitian, 'L', x.n, a.data<T>() + i * x.step, x.n,
                                                 pivots.data<int32_t>() + i * x.n, work.get(), lwork);
    });
  });
}

void ldl_solve(const Tensor& a, const Tensor& pivots, const Tensor& b, bool hermitian) {
  visit_lapack("ldl_solve", a.dtype(), [&](auto tag) {
    using T = typename decltype(tag)::type;
    const Matrices x(a), y(b);
    const int32_t* p = pivots.data<int32_t>();
    for (int64_t i = 0; i < pivots.numel(); ++i)
      NORCH_CHECK(p[i] != 0 && std::abs(int64_t{p[i]}) <= x.n, "linalg.ldl_solve: pivot ", p[i], " is not within ",
                  "1 and ", x.n, " (or their negatives); pass the pivots of linalg.ldl_factor");
    for_each_part(y.count, 2.0 * y.step * x.n, [&](int64_t begin, int64_t end) {
      for (int64_t i = begin; i < end; ++i)
        Lapack<T>::ldl_solve(hermitian, 'L', x.n, y.n, a.data<T>() + i * x.step, x.n, p + i * x.n,
                             b.data<T>() + i * y.step, y.m);
    });
  });
}

}  // namespace norch::kernels::cpu
