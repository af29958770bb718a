// Building the graphs that cuDNN's graph interface takes. Only where NORCH_HAVE_CUDNN_H.
#pragma once

#include <array>
#include <deque>
#include <initializer_list>
#include <optional>
#include <vector>

#include "kernels/cuda/cudnn.h"
#include "kernels/cuda/cudnn_descriptor.h"

namespace norch::cuda {

using Dims4 = std::array<int64_t, 4>;

/// The last two swapped.
inline Dims4 transposed(const Dims4& s) { return {s[0], s[1], s[3], s[2]}; }
/// Strides of adjacent elements.
inline Dims4 packed(const Dims4& s) { return {s[1] * s[2] * s[3], s[2] * s[3], s[3], 1}; }

/// An operation graph of tensors of four dims, node by node; arithmetic is in float32. What cuDNN refuses shows in
/// finish().
class CudnnGraph {
 public:
  struct Tensor {
    const Descriptor* descriptor;  // of the graph that made it
    Dims4 sizes, strides;
  };

  /// What lies between two nodes is numbered from `first_between`: the caller's numbers are below.
  explicit CudnnGraph(int64_t first_between) : next_(first_between) {}

  /// A tensor in memory.
  Tensor stored(int64_t id, cudnnDataType_t type, const Dims4& sizes, const Dims4& strides) {
    return tensor(id, type, sizes, strides, {});
  }
  /// A float that each run passes by its address on the host.
  Tensor number(int64_t id) {
    return tensor(id, CUDNN_DATA_FLOAT, {1, 1, 1, 1}, {1, 1, 1, 1}, CUDNN_ATTR_TENSOR_IS_BY_VALUE);
  }
  /// What one node hands to another.
  Tensor between(cudnnDataType_t type, const Dims4& sizes, const Dims4& strides) {
    return tensor(next_++, type, sizes, strides, CUDNN_ATTR_TENSOR_IS_VIRTUAL);
  }
  Tensor between(cudnnDataType_t type, const Dims4& sizes) { return between(type, sizes, packed(sizes)); }

  void matmul(const Tensor& a, const Tensor& b, const Tensor& out) {
    Descriptor how(CUDNN_BACKEND_MATMUL_DESCRIPTOR);
    how.set(CUDNN_ATTR_MATMUL_COMP_TYPE, CUDNN_DATA_FLOAT).finalize();
    add(CUDNN_BACKEND_OPERATION_MATMUL_DESCRIPTOR)
        .set(CUDNN_ATTR_OPERATION_MATMUL_ADESC, *a.descriptor)
        .set(CUDNN_ATTR_OPERATION_MATMUL_BDESC, *b.descriptor)
        .set(CUDNN_ATTR_OPERATION_MATMUL_CDESC, *out.descriptor)
        .set(CUDNN_ATTR_OPERATION_MATMUL_DESC, how)
        .finalize();
  }

  void reduce(cudnnReduceTensorOp_t op, const Tensor& in, const Tensor& out) {
    Descriptor how(CUDNN_BACKEND_REDUCTION_DESCRIPTOR);
    how.set(CUDNN_ATTR_REDUCTION_COMP_TYPE, CUDNN_DATA_FLOAT)
        .set(CUDNN_ATTR_REDUCTION_OPERATOR, CUDNN_TYPE_REDUCTION_OPERATOR_TYPE, &op, 1);
#if CUDNN_VERSION >= 91100
    if (cudnn_version() >= 91100) how.set(CUDNN_ATTR_REDUCTION_IS_DETERMINISTIC, true);
#endif
    how.finalize();
    add(CUDNN_BACKEND_OPERATION_REDUCTION_DESCRIPTOR)
        .set(CUDNN_ATTR_OPERATION_REDUCTION_DESC, how)
        .set(CUDNN_ATTR_OPERATION_REDUCTION_XDESC, *in.descriptor)
        .set(CUDNN_ATTR_OPERATION_REDUCTION_YDESC, *out.descriptor)
        .finalize();
  }

