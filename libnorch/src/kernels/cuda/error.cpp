#include "kernels/cuda/error.h"

#include <mutex>

#include "kernels/cuda/context.h"

namespace norch::cuda {

void fail(cudaError_t status, const char* call) {
  cudaGetLastError();  // reported here; the next call starts clean
  if (status == cudaErrorMemoryAllocation)
    NORCH_RAISE(OutOfMemoryError, "CUDA out of memory (in ", call, "); free tensors, or call cuda.empty_cache()");
  const char* advice = "";
  switch (status) {
    case cudaErrorIllegalAddress:
    case cudaErrorLaunchFailure:
    case cudaErrorMisalignedAddress:
    case cudaErrorIllegalInstruction:
    case cudaErrorAssert:
      advice = ". A kernel that ran earlier failed and this process can't use the GPU any more; run it under "
               "compute-sanitizer to find the kernel";
      break;
    case cudaErrorInitializationError:
      advice = ". A process made by fork() can't use CUDA if its parent did: start it by 'spawn'";
      break;
    case cudaErrorNoKernelImageForDevice:
      advice = ". This build of norch has no code for this GPU: rebuild with -DCMAKE_CUDA_ARCHITECTURES";
      break;
    default: break;
  }
  NORCH_RAISE(Error, "CUDA error: ", cudaGetErrorString(status), " (in ", call, ")", advice);
}

namespace {

struct Reporter {
  std::once_flag made;
  std::mutex mutex;
  IndexReport* report = nullptr;
  unsigned* claimed = nullptr;
};
Reporter g_reporters[kMaxDevices];

}  // namespace

IndexCheck index_check(const char* op) {
  const int device = current_device();
  Reporter& r = g_reporters[device];
  std::call_once(r.made, [&r] {
    void* host = nullptr;
    check(cudaHostAlloc(&host, sizeof(IndexReport), cudaHostAllocMapped | cudaHostAllocPortable), "cudaHostAlloc");
    void* claimed = nullptr;
    check(cudaMalloc(&claimed, sizeof(unsigned)), "cudaMalloc");
    check(cudaMemset(claimed, 0, sizeof(unsigned)), "cudaMemset");
    static_cast<volatile IndexReport*>(host)->set = 0;
    r.claimed = static_cast<unsigned*>(claimed);
    r.report = static_cast<IndexReport*>(host);
  });
  return {r.report, r.claimed, op};
}

void raise_index_error(int device) {
  Reporter& r = g_reporters[device];
  if (!r.report || !static_cast<volatile IndexReport*>(r.report)->set) return;
  IndexReport found;
  {
    std::lock_guard<std::mutex> lock(r.mutex);
    if (!r.report->set) return;
    found = *r.report;
    r.report->set = 0;
    DeviceGuard guard(device);
    check(cudaMemset(r.claimed, 0, sizeof(unsigned)), "cudaMemset");
  }
  NORCH_RAISE(IndexError, found.op, ": index ", found.index, " is out of bounds for dimension ", found.dim,
              " with size ", found.size, " (found on cuda:", device, "; what this kernel wrote is not valid)");
}

}  // namespace norch::cuda
