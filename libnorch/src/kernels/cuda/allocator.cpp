#include "kernels/cuda/allocator.h"

#include <pthread.h>

#include <algorithm>
#include <memory>
#include <mutex>
#include <unordered_map>
#include <utility>
#include <vector>

#include "kernels/cuda/context.h"
#include "kernels/cuda/driver_memory.h"
#include "kernels/cuda/graph.h"

namespace norch::cuda {

namespace {

/// What is known of a block that is not simply of the default stream.
struct Special {
  cudaStream_t stream = nullptr;
  std::vector<cudaStream_t> users;
  std::shared_ptr<Arena> arena;
};

/// The memory of one GPU.
class Memory {
 public:
  explicit Memory(int device) : device_(device), driver_(device) {}

  void* allocate(size_t nbytes, cudaStream_t stream, const std::shared_ptr<Arena>& arena) {
    const SizeClass c = size_class(nbytes);
    std::lock_guard<std::mutex> lock(mutex_);
    void* p = nullptr;
    if (arena) {
      p = from_arena(*arena, nbytes, c, stream);
      special_[p].arena = arena;
    } else {
      if (c.index >= 0) p = lists_.take(stream, c.index);
      if (!p) p = from_driver(nbytes, c.bytes, stream);
    }
    if (stream) special_[p].stream = stream;
    allocated_ += c.bytes;
    peak_ = std::max(peak_, allocated_);
    return p;
  }

  void deallocate(void* p, size_t nbytes, cudaStream_t current) noexcept {
    const SizeClass c = size_class(nbytes);
    std::lock_guard<std::mutex> lock(mutex_);
    allocated_ -= c.bytes;
    cudaStream_t stream = nullptr;
    try {
      if (!special_.empty() && to_arena(p, nbytes, c, current)) return;
      if (captures_ && capturing()) {
        deferred_.emplace_back(p, nbytes);
        return;
      }
      if (current || !special_.empty()) stream = settle_uses(p, current);
      if (c.index >= 0) {
        lists_.put(stream, c.index, p);
        return;
      }
    } catch (const std::bad_alloc&) {
      // No room even for the list entry: the block goes back to CUDA.
    }
    driver_.give_back(p, c.bytes, stream);
  }

  void begin_capture(Arena& arena) {
    std::lock_guard<std::mutex> lock(mutex_);
    ++captures_;
    ++arena.graphs;
  }
  void end_capture(Arena& arena) {
    std::vector<std::pair<void*, size_t>> deferred;
    {
      std::lock_guard<std::mutex> lock(mutex_);
      for (const Arena::Block& b : arena.resting) put(arena, b.p, size_class(b.bytes), b.stream);
      arena.resting.clear();
      if (--captures_ == 0) deferred.swap(deferred_);
      for (const auto& entry : deferred) allocated_ += size_class(entry.second).bytes;  // counted as freed already
    }
    for (const auto& [p, bytes] : deferred) deallocate(p, bytes, current_stream(device_));
  }
  void leave(Arena& arena) noexcept {
    std::lock_guard<std::mutex> lock(mutex_);
    if (--arena.graphs > 0) return;
    const RelaxedCapture relaxed;
    auto give_back = [&](void* p, size_t bytes) { driver_.give_back(p, bytes, nullptr); };
    arena.free.drain([&](void* p, cudaStream_t, size_t bytes) { give_back(p, bytes); });
    for (const Arena::Block& block : arena.free_large) give_back(block.p, block.bytes);
    for (const Arena::Block& block : arena.resting) give_back(block.p, size_class(block.bytes).bytes);
    arena.free_large.clear();
    arena.resting.clear();
  }

  void note_use(void* p, cudaStream_t stream) {
    std::lock_guard<std::mutex> lock(mutex_);
    const auto found = special_.find(p);
    if (found == special_.end() ? stream == nullptr : found->second.stream == stream) return;
    std::vector<cudaStream_t>& users = special_[p].users;
    if (std::find(users.begin(), users.end(), stream) == users.end()) users.push_back(stream);
  }

