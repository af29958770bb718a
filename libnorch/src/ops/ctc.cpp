#include <algorithm>

#include "autograd/record.h"
#include "core/factory.h"
#include "kernels/ctc.h"
#include "norch/ops/binary.h"
#include "norch/ops/factory.h"
#include "norch/ops/loss.h"
#include "norch/ops/reduce.h"
#include "norch/ops/ternary.h"
#include "norch/ops/unary.h"
#include "norch/ops/view.h"
#include "ops/autocast.h"

namespace norch {

using autograd::Backward;
using autograd::record;
using autograd::recording;
using autograd::save;
using kernels::Ctc;

namespace {

bool is_index(const Tensor& t) { return t.dtype() == DType::Int64 || t.dtype() == DType::Int32; }

/// One length per sample, on the host.
Tensor lengths_of(const char* what, const Tensor& t, int64_t batch) {
  NORCH_CHECK(is_integral(t.dtype()) && t.dtype() != DType::Bool, "ctc_loss: ", what, " must be integral, got ", t.dtype());
  NORCH_CHECK(t.numel() == batch && t.dim() <= 1, "ctc_loss: ", what, " must be of size batch_size: expected ", batch,
              " numbers, got shape ", t.sizes());
  return flatten(t).to(kCPU, DType::Int64).contiguous();
}

Tensor losses_backward(const Ctc& c, const Tensor& g, const Tensor& losses, const Tensor& alpha, const Tensor& log_probs,
                       bool zero_infinity) {
  const Tensor probs = log_probs.detach().contiguous();
  const Tensor out = new_tensor(probs.sizes(), probs.dtype(), probs.device());
  if (out.numel() == 0) return out;
  const Tensor beta = new_tensor(alpha.sizes(), alpha.dtype(), alpha.device());
  kernels::ctc_loss_backward(out.device(), c, out, beta, g.detach().contiguous(), losses, alpha, probs, zero_infinity);
  if (recording(g, log_probs)) {
    record("CtcLossBackwardBackward0", {g, log_probs}, {out}, [](Backward&) {
      NORCH_RAISE(NotImplementedError, "the derivative for '_ctc_loss_backward' is not implemented: ctc_loss can be "
                  "differentiated once");
    });
  }
  return out;
}

/// One loss per sample, of log_probs (steps, batch, classes) in float or double.
Tensor losses_of(const Ctc& c, const Tensor& log_probs, bool zero_infinity) {
  Tensor out = new_tensor({c.batch}, log_probs.dtype(), log_probs.device());
  const Tensor alpha = new_tensor({c.batch, c.steps, c.states}, log_probs.dtype(), log_probs.device());
  kernels::ctc_loss(out.device(), c, out, alpha, log_probs.detach().contiguous());
  if (recording(log_probs)) {
    record("CtcLossBackward0", {log_probs}, {out},
           [c, losses = out.detach().clone(), alpha, log_probs = save(log_probs), zero_infinity](Backward& ctx) {
             ctx.set(0, losses_backward(c, ctx.grad(), losses, alpha, ctx.get(log_probs), zero_infinity));
           });
  }
  return out;
}

}  // namespace

Tensor ctc_loss(const Tensor& log_probs_, const Tensor& targets, const Tensor& input_lengths_,
                const Tensor& target_lengths_, int64_t blank, Reduction reduction, bool zero_infinity) {
  NORCH_AUTOCAST(float32_cpu, ctc_loss, log_probs_, targets, input_lengths_, target_lengths_, blank, reduction, zero_infinity);
  NORCH_CHECK_IMPLEMENTED(log_probs_.is_floating_point(), "ctc_loss: not implemented for ", log_probs_.dtype(),
                          "; convert to a floating-point dtype");
  NORCH_CHECK(log_probs_.dim() == 2 || log_probs_.dim() == 3, "ctc_loss: expected log_probs of shape (T, N, C) or (T, C), "
              "got ", log_probs_.sizes());
  NORCH_CHECK(log_probs_.numel() > 0, "ctc_loss: log_probs tensor must not be empty");
  NORCH_CHECK(is_index(targets), "ctc_loss: targets must be int32 or int64, got ", targets.dtype());
  NORCH_CHECK(log_probs_.device() == targets.device(), "ctc_loss: Expected all tensors to be on the same device, but found "
              "at least two devices, ", log_probs_.device(), " and ", targets.device());
  const bool batched = log_probs_.dim() == 3;
  const Tensor wide = log_probs_.dtype() == DType::Float64 ? log_probs_ : log_probs_.to(DType::Float32);
  const Tensor log_probs = batched ? wide : unsqueeze(wide, 1);
  Ctc c;
  c.steps = log_probs.sizes()[0];
  c.batch = log_probs.sizes()[1];
  c.classes = log_probs.sizes()[2];
  c.blank = blank;
  NORCH_CHECK(blank >= 0 && blank < c.classes, "ctc_loss: blank must be in label range [0, ", c.classes, "), got ", blank);
  const Tensor inputs = lengths_of("input_lengths", input_lengths_, c.batch),
               lengths = lengths_of("target_lengths", target_lengths_, c.batch);
  const Tensor offsets = new_tensor({c.batch}, DType::Int64, kCPU);
  const bool rows = targets.dim() == 2;  // padded targets
  NORCH_CHECK(targets.dim() == 1 || (rows && targets.sizes()[0] == c.batch), "ctc_loss: expected targets of shape (N, S) or "
              "(sum of target_lengths), with N = ", c.batch, ", got ", targets.sizes());
  int64_t at = 0, longest = 0;
  for (int64_t n = 0; n < c.batch; ++n) {
    const int64_t in = inputs.data<int64_t>()[n], length = lengths.data<int64_t>()[n];
    NORCH_CHECK(in >= 0 && in <= c.steps, "ctc_loss: Expected input_lengths to have value at most ", c.steps,
                ", but got value ", in);
    NORCH_CHECK(length >= 0 && (!rows || length <= targets.sizes()[1]), "ctc_loss: Expected tensor to have size at least ",
                length, " at dimension 1, but got size ", targets.sizes().back(), " for targets of shape ", targets.sizes());
    offsets.data<int64_t>()[n] = rows ? n * targets.sizes()[1] : at;
    at += length;
    longest = std::max(longest, length);
  }
  NORCH_CHECK(rows || at == targets.numel(), "ctc_loss: Expected targets of size sum(target_lengths) = ", at, ", got ",
              targets.sizes());
  const Device device = log_probs.device();
  c.states = 2 * longest + 1;
  c.targets = targets.detach().to(DType::Int64).contiguous();
  c.offsets = offsets.to(device);
  c.input_lengths = inputs.to(device);
  c.target_lengths = lengths.to(device);
  Tensor losses = losses_of(c, log_probs, zero_infinity);
  if (zero_infinity) losses = masked_fill(losses, isinf(losses.detach()), Tensor::wrap(0));
  losses = losses.to(log_probs_.dtype());
  if (reduction == Reduction::Sum) return sum(losses);
  if (reduction == Reduction::Mean)
    return mean(losses / clamp_min(c.target_lengths, Tensor::wrap(1)).to(losses.dtype()));
  return batched ? losses : squeeze(losses, 0);
}

}  // namespace norch
