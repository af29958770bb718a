// CUDA GPUs: what there is, which one is current, its memory, streams and events.
//
// Work on a GPU is asynchronous: an op returns when its kernels are queued on the current stream. Only reading a value
// (item, a copy to the CPU) and the functions named synchronize wait. The current device and, per device, the current
// stream belong to the calling thread.
//
// Every function taking `device` means the current one by -1, and raises norch::Error where there is no such GPU. In a
// build without CUDA, or on a machine without a driver, device_count() is 0 and everything else raises, saying why.
#pragma once

#include <cstddef>
#include <memory>
#include <string>

#include "norch/tensor.h"

struct CUstream_st;
struct CUevent_st;

namespace norch::cuda {

// ---- devices

/// Number of usable GPUs; 0 without a driver. Never throws.
NORCH_API int device_count() noexcept;
inline bool is_available() noexcept { return device_count() > 0; }
/// Why device_count() is 0, as a sentence for the user; empty if it is not.
NORCH_API std::string why_unavailable();
NORCH_API int current_device();
/// Makes `device` the one that "cuda" means on this thread.
NORCH_API void set_device(int device);
/// Waits for all work on the device. \throws IndexError if a kernel met an index out of range since the last check.
NORCH_API void synchronize(int device = -1);

struct DeviceProperties {
  std::string name;
  int major = 0, minor = 0;  // compute capability
  size_t total_memory = 0;   // bytes
  int multi_processor_count = 0;
  int max_threads_per_multi_processor = 0;
  size_t l2_cache_size = 0;            // bytes
  size_t shared_memory_per_block = 0;  // bytes, opted in
};
NORCH_API DeviceProperties get_device_properties(int device = -1);

// ---- memory
// norch keeps freed blocks for reuse, so `reserved` (held from the driver) is at least `allocated` (in tensors). Both
// count whole blocks, whose sizes are rounded up.

NORCH_API size_t memory_allocated(int device = -1);
NORCH_API size_t max_memory_allocated(int device = -1);
NORCH_API size_t memory_reserved(int device = -1);
NORCH_API size_t max_memory_reserved(int device = -1);
/// Starts the maxima anew from the present values.
NORCH_API void reset_peak_memory_stats(int device = -1);
/// Gives all unused blocks of every device back to the driver; waits for the devices. Does nothing where CUDA has not
/// been used.
NORCH_API void empty_cache();
/// Lets norch use at most this part (0 to 1) of the device's memory; beyond it allocations raise OutOfMemoryError.
NORCH_API void set_per_process_memory_fraction(double fraction, int device = -1);
struct MemoryInfo {
  size_t free = 0, total = 0;  // bytes on the device, all processes counted
};
NORCH_API MemoryInfo mem_get_info(int device = -1);

// ---- streams

/// A queue of work on a device: work on one stream runs in order, work on different streams may overlap. The default
/// stream is CUDA's own (legacy) default stream, so work of other libraries on it is in order with norch's. New
/// streams do not wait for it, nor it for them: use wait_stream or events.
///
/// Memory belongs to the stream that was current when its tensor was made, and is reused in the order of that stream
/// once the tensor is gone. A tensor used on another stream must either be freed while that stream is current or be
/// handed to record_stream: then its memory waits for the work queued there.
///
/// A Stream is a handle; copies name the same queue. The queues are taken in turn from a fixed set and live on.
class NORCH_API Stream {
 public:
  /// A stream of `device` other than the default one; priority -1 is served before 0.
  explicit Stream(int device = -1, int priority = 0);
  /// Names a queue that another library made. It must outlive all tensors made on it.
  static Stream external(CUstream_st* handle, int device);
  static Stream default_stream(int device = -1);

  int device() const { return device_; }
  CUstream_st* handle() const { return handle_; }
  operator CUstream_st*() const { return handle_; }
  /// Whether all work queued so far is done.
  bool query() const;
  /// Waits on the host for all work queued so far. \throws IndexError as synchronize().
  void synchronize() const;
  /// Work queued here from now on waits for what `other` has queued so far.
  void wait_stream(const Stream& other) const;

 private:
  struct Raw {};
  Stream(Raw, CUstream_st* handle, int device) : handle_(handle), device_(device) {}
  friend NORCH_API Stream current_stream(int device);
  CUstream_st* handle_;
  int device_;
};
inline bool operator==(const Stream& a, const Stream& b) {
  return a.device() == b.device() && a.handle() == b.handle();
}
inline bool operator!=(const Stream& a, const Stream& b) { return !(a == b); }

NORCH_API Stream current_stream(int device = -1);
/// Makes `stream` current for its device on this thread (the current device stays).
NORCH_API void set_stream(const Stream& stream);
/// Makes a stream, and its device, current for a scope.
class NORCH_API StreamGuard {
 public:
  explicit StreamGuard(const Stream& stream);
  ~StreamGuard();
  StreamGuard(const StreamGuard&) = delete;
  StreamGuard& operator=(const StreamGuard&) = delete;

