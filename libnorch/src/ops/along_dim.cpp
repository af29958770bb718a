#include "ops/along_dim.h"

#include "autograd/record.h"
#include "norch/ops/factory.h"
#include "norch/ops/gather.h"
#include "norch/ops/view.h"

namespace norch {

using autograd::Backward;
using autograd::record;
using autograd::recording;
using autograd::save;

void record_selected(const char* node, const Tensor& t, const Tensor& values, const Tensor& indices, int64_t dim,
                     bool has_dim, bool repeats) {
  if (!recording(t)) return;
  record(node, {t}, {values},
         [indices = save(indices), dim = wrap_dim(dim, t.dim()), has_dim, repeats,
          from = Shape(t.sizes())](Backward& ctx) {
           Tensor g = ctx.grad(), index = ctx.get(indices);
           if (!has_dim && !from.empty()) {
             g = unsqueeze(g, dim);
             index = unsqueeze(index, dim);
           }
           const Tensor zero = zeros(from, g.options());
           ctx.set(0, repeats ? scatter_add(zero, dim, index, g) : scatter(zero, dim, index, g));
         });
}

}  // namespace norch
