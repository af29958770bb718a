#include "core/allocator.h"

#include <sys/mman.h>

#include <atomic>
#include <cstdint>
#include <cstdlib>
#include <mutex>
#include <new>
#include <utility>
#include <vector>

#include "norch/error.h"

// Two caches. Small blocks (up to 4 KiB) come from free lists of the calling thread, without a lock: the results of
// small ops. Large blocks come from one shared cache: fresh pages from the system must be cleared and mapped on first
// touch, which costs more than most elementwise kernels. Sizes are rounded up to classes, four per power of two, so
// that a block fits later requests of nearly its size; at most a fifth is wasted.
namespace norch::cpu_allocator {
namespace {

constexpr size_t kAlign = 64;
constexpr size_t kSmallLimit = 4096;
constexpr size_t kSmallClasses = kSmallLimit / kAlign;
constexpr size_t kSmallPerClass = 64;
constexpr size_t kLargeCacheBytes = size_t{1} << 30;
constexpr int kLargeClasses = 4 * 52;

/// Processors compare the low 12 bits of addresses first, and hold up a load for a store before it where these agree: a
/// result that begins a little behind an operand in their pages, as blocks of a class do when the heap lays them one
/// behind the other, costs `a * b` half as long again. So large blocks begin at different places of their first page, and
/// those that follow each other at places far apart. The page is what is freed.
constexpr size_t kPage = 4096;
size_t place_in_page() {
  static std::atomic<size_t> count{0};
  return count.fetch_add(1, std::memory_order_relaxed) * 1280 % kPage;
}

/// Blocks of several huge pages ask for them: first touch of fresh memory then costs a fraction.
constexpr size_t kHugePage = size_t{2} << 20;

// Under AddressSanitizer nothing is cached or rounded up, so that it sees the true bounds and life of every block.
#ifdef __SANITIZE_ADDRESS__
constexpr bool kExact = true;
#else
constexpr bool kExact = false;
#endif

void* exact_allocate(size_t nbytes) {
  void* p = nullptr;
  return posix_memalign(&p, kAlign, nbytes ? nbytes : 1) == 0 ? p : nullptr;
}

void* system_allocate(size_t rounded) {
  if (rounded <= kSmallLimit) return std::aligned_alloc(kAlign, rounded);
  const bool huge = rounded >= 2 * kHugePage;
  void* p = std::aligned_alloc(huge ? kHugePage : kPage, (rounded + 2 * kPage - 1) & ~(kPage - 1));
  if (!p) return nullptr;
  if (huge) madvise(p, rounded & ~(kHugePage - 1), MADV_HUGEPAGE);  // a wish: where it fails, ordinary pages do
  return static_cast<char*>(p) + place_in_page();
}

void free_large(void* p) noexcept {
  std::free(reinterpret_cast<void*>(reinterpret_cast<uintptr_t>(p) & ~(kPage - 1)));
}

struct SmallCache {
  void* blocks[kSmallClasses][kSmallPerClass];
  uint8_t count[kSmallClasses] = {};
  void clear() noexcept {
    for (size_t c = 0; c < kSmallClasses; ++c) {
      while (count[c]) std::free(blocks[c][--count[c]]);
    }
  }
};

// The cache of the calling thread, null until a first block is freed and again once the thread ends: tensors may be
// freed by destructors that run after its cache is gone. A plain pointer, so that reading it needs no guard and the
// library's thread-local storage stays small (see the TLS model in cmake/NorchLibrary.cmake).
thread_local SmallCache* t_small = nullptr;
thread_local bool t_ended = false;

SmallCache* make_small_cache() noexcept {
  if (t_ended) return nullptr;
  struct Owner {
    ~Owner() {
      t_ended = true;
      if (t_small) t_small->clear();
      delete std::exchange(t_small, nullptr);
    }
  };
  static thread_local Owner owner;
  static_cast<void>(owner);
  return t_small = new (std::nothrow) SmallCache;
}

struct LargeCache {
  std::mutex mutex;
  std::vector<void*> blocks[kLargeClasses];
  size_t bytes = 0;
  void clear() noexcept {
    for (auto& list : blocks) {
      for (void* p : list) free_large(p);
      list.clear();
    }
    bytes = 0;
  }
};
// Never destroyed: other objects with static storage may still free tensors.
LargeCache& large_cache() {
  static auto* cache = new LargeCache;
  return *cache;
}

size_t small_class(size_t nbytes) { return nbytes == 0 ? 0 : (nbytes - 1) / kAlign; }

struct LargeClass {
  int index;
  size_t bytes;
};
LargeClass large_class(size_t nbytes) {
  const int log = 63 - __builtin_clzll(nbytes);  // 2^log <= nbytes
  const size_t quarter = size_t{1} << (log - 2);
  const size_t steps = (nbytes - (size_t{1} << log) + quarter - 1) / quarter;  // 0..4
  return {4 * (log - 12) + static_cast<int>(steps), (size_t{1} << log) + steps * quarter};
}

[[noreturn]] void out_of_memory(size_t nbytes) {
  NORCH_RAISE(OutOfMemoryError, "out of memory: could not allocate ", nbytes, " bytes on the CPU");
}

}  // namespace

void* allocate(size_t nbytes) {
  if (kExact) {
    void* p = exact_allocate(nbytes);
    if (!p) out_of_memory(nbytes);
    return p;
  }
  if (nbytes <= kSmallLimit) {
    const size_t c = small_class(nbytes);
    SmallCache* cache = t_small;
    if (cache && cache->count[c]) return cache->blocks[c][--cache->count[c]];
    void* p = system_allocate((c + 1) * kAlign);
    if (!p) out_of_memory(nbytes);
    return p;
  }
  if (nbytes > (size_t{1} << 62)) out_of_memory(nbytes);
  const LargeClass c = large_class(nbytes);
  auto& cache = large_cache();
  {
    std::lock_guard<std::mutex> lock(cache.mutex);
    auto& list = cache.blocks[c.index];
    if (!list.empty()) {
      void* p = list.back();
      list.pop_back();
      cache.bytes -= c.bytes;
      return p;
    }
  }
  void* p = system_allocate(c.bytes);
  if (!p) {
    empty_cache();
    p = system_allocate(c.bytes);
    if (!p) out_of_memory(nbytes);
  }
  return p;
}

void deallocate(void* p, size_t nbytes) noexcept {
  if (kExact) {
    std::free(p);
    return;
  }
  if (nbytes <= kSmallLimit) {
    const size_t c = small_class(nbytes);
    SmallCache* cache = t_small ? t_small : make_small_cache();
    if (cache && cache->count[c] < kSmallPerClass)
      cache->blocks[c][cache->count[c]++] = p;
    else
      std::free(p);
    return;
  }
  const LargeClass c = large_class(nbytes);
  auto& cache = large_cache();
  {
    std::lock_guard<std::mutex> lock(cache.mutex);
    if (cache.bytes + c.bytes <= kLargeCacheBytes) {
      try {
        cache.blocks[c.index].push_back(p);
        cache.bytes += c.bytes;
        return;
      } catch (const std::bad_alloc&) {
        // No room even for the list entry: fall through and free the block.
      }
    }
  }
  free_large(p);
}

void empty_cache() noexcept {
  if (t_small) t_small->clear();
  auto& cache = large_cache();
  std::lock_guard<std::mutex> lock(cache.mutex);
  cache.clear();
}

}  // namespace norch::cpu_allocator
