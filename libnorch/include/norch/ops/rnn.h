// Recurrent networks.
#pragma once

#include "norch/tensor.h"

namespace norch {

/// What a step computes from x W_ih^T + b_ih and h W_hh^T + b_hh:
/// - tanh, relu: h' = f(their sum);
/// - lstm: i, f, g, o = the sum's four parts; c' = sigmoid(f) c + sigmoid(i) tanh(g); h' = sigmoid(o) tanh(c');
/// - gru: r, z = sigmoid of the sum's first two parts; n = tanh(n_x + r n_h); h' = (1 - z) n + z h.
enum class RnnMode : uint8_t { tanh, relu, lstm, gru };

/// The weights of one direction of one layer, for G = 1, 1, 4, 3 parts of `hidden` rows. Biases may be undefined; w_hr
/// is defined where the LSTM's h' is projected to fewer features: h' W_hr^T.
struct RnnWeights {
  Tensor w_ih;        // (G * hidden, in)
  Tensor w_hh;        // (G * hidden, out)
  Tensor b_ih, b_hh;  // (G * hidden)
  Tensor w_hr;        // (out, hidden)
};

/// One step: input (batch, in); state {h (batch, out)}, for lstm {h, c (batch, hidden)}. Returns the new state.
/// \throws Error for shapes, dtypes or devices that do not fit.
NORCH_API TensorList rnn_cell(RnnMode mode, const Tensor& input, const TensorList& state, const RnnWeights& weights);

/// One direction of one layer over a packed batch: `data` (rows, in) holds the steps one after another, of batch_sizes[t]
/// rows each, which never grow; row b of every step belongs to sequence b. `reverse` runs from the last step to the
/// first. Returns {outputs (rows, out), h, c}, the last two being the state after each sequence's last step.
///
/// Example, 5 steps of 2 sequences:
///   TensorList r = rnn_layer(RnnMode::gru, reshape(x, {5 * 2, in}), {2, 2, 2, 2, 2}, {h}, weights);
/// \throws Error for shapes, dtypes or devices that do not fit.
NORCH_API TensorList rnn_layer(RnnMode mode, const Tensor& data, Ints batch_sizes, const TensorList& state,
                               const RnnWeights& weights, bool reverse = false);

}  // namespace norch
