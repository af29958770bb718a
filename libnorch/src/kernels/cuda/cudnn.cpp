// Convolutions through cuDNN's graph interface: a graph of one node, the plans that cuDNN's heuristic proposes for it,
// best first, and of them the first that computes what norch promises. The plan of a geometry is kept per thread.
#include "kernels/cuda/cudnn.h"

#if NORCH_HAVE_CUDNN_H

#include <cudnn.h>

#include <algorithm>
#include <cstdlib>
#include <cstring>
#include <initializer_list>
#include <memory>
#include <optional>
#include <unordered_map>
#include <vector>

#include "kernels/cuda/cublaslt.h"
#include "kernels/cuda/library_files.h"

namespace norch::cuda {

namespace {

using kernels::Conv;

struct Cudnn {
  decltype(&cudnnGetVersion) get_version;
  decltype(&cudnnCreate) create;
  decltype(&cudnnSetStream) set_stream;
  decltype(&cudnnBackendCreateDescriptor) create_descriptor;
  decltype(&cudnnBackendDestroyDescriptor) destroy_descriptor;
  decltype(&cudnnBackendSetAttribute) set_attribute;
  decltype(&cudnnBackendGetAttribute) get_attribute;
  decltype(&cudnnBackendFinalize) finalize;
  decltype(&cudnnBackendExecute) execute;
};

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

const std::optional<Cudnn>& cudnn() {
  static const std::optional<Cudnn> functions = load();
  return functions;
}

thread_local bool t_disabled = false;

/// This thread's handle for the current device, or null if cuDNN does not start there.
cudnnHandle_t handle(int device) {
  static thread_local struct {
    bool tried;
    cudnnHandle_t handle;
  } slots[kMaxDevices] = {};
  auto& slot = slots[device];
  if (!slot.tried) {
    slot.tried = true;
    if (cudnn()->create(&slot.handle) != CUDNN_STATUS_SUCCESS) {
      slot.handle = nullptr;
      cudaGetLastError();
    }
  }
  return slot.handle;
}

/// A graph descriptor. Calls after one that failed do nothing; ok() tells.
class Descriptor {
 public:
  explicit Descriptor(cudnnBackendDescriptorType_t type) { ok_ = cudnn()->create_descriptor(type, &d_) == CUDNN_STATUS_SUCCESS; }
  ~Descriptor() {
    if (d_) cudnn()->destroy_descriptor(d_);
  }
  Descriptor(Descriptor&& o) noexcept : d_(std::exchange(o.d_, nullptr)), ok_(o.ok_) {}
  Descriptor(const Descriptor&) = delete;
  Descriptor& operator=(const Descriptor&) = delete;

  template <class T>
  Descriptor& set(cudnnBackendAttributeName_t name, cudnnBackendAttributeType_t type, const T* values, int64_t count) {
    ok_ = ok_ && cudnn()->set_attribute(d_, name, type, count, values) == CUDNN_STATUS_SUCCESS;
    return *this;
  }
  Descriptor& set(cudnnBackendAttributeName_t name, int64_t value) { return set(name, CUDNN_TYPE_INT64, &value, 1); }
  Descriptor& set(cudnnBackendAttributeName_t name, cudnnDataType_t value) {
    return set(name, CUDNN_TYPE_DATA_TYPE, &value, 1);
  }
  Descriptor& set(cudnnBackendAttributeName_t name, cudnnHandle_t value) {
    return set(name, CUDNN_TYPE_HANDLE, &value, 1);
  }
  Descriptor& set(cudnnBackendAttributeName_t name, const Descriptor& value) {
    ok_ = ok_ && value.ok_;
    return set(name, CUDNN_TYPE_BACKEND_DESCRIPTOR, &value.d_, 1);
  }
  /// Number of values read.
  template <class T>
  int64_t get(cudnnBackendAttributeName_t name, cudnnBackendAttributeType_t type, T* values, int64_t room) const {
    int64_t count = 0;
    const bool read = ok_ && cudnn()->get_attribute(d_, name, type, room, &count, values) == CUDNN_STATUS_SUCCESS;
    return read ? count : 0;
  }
  bool finalize() {
    ok_ = ok_ && cudnn()->finalize(d_) == CUDNN_STATUS_SUCCESS;
    return ok_;
  }
  bool ok() const { return ok_; }
  cudnnBackendDescriptor_t raw() const { return d_; }

