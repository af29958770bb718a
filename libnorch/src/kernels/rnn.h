// Steps of recurrent networks, after their matrix products: kernels, and the scalar maths compiled for both devices.
//
// All tensors are contiguous, of one float dtype, with a row for each running sequence: (n, hidden), gates (n, parts *
// hidden). Those marked "in, out" are overwritten.
#pragma once

#include <cmath>

#include "kernels/dispatch.h"
#include "kernels/kernel.h"
#include "norch/tensor.h"

namespace norch::kernels {

/// gates (in, out): from sums to i, f, g, o. c (in, out): to c'. c_before, if defined: c as it was. h (out).
NORCH_KERNEL(lstm_step, void(const Tensor& gates, const Tensor& c, const Tensor& c_before, const Tensor& h))
/// The gradients of a step whose h' has grad_h + grad_out (undefined: 0): grad_gates (out); grad_c (in, out) from c' to c.
NORCH_KERNEL(lstm_step_backward, void(const Tensor& grad_gates, const Tensor& grad_c, const Tensor& grad_h,
                                      const Tensor& grad_out, const Tensor& gates, const Tensor& c_before))
/// gates (in, out): from x's sums to r, z, n. from_hidden: h's sums. h (in, out): to h'. out (out): h' too.
NORCH_KERNEL(gru_step, void(const Tensor& gates, const Tensor& from_hidden, const Tensor& h, const Tensor& out))
/// grad_gates and grad_from_hidden (out), of both sums; grad_h (in, out) from h' to h, but for what goes through
/// from_hidden.
NORCH_KERNEL(gru_step_backward,
             void(const Tensor& grad_gates, const Tensor& grad_from_hidden, const Tensor& grad_h, const Tensor& grad_out,
                  const Tensor& gates, const Tensor& from_hidden, const Tensor& h_before))

inline namespace NORCH_ISA {

template <class C>
NORCH_HD C sigmoid_of(C x) {
  return C(1) / (C(1) + std::exp(-x));
}

/// One element of an LSTM's step.
template <class C>
struct LstmCell {
  C i, f, g, o, c, h;
  NORCH_HD LstmCell(C xi, C xf, C xg, C xo, C before)
      : i(sigmoid_of(xi)), f(sigmoid_of(xf)), g(std::tanh(xg)), o(sigmoid_of(xo)), c(f * before + i * g),
        h(o * std::tanh(c)) {}
};
/// The gradients of one: gh and gc are those of h' and c'.
template <class C>
struct LstmGradient {
  C i, f, g, o, c;
  NORCH_HD LstmGradient(C gh, C gc, C gate_i, C gate_f, C gate_g, C gate_o, C before) {
    const C t = std::tanh(gate_f * before + gate_i * gate_g);
    const C all = gc + gh * gate_o * (C(1) - t * t);
    i = all * gate_g * gate_i * (C(1) - gate_i);
    f = all * before * gate_f * (C(1) - gate_f);
    g = all * gate_i * (C(1) - gate_g * gate_g);
    o = gh * t * gate_o * (C(1) - gate_o);
    c = all * gate_f;
  }
};

/// One element of a GRU's step.
template <class C>
struct GruCell {
  C r, z, n, h;
  NORCH_HD GruCell(C xr, C xz, C xn, C hr, C hz, C hn, C before)
      : r(sigmoid_of(xr + hr)), z(sigmoid_of(xz + hz)), n(std::tanh(xn + r * hn)), h(n + z * (before - n)) {}
};
/// The gradients of one: of the sums of r, z and n, of h's part of n's, and of h itself.
template <class C>
struct GruGradient {
  C r, z, n, hn, h;
  NORCH_HD GruGradient(C g, C gate_r, C gate_z, C gate_n, C from_hidden, C before) {
    n = g * (C(1) - gate_z) * (C(1) - gate_n * gate_n);
    z = g * (before - gate_n) * gate_z * (C(1) - gate_z);
    r = n * from_hidden * gate_r * (C(1) - gate_r);
    hn = n * gate_r;
    h = g * gate_z;
  }
};

}  // namespace NORCH_ISA
}  // namespace norch::kernels
