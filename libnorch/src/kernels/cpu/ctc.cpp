#include "kernels/ctc.h"

#include <algorithm>
#include <vector>

#include "kernels/cpu/parallel.h"
#include "kernels/dispatch.h"

namespace norch::kernels::cpu::NORCH_ISA {

namespace {

const int64_t* ints(const Tensor& t) { return static_cast<const int64_t*>(t.data_ptr()); }

template <class C>
CtcSample<C> sample(const Ctc& c, const Tensor& log_probs, int64_t n) {
  return ctc_sample(ints(c.targets), ints(c.offsets)[n], ints(c.input_lengths)[n], ints(c.target_lengths)[n], c.blank,
                    c.classes, c.batch, static_cast<const C*>(log_probs.data_ptr()), n);
}

}  // namespace

void ctc_loss(const Ctc& c, const Tensor& losses, const Tensor& alpha, const Tensor& log_probs) {
  visit_ctc(log_probs.dtype(), [&](auto tag) {
    using C = typename decltype(tag)::type;
    parallel_for(c.batch, 1 + 4096 / (c.steps * c.states + 1), [&](int64_t begin, int64_t end) {
      for (int64_t n = begin; n < end; ++n) {
        const CtcSample<C> s = sample<C>(c, log_probs, n);
        for (int64_t i = 0; i < s.states / 2; ++i)
          NORCH_CHECK_INDEX(s.labels[i] >= 0 && s.labels[i] < c.classes, "ctc_loss: label ", s.labels[i],
                            " is out of range for ", c.classes, " classes");
        C* const table = static_cast<C*>(alpha.data_ptr()) + n * c.steps * c.states;
        for (int64_t t = 0; t < s.steps; ++t) {
          C* now = table + t * c.states;
          for (int64_t i = 0; i < s.states; ++i) now[i] = t ? s.forward(now - c.states, t, i) : s.first(i);
        }
        static_cast<C*>(losses.data_ptr())[n] = s.loss(table, c.states);
      }
    });
  });
}

void ctc_loss_backward(const Ctc& c, const Tensor& grad, const Tensor& beta, const Tensor& grad_out, const Tensor& losses,
                       const Tensor& alpha, const Tensor& log_probs, bool zero_infinity) {
  visit_ctc(log_probs.dtype(), [&](auto tag) {
    using C = typename decltype(tag)::type;
    parallel_for(c.batch, 1 + 4096 / (c.steps * (c.states + c.classes) + 1), [&](int64_t begin, int64_t end) {
      std::vector<C> shares(static_cast<size_t>(c.classes));
      for (int64_t n = begin; n < end; ++n) {
        const CtcSample<C> s = sample<C>(c, log_probs, n);
        const C loss = static_cast<const C*>(losses.data_ptr())[n], g = static_cast<const C*>(grad_out.data_ptr())[n];
        const C* forward = static_cast<const C*>(alpha.data_ptr()) + n * c.steps * c.states;
        C* backward = static_cast<C*>(beta.data_ptr()) + n * c.steps * c.states;
        C* out = static_cast<C*>(grad.data_ptr()) + n * c.classes;
        const bool zero = zero_infinity && std::isinf(loss);
        for (int64_t t = c.steps - 1; t >= 0; --t) {
          C* row = out + t * s.row;
          if (t >= s.steps || zero) {
            std::fill(row, row + c.classes, C(0));
            continue;
          }
          C* now = backward + t * c.states;
          for (int64_t i = 0; i < s.states; ++i)
            now[i] = t + 1 < s.steps ? s.backward(now + c.states, t, i) : s.last(i);
          std::fill(shares.begin(), shares.end(), C(0));
          for (int64_t i = 0; i < s.states; ++i)
            shares[static_cast<size_t>(s.label(i))] += std::exp(forward[t * c.states + i] + now[i] - s.prob(t, i) + loss);
          for (int64_t k = 0; k < c.classes; ++k)
            row[k] = (std::exp(s.probs[t * s.row + k]) - shares[static_cast<size_t>(k)]) * g;
        }
      }
    });
  });
}

}  // namespace norch::kernels::cpu::NORCH_ISA
