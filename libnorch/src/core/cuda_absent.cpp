// The public CUDA functions of a build without CUDA.
#if !NORCH_WITH_CUDA

#include "core/cuda_runtime.h"
#include "norch/config.h"

namespace norch::cuda {

int device_count() noexcept { return 0; }
std::string why_unavailable() {
  return "this build of norch has no CUDA: rebuild with -DNORCH_CUDA=ON (needs the CUDA toolkit)";
}
std::vector<LibraryInfo> libraries() { return {}; }
std::string driver_version() { return {}; }
std::string runtime_version() { return {}; }
int current_device() { no_cuda(); }
void set_device(int) { no_cuda(); }
void synchronize(int) { no_cuda(); }
DeviceProperties get_device_properties(int) { no_cuda(); }
size_t memory_allocated(int) { no_cuda(); }
size_t max_memory_allocated(int) { no_cuda(); }
size_t memory_reserved(int) { no_cuda(); }
size_t max_memory_reserved(int) { no_cuda(); }
void reset_peak_memory_stats(int) { no_cuda(); }
void empty_cache() {}
void set_per_process_memory_fraction(double, int) { no_cuda(); }
MemoryInfo mem_get_info(int) { no_cuda(); }

Stream::Stream(int, int) { no_cuda(); }
Stream Stream::external(CUstream_st*, int) { no_cuda(); }
Stream Stream::default_stream(int) { no_cuda(); }
bool Stream::query() const { no_cuda(); }
void Stream::synchronize() const { no_cuda(); }
void Stream::wait_stream(const Stream&) const { no_cuda(); }
Stream current_stream(int) { no_cuda(); }
void set_stream(const Stream&) { no_cuda(); }
StreamGuard::StreamGuard(const Stream& stream) : device_(-1), previous_(stream) { no_cuda(); }
StreamGuard::~StreamGuard() = default;
void record_stream(const Tensor&, const Stream&) { no_cuda(); }

Event::~Event() = default;
Event::Event(Event&& o) noexcept : timing_(o.timing_), blocking_(o.blocking_) {}
void Event::record(const Stream&) { no_cuda(); }
void Event::wait(const Stream&) const { no_cuda(); }
bool Event::query() const { no_cuda(); }
void Event::synchronize() const { no_cuda(); }
double Event::elapsed_time(const Event&) const { no_cuda(); }

struct Arena {};
struct CUDAGraph::State {};
GraphPool graph_pool_handle() { no_cuda(); }
CUDAGraph::CUDAGraph() { no_cuda(); }
CUDAGraph::~CUDAGraph() = default;
void CUDAGraph::capture_begin(GraphPool, CaptureMode) { no_cuda(); }
void CUDAGraph::capture_end() { no_cuda(); }
void CUDAGraph::replay() { no_cuda(); }
void CUDAGraph::reset() { no_cuda(); }
GraphPool CUDAGraph::pool() const { no_cuda(); }
bool is_current_stream_capturing() { return false; }

void add_library_dir(const std::string&) {}

}  // namespace norch::cuda

#endif
