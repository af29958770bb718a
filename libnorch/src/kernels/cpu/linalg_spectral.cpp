#include "kernels/linalg.h"

#include "kernels/cpu/linalg.h"

namespace norch::kernels::cpu::NORCH_ISA {

using blas::Lapack;

namespace {

template <class T>
bool triangle_is_finite(const T* a, int n, bool upper) {
  bool finite = true;
  for (int64_t j = 0; j < n; ++j)
    finite &= upper ? all_finite(a + j * n, j + 1) : all_finite(a + j * n + j, n - j);
  return finite;
}

}  // namespace

void svd(const Tensor& a, const Tensor& u, const Tensor& s, const Tensor& vh, const Tensor& info) {
  visit_lapack("svd", a.dtype(), [&](auto tag) {
    using T = typename decltype(tag)::type;
    const Matrices x(a);
    const int k = std::min(x.m, x.n);
    const bool vectors = u.defined();
    const int rows = vectors ? static_cast<int>(vh.size(-2)) : 1, columns = vectors ? static_cast<int>(u.size(-1)) : 1;
    const char job = !vectors ? 'N' : columns == x.m && rows == x.n ? 'A' : 'S';
    const int64_t iwork_size = 8 * int64_t{k};
    T best{}, unused{};
    int iwork_unused = 0;
    Lapack<T>::gesdd(job, x.m, x.n, a.data<T>(), s.data<T>(), &unused, &unused, rows, &best, -1, &iwork_unused);
    const int lwork = workspace_size("linalg.svd", best);
    for_each_part(x.count, 8.0 * x.step * k, [&](int64_t begin, int64_t end) {
      const auto work = workspace<T>(lwork);
      const auto iwork = workspace<int>(iwork_size);
      for (int64_t i = begin; i < end; ++i) {
        T* matrix = a.data<T>() + i * x.step;
        T* left = vectors ? u.data<T>() + i * x.m * columns : &unused;
        T* right = vectors ? vh.data<T>() + i * rows * int64_t{x.n} : &unused;
        info.data<int32_t>()[i] = !all_finite(matrix, x.step)
                                      ? -4
                                      : Lapack<T>::gesdd(job, x.m, x.n, matrix, s.data<T>() + i * k, left, right, rows,
                                                         work.get(), lwork, iwork.get());
      }
    });
  });
}

void eigh(const Tensor& a, const Tensor& w, const Tensor& info, bool vectors, bool upper) {
  visit_lapack("eigh", a.dtype(), [&](auto tag) {
    using T = typename decltype(tag)::type;
    const Matrices x(a);
    const char job = vectors ? 'V' : 'N', uplo = upper ? 'U' : 'L';
    T best{};
    int liwork = 0;
    Lapack<T>::syevd(job, uplo, x.n, a.data<T>(), w.data<T>(), &best, -1, &liwork, -1);
    const int lwork = workspace_size("linalg.eigh", best);
    for_each_part(x.count, 4 * std::pow(x.n, 3), [&](int64_t begin, int64_t end) {
      const auto work = workspace<T>(lwork);
      const auto iwork = workspace<int>(liwork);
      for (int64_t i = begin; i < end; ++i) {
        T* matrix = a.data<T>() + i * x.step;
        T* values = w.data<T>() + i * x.n;
        if (triangle_is_finite(matrix, x.n, upper)) {
          info.data<int32_t>()[i] =
              Lapack<T>::syevd(job, uplo, x.n, matrix, values, work.get(), lwork, iwork.get(), liwork);
        } else {
          std::fill_n(values, x.n, std::numeric_limits<T>::quiet_NaN());
          std::fill_n(matrix, x.step, std::numeric_limits<T>::quiet_NaN());
          info.data<int32_t>()[i] = 0;
        }
      }
    });
  });
}

}  // namespace norch::kernels::cpu::NORCH_ISA
