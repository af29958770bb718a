#include "kernels/cuda/graph.h"

#include <algorithm>
#include <atomic>
#include <string>
#include <utility>
#include <vector>

#include "core/blocking.h"
#include "core/draw_observer.h"
#include "core/factory.h"
#include "kernels/cuda/allocator.h"
#include "kernels/cuda/context.h"

namespace norch::cuda {

namespace {

constexpr size_t kMostGenerators = 16;

/// A generator that was drawn from in a capture.
struct Drawn {
  Ref<Generator> generator;
  PhiloxState first;  // its first draw there
  uint64_t draws;

  /// Whether the draw is one of them.
  bool made(const PhiloxState& s) const {
    return s.seed == first.seed && s.draw >= first.draw && s.draw - first.draw < draws;
  }
};

}  // namespace

struct CUDAGraph::State {
  int device = -1;
  cudaStream_t stream = nullptr;  // that is captured
  cudaGraphExec_t exec = nullptr;
  std::shared_ptr<Arena> arena;
  bool under_way = false;     // a capture, by the thread whose t_capture this is
  bool counted = false;       // among the arena's graphs
  Tensor numbers;             // seed and first draw of each generator
  std::vector<Drawn> drawn;   // the k-th belongs to numbers[2k] and numbers[2k + 1]
  std::string refused;        // what was asked for and cannot be captured
  std::vector<cudaStream_t> replays;  // the streams that they were on

