#include "kernels/cpu/linalg.h"
#include "kernels/linalg.h"

namespace norch::kernels::cpu {

using blas::Lapack;

namespace {

template <class T>
bool triangle_is_finite(const T* a, int n, bool upper) {
  bool finite = true;
  for (int64_t j = 0; j < n; ++j)
    finite &= upper ? all_finite(a + j * n, j + 1) : all_finite(a + j * n + j, n - j);
  return finite;
}

/// Eigenvalues and vectors of one real matrix: complex pairs lie in two neighbouring columns.
template <class R>
int eig_of(R* a, int n, Complex<R>* w, Complex<R>* v, R* work, int lwork, R* parts) {
  R *re = parts, *im = parts + n, *vectors = parts + 2 * int64_t{n};
  const int info = Lapack<R>::geev(v ? 'V' : 'N', n, a, re, im, vectors, work, lwork);
  for (int64_t j = 0; j < n; ++j) w[j] = {re[j], im[j]};
  if (!v || info) return info;
  for (int64_t j = 0; j < n; ++j) {
    const R* x = vectors + j * n;
    if (im[j] == 0 || j + 1 == n) {
      for (int64_t i = 0; i < n; ++i) v[j * n + i] = {x[i], R(0)};
    } else {
      for (int64_t i = 0; i < n; ++i) {
        v[j * n + i] = {x[i], x[n + i]};
        v[(j + 1) * n + i] = {x[i], -x[n + i]};
      }
      ++j;
    }
  }
  return 0;
}
template <class R>
int eig_of(Complex<R>* a, int n, Complex<R>* w, Complex<R>* v, Complex<R>* work, int lwork, R* parts) {
  return Lapack<Complex<R>>::geev(v ? 'V' : 'N', n, a, w, v, work, lwork, parts);
}

template <class R>
R best_eig_workspace(char job, int n, R* a) {
  R best{}, unused{};
  Lapack<R>::geev(job, n, a, &unused, &unused, &unused, &best, -1);
  return best;
}
template <class R>
Complex<R> best_eig_workspace(char job, int n, Complex<R>* a) {
  Complex<R> best{}, unused{};
  R rwork{};
  Lapack<Complex<R>>::geev(job, n, a, &unused, &unused, &best, -1, &rwork);
  return best;
}

}  // namespace

void svd(const Tensor& a, const Tensor& u, const Tensor& s, const Tensor& vh, const Tensor& info) {
  visit_lapack("svd", a.dtype(), [&](auto tag) {
    using T = typename decltype(tag)::type;
    using R = RealOf<T>;
    const Matrices x(a);
    const int k = std::min(x.m, x.n);
    const bool vectors = u.defined();
    const int rows = vectors ? static_cast<int>(vh.size(-2)) : 1, columns = vectors ? static_cast<int>(u.size(-1)) : 1;
    const char job = !vectors ? 'N' : columns == x.m && rows == x.n ? 'A' : 'S';
    const int64_t small = k, large = std::max(x.m, x.n);
    // Only complex calls use it; the length is the one that LAPACK documents.
    const int64_t rwork_size =
        is_complex_v<T> ? std::max(5 * small * small + 7 * small, 2 * small * large + 2 * small * small + small) : 0;
    T best{}, unused{};
    R runused{};
    int iunused = 0;
    Lapack<T>::gesdd(job, x.m, x.n, a.data<T>(), s.data<R>(), &unused, &unused, rows, &best, -1, &runused, &iunused);
    const int lwork = workspace_size("linalg.svd", best);
    for_each_part(x.count, 8.0 * x.step * k, [&](int64_t begin, int64_t end) {
      const auto work = workspace<T>(lwork);
      const auto rwork = workspace<R>(rwork_size);
      const auto iwork = workspace<int>(8 * small);
      T none{};
      for (int64_t i = begin; i < end; ++i) {
        T* matrix = a.data<T>() + i * x.step;
        T* left = vectors ? u.data<T>() + i * x.m * columns : &none;
        T* right = vectors ? vh.data<T>() + i * rows * int64_t{x.n} : &none;
        info.data<int32_t>()[i] = !all_finite(matrix, x.step)
                                      ? -4
                                      : Lapack<T>::gesdd(job, x.m, x.n, matrix, s.data<R>() + i * k, left, right, rows,
                                                         work.get(), lwork, rwork.get(), iwork.get());
      }
    });
  });
}

void eigh(const Tensor& a, const Tensor& w, const Tensor& info, bool vectors, bool upper) {
  visit_lapack("eigh", a.dtype(), [&](auto tag) {
    using T = typename decltype(tag)::type;
    using R = RealOf<T>;
    const Matrices x(a);
    const char job = vectors ? 'V' : 'N', uplo = upper ? 'U' : 'L';
    T best{};
    R rbest{};
    int liwork = 0;
    Lapack<T>::eigh(job, uplo, x.n, a.data<T>(), w.data<R>(), &best, -1, &rbest, -1, &liwork, -1);
    const int lwork = workspace_size("linalg.eigh", best), lrwork = workspace_size("linalg.eigh", rbest);
    for_each_part(x.count, 4 * std::pow(x.n, 3), [&](int64_t begin, int64_t end) {
      const auto work = workspace<T>(lwork);
      const auto rwork = workspace<R>(lrwork);
      const auto iwork = workspace<int>(liwork);
      for (int64_t i = begin; i < end; ++i) {
        T* matrix = a.data<T>() + i * x.step;
        R* values = w.data<R>() + i * x.n;
        if (triangle_is_finite(matrix, x.n, upper)) {
          info.data<int32_t>()[i] = Lapack<T>::eigh(job, uplo, x.n, matrix, values, work.get(), lwork, rwork.get(),
                                                    lrwork, iwork.get(), liwork);
        } else {
          std::fill_n(values, x.n, std::numeric_limits<R>::quiet_NaN());
          std::fill_n(matrix, x.step, T(std::numeric_limits<R>::quiet_NaN()));
          info.data<int32_t>()[i] = 0;
        }
      }
    });
  });
}

void eig(const Tensor& a, const Tensor& w, const Tensor& v, const Tensor& info) {
  visit_lapack("eig", a.dtype(), [&](auto tag) {
    using T = typename decltype(tag)::type;
    using R = RealOf<T>;
    using Z = Complex<R>;
    const Matrices x(a);
    const bool vectors = v.defined();
    const int lwork = workspace_size("linalg.eig", best_eig_workspace(vectors ? 'V' : 'N', x.n, a.data<T>()));
    for_each_part(x.count, 20 * std::pow(x.n, 3), [&](int64_t begin, int64_t end) {
      const auto work = workspace<T>(lwork);
      const auto parts = workspace<R>(2 * int64_t{x.n} + (is_complex_v<T> ? 0 : x.step));
      for (int64_t i = begin; i < end; ++i)
        info.data<int32_t>()[i] = eig_of(a.data<T>() + i * x.step, x.n, w.data<Z>() + i * x.n,
                                         vectors ? v.data<Z>() + i * x.step : nullptr, work.get(), lwork, parts.get());
    });
  });
}

}  // namespace norch::kernels::cpu
