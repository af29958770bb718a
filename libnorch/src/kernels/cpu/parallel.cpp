#include "kernels/cpu/parallel.h"

#include <pthread.h>
#include <sched.h>

#include <algorithm>
#include <atomic>
#include <condition_variable>
#include <cstdlib>
#include <exception>
#include <mutex>
#include <thread>
#include <vector>

#include "core/blocking.h"
#include "kernels/cpu/blas.h"
#include "norch/error.h"

namespace norch::kernels::cpu {

namespace {

thread_local bool t_in_region = false;

inline void pause_briefly() {
#if defined(__x86_64__)
  __builtin_ia32_pause();
#endif
}

int default_threads() {
  for (const char* name : {"NORCH_NUM_THREADS", "OMP_NUM_THREADS"}) {
    if (const char* text = std::getenv(name)) {
      const int n = std::atoi(text);
      if (n > 0) return std::min(n, 1024);
    }
  }
  cpu_set_t set;
  if (sched_getaffinity(0, sizeof set, &set) == 0) return std::max(1, CPU_COUNT(&set));
  return std::max(1u, std::thread::hardware_concurrency());
}

/// One parallel_for in flight: workers and the caller take parts off a shared counter.
struct Job {
  detail::RangeFunction f;
  const void* context;
  int64_t n, part;
  std::atomic<int64_t> next{0};
  std::atomic<bool> failed{false};
  std::exception_ptr error;
  std::mutex error_mutex;

  void work() {
    const bool outer = t_in_region;
    t_in_region = true;
    for (;;) {
      const int64_t begin = next.fetch_add(part, std::memory_order_relaxed);
      if (begin >= n || failed.load(std::memory_order_relaxed)) break;
      try {
        f(context, begin, std::min(begin + part, n));
      } catch (...) {
        std::lock_guard<std::mutex> lock(error_mutex);
        if (!failed.exchange(true)) error = std::current_exception();
      }
    }
    t_in_region = outer;
  }
};

/// A pool of sleeping workers. Between jobs a worker spins for some microseconds before it sleeps, because kernels
/// come in quick succession.
class Pool {
 public:
  explicit Pool(int workers) {
    for (int i = 0; i < workers; ++i) threads_.emplace_back([this] { loop(); });
  }
  ~Pool() {
    {
      std::lock_guard<std::mutex> lock(mutex_);
      stop_ = true;
      generation_.fetch_add(1);
    }
    wake_.notify_all();
    for (auto& t : threads_) t.join();
  }
  int workers() const { return static_cast<int>(threads_.size()); }

  void run(Job& job) {
    {
      std::lock_guard<std::mutex> lock(mutex_);
      job_ = &job;
      pending_.store(workers(), std::memory_order_relaxed);
      generation_.fetch_add(1, std::memory_order_release);
    }
    wake_.notify_all();
    job.work();
    // The caller waits by spinning: the others are about to finish too, unless the machine is overcommitted.
    for (int i = 0; pending_.load(std::memory_order_acquire) != 0; ++i)
      if (i > 1000) std::this_thread::yield();
  }

 private:
  void loop() {
    uint64_t seen = 0;
    for (;;) {
      for (int i = 0; i < 4000 && generation_.load(std::memory_order_acquire) == seen; ++i) pause_briefly();
      Job* job;
      {
        std::unique_lock<std::mutex> lock(mutex_);
        wake_.wait(lock, [&] { return generation_.load(std::memory_order_relaxed) != seen; });
        if (stop_) return;
        seen = generation_.load(std::memory_order_relaxed);
        job = job_;
      }
      job->work();
      pending_.fetch_sub(1, std::memory_order_release);
    }
  }

  std::vector<std::thread> threads_;
  std::mutex mutex_;
  std::condition_variable wake_;
  std::atomic<uint64_t> generation_{0};
  std::atomic<int> pending_{0};
  Job* job_ = nullptr;
  bool stop_ = false;
};

std::atomic<int> g_threads{0};
std::mutex g_pool_mutex;  // held while a job runs: concurrent callers do their work alone
Pool* g_pool = nullptr;

// After fork() the child has no worker threads: it forgets the parent's pool (never joined) and starts its own when
// needed. g_pool_mutex is taken around fork so that the child gets it unlocked and the pool idle.
void before_fork() { g_pool_mutex.lock(); }
void after_fork_parent() { g_pool_mutex.unlock(); }
void after_fork_child() {
  g_pool = nullptr;
  g_pool_mutex.unlock();
}

#if defined(NORCH_BLAS_OPENBLAS)
// Products are cut into BLAS calls by shape and spread with parallel_for (gemm.cpp), so that results are the same at
// any number of threads; the BLAS's own threads would only get in the way.
[[maybe_unused]] const bool g_blas_is_serial = (NORCH_BLAS(openblas_set_num_threads)(1), true);
#endif

}  // namespace

bool in_parallel_region() { return t_in_region; }

namespace detail {

void parallel_for(int64_t n, int64_t grain, RangeFunction f, const void* context) {
  const int threads = num_threads();
  BlockingScope blocking;
  std::unique_lock<std::mutex> lock(g_pool_mutex, std::defer_lock);
  if (threads == 1 || t_in_region || !lock.try_lock()) {
    f(context, 0, n);
    return;
  }
  if (!g_pool || g_pool->workers() != threads - 1) {
    static const int registered = pthread_atfork(before_fork, after_fork_parent, after_fork_child);
    (void)registered;
    delete g_pool;
    g_pool = new Pool(threads - 1);
  }
  Job job;
  job.f = f;
  job.context = context;
  job.n = n;
  const int64_t even = (n + threads - 1) / threads;
  job.part = std::max<int64_t>(std::max<int64_t>(grain, 1), (even + 3) / 4);
  if (job.part > even) job.part = std::max<int64_t>(even, grain);
  g_pool->run(job);
  lock.unlock();
  if (job.failed) std::rethrow_exception(job.error);
}

}  // namespace detail
}  // namespace norch::kernels::cpu

namespace norch {

int num_threads() {
  int n = kernels::cpu::g_threads.load(std::memory_order_relaxed);
  if (n == 0) {
    n = kernels::cpu::default_threads();
    kernels::cpu::g_threads.store(n);
  }
  return n;
}

void set_num_threads(int n) {
  NORCH_CHECK_VALUE(n >= 1 && n <= 1024, "set_num_threads expects a positive integer (at most 1024), got ", n);
  kernels::cpu::g_threads.store(n);
}

}  // namespace norch
