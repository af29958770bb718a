#include "autograd/record.h"
#include "core/factory.h"
#include "kernels/class_loss.h"
#include "norch/ops/binary.h"
#include "norch/ops/factory.h"
#include "norch/ops/loss.h"
#include "norch/ops/reduce.h"
#include "norch/ops/softmax.h"
#include "norch/ops/ternary.h"
#include "norch/ops/unary.h"
#include "norch/ops/view.h"
#include "ops/autocast.h"

namespace norch {

using autograd::Backward;
using autograd::record;
using autograd::recording;
using autograd::save;
using kernels::ClassLoss;

namespace {

DType sum_type(DType t) { return t == DType::Float64 ? DType::Float64 : DType::Float32; }
int64_t class_dim(const Tensor& x) { return x.dim() == 1 ? 0 : 1; }

/// Shape of the losses: x's without the classes.
Shape row_shape(const Tensor& x) {
  Shape shape(x.sizes());
  shape.erase(static_cast<size_t>(class_dim(x)));
  return shape;
}

/// The checked arguments of a class loss.
struct Arguments {
  ClassLoss loss;
  Tensor target, weight;
};

Arguments prepare(const char* name, const Tensor& x, const Tensor& target, const Tensor& weight, Reduction reduction,
                  int64_t ignore_index, double smoothing) {
  NORCH_CHECK_VALUE(x.dim() > 0, name, ": Expected 1 or more dimensions (got 0)");
  NORCH_CHECK_IMPLEMENTED(x.is_floating_point(), name, ": not implemented for ", x.dtype(),
                          "; convert to a floating-point dtype");
  NORCH_CHECK_VALUE(x.dim() == 1 || (target.dim() > 0 && x.sizes()[0] == target.sizes()[0]), name,
                    ": Expected input batch_size (", x.sizes()[0], ") to match target batch_size (",
                    target.dim() ? target.sizes()[0] : 0, ").");
  NORCH_CHECK(target.dtype() == kInt64 || target.dtype() == kUInt8, name, ": expected target dtype to be int64 or uint8 (class indices), but got ",
              target.dtype(), "; convert the target with .to(norch.int64)");
  NORCH_CHECK(!recording(weight), name, ": is not differentiable with respect to argument 'weight', which requires grad; "
              "detach() it");
  const Shape rows = row_shape(x);
  const bool lone = x.dim() == 1 && target.dim() == 1;  // one sample without a batch, its class in a list of one
  NORCH_CHECK_VALUE(!lone || target.numel() == 1, name, ": For 1D input, 1D target must have size 1, but got target size: ",
                    target.numel());
  NORCH_CHECK(lone || target.sizes() == rows, name, ": Expected target size ", rows, ", got ", target.sizes());
  NORCH_CHECK(target.device() == x.device() && (!weight.defined() || weight.device() == x.device()), name,
              ": Expected all tensors to be on the same device, but the input is on ", x.device(), ", the target on ",
              target.device(), weight.defined() ? str(" and the weight on ", weight.device()) : std::string());
  Arguments a;
  ClassLoss& l = a.loss;
  l.n = x.dim() == 1 ? 1 : x.sizes()[0];
  l.classes = x.sizes()[class_dim(x)];
  l.inner = 1;
  for (int64_t d = 2; d < x.dim(); ++d) l.inner *= x.sizes()[d];
  l.ignore_index = ignore_index;
  l.smoothing = smoothing;
  l.reduce = reduction != Reduction::None;
  l.mean = reduction == Reduction::Mean;
  NORCH_CHECK(!weight.defined() || (weight.dim() == 1 && weight.numel() == l.classes), name,
              ": weight tensor should be defined either for all ", l.classes,
              " classes or no classes but got weight tensor of shape: ", weight.defined() ? weight.sizes() : Ints());
  NORCH_CHECK(!weight.defined() || weight.dtype() == x.dtype() || autocast::on(), name, ": expected scalar type ",
              x.dtype(), " for weight but found ", weight.dtype(), "; convert the weight with .to(norch.", x.dtype(), ")");
  a.target = target.to(kInt64).contiguous();
  if (weight.defined()) a.weight = weight.detach().to(sum_type(x.dtype())).contiguous();
  return a;
}

struct Outputs {
  Tensor out, total_weight, rows;
  Outputs(const ClassLoss& l, const Tensor& x) {
    const DType sums = sum_type(x.dtype());
    if (l.reduce) {
      out = new_tensor({}, sums, x.device());
      total_weight = new_tensor({}, sums, x.device());
      rows = new_tensor({2, l.n * l.inner}, sums, x.device());
    } else {
      out = new_tensor(row_shape(x), sums, x.device());
    }
  }
};

Tensor nll_backward(const Arguments& a, const Tensor& g, const Tensor& total_weight, const Shape& sizes, DType dtype);

Tensor nll(const Arguments& a, const Tensor& input) {
  const Tensor x = input.contiguous();
  Outputs o(a.loss, x);
  kernels::nll_forward(x.device(), a.loss, o.out, o.total_weight, o.rows, x, a.target, a.weight);
  if (recording(input)) {
    record("NllLossBackward0", {input}, {o.out},
           [loss = a.loss, target = save(a.target), weight = save(a.weight), total = o.total_weight,
            sizes = Shape(x.sizes()), dtype = x.dtype()](Backward& ctx) {
             ctx.set(0, nll_backward({loss, ctx.get(target), ctx.get(weight)}, ctx.grad(), total, sizes, dtype));
           });
  }
  return o.out.to(x.dtype());
}

Tensor nll_backward(const Arguments& a, const Tensor& grad, const Tensor& total_weight, const Shape& sizes,
                    DType dtype) {
  const Tensor g = grad.to(sum_type(dtype)).contiguous();
  Tensor dx = new_tensor(sizes, dtype, g.device());
  kernels::nll_backward(g.device(), a.loss, dx, g, total_weight, a.target, a.weight);
  if (recording(grad)) {
    // The loss is linear in its input, so the derivative in g is the loss of what comes in.
    record("NllLossBackwardBackward0", {grad}, {dx}, [a](Backward& ctx) { ctx.set(0, nll(a, ctx.grad())); });
  }
  return dx;
}

/// dx[c] = g * (sum(q) * softmax(x)[c] - q[c]) per row, with g divided by the total weight for a mean. `room` is where it
/// goes, if defined; it may be x's memory.
Tensor cross_entropy_backward(const Arguments& a, const Tensor& grad, const Tensor& total_weight, const Tensor& x,
                              const Tensor& lse, const Tensor& room = {}) {
  const Tensor g = grad.to(sum_type(x.dtype())).contiguous();
  const Tensor dx = room.defined() ? room : new_tensor(x.sizes(), x.dtype(), x.device());
  kernels::cross_entropy_backward(x.device(), a.loss, dx, g, total_weight, x, lse, a.target, a.weight);
  if (recording(grad, x)) {
    record("CrossEntropyBackwardBackward0", {grad, x}, {dx},
           [a, total_weight, lse, grad = save(grad), x = save(x)](Backward& ctx) {
             const Tensor xs = ctx.get(x);
             const Tensor& gg = ctx.grad();
             const int64_t dim = class_dim(xs);
             const bool mean = a.loss.mean;
             if (ctx.needs(0)) {
               Arguments unit = a;
               unit.loss.reduce = unit.loss.mean = false;
               const Tensor ones_per_row = ones(row_shape(xs), xs.options());
               Tensor r = sum(gg * cross_entropy_backward(unit, ones_per_row, Tensor(), xs, lse), {dim});
               if (a.loss.reduce) r = sum(r);
               ctx.set(0, mean ? r / total_weight : r);
             }
             if (ctx.needs(1)) {
               Tensor q = new_tensor(xs.sizes(), xs.dtype(), xs.device());
               kernels::cross_entropy_targets(xs.device(), a.loss, q, a.target, a.weight);
               Tensor g = ctx.get(grad);
               if (!a.loss.reduce) {
                 Shape one_class(xs.sizes());
                 one_class[dim] = 1;
                 g = reshape(g, one_class);
               } else if (mean) {
                 g = g / total_weight;
               }
               const Tensor p = softmax(xs, dim);
               const Tensor second = g * sum(q, {dim}, true) * p * (gg - sum(gg * p, {dim}, true));
               // Without any row that counts, a mean's g is not finite.
               const Tensor ignored = eq(a.target, Tensor::wrap(a.loss.ignore_index));
               ctx.set(1, mean ? masked_fill(second, unsqueeze(ignored, dim), Tensor::wrap(0)) : second);
             }
           });
  }
  return dx;
}

/// Targets that are distributions over the classes.
Tensor cross_entropy_probabilities(const Tensor& x, const Tensor& target, const Tensor& weight, Reduction reduction,
                                   double smoothing) {
  const int64_t dim = class_dim(x), classes = x.sizes()[dim];
  Tensor t = target;
  if (smoothing > 0) t = t * Scalar(1 - smoothing) + Scalar(smoothing / static_cast<double>(classes));
  Tensor products = log_softmax(x, dim) * t;
  if (weight.defined()) {
    NORCH_CHECK(weight.dim() == 1 && weight.numel() == classes,
                "cross_entropy: weight tensor should be defined either for all ", classes,
                " classes or no classes but got weight tensor of shape: ", weight.sizes());
    Shape along(static_cast<size_t>(x.dim()), 1);
    along[dim] = classes;
    products = products * reshape(weight, along);
  }
  if (reduction == Reduction::None) return neg(sum(products, {dim}));
  const Tensor total = neg(sum(products));
  if (reduction == Reduction::Sum) return total;
  int64_t rows = 1;
  for (int64_t n : row_shape(x)) rows *= n;
  return total / Scalar(static_cast<double>(rows));
}

}  // namespace

Tensor nll_loss(const Tensor& input, const Tensor& target, const Tensor& weight, Reduction reduction,
                int64_t ignore_index) {
  NORCH_AUTOCAST(float32, nll_loss, input, target, weight, reduction, ignore_index);
  return nll(prepare("nll_loss", input, target, weight, reduction, ignore_index, 0), input);
}

Tensor cross_entropy(const Tensor& input, const Tensor& target, const Tensor& weight, Reduction reduction,
                     int64_t ignore_index, double label_smoothing) {
  NORCH_CHECK(label_smoothing >= 0 && label_smoothing <= 1,
              "cross_entropy: label_smoothing must be between 0.0 and 1.0. Got: ", label_smoothing);
  if (input.dim() > 0 && input.sizes() == target.sizes()) {
    NORCH_CHECK(target.is_floating_point(),
                "cross_entropy: Expected floating point type for target with class probabilities, got ", target.dtype());
    NORCH_CHECK(ignore_index < 0, "cross_entropy: ignore_index is not supported for floating point target");
    NORCH_AUTOCAST(float32, cross_entropy, input, target, weight, reduction, ignore_index, label_smoothing);
    return cross_entropy_probabilities(input, target, weight, reduction, label_smoothing);
  }
  const Arguments a = prepare("cross_entropy", input, target, weight, reduction, ignore_index, label_smoothing);
  const Tensor x = input.contiguous();
  Outputs o(a.loss, x);
  const Tensor lse = new_tensor({a.loss.n * a.loss.inner}, sum_type(x.dtype()), x.device());
  kernels::cross_entropy_forward(x.device(), a.loss, o.out, o.total_weight, lse, o.rows, x, a.target, a.weight);
  if (recording(x)) {
    record(x.dim() > 2 ? "NllLoss2DBackward0" : "NllLossBackward0", {x}, {o.out},
           [loss = a.loss, target = save(a.target), weight = save(a.weight), total = o.total_weight, lse,
            x = save(x)](Backward& ctx) {
             // The scores are mostly the largest tensor of a step: where nobody needs them any more, their gradient takes
             // their place.
             const Tensor scores = ctx.get(x);
             ctx.set(0, cross_entropy_backward({loss, ctx.get(target), ctx.get(weight)}, ctx.grad(), total, scores, lse,
                                               ctx.room_like(scores)));
           });
  }
  // The kernel sums 16-bit scores in float32: autocasting needs no float32 copy of them.
  std::optional<DType> result;
  autocast::widen(result, x, autocast::float32);
  return o.out.to(result.value_or(x.dtype()));
}

}  // namespace norch
