#include <atomic>
#include <mutex>
#include <utility>

#include "core/blocking.h"
#include "kernels/cuda/allocator.h"
#include "kernels/cuda/context.h"
#include "kernels/cuda/graph.h"

namespace norch::cuda {

namespace {

// Null is CUDA's legacy default stream of whichever device is current.
thread_local CUstream_st* t_current[kMaxDevices] = {};

constexpr int kStreamsPerPool = 32;

struct StreamPool {
  std::once_flag made;
  CUstream_st* streams[kStreamsPerPool] = {};
  std::atomic<unsigned> next{0};
};
StreamPool g_pools[kMaxDevices][2];  // by priority: 0, then -1

CUstream_st* take_stream(int device, int priority) {
  StreamPool& pool = g_pools[device][priority < 0];
  std::call_once(pool.made, [&] {
    DeviceGuard guard(device);
    int lowest = 0, highest = 0;
    check(cudaDeviceGetStreamPriorityRange(&lowest, &highest), "cudaDeviceGetStreamPriorityRange");
    for (CUstream_st*& s : pool.streams) {
      check(cudaStreamCreateWithPriority(&s, cudaStreamNonBlocking, priority < 0 ? highest : lowest),
            "cudaStreamCreateWithPriority");
    }
  });
  return pool.streams[pool.next.fetch_add(1) % kStreamsPerPool];
}

bool is_done(cudaError_t status, const char* call) {
  if (status != cudaErrorNotReady) check(status, call);
  else cudaGetLastError();
  return status == cudaSuccess;
}

}  // namespace

Stream::Stream(int device, int priority) : handle_(nullptr), device_(resolve_device("Stream", device)) {
  NORCH_CHECK_VALUE(priority == 0 || priority == -1, "Stream: priority is 0 or -1 (served first), got ", priority);
  handle_ = take_stream(device_, priority);
}

Stream Stream::external(CUstream_st* handle, int device) {
  return Stream(Raw{}, handle, resolve_device("ExternalStream", device));
}
Stream Stream::default_stream(int device) { return Stream(Raw{}, nullptr, resolve_device("default_stream", device)); }

bool Stream::query() const {
  refuse_in_capture("Stream.query()");
  DeviceGuard guard(device_);
  return is_done(cudaStreamQuery(handle_), "cudaStreamQuery");
}

void Stream::synchronize() const {
  refuse_in_capture("Stream.synchronize()");
  {
    BlockingScope blocking;
    DeviceGuard guard(device_);
    check(cudaStreamSynchronize(handle_), "cudaStreamSynchronize");
  }
  raise_index_error(device_);
}

void Stream::wait_stream(const Stream& other) const {
  Event mark;
  mark.record(other);
  mark.wait(*this);
}

Stream current_stream(int device) {
  if (device < 0 || device >= device_count()) device = resolve_device("current_stream", device);
  return Stream(Stream::Raw{}, t_current[device], device);
}

void set_stream(const Stream& stream) { t_current[stream.device()] = stream.handle(); }

StreamGuard::StreamGuard(const Stream& stream)
    : device_(swap_device(stream.device())), previous_(current_stream(stream.device())) {
  set_stream(stream);
}
StreamGuard::~StreamGuard() {
  set_stream(previous_);
  swap_device(device_);
}

void record_stream(const Tensor& t, const Stream& stream) {
  NORCH_CHECK(t.defined() && t.is_cuda(), "record_stream: expected a CUDA tensor");
  NORCH_CHECK(t.device().index == stream.device(), "record_stream: the tensor is on ", t.device(),
              ", the stream on cuda:", stream.device());
  note_use(t.storage()->data(), stream.device(), stream);
}

Event::Event(Event&& o) noexcept
    : handle_(std::exchange(o.handle_, nullptr)), device_(o.device_), timing_(o.timing_), blocking_(o.blocking_) {}

Event::~Event() {
  if (handle_) cudaEventDestroy(handle_);  // fails only while the process ends
}

void Event::record(const Stream& stream) {
  DeviceGuard guard(stream.device());
  if (!handle_) {
    unsigned flags = cudaEventDefault;
    if (!timing_) flags |= cudaEventDisableTiming;
    if (blocking_) flags |= cudaEventBlockingSync;
    check(cudaEventCreateWithFlags(&handle_, flags), "cudaEventCreateWithFlags");
    device_ = stream.device();
  }
  NORCH_CHECK(device_ == stream.device(), "Event.record: the event belongs to cuda:", device_,
              ", the stream to cuda:", stream.device());
  check(cudaEventRecord(handle_, stream), "cudaEventRecord");
}

void Event::wait(const Stream& stream) const {
  if (!handle_) return;
  DeviceGuard guard(stream.device());
  check(cudaStreamWaitEvent(stream, handle_, 0), "cudaStreamWaitEvent");
}

bool Event::query() const {
  refuse_in_capture("Event.query()");
  return !handle_ || is_done(cudaEventQuery(handle_), "cudaEventQuery");
}

void Event::synchronize() const {
  refuse_in_capture("Event.synchronize()");
  if (!handle_) return;
  {
    BlockingScope blocking;
    check(cudaEventSynchronize(handle_), "cudaEventSynchronize");
  }
  raise_index_error(device_);
}

double Event::elapsed_time(const Event& end) const {
  NORCH_CHECK(timing_ && end.timing_, "Event.elapsed_time: both events must be made with enable_timing=True");
  NORCH_CHECK(handle_ && end.handle_, "Event.elapsed_time: both events must be recorded before calling elapsed_time");
  NORCH_CHECK(query() && end.query(), "Event.elapsed_time: both events must be completed; synchronize() the later one");
  float ms = 0;
  check(cudaEventElapsedTime(&ms, handle_, end.handle_), "cudaEventElapsedTime");
  return ms;
}

}  // namespace norch::cuda
