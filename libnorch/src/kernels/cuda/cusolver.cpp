#include "kernels/cuda/cusolver.h"

#include "kernels/cuda/library_files.h"
#include "norch/error.h"

namespace norch::cuda {

namespace {

Cusolver load_cusolver() {
  const Library library(library_files::cusolver);
  Cusolver f;
  library.find(f.create, "cusolverDnCreate");
  library.find(f.create_params, "cusolverDnCreateParams");
  library.find(f.set_stream, "cusolverDnSetStream");
  library.find(f.potrf_size, "cusolverDnXpotrf_bufferSize");
  library.find(f.potrf, "cusolverDnXpotrf");
  library.find(f.getrf_size, "cusolverDnXgetrf_bufferSize");
  library.find(f.getrf, "cusolverDnXgetrf");
  library.find(f.geqrf_size, "cusolverDnXgeqrf_bufferSize");
  library.find(f.geqrf, "cusolverDnXgeqrf");
  library.find(f.gesvd_size, "cusolverDnXgesvd_bufferSize");
  library.find(f.gesvd, "cusolverDnXgesvd");
  library.find(f.syevd_size, "cusolverDnXsyevd_bufferSize");
  library.find(f.syevd, "cusolverDnXsyevd");
  return f;
}

Cublas load_cublas() {
  const Library library(library_files::cublas);
  Cublas f;
  library.find(f.create, "cublasCreate_v2");
  library.find(f.set_stream, "cublasSetStream_v2");
  library.find(f.strsm, "cublasStrsmBatched");
  library.find(f.dtrsm, "cublasDtrsmBatched");
  library.find(f.ctrsm, "cublasCtrsmBatched");
  library.find(f.ztrsm, "cublasZtrsmBatched");
  return f;
}

const Cusolver& cusolver() {
  static const Cusolver functions = load_cusolver();  // tried anew by the next call if it raises
  return functions;
}

const Cublas& cublas() {
  static const Cublas functions = load_cublas();
  return functions;
}

struct Slot {
  std::mutex mutex;
  CusolverHandle solver = nullptr;
  CusolverParams params = nullptr;
  CublasHandle blas = nullptr;
};
Slot g_slots[kMaxDevices];

}  // namespace

void check_status(int status, const char* call) {
  NORCH_CHECK(status == 0, "CUDA error: ", call, " returned status ", status);
}

CusolverSession::CusolverSession() : functions_(cusolver()) {
  Slot& slot = g_slots[current_device()];
  lock_ = std::unique_lock<std::mutex>(slot.mutex);
  if (!slot.solver) check_status(functions_.create(&slot.solver), "cusolverDnCreate");
  if (!slot.params) check_status(functions_.create_params(&slot.params), "cusolverDnCreateParams");
  check_status(functions_.set_stream(slot.solver, current_stream()), "cusolverDnSetStream");
  handle_ = slot.solver;
  params_ = slot.params;
}

CublasSession::CublasSession() : functions_(cublas()) {
  Slot& slot = g_slots[current_device()];
  lock_ = std::unique_lock<std::mutex>(slot.mutex);
  if (!slot.blas) check_status(functions_.create(&slot.blas), "cublasCreate");
  check_status(functions_.set_stream(slot.blas, current_stream()), "cublasSetStream");
  handle_ = slot.blas;
}

}  // namespace norch::cuda
