#include "kernels/cuda/context.h"

#include <mutex>

#include "core/blocking.h"
#include "kernels/cuda/graph.h"

namespace norch::cuda {

namespace {

struct Driver {
  int count = 0;
  cudaError_t status = cudaSuccess;
};

const Driver& driver() noexcept {
  static const Driver found = [] {
    Driver d;
    d.status = cudaGetDeviceCount(&d.count);
    if (d.status != cudaSuccess) {
      d.count = 0;
      cudaGetLastError();  // the error is ours, not that of the next launch
    }
    if (d.count > kMaxDevices) d.count = kMaxDevices;
    return d;
  }();
  return found;
}

int attribute(cudaDeviceAttr which, int device) {
  int value = 0;
  check(cudaDeviceGetAttribute(&value, which, device), "cudaDeviceGetAttribute");
  return value;
}

}  // namespace

int device_count() noexcept { return driver().count; }

std::string why_unavailable() {
  switch (driver().status) {
    case cudaSuccess:
    case cudaErrorNoDevice:
      return driver().count ? "" : "the NVIDIA driver finds no GPU (see CUDA_VISIBLE_DEVICES and nvidia-smi)";
    case cudaErrorInsufficientDriver: {
      int version = 0;
      if (cudaDriverGetVersion(&version) != cudaSuccess || version == 0)
        return "no NVIDIA driver is installed on this machine";
      return str("the NVIDIA driver supports CUDA ", version / 1000, ".", version % 1000 / 10,
                 ", but this build of norch needs CUDA ", CUDART_VERSION / 1000, ".", CUDART_VERSION % 1000 / 10,
                 ": update the driver");
    }
    default: return str("the NVIDIA driver does not start: ", cudaGetErrorString(driver().status));
  }
}

int current_device() {
  NORCH_CHECK(device_count() > 0, "CUDA is not available: ", why_unavailable());
  int device = 0;
  if (device_count() > 1) check(cudaGetDevice(&device), "cudaGetDevice");
  return device;
}

int swap_device(int device) {
  if (device_count() <= 1) return 0;
  // Asked anew each time: another library in the process may have changed it.
  int previous = 0;
  check(cudaGetDevice(&previous), "cudaGetDevice");
  if (previous != device) check(cudaSetDevice(device), "cudaSetDevice");
  return previous;
}

int resolve_device(const char* op, int device) {
  const int count = device_count();
  NORCH_CHECK(count > 0, op, ": CUDA is not available: ", why_unavailable());
  NORCH_CHECK(device >= -1 && device < count, op, ": CUDA error: invalid device ordinal: ", device,
              " was asked for, but this machine has ", count, " GPU(s)");
  return device == -1 ? current_device() : device;
}

void set_device(int device) {
  NORCH_CHECK(device >= 0, "set_device: expected the index of a GPU, got ", device);
  swap_device(resolve_device("set_device", device));
}

void synchronize(int device) {
  device = resolve_device("synchronize", device);
  refuse_in_capture("synchronize()");
  {
    BlockingScope blocking;
    DeviceGuard guard(device);
    check(cudaDeviceSynchronize(), "cudaDeviceSynchronize");
  }
  raise_index_error(device);
}

const DeviceLimits& limits(int device) {
  static DeviceLimits table[kMaxDevices];
  static std::once_flag read[kMaxDevices];
  std::call_once(read[device], [device] {
    DeviceLimits& l = table[device];
    l.multiprocessors = attribute(cudaDevAttrMultiProcessorCount, device);
    l.threads_per_multiprocessor = attribute(cudaDevAttrMaxThreadsPerMultiProcessor, device);
    l.shared_memory_per_block = attribute(cudaDevAttrMaxSharedMemoryPerBlockOptin, device);
#if CUDART_VERSION >= 11020
    l.memory_pools = attribute(cudaDevAttrMemoryPoolsSupported, device) != 0;
#else
    l.memory_pools = false;
#endif
  });
  return table[device];
}

const DeviceLimits& limits() { return limits(current_device()); }

DeviceProperties get_device_properties(int device) {
  device = resolve_device("get_device_properties", device);
  cudaDeviceProp found;
  check(cudaGetDeviceProperties(&found, device), "cudaGetDeviceProperties");
  DeviceProperties p;
  p.name = found.name;
  p.major = found.major;
  p.minor = found.minor;
  p.total_memory = found.totalGlobalMem;
  p.multi_processor_count = found.multiProcessorCount;
  p.max_threads_per_multi_processor = found.maxThreadsPerMultiProcessor;
  p.l2_cache_size = static_cast<size_t>(found.l2CacheSize);
  p.shared_memory_per_block = found.sharedMemPerBlockOptin;
  return p;
}

}  // namespace norch::cuda