 private:
  cudnnBackendDescriptor_t d_ = nullptr;
  bool ok_ = false;
};

cudnnDataType_t data_type(DType t) {
  switch (t) {
    case DType::Float16: return CUDNN_DATA_HALF;
    case DType::BFloat16: return CUDNN_DATA_BFLOAT16;
    case DType::Float32: return CUDNN_DATA_FLOAT;
    default: return CUDNN_DATA_DOUBLE;
  }
}

/// All that a plan depends on. Compared and hashed as bytes: every byte is set.
struct Key {
  Conv conv;
  int32_t result, dtype, device, alignment;
};
struct KeyHash {
  size_t operator()(const Key& key) const {
    uint64_t words[sizeof(Key) / 8], h = 0x9E3779B97F4A7C15ull;
    std::memcpy(words, &key, sizeof(Key));
    for (uint64_t w : words) h = (h ^ w) * 0xD6E8FEB86659FD93ull, h ^= h >> 32;
    return static_cast<size_t>(h);
  }
};
struct KeyEqual {
  bool operator()(const Key& a, const Key& b) const { return std::memcmp(&a, &b, sizeof(Key)) == 0; }
};

enum Operand : int64_t { kX = 1, kW, kY };
constexpr int64_t kMostWorkspace = int64_t{1} << 30;

/// A contiguous tensor of the graph; `sizes` are (n, channels, three spatial ones), of which `spatial` are used.
Descriptor tensor(Operand id, cudnnDataType_t type, int64_t alignment, int64_t n, int64_t channels,
                  const int64_t (&size)[3], int spatial) {
  int64_t dims[5] = {n, channels}, strides[5];
  for (int d = 0; d < spatial; ++d) dims[2 + d] = size[3 - spatial + d];
  const int count = 2 + spatial;
  int64_t stride = 1;
  for (int d = count - 1; d >= 0; --d) {
    strides[d] = stride;
    stride *= dims[d];
  }
  Descriptor t(CUDNN_BACKEND_TENSOR_DESCRIPTOR);
  t.set(CUDNN_ATTR_TENSOR_DATA_TYPE, type)
      .set(CUDNN_ATTR_TENSOR_DIMENSIONS, CUDNN_TYPE_INT64, dims, count)
      .set(CUDNN_ATTR_TENSOR_STRIDES, CUDNN_TYPE_INT64, strides, count)
      .set(CUDNN_ATTR_TENSOR_UNIQUE_ID, static_cast<int64_t>(id))
      .set(CUDNN_ATTR_TENSOR_BYTE_ALIGNMENT, alignment)
      .finalize();
  return t;
}

/// The zeros behind each dim that the result's size implies. False for a size that cuDNN would not give the result.
bool padding_behind(const Conv& c, int64_t (&after)[3]) {
  for (int d = 0; d < 3; ++d) {
    const int64_t reach = (c.kernel[d] - 1) * c.dilation[d] + 1;
    after[d] = std::max<int64_t>(0, (c.out[d] - 1) * c.stride[d] + reach - c.in[d] - c.pad[d]);
    if ((c.in[d] + c.pad[d] + after[d] - reach) / c.stride[d] + 1 != c.out[d]) return false;
  }
  return true;
}

/// The graph: one node that computes `result`.
std::optional<Descriptor> make_graph(const Key& key, cudnnHandle_t handle) {
  const Conv& c = key.conv;
  int64_t after[3];
  if (!padding_behind(c, after)) return {};
  const auto result = static_cast<ConvResult>(key.result);
  const cudnnDataType_t type = data_type(static_cast<DType>(key.dtype));
  const bool flat = c.in[0] == 1 && c.kernel[0] == 1 && c.out[0] == 1 && c.pad[0] == 0;
  const int spatial = flat ? 2 : 3, first = 3 - spatial;
  const Descriptor x = tensor(kX, type, key.alignment, c.n, c.c_in, c.in, spatial);
  const Descriptor w = tensor(kW, type, key.alignment, c.c_out, c.c_in / c.groups, c.kernel, spatial);
  const Descriptor y = tensor(kY, type, key.alignment, c.n, c.c_out, c.out, spatial);

  const bool wide = type == CUDNN_DATA_DOUBLE;
  const cudnnConvolutionMode_t mode = CUDNN_CROSS_CORRELATION;
  Descriptor conv(CUDNN_BACKEND_CONVOLUTION_DESCRIPTOR);
  conv.set(CUDNN_ATTR_CONVOLUTION_SPATIAL_DIMS, static_cast<int64_t>(spatial))
      .set(CUDNN_ATTR_CONVOLUTION_COMP_TYPE, wide ? CUDNN_DATA_DOUBLE : CUDNN_DATA_FLOAT)
      .set(CUDNN_ATTR_CONVOLUTION_CONV_MODE, CUDNN_TYPE_CONVOLUTION_MODE, &mode, 1)
      .set(CUDNN_ATTR_CONVOLUTION_PRE_PADDINGS, CUDNN_TYPE_INT64, c.pad + first, spatial)
      .set(CUDNN_ATTR_CONVOLUTION_POST_PADDINGS, CUDNN_TYPE_INT64, after + first, spatial)
      .set(CUDNN_ATTR_CONVOLUTION_DILATIONS, CUDNN_TYPE_INT64, c.dilation + first, spatial)
      .set(CUDNN_ATTR_CONVOLUTION_FILTER_STRIDES, CUDNN_TYPE_INT64, c.stride + first, spatial)
      .finalize();

  struct Names {
    cudnnBackendDescriptorType_t type;
    cudnnBackendAttributeName_t conv, x, w, y, alpha, beta;
  };
  static constexpr Names kNames[] = {
      {CUDNN_BACKEND_OPERATION_CONVOLUTION_FORWARD_DESCRIPTOR, CUDNN_ATTR_OPERATION_CONVOLUTION_FORWARD_CONV_DESC,
       CUDNN_ATTR_OPERATION_CONVOLUTION_FORWARD_X, CUDNN_ATTR_OPERATION_CONVOLUTION_FORWARD_W,
       CUDNN_ATTR_OPERATION_CONVOLUTION_FORWARD_Y, CUDNN_ATTR_OPERATION_CONVOLUTION_FORWARD_ALPHA,
       CUDNN_ATTR_OPERATION_CONVOLUTION_FORWARD_BETA},
      {CUDNN_BACKEND_OPERATION_CONVOLUTION_BACKWARD_DATA_DESCRIPTOR, CUDNN_ATTR_OPERATION_CONVOLUTION_BWD_DATA_CONV_DESC,
       CUDNN_ATTR_OPERATION_CONVOLUTION_BWD_DATA_DX, CUDNN_ATTR_OPERATION_CONVOLUTION_BWD_DATA_W,
       CUDNN_ATTR_OPERATION_CONVOLUTION_BWD_DATA_DY, CUDNN_ATTR_OPERATION_CONVOLUTION_BWD_DATA_ALPHA,
       CUDNN_ATTR_OPERATION_CONVOLUTION_BWD_DATA_BETA},
      {CUDNN_BACKEND_OPERATION_CONVOLUTION_BACKWARD_FILTER_DESCRIPTOR,
       CUDNN_ATTR_OPERATION_CONVOLUTION_BWD_FILTER_CONV_DESC, CUDNN_ATTR_OPERATION_CONVOLUTION_BWD_FILTER_X,
       CUDNN_ATTR_OPERATION_CONVOLUTION_BWD_FILTER_DW, CUDNN_ATTR_OPERATION_CONVOLUTION_BWD_FILTER_DY,
       CUDNN_ATTR_OPERATION_CONVOLUTION_BWD_FILTER_ALPHA, CUDNN_ATTR_OPERATION_CONVOLUTION_BWD_FILTER_BETA},
  };
  const Names& names = kNames[static_cast<int>(result)];
  Descriptor node(names.type);
  node.set(names.conv, conv).set(names.x, x).set(names.w, w).set(names.y, y);
  if (wide) {
    const double one = 1, zero = 0;
    node.set(names.alpha, CUDNN_TYPE_DOUBLE, &one, 1).set(names.beta, CUDNN_TYPE_DOUBLE, &zero, 1);
  } else {
    const float one = 1, zero = 0;
    node.set(names.alpha, CUDNN_TYPE_FLOAT, &one, 1).set(names.beta, CUDNN_TYPE_FLOAT, &zero, 1);
  }
  node.finalize();
  Descriptor graph(CUDNN_BACKEND_OPERATIONGRAPH_DESCRIPTOR);
  graph.set(CUDNN_ATTR_OPERATIONGRAPH_HANDLE, handle).set(CUDNN_ATTR_OPERATIONGRAPH_OPS, node);
  if (!graph.finalize()) return {};
  return graph;
}

/// Whether an engine keeps norch's promises: sums in a fixed order, and not in less precision than asked for.
bool allowed(const Descriptor& config, DType dtype) {
  const Descriptor engine(CUDNN_BACKEND_ENGINE_DESCRIPTOR);
  cudnnBackendDescriptor_t raw = engine.raw();
  if (!config.get(CUDNN_ATTR_ENGINECFG_ENGINE, CUDNN_TYPE_BACKEND_DESCRIPTOR, &raw, 1)) return false;
  cudnnBackendNumericalNote_t notes[CUDNN_NUMERICAL_NOTE_TYPE_COUNT];
  const int64_t count =
      engine.get(CUDNN_ATTR_ENGINE_NUMERICAL_NOTE, CUDNN_TYPE_NUMERICAL_NOTE, notes, CUDNN_NUMERICAL_NOTE_TYPE_COUNT);
  for (int64_t i = 0; i < count; ++i) {
    switch (notes[i]) {
      case CUDNN_NUMERICAL_NOTE_NONDETERMINISTIC:
      case CUDNN_NUMERICAL_NOTE_DOWN_CONVERT_INPUTS:
      case CUDNN_NUMERICAL_NOTE_REDUCED_PRECISION_REDUCTION:
      case CUDNN_NUMERICAL_NOTE_FFT:
      case CUDNN_NUMERICAL_NOTE_WINOGRAD_TILE_6x6:
      case CUDNN_NUMERICAL_NOTE_WINOGRAD_TILE_13x13: return false;
      case CUDNN_NUMERICAL_NOTE_TENSOR_CORE:
        if (dtype == DType::Float32) return false;  // TF32
        break;
      default: break;
    }
  }
  cudnnBackendBehaviorNote_t behaviour[CUDNN_BEHAVIOR_NOTE_TYPE_COUNT];
  const int64_t more =
      engine.get(CUDNN_ATTR_ENGINE_BEHAVIOR_NOTE, CUDNN_TYPE_BEHAVIOR_NOTE, behaviour, CUDNN_BEHAVIOR_NOTE_TYPE_COUNT);
  // Compiling while the program runs takes longer than most programs gain by it.
  return std::find(behaviour, behaviour + more, CUDNN_BEHAVIOR_NOTE_RUNTIME_COMPILATION) == behaviour + more;
}

struct Plan {
  std::unique_ptr<Descriptor> plan;  // null: there is none
  size_t workspace = 0;
};

Plan make_plan(const Key& key, cudnnHandle_t handle) {
  const std::optional<Descriptor> graph = make_graph(key, handle);
  if (!graph) return {};
  for (const cudnnBackendHeurMode_t mode : {CUDNN_HEUR_MODE_A, CUDNN_HEUR_MODE_FALLBACK}) {
    Descriptor heuristic(CUDNN_BACKEND_ENGINEHEUR_DESCRIPTOR);
    heuristic.set(CUDNN_ATTR_ENGINEHEUR_OPERATION_GRAPH, *graph)
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
      if (!allowed(config, static_cast<DType>(key.dtype))) continue;
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

constexpr size_t kMostPlans = 1024;
using Plans = std::unordered_map<Key, Plan, KeyHash, KeyEqual>;

const Plan& plan_of(const Key& key, cudnnHandle_t handle) {
  // Never freed: at exit the library may be gone before this thread's storage.
  static thread_local Plans* all = new Plans;
  const auto found = all->find(key);
  if (found != all->end()) return found->second;
  if (all->size() >= kMostPlans) all->clear();
  return all->emplace(key, make_plan(key, handle)).first->second;
}

int32_t alignment_of(std::initializer_list<const void*> pointers) {
  uintptr_t bits = 16;
  for (const void* p : pointers) bits |= reinterpret_cast<uintptr_t>(p);
  return static_cast<int32_t>(bits & (~bits + 1));
}

}  // namespace

bool cudnn_available() { return cudnn().has_value(); }
size_t cudnn_version() { return cudnn() ? cudnn()->get_version() : 0; }
WithoutCudnn::WithoutCudnn() : before_(std::exchange(t_disabled, true)) {}
WithoutCudnn::~WithoutCudnn() { t_disabled = before_; }

bool cudnn_convolve(ConvResult result, const Conv& conv, DType dtype, void* x, void* w, void* y) {
  if (t_disabled || !cudnn()) return false;
  const int device = current_device();
  const cudnnHandle_t h = handle(device);
  if (!h) return false;
  Key key;
  std::memset(static_cast<void*>(&key), 0, sizeof key);
  key.conv = conv;
  key.result = static_cast<int32_t>(result);
  key.dtype = static_cast<int32_t>(dtype);
  key.device = device;
  key.alignment = alignment_of({x, w, y});
  const Plan& plan = plan_of(key, h);
  if (!plan.plan) return false;
  if (cudnn()->set_stream(h, current_stream(device)) != CUDNN_STATUS_SUCCESS) return false;
  std::optional<Workspace> workspace;
  try {
    workspace.emplace(plan.workspace);
  } catch (const OutOfMemoryError&) {
    return false;  // norch's own kernels need none
  }
  const int64_t ids[] = {kX, kW, kY};
  void* pointers[] = {x, w, y};
  void* room = workspace->data();
  Descriptor pack(CUDNN_BACKEND_VARIANT_PACK_DESCRIPTOR);
  pack.set(CUDNN_ATTR_VARIANT_PACK_UNIQUE_IDS, CUDNN_TYPE_INT64, ids, 3)
      .set(CUDNN_ATTR_VARIANT_PACK_DATA_POINTERS, CUDNN_TYPE_VOID_PTR, pointers, 3)
      .set(CUDNN_ATTR_VARIANT_PACK_WORKSPACE, CUDNN_TYPE_VOID_PTR, &room, 1);
  return pack.finalize() && cudnn()->execute(h, plan.plan->raw(), pack.raw()) == CUDNN_STATUS_SUCCESS;
}

}  // namespace norch::cuda

#else

namespace norch::cuda {

bool cudnn_available() { return false; }
size_t cudnn_version() { return 0; }
WithoutCudnn::WithoutCudnn() : before_(false) {}
WithoutCudnn::~WithoutCudnn() { (void)before_; }
bool cudnn_convolve(ConvResult, const kernels::Conv&, DType, void*, void*, void*) { return false; }

}  // namespace norch::cuda

#endif
