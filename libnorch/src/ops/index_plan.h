// From tensors of indices to the plans that the kernels of kernels/gather.h walk.
#pragma once

#include <vector>

#include "autograd/saved_tensor.h"
#include "kernels/gather.h"
#include "norch/ops/copy.h"

namespace norch {

/// An int64 index, already on the device of the tensor that it indexes, for dims [dim, dim + ndims). With ndims > 1 it
/// counts through these dims in row-major order, as flat_nonzero of a mask does.
struct IndexEntry {
  Tensor index;
  int64_t dim = 0;
  int64_t ndims = 1;
};

/// What t[...] means once only tensors and whole dims are left: the entries in order of their dims. Their indices
/// broadcast to one shape B. The result has the shape of the dims without an entry, with B in place of the entries
/// if these are adjacent, and in front otherwise.
struct IndexSpec {
  std::vector<IndexEntry> entries;
  bool negative = true;  // whether negative indices count from the end
  const char* op = "index";
};

/// An IndexSpec kept for backward.
class SavedIndex {
 public:
  explicit SavedIndex(const IndexSpec& spec);
  IndexSpec unpack(const autograd::Backward& ctx) const;

 private:
  IndexSpec spec_;  // without tensors
  std::vector<autograd::SavedTensor> tensors_;
};

/// How the result of an indexing lies over the tensor and over the index: sizes of the result, and for each of its dims
/// the strides (in elements) of the tensor, 0 where the index leads, and of the index, 0 elsewhere.
struct IndexWalk {
  Shape sizes, strides, index_strides;
  Tensor index;
  kernels::Along along;
};

/// \throws IndexError when the indices do not broadcast together.
IndexWalk index_walk(const Tensor& t, const IndexSpec& spec);
/// The walk of gather and scatter: element i of the result along `dim` is at index[i]; sizes are those of `index`.
IndexWalk along_dim_walk(const char* op, const Tensor& t, int64_t dim, const Tensor& index);

/// A tensor of that geometry on the memory of `t`, unknown to autograd.
Tensor raw_view(const Tensor& t, Ints sizes, Ints strides, int64_t offset);

/// The elements of `t` that the walk reaches.
Tensor run_gather(const Tensor& t, const IndexWalk& walk);

/// dst = op(dst, src) where the walk reaches; src has dst's dtype and device, and broadcasts to walk.sizes.
void run_scatter(const Tensor& dst, const Tensor& src, const IndexWalk& walk, kernels::ScatterOp op);

/// As run_scatter with the walk that `make_walk(dst)` gives. The CPU keeps sums and products of 16-bit floats in
/// float32 until the end.
template <class MakeWalk>
void scatter_into(const Tensor& dst, const Tensor& src, kernels::ScatterOp op, MakeWalk make_walk) {
  using kernels::ScatterOp;
  const bool rounds = (op == ScatterOp::Add || op == ScatterOp::Mul) && dst.is_cpu() && dst.itemsize() == 2 &&
                      dst.is_floating_point();
  if (!rounds) return run_scatter(dst, src, make_walk(dst), op);
  autograd::NoGrad off;
  const Tensor wide = dst.to(DType::Float32);
  run_scatter(wide, src.to(DType::Float32), make_walk(wide), op);
  copy_into(dst, wide);
}

/// `index` as int64 on `device`. \throws Error, naming `op`, unless it is of dtype int64 or int32 and on the CPU
/// or that device.
Tensor prepare_index(const char* op, const Tensor& index, Device device);

}  // namespace norch
