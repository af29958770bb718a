// cuSOLVER and cuBLAS, loaded when first used.
//
// The functions are declared here, with their enumerations as plain numbers, so that building needs no headers of
// theirs. cuSOLVER's are those of its 64-bit interface, which serve every element type.
#pragma once

#include <library_types.h>

#include <mutex>

#include "kernels/cuda/context.h"
#include "norch/dtype.h"

namespace norch::cuda {

using CusolverHandle = struct cusolverDnContext*;
using CusolverParams = struct cusolverDnParams*;
using CublasHandle = struct cublasContext*;

struct Cusolver {
  int (*create)(CusolverHandle*);
  int (*create_params)(CusolverParams*);
  int (*set_stream)(CusolverHandle, cudaStream_t);
  int (*potrf_size)(CusolverHandle, CusolverParams, int uplo, int64_t n, cudaDataType, const void* a, int64_t lda,
                    cudaDataType compute, size_t* device, size_t* host);
  int (*potrf)(CusolverHandle, CusolverParams, int uplo, int64_t n, cudaDataType, void* a, int64_t lda,
               cudaDataType compute, void* device, size_t, void* host, size_t, int* info);
  int (*getrf_size)(CusolverHandle, CusolverParams, int64_t m, int64_t n, cudaDataType, const void* a, int64_t lda,
                    cudaDataType compute, size_t* device, size_t* host);
  int (*getrf)(CusolverHandle, CusolverParams, int64_t m, int64_t n, cudaDataType, void* a, int64_t lda,
               int64_t* pivots, cudaDataType compute, void* device, size_t, void* host, size_t, int* info);
  int (*geqrf_size)(CusolverHandle, CusolverParams, int64_t m, int64_t n, cudaDataType, const void* a, int64_t lda,
                    cudaDataType tau_type, const void* tau, cudaDataType compute, size_t* device, size_t* host);
  int (*geqrf)(CusolverHandle, CusolverParams, int64_t m, int64_t n, cudaDataType, void* a, int64_t lda,
               cudaDataType tau_type, void* tau, cudaDataType compute, void* device, size_t, void* host, size_t,
               int* info);
  int (*gesvd_size)(CusolverHandle, CusolverParams, signed char jobu, signed char jobvt, int64_t m, int64_t n,
                    cudaDataType, const void* a, int64_t lda, cudaDataType s_type, const void* s, cudaDataType u_type,
                    const void* u, int64_t ldu, cudaDataType vt_type, const void* vt, int64_t ldvt,
                    cudaDataType compute, size_t* device, size_t* host);
  int (*gesvd)(CusolverHandle, CusolverParams, signed char jobu, signed char jobvt, int64_t m, int64_t n, cudaDataType,
               void* a, int64_t lda, cudaDataType s_type, void* s, cudaDataType u_type, void* u, int64_t ldu,
               cudaDataType vt_type, void* vt, int64_t ldvt, cudaDataType compute, void* device, size_t, void* host,
               size_t, int* info);
  int (*syevd_size)(CusolverHandle, CusolverParams, int vectors, int uplo, int64_t n, cudaDataType, const void* a,
                    int64_t lda, cudaDataType w_type, const void* w, cudaDataType compute, size_t* device,
                    size_t* host);
  int (*syevd)(CusolverHandle, CusolverParams, int vectors, int uplo, int64_t n, cudaDataType, void* a, int64_t lda,
               cudaDataType w_type, void* w, cudaDataType compute, void* device, size_t, void* host, size_t, int* info);
};

/// X of op(A) X = alpha B in the place of B, for each pair of `count` matrices.
template <class T>
using TrsmBatched = int (*)(CublasHandle, int side, int uplo, int op, int diag, int m, int n, const T* alpha,
                            const T* const a[], int lda, T* const b[], int ldb, int count);

struct Cublas {
  int (*create)(CublasHandle*);
  int (*set_stream)(CublasHandle, cudaStream_t);
  TrsmBatched<float> strsm;
  TrsmBatched<double> dtrsm;
  TrsmBatched<Complex<float>> ctrsm;
  TrsmBatched<Complex<double>> ztrsm;
};

/// The handles of the current device, bound to the current stream while this object lives. Only one thread has them at
/// a time. \throws Error if the library is not found, saying what to install.
class CusolverSession {
 public:
  CusolverSession();
  const Cusolver& functions() const { return functions_; }
  CusolverHandle handle() const { return handle_; }
  CusolverParams params() const { return params_; }

 private:
  const Cusolver& functions_;
  std::unique_lock<std::mutex> lock_;
  CusolverHandle handle_;
  CusolverParams params_;
};

class CublasSession {
 public:
  CublasSession();
  const Cublas& functions() const { return functions_; }
  CublasHandle handle() const { return handle_; }

 private:
  const Cublas& functions_;
  std::unique_lock<std::mutex> lock_;
  CublasHandle handle_;
};

/// \throws Error naming `call`.
void check_status(int status, const char* call);

}  // namespace norch::cuda
