// Normalisation by channels: batch_norm, group_norm, instance_norm.
//
// All are out = x * scale + shift with one scale and shift per channel (or per channel and sample), which small tensors
// hold; so is the gradient of x, from two sums per channel.
#include "core/channels_last.h"
#include "core/factory.h"
#include "kernels/batch_norm.h"
#include "kernels/reduce.h"
#include "norch/ops/copy.h"
#include "norch/ops/factory.h"
#include "ops/autocast.h"
#include "ops/norm_common.h"

namespace norch {

using autograd::Backward;
using autograd::NoGrad;
using autograd::record;
using autograd::recording;
using autograd::save;
using kernels::ChannelShape;

namespace {

struct Layout {
  int64_t n, channels, inner;
  explicit Layout(const Tensor& x) : n(x.sizes()[0]), channels(x.sizes()[1]), inner(1) {
    for (int64_t d = 2; d < x.dim(); ++d) inner *= x.sizes()[d];
  }
};

/// How a batch (N, C, ...) lies in memory, as the kernels take it: row-major, or in rows of adjacent channels. Sequences
/// (N, C, L) are taken as row-major always: results of theirs are, in PyTorch, and programs take views of them.
class Channels {
 public:
  explicit Channels(const Tensor& x)
      : innermost(suggested_format(x) != MemoryFormat::contiguous),
        sizes_(x.sizes()), strides_(are_innermost(x) ? Shape(x.strides()) : format_strides(x.sizes(), suggested_format(x))) {
    const Layout l(x);
    shape = innermost ? ChannelShape{l.n * l.inner, l.channels, 1} : ChannelShape{l.n, l.channels, l.inner};
  }

  /// A tensor of x's shape as matrices of `shape`, copied if it lies otherwise.
  Tensor of(const Tensor& t) const {
    if (!innermost) return t.detach().contiguous();
    if (are_innermost(t)) return rows(t);
    const Tensor copy = make(t);
    copy_into(copy, t.detach());
    return rows(copy);
  }
  /// A new tensor of x's shape that lies like x, of the dtype of `like`.
  Tensor make(const Tensor& like) const {
    return innermost ? new_strided(sizes_, strides_, like.dtype(), like.device())
                     : new_tensor(sizes_, like.dtype(), like.device());
  }

  const bool innermost;
  ChannelShape shape;

 private:
  static bool are_innermost(const Tensor& x) {
    if (x.dim() < 3 || x.stride(1) != 1) return false;
    int64_t step = x.sizes()[1];
    for (int64_t d = x.dim() - 1; d >= 0; --d) {
      if (d == 1) continue;
      if (x.sizes()[static_cast<size_t>(d)] != 1 && x.stride(d) != step) return false;
      step *= x.sizes()[static_cast<size_t>(d)];
    }
    return true;
  }
  Tensor rows(const Tensor& t) const {
    const TensorImpl& impl = *t.impl();
    return Tensor(Ref<TensorImpl>(new TensorImpl(impl.storage, Ints({shape.outer, shape.channels}),
                                                 Ints({shape.channels, 1}), impl.offset, impl.dtype)));
  }

