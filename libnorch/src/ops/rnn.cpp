#include "norch/ops/rnn.h"

#include <algorithm>

#include "autograd/record.h"
#include "core/factory.h"
#include "kernels/rnn.h"
#include "norch/autograd.h"
#include "norch/ops/activation.h"
#include "norch/ops/binary.h"
#include "norch/ops/copy.h"
#include "norch/ops/factory.h"
#include "norch/ops/join.h"
#include "norch/ops/linear.h"
#include "norch/ops/reduce.h"
#include "norch/ops/slice.h"
#include "norch/ops/unary.h"
#include "norch/ops/view.h"
#include "ops/autocast.h"
#include "ops/product.h"

namespace norch {

using autograd::Backward;
using autograd::record;
using autograd::recording;
using autograd::save;
using autograd::save_output;
using autograd::SavedTensor;

namespace {

int64_t parts_of(RnnMode mode) { return mode == RnnMode::lstm ? 4 : mode == RnnMode::gru ? 3 : 1; }

/// Where a step's rows lie in the packed data.
struct Step {
  int64_t from, rows;
};

/// The steps in the order in which they run.
std::vector<Step> steps_of(Ints batch_sizes, bool reverse) {
  std::vector<Step> steps;
  int64_t from = 0;
  for (int64_t n : batch_sizes) {
    steps.push_back({from, n});
    from += n;
  }
  if (reverse) std::reverse(steps.begin(), steps.end());
  return steps;
}

void check_shape(const char* op, const char* name, const Tensor& t, Ints expected, const Tensor& like, bool mixed) {
  NORCH_CHECK(t.sizes() == expected, op, ": expected ", name, " of shape ", expected, ", got ", t.sizes());
  NORCH_CHECK(mixed || t.dtype() == like.dtype(), op, ": expected ", name, " of the input's dtype ",
              like.dtype(), ", got ", t.dtype());
  check_same_device(op, t, like);
}

/// Checks all shapes, and dtypes unless they may be mixed; batch is the number of sequences.
void check_operands(const char* op, RnnMode mode, const Tensor& data, int64_t batch, const TensorList& state,
                    const RnnWeights& w, bool mixed = false) {
  NORCH_CHECK_IMPLEMENTED(data.is_floating_point(), op, ": not implemented for ", data.dtype(),
                          "; convert to a floating-point dtype");
  NORCH_CHECK(data.dim() == 2, op, ": expected an input of shape (rows, features), got ", data.sizes());
  const size_t states = mode == RnnMode::lstm ? 2 : 1;
  NORCH_CHECK(state.size() == states, op, ": expected ", states, " tensors of state, got ", state.size());
  NORCH_CHECK(w.w_ih.defined() && w.w_hh.defined() && w.w_hh.dim() == 2 && w.w_hh.sizes()[0] % parts_of(mode) == 0, op,
              ": w_ih and w_hh must be matrices of a multiple of ", parts_of(mode), " rows");
  NORCH_CHECK(mode == RnnMode::lstm || !w.w_hr.defined(), op, ": only an LSTM has a projection");
  const int64_t rows = w.w_hh.sizes()[0], hidden = rows / parts_of(mode), out = w.w_hh.sizes()[1];
  NORCH_CHECK(w.w_hr.defined() || out == hidden, op, ": w_hh has shape ", w.w_hh.sizes(), ", expected ",
              Shape{rows, hidden});
  check_shape(op, "w_ih", w.w_ih, {rows, data.sizes()[1]}, data, mixed);
  check_shape(op, "w_hh", w.w_hh, {rows, out}, data, mixed);
  if (w.b_ih.defined()) check_shape(op, "b_ih", w.b_ih, {rows}, data, mixed);
  if (w.b_hh.defined()) check_shape(op, "b_hh", w.b_hh, {rows}, data, mixed);
  if (w.w_hr.defined()) check_shape(op, "w_hr", w.w_hr, {out, hidden}, data, mixed);
  check_shape(op, "h", state[0], {batch, out}, data, mixed);
  if (states == 2) check_shape(op, "c", state[1], {batch, hidden}, data, mixed);
}

// ---- in ops

/// The state after a step whose input's part of the sums is known.
TensorList composed_step(RnnMode mode, const Tensor& from_input, const TensorList& state, const RnnWeights& w) {
  const Tensor from_hidden = linear(state[0], w.w_hh, w.b_hh);
  if (mode == RnnMode::lstm) {
    const TensorList gates = chunk(add(from_input, from_hidden), 4, 1);
    const Tensor c = add(mul(sigmoid(gates[1]), state[1]), mul(sigmoid(gates[0]), tanh(gates[2])));
    const Tensor h = mul(sigmoid(gates[3]), tanh(c));
    return {w.w_hr.defined() ? linear(h, w.w_hr) : h, c};
  }
  if (mode == RnnMode::gru) {
    const TensorList x = chunk(from_input, 3, 1), y = chunk(from_hidden, 3, 1);
    const Tensor z = sigmoid(add(x[1], y[1])), n = tanh(add(x[2], mul(sigmoid(add(x[0], y[0])), y[2])));
    return {add(n, mul(z, sub(state[0], n)))};
  }
  const Tensor total = add(from_input, from_hidden);
  return {mode == RnnMode::tanh ? tanh(total) : relu(total)};
}

/// rnn_layer in recorded ops: what its second derivatives are taken from.
TensorList composed_layer(RnnMode mode, const Tensor& data, Ints batch_sizes, const TensorList& first,
                          const RnnWeights& w, bool reverse) {
  const TensorList inputs = split(linear(data, w.w_ih, w.b_ih), batch_sizes, 0);
  TensorList outputs(inputs.size()), state = first;
  // Each sequence's state after its last step so far; `state` holds the rows that run.
  const size_t steps = inputs.size();
  std::vector<TensorList> done;
  for (size_t k = 0; k < steps; ++k) {
    const size_t t = reverse ? steps - 1 - k : k;
    const int64_t n = batch_sizes[t], running = k == 0 && reverse ? 0 : state[0].sizes()[0];
    for (size_t i = 0; i < state.size(); ++i) {
      if (reverse && n > running) {
        const Tensor joining = narrow(first[i], 0, running, n - running);
        state[i] = running ? cat({state[i], joining}) : joining;
      } else if (n < running) {
        if (i == 0) done.emplace_back();
        done.back().push_back(narrow(state[i], 0, n, running - n));
        state[i] = narrow(state[i], 0, 0, n);
      }
    }
    state = composed_step(mode, inputs[t], state, w);
    outputs[t] = state[0];
  }
  TensorList result = {cat(outputs)};
  for (size_t i = 0; i < state.size(); ++i) {
    TensorList all = {state[i]};
    for (size_t d = done.size(); d-- > 0;) all.push_back(done[d][i]);
    result.push_back(all.size() == 1 ? all[0] : cat(all));
  }
  return result;
}

// ---- in kernels

/// Rows [from, from + n) of a contiguous matrix, as memory.
Tensor rows_of(const Tensor& t, const Step& s) {
  if (!t.defined()) return {};
  const int64_t width = t.sizes()[1];
  return new_view(t, {s.rows, width}, {width, 1}, t.storage_offset() + s.from * width);
}
Tensor first_rows(const Tensor& t, int64_t n) { return rows_of(t, {0, n}); }

/// What the backward needs of a forward.
struct Trace {
  Tensor gates, from_hidden;  // of all steps
  Tensor h_before, c_before;  // the state before each step
  Tensor raw;                 // an LSTM's h' before its projection
};

Tensor copy_of(const Tensor& t) {
  Tensor copy = new_tensor(t.sizes(), t.dtype(), t.device());
  copy_into(copy, t);
  return copy;
}

TensorList run(RnnMode mode, const Tensor& data, const std::vector<Step>& steps, const TensorList& first,
               const RnnWeights& w, bool keep, Trace& trace) {
  const int64_t rows = data.sizes()[0], parts = parts_of(mode), out_size = w.w_hh.sizes()[1];
  const int64_t hidden = w.w_hh.sizes()[0] / parts;
  auto matrix = [&](int64_t n, int64_t width) { return new_tensor({n, width}, data.dtype(), data.device()); };
  const bool gru = mode == RnnMode::gru, lstm = mode == RnnMode::lstm, projected = w.w_hr.defined();
  // The biases of one sum go into the product of all steps.
  Tensor bias = w.b_ih;
  if (!gru && w.b_hh.defined()) bias = bias.defined() ? add(bias, w.b_hh) : w.b_hh;
  trace.gates = affine("", data, w.w_ih, true, bias);
  const Tensor outputs = matrix(rows, out_size);
  if (projected) trace.raw = matrix(rows, hidden);
  if (gru) trace.from_hidden = matrix(keep ? rows : first[0].sizes()[0], parts * hidden);
  if (keep) trace.h_before = matrix(rows, out_size);
  if (keep && lstm) trace.c_before = matrix(rows, hidden);
  const Tensor h = copy_of(first[0]), c = lstm ? copy_of(first[1]) : Tensor();
  for (const Step& s : steps) {
    if (s.rows == 0) continue;
    const Tensor gates = rows_of(trace.gates, s), out = rows_of(outputs, s), state = first_rows(h, s.rows);
    if (keep) copy_into(rows_of(trace.h_before, s), state);
    if (gru) {
      const Tensor sums = rows_of(trace.from_hidden, keep ? s : Step{0, s.rows});
      if (w.b_hh.defined()) copy_into(sums, w.b_hh);
      product_into(sums, state, false, w.w_hh, true, 1, w.b_hh.defined() ? 1 : 0);
      kernels::gru_step(data.device(), gates, sums, state, out);
      continue;
    }
    product_into(gates, state, false, w.w_hh, true, 1, 1);
    if (lstm) {
      const Tensor result = projected ? rows_of(trace.raw, s) : out;
      kernels::lstm_step(data.device(), gates, first_rows(c, s.rows), rows_of(trace.c_before, s), result);
      if (projected) product_into(out, result, false, w.w_hr, true);
    } else {
      copy_into(out, mode == RnnMode::tanh ? tanh(gates) : relu(gates));
    }
    copy_into(state, out);
  }
  TensorList result = {outputs, h};
  if (lstm) result.push_back(c);
  return result;
}

/// The gradients of data, h, c, w_ih, w_hh, b_ih, b_hh, w_hr; those that `ctx` does not need are left undefined.
TensorList run_backward(const Backward& ctx, RnnMode mode, const Tensor& data, const std::vector<Step>& steps,
                        const TensorList& first, const RnnWeights& w, const Trace& trace, const Tensor& outputs) {
  const int64_t rows = data.sizes()[0];
  auto matrix = [&](int64_t n, int64_t width) { return new_tensor({n, width}, data.dtype(), data.device()); };
  auto grad_of_state = [&](size_t i, const Tensor& like) {
    if (ctx.grad(i).defined()) return copy_of(ctx.grad(i).to(like.dtype()));
    return zeros(like.sizes(), TensorOptions(like.dtype()).device(like.device()));
  };
  const bool gru = mode == RnnMode::gru, lstm = mode == RnnMode::lstm, projected = w.w_hr.defined();
  const Tensor grad_out = ctx.grad(0).defined() ? ctx.grad(0).to(data.dtype()).contiguous() : Tensor();
  const Tensor dh = grad_of_state(1, first[0]), dc = lstm ? grad_of_state(2, first[1]) : Tensor();
  const Tensor dgates = matrix(rows, trace.gates.sizes()[1]);
  const Tensor dhidden = gru ? matrix(rows, trace.gates.sizes()[1]) : dgates;  // of h's sums
  const Tensor dout = projected ? matrix(rows, dh.sizes()[1]) : Tensor();
  for (size_t k = steps.size(); k-- > 0;) {
    const Step s = steps[k];
    if (s.rows == 0) continue;
    const Tensor state = first_rows(dh, s.rows), g = rows_of(grad_out, s), to = rows_of(dgates, s);
    const Tensor gates = rows_of(trace.gates, s);
    if (gru) {
      kernels::gru_step_backward(data.device(), to, rows_of(dhidden, s), state, g, gates, rows_of(trace.from_hidden, s),
                                 rows_of(trace.h_before, s));
      product_into(state, rows_of(dhidden, s), false, w.w_hh, false, 1, 1);
      continue;
    }
    if (lstm && projected) {
      const Tensor total = rows_of(dout, s);
      copy_into(total, g.defined() ? add(state, g) : state);
      kernels::lstm_step_backward(data.device(), to, first_rows(dc, s.rows), product("", total, false, w.w_hr, false),
                                  Tensor(), gates, rows_of(trace.c_before, s));
    } else if (lstm) {
      kernels::lstm_step_backward(data.device(), to, first_rows(dc, s.rows), state, g, gates,
                                  rows_of(trace.c_before, s));
    } else {
      const Tensor total = g.defined() ? add(state, g) : state, y = rows_of(outputs, s);
      copy_into(to, mode == RnnMode::tanh ? tanh_backward(total, y) : mul(total, gt(y, Tensor::wrap(0))));
    }
    product_into(state, to, false, w.w_hh, false);
  }
  TensorList grads(8);
  if (ctx.needs(0)) grads[0] = product("", dgates, false, w.w_ih, false);
  grads[1] = dh;
  grads[2] = dc;
  if (ctx.needs(3)) grads[3] = product("", dgates, true, data, false);
  if (ctx.needs(4)) grads[4] = product("", dhidden, true, trace.h_before, false);
  if (ctx.needs(5)) grads[5] = sum(dgates, {0});
  if (ctx.needs(6)) grads[6] = gru || !grads[5].defined() ? sum(dhidden, {0}) : grads[5];
  if (ctx.needs(7)) grads[7] = product("", dout, true, trace.raw, false);
  return grads;
}

constexpr const char* node_name(RnnMode mode) {
  return mode == RnnMode::lstm ? "LstmBackward0" : mode == RnnMode::gru ? "GruBackward0" : "RnnBackward0";
}

// With the weights one by one, as autocasting wants them.
TensorList cell_of(RnnMode mode, const Tensor& input, const TensorList& state, const Tensor& w_ih, const Tensor& w_hh,
                   const Tensor& b_ih, const Tensor& b_hh, const Tensor& w_hr) {
  return rnn_cell(mode, input, state, {w_ih, w_hh, b_ih, b_hh, w_hr});
}
TensorList layer_of(RnnMode mode, const Tensor& data, Ints batch_sizes, const TensorList& state, bool reverse,
                    const Tensor& w_ih, const Tensor& w_hh, const Tensor& b_ih, const Tensor& b_hh,
                    const Tensor& w_hr) {
  return rnn_layer(mode, data, batch_sizes, state, {w_ih, w_hh, b_ih, b_hh, w_hr}, reverse);
}

}  // namespace

TensorList rnn_cell(RnnMode mode, const Tensor& input, const TensorList& state, const RnnWeights& weights) {
  NORCH_AUTOCAST(lower_cuda, cell_of, mode, input, state, weights.w_ih, weights.w_hh, weights.b_ih, weights.b_hh,
                 weights.w_hr);
  // While autocasting, the cell's products cast what they multiply.
  check_operands("rnn_cell", mode, input, input.dim() ? input.sizes()[0] : 0, state, weights, autocast::on());
  return composed_step(mode, linear(input, weights.w_ih, weights.b_ih), state, weights);
}

TensorList rnn_layer(RnnMode mode, const Tensor& data, Ints batch_sizes, const TensorList& state,
                     const RnnWeights& weights, bool reverse) {
  NORCH_AUTOCAST(lower, layer_of, mode, data, batch_sizes, state, reverse, weights.w_ih, weights.w_hh, weights.b_ih,
                 weights.b_hh, weights.w_hr);
  const char* op = "rnn_layer";
  NORCH_CHECK(!batch_sizes.empty(), op, ": expected at least one step");
  int64_t total = 0;
  for (size_t t = 0; t < batch_sizes.size(); ++t) {
    NORCH_CHECK((batch_sizes[t] > 0 || batch_sizes[0] == 0) && (t == 0 || batch_sizes[t] <= batch_sizes[t - 1]), op,
                ": batch sizes must be positive and not grow, got ", batch_sizes);
    NORCH_CHECK(batch_sizes[t] <= INT64_MAX - total, op, ": batch sizes are too large");
    total += batch_sizes[t];
  }
  check_operands(op, mode, data, batch_sizes[0], state, weights);
  NORCH_CHECK(data.sizes()[0] == total, op, ": the steps have ", total, " rows, the input has shape ", data.sizes());
  const Tensor none;
  const Tensor &h = state[0], &c = state.size() > 1 ? state[1] : none;
  const RnnWeights& w = weights;
  const bool keep = recording(data, h, c, w.w_ih, w.w_hh, w.b_ih, w.b_hh, w.w_hr);
  const std::vector<Step> steps = steps_of(batch_sizes, reverse);
  Trace trace;
  TensorList result;
  {
    autograd::NoGrad off;
    result = run(mode, data.detach(), steps, state, weights, keep, trace);
  }
  if (!keep) return result;
  std::vector<SavedTensor> saved;
  for (const Tensor* t : {&data, &h, &c, &w.w_ih, &w.w_hh, &w.b_ih, &w.b_hh, &w.w_hr})
    saved.push_back(t->defined() ? save(*t) : SavedTensor());
  const bool plain = mode == RnnMode::tanh || mode == RnnMode::relu;  // their gradient follows from the outputs
  auto backward = [mode, reverse, steps, sizes = Shape(batch_sizes), trace = std::move(trace),
                   saved = std::move(saved), y = plain ? save_output(result[0]) : SavedTensor()](Backward& ctx) {
    TensorList in;
    for (const SavedTensor& s : saved) in.push_back(ctx.get(s));
    const RnnWeights w{in[3], in[4], in[5], in[6], in[7]};
    TensorList state = {in[1]};
    if (mode == RnnMode::lstm) state.push_back(in[2]);
    if (!autograd::grad_enabled()) {
      TensorList grads = run_backward(ctx, mode, in[0], steps, state, w, trace, ctx.get(y));
      for (size_t i = 0; i < grads.size(); ++i)
        if (ctx.needs(i)) ctx.set(i, grads[i]);
      return;
    }
    // A gradient that is to be differentiated again is that of the same layer in recorded ops.
    const TensorList all = composed_layer(mode, in[0], sizes, state, w, reverse);
    TensorList outputs, grads, wanted;
    for (size_t i = 0; i < all.size(); ++i) {
      if (!ctx.grad(i).defined()) continue;
      outputs.push_back(all[i]);
      grads.push_back(ctx.grad(i));
    }
    for (size_t i = 0; i < in.size(); ++i)
      if (ctx.needs(i)) wanted.push_back(in[i]);
    const TensorList found = autograd::grad(outputs, wanted, grads, true, true, true);
    for (size_t i = 0, k = 0; i < in.size(); ++i)
      if (ctx.needs(i)) ctx.set(i, found[k++]);
  };
  const Tensor last = mode == RnnMode::lstm ? result[2] : none;
  if (mode == RnnMode::lstm)
    record(node_name(mode), {data, h, c, w.w_ih, w.w_hh, w.b_ih, w.b_hh, w.w_hr}, {result[0], result[1], last},
           std::move(backward));
  else
    record(node_name(mode), {data, h, c, w.w_ih, w.w_hh, w.b_ih, w.b_hh, w.w_hr}, {result[0], result[1]},
           std::move(backward));
  return result;
}

}  // namespace norch
