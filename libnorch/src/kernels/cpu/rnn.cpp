#include "kernels/cpu/vector_math.h"

#include <algorithm>

#include "kernels/cpu/parallel.h"
#include "kernels/rnn.h"

namespace norch::kernels::cpu::NORCH_ISA {

namespace {

template <class T>
T* data_of(const Tensor& t) {
  return t.defined() ? t.data<T>() : nullptr;
}

/// Calls f(row) for all rows of h, several at a time.
template <class F>
void for_rows(const Tensor& h, const F& f) {
  parallel_for(h.sizes()[0], 1 + 1024 / (h.sizes()[1] + 1), [&](int64_t begin, int64_t end) {
    for (int64_t row = begin; row < end; ++row) f(row);
  });
}

/// Calls f(j, gradient) for n columns: own[j], and what `given` (unless it is null) adds to it.
template <class C, class T, class F>
void for_columns(int64_t n, const T* own, const T* given, const F& f) {
  if (given) {
#pragma omp simd
    for (int64_t j = 0; j < n; ++j) f(j, static_cast<C>(own[j]) + static_cast<C>(given[j]));
  } else {
#pragma omp simd
    for (int64_t j = 0; j < n; ++j) f(j, static_cast<C>(own[j]));
  }
}

}  // namespace

void lstm_step(const Tensor& gates, const Tensor& c, const Tensor& c_before, const Tensor& h) {
  visit_float("lstm", h.dtype(), [&](auto tag) {
    using T = typename decltype(tag)::type;
    using C = ComputeType<T>;
    const int64_t n = h.sizes()[1];
    for_rows(h, [&, all = data_of<T>(gates), cells = data_of<T>(c), kept = data_of<T>(c_before),
                 out = data_of<T>(h)](int64_t row) {
      T *i = all + row * 4 * n, *f = i + n, *g = f + n, *o = g + n, *cell = cells + row * n, *to = out + row * n;
      if (kept) std::copy_n(cell, n, kept + row * n);
#pragma omp simd
      for (int64_t j = 0; j < n; ++j) {
        const LstmCell<C> s(static_cast<C>(i[j]), static_cast<C>(f[j]), static_cast<C>(g[j]), static_cast<C>(o[j]),
                            static_cast<C>(cell[j]));
        i[j] = static_cast<T>(s.i);
        f[j] = static_cast<T>(s.f);
        g[j] = static_cast<T>(s.g);
        o[j] = static_cast<T>(s.o);
        cell[j] = static_cast<T>(s.c);
        to[j] = static_cast<T>(s.h);
      }
    });
  });
}

void lstm_step_backward(const Tensor& grad_gates, const Tensor& grad_c, const Tensor& grad_h, const Tensor& grad_out,
                        const Tensor& gates, const Tensor& c_before) {
  visit_float("lstm_backward", grad_h.dtype(), [&](auto tag) {
    using T = typename decltype(tag)::type;
    using C = ComputeType<T>;
    const int64_t n = grad_h.sizes()[1];
    for_rows(grad_h, [&, to = data_of<T>(grad_gates), gc = data_of<T>(grad_c), gh = data_of<T>(grad_h),
                      gy = data_of<T>(grad_out), all = data_of<T>(gates), before = data_of<T>(c_before)](int64_t row) {
      const T *i = all + row * 4 * n, *f = i + n, *g = f + n, *o = g + n, *cell = before + row * n, *own = gh + row * n;
      const T* given = gy ? gy + row * n : nullptr;
      T *gi = to + row * 4 * n, *gf = gi + n, *gg = gf + n, *go = gg + n, *gcell = gc + row * n;
      const auto column = [&](int64_t j, C g_h) {
        const LstmGradient<C> s(g_h, static_cast<C>(gcell[j]), static_cast<C>(i[j]), static_cast<C>(f[j]),
                                static_cast<C>(g[j]), static_cast<C>(o[j]), static_cast<C>(cell[j]));
        gi[j] = static_cast<T>(s.i);
        gf[j] = static_cast<T>(s.f);
        gg[j] = static_cast<T>(s.g);
        go[j] = static_cast<T>(s.o);
        gcell[j] = static_cast<T>(s.c);
      };
      for_columns<C>(n, own, given, column);
    });
  });
}

void gru_step(const Tensor& gates, const Tensor& from_hidden, const Tensor& h, const Tensor& out) {
  visit_float("gru", h.dtype(), [&](auto tag) {
    using T = typename decltype(tag)::type;
    using C = ComputeType<T>;
    const int64_t n = h.sizes()[1];
    for_rows(h, [&, all = data_of<T>(gates), hidden = data_of<T>(from_hidden), state = data_of<T>(h),
                 results = data_of<T>(out)](int64_t row) {
      T *r = all + row * 3 * n, *z = r + n, *m = z + n, *s = state + row * n, *to = results + row * n;
      const T *hr = hidden + row * 3 * n, *hz = hr + n, *hn = hz + n;
#pragma omp simd
      for (int64_t j = 0; j < n; ++j) {
        const GruCell<C> cell(static_cast<C>(r[j]), static_cast<C>(z[j]), static_cast<C>(m[j]), static_cast<C>(hr[j]),
                              static_cast<C>(hz[j]), static_cast<C>(hn[j]), static_cast<C>(s[j]));
        r[j] = static_cast<T>(cell.r);
        z[j] = static_cast<T>(cell.z);
        m[j] = static_cast<T>(cell.n);
        s[j] = to[j] = static_cast<T>(cell.h);
      }
    });
  });
}

void gru_step_backward(const Tensor& grad_gates, const Tensor& grad_from_hidden, const Tensor& grad_h,
                       const Tensor& grad_out, const Tensor& gates, const Tensor& from_hidden, const Tensor& h_before) {
  visit_float("gru_backward", grad_h.dtype(), [&](auto tag) {
    using T = typename decltype(tag)::type;
    using C = ComputeType<T>;
    const int64_t n = grad_h.sizes()[1];
    for_rows(grad_h, [&, to = data_of<T>(grad_gates), to_hidden = data_of<T>(grad_from_hidden), gh = data_of<T>(grad_h),
                      gy = data_of<T>(grad_out), all = data_of<T>(gates), hidden = data_of<T>(from_hidden),
                      before = data_of<T>(h_before)](int64_t row) {
      const T *r = all + row * 3 * n, *z = r + n, *m = z + n, *hn = hidden + row * 3 * n + 2 * n, *s = before + row * n;
      const T* given = gy ? gy + row * n : nullptr;
      T *gr = to + row * 3 * n, *gz = gr + n, *gm = gz + n, *own = gh + row * n;
      T *gr2 = to_hidden + row * 3 * n, *gz2 = gr2 + n, *gm2 = gz2 + n;
      const auto column = [&](int64_t j, C g) {
        const GruGradient<C> d(g, static_cast<C>(r[j]), static_cast<C>(z[j]), static_cast<C>(m[j]),
                               static_cast<C>(hn[j]), static_cast<C>(s[j]));
        gr[j] = gr2[j] = static_cast<T>(d.r);
        gz[j] = gz2[j] = static_cast<T>(d.z);
        gm[j] = static_cast<T>(d.n);
        gm2[j] = static_cast<T>(d.hn);
        own[j] = static_cast<T>(d.h);
      };
      for_columns<C>(n, own, given, column);
    });
  });
}

}  // namespace norch::kernels::cpu::NORCH_ISA
