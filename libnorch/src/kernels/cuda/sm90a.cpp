#include "kernels/cuda/sm90a.h"

#include <atomic>

#include "kernels/cuda/context.h"

namespace norch::kernels::cuda {

bool has_sm90a() {
#if NORCH_HAVE_SM90A
  static std::atomic<int> known[norch::cuda::kMaxDevices];  // 0: not yet; 1: no; 2: yes
  const int device = norch::cuda::current_device();
  if (known[device] == 0) {
    int major = 0, minor = 0;
    norch::cuda::check(cudaDeviceGetAttribute(&major, cudaDevAttrComputeCapabilityMajor, device), "cudaDeviceGetAttribute");
    norch::cuda::check(cudaDeviceGetAttribute(&minor, cudaDevAttrComputeCapabilityMinor, device), "cudaDeviceGetAttribute");
    known[device] = major == 9 && minor == 0 ? 2 : 1;
  }
  return known[device] == 2;
#else
  return false;
#endif
}

}  // namespace norch::kernels::cuda