  Shape sizes_, strides_;
};

/// Mean and biased variance over the last dim(s) that `mask` names.
void moments_of(const Tensor& x, uint64_t mask, const Tensor& mean, const Tensor& var) {
  kernels::MomentsArgs args;
  args.correction = 0;
  kernels::moments(x.device(), make_reduce_plan(x, mask), mean, var, args);
}

/// out = x * scale + shift
void affine(const ChannelShape& shape, const Tensor& out, const Tensor& x, const Tensor& scale, const Tensor& shift) {
  if (x.numel())
    kernels::channel_affine(x.device(), shape, out, x, scale.contiguous(), Tensor(), Tensor(), shift.contiguous());
}

/// shift = bias - mean * scale.
Tensor shift_of(const Tensor& bias, const Tensor& mean, const Tensor& scale) {
  const Tensor s = mul(mean, scale);
  return bias.defined() ? sub(bias, s) : neg(s);
}

struct Sums {
  Tensor g, gx;
};
Sums sums_of(const ChannelShape& shape, const Tensor& g, const Tensor& x, const Tensor& mean) {
  const int64_t count = shape.samples * shape.channels;
  Sums s{new_tensor({count}, stats_dtype(x), x.device()), new_tensor({count}, stats_dtype(x), x.device())};
  kernels::channel_sums(x.device(), shape, s.g, s.gx, g, x, mean.contiguous());
  return s;
}

void input_gradient(const ChannelShape& shape, const Tensor& out, const Tensor& g, const Tensor& a, const Tensor& x,
                    const Tensor& b, const Tensor& c) {
  kernels::channel_affine(x.device(), shape, out, g, a.contiguous(), x, b.contiguous(), c.contiguous());
}

void update_running(const Tensor& running, const Tensor& value, double momentum) {
  if (!running.defined()) return;
  NoGrad off;
  add_(mul_(running, Tensor::wrap(1 - momentum)), value.to(running.dtype()), Scalar(momentum));
}

void check_input(const char* op, const Tensor& x, const Tensor& weight, const Tensor& bias, const Tensor& running_mean,
                 const Tensor& running_var) {
  NORCH_CHECK_IMPLEMENTED(x.is_floating_point(), op, ": not implemented for ", x.dtype(),
                          "; convert to a floating-point dtype");
  NORCH_CHECK(x.dim() >= 2, op, ": Expected an input of shape (N, C, ...), got ", x.sizes());
  const int64_t channels = x.sizes()[1];
  check_channels(op, "weight", weight, x, channels);
  check_channels(op, "bias", bias, x, channels);
  check_channels(op, "running_mean", running_mean, x, channels);
  check_channels(op, "running_var", running_var, x, channels);
  NORCH_CHECK(!recording(running_mean), op, ": is not differentiable with respect to argument 'running_mean', which "
              "requires grad; detach() it");
  NORCH_CHECK(!recording(running_var), op, ": is not differentiable with respect to argument 'running_var', which "
              "requires grad; detach() it");
}

NormGradients batch_gradients(const Tensor& grad, const Tensor& input, const Tensor& mean, const Tensor& rstd,
                              const Tensor& scale, bool training, const Backward& ctx) {
  const Channels memory(input);
  const ChannelShape& shape = memory.shape;
  const Tensor x = memory.of(input), g = memory.of(grad.to(x.dtype()));
  const auto vector = [&] { return new_tensor({shape.channels}, mean.dtype(), x.device()); };
  NormGradients out;
  kernels::BatchGradients d;
  if (training || ctx.needs(1) || ctx.needs(2)) {
    d.weight = out.weight = vector();
    d.bias = out.bias = vector();
    d.mean = mean;
    d.rstd = rstd;
    d.scale = scale;
    if (training && ctx.needs(0)) {
      d.b = vector();
      d.c = vector();
    }
    kernels::batch_gradients(x.device(), shape, d, g, x);
  }
  if (!ctx.needs(0)) return out;
  out.x = memory.make(x);
  if (training)
    input_gradient(shape, memory.of(out.x), g, scale, x, d.b, d.c);
  else
    affine(shape, memory.of(out.x), g, scale, zeros_like(scale));
  return out;
}

/// A running statistic as a kernel updates it, in place where it can: finish() writes a copy back.
struct Running {
  const Tensor& tensor;
  const Tensor value;

