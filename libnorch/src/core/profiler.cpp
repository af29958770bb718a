// Each thread writes to a log of its own, under a lock that only the end of a profile contends for. Logs live as long as
// the process: a token may outlast its profile, and its thread.
#include "norch/profiler.h"

#include <pthread.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <chrono>
#include <mutex>

#include "kernels/cuda/trace.h"

namespace norch::profiler {

namespace detail {

std::atomic<int> mode{0};

struct Log {
  std::mutex mutex;
  uint64_t thread = 0;
  size_t number = 0;  // among all logs
  uint64_t session = 0;
  std::vector<Event> events;     // parents are indices of this log
  std::vector<size_t> running;   // events that have not ended, outermost first
  std::vector<Allocation> allocations;
};

}  // namespace detail

namespace {

using detail::Log;
using detail::Token;

struct State {
  std::mutex mutex;  // taken before a log's
  std::vector<Log*> logs;
  Options options;
  int64_t start = 0;
  std::string no_device_events;
};
// Never destroyed: threads may still write to their logs when the process ends.
State& state() {
  static auto* s = new State;
  return *s;
}

std::atomic<uint64_t> g_session{0};
std::atomic<bool> g_cuda{false};
thread_local Log* t_log = nullptr;

int64_t now() {
  return std::chrono::duration_cast<std::chrono::nanoseconds>(std::chrono::steady_clock::now().time_since_epoch()).count();
}

Log& own_log() {
  if (t_log) return *t_log;
  auto* log = new Log;
  log->thread = static_cast<uint64_t>(syscall(SYS_gettid));
  State& s = state();
  std::lock_guard<std::mutex> lock(s.mutex);
  log->number = s.logs.size();
  s.logs.push_back(log);
  return *(t_log = log);
}

/// The log ready for events of this session; its lock is held.
void prepare(Log& log) {
  const uint64_t session = g_session.load(std::memory_order_relaxed);
  if (log.session == session) return;
  log.session = session;
  log.events.clear();
  log.running.clear();
  log.allocations.clear();
}

/// An event's name to CUPTI: the log and the index in it.
constexpr int kIndexBits = 40;
uint64_t correlation(const Log& log, size_t index) { return uint64_t{log.number} << kIndexBits | index; }

}  // namespace

namespace detail {

Token enter(std::string name, Kind kind, int64_t sequence, std::vector<Input> inputs, std::string stack) {
  Log& log = own_log();
  std::lock_guard<std::mutex> lock(log.mutex);
  prepare(log);
  const size_t index = log.events.size();
  Event& e = log.events.emplace_back();
  e.name = std::move(name);
  e.kind = kind;
  e.thread = log.thread;
  e.parent = log.running.empty() ? -1 : static_cast<int64_t>(log.running.back());
  e.sequence = sequence;
  e.inputs = std::move(inputs);
  e.stack = std::move(stack);
  e.end = -1;
  log.running.push_back(index);
  if (g_cuda.load(std::memory_order_relaxed)) cuda::push_correlation(correlation(log, index));
  e.start = now();
  return {&log, log.session, index};
}

void set_outputs(const Token& token, std::vector<TensorInfo> outputs) {
  std::lock_guard<std::mutex> lock(token.log->mutex);
  if (token.log->session == token.session && token.index < token.log->events.size())
    token.log->events[token.index].outputs = std::move(outputs);
}

void leave(const Token& token, bool drop) noexcept {
  const int64_t end = now();
  Log& log = *token.log;
  std::lock_guard<std::mutex> lock(log.mutex);
  if (log.session != token.session || token.index >= log.events.size()) return;  // that profile has ended
  // Usually the innermost; ranges that a program ends in another order, or on another thread, lie deeper.
  for (size_t i = log.running.size(); i-- > 0;) {
    if (log.running[i] != token.index) continue;
    if (g_cuda.load(std::memory_order_relaxed) && t_log == &log) cuda::pop_correlation();
    log.running.erase(log.running.begin() + static_cast<std::ptrdiff_t>(i));
    break;
  }
  log.events[token.index].end = end;
  const bool encloses = token.index + 1 != log.events.size() ||
                        (!log.allocations.empty() && log.allocations.back().event == static_cast<int64_t>(token.index));
  if (drop && !encloses) log.events.pop_back();
}

void record_allocation(int64_t bytes, Device device) noexcept {
  try {
    Log& log = own_log();
    std::lock_guard<std::mutex> lock(log.mutex);
    prepare(log);
    Allocation& a = log.allocations.emplace_back();
    a.time = now();
    a.bytes = bytes;
    a.device = device;
    if (log.running.empty()) return;
    a.event = static_cast<int64_t>(log.running.back());
    Event& e = log.events[log.running.back()];
    (device.is_cpu() ? e.cpu_bytes : e.cuda_bytes) += bytes;
  } catch (const std::bad_alloc&) {  // a profile without this line is better than a program that ends
  }
}

}  // namespace detail

void start(const Options& options) {
  // A forked process (a data loader's worker) has nobody to read what it would record.
  // (No std::call_once: it needs static thread-local memory of libstdc++, which runs out where PyTorch is imported first.)
  [[maybe_unused]] static const int registered = pthread_atfork(nullptr, nullptr, [] {
    detail::mode.store(0);
    g_cuda.store(false);
  });
  State& s = state();
  std::lock_guard<std::mutex> lock(s.mutex);
  NORCH_CHECK(!on(), "profiler: a profile is being recorded already; stop it before starting another");
  s.options = options;
  s.no_device_events.clear();
  if (options.cuda) {
    s.no_device_events = cuda::start_trace();
    g_cuda.store(s.no_device_events.empty());
  }
  g_session.fetch_add(1);
  s.start = now();
  detail::mode.store(options.memory ? 3 : 1);
}

Profile stop() {
  State& s = state();
  std::lock_guard<std::mutex> lock(s.mutex);
  NORCH_CHECK(on(), "profiler: no profile is being recorded");
  detail::mode.store(0);
  Profile result;
  result.start = s.start;
  result.no_device_events = s.no_device_events;
  if (g_cuda.exchange(false)) result.device_events = cuda::stop_trace(now);
  result.end = now();
  std::vector<int64_t> offsets(s.logs.size(), -1);  // of each log's events in the result
  for (Log* log : s.logs) {
    std::lock_guard<std::mutex> log_lock(log->mutex);
    if (log->session != g_session.load()) continue;
    const auto offset = static_cast<int64_t>(result.events.size());
    offsets[log->number] = offset;
    for (Event& e : log->events) {
      if (e.end < 0) e.end = result.end;
      if (e.parent >= 0) e.parent += offset;
      result.events.push_back(std::move(e));
    }
    for (Allocation& a : log->allocations) {
      if (a.event >= 0) a.event += offset;
      result.allocations.push_back(a);
    }
    log->events.clear();
    log->running.clear();
    log->allocations.clear();
  }
  for (DeviceEvent& d : result.device_events) {
    if (d.event < 0) continue;
    const auto id = static_cast<uint64_t>(d.event);
    const uint64_t log = id >> kIndexBits;
    const auto index = static_cast<int64_t>(id & ((uint64_t{1} << kIndexBits) - 1));
    d.event = log < offsets.size() && offsets[log] >= 0 ? offsets[log] + index : -1;
  }
  return result;
}

}  // namespace norch::profiler
