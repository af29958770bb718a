#pragma once

// The BLAS functions that norch calls, declared here so that any CBLAS serves without its header. NORCH_BLAS(f) is
// the name of `f` in the BLAS that was chosen when configuring: the scipy-openblas32 package puts scipy_ in front of
// every symbol (cmake/NorchBlas.cmake defines NORCH_BLAS_PREFIX then).

#define NORCH_BLAS_JOIN_(prefix, name) prefix##name
#define NORCH_BLAS_JOIN(prefix, name) NORCH_BLAS_JOIN_(prefix, name)
#if defined(NORCH_BLAS_PREFIX)
#  define NORCH_BLAS(name) NORCH_BLAS_JOIN(NORCH_BLAS_PREFIX, name)
#else
#  define NORCH_BLAS(name) name
#endif

namespace norch::blas {

// The values of the CBLAS enumerations.
enum Order : int { row_major = 101, col_major = 102 };
enum Transpose : int { no_trans = 111, trans = 112 };

}  // namespace norch::blas

// Sizes and strides are 32-bit: the caller splits what is larger.
extern "C" {

// C = alpha * op(A) op(B) + beta * C with op(A) m x k, op(B) k x n. With beta == 0, C is not read.
void NORCH_BLAS(cblas_sgemm)(int order, int trans_a, int trans_b, int m, int n, int k, float alpha, const float* a,
                             int lda, const float* b, int ldb, float beta, float* c, int ldc);
void NORCH_BLAS(cblas_dgemm)(int order, int trans_a, int trans_b, int m, int n, int k, double alpha, const double* a,
                             int lda, const double* b, int ldb, double beta, double* c, int ldc);
// The same for complex numbers, which go by address.
void NORCH_BLAS(cblas_cgemm)(int order, int trans_a, int trans_b, int m, int n, int k, const void* alpha,
                             const void* a, int lda, const void* b, int ldb, const void* beta, void* c, int ldc);
void NORCH_BLAS(cblas_zgemm)(int order, int trans_a, int trans_b, int m, int n, int k, const void* alpha,
                             const void* a, int lda, const void* b, int ldb, const void* beta, void* c, int ldc);

// y = alpha * op(A) x + beta * y with A m x n. With beta == 0, y is not read.
void NORCH_BLAS(cblas_sgemv)(int order, int trans_a, int m, int n, float alpha, const float* a, int lda,
                             const float* x, int incx, float beta, float* y, int incy);
void NORCH_BLAS(cblas_dgemv)(int order, int trans_a, int m, int n, double alpha, const double* a, int lda,
                             const double* x, int incx, double beta, double* y, int incy);

#if defined(NORCH_BLAS_OPENBLAS)
void NORCH_BLAS(openblas_set_num_threads)(int threads);
int NORCH_BLAS(openblas_get_num_threads)(void);
#endif

}  // extern "C"

namespace norch::blas {

/// C = alpha * op(A) op(B) + beta * C, all in rows.
inline void gemm(int trans_a, int trans_b, int m, int n, int k, float alpha, const float* a, int lda, const float* b,
                 int ldb, float beta, float* c, int ldc) {
  NORCH_BLAS(cblas_sgemm)(row_major, trans_a, trans_b, m, n, k, alpha, a, lda, b, ldb, beta, c, ldc);
}
inline void gemm(int trans_a, int trans_b, int m, int n, int k, double alpha, const double* a, int lda, const double* b,
                 int ldb, double beta, double* c, int ldc) {
  NORCH_BLAS(cblas_dgemm)(row_major, trans_a, trans_b, m, n, k, alpha, a, lda, b, ldb, beta, c, ldc);
}

}  // namespace norch::blas