 private:
  int device_;
  Stream previous_;
};
/// The memory of `t` is not reused before the work that `stream` has queued when `t` is freed.
NORCH_API void record_stream(const Tensor& t, const Stream& stream);

/// A mark in a stream, made at the first record().
class NORCH_API Event {
 public:
  explicit Event(bool enable_timing = false, bool blocking = false) : timing_(enable_timing), blocking_(blocking) {}
  ~Event();
  Event(Event&& o) noexcept;
  Event(const Event&) = delete;
  Event& operator=(const Event&) = delete;

  /// Marks the end of what the stream has queued so far.
  void record(const Stream& stream);
  void record() { record(current_stream()); }
  /// Work queued on the stream from now on waits for the mark; without a mark, for nothing.
  void wait(const Stream& stream) const;
  void wait() const { wait(current_stream()); }
  /// Whether the work before the mark is done; true without a mark.
  bool query() const;
  /// Waits on the host for the mark. \throws IndexError as synchronize().
  void synchronize() const;
  /// Milliseconds from this mark to that of `end`. \throws Error unless both have timing, a mark, and are done.
  double elapsed_time(const Event& end) const;
  CUevent_st* handle() const { return handle_; }
  int device() const { return device_; }

 private:
  CUevent_st* handle_ = nullptr;
  int device_ = -1;
  bool timing_, blocking_;
};

// ---- graphs

struct Arena;
/// Memory that several graphs may share; opaque. See graph_pool_handle.
using GraphPool = std::shared_ptr<Arena>;
/// Memory to hand to capture_begin of several graphs, which then reuse each other's. They must be replayed in the order
/// of their captures, never at the same time, and what one leaves in its tensors must be read before the next runs.
NORCH_API GraphPool graph_pool_handle();
/// What a capture forbids while it lasts: calls that can wait or allocate behind CUDA's back, by any thread of the
/// process (Global) or by the capturing one (ThreadLocal), or nothing (Relaxed). norch's own calls are safe in all three.
enum class CaptureMode { Global, ThreadLocal, Relaxed };

/// A recorded run of work on a GPU that can be repeated at the cost of one call.
///
///   cuda::CUDAGraph graph;
///   {
///     cuda::StreamGuard side{cuda::Stream()};
///     step();                      // once or more as always: state and libraries come into being
///     graph.capture_begin();
///     step();                      // only recorded
///     graph.capture_end();
///   }
///   x.copy_(batch); graph.replay();   // repeats the work on the same memory
///
/// Between capture_begin and capture_end what the calling thread does on the GPU is recorded, not run. It must be the
/// same each time: a replay works on the same addresses with the same numbers, so inputs are copied into tensors that
/// live on, and results are read from the tensors made in the capture. Those keep their memory, which nothing else
/// gets, until the graph is gone and they are. Random ops draw new numbers in each replay, as the same ops run without a
/// graph would; an optimizer that counts steps has to count them on the GPU (AdamOptions: `capturable`).
///
/// What waits for the GPU or takes values from the CPU cannot be recorded (item(), synchronize(), copies from and to the
/// CPU) and raises norch::Error; the capture then fails at its end, and the process goes on.
class NORCH_API CUDAGraph {
 public:
  CUDAGraph();
  ~CUDAGraph();
  CUDAGraph(const CUDAGraph&) = delete;
  CUDAGraph& operator=(const CUDAGraph&) = delete;

  /// Begins to record the current stream of the current device, and streams that wait for it. \throws Error on the
  /// default stream, inside another capture of this thread, and for a graph that holds a recording.
  void capture_begin(GraphPool pool = nullptr, CaptureMode mode = CaptureMode::Global);
  /// \throws Error, saying why, if something could not be recorded; the graph is then empty again.
  void capture_end();
  /// Queues the recorded work on the current stream of its device.
  void replay();
  /// Waits for the replays and drops the recording; ends a capture of this thread that is under way.
  void reset();
  /// The memory of the recording, to be shared with other captures; null before capture_begin.
  GraphPool pool() const;

  struct State;

 private:
  std::shared_ptr<State> state_;
};
/// Whether the current stream is being captured.
NORCH_API bool is_current_stream_capturing();

// ---- TF32

/// Whether tensor cores may compute float32 products on this process's GPUs with factors rounded to TF32 (10 bits of
/// mantissa, as float16; sums in float32), which is several times as fast: matrix products (of complex64 too), and
/// convolutions where cuDNN does them. Both are off at first: float32 is computed as float32. Results stay the same from
/// run to run with either setting. For all threads.
NORCH_API bool matmul_tf32() noexcept;
NORCH_API void set_matmul_tf32(bool allowed) noexcept;
NORCH_API bool convolution_tf32() noexcept;
NORCH_API void set_convolution_tf32(bool allowed) noexcept;

// ---- libraries

/// A folder to look for NVIDIA's libraries in (cuBLASLt, cuDNN, NCCL) before the system's own places: in itself, and
/// in the folder "lib" of each of its subfolders. Libraries are opened when first used.
NORCH_API void add_library_dir(const std::string& folder);

}  // namespace norch::cuda
