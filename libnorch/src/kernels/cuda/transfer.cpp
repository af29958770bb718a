// Copies between the host and a device. Small ones go through pinned memory of norch's own: a copy to the device then
// returns as soon as the bytes are staged, and a copy back waits for its stream alone.
#include <cstring>
#include <mutex>

#include "core/blocking.h"
#include "kernels/cuda/context.h"
#include "kernels/cuda/graph.h"

namespace norch::cuda {

namespace {

constexpr size_t kSmall = size_t{64} << 10;
constexpr size_t kAlign = 256;
constexpr int kSegments = 16;
constexpr size_t kSegmentSize = size_t{256} << 10;

/// A ring of pinned segments. A segment serves one stream at a time; an event tells when its copies are done, which is
/// asked only when the ring comes round to it again.
class Staging {
 public:
  Staging() {
    void* p = nullptr;
    check(cudaHostAlloc(&p, kSegments * kSegmentSize + kSmall, cudaHostAllocPortable), "cudaHostAlloc");
    ring_ = static_cast<char*>(p);
    landing_ = ring_ + kSegments * kSegmentSize;
    for (cudaEvent_t& e : done_) check(cudaEventCreateWithFlags(&e, cudaEventDisableTiming), "cudaEventCreateWithFlags");
  }

  void to_device(void* dst, const void* src, size_t nbytes, cudaStream_t stream) {
    std::lock_guard<std::mutex> lock(mutex_);
    if (used_ + nbytes > kSegmentSize || (used_ > 0 && stream != stream_)) next_segment();
    stream_ = stream;
    char* at = ring_ + segment_ * kSegmentSize + used_;
    used_ += (nbytes + kAlign - 1) / kAlign * kAlign;
    std::memcpy(at, src, nbytes);
    check(cudaMemcpyAsync(dst, at, nbytes, cudaMemcpyHostToDevice, stream), "cudaMemcpyAsync");
  }

  void to_host(void* dst, const void* src, size_t nbytes, cudaStream_t stream) {
    std::lock_guard<std::mutex> lock(landing_mutex_);
    check(cudaMemcpyAsync(landing_, src, nbytes, cudaMemcpyDeviceToHost, stream), "cudaMemcpyAsync");
    check(cudaStreamSynchronize(stream), "cudaStreamSynchronize");
    std::memcpy(dst, landing_, nbytes);
  }

 private:
  void next_segment() {
    check(cudaEventRecord(done_[segment_], stream_), "cudaEventRecord");
    segment_ = (segment_ + 1) % kSegments;
    used_ = 0;
    check(cudaEventSynchronize(done_[segment_]), "cudaEventSynchronize");  // at once for one never recorded
  }

  std::mutex mutex_, landing_mutex_;
  char* ring_;
  char* landing_;
  cudaEvent_t done_[kSegments];
  cudaStream_t stream_ = nullptr;
  int segment_ = 0;
  size_t used_ = 0;
};

struct Slot {
  std::once_flag made;
  Staging* staging = nullptr;
};
Slot g_slots[kMaxDevices];

Staging& staging(int device) {
  Slot& slot = g_slots[device];
  std::call_once(slot.made, [&] { slot.staging = new Staging; });
  return *slot.staging;
}

/// Whether `p` is pinned host memory, from which the device reads after the call has returned.
bool is_pinned(const void* p) {
  cudaPointerAttributes a = {};
  if (cudaPointerGetAttributes(&a, p) != cudaSuccess) {
    cudaGetLastError();
    return false;
  }
  return a.type == cudaMemoryTypeHost;
}

}  // namespace

void copy_to_host(void* dst, const void* src, size_t nbytes, int device) {
  refuse_in_capture("a copy to the CPU (item(), tolist(), cpu(), ...)");
  BlockingScope blocking;  // outermost: nothing is locked while it is entered or left
  DeviceGuard guard(device);
  const cudaStream_t stream = current_stream(device);
  if (nbytes <= kSmall) {
    staging(device).to_host(dst, src, nbytes, stream);
  } else {
    check(cudaMemcpyAsync(dst, src, nbytes, cudaMemcpyDeviceToHost, stream), "cudaMemcpyAsync");
    check(cudaStreamSynchronize(stream), "cudaStreamSynchronize");
  }
  raise_index_error(device);
}

void copy_from_host(void* dst, const void* src, size_t nbytes, int device) {
  refuse_in_capture("a copy from the CPU");
  DeviceGuard guard(device);
  const cudaStream_t stream = current_stream(device);
  if (nbytes <= kSmall) {
    staging(device).to_device(dst, src, nbytes, stream);
    return;
  }
  BlockingScope blocking;
  // From pageable memory CUDA returns once it has staged the bytes itself.
  check(cudaMemcpyAsync(dst, src, nbytes, cudaMemcpyHostToDevice, stream), "cudaMemcpyAsync");
  if (is_pinned(src)) check(cudaStreamSynchronize(stream), "cudaStreamSynchronize");
}

void copy_peer(void* dst, int dst_device, const void* src, int src_device, size_t nbytes) {
  const Stream from = current_stream(src_device), to = current_stream(dst_device);
  if (src_device != dst_device) to.wait_stream(from);
  {
    DeviceGuard guard(dst_device);
    check(cudaMemcpyPeerAsync(dst, dst_device, src, src_device, nbytes, to), "cudaMemcpyPeerAsync");
  }
  // So that the source's memory, reused in the order of its own stream, is read first.
  if (src_device != dst_device) from.wait_stream(to);
}

}  // namespace norch::cuda
