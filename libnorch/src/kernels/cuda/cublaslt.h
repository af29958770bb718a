// cuBLASLt, loaded when first used.
#pragma once

#include <cublasLt.h>

#include "kernels/cuda/context.h"

namespace norch::cuda {

/// Its functions. cublaslt().matmul(...) is cublasLtMatmul(...).
struct CublasLt {
  decltype(&cublasLtCreate) create;
  decltype(&cublasLtGetVersion) get_version;
  decltype(&cublasLtGetStatusString) get_status_string;
  decltype(&cublasLtMatmul) matmul;
  decltype(&cublasLtMatmulAlgoGetHeuristic) algo_get_heuristic;
  decltype(&cublasLtMatmulAlgoConfigGetAttribute) algo_config_get_attribute;
  decltype(&cublasLtMatmulDescCreate) desc_create;
  decltype(&cublasLtMatmulDescDestroy) desc_destroy;
  decltype(&cublasLtMatmulDescSetAttribute) desc_set_attribute;
  decltype(&cublasLtMatrixLayoutCreate) layout_create;
  decltype(&cublasLtMatrixLayoutDestroy) layout_destroy;
  decltype(&cublasLtMatrixLayoutSetAttribute) layout_set_attribute;
  decltype(&cublasLtMatmulPreferenceCreate) preference_create;
  decltype(&cublasLtMatmulPreferenceDestroy) preference_destroy;
  decltype(&cublasLtMatmulPreferenceSetAttribute) preference_set_attribute;
};
/// \throws Error if the library is not found, saying what to install.
const CublasLt& cublaslt();

/// The handle of the current device, made at first use. Any thread and stream may use it.
cublasLtHandle_t cublaslt_handle();

/// \throws Error naming `call`.
void check(cublasStatus_t status, const char* call);

/// What matmuls may use, and what to tell the heuristic.
inline constexpr size_t kCublasWorkspaceBytes = size_t{32} << 20;

/// Device memory for the time of one call, in the order of the current stream: it may be dropped as soon as the work
/// that uses it is queued.
class Workspace {
 public:
  explicit Workspace(size_t nbytes) : nbytes_(nbytes), device_(current_device()), data_(allocate(nbytes, device_)) {}
  ~Workspace() { deallocate(data_, nbytes_, device_); }
  Workspace(const Workspace&) = delete;
  Workspace& operator=(const Workspace&) = delete;
  void* data() const { return data_; }
  size_t nbytes() const { return nbytes_; }

 private:
  size_t nbytes_;
  int device_;
  void* data_;
};

}  // namespace norch::cuda
