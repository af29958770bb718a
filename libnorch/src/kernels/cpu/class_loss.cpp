#include "kernels/class_loss.h"

#include <algorithm>
#include <cmath>
#include <limits>

#include "kernels/cpu/parallel.h"
#include "kernels/cpu/vector_math.h"

namespace norch::kernels::cpu::NORCH_ISA {

namespace {

/// Columns (values of s) that are worked on together where the classes of a row are not adjacent.
constexpr int64_t kColumns = 64;

void check_targets(const ClassLoss& loss, const int64_t* target) {
  for (int64_t i = 0; i < loss.n * loss.inner; ++i) {
    const int64_t t = target[i];
    NORCH_CHECK_INDEX((t >= 0 && t < loss.classes) || t == loss.ignore_index, "Target ", t, " is out of bounds.");
  }
}

/// The typed memory of a call; S is the type of sums.
template <class T>
struct Arrays {
  using S = SumType<T>;
  const T* x = nullptr;
  const int64_t* target = nullptr;
  const S* weight = nullptr;
  S total_weight = 0;  // sum of weight over the classes

  Arrays(const ClassLoss& loss, const Tensor& x_, const Tensor& target_, const Tensor& weight_)
      : x(x_.defined() ? static_cast<const T*>(x_.data_ptr()) : nullptr),
        target(target_.data<int64_t>()),
        weight(weight_.defined() ? weight_.data<S>() : nullptr) {
    for (int64_t c = 0; c < loss.classes; ++c) total_weight += of(c);
  }
  S of(int64_t c) const { return weight ? weight[c] : S(1); }
};

/// Sums the rows' losses and weights, in order, or stores the losses.
template <class T>
void finish(const ClassLoss& loss, const Tensor& out, const Tensor& total_weight, const Tensor& rows) {
  if (!loss.reduce) return;
  using S = SumType<T>;
  const int64_t n = loss.n * loss.inner;
  const S* losses = rows.data<S>();
  const S* weights = losses + n;
  double sum = 0, weight = 0;
  for (int64_t i = 0; i < n; ++i) {
    sum += static_cast<double>(losses[i]);
    weight += static_cast<double>(weights[i]);
  }
  *total_weight.data<S>() = static_cast<S>(weight);
  *out.data<S>() = static_cast<S>(loss.mean ? sum / weight : sum);
}

/// Where row i's loss and weight go.
template <class T>
struct RowSink {
  using S = SumType<T>;
  S* out;
  S* rows;
  int64_t n;
  RowSink(const ClassLoss& loss, const Tensor& out_, const Tensor& rows_)
      : out(loss.reduce ? nullptr : out_.data<S>()),
        rows(loss.reduce ? rows_.data<S>() : nullptr),
        n(loss.n * loss.inner) {}
  void put(int64_t i, S value, S weight) const {
    if (out) {
      out[i] = value;
    } else {
      rows[i] = value;
      rows[n + i] = weight;
    }
  }
};

/// The factor of row i's gradient.
template <class T>
struct RowGradient {
  using S = SumType<T>;
  const S* g;
  bool per_row;
  S scale;
  RowGradient(const ClassLoss& loss, const Tensor& g_, const Tensor& total_weight)
      : g(g_.data<S>()), per_row(!loss.reduce),
        scale(loss.mean ? S(1) / *total_weight.data<S>() : S(1)) {}
  S of(int64_t i) const { return g[per_row ? i : 0] * scale; }
};

template <class T>
SumType<T> wide(T v) {
  return static_cast<SumType<T>>(static_cast<ComputeType<T>>(v));
}

/// log(sum(exp(x))) of adjacent scores.
template <class T>
SumType<T> log_sum_exp(const T* x, int64_t n) {
  using S = SumType<T>;
  constexpr int kLanes = 16;
  S top = -std::numeric_limits<S>::infinity();
  for (int64_t c = 0; c < n; ++c) top = std::max(top, wide(x[c]));
  S lanes[kLanes] = {}, sum = 0;
  int64_t c = 0;
  for (; c + kLanes <= n; c += kLanes)
#pragma omp simd
    for (int k = 0; k < kLanes; ++k) lanes[k] += std::exp(wide(x[c + k]) - top);
  for (; c < n; ++c) sum += std::exp(wide(x[c]) - top);
  for (S lane : lanes) sum += lane;
  return top + std::log(sum);
}

/// The same for `count` adjacent columns, whose classes lie `stride` apart.
template <class T>
void log_sum_exp_columns(const T* x, int64_t n, int64_t stride, int64_t count, SumType<T>* lse) {
  using S = SumType<T>;
  S top[kColumns], sum[kColumns] = {};
  for (int64_t s = 0; s < count; ++s) top[s] = wide(x[s]);
  for (int64_t c = 1; c < n; ++c)
#pragma omp simd
    for (int64_t s = 0; s < count; ++s) {
      const S v = wide(x[c * stride + s]);
      top[s] = v > top[s] ? v : top[s];
    }
  for (int64_t c = 0; c < n; ++c)
#pragma omp simd
    for (int64_t s = 0; s < count; ++s) sum[s] += std::exp(wide(x[c * stride + s]) - top[s]);
  for (int64_t s = 0; s < count; ++s) lse[s] = n ? top[s] + std::log(sum[s]) : S(0);
}

template <class F>
void visit(DType dtype, const F& f) {
  visit_float("cross_entropy", dtype, [&](auto tag) { f(tag); });
}

/// Rows for which waking a thread pays.
int64_t row_grain(const ClassLoss& loss) { return 1 + 8192 / (loss.classes + 1); }

}  // namespace

void nll_forward(const ClassLoss& loss, const Tensor& out, const Tensor& total_weight, const Tensor& rows,
                 const Tensor& x, const Tensor& target, const Tensor& weight) {
  check_targets(loss, target.data<int64_t>());
  visit(x.dtype(), [&](auto tag) {
    using T = typename decltype(tag)::type;
    const Arrays<T> a(loss, x, target, weight);
    const RowSink<T> sink(loss, out, rows);
    for (int64_t i = 0; i < loss.n * loss.inner; ++i) {
      const int64_t t = a.target[i];
      if (t == loss.ignore_index) {
        sink.put(i, 0, 0);
        continue;
      }
      const auto w = a.of(t);
      sink.put(i, -w * wide(a.x[((i / loss.inner) * loss.classes + t) * loss.inner + i % loss.inner]), w);
    }
    finish<T>(loss, out, total_weight, rows);
  });
}

void nll_backward(const ClassLoss& loss, const Tensor& dx, const Tensor& g, const Tensor& total_weight,
                  const Tensor& target, const Tensor& weight) {
  visit(dx.dtype(), [&](auto tag) {
    using T = typename decltype(tag)::type;
    const Arrays<T> a(loss, Tensor(), target, weight);
    const RowGradient<T> gradient(loss, g, total_weight);
    T* d = static_cast<T*>(dx.data_ptr());
    parallel_for(loss.n, 1 + 32768 / (loss.classes * loss.inner + 1), [&](int64_t begin, int64_t end) {
      std::fill(d + begin * loss.classes * loss.inner, d + end * loss.classes * loss.inner, T(0));
      for (int64_t i = begin * loss.inner; i < end * loss.inner; ++i) {
        const int64_t t = a.target[i];
        if (t != loss.ignore_index)
          d[((i / loss.inner) * loss.classes + t) * loss.inner + i % loss.inner] =
              static_cast<T>(-a.of(t) * gradient.of(i));
      }
    });
  });
}

void cross_entropy_forward(const ClassLoss& loss, const Tensor& out, const Tensor& total_weight, const Tensor& lse,
                           const Tensor& rows, const Tensor& x, const Tensor& target, const Tensor& weight) {
  check_targets(loss, target.data<int64_t>());
  visit(x.dtype(), [&](auto tag) {
    using T = typename decltype(tag)::type;
    using S = SumType<T>;
    const Arrays<T> a(loss, x, target, weight);
    const RowSink<T> sink(loss, out, rows);
    const TargetWeights<S> q(loss.smoothing, loss.classes);
    S* stored = lse.data<S>();
    auto row = [&](int64_t i, const T* scores, int64_t stride) {
      const int64_t t = a.target[i];
      if (t == loss.ignore_index) return sink.put(i, 0, 0);
      const S w = a.of(t);
      S value = q.peak * w * (stored[i] - wide(scores[t * stride]));
      if (q.spread != 0) {
        S even = 0;
        for (int64_t c = 0; c < loss.classes; ++c) even += a.of(c) * (stored[i] - wide(scores[c * stride]));
        value += q.spread * even;
      }
      sink.put(i, value, w);
    };
    if (loss.inner == 1) {
      parallel_for(loss.n, row_grain(loss), [&](int64_t begin, int64_t end) {
        for (int64_t i = begin; i < end; ++i) {
          stored[i] = log_sum_exp(a.x + i * loss.classes, loss.classes);
          row(i, a.x + i * loss.classes, 1);
        }
      });
    } else {
      const int64_t blocks = (loss.inner + kColumns - 1) / kColumns;
      parallel_for(loss.n * blocks, 1 + row_grain(loss) / kColumns, [&](int64_t begin, int64_t end) {
        for (int64_t b = begin; b < end; ++b) {
          const int64_t first = (b % blocks) * kColumns, count = std::min(kColumns, loss.inner - first);
          const T* scores = a.x + (b / blocks) * loss.classes * loss.inner + first;
          const int64_t i = (b / blocks) * loss.inner + first;
          log_sum_exp_columns(scores, loss.classes, loss.inner, count, stored + i);
          for (int64_t s = 0; s < count; ++s) row(i + s, scores + s, loss.inner);
        }
      });
    }
    finish<T>(loss, out, total_weight, rows);
  });
}

void cross_entropy_backward(const ClassLoss& loss, const Tensor& dx, const Tensor& g, const Tensor& total_weight,
                            const Tensor& x, const Tensor& lse, const Tensor& target, const Tensor& weight) {
  visit(dx.dtype(), [&](auto tag) {
    using T = typename decltype(tag)::type;
    using S = SumType<T>;
    const Arrays<T> a(loss, x, target, weight);
    const RowGradient<T> gradient(loss, g, total_weight);
    const TargetWeights<S> q(loss.smoothing, loss.classes);
    const S* stored = lse.data<S>();
    T* d = static_cast<T*>(dx.data_ptr());
    /// Adds the target's share to classes `stride` apart, which hold mass * softmax.
    auto add_peak = [&](T* out, S softmax_at_t, int64_t t, S factor, S mass) {
      const S spread = q.spread * a.of(t);
      *out = static_cast<T>(factor * (mass * softmax_at_t - spread - q.peak * a.of(t)));
    };
    auto mass_of = [&](int64_t t) { return q.peak * a.of(t) + q.spread * a.total_weight; };
    if (loss.inner == 1) {
      parallel_for(loss.n, row_grain(loss), [&](int64_t begin, int64_t end) {
        for (int64_t i = begin; i < end; ++i) {
          const T* scores = a.x + i * loss.classes;
          T* out = d + i * loss.classes;
          const int64_t t = a.target[i];
          if (t == loss.ignore_index) {
            std::fill(out, out + loss.classes, T(0));
            continue;
          }
          const S factor = gradient.of(i), mass = mass_of(t), log_sum = stored[i];
          const S softmax_at_t = std::exp(wide(scores[t]) - log_sum);  // before dx, which may be x, takes the score's place
          if (q.spread == 0) {
#pragma omp simd
            for (int64_t c = 0; c < loss.classes; ++c)
              out[c] = static_cast<T>(factor * (mass * std::exp(wide(scores[c]) - log_sum)));
          } else {
            for (int64_t c = 0; c < loss.classes; ++c)
              out[c] = static_cast<T>(factor * (mass * std::exp(wide(scores[c]) - log_sum) - q.spread * a.of(c)));
          }
          add_peak(out + t, softmax_at_t, t, factor, mass);
        }
      });
      return;
    }
    parallel_for(loss.n, 1 + row_grain(loss) / loss.inner, [&](int64_t begin, int64_t end) {
      for (int64_t n = begin; n < end; ++n) {
        for (int64_t first = 0; first < loss.inner; first += kColumns) {
          const int64_t count = std::min(kColumns, loss.inner - first), i = n * loss.inner + first;
          const int64_t at = n * loss.classes * loss.inner + first;
          S factor[kColumns], mass[kColumns], softmax_at_t[kColumns];
          for (int64_t s = 0; s < count; ++s) {
            const int64_t t = a.target[i + s];
            const bool ignored = t == loss.ignore_index;
            factor[s] = ignored ? S(0) : gradient.of(i + s);
            mass[s] = ignored ? S(0) : mass_of(t);
            softmax_at_t[s] = ignored ? S(0) : std::exp(wide(a.x[at + t * loss.inner + s]) - stored[i + s]);
          }
          for (int64_t c = 0; c < loss.classes; ++c) {
            const T* scores = a.x + at + c * loss.inner;
            T* out = d + at + c * loss.inner;
            const S even = q.spread * a.of(c);
#pragma omp simd
            for (int64_t s = 0; s < count; ++s)
              out[s] = static_cast<T>(factor[s] * (mass[s] * std::exp(wide(scores[s]) - stored[i + s]) - even));
          }
          for (int64_t s = 0; s < count; ++s) {
            const int64_t t = a.target[i + s];
            if (t == loss.ignore_index) {
              // Not 0 * exp(...): that is NaN where the scores are not finite.
              for (int64_t c = 0; c < loss.classes; ++c) d[at + c * loss.inner + s] = T(0);
              continue;
            }
            add_peak(d + at + t * loss.inner + s, softmax_at_t[s], t, factor[s], mass[s]);
          }
        }
      }
    });
  });
}

void cross_entropy_targets(const ClassLoss& loss, const Tensor& q_out, const Tensor& target, const Tensor& weight) {
  visit(q_out.dtype(), [&](auto tag) {
    using T = typename decltype(tag)::type;
    using S = SumType<T>;
    const Arrays<T> a(loss, Tensor(), target, weight);
    const TargetWeights<S> q(loss.smoothing, loss.classes);
    T* out = static_cast<T*>(q_out.data_ptr());
    for (int64_t i = 0; i < loss.n * loss.classes * loss.inner; ++i) {
      const int64_t c = (i / loss.inner) % loss.classes;
      const int64_t t = a.target[i / (loss.classes * loss.inner) * loss.inner + i % loss.inner];
      const S share = q.spread * a.of(c) + (c == t ? q.peak * a.of(c) : S(0));
      out[i] = static_cast<T>(t == loss.ignore_index ? S(0) : share);
    }
  });
}

}  // namespace norch::kernels::cpu::NORCH_ISA
