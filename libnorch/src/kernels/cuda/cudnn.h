// cuDNN, loaded when first used. Without it convolutions and attention run on norch's own kernels.
#pragma once

#include "kernels/conv.h"

namespace norch::cuda {

/// Whether convolutions and attention go to cuDNN: it was there when norch was built, is found now, and NORCH_CUDNN=0
/// is not set in the environment.
bool cudnn_available();
/// cuDNN's version, such as 91300, or 0.
size_t cudnn_version();
/// For tests: convolutions and attention of this thread use norch's own kernels while a value of this type lives.
class WithoutCudnn {
 public:
  WithoutCudnn();
  ~WithoutCudnn();
  WithoutCudnn(const WithoutCudnn&) = delete;
  WithoutCudnn& operator=(const WithoutCudnn&) = delete;

 private:
  bool before_;
};

/// What a convolution computes of its three tensors from the other two.
enum class ConvResult : int32_t { y, x, w };

/// The convolution of kernels/conv.h, or one of its gradients, on the current device. All tensors are contiguous, of
/// one dtype. False, having done nothing, where cuDNN is missing or has no way of computing it that sums in a fixed
/// order (float32 without TF32, unless convolution_tf32()): then the caller's own kernel does it.
bool cudnn_convolve(ConvResult result, const kernels::Conv& conv, DType dtype, void* x, void* w, void* y);

}  // namespace norch::cuda
