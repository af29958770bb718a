#include "kernels/cuda/cudnn.h"

#if NORCH_HAVE_CUDNN_H

#include <algorithm>
#include <cstdlib>
#include <cstring>
#include <vector>

#include "kernels/cuda/cublaslt.h"
#include "kernels/cuda/cudnn_descriptor.h"
#include "kernels/cuda/graph.h"
#include "kernels/cuda/library_files.h"

namespace norch::cuda {

namespace {

std::optional<Cudnn> load() {
  const char* wish = std::getenv("NORCH_CUDNN");
  if (wish && std::strcmp(wish, "0") == 0) return {};
  try {
    cublaslt();  // cuDNN needs it and looks for it by its name alone
    const Library library(library_files::cudnn);
    Cudnn f;
    library.find(f.get_version, "cudnnGetVersion");
    library.find(f.create, "cudnnCreate");
    library.find(f.set_stream, "cudnnSetStream");
    library.find(f.create_descriptor, "cudnnBackendCreateDescriptor");
    library.find(f.destroy_descriptor, "cudnnBackendDestroyDescriptor");
    library.find(f.set_attribute, "cudnnBackendSetAttribute");
    library.find(f.get_attribute, "cudnnBackendGetAttribute");
    library.find(f.finalize, "cudnnBackendFinalize");
    library.find(f.execute, "cudnnBackendExecute");
    return f;
  } catch (const Error&) {
    return {};  // a missing library costs speed, not function
  }
}

thread_local bool t_disabled = false;

constexpr int64_t kMostWorkspace = int64_t{1} << 30;

EngineNotes notes_of(const Descriptor& config) {
  EngineNotes notes;
  const Descriptor engine(CUDNN_BACKEND_ENGINE_DESCRIPTOR);
  cudnnBackendDescriptor_t raw = engine.raw();
  if (!config.get(CUDNN_ATTR_ENGINECFG_ENGINE, CUDNN_TYPE_BACKEND_DESCRIPTOR, &raw, 1)) return notes;
  notes.numericals = engine.get(CUDNN_ATTR_ENGINE_NUMERICAL_NOTE, CUDNN_TYPE_NUMERICAL_NOTE, notes.numerical,
                                CUDNN_NUMERICAL_NOTE_TYPE_COUNT);
  notes.behaviours = engine.get(CUDNN_ATTR_ENGINE_BEHAVIOR_NOTE, CUDNN_TYPE_BEHAVIOR_NOTE, notes.behaviour,
                                CUDNN_BEHAVIOR_NOTE_TYPE_COUNT);
  return notes;
}

}  // namespace

const std::optional<Cudnn>& cudnn() {
  static const std::optional<Cudnn> functions = load();
  return functions;
}

bool cudnn_available() { return cudnn().has_value(); }
size_t cudnn_version() { return cudnn() ? cudnn()->get_version() : 0; }
WithoutCudnn::WithoutCudnn() : before_(std::exchange(t_disabled, true)) {}
WithoutCudnn::~WithoutCudnn() { t_disabled = before_; }

cudnnHandle_t cudnn_handle(int device) {
  static thread_local struct {
    bool tried;
    cudnnHandle_t handle;
  } slots[kMaxDevices] = {};
  if (t_disabled || !cudnn()) return nullptr;
  auto& slot = slots[device];
  if (!slot.tried) {
    slot.tried = true;
    const RelaxedCapture loads_modules;
    if (cudnn()->create(&slot.handle) != CUDNN_STATUS_SUCCESS) {
      slot.handle = nullptr;
      cudaGetLastError();
    }
  }
  return slot.handle;
}

cudnnDataType_t cudnn_data_type(DType t) {
  switch (t) {
    case DType::Float16: return CUDNN_DATA_HALF;
    case DType::BFloat16: return CUDNN_DATA_BFLOAT16;
    case DType::Float32: return CUDNN_DATA_FLOAT;
    default: return CUDNN_DATA_DOUBLE;
  }
}

bool EngineNotes::has(cudnnBackendNumericalNote_t note) const {
  return std::find(numerical, numerical + numericals, note) != numerical + numericals;
}
bool EngineNotes::has(cudnnBackendBehaviorNote_t note) const {
  return std::find(behaviour, behaviour + behaviours, note) != behaviour + behaviours;
}

CudnnPlan cudnn_plan(const Descriptor& graph, cudnnHandle_t handle,
                     const std::function<bool(const EngineNotes&)>& allowed) {
  const RelaxedCapture loads_modules;
  for (const cudnnBackendHeurMode_t mode : {CUDNN_HEUR_MODE_A, CUDNN_HEUR_MODE_FALLBACK}) {
    Descriptor heuristic(CUDNN_BACKEND_ENGINEHEUR_DESCRIPTOR);
    heuristic.set(CUDNN_ATTR_ENGINEHEUR_OPERATION_GRAPH, graph)
        .set(CUDNN_ATTR_ENGINEHEUR_MODE, CUDNN_TYPE_HEUR_MODE, &mode, 1);
    if (!heuristic.finalize()) continue;
    const int64_t room = heuristic.get(CUDNN_ATTR_ENGINEHEUR_RESULTS, CUDNN_TYPE_BACKEND_DESCRIPTOR,
                                       static_cast<cudnnBackendDescriptor_t*>(nullptr), 0);
    std::vector<Descriptor> configs;
    std::vector<cudnnBackendDescriptor_t> raw;
    for (int64_t i = 0; i < room; ++i) {
      configs.emplace_back(CUDNN_BACKEND_ENGINECFG_DESCRIPTOR);
      raw.push_back(configs.back().raw());
    }
    const int64_t count =
        heuristic.get(CUDNN_ATTR_ENGINEHEUR_RESULTS, CUDNN_TYPE_BACKEND_DESCRIPTOR, raw.data(), room);
    for (int64_t i = 0; i < std::min(room, count); ++i) {
      const Descriptor& config = configs[static_cast<size_t>(i)];
      if (!allowed(notes_of(config))) continue;
      auto plan = std::make_unique<Descriptor>(CUDNN_BACKEND_EXECUTION_PLAN_DESCRIPTOR);
      plan->set(CUDNN_ATTR_EXECUTION_PLAN_HANDLE, handle).set(CUDNN_ATTR_EXECUTION_PLAN_ENGINE_CONFIG, config);
      if (!plan->finalize()) continue;
      int64_t workspace = 0;
      if (!plan->get(CUDNN_ATTR_EXECUTION_PLAN_WORKSPACE_SIZE, CUDNN_TYPE_INT64, &workspace, 1)) continue;
      if (workspace <= kMostWorkspace) return {std::move(plan), static_cast<size_t>(workspace)};
    }
  }
  return {};
}

bool cudnn_run(const CudnnPlan& plan, cudnnHandle_t handle, int64_t count, const int64_t* ids, void* const* pointers) {
  if (cudnn()->set_stream(handle, current_stream(current_device())) != CUDNN_STATUS_SUCCESS) return false;
  std::optional<Workspace> workspace;
  try {
    workspace.emplace(plan.workspace);
  } catch (const OutOfMemoryError&) {
    return false;  // norch's own kernels need none
  }
  const RelaxedCapture loads_modules;  // at a plan's first run
  void* room = workspace->data();
  Descriptor pack(CUDNN_BACKEND_VARIANT_PACK_DESCRIPTOR);
  pack.set(CUDNN_ATTR_VARIANT_PACK_UNIQUE_IDS, CUDNN_TYPE_INT64, ids, count)
      .set(CUDNN_ATTR_VARIANT_PACK_DATA_POINTERS, CUDNN_TYPE_VOID_PTR, pointers, count)
      .set(CUDNN_ATTR_VARIANT_PACK_WORKSPACE, CUDNN_TYPE_VOID_PTR, &room, 1);
  return pack.finalize() && cudnn()->execute(handle, plan.plan->raw(), pack.raw()) == CUDNN_STATUS_SUCCESS;
}

int32_t alignment_of(std::initializer_list<const void*> pointers) {
  uintptr_t bits = 16;
  for (const void* p : pointers) bits |= reinterpret_cast<uintptr_t>(p);
  return static_cast<int32_t>(bits & (~bits + 1));
}

}  // namespace norch::cuda

#else

namespace norch::cuda {

bool cudnn_available() { return false; }
size_t cudnn_version() { return 0; }
WithoutCudnn::WithoutCudnn() : before_(false) {}
WithoutCudnn::~WithoutCudnn() { (void)before_; }

}  // namespace norch::cuda

#endif
