#include "kernels/scan.h"

#include <algorithm>

#include "kernels/cpu/parallel.h"
#include "kernels/scalar_math.h"

namespace norch::kernels::cpu::NORCH_ISA {

namespace {

/// Calls f(first, count) for strips of the inner dim of each outer index: `first` is the offset of element 0 of `count`
/// neighbouring lines, whose elements are `inner` apart.
template <class F>
void for_strips(const ScanShape& s, const F& f) {
  const int64_t strip = std::min<int64_t>(s.inner, 256);
  const int64_t strips = (s.inner + strip - 1) / strip;
  parallel_for(s.outer * strips, 1 + 16384 / (s.n * strip + 1), [&](int64_t begin, int64_t end) {
    for (int64_t i = begin; i < end; ++i) {
      const int64_t from = i % strips * strip;
      f(i / strips * s.n * s.inner + from, std::min(strip, s.inner - from));
    }
  });
}

struct Add {
  template <class A>
  A operator()(A a, A b) const { return a + b; }
};
struct Multiply {
  template <class A>
  A operator()(A a, A b) const { return a * b; }
};
struct LogAdd {
  template <class A>
  A operator()(A a, A b) const { return log_add_exp(a, b); }
};

/// Scans R lines, the first elements of which are `line` apart, side by side: their chains of dependent steps overlap.
template <int R, class T, class W, class Op>
void run_lines(const ScanShape& s, const T* x, T* y, int64_t line, W identity, bool reverse, Op op) {
  W total[R];
  for (W& t : total) t = identity;
  for (int64_t i = 0; i < s.n; ++i) {
    const int64_t at = (reverse ? s.n - 1 - i : i) * s.inner;
    for (int r = 0; r < R; ++r) {
      total[r] = op(total[r], static_cast<W>(static_cast<ComputeType<T>>(x[at + r * line])));
      y[at + r * line] = static_cast<T>(total[r]);
    }
  }
}

template <class T, class W, class Op>
void run(const ScanShape& s, const T* x, T* y, W identity, bool reverse, Op op) {
  using C = ComputeType<T>;
  if (s.inner == 1) {
    constexpr int64_t kTogether = 4;
    parallel_for((s.outer + kTogether - 1) / kTogether, 1 + 4096 / (s.n + 1), [&](int64_t begin, int64_t end) {
      for (int64_t row = begin * kTogether; row < std::min(end * kTogether, s.outer);) {
        const int64_t at = row * s.n;
        if (row + kTogether <= s.outer) {
          run_lines<kTogether>(s, x + at, y + at, s.n, identity, reverse, op);
          row += kTogether;
        } else {
          run_lines<1>(s, x + at, y + at, s.n, identity, reverse, op);
          ++row;
        }
      }
    });
    return;
  }
  for_strips(s, [&](int64_t first, int64_t count) {
    const int64_t step = reverse ? -s.inner : s.inner;
    int64_t at = first + (reverse ? (s.n - 1) * s.inner : 0);
    W total[256];
    std::fill_n(total, count, identity);
    for (int64_t i = 0; i < s.n; ++i, at += step) {
      for (int64_t j = 0; j < count; ++j) {
        total[j] = op(total[j], static_cast<W>(static_cast<C>(x[at + j])));
        y[at + j] = static_cast<T>(total[j]);
      }
    }
  });
}

}  // namespace

void scan(ScanOp op, const ScanShape& s, const Tensor& out, const Tensor& in, bool reverse) {
  auto with = [&](auto tag, auto wide) {
    using T = typename decltype(tag)::type;
    using W = decltype(wide);
    const T* x = static_cast<const T*>(in.data_ptr());
    T* y = static_cast<T*>(out.data_ptr());
    switch (op) {
      case ScanOp::Sum: return run(s, x, y, W(0), reverse, Add{});
      case ScanOp::Prod: return run(s, x, y, W(1), reverse, Multiply{});
      case ScanOp::LogSumExp:
        if constexpr (!std::is_same_v<W, int64_t>)
          return run(s, x, y, -std::numeric_limits<W>::infinity(), reverse, LogAdd{});
    }
  };
  if (in.dtype() == DType::Int64)
    with(TypeTag<int64_t>{}, int64_t{});
  else
    visit_float("scan", in.dtype(), [&](auto tag) { with(tag, double{}); });
}

void scan_select(bool largest, const ScanShape& s, const Tensor& values, const Tensor& indices, const Tensor& in) {
  visit_all(in.dtype(), [&](auto tag) {
    using T = typename decltype(tag)::type;
    using C = ComputeType<T>;
    const T* x = static_cast<const T*>(in.data_ptr());
    T* v = static_cast<T*>(values.data_ptr());
    int64_t* index = indices.data<int64_t>();
    // `count` lines, at most kLines, whose first elements are `line` apart.
    auto lines = [&](auto kLines, int64_t first, int64_t count, auto line) {
      C best[kLines];
      int64_t best_at[kLines] = {};
      for (int64_t j = 0; j < count; ++j) best[j] = static_cast<C>(x[first + j * line]);
      for (int64_t i = 0, from = first; i < s.n; ++i, from += s.inner) {
        for (int64_t j = 0; j < count; ++j) {
          const int64_t at = from + j * line;
          const C c = static_cast<C>(x[at]);
          const bool better = is_nan(c) | (largest ? c >= best[j] : c <= best[j]);  // nothing is better than NaN
          best[j] = better ? c : best[j];
          best_at[j] = better ? i : best_at[j];
          v[at] = static_cast<T>(best[j]);
          index[at] = best_at[j];
        }
      }
    };
    if (s.inner > 1) {
      for_strips(s, [&](int64_t first, int64_t count) {
        lines(std::integral_constant<int64_t, 256>{}, first, count, std::integral_constant<int64_t, 1>{});
      });
      return;
    }
    // A few rows side by side, with what is best of each in a register: their chains of dependent steps overlap.
    using Together = std::integral_constant<int64_t, 4>;
    using One = std::integral_constant<int64_t, 1>;
    parallel_for((s.outer + Together{} - 1) / Together{}, 1 + 4096 / (s.n + 1), [&](int64_t begin, int64_t end) {
      const int64_t last = std::min(end * Together{}, s.outer);
      int64_t row = begin * Together{};
      for (; row + Together{} <= last; row += Together{}) lines(Together{}, row * s.n, Together{}, s.n);
      for (; row < last; ++row) lines(One{}, row * s.n, One{}, s.n);
    });
  });
}

void linear_scan(const ScanShape& s, const Tensor& out, const Tensor& x, const Tensor& g, bool reverse) {
  visit_float("linear_scan", x.dtype(), [&](auto tag) {
    using T = typename decltype(tag)::type;
    using C = ComputeType<T>;
    const T *factor = static_cast<const T*>(x.data_ptr()), *term = static_cast<const T*>(g.data_ptr());
    T* y = static_cast<T*>(out.data_ptr());
    for_strips(s, [&](int64_t first, int64_t count) {
      const int64_t step = reverse ? -s.inner : s.inner;
      double total[256];
      int64_t at = first + (reverse ? (s.n - 1) * s.inner : 0);
      for (int64_t i = 0; i < s.n; ++i, at += step) {
        for (int64_t j = 0; j < count; ++j) {
          const double t = static_cast<C>(term[at + j]);
          total[j] = i == 0 ? t : t + static_cast<double>(static_cast<C>(factor[at + j])) * total[j];
          y[at + j] = static_cast<T>(total[j]);
        }
      }
    });
  });
}

}  // namespace norch::kernels::cpu::NORCH_ISA
