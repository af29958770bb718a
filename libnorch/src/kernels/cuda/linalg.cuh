// What the linalg kernels of CUDA share.
#pragma once

#include <memory>

#include "core/factory.h"
#include "kernels/cuda/cublaslt.h"
#include "kernels/cuda/cusolver.h"
#include "kernels/cuda/launch.cuh"
#include "kernels/dispatch.h"
#include "norch/ops/copy.h"

namespace norch::kernels::cuda {

/// Rows, columns, number and place of the matrices of a batch.
struct Matrices {
  int64_t m, n, count = 1;
  char* data;
  size_t step;  // bytes from one matrix to the next
  explicit Matrices(const Tensor& t)
      : m(t.size(-2)), n(t.size(-1)), data(static_cast<char*>(t.data_ptr())), step(t.itemsize() * m * n) {
    for (int64_t d = 0; d + 2 < t.dim(); ++d) count *= t.sizes()[d];
  }
  void* operator[](int64_t i) const { return data + step * i; }
};

inline cudaDataType data_type(const char* op, DType t) {
  switch (t) {
    case DType::Float32: return CUDA_R_32F;
    case DType::Float64: return CUDA_R_64F;
    case DType::Complex64: return CUDA_C_32F;
    case DType::Complex128: return CUDA_C_64F;
    default: NORCH_RAISE(NotImplementedError, op, ": not implemented for ", t, "; convert to float32 or float64");
  }
}

/// The workspaces of one kind of cuSOLVER call.
class SolverWorkspace {
 public:
  SolverWorkspace(size_t device_bytes, size_t host_bytes)
      : device_(std::max<size_t>(device_bytes, 1)), host_(new char[std::max<size_t>(host_bytes, 1)]), host_bytes_(host_bytes) {}
  void* device() const { return device_.data(); }
  size_t device_bytes() const { return device_.nbytes(); }
  void* host() const { return host_.get(); }
  size_t host_bytes() const { return host_bytes_; }

 private:
  norch::cuda::Workspace device_;
  std::unique_ptr<char[]> host_;
  size_t host_bytes_;
};

/// A tensor of the GPU as the CPU kernels want it, for the few functions that cuSOLVER lacks. Waits for the device.
class OnHost {
 public:
  explicit OnHost(const Tensor& t) : there_(t), here_(new_strided(t.sizes(), t.strides(), t.dtype(), kCPU)) {
    copy_into(here_, t);
  }
  const Tensor& tensor() const { return here_; }
  /// Copies the values back.
  void write_back() const { copy_into(there_, here_); }

 private:
  Tensor there_, here_;
};

}  // namespace norch::kernels::cuda
