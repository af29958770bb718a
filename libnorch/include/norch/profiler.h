// Where a program spends its time and memory.
//
//   profiler::start({/*memory=*/true});
//   {
//     profiler::Range range("epoch");
//     train();
//   }
//   for (const profiler::Event& e : profiler::stop().events) std::cout << e.name << ' ' << e.end - e.start << " ns\n";
//
// Recorded are the nodes of backward passes by name, the ranges that a program marks, from Python also every op that it
// calls, and with `cuda` what runs on the GPUs. While nothing profiles, a range is one load of a global number.
#pragma once

#include <atomic>
#include <string>
#include <type_traits>
#include <utility>
#include <vector>

#include "norch/device.h"
#include "norch/dtype.h"
#include "norch/shape.h"

namespace norch::profiler {

struct Options {
  bool memory = false;  // record allocations
  bool cuda = false;    // record kernels and copies on GPUs, through NVIDIA's CUPTI
};

enum class Kind : uint8_t { Op, Backward, Range };

/// What is kept of a tensor.
struct TensorInfo {
  Shape sizes;
  DType dtype = DType::Float32;
  bool requires_grad = false;
};

/// An argument of an op: a tensor, or a list of them; other arguments have none.
struct Input {
  std::vector<TensorInfo> tensors;
  bool is_list = false;
};

/// A range of one thread's time. Times are nanoseconds of a clock that never goes back.
struct Event {
  std::string name;
  Kind kind = Kind::Range;
  int64_t start = 0, end = 0;
  uint64_t thread = 0;    // the system's number of the thread
  int64_t parent = -1;    // index of the event that encloses it in Profile::events, or -1
  int64_t sequence = -1;  // joins an op to its node: the number that the op's node has, or the next would have had
  int64_t cpu_bytes = 0, cuda_bytes = 0;  // allocated less freed, while no enclosed event ran
  std::vector<Input> inputs;              // if the recorder gave them
  std::vector<TensorInfo> outputs;        // the same
  std::string stack;                      // if the recorder gave it: a line for each frame, innermost first
};

/// Memory that was allocated (bytes > 0) or freed.
struct Allocation {
  int64_t time = 0, bytes = 0;
  Device device;
  int64_t event = -1;  // in which event, or -1
};

/// What ran on a GPU.
struct DeviceEvent {
  enum class Kind : uint8_t { Kernel, Copy, Set } kind = Kind::Kernel;
  std::string name;
  int64_t start = 0, end = 0;  // of the same clock
  int device = 0;
  uint32_t stream = 0;
  int64_t event = -1;  // the event that launched it, or -1
};

struct Profile {
  int64_t start = 0, end = 0;
  std::vector<Event> events;  // by thread, in order of their starts
  std::vector<Allocation> allocations;
  std::vector<DeviceEvent> device_events;
  std::string no_device_events;  // why there are none though they were asked for
};

/// Starts to record, on all threads. \throws Error while a profile is being recorded.
NORCH_API void start(const Options& options = {});
/// What was recorded since start(). Events that still run end here. \throws Error unless start() was called.
NORCH_API Profile stop();

namespace detail {
/// Bit 0: events are recorded; bit 1: allocations too.
NORCH_API extern std::atomic<int> mode;
struct Log;
/// Names an event that runs.
struct Token {
  Log* log = nullptr;
  uint64_t session = 0;
  size_t index = 0;
};
NORCH_API Token enter(std::string name, Kind kind, int64_t sequence = -1, std::vector<Input> inputs = {},
                      std::string stack = {});
/// What the event gave.
NORCH_API void set_outputs(const Token& token, std::vector<TensorInfo> outputs);
/// Ends the event. With `drop` it is forgotten, unless it encloses others or allocations.
NORCH_API void leave(const Token& token, bool drop = false) noexcept;
NORCH_API void record_allocation(int64_t bytes, Device device) noexcept;
/// The number that the next node gets; -1 for a thread that records no gradients.
NORCH_API int64_t next_sequence();
}  // namespace detail

/// Whether events are recorded.
inline bool on() { return detail::mode.load(std::memory_order_relaxed) != 0; }

/// Marks a scope of the program. The name is a text, or a function that makes it, called only while something profiles.
class Range {
 public:
  template <class Name>
  explicit Range(const Name& name, Kind kind = Kind::Range, int64_t sequence = -1) {
    if (!on()) return;
    if constexpr (std::is_invocable_v<const Name&>)
      token_ = detail::enter(name(), kind, sequence);
    else
      token_ = detail::enter(name, kind, sequence);
  }
  ~Range() {
    if (token_.log) detail::leave(token_);
  }
  Range(const Range&) = delete;
  Range& operator=(const Range&) = delete;

 private:
  detail::Token token_;
};

}  // namespace norch::profiler
