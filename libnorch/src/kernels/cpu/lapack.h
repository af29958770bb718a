#pragma once

// The LAPACK functions that norch calls, declared here so that any LAPACK serves without its header. Like those of
// blas.h their names carry the prefix of the library that was chosen when configuring. Arguments are Fortran's: by
// address, matrices column-major, and for each string its length at the end.
//
// Lapack<T> has them under one name and in one form for every element type: arguments by value, the result `info`.
// A workspace length of -1 asks for the best one, which the call writes to work[0] (and iwork[0]).

#include <cstddef>

#include "kernels/cpu/blas.h"
#include "norch/dtype.h"

#define NORCH_LAPACK_DECLARE(T, x) \
  void NORCH_BLAS(x##potrf_)(const char* uplo, const int* n, T* a, const int* lda, int* info, size_t); \
  void NORCH_BLAS(x##getrf_)(const int* m, const int* n, T* a, const int* lda, int* pivots, int* info); \
  void NORCH_BLAS(x##geqrf_)(const int* m, const int* n, T* a, const int* lda, T* tau, T* work, const int* lwork, \
                             int* info); \
  void NORCH_BLAS(x##trsm_)(const char* side, const char* uplo, const char* trans, const char* diag, const int* m, \
                            const int* n, const T* alpha, const T* a, const int* lda, T* b, const int* ldb, size_t, \
                            size_t, size_t, size_t); \
  void NORCH_BLAS(x##sytrf_)(const char* uplo, const int* n, T* a, const int* lda, int* pivots, T* work, \
                             const int* lwork, int* info, size_t); \
  void NORCH_BLAS(x##sytrs_)(const char* uplo, const int* n, const int* nrhs, const T* a, const int* lda, \
                             const int* pivots, T* b, const int* ldb, int* info, size_t);

#define NORCH_LAPACK_DECLARE_REAL(T, x) \
  void NORCH_BLAS(x##gesdd_)(const char* job, const int* m, const int* n, T* a, const int* lda, T* s, T* u, \
                             const int* ldu, T* vt, const int* ldvt, T* work, const int* lwork, int* iwork, \
                             int* info, size_t); \
  void NORCH_BLAS(x##syevd_)(const char* job, const char* uplo, const int* n, T* a, const int* lda, T* w, T* work, \
                             const int* lwork, int* iwork, const int* liwork, int* info, size_t, size_t); \
  void NORCH_BLAS(x##geev_)(const char* left, const char* right, const int* n, T* a, const int* lda, T* re, T* im, \
                            T* vl, const int* ldvl, T* vr, const int* ldvr, T* work, const int* lwork, int* info, \
                            size_t, size_t);

#define NORCH_LAPACK_DECLARE_COMPLEX(Z, R, x) \
  void NORCH_BLAS(x##hetrf_)(const char* uplo, const int* n, Z* a, const int* lda, int* pivots, Z* work, \
                             const int* lwork, int* info, size_t); \
  void NORCH_BLAS(x##hetrs_)(const char* uplo, const int* n, const int* nrhs, const Z* a, const int* lda, \
                             const int* pivots, Z* b, const int* ldb, int* info, size_t); \
  void NORCH_BLAS(x##gesdd_)(const char* job, const int* m, const int* n, Z* a, const int* lda, R* s, Z* u, \
                             const int* ldu, Z* vt, const int* ldvt, Z* work, const int* lwork, R* rwork, \
                             int* iwork, int* info, size_t); \
  void NORCH_BLAS(x##heevd_)(const char* job, const char* uplo, const int* n, Z* a, const int* lda, R* w, Z* work, \
                             const int* lwork, R* rwork, const int* lrwork, int* iwork, const int* liwork, int* info, \
                             size_t, size_t); \
  void NORCH_BLAS(x##geev_)(const char* left, const char* right, const int* n, Z* a, const int* lda, Z* w, Z* vl, \
                            const int* ldvl, Z* vr, const int* ldvr, Z* work, const int* lwork, R* rwork, int* info, \
                            size_t, size_t);

extern "C" {
NORCH_LAPACK_DECLARE(float, s)
NORCH_LAPACK_DECLARE(double, d)
NORCH_LAPACK_DECLARE(norch::Complex<float>, c)
NORCH_LAPACK_DECLARE(norch::Complex<double>, z)
NORCH_LAPACK_DECLARE_REAL(float, s)
NORCH_LAPACK_DECLARE_REAL(double, d)
NORCH_LAPACK_DECLARE_COMPLEX(norch::Complex<float>, float, c)
NORCH_LAPACK_DECLARE_COMPLEX(norch::Complex<double>, double, z)
}  // extern "C"

#undef NORCH_LAPACK_DECLARE
#undef NORCH_LAPACK_DECLARE_REAL
#undef NORCH_LAPACK_DECLARE_COMPLEX

namespace norch::blas {

#define NORCH_LAPACK_COMMON(T, x) \
  static int potrf(char uplo, int n, T* a, int lda) { \
    int info = 0; \
    NORCH_BLAS(x##potrf_)(&uplo, &n, a, &lda, &info, 1); \
    return info; \
  } \
  static int getrf(int m, int n, T* a, int lda, int* pivots) { \
    int info = 0; \
    NORCH_BLAS(x##getrf_)(&m, &n, a, &lda, pivots, &info); \
    return info; \
  } \
  static int geqrf(int m, int n, T* a, int lda, T* tau, T* work, int lwork) { \
    int info = 0; \
    NORCH_BLAS(x##geqrf_)(&m, &n, a, &lda, tau, work, &lwork, &info); \
    return info; \
  } \
  static void trsm(char side, char uplo, char trans, char diag, int m, int n, const T* a, int lda, T* b, int ldb) { \
    const T one(1); \
    NORCH_BLAS(x##trsm_)(&side, &uplo, &trans, &diag, &m, &n, &one, a, &lda, b, &ldb, 1, 1, 1, 1); \
  }

template <class T>
struct Lapack;

#define NORCH_LAPACK_REAL(T, x) \
  template <> \
  struct Lapack<T> { \
    using Real = T; \
    NORCH_LAPACK_COMMON(T, x) \
    static int ldl(bool, char uplo, int n, T* a, int lda, int* pivots, T* work, int lwork) { \
      int info = 0; \
      NORCH_BLAS(x##sytrf_)(&uplo, &n, a, &lda, pivots, work, &lwork, &info, 1); \
      return info; \
    } \
    static int ldl_solve(bool, char uplo, int n, int nrhs, const T* a, int lda, const int* pivots, T* b, int ldb) { \
      int info = 0; \
      NORCH_BLAS(x##sytrs_)(&uplo, &n, &nrhs, a, &lda, pivots, b, &ldb, &info, 1); \
      return info; \
    } \
    static int gesdd(char job, int m, int n, T* a, T* s, T* u, T* vt, int ldvt, T* work, int lwork, T*, int* iwork) { \
      int info = 0; \
      NORCH_BLAS(x##gesdd_)(&job, &m, &n, a, &m, s, u, &m, vt, &ldvt, work, &lwork, iwork, &info, 1); \
      return info; \
    } \
    static int eigh(char job, char uplo, int n, T* a, T* w, T* work, int lwork, T*, int, int* iwork, int liwork) { \
      int info = 0; \
      NORCH_BLAS(x##syevd_)(&job, &uplo, &n, a, &n, w, work, &lwork, iwork, &liwork, &info, 1, 1); \
      return info; \
    } \
    static int geev(char job, int n, T* a, T* re, T* im, T* vr, T* work, int lwork) { \
      int info = 0; \
      const char none = 'N'; \
      NORCH_BLAS(x##geev_)(&none, &job, &n, a, &n, re, im, nullptr, &n, vr, &n, work, &lwork, &info, 1, 1); \
      return info; \
    } \
  };
NORCH_LAPACK_REAL(float, s)
NORCH_LAPACK_REAL(double, d)
#undef NORCH_LAPACK_REAL

#define NORCH_LAPACK_COMPLEX(Z, R, x) \
  template <> \
  struct Lapack<Z> { \
    using Real = R; \
    NORCH_LAPACK_COMMON(Z, x) \
    static int ldl(bool hermitian, char uplo, int n, Z* a, int lda, int* pivots, Z* work, int lwork) { \
      int info = 0; \
      if (hermitian) \
        NORCH_BLAS(x##hetrf_)(&uplo, &n, a, &lda, pivots, work, &lwork, &info, 1); \
      else \
        NORCH_BLAS(x##sytrf_)(&uplo, &n, a, &lda, pivots, work, &lwork, &info, 1); \
      return info; \
    } \
    static int ldl_solve(bool hermitian, char uplo, int n, int nrhs, const Z* a, int lda, const int* pivots, Z* b, \
                         int ldb) { \
      int info = 0; \
      if (hermitian) \
        NORCH_BLAS(x##hetrs_)(&uplo, &n, &nrhs, a, &lda, pivots, b, &ldb, &info, 1); \
      else \
        NORCH_BLAS(x##sytrs_)(&uplo, &n, &nrhs, a, &lda, pivots, b, &ldb, &info, 1); \
      return info; \
    } \
    static int gesdd(char job, int m, int n, Z* a, R* s, Z* u, Z* vt, int ldvt, Z* work, int lwork, R* rwork, \
                     int* iwork) { \
      int info = 0; \
      NORCH_BLAS(x##gesdd_)(&job, &m, &n, a, &m, s, u, &m, vt, &ldvt, work, &lwork, rwork, iwork, &info, 1); \
      return info; \
    } \
    static int eigh(char job, char uplo, int n, Z* a, R* w, Z* work, int lwork, R* rwork, int lrwork, int* iwork, \
                    int liwork) { \
      int info = 0; \
      NORCH_BLAS(x##heevd_)(&job, &uplo, &n, a, &n, w, work, &lwork, rwork, &lrwork, iwork, &liwork, &info, 1, 1); \
      return info; \
    } \
    static int geev(char job, int n, Z* a, Z* w, Z* vr, Z* work, int lwork, R* rwork) { \
      int info = 0; \
      const char none = 'N'; \
      NORCH_BLAS(x##geev_)(&none, &job, &n, a, &n, w, nullptr, &n, vr, &n, work, &lwork, rwork, &info, 1, 1); \
      return info; \
    } \
  };
NORCH_LAPACK_COMPLEX(Complex<float>, float, c)
NORCH_LAPACK_COMPLEX(Complex<double>, double, z)
#undef NORCH_LAPACK_COMPLEX
#undef NORCH_LAPACK_COMMON

}  // namespace norch::blas
