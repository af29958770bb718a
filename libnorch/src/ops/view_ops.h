// What the files of view ops share.
#pragma once

#include "autograd/record.h"
#include "core/factory.h"
#include "norch/ops/copy.h"
#include "norch/ops/factory.h"

namespace norch {

/// Zeros of shape `sizes` whose part `part(zeros)` is `g`: the backward of a view. Differentiable.
template <class Part>
Tensor into_zeros(const char* name, const Tensor& g, Ints sizes, Part part) {
  Tensor out = zeros(sizes, g.options());
  {
    autograd::NoGrad off;
    copy_into(part(out), g);
  }
  if (autograd::recording(g))
    autograd::record(name, {g}, {out}, [part](autograd::Backward& ctx) { ctx.set(0, part(ctx.grad())); });
  return out;
}

/// Whether two elements of such a geometry may lie at one place. (True for some geometries where none do.)
bool may_overlap(Ints sizes, Ints strides);

/// Strides under which the memory of `t` has shape `sizes`; false if there are none.
bool view_strides(const Tensor& t, Ints sizes, Shape& strides);

}  // namespace norch
