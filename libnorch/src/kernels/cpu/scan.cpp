#include "kernels/scan.h"

#include <algorithm>

#include "kernels/cpu/parallel.h"

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

template <class T, class Out, class W, class Op>
void run(const ScanShape& s, const T* x, Out* y, W identity, bool reverse, Op op) {
  using C = ComputeType<T>;
  for_strips(s, [&](int64_t first, int64_t count) {
    const int64_t step = reverse ? -s.inner : s.inner;
    int64_t at = first + (reverse ? (s.n - 1) * s.inner : 0);
    if (count == 1) {
      W total = identity;
      for (int64_t i = 0; i < s.n; ++i, at += step) {
        total = op(total, static_cast<W>(static_cast<C>(x[at])));
        y[at] = static_cast<Out>(total);
      }
      return;
    }
    W total[256];
    std::fill_n(total, count, identity);
    for (int64_t i = 0; i < s.n; ++i, at += step) {
      for (int64_t j = 0; j < count; ++j) {
        total[j] = op(total[j], static_cast<W>(static_cast<C>(x[at + j])));
        y[at + j] = static_cast<Out>(total[j]);
      }
    }
  });
}

}  // namespace

void scan(ScanOp op, const ScanShape& s, const Tensor& out, const Tensor& in, bool reverse) {
  if (op == ScanOp::LogSumExp) {
    visit_float("logcumsumexp", in.dtype(), [&](auto tag) {
      using T = typename decltype(tag)::type;
      run(s, static_cast<const T*>(in.data_ptr()), static_cast<T*>(out.data_ptr()),
          -std::numeric_limits<double>::infinity(), reverse, LogAdd{});
    });
    return;
  }
  visit_all(in.dtype(), [&](auto tag) {
    using T = typename decltype(tag)::type;
    using W = std::conditional_t<is_floating_point(dtype_of<T>), double, int64_t>;
    const T* x = static_cast<const T*>(in.data_ptr());
    auto to = [&](auto* y) {
      if (op == ScanOp::Sum)
        run(s, x, y, W(0), reverse, Add{});
      else
        run(s, x, y, W(1), reverse, Multiply{});
    };
    if (out.dtype() == in.dtype())
      to(static_cast<T*>(out.data_ptr()));
    else
      to(static_cast<SumType<T>*>(out.data_ptr()));
  });
}

void scan_select(bool largest, const ScanShape& s, const Tensor& values, const Tensor& indices, const Tensor& in) {
  visit_all(in.dtype(), [&](auto tag) {
    using T = typename decltype(tag)::type;
    using C = ComputeType<T>;
    const T* x = static_cast<const T*>(in.data_ptr());
    T* v = static_cast<T*>(values.data_ptr());
    int64_t* index = indices.data<int64_t>();
    for_strips(s, [&](int64_t first, int64_t count) {
      for (int64_t j = 0; j < count; ++j) {
        int64_t at = first + j, best_at = 0;
        C best = static_cast<C>(x[at]);
        for (int64_t i = 0; i < s.n; ++i, at += s.inner) {
          const C c = static_cast<C>(x[at]);
          if (c != c || (best == best && (largest ? c >= best : c <= best))) {
            best = c;
            best_at = i;
          }
          v[at] = static_cast<T>(best);
          index[at] = best_at;
        }
      }
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
