#include "kernels/cuda/allocator.h"

#include <pthread.h>

#include <algorithm>
#include <memory>
#include <mutex>
#include <unordered_map>
#include <utility>
#include <vector>

#include "kernels/cuda/context.h"

namespace norch::cuda {

namespace {

constexpr size_t kGranule = 512;
constexpr size_t kFineLimit = 4096;  // below: a class every 512 bytes; above: four per power of two
constexpr size_t kListLimit = size_t{32} << 20;
constexpr size_t kPageSize = size_t{2} << 20;  // blocks beyond the lists are whole numbers of these
constexpr int kFineClasses = static_cast<int>(kFineLimit / kGranule);
constexpr int kClasses = kFineClasses + 4 * (25 - 12);

struct SizeClass {
  int index;  // -1: not kept in a list
  size_t bytes;
};

SizeClass size_class(size_t nbytes) {
  if (nbytes <= kFineLimit) {
    const size_t n = (nbytes + kGranule - 1) / kGranule;
    return {static_cast<int>(n) - 1, n * kGranule};
  }
  if (nbytes > kListLimit) return {-1, (nbytes + kPageSize - 1) / kPageSize * kPageSize};
  const int log = 63 - __builtin_clzll(nbytes - 1);  // 2^log < nbytes <= 2^(log+1)
  const size_t quarter = size_t{1} << (log - 2);
  const size_t steps = (nbytes - (size_t{1} << log) + quarter - 1) / quarter;  // 1..4
  return {kFineClasses + 4 * (log - 12) + static_cast<int>(steps) - 1, (size_t{1} << log) + steps * quarter};
}

std::string mebibytes(size_t n) { return str(n >> 20, ".", (n >> 10) % 1024 * 10 / 1024, " MiB"); }

/// What is known of a block that is not simply of the default stream.
struct Special {
  cudaStream_t stream = nullptr;
  std::vector<cudaStream_t> users;
};

/// The memory of one GPU.
class Memory {
 public:
  explicit Memory(int device) : device_(device) {
#if CUDART_VERSION >= 11020
    if (limits(device).memory_pools) make_pool();
#endif
    lists_.emplace_back(nullptr, std::make_unique<Lists>());
  }

  void* allocate(size_t nbytes, cudaStream_t stream) {
    const SizeClass c = size_class(nbytes);
    std::lock_guard<std::mutex> lock(mutex_);
    void* p = nullptr;
    if (c.index >= 0) {
      std::vector<void*>& list = lists_of(stream).blocks[c.index];
      if (!list.empty()) {
        p = list.back();
        list.pop_back();
      }
    }
    if (!p) p = from_driver(nbytes, c.bytes, stream);
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
    if (current || !special_.empty()) stream = settle_uses(p, current);
    if (c.index >= 0) {
      try {
        lists_of(stream).blocks[c.index].push_back(p);
        return;
      } catch (const std::bad_alloc&) {
        // No room even for the list entry: fall through and give the block back.
      }
    }
    free_block(p, stream);
    own_ -= pool_ ? 0 : c.bytes;
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
    own_peak_ = own_;
#if CUDART_VERSION >= 11020
    if (pool_) {
      size_t zero = 0;
      check(cudaMemPoolSetAttribute(pool_, cudaMemPoolAttrReservedMemHigh, &zero), "cudaMemPoolSetAttribute");
    }
#endif
  }
  size_t reserved(bool peak) {
    std::lock_guard<std::mutex> lock(mutex_);
    return held(peak);
  }
  void set_fraction(double fraction) {
    std::lock_guard<std::mutex> lock(mutex_);
    fraction_ = fraction;
  }

 private:
  struct Lists {
    std::vector<void*> blocks[kClasses];
  };

  /// Bytes held from the driver.
  size_t held(bool peak) {
#if CUDART_VERSION >= 11020
    if (pool_) {
      size_t bytes = 0;
      check(cudaMemPoolGetAttribute(
                pool_, peak ? cudaMemPoolAttrReservedMemHigh : cudaMemPoolAttrReservedMemCurrent, &bytes),
            "cudaMemPoolGetAttribute");
      return bytes;
    }
#endif
    return peak ? own_peak_ : own_;
  }

  Lists& lists_of(cudaStream_t stream) {
    for (auto& entry : lists_)
      if (entry.first == stream) return *entry.second;
    lists_.emplace_back(stream, std::make_unique<Lists>());
    return *lists_.back().second;
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
    DeviceGuard guard(device_);
    void* p = nullptr;
    if (!fits(rounded) || try_driver(&p, rounded, stream) != cudaSuccess) {
      release_unused();
      if (!fits(rounded) || try_driver(&p, rounded, stream) != cudaSuccess) out_of_memory(nbytes);
    }
    return p;
  }

  /// Whether the limit allows so many more bytes. What the pool holds beyond blocks given out does not count, but is
  /// trimmed near the limit.
  bool fits(size_t nbytes) {
    if (fraction_ == 1 || nbytes > total()) return nbytes <= total();
    size_t used = own_;
#if CUDART_VERSION >= 11020
    if (pool_) check(cudaMemPoolGetAttribute(pool_, cudaMemPoolAttrUsedMemCurrent, &used), "cudaMemPoolGetAttribute");
    if (pool_ && held(false) + nbytes > limit()) check(cudaMemPoolTrimTo(pool_, 0), "cudaMemPoolTrimTo");
#endif
    return used + nbytes <= limit();
  }
  size_t limit() { return static_cast<size_t>(fraction_ * static_cast<double>(total())); }