  void empty_cache() {
    std::lock_guard<std::mutex> lock(mutex_);
    release_unused();
  }

  size_t allocated() {
    std::lock_guard<std::mutex> lock(mutex_);
    return allocated_;
  }
  size_t peak() {
    std::lock_guard<std::mutex> lock(mutex_);
    return peak_;
  }
  void reset_peaks() {
    std::lock_guard<std::mutex> lock(mutex_);
    peak_ = allocated_;
    driver_.reset_peak();
  }
  size_t reserved(bool peak) {
    std::lock_guard<std::mutex> lock(mutex_);
    return driver_.held(peak);
  }
  void set_fraction(double fraction) {
    std::lock_guard<std::mutex> lock(mutex_);
    driver_.set_fraction(fraction);
  }

 private:
  /// A block for a capture. New ones are ready for any stream, since no order of streams holds between replays and
  /// what had the memory before.
  void* from_arena(Arena& arena, size_t nbytes, SizeClass c, cudaStream_t stream) {
    if (c.index >= 0) {
      if (void* p = arena.free.take(stream, c.index)) return p;
    } else {
      for (auto it = arena.free_large.begin(); it != arena.free_large.end(); ++it) {
        if (it->bytes != c.bytes || it->stream != stream) continue;
        void* p = it->p;
        arena.free_large.erase(it);
        return p;
      }
    }
    DeviceGuard guard(device_);
    const RelaxedCapture relaxed;
    if (!own_stream_)
      check(cudaStreamCreateWithFlags(&own_stream_, cudaStreamNonBlocking), "cudaStreamCreateWithFlags");
    // Nothing can be given back here: that would wait for streams that may be captured.
    void* p = driver_.take(c.bytes, own_stream_);
    if (!p) driver_.out_of_memory(nbytes, allocated_);
    check(cudaStreamSynchronize(own_stream_), "cudaStreamSynchronize");
    return p;
  }

  static void put(Arena& arena, void* p, SizeClass c, cudaStream_t stream) {
    if (c.index >= 0)
      arena.free.put(stream, c.index, p);
    else
      arena.free_large.push_back({p, c.bytes, stream});
  }

  /// Whether the block is one of an arena that some graph still uses; then it is there again.
  bool to_arena(void* p, size_t nbytes, SizeClass c, cudaStream_t current) {
    const auto found = special_.find(p);
    if (found == special_.end() || !found->second.arena || found->second.arena->graphs == 0) return false;
    const Special s = std::move(found->second);
    special_.erase(found);
    if (s.users.empty() && s.stream == current)
      put(*s.arena, p, c, s.stream);
    else
      s.arena->resting.push_back({p, nbytes, s.stream});
    return true;
  }

  /// The stream that the block at `p` belongs to. Makes it wait for the other streams that used the block, the one
  /// that is current now among them.
  cudaStream_t settle_uses(void* p, cudaStream_t current) noexcept {
    Special s;
    const auto found = special_.find(p);
    if (found != special_.end()) {
      s = std::move(found->second);
      special_.erase(found);
    }
    if (current != s.stream) wait_for(s.stream, current);
    for (cudaStream_t user : s.users)
      if (user != current) wait_for(s.stream, user);
    return s.stream;
  }

  void wait_for(cudaStream_t stream, cudaStream_t other) noexcept {
    try {
      DeviceGuard guard(device_);
      if (!event_) check(cudaEventCreateWithFlags(&event_, cudaEventDisableTiming), "cudaEventCreateWithFlags");
      check(cudaEventRecord(event_, other), "cudaEventRecord");
      check(cudaStreamWaitEvent(stream, event_, 0), "cudaStreamWaitEvent");
    } catch (const Error&) {
      // The device is gone or the process ends: the block is never used again.
    }
  }

