#include "kernels/cuda/cublaslt.h"

#include <mutex>

#include "kernels/cuda/library_files.h"

namespace norch::cuda {

namespace {

CublasLt load() {
  const Library library(library_files::cublaslt);
  CublasLt f;
  library.find(f.create, "cublasLtCreate");
  library.find(f.get_version, "cublasLtGetVersion");
  library.find(f.get_status_string, "cublasLtGetStatusString");
  library.find(f.matmul, "cublasLtMatmul");
  library.find(f.algo_get_heuristic, "cublasLtMatmulAlgoGetHeuristic");
  library.find(f.algo_config_get_attribute, "cublasLtMatmulAlgoConfigGetAttribute");
  library.find(f.desc_create, "cublasLtMatmulDescCreate");
  library.find(f.desc_destroy, "cublasLtMatmulDescDestroy");
  library.find(f.desc_set_attribute, "cublasLtMatmulDescSetAttribute");
  library.find(f.layout_create, "cublasLtMatrixLayoutCreate");
  library.find(f.layout_destroy, "cublasLtMatrixLayoutDestroy");
  library.find(f.layout_set_attribute, "cublasLtMatrixLayoutSetAttribute");
  library.find(f.preference_create, "cublasLtMatmulPreferenceCreate");
  library.find(f.preference_destroy, "cublasLtMatmulPreferenceDestroy");
  library.find(f.preference_set_attribute, "cublasLtMatmulPreferenceSetAttribute");
  return f;
}

struct Slot {
  std::once_flag made;
  cublasLtHandle_t handle = nullptr;
};
Slot g_handles[kMaxDevices];

}  // namespace

const CublasLt& cublaslt() {
  static const CublasLt functions = load();  // tried anew by the next call if it raises
  return functions;
}

cublasLtHandle_t cublaslt_handle() {
  Slot& slot = g_handles[current_device()];
  std::call_once(slot.made, [&] { check(cublaslt().create(&slot.handle), "cublasLtCreate"); });
  return slot.handle;
}

void check(cublasStatus_t status, const char* call) {
  if (__builtin_expect(status == CUBLAS_STATUS_SUCCESS, 1)) return;
  NORCH_RAISE(Error, "CUDA error: ", cublaslt().get_status_string(status), " (in ", call, ")");
}

}  // namespace norch::cuda