  cudaError_t try_driver(void** p, size_t rounded, cudaStream_t stream) {
#if CUDART_VERSION >= 11020
    cudaError_t status = pool_ ? cudaMallocFromPoolAsync(p, rounded, pool_, stream) : cudaMalloc(p, rounded);
#else
    (void)stream;
    cudaError_t status = cudaMalloc(p, rounded);
#endif
    if (status == cudaErrorMemoryAllocation)
      cudaGetLastError();
    else
      check(status, "cudaMallocFromPoolAsync");
    if (status == cudaSuccess) {
      own_ += pool_ ? 0 : rounded;
      own_peak_ = std::max(own_peak_, own_);
    }
    return status;
  }

  size_t total() {
    if (!total_) {
      size_t free = 0;
      check(cudaMemGetInfo(&free, &total_), "cudaMemGetInfo");
    }
    return total_;
  }

  void free_block(void* p, cudaStream_t stream) noexcept {
    // Fails only while the process ends, or after a kernel broke the context.
    try {
      DeviceGuard guard(device_);
#if CUDART_VERSION >= 11020
      if (pool_) {
        if (cudaFreeAsync(p, stream) != cudaSuccess) cudaGetLastError();
        return;
      }
#endif
      (void)stream;
      if (cudaFree(p) != cudaSuccess) cudaGetLastError();
    } catch (const Error&) {
    }
  }

  void to_driver(std::vector<void*>& blocks, cudaStream_t stream) noexcept {
    for (void* p : blocks) free_block(p, stream);
    blocks.clear();
  }

  void release_unused() {
    DeviceGuard guard(device_);
    for (auto& entry : lists_)
      for (auto& list : entry.second->blocks) to_driver(list, entry.first);
    check(cudaDeviceSynchronize(), "cudaDeviceSynchronize");
#if CUDART_VERSION >= 11020
    if (pool_) check(cudaMemPoolTrimTo(pool_, 0), "cudaMemPoolTrimTo");
#endif
    if (!pool_) own_ = allocated_;
  }

  [[noreturn]] void out_of_memory(size_t nbytes) {
    size_t free = 0, total = 0;
    check(cudaMemGetInfo(&free, &total), "cudaMemGetInfo");
    NORCH_RAISE(OutOfMemoryError, "CUDA out of memory. Tried to allocate ", mebibytes(nbytes), " on cuda:", device_,
                ", which has ", mebibytes(total), " in all, of which ", mebibytes(free), " are free. ",
                mebibytes(allocated_), " are in use by tensors of this process", limit_text(),
                "; nothing else could be given back. Free tensors, or use smaller ones.");
  }

  std::string limit_text() {
    return fraction_ == 1 ? "" : str(", which may hold ", mebibytes(limit()), " (set_per_process_memory_fraction)");
  }

#if CUDART_VERSION >= 11020
  /// A pool of norch's own: other libraries that use the device's default pool are not affected.
  void make_pool() {
    DeviceGuard guard(device_);
    cudaMemPoolProps props = {};
    props.allocType = cudaMemAllocationTypePinned;
    props.handleTypes = cudaMemHandleTypeNone;
    props.location.type = cudaMemLocationTypeDevice;
    props.location.id = device_;
    check(cudaMemPoolCreate(&pool_, &props), "cudaMemPoolCreate");
    uint64_t keep = ~uint64_t{0};
    check(cudaMemPoolSetAttribute(pool_, cudaMemPoolAttrReleaseThreshold, &keep), "cudaMemPoolSetAttribute");
    for (int peer = 0; peer < device_count(); ++peer) {
      int can = 0;
      if (peer == device_ || cudaDeviceCanAccessPeer(&can, peer, device_) != cudaSuccess || !can) continue;
      cudaMemAccessDesc access = {};
      access.location.type = cudaMemLocationTypeDevice;
      access.location.id = peer;
      access.flags = cudaMemAccessFlagsProtReadWrite;
      if (cudaMemPoolSetAccess(pool_, &access, 1) != cudaSuccess) cudaGetLastError();
    }
  }
  cudaMemPool_t pool_ = nullptr;
#else
  static constexpr void* pool_ = nullptr;
#endif

  const int device_;
  std::mutex mutex_;
  std::vector<std::pair<cudaStream_t, std::unique_ptr<Lists>>> lists_;  // few; the default stream's first
  std::unordered_map<void*, Special> special_;
  cudaEvent_t event_ = nullptr;
  size_t allocated_ = 0, peak_ = 0;
  size_t own_ = 0, own_peak_ = 0;  // bytes held, where there is no pool to ask
  size_t total_ = 0;
  double fraction_ = 1;
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
  return memory(device).allocate(nbytes, current_stream(device));
}

void deallocate(void* p, size_t nbytes, int device) noexcept {
  if (p && !g_forked) memory(device).deallocate(p, nbytes, current_stream(device));
}

void note_use(void* p, int device, cudaStream_t stream) {
  if (p) memory(device).note_use(p, stream);
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
