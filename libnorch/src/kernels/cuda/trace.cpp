#include "kernels/cuda/trace.h"

#if NORCH_HAVE_CUPTI_H
#include <cupti.h>
#include <cxxabi.h>

#include <cstdlib>
#include <mutex>
#include <unordered_map>

#include "kernels/cuda/context.h"
#include "kernels/cuda/library_files.h"
#endif

namespace norch::cuda {

#if NORCH_HAVE_CUPTI_H

namespace {

struct Cupti {
  decltype(&cuptiActivityRegisterCallbacks) register_callbacks;
  decltype(&cuptiActivityEnable) enable;
  decltype(&cuptiActivityDisable) disable;
  decltype(&cuptiActivityFlushAll) flush_all;
  decltype(&cuptiActivityGetNextRecord) next_record;
  decltype(&cuptiActivityPushExternalCorrelationId) push;
  decltype(&cuptiActivityPopExternalCorrelationId) pop;
  decltype(&cuptiGetTimestamp) timestamp;
  decltype(&cuptiGetResultString) result_string;
};

const Cupti& cupti() {
  static const Cupti functions = [] {
    const Library library(library_files::cupti);
    Cupti f{};
    library.find(f.register_callbacks, "cuptiActivityRegisterCallbacks");
    library.find(f.enable, "cuptiActivityEnable");
    library.find(f.disable, "cuptiActivityDisable");
    library.find(f.flush_all, "cuptiActivityFlushAll");
    library.find(f.next_record, "cuptiActivityGetNextRecord");
    library.find(f.push, "cuptiActivityPushExternalCorrelationId");
    library.find(f.pop, "cuptiActivityPopExternalCorrelationId");
    library.find(f.timestamp, "cuptiGetTimestamp");
    library.find(f.result_string, "cuptiGetResultString");
    return f;
  }();
  return functions;
}

// Kernels, copies and fills are wanted; records of the calls that launched them come with the correlation.
constexpr CUpti_ActivityKind kKinds[] = {CUPTI_ACTIVITY_KIND_CONCURRENT_KERNEL, CUPTI_ACTIVITY_KIND_MEMCPY,
                                         CUPTI_ACTIVITY_KIND_MEMSET, CUPTI_ACTIVITY_KIND_RUNTIME,
                                         CUPTI_ACTIVITY_KIND_DRIVER, CUPTI_ACTIVITY_KIND_EXTERNAL_CORRELATION};
constexpr CUpti_ExternalCorrelationKind kOurs = CUPTI_EXTERNAL_CORRELATION_KIND_CUSTOM0;
constexpr size_t kBufferBytes = size_t{4} << 20;
constexpr size_t kBufferAlign = 8;  // of CUPTI's records

struct Trace {
  std::mutex mutex;
  std::vector<profiler::DeviceEvent> events;  // `event` is the launch's number until stop_trace
  std::unordered_map<uint32_t, uint64_t> launched_by;
};
// Never destroyed: CUPTI's thread may still hand over a buffer when the process ends.
Trace& trace() {
  static auto* t = new Trace;
  return *t;
}

std::string demangled(const char* name) {
  int status = 0;
  char* text = abi::__cxa_demangle(name, nullptr, nullptr, &status);
  std::string result = status == 0 ? text : name;
  std::free(text);
  return result;
}

const char* copy_name(uint8_t kind) {
  switch (kind) {
    case CUPTI_ACTIVITY_MEMCPY_KIND_HTOD: return "Memcpy HtoD";
    case CUPTI_ACTIVITY_MEMCPY_KIND_DTOH: return "Memcpy DtoH";
    case CUPTI_ACTIVITY_MEMCPY_KIND_DTOD: return "Memcpy DtoD";
    case CUPTI_ACTIVITY_MEMCPY_KIND_PTOP: return "Memcpy PtoP";
    default: return "Memcpy";
  }
}

template <class Record>
void add(Trace& t, profiler::DeviceEvent::Kind kind, std::string name, const Record& r) {
  profiler::DeviceEvent e;
  e.kind = kind;
  e.name = std::move(name);
  e.start = static_cast<int64_t>(r.start);
  e.end = static_cast<int64_t>(r.end);
  e.device = static_cast<int>(r.deviceId);
  e.stream = r.streamId;
  e.event = r.correlationId;
  t.events.push_back(std::move(e));
}

// All releases of CUPTI lay the fields that are read here out alike; later ones append.
void read(Trace& t, CUpti_Activity* record) {
  using Kind = profiler::DeviceEvent::Kind;
  switch (record->kind) {
    case CUPTI_ACTIVITY_KIND_KERNEL:
    case CUPTI_ACTIVITY_KIND_CONCURRENT_KERNEL: {
      const auto& r = *reinterpret_cast<const CUpti_ActivityKernel4*>(record);
      add(t, Kind::Kernel, demangled(r.name), r);
      break;
    }
    case CUPTI_ACTIVITY_KIND_MEMCPY: {
      const auto& r = *reinterpret_cast<const CUpti_ActivityMemcpy*>(record);
      add(t, Kind::Copy, copy_name(r.copyKind), r);
      break;
    }
    case CUPTI_ACTIVITY_KIND_MEMSET:
      add(t, Kind::Set, "Memset", *reinterpret_cast<const CUpti_ActivityMemset*>(record));
      break;
    case CUPTI_ACTIVITY_KIND_EXTERNAL_CORRELATION: {
      const auto& r = *reinterpret_cast<const CUpti_ActivityExternalCorrelation*>(record);
      if (r.externalKind == kOurs) t.launched_by[r.correlationId] = r.externalId;
      break;
    }
    default: break;
  }
}

void CUPTIAPI give_buffer(uint8_t** buffer, size_t* size, size_t* max_records) {
  *buffer = static_cast<uint8_t*>(std::aligned_alloc(kBufferAlign, kBufferBytes));
  *size = *buffer ? kBufferBytes : 0;
  *max_records = 0;  // as many as fit
}

void CUPTIAPI take_buffer(CUcontext, uint32_t, uint8_t* buffer, size_t, size_t valid) {
  Trace& t = trace();
  try {
    std::lock_guard<std::mutex> lock(t.mutex);
    CUpti_Activity* record = nullptr;
    while (valid && cupti().next_record(buffer, valid, &record) == CUPTI_SUCCESS) read(t, record);
  } catch (const std::bad_alloc&) {  // the rest of this buffer is lost
  }
  std::free(buffer);
}

}  // namespace

std::string start_trace() {
  if (device_count() == 0) return why_unavailable();
  try {
    const Cupti& c = cupti();
    static std::once_flag once;
    std::call_once(once, [&] { c.register_callbacks(give_buffer, take_buffer); });
    {
      std::lock_guard<std::mutex> lock(trace().mutex);
      trace().events.clear();
      trace().launched_by.clear();
    }
    for (CUpti_ActivityKind kind : kKinds) {
      const CUptiResult status = c.enable(kind);
      if (status == CUPTI_SUCCESS) continue;
      for (CUpti_ActivityKind enabled : kKinds) c.disable(enabled);
      const char* text = "unknown error";
      c.result_string(status, &text);
      return str("CUPTI can't record: ", text, " (the driver lets only administrators profile unless it is told otherwise, "
                 "and one profiler at a time)");
    }
  } catch (const Error& e) {
    return e.what();
  }
  return {};
}

std::vector<profiler::DeviceEvent> stop_trace(int64_t (*now)()) {
  const Cupti& c = cupti();
  for (int d = 0; d < device_count(); ++d) {
    if (memory_reserved(d) == 0) continue;  // has not been used: waiting would start a context there
    const DeviceGuard guard(d);
    cudaDeviceSynchronize();  // what failed is reported by the next op
  }
  uint64_t theirs = 0;
  c.timestamp(&theirs);
  const int64_t shift = now() - static_cast<int64_t>(theirs);
  for (CUpti_ActivityKind kind : kKinds) c.disable(kind);
  c.flush_all(CUPTI_ACTIVITY_FLAG_FLUSH_FORCED);
  Trace& t = trace();
  std::lock_guard<std::mutex> lock(t.mutex);
  for (profiler::DeviceEvent& e : t.events) {
    e.start += shift;
    e.end += shift;
    const auto found = t.launched_by.find(static_cast<uint32_t>(e.event));
    e.event = found == t.launched_by.end() ? -1 : static_cast<int64_t>(found->second);
  }
  t.launched_by.clear();
  return std::move(t.events);
}

void push_correlation(uint64_t id) noexcept { cupti().push(kOurs, id); }

void pop_correlation() noexcept {
  uint64_t id = 0;
  cupti().pop(kOurs, &id);
}

#else

std::string start_trace() {
  return "this build of norch has no kernel times: CUPTI's headers were not found when it was built (pip install "
         "nvidia-cuda-cupti, or the CUDA toolkit's cuda-cupti)";
}
std::vector<profiler::DeviceEvent> stop_trace(int64_t (*)()) { return {}; }
void push_correlation(uint64_t) noexcept {}
void pop_correlation() noexcept {}

#endif

}  // namespace norch::cuda
