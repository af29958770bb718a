// NVIDIA's libraries: their files for the CUDA release of this build, and the packages of PyPI that have them.
#pragma once

#include <cublasLt.h>
#include <cuda_runtime_api.h>
#if NORCH_HAVE_CUDNN_H
#include <cudnn_version.h>
#endif

#include "kernels/cuda/library.h"

#define NORCH_STRING_OF(x) #x
#define NORCH_STRING(x) NORCH_STRING_OF(x)
// Packages for CUDA 12 and older have the release in their names.
#if CUDART_VERSION >= 13000
#define NORCH_CUDA_PACKAGE(name) name
#else
#define NORCH_CUDA_PACKAGE(name) name "-cu" NORCH_STRING(CUBLAS_VER_MAJOR)
#endif

namespace norch::cuda::library_files {

inline constexpr LibraryFile cublaslt{"cuBLASLt", "libcublasLt.so." NORCH_STRING(CUBLAS_VER_MAJOR),
                                      NORCH_CUDA_PACKAGE("nvidia-cublas"), "cublasLtGetVersion"};
inline constexpr LibraryFile cublas{"cuBLAS", "libcublas.so." NORCH_STRING(CUBLAS_VER_MAJOR),
                                    NORCH_CUDA_PACKAGE("nvidia-cublas"), nullptr};
// cuSOLVER's release number runs one behind CUDA's since CUDA 12, cuFFT's always.
#if CUDART_VERSION >= 13000
inline constexpr LibraryFile cusolver{"cuSOLVER", "libcusolver.so.12", NORCH_CUDA_PACKAGE("nvidia-cusolver"), nullptr};
inline constexpr LibraryFile cufft{"cuFFT", "libcufft.so.12", NORCH_CUDA_PACKAGE("nvidia-cufft"), nullptr};
#elif CUDART_VERSION >= 12000
inline constexpr LibraryFile cusolver{"cuSOLVER", "libcusolver.so.11", NORCH_CUDA_PACKAGE("nvidia-cusolver"), nullptr};
inline constexpr LibraryFile cufft{"cuFFT", "libcufft.so.11", NORCH_CUDA_PACKAGE("nvidia-cufft"), nullptr};
#else
inline constexpr LibraryFile cusolver{"cuSOLVER", "libcusolver.so.11", NORCH_CUDA_PACKAGE("nvidia-cusolver"), nullptr};
inline constexpr LibraryFile cufft{"cuFFT", "libcufft.so.10", NORCH_CUDA_PACKAGE("nvidia-cufft"), nullptr};
#endif
#if NORCH_HAVE_CUDNN_H
inline constexpr LibraryFile cudnn{"cuDNN", "libcudnn.so." NORCH_STRING(CUDNN_MAJOR),
                                   "nvidia-cudnn-cu" NORCH_STRING(CUBLAS_VER_MAJOR), "cudnnGetVersion"};
// cuDNN compiles its attention with it.
#if CUDART_VERSION >= 12000
inline constexpr LibraryFile nvrtc{"NVRTC", "libnvrtc.so." NORCH_STRING(CUBLAS_VER_MAJOR),
                                   NORCH_CUDA_PACKAGE("nvidia-cuda-nvrtc"), nullptr};
#else
inline constexpr LibraryFile nvrtc{"NVRTC", "libnvrtc.so.11.2", NORCH_CUDA_PACKAGE("nvidia-cuda-nvrtc"), nullptr};
#endif
#endif
inline constexpr LibraryFile nccl{"NCCL", "libnccl.so.2", "nvidia-nccl-cu" NORCH_STRING(CUBLAS_VER_MAJOR), nullptr};
#if NORCH_HAVE_CUPTI_H
inline constexpr LibraryFile cupti{"CUPTI", NORCH_CUPTI_FILE, NORCH_CUDA_PACKAGE("nvidia-cuda-cupti"), nullptr};
#endif

}  // namespace norch::cuda::library_files
