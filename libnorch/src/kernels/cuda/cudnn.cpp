// Convolutions through cuDNN's graph interface: a graph of one node, the plans that cuDNN's heuristic proposes for it,
// best first, and of them the first that computes what norch promises. The plan of a geometry is kept per thread.
#include "kernels/cuda/cudnn.h"

#if NORCH_HAVE_CUDNN_H

#include <algorithm>
#include <cstring>
#include <optional>

#include "kernels/cuda/byte_key.h"
#include "kernels/cuda/context.h"
#include "kernels/cuda/cudnn_descriptor.h"

namespace norch::cuda {

namespace {

using kernels::Conv;

/// All that a plan depends on: a key of a ByteMap.
struct Key {
  Conv conv;
  int32_t result, dtype, device, alignment, tf32, unused;
};

enum Operand : int64_t { kX = 1, kW, kY };

/// A dense tensor of the graph; `sizes` are (n, channels, three spatial ones), of which `spatial` are used.
Descriptor tensor(Operand id, cudnnDataType_t type, const Key& key, int64_t n, int64_t channels,
                  const int64_t (&size)[3], int spatial) {
  int64_t dims[5] = {n, channels}, strides[5];
  for (int d = 0; d < spatial; ++d) dims[2 + d] = size[3 - spatial + d];
  const int count = 2 + spatial;
  int64_t stride = 1;
  if (key.conv.channels_last) {
    strides[1] = 1;
    stride = channels;
  }
  for (int d = count - 1; d >= 0; --d) {
    if (d == 1 && key.conv.channels_last) continue;
    strides[d] = stride;
    stride *= dims[d];
  }
  Descriptor t(CUDNN_BACKEND_TENSOR_DESCRIPTOR);
  t.set(CUDNN_ATTR_TENSOR_DATA_TYPE, type)
      .set(CUDNN_ATTR_TENSOR_DIMENSIONS, CUDNN_TYPE_INT64, dims, count)
      .set(CUDNN_ATTR_TENSOR_STRIDES, CUDNN_TYPE_INT64, strides, count)
      .set(CUDNN_ATTR_TENSOR_UNIQUE_ID, static_cast<int64_t>(id))
      .set(CUDNN_ATTR_TENSOR_BYTE_ALIGNMENT, static_cast<int64_t>(key.alignment))
      .finalize();
  return t;
}

/// The zeros behind each dim: as many as before it where the result's size allows (more engines take that), or as few as
/// that needs. False for a size that cuDNN would not give the result.
bool padding_behind(const Conv& c, int64_t (&after)[3]) {
  for (int d = 0; d < 3; ++d) {
    const int64_t reach = (c.kernel[d] - 1) * c.dilation[d] + 1;
    const auto gives_out = [&] { return (c.in[d] + c.pad[d] + after[d] - reach) / c.stride[d] + 1 == c.out[d]; };
    after[d] = c.pad[d];
    if (gives_out()) continue;
    after[d] = std::max<int64_t>(0, (c.out[d] - 1) * c.stride[d] + reach - c.in[d] - c.pad[d]);
    if (!gives_out()) return false;
  }
  return true;
}

/// The graph: one node that computes `result`.
std::optional<Descriptor> make_graph(const Key& key, cudnnHandle_t handle) {
  const Conv& c = key.conv;
  int64_t after[3];
  if (!padding_behind(c, after)) return {};
  const auto result = static_cast<ConvResult>(key.result);
  const cudnnDataType_t type = cudnn_data_type(static_cast<DType>(key.dtype));
  const bool flat = c.in[0] == 1 && c.kernel[0] == 1 && c.out[0] == 1 && c.pad[0] == 0;
  const int spatial = flat ? 2 : 3, first = 3 - spatial;
  const Descriptor x = tensor(kX, type, key, c.n, c.c_in, c.in, spatial);
  const Descriptor w = tensor(kW, type, key, c.c_out, c.c_in / c.groups, c.kernel, spatial);
  const Descriptor y = tensor(kY, type, key, c.n, c.c_out, c.out, spatial);

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
bool allowed(const EngineNotes& notes, DType dtype, bool tf32) {
  for (const auto note : {CUDNN_NUMERICAL_NOTE_NONDETERMINISTIC, CUDNN_NUMERICAL_NOTE_DOWN_CONVERT_INPUTS,
                          CUDNN_NUMERICAL_NOTE_REDUCED_PRECISION_REDUCTION, CUDNN_NUMERICAL_NOTE_FFT,
                          CUDNN_NUMERICAL_NOTE_WINOGRAD_TILE_6x6, CUDNN_NUMERICAL_NOTE_WINOGRAD_TILE_13x13})
    if (notes.has(note)) return false;
  // Winograd's algorithm rounds sums and differences of the inputs to 16 bits before it multiplies, which direct products
  // do not.
  if (itemsize(dtype) == 2 && notes.has(CUDNN_NUMERICAL_NOTE_WINOGRAD)) return false;
  if (dtype == DType::Float32 && !tf32 && notes.has(CUDNN_NUMERICAL_NOTE_TENSOR_CORE)) return false;
  // Compiling while the program runs takes longer than most programs gain by it.
  return !notes.has(CUDNN_BEHAVIOR_NOTE_RUNTIME_COMPILATION);
}

/// Whether cuDNN (9.19 on Hopper) computes something else: weight gradients of dilated convolutions in groups, in 16 bits.
bool wrong(ConvResult result, const Conv& conv, DType dtype) {
  const bool dilated = std::any_of(conv.dilation, conv.dilation + 3, [](int64_t d) { return d > 1; });
  return result == ConvResult::w && itemsize(dtype) == 2 && conv.groups > 1 && dilated;
}

CudnnPlan make_plan(const Key& key, cudnnHandle_t handle) {
  if (wrong(static_cast<ConvResult>(key.result), key.conv, static_cast<DType>(key.dtype))) return {};
  const std::optional<Descriptor> graph = make_graph(key, handle);
  if (!graph) return {};
  return cudnn_plan(*graph, handle,
                    [&](const EngineNotes& notes) { return allowed(notes, static_cast<DType>(key.dtype), key.tf32); });
}

constexpr size_t kMostPlans = 1024;
using Plans = norch::cuda::ByteMap<Key, CudnnPlan>;

const CudnnPlan& plan_of(const Key& key, cudnnHandle_t handle) {
  // Never freed: at exit the library may be gone before this thread's storage.
  static thread_local Plans* all = new Plans;
  const auto found = all->find(key);
  if (found != all->end()) return found->second;
  if (all->size() >= kMostPlans) all->clear();
  return all->emplace(key, make_plan(key, handle)).first->second;
}

}  // namespace

bool cudnn_convolve(ConvResult result, const Conv& conv, DType dtype, void* x, void* w, void* y) {
  const int device = current_device();
  const cudnnHandle_t h = cudnn_handle(device);
  if (!h) return false;
  Key key;
  std::memset(static_cast<void*>(&key), 0, sizeof key);
  key.conv = conv;
  key.result = static_cast<int32_t>(result);
  key.dtype = static_cast<int32_t>(dtype);
  key.device = device;
  key.alignment = alignment_of({x, w, y});
  key.tf32 = dtype == DType::Float32 && convolution_tf32();
  const CudnnPlan& plan = plan_of(key, h);
  if (!plan.plan) return false;
  const int64_t ids[] = {kX, kW, kY};
  void* const pointers[] = {x, w, y};
  return cudnn_run(plan, h, 3, ids, pointers);
}

}  // namespace norch::cuda

#else

namespace norch::cuda {

bool cudnn_convolve(ConvResult, const kernels::Conv&, DType, void*, void*, void*) { return false; }

}  // namespace norch::cuda

#endif