  void* from_driver(size_t nbytes, size_t rounded, cudaStream_t stream) {
    void* p = driver_.take(rounded, stream);
    if (!p) {
      release_unused();
      p = driver_.take(rounded, stream);
    }
    if (!p) driver_.out_of_memory(nbytes, allocated_);
    return p;
  }

  void release_unused() {
    DeviceGuard guard(device_);
    lists_.drain([&](void* p, cudaStream_t stream, size_t bytes) { driver_.give_back(p, bytes, stream); });
    check(cudaDeviceSynchronize(), "cudaDeviceSynchronize");
    driver_.trim();
  }

  const int device_;
  std::mutex mutex_;
  DriverMemory driver_;
  BlockLists lists_;
  std::unordered_map<void*, Special> special_;
  int captures_ = 0;                                   // under way on this GPU
  std::vector<std::pair<void*, size_t>> deferred_;     // freed by a thread that captures
  cudaStream_t own_stream_ = nullptr;                  // on which arenas get their blocks
  cudaEvent_t event_ = nullptr;
  size_t allocated_ = 0, peak_ = 0;
};

struct Slot {
  std::once_flag made;
  Memory* memory = nullptr;  // never destroyed: tensors with static storage may outlive any order of destruction
};
Slot g_slots[kMaxDevices];

// Set in a child made by fork() after CUDA was used: CUDA does not work there, and a lock may have been held.
bool g_forked = false;

Memory& memory(int device) {
  NORCH_CHECK(!g_forked, "Cannot re-initialize CUDA in forked subprocess. To use CUDA with multiprocessing, you must use "
                         "the 'spawn' start method");
  Slot& slot = g_slots[device];
  std::call_once(slot.made, [&] {
    slot.memory = new Memory(device);
    pthread_atfork(nullptr, nullptr, [] { g_forked = true; });
  });
  return *slot.memory;
}

}  // namespace

void* allocate(size_t nbytes, int device) {
  if (nbytes == 0) return nullptr;
  return memory(device).allocate(nbytes, current_stream(device), capture_arena(device));
}

void deallocate(void* p, size_t nbytes, int device) noexcept {
  if (p && !g_forked) memory(device).deallocate(p, nbytes, current_stream(device));
}

void note_use(void* p, int device, cudaStream_t stream) {
  if (p) memory(device).note_use(p, stream);
}

void begin_captured_memory(Arena& arena) { memory(arena.device).begin_capture(arena); }
void end_captured_memory(Arena& arena) { memory(arena.device).end_capture(arena); }
void leave_arena(Arena& arena) noexcept {
  if (!g_forked) g_slots[arena.device].memory->leave(arena);
}

size_t memory_allocated(int device) { return memory(resolve_device("memory_allocated", device)).allocated(); }
size_t max_memory_allocated(int device) { return memory(resolve_device("max_memory_allocated", device)).peak(); }
size_t memory_reserved(int device) { return memory(resolve_device("memory_reserved", device)).reserved(false); }
size_t max_memory_reserved(int device) { return memory(resolve_device("max_memory_reserved", device)).reserved(true); }
void reset_peak_memory_stats(int device) { memory(resolve_device("reset_peak_memory_stats", device)).reset_peaks(); }

void set_per_process_memory_fraction(double fraction, int device) {
  NORCH_CHECK_VALUE(fraction >= 0 && fraction <= 1, "set_per_process_memory_fraction: Invalid fraction value: ", fraction,
                    ". Allowed range: 0~1");
  memory(resolve_device("set_per_process_memory_fraction", device)).set_fraction(fraction);
}

void empty_cache() {
  refuse_in_capture("empty_cache()");
  for (int device = 0; device < device_count(); ++device)
    if (g_slots[device].memory && !g_forked) g_slots[device].memory->empty_cache();
}

MemoryInfo mem_get_info(int device) {
  DeviceGuard guard(resolve_device("mem_get_info", device));
  MemoryInfo info;
  check(cudaMemGetInfo(&info.free, &info.total), "cudaMemGetInfo");
  return info;
}

}  // namespace norch::cuda