  Running(const Tensor& t, DType type) : tensor(t), value(t.defined() ? t.detach().to(type).contiguous() : t) {}
  void finish() const {
    if (!tensor.defined()) return;
    if (value.data_ptr() == tensor.data_ptr())
      tensor.storage()->bump_version();
    else
      copy_(tensor, value);
  }
};

}  // namespace

Tensor batch_norm(const Tensor& x, const Tensor& running_mean, const Tensor& running_var, const Tensor& weight,
                  const Tensor& bias, bool training, double momentum, double eps) {
  if (x.numel() == 0) {
    // Nothing to normalise; weight and bias take part with gradients of zero.
    Tensor out = x.clone();
    for (const Tensor& t : {weight, bias})
      if (t.defined()) out = add(out, mul(sum(t), Tensor::wrap(0)));
    return out;
  }
  check_input("batch_norm", x, weight, bias, running_mean, running_var);
  const Layout l(x);
  const int64_t count = l.n * l.inner;
  NORCH_CHECK_VALUE(!training || count > 1, "batch_norm: Expected more than 1 value per channel when training, got input "
                    "size ", x.sizes());
  NORCH_CHECK_VALUE(!training || eps > 0, "batch_norm: eps must be positive during training, but got ", eps);
  NORCH_CHECK_VALUE(!training || running_mean.defined() == running_var.defined(),
                    "batch_norm: running_mean and running_var must either both be None or neither be None");
  NORCH_CHECK(training || (running_mean.defined() && running_var.defined()),
              "batch_norm: Expected running_mean and running_var to be defined when training=False");
  kernels::BatchStats s;
  Tensor out;
  {
    NoGrad off;
    const DType type = stats_dtype(x);
    const Channels memory(x);
    const Tensor input = memory.of(x);
    for (Tensor* t : {&s.mean, &s.rstd, &s.scale, &s.shift}) *t = new_tensor({l.channels}, type, x.device());
    const Running mean(running_mean, type), var(running_var, type);
    s.weight = as_stats(weight, x);
    s.bias = as_stats(bias, x);
    s.running_mean = mean.value;
    s.running_var = var.value;
    s.eps = eps;
    s.momentum = momentum;
    kernels::batch_stats(x.device(), memory.shape, s, training ? input : Tensor());
    if (training) {
      mean.finish();
      var.finish();
    }
    out = memory.make(x);
    affine(memory.shape, memory.of(out), input, s.scale, s.shift);
  }
  if (recording(x, weight, bias)) {
    record("NativeBatchNormBackward0", {x, weight, bias}, {out},
           [l, mean = s.mean, rstd = s.rstd, scale = s.scale, eps, training, x = save(x),
            weight = save(weight)](Backward& ctx) {
             const Tensor input = ctx.get(x), w = weight.defined() ? ctx.get(weight) : Tensor();
             NormGradients d;
             if (autograd::grad_enabled() || input.numel() == 0) {
               const Shape affine{1, l.channels, 1};
               const Tensor m = training ? Tensor() : reshape(mean, affine), r = training ? m : reshape(rstd, affine);
               d = norm_gradients(ctx.grad(), input, w, {l.n, l.channels, l.inner}, affine, {0, 2}, eps, true, m, r);
             } else {
               d = batch_gradients(ctx.grad(), input, mean, rstd, scale, training, ctx);
             }
             if (ctx.needs(0)) ctx.set(0, d.x);
             if (ctx.needs(1)) ctx.set(1, in_shape(d.weight, {l.channels}));
             if (ctx.needs(2)) ctx.set(2, in_shape(d.bias, {l.channels}));
           });
  }
  return out;
}

namespace {

/// Normalisation takes a scale and a shift for each sample's channels.
ChannelShape per_sample(const Channels& memory, const Layout& l) {
  return memory.innermost ? ChannelShape{l.inner, l.channels, 1, l.n} : ChannelShape{1, l.n * l.channels, l.inner};
}

/// Group normalisation of x, in its layout; the groups' means and, if `var` is not null, biased variances, (N, groups, 1),
/// are handed out.
Tensor group_op(const char* node, const Tensor& x, int64_t groups, const Tensor& weight, const Tensor& bias, double eps,
                Tensor& mean, Tensor* group_var) {
  const Layout l(x);
  const int64_t size = groups ? l.channels / groups : 0, members = size * l.inner;
  const DType type = stats_dtype(x);
  // Small tensors as (N, groups, channels of a group), whose last dim broadcasts for statistics.
  const Shape stats{l.n, groups, 1}, channels{1, groups, size}, all{l.n, groups, size};
  Tensor out, rstd;
  {
    NoGrad off;
    const Channels memory(x);
    const Tensor input = memory.of(x);
    out = memory.make(x);
    const bool plain = !memory.innermost && !weight.defined() && !bias.defined();
    // Without weights the channels of a group, which follow each other, are as good as one.
    const bool whole = plain && x.is_cpu();
    // On the GPU enough groups are rows of layer_norm, in one pass, where the variances are not asked for.
    constexpr int64_t kEnoughRows = 256;
    if (plain && !whole && !group_var && x.numel() && l.n * groups >= kEnoughRows) {
      mean = new_tensor(stats, type, x.device());
      rstd = new_tensor(stats, type, x.device());
      kernels::layer_norm(x.device(), l.n * groups, members, out, Tensor(), mean, rstd, input, Tensor(), Tensor(), eps);
    } else {
      Tensor var;
      if (memory.innermost) {
        // Those of the channels first, joined to groups of equally long ones.
        const Tensor means = new_tensor(all, type, x.device()), vars = new_tensor(all, type, x.device());
        moments_of(reshape(input, {l.n, l.inner, l.channels}), uint64_t{2}, means, vars);
        mean = norch::mean(means, {2}, true);
        const Tensor apart = sub(means, mean);
        var = norch::mean(add(vars, mul(apart, apart)), {2}, true);
      } else {
        mean = new_tensor(stats, type, x.device());
        var = new_tensor(stats, type, x.device());
        moments_of(reshape(input, {l.n, groups, members}), uint64_t{4}, mean, var);
      }
      rstd = rsqrt(var + Scalar(eps));
      const Tensor w = as_stats(weight, x), b = as_stats(bias, x);
      const Tensor scale = whole ? rstd : expand(w.defined() ? mul(reshape(w, channels), rstd) : rstd, all).contiguous();
      affine(whole ? ChannelShape{1, l.n * groups, members} : per_sample(memory, l), memory.of(out), input, scale,
             shift_of(b.defined() ? reshape(b, channels) : b, mean, scale));
      if (group_var) *group_var = var;
    }
  }
  if (!recording(x, weight, bias)) return out;
  record(node, {x, weight, bias}, {out},
         [l, groups, size, members, eps, channels, all, mean, rstd, x = save(x),
          weight = save(weight)](Backward& ctx) {
           const Tensor input = ctx.get(x), w = weight.defined() ? ctx.get(weight) : Tensor();
           NormGradients d;
           if (autograd::grad_enabled() || input.numel() == 0) {
             d = norm_gradients(ctx.grad(), input, w, {l.n, groups, size, l.inner}, {1, groups, size, 1}, {2, 3}, eps,
                                true);
           } else {
             const Channels memory(input);
             const ChannelShape shape = per_sample(memory, l);
             const Tensor xs = memory.of(input), g = memory.of(ctx.grad().to(xs.dtype()));
             const Tensor means = expand(mean, all).contiguous();
             Sums s = sums_of(shape, g, xs, means);
             s = {reshape(s.g, all), reshape(s.gx, all)};
             d.weight = sum(mul(s.gx, rstd), {0});
             d.bias = sum(s.g, {0});
             if (ctx.needs(0)) {
               const Tensor ws = w.defined() ? reshape(as_stats(w, xs), channels) : Tensor();
               const Scalar share(1 / static_cast<double>(members));
               const Tensor by_g = sum(ws.defined() ? mul(ws, s.g) : s.g, {2}, true) * share;
               const Tensor by_gx = sum(ws.defined() ? mul(ws, s.gx) : s.gx, {2}, true) * share;
               const Tensor b = neg(mul(mul(rstd, mul(rstd, rstd)), by_gx));
               const Tensor c = neg(add(mul(rstd, by_g), mul(b, mean)));
               d.x = memory.make(xs);
               input_gradient(shape, memory.of(d.x), g, expand(ws.defined() ? mul(ws, rstd) : rstd, all), xs, expand(b, all),
                              expand(c, all));
             }
           }
           if (ctx.needs(0)) ctx.set(0, d.x);
           if (ctx.needs(1)) ctx.set(1, in_shape(d.weight, {l.channels}));
           if (ctx.needs(2)) ctx.set(2, in_shape(d.bias, {l.channels}));
         });
  return out;
}

}  // namespace

Tensor group_norm(const Tensor& x, int64_t num_groups, const Tensor& weight, const Tensor& bias, double eps) {
  NORCH_AUTOCAST(float32_cuda, group_norm, x, num_groups, weight, bias, eps);
  check_input("group_norm", x, weight, bias, Tensor(), Tensor());
  NORCH_CHECK(num_groups > 0, "group_norm: Expected num groups to be greater than 0, got ", num_groups);
  NORCH_CHECK(x.sizes()[1] % num_groups == 0, "group_norm: Expected number of channels in input to be divisible by "
              "num_groups, but got input of shape ", x.sizes(), " and num_groups=", num_groups);
  Tensor mean;
  return group_op("NativeGroupNormBackward0", x, num_groups, weight, bias, eps, mean, nullptr);
}

Tensor instance_norm(const Tensor& x, const Tensor& running_mean, const Tensor& running_var, const Tensor& weight,
                     const Tensor& bias, bool use_input_stats, double momentum, double eps) {
  check_input("instance_norm", x, weight, bias, running_mean, running_var);
  if (!use_input_stats) {
    NORCH_CHECK(running_mean.defined() && running_var.defined(),
                "instance_norm: Expected running_mean and running_var to be defined when use_input_stats is false");
    return batch_norm(x, running_mean, running_var, weight, bias, false, momentum, eps);
  }
  const Layout l(x);
  NORCH_CHECK_VALUE(l.inner > 1, "instance_norm: Expected more than 1 spatial element when training, got input size ",
                    x.sizes());
  Tensor mean, var;
  const bool kept = l.n > 0 && (running_mean.defined() || running_var.defined());
  Tensor out = group_op("InstanceNormBackward0", x, l.channels, weight, bias, eps, mean, kept ? &var : nullptr);
  if (kept) {
    NoGrad off;
    const double unbiased = static_cast<double>(l.inner) / static_cast<double>(l.inner - 1);
    update_running(running_mean, norch::mean(mean, {0, 2}), momentum);
    update_running(running_var, norch::mean(var, {0, 2}) * Scalar(unbiased), momentum);
  }
  return out;
}

}  // namespace norch
