// Moving elements by index: the kernels under indexing, gather, scatter, index_add, embedding and their like.
//
// All of them walk a plan whose last operand is an int64 index. One dim of the indexed tensor is addressed by the index
// alone: the plan holds a stride of 0 for it (see ops/index_plan.h), and Along says how far one step of
// the index goes. Several indices are first joined into one by index_offsets.
#pragma once

#include "kernels/narrow_kernel.h"
#include "kernels/plan.h"

namespace norch::kernels {

struct Along {
  int64_t size = 0;      // valid indices are below this
  int64_t stride = 0;    // bytes of the indexed tensor per step of the index (elements for index_offsets)
  bool negative = false; // whether indices down to -size count from the end
  int dim = 0;           // for the error text
  const char* op = "";   // a string literal
  bool fresh = false;    // scatter: dst is of no use to anybody if an index is bad, and may be left half written
};

enum class ScatterOp : uint8_t { Assign, Add, Mul, Min, Max };

/// out = src[index], over {out, src, index}. \throws IndexError (on CUDA at the next synchronising call).
NORCH_NARROW_KERNEL(gather, void(const Plan& plan, const Along& along))
/// dst[index] = op(dst[index], src) over {dst, src, index}, where src has dst's dtype. Where indices repeat, the result
/// is that of going through them in row-major order, one by one (16-bit floats are rounded at every step on the CPU,
/// so callers pass wider copies). On the CPU all indices are checked before anything is written, unless dst is `fresh`;
/// CUDA skips bad ones and reports them.
/// `slots` is a count of elements of dst (from its data pointer on) that contains every place that is written to.
NORCH_NARROW_KERNEL(scatter, void(const Plan& plan, const Along& along, ScatterOp op, int64_t slots))
/// offsets (+)= index * along.stride over {offsets, index}, counted from the start of the dim.
NORCH_NARROW_KERNEL(index_offsets, void(const Plan& plan, const Along& along, bool accumulate))
/// out = src over {out, src}, where strides of src may be negative.
NORCH_NARROW_KERNEL(flip, void(const Plan& plan))

}  // namespace norch::kernels
