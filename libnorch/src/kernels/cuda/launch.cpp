#include <cxxabi.h>

#include <cstdlib>

#include "kernels/cuda/launch.cuh"

namespace norch::kernels::cuda::detail {

namespace {

std::string kernel_name(const void* kernel) {
  const char* mangled = nullptr;
#if CUDART_VERSION >= 12030
  if (cudaFuncGetName(&mangled, kernel) != cudaSuccess) mangled = nullptr;
#else
  (void)kernel;
#endif
  if (!mangled) return "a kernel";
  int status = 0;
  char* readable = abi::__cxa_demangle(mangled, nullptr, nullptr, &status);
  std::string name = status == 0 ? readable : mangled;
  std::free(readable);
  return name;
}

std::string text(dim3 d) { return str(d.x, "x", d.y, "x", d.z); }

}  // namespace

void launch_failed(cudaError_t status, const void* kernel, dim3 grid, dim3 block, size_t shared_bytes) {
  cudaGetLastError();
  const std::string call = str("the launch of ", kernel_name(kernel), " with ", text(grid), " blocks of ", text(block),
                               " threads and ", shared_bytes, " bytes of shared memory");
  norch::cuda::fail(status, call.c_str());
}

void allow_shared_memory(const void* kernel, size_t shared_bytes) {
  const cudaError_t status =
      cudaFuncSetAttribute(kernel, cudaFuncAttributeMaxDynamicSharedMemorySize, static_cast<int>(shared_bytes));
  if (status != cudaSuccess) launch_failed(status, kernel, {}, {}, shared_bytes);
}

}  // namespace norch::kernels::cuda::detail
