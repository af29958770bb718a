// cuDNN's graph interface for the sources of this folder: its functions, this thread's handle, descriptors that free
// themselves, and the plans of a graph. Only where NORCH_HAVE_CUDNN_H.
#pragma once

#include <cudnn.h>

#include <functional>
#include <initializer_list>
#include <memory>
#include <optional>
#include <utility>

#include "norch/dtype.h"

namespace norch::cuda {

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

/// Its functions, or nothing where it is missing or NORCH_CUDNN=0.
const std::optional<Cudnn>& cudnn();

/// This thread's handle for a device, or null if cuDNN is missing or does not start there, or a WithoutCudnn lives.
cudnnHandle_t cudnn_handle(int device);

/// A graph descriptor. Calls after one that failed do nothing; ok() tells.
class Descriptor {
 public:
  explicit Descriptor(cudnnBackendDescriptorType_t type) {
    ok_ = cudnn()->create_descriptor(type, &d_) == CUDNN_STATUS_SUCCESS;
  }
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
  Descriptor& set(cudnnBackendAttributeName_t name, bool value) { return set(name, CUDNN_TYPE_BOOLEAN, &value, 1); }
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

cudnnDataType_t cudnn_data_type(DType t);

/// The notes that cuDNN keeps about the engine of a configuration.
struct EngineNotes {
  cudnnBackendNumericalNote_t numerical[CUDNN_NUMERICAL_NOTE_TYPE_COUNT];
  int64_t numericals = 0;
  cudnnBackendBehaviorNote_t behaviour[CUDNN_BEHAVIOR_NOTE_TYPE_COUNT];
  int64_t behaviours = 0;

  bool has(cudnnBackendNumericalNote_t note) const;
  bool has(cudnnBackendBehaviorNote_t note) const;
};

/// How a graph is computed.
struct CudnnPlan {
  std::unique_ptr<Descriptor> plan;  // null: there is none
  size_t workspace = 0;
};

/// Of the plans that cuDNN proposes for a graph, the best whose engine is `allowed` and whose workspace is bearable (1
/// GiB). Takes milliseconds, or, where the engine compiles a kernel, up to a second; may be called while a stream is
/// captured.
CudnnPlan cudnn_plan(const Descriptor& graph, cudnnHandle_t handle,
                     const std::function<bool(const EngineNotes&)>& allowed);

/// Runs a plan on the current stream; `ids` name the graph's tensors, `pointers` say where they are. False if it failed
/// or there is no memory for its workspace.
bool cudnn_run(const CudnnPlan& plan, cudnnHandle_t handle, int64_t count, const int64_t* ids, void* const* pointers);

/// The largest power of two, at most 16, that divides all addresses.
int32_t alignment_of(std::initializer_list<const void*> pointers);

}  // namespace norch::cuda
