#include "kernels/cpu/parallel.h"

#include <pthread.h>
#include <sched.h>

#include <algorithm>
#include <atomic>
#include <chrono>
#include <condition_variable>
#include <cstdlib>
#include <exception>
#include <memory>
#include <mutex>
#include <system_error>
#include <thread>
#include <vector>

#include "core/blocking.h"
#include "kernels/cpu/blas.h"
#include "norch/error.h"

namespace norch::kernels::cpu {

namespace {

thread_local bool t_in_region = false;

/// Grains of work that pay for waking a thread: it costs the caller some ten microseconds, and as long again passes
/// before the thread takes part. Fewer grains are left to workers that are awake.
constexpr int64_t kWorthWaking = 8;

/// Parts of a share: when one thread has none left, the others work for one more of them at most.
constexpr int64_t kParts = 16;

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

/// One parallel_for in flight. The range is cut into a share for each thread, always the same one, so that a thread
/// finds what it worked on last time in its own cache; and a share into parts, so that who is done with his own helps
/// with the others'.
struct Job {
  struct alignas(64) Share {
    std::atomic<int64_t> next;
    int64_t end;
  };

  detail::RangeFunction f;
  const void* context;
  int64_t n, part;
  int count;  // of shares
  Share* shares = nullptr;
  std::atomic<bool> failed{false};
  std::exception_ptr error;
  std::mutex error_mutex;

  void work(int self) {
    t_in_region = true;
    for (int i = 0; i < count; ++i) {
      Share& share = shares[(self + i) % count];
      // Looked at before it is taken: the shares of others are mostly used up by now.
      while (share.next.load(std::memory_order_relaxed) < share.end) {
        const int64_t begin = share.next.fetch_add(part, std::memory_order_relaxed);
        if (begin >= share.end) break;
        if (!failed.load(std::memory_order_relaxed)) call(begin, std::min(begin + part, share.end));
      }
    }
    t_in_region = false;
  }

 private:
  void call(int64_t begin, int64_t end) {
    try {
      f(context, begin, end);
    } catch (...) {
      std::lock_guard<std::mutex> lock(error_mutex);
      if (!failed.exchange(true)) error = std::current_exception();
    }
  }
};

/// Worker threads. One without work spins for a while, since kernels come in quick succession, and then sleeps.
///
/// A worker enters a job before it touches it. The caller works too; when all parts are taken it closes the job and
/// waits for those inside only, so that a worker that comes late costs nothing. All of that is one word, `state_`: the
/// job's number, how many threads it is for, whether it is closed, how many workers are inside.
class Pool {
 public:
  /// Starts as many workers as it can, should the system refuse some.
  explicit Pool(int threads) : threads_(threads) {
    workers_.reserve(static_cast<size_t>(threads) - 1);
    try {
      for (int self = 1; self < threads; ++self) {
        auto worker = std::make_unique<Worker>();
        worker->thread = std::thread([this, self, w = worker.get()] { loop(*w, self); });
        workers_.push_back(std::move(worker));
      }
    } catch (const std::system_error&) {
    }
    shares_ = std::make_unique<Job::Share[]>(workers_.size() + 1);
  }
  ~Pool() {
    stop_.store(true);
    for (auto& w : workers_) {
      wake(*w);
      w->thread.join();
    }
  }

  /// The number asked for.
  int threads() const { return threads_; }

  /// Runs `job` on `count` threads or as many as there are. `urgent`: it is worth waking up workers for.
  void run(Job& job, int count, bool urgent) {
    count = std::min(count, static_cast<int>(workers_.size()) + 1);
    const int64_t each = job.n / count, more = job.n % count;
    int64_t begin = 0;
    for (int i = 0; i < count; ++i) {
      shares_[i].next.store(begin, std::memory_order_relaxed);
      shares_[i].end = begin += each + (i < more ? 1 : 0);
    }
    job.count = count;
    job.shares = shares_.get();
    job_ = &job;
    const uint64_t number = (state_.load(std::memory_order_relaxed) >> kNumberShift) + 1;
    state_.store(number << kNumberShift | static_cast<uint64_t>(count) << kCountShift);
    if (urgent || Clock::now() - last_ < kSpinning)
      for (int i = 1; i < count; ++i) wake(*workers_[static_cast<size_t>(i) - 1]);
    job.work(0);
    uint64_t state = state_.fetch_or(kClosed, std::memory_order_acq_rel);
    // Those inside are about to finish too, unless the machine is overcommitted.
    for (int i = 0; (state & kInside) != 0; ++i) {
      if (i < kPatience)
        pause_briefly();
      else
        std::this_thread::yield();
      state = state_.load(std::memory_order_acquire);
    }
    last_ = Clock::now();
  }