  /// Elementwise, of up to three operands; `axis` is that of an index.
  void pointwise(cudnnPointwiseMode_t mode, std::initializer_list<Tensor> in, const Tensor& out,
                 cudnnDataType_t precision = CUDNN_DATA_FLOAT, int64_t axis = -1) {
    Descriptor how(CUDNN_BACKEND_POINTWISE_DESCRIPTOR);
    how.set(CUDNN_ATTR_POINTWISE_MODE, CUDNN_TYPE_POINTWISE_MODE, &mode, 1).set(CUDNN_ATTR_POINTWISE_MATH_PREC, precision);
    if (axis >= 0) how.set(CUDNN_ATTR_POINTWISE_AXIS, axis);
    how.finalize();
    Descriptor& node = add(CUDNN_BACKEND_OPERATION_POINTWISE_DESCRIPTOR);
    node.set(CUDNN_ATTR_OPERATION_POINTWISE_PW_DESCRIPTOR, how).set(CUDNN_ATTR_OPERATION_POINTWISE_YDESC, *out.descriptor);
    static constexpr cudnnBackendAttributeName_t kOperands[] = {
        CUDNN_ATTR_OPERATION_POINTWISE_XDESC, CUDNN_ATTR_OPERATION_POINTWISE_BDESC, CUDNN_ATTR_OPERATION_POINTWISE_TDESC};
    const auto* name = kOperands;
    for (const Tensor& t : in) node.set(*name++, *t.descriptor);
    node.finalize();
  }
  /// ... as a new float tensor of the first operand's sizes.
  Tensor pointwise(cudnnPointwiseMode_t mode, std::initializer_list<Tensor> in) {
    const Tensor out = between(CUDNN_DATA_FLOAT, in.begin()->sizes);
    pointwise(mode, in, out);
    return out;
  }

  /// The whole, or nothing if cuDNN refused a part of it.
  std::optional<Descriptor> finish(cudnnHandle_t handle) const {
    std::vector<cudnnBackendDescriptor_t> nodes;
    for (const Descriptor& node : nodes_) {
      if (!node.ok()) return {};
      nodes.push_back(node.raw());
    }
    Descriptor graph(CUDNN_BACKEND_OPERATIONGRAPH_DESCRIPTOR);
    graph.set(CUDNN_ATTR_OPERATIONGRAPH_HANDLE, handle)
        .set(CUDNN_ATTR_OPERATIONGRAPH_OPS, CUDNN_TYPE_BACKEND_DESCRIPTOR, nodes.data(), static_cast<int64_t>(nodes.size()));
    if (!graph.finalize()) return {};
    return graph;
  }

 private:
  Tensor tensor(int64_t id, cudnnDataType_t type, const Dims4& sizes, const Dims4& strides,
                std::optional<cudnnBackendAttributeName_t> property) {
    Descriptor& t = tensors_.emplace_back(CUDNN_BACKEND_TENSOR_DESCRIPTOR);
    t.set(CUDNN_ATTR_TENSOR_DATA_TYPE, type)
        .set(CUDNN_ATTR_TENSOR_DIMENSIONS, CUDNN_TYPE_INT64, sizes.data(), 4)
        .set(CUDNN_ATTR_TENSOR_STRIDES, CUDNN_TYPE_INT64, strides.data(), 4)
        .set(CUDNN_ATTR_TENSOR_UNIQUE_ID, id)
        .set(CUDNN_ATTR_TENSOR_BYTE_ALIGNMENT, int64_t{16});
    if (property) t.set(*property, true);
    t.finalize();
    return {&t, sizes, strides};
  }
  Descriptor& add(cudnnBackendDescriptorType_t type) { return nodes_.emplace_back(type); }

  std::deque<Descriptor> tensors_, nodes_;
  int64_t next_;
};

}  // namespace norch::cuda