  /// Ends the capture of this thread. Returns why it failed; empty if it did not.
  std::string end_capture();
  void drop() noexcept;
};

namespace {

thread_local CUDAGraph::State* t_capture = nullptr;
// Keeps the state of a graph that another thread destroys meanwhile.
thread_local std::shared_ptr<CUDAGraph::State> t_owner;
std::atomic<int> g_captures{0};

void observe_draw(Generator& generator, const PhiloxState& s) {
  if (!t_capture) return;
  for (Drawn& d : t_capture->drawn) {
    if (d.generator.get() == &generator) {
      NORCH_CHECK(s.seed == d.first.seed && s.draw >= d.first.draw, "a generator that a CUDA graph draws from can't be "
                  "seeded in its capture; do it before, or between replays");
      d.draws = s.draw - d.first.draw + 1;
      return;
    }
    NORCH_CHECK(s.seed != d.first.seed, "a CUDA graph can't draw from two generators of the same seed, ", s.seed);
  }
  NORCH_CHECK(t_capture->drawn.size() < kMostGenerators, "a CUDA graph can draw random numbers from up to ",
              kMostGenerators, " generators");
  NORCH_CHECK(generator.use_count() > 0, "a CUDA graph can only draw from generators held by a Ref, which it keeps");
  t_capture->drawn.push_back({Ref<Generator>(&generator), s, 1});
}

}  // namespace

bool capturing() noexcept { return t_capture != nullptr; }

const std::shared_ptr<Arena>& capture_arena(int device) noexcept {
  static const std::shared_ptr<Arena> none;
  return t_capture && t_capture->device == device ? t_capture->arena : none;
}

void refuse_in_capture(const char* what) {
  if (!t_capture) return;
  if (t_capture->refused.empty()) t_capture->refused = what;
  NORCH_RAISE(Error, "CUDA graph capture: ", what, " cannot be part of a graph: it would wait for the GPU, or take "
              "values that are fixed at the capture; do it before or after the capture");
}

DeviceDraw device_draw(const PhiloxState& state) {
  if (t_capture) {
    for (size_t k = 0; k < t_capture->drawn.size(); ++k) {
      const Drawn& d = t_capture->drawn[k];
      // What was drawn before the capture (the mask of a dropout, say) stays as it was.
      if (!d.made(state)) continue;
      const auto* numbers = static_cast<const uint64_t*>(t_capture->numbers.data_ptr());
      return {0, state.draw - d.first.draw, numbers + 2 * k};
    }
  }
  return {state.seed, state.draw, nullptr};
}

std::string CUDAGraph::State::end_capture() {
  cudaGraph_t graph = nullptr;
  cudaError_t status = cudaStreamEndCapture(stream, &graph);
  t_capture = nullptr;
  under_way = false;
  if (g_captures.fetch_sub(1) == 1) g_draw_observer.store(nullptr);
  end_captured_memory(*arena);
  // The draws of the recording are made in each replay.
  for (const Drawn& d : drawn) d.generator->set_state(d.first);
  std::string why;
  if (!refused.empty())
    why = refused + " was asked for";
  else if (status != cudaSuccess || !graph)
    why = str(cudaGetErrorString(status), ": something in it cannot be captured, or a stream that joined it was not "
              "waited for (wait_stream) at its end");
  if (why.empty()) {
#if CUDART_VERSION >= 12000
    status = cudaGraphInstantiate(&exec, graph, 0);
#else
    status = cudaGraphInstantiate(&exec, graph, nullptr, nullptr, 0);
#endif
    if (status != cudaSuccess) why = cudaGetErrorString(status);
  }
  if (graph) cudaGraphDestroy(graph);
  cudaGetLastError();  // told in `why`
  return why;
}

void CUDAGraph::State::drop() noexcept {
  if (under_way && t_capture != this) return;
  try {
    const RelaxedCapture relaxed;
    if (t_capture == this) end_capture();
    if (device >= 0) {
      BlockingScope blocking;
      DeviceGuard guard(device);
      for (cudaStream_t s : replays) cudaStreamSynchronize(s);
    }
  } catch (const Error&) {
    // CUDA is gone: nothing runs any more.
  }
  if (exec) cudaGraphExecDestroy(exec);
  cudaGetLastError();
  exec = nullptr;
  replays.clear();
  drawn.clear();
  refused.clear();
  numbers = Tensor();
  if (counted) leave_arena(*arena);
  counted = false;
  arena.reset();
}

GraphPool graph_pool_handle() { return std::make_shared<Arena>(); }

CUDAGraph::CUDAGraph() : state_(std::make_shared<State>()) {}
CUDAGraph::~CUDAGraph() { reset(); }

void CUDAGraph::capture_begin(GraphPool pool, CaptureMode mode) {
  State& s = *state_;
  NORCH_CHECK(!t_capture, "capture_begin: this thread is capturing a CUDA graph already; call its capture_end() first");
  NORCH_CHECK(!s.under_way, "capture_begin: another thread is capturing this graph");
  NORCH_CHECK(!s.exec, "capture_begin: this CUDAGraph holds a recording; reset() it, or take a new one");
  const Stream stream = current_stream();
  NORCH_CHECK(stream.handle(), "CUDA graphs must be captured on a non-default stream. (However, after capture, it's ok "
              "to replay them on the default stream.) Use norch.cuda.graph, or make a Stream current");
  s.drop();
  s.device = stream.device();
  s.stream = stream;
  // What is made when first used waits for the device, or must not be made anew by replays.
  index_check("capture_begin");
  limits(s.device);
  NORCH_CHECK(!pool || pool->device < 0 || pool->device == s.device, "capture_begin: the pool is of cuda:",
              pool ? pool->device : -1, ", the current stream of cuda:", s.device);
  s.numbers = new_tensor({static_cast<int64_t>(2 * kMostGenerators)}, kInt64, Device(DeviceType::CUDA, s.device));
  s.arena = pool ? std::move(pool) : graph_pool_handle();
  s.arena->device = s.device;
  const cudaStreamCaptureMode modes[] = {cudaStreamCaptureModeGlobal, cudaStreamCaptureModeThreadLocal,
                                         cudaStreamCaptureModeRelaxed};
  check(cudaStreamBeginCapture(stream, modes[static_cast<int>(mode)]), "cudaStreamBeginCapture");
  begin_captured_memory(*s.arena);
  s.counted = true;
  s.under_way = true;
  t_capture = &s;
  t_owner = state_;
  if (g_captures.fetch_add(1) == 0) g_draw_observer.store(observe_draw);
}

void CUDAGraph::capture_end() {
  State& s = *state_;
  NORCH_CHECK(t_capture == &s, "capture_end: this thread is not capturing this graph; call capture_begin() first");
  const std::string why = s.end_capture();
  t_owner.reset();
  if (why.empty()) return;
  s.drop();
  NORCH_RAISE(Error, "capture_end: the capture of a CUDA graph has failed: ", why);
}

void CUDAGraph::replay() {
  State& s = *state_;
  NORCH_CHECK(s.exec, "replay: this CUDAGraph holds no recording; call capture_begin() and capture_end() first");
  refuse_in_capture("the replay of another graph");
  DeviceGuard guard(s.device);
  const Stream stream = current_stream(s.device);
  if (!s.drawn.empty()) {
    std::vector<uint64_t> numbers;
    for (const Drawn& d : s.drawn) {
      const PhiloxState first = d.generator->state();
      d.generator->set_state({first.seed, first.draw + d.draws});
      numbers.insert(numbers.end(), {first.seed, first.draw});
    }
    copy_from_host(s.numbers.data_ptr(), numbers.data(), numbers.size() * sizeof(uint64_t), s.device);
  }
  check(cudaGraphLaunch(s.exec, stream), "cudaGraphLaunch");
  if (std::find(s.replays.begin(), s.replays.end(), stream.handle()) == s.replays.end()) s.replays.push_back(stream);
}

void CUDAGraph::reset() {
  state_->drop();
  if (t_owner == state_) t_owner.reset();
}

GraphPool CUDAGraph::pool() const { return state_->arena; }

bool is_current_stream_capturing() {
  if (device_count() == 0) return false;
  const Stream stream = current_stream();
  if (!stream.handle()) return false;
  cudaStreamCaptureStatus status = cudaStreamCaptureStatusNone;
  check(cudaStreamIsCapturing(stream, &status), "cudaStreamIsCapturing");
  return status != cudaStreamCaptureStatusNone;
}

}  // namespace norch::cuda