 private:
  using Clock = std::chrono::steady_clock;
  static constexpr std::chrono::microseconds kSpinning{200};
  static constexpr int kPatience = 1000;  // pauses before others may have the core

  static constexpr uint64_t kInside = (1 << 11) - 1, kClosed = 1 << 11;  // set_num_threads allows 1024
  static constexpr int kCountShift = 12, kNumberShift = 24;

  struct alignas(64) Worker {
    std::thread thread;
    cpu_set_t home;  // where it may run, while `away`
    bool away = false;
    std::atomic<bool> asleep{false};
    std::mutex mutex;
    std::condition_variable awake;
  };

  /// Whether an open job is there for worker `self`, after the one numbered `seen`.
  static bool wanted(uint64_t state, int self, uint64_t seen) {
    return state >> kNumberShift != seen && (state & kClosed) == 0 &&
           static_cast<int>(state >> kCountShift & kInside) > self;
  }

  static void wake(Worker& w) {
    if (!w.asleep.load()) return;
    {
      std::lock_guard<std::mutex> lock(w.mutex);
      if (!w.away) send_away(w);
      w.asleep.store(false);
    }
    w.awake.notify_one();
  }

  /// Keeps a sleeping worker from being woken on the caller's own core, where it would wait for the caller to stop:
  /// in a virtual machine, Linux takes idle cores for ones that the host has taken away, and passes them over.
  static void send_away(Worker& w) {
    const pthread_t thread = w.thread.native_handle();
    const int here = sched_getcpu();
    if (here < 0 || here >= CPU_SETSIZE || pthread_getaffinity_np(thread, sizeof w.home, &w.home) != 0) return;
    cpu_set_t others = w.home;
    CPU_CLR(here, &others);
    w.away = CPU_COUNT(&others) > 0 && pthread_setaffinity_np(thread, sizeof others, &others) == 0;
  }

  void loop(Worker& me, int self) {
    uint64_t seen = 0;
    auto until = Clock::now() + kSpinning;
    while (!stop_.load()) {
      uint64_t state = state_.load();
      if (wanted(state, self, seen)) {
        if (!state_.compare_exchange_strong(state, state + 1)) continue;
        seen = state >> kNumberShift;
        job_->work(self);
        state_.fetch_sub(1, std::memory_order_release);
      } else if (Clock::now() < until) {
        for (int i = 0; i < 100 && !wanted(state_.load(std::memory_order_acquire), self, seen); ++i) pause_briefly();
        std::this_thread::yield();
        continue;
      } else {
        std::unique_lock<std::mutex> lock(me.mutex);
        me.asleep.store(true);
        // Once more: a caller that came in between has not seen that this worker sleeps.
        if (stop_.load() || wanted(state_.load(), self, seen))
          me.asleep.store(false);
        else
          me.awake.wait(lock, [&] { return !me.asleep.load(); });
        if (me.away) pthread_setaffinity_np(pthread_self(), sizeof me.home, &me.home);
        me.away = false;
      }
      until = Clock::now() + kSpinning;
    }
  }

  const int threads_;
  std::vector<std::unique_ptr<Worker>> workers_;
  std::unique_ptr<Job::Share[]> shares_;
  alignas(64) std::atomic<uint64_t> state_{kClosed};
  std::atomic<bool> stop_{false};
  Job* job_ = nullptr;
  Clock::time_point last_{};
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

namespace detail {

void parallel_for(int64_t n, int64_t grain, RangeFunction f, const void* context) {
  const int threads = num_threads();
  BlockingScope blocking;
  std::unique_lock<std::mutex> lock(g_pool_mutex, std::defer_lock);
  if (threads == 1 || t_in_region || !lock.try_lock()) {
    f(context, 0, n);
    return;
  }
  if (!g_pool || g_pool->threads() != threads) {
    static const int registered = pthread_atfork(before_fork, after_fork_parent, after_fork_child);
    (void)registered;
    delete g_pool;
    g_pool = nullptr;
    g_pool = new Pool(threads);
  }
  grain = std::max<int64_t>(grain, 1);
  Job job;
  job.f = f;
  job.context = context;
  job.n = n;
  const int64_t count = std::min<int64_t>(threads, (n + grain - 1) / grain), share = (n + count - 1) / count;
  job.part = std::min(share, std::max(grain, (share + kParts - 1) / kParts));
  // An item that fills a grain alone may be any amount of work.
  g_pool->run(job, static_cast<int>(count), grain == 1 || n / kWorthWaking >= grain);
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
  NORCH_CHECK(n >= 1 && n <= 1024, "set_num_threads expects a positive integer (at most 1024), got ", n);
  kernels::cpu::g_threads.store(n);
}

}  // namespace norch
