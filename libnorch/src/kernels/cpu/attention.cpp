// Attention in blocks of scores (Dao, "FlashAttention-2: Faster Attention with Better Parallelism and Work
// Partitioning", 2023): a block of rows meets the columns block by block, and keeps the highest score and the sum of the
// exponentials so far. The backward pass makes the weights again from the logarithms of the sums.
//
// Products are single-threaded BLAS calls, in an order that depends on the shapes alone.
#include "kernels/attention.h"

#include <algorithm>
#include <cmath>
#include <limits>
#include <vector>

#include "kernels/cpu/blas.h"
#include "kernels/cpu/exp.h"
#include "kernels/cpu/parallel.h"
#include "kernels/cpu/philox.h"
#include "kernels/cpu/wide.h"
#include "kernels/dispatch.h"

namespace norch::kernels::cpu::NORCH_ISA {

namespace {

constexpr int L = 16;  // values side by side

// The size of a block of scores. OpenBLAS is at its fastest in products below a million multiply-adds of operands that
// are in the cache.
constexpr int64_t kRows = 32;
int64_t columns_of_block(const Attention& a) {
  const int64_t fast = 1000000 / kRows / std::max(a.width, a.value_width);
  return std::clamp<int64_t>(fast / L * L, 64, 256);
}
template <class T>
constexpr T kInf = std::numeric_limits<T>::infinity();

/// Row i of matrix b.
template <class T>
T* row_of(const AttentionMatrices& x, int64_t b, int64_t i) {
  return static_cast<T*>(x.data) + x.at[b] + i * x.row;
}

/// C = alpha * op(A) op(B) + beta * C.
template <class T>
void product(int trans_a, int trans_b, int64_t m, int64_t n, int64_t k, T alpha, const T* a, int64_t lda, const T* b,
             int64_t ldb, T beta, T* c, int64_t ldc) {
  blas::gemm(trans_a, trans_b, static_cast<int>(m), static_cast<int>(n), static_cast<int>(k), alpha, a,
             static_cast<int>(lda), b, static_cast<int>(ldb), beta, c, static_cast<int>(ldc));
}

/// The greatest of x[0, n), or NaN where there is one.
template <class T>
T greatest(const T* x, int64_t n) {
  const auto step = [](T a, T v) { return (v > a) | (v != v) ? v : a; };
  T high[L];
  std::fill_n(high, L, -kInf<T>);
  int64_t i = 0;
  for (; i + L <= n; i += L) {
#pragma omp simd
    for (int l = 0; l < L; ++l) high[l] = step(high[l], x[i + l]);
  }
  for (int l = 0; i < n; ++i, ++l) high[l] = step(high[l], x[i]);
  for (int half = L / 2; half > 0; half /= 2)
    for (int l = 0; l < half; ++l) high[l] = step(high[l], high[l + half]);
  return high[0];
}

/// x = exp(x - base) for numbers up to base; returns their sum.
template <class T>
T exponentials(T* x, int64_t n, T base) {
  T sum[L] = {};
  const auto group = [&](T* p) {
#pragma omp simd
    for (int l = 0; l < L; ++l) {
      p[l] = exp_of_negative(p[l] - base);
      sum[l] += p[l];
    }
  };
  const int64_t whole = n - n % L;
  for (int64_t i = 0; i < whole; i += L) group(x + i);
  if (whole < n) {
    T rest[L];
    std::fill_n(rest, L, -kInf<T>);
    std::copy(x + whole, x + n, rest);
    group(rest);
    std::copy_n(rest, n - whole, x + whole);
  }
  for (int half = L / 2; half > 0; half /= 2)
    for (int l = 0; l < half; ++l) sum[l] += sum[l + half];
  return sum[0];
}

template <class T>
T dot(const T* x, const T* y, int64_t n) {
  T sum = 0;
#pragma omp simd reduction(+ : sum)
  for (int64_t i = 0; i < n; ++i) sum += x[i] * y[i];
  return sum;
}

template <class T>
void scale_row(T* x, int64_t n, T by) {
#pragma omp simd
  for (int64_t i = 0; i < n; ++i) x[i] *= by;
}

/// keep[i] = 0 where element first + i is dropped, otherwise 1 / (1 - p).
template <class T>
void keep_factors(T* keep, int64_t first, int64_t n, double p, PhiloxState state) {
  const uint64_t threshold = event_threshold(p);
  const T by = static_cast<T>(1 / (1 - p));
  BatchWords words;
  for (int64_t i = 0; i < n;) {
    const int64_t block = (first + i) / 4, skipped = (first + i) % 4, count = std::min(n - i, 4 * kBatch - skipped);
    fill_words(state, static_cast<uint64_t>(block), words);
    for (int64_t j = 0; j < count; ++j)
      keep[i + j] = words.w[(skipped + j) % 4][(skipped + j) / 4] < threshold ? T(0) : by;
    i += count;
  }
}

/// What the blocks of one thread need.
template <class T>
class Worker {
 public:
  explicit Worker(const Attention& a) : a_(a), columns_(columns_of_block(a)), scores_(kRows * columns_) {
    if (a.dropout > 0) keep_.resize(columns_);
  }

  /// The rows from i0 on of the b-th result.
  void forward(int64_t b, int64_t i0) {
    const int64_t m = std::min(kRows, a_.rows - i0), end = a_.causal ? std::min(a_.columns, i0 + m) : a_.columns;
    T high[kRows], sum[kRows];
    std::fill_n(high, m, -kInf<T>);
    std::fill_n(sum, m, T(0));
    T* out = row_of<T>(a_.out, b, i0);
    for (int64_t j0 = 0; j0 < end; j0 += columns_) {
      const int64_t n = std::min(columns_, end - j0);
      make_scores(b, i0, m, j0, n);
      for (int64_t r = 0; r < m; ++r) {
        T* s = scores_.data() + r * n;
        const int64_t seen = seen_of(i0 + r, j0, n);
        const T before = high[r], now = std::max(greatest(s, seen), before);  // a NaN in s, or from then on in sum
        const T base = now == -kInf<T> ? T(0) : now;
        high[r] = now;
        const T added = exponentials(s, seen, base);
        std::fill(s + seen, s + n, T(0));
        if (j0 > 0 && before != now) {
          const T factor = before == -kInf<T> ? T(0) : std::exp(before - base);
          sum[r] *= factor;
          scale_row(out + r * a_.out.row, a_.value_width, factor);
        }
        sum[r] += added;
        if (a_.dropout > 0) {
          make_keep(b, i0 + r, j0, seen);
          for (int64_t j = 0; j < seen; ++j) s[j] *= keep_[j];
        }
      }
      product(blas::no_trans, blas::no_trans, m, a_.value_width, n, T(1), scores_.data(), n, row_of<T>(a_.v, b, j0),
              a_.v.row, T(j0 > 0), out, a_.out.row);
    }
    T* log_sums = static_cast<T*>(a_.log_sums) + b * a_.rows + i0;
    for (int64_t r = 0; r < m; ++r) {
      const bool blind = a_.mask.data && high[r] == -kInf<T>;
      scale_row(out + r * a_.out.row, a_.value_width, blind ? T(0) : 1 / sum[r]);
      log_sums[r] = blind ? kInf<T> : high[r] + std::log(sum[r]);
    }
  }

  /// The gradients of the b-th q, k and v.
  void backward(int64_t b, const AttentionMatrices& grad, const AttentionMatrices& grad_q,
                const AttentionMatrices& grad_k, const AttentionMatrices& grad_v) {
    grads_.resize(kRows * columns_);
    deltas_.resize(a_.rows);
    for (int64_t i = 0; i < a_.rows; ++i)
      deltas_[i] = dot(row_of<T>(grad, b, i), row_of<T>(a_.out, b, i), a_.value_width);
    const T scale = static_cast<T>(a_.scale);
    for (int64_t j0 = 0; j0 < a_.columns; j0 += columns_) {
      const int64_t n = std::min(columns_, a_.columns - j0);
      T *dk = row_of<T>(grad_k, b, j0), *dv = row_of<T>(grad_v, b, j0);
      bool first = true;
      // Rows before j0 do not see these columns.
      for (int64_t i0 = a_.causal ? j0 / kRows * kRows : 0; i0 < a_.rows; i0 += kRows, first = false) {
        const int64_t m = std::min(kRows, a_.rows - i0);
        make_scores(b, i0, m, j0, n);
        const T* g = row_of<T>(grad, b, i0);
        times_transposed(m, n, a_.value_width, T(1), g, grad.row, a_.v, a_.v_transposed, b, j0, grads_.data());
        for (int64_t r = 0; r < m; ++r) gradients_of_row(b, i0 + r, j0, n, scores_.data() + r * n, grads_.data() + r * n);
        product(blas::trans, blas::no_trans, n, a_.value_width, m, T(1), scores_.data(), n, g, grad.row, T(!first), dv,
                grad_v.row);
        product(blas::no_trans, blas::no_trans, m, a_.width, n, scale, grads_.data(), n, row_of<T>(a_.k, b, j0), a_.k.row,
                T(j0 > 0), row_of<T>(grad_q, b, i0), grad_q.row);
        product(blas::trans, blas::no_trans, n, a_.width, m, scale, grads_.data(), n, row_of<T>(a_.q, b, i0), a_.q.row,
                T(!first), dk, grad_k.row);
      }
      if (first) {  // seen by no row
        for (int64_t j = 0; j < n; ++j) {
          std::fill_n(dk + j * grad_k.row, a_.width, T(0));
          std::fill_n(dv + j * grad_v.row, a_.value_width, T(0));
        }
      }
    }
  }

 private:
  /// How many of the n columns from j0 on row i sees.
  int64_t seen_of(int64_t i, int64_t j0, int64_t n) const {
    return a_.causal ? std::clamp<int64_t>(i + 1 - j0, 0, n) : n;
  }

  /// c = alpha * x y^T for the n rows of y from j0 on.
  void times_transposed(int64_t m, int64_t n, int64_t k, T alpha, const T* x, int64_t x_row, const AttentionMatrices& y,
                        const AttentionMatrices& y_transposed, int64_t b, int64_t j0, T* c) {
    if (y_transposed.data)
      product(blas::no_trans, blas::no_trans, m, n, k, alpha, x, x_row, row_of<T>(y_transposed, b, 0) + j0,
              y_transposed.row, T(0), c, n);
    else
      product(blas::no_trans, blas::trans, m, n, k, alpha, x, x_row, row_of<T>(y, b, j0), y.row, T(0), c, n);
  }

  /// Scores m x n, adjacent, with the mask but without causality.
  void make_scores(int64_t b, int64_t i0, int64_t m, int64_t j0, int64_t n) {
    T* s = scores_.data();
    times_transposed(m, n, a_.width, static_cast<T>(a_.scale), row_of<T>(a_.q, b, i0), a_.q.row, a_.k, a_.k_transposed, b,
                     j0, s);
    if (!a_.mask.data) return;
    for (int64_t r = 0; r < m; ++r, s += n) {
      if (a_.mask_is_bool)
        mask_row(s, n, row_of<bool>(a_.mask, b, i0 + r) + j0 * a_.mask_column,
                 [](T x, bool seen) { return seen ? x : -kInf<T>; });
      else
        mask_row(s, n, row_of<T>(a_.mask, b, i0 + r) + j0 * a_.mask_column, [](T x, T add) { return x + add; });
    }
  }

  template <class M, class F>
  void mask_row(T* s, int64_t n, const M* mask, const F& f) const {
    if (a_.mask_column == 1) {
#pragma omp simd
      for (int64_t j = 0; j < n; ++j) s[j] = f(s[j], mask[j]);
    } else {
      for (int64_t j = 0; j < n; ++j) s[j] = f(s[j], mask[j * a_.mask_column]);
    }
  }

  void make_keep(int64_t b, int64_t i, int64_t j0, int64_t n) {
    keep_factors(keep_.data(), (b * a_.rows + i) * a_.columns + j0, n, a_.dropout, a_.state);
  }

  /// From scores s and the gradients d of the dropped weights: the dropped weights, and the gradients of the scores.
  void gradients_of_row(int64_t b, int64_t i, int64_t j0, int64_t n, T* s, T* d) {
    const int64_t seen = seen_of(i, j0, n);
    const T log_sum = static_cast<const T*>(a_.log_sums)[b * a_.rows + i], delta = deltas_[i];
    exponentials(s, seen, log_sum);
    if (a_.dropout > 0) {
      make_keep(b, i, j0, seen);
      for (int64_t j = 0; j < seen; ++j) {
        d[j] = s[j] * (d[j] * keep_[j] - delta);
        s[j] *= keep_[j];
      }
    } else {
#pragma omp simd
      for (int64_t j = 0; j < seen; ++j) d[j] = s[j] * (d[j] - delta);
    }
    std::fill(s + seen, s + n, T(0));
    std::fill(d + seen, d + n, T(0));
  }

  const Attention& a_;
  const int64_t columns_;
  std::vector<T> scores_, grads_, deltas_, keep_;
};

}  // namespace

void attention(const Attention& a) {
  visit_wide(a.dtype, [&](auto zero) {
    const int64_t blocks = (a.rows + kRows - 1) / kRows;
    // Multiply-adds that take about five microseconds.
    const int64_t work = std::min(kRows, a.rows) * a.columns * (a.width + a.value_width);
    parallel_for(a.batch * blocks, std::max<int64_t>(1, (1 << 17) / work), [&](int64_t begin, int64_t end) {
      Worker<decltype(zero)> worker(a);
      for (int64_t i = begin; i < end; ++i) worker.forward(i / blocks, i % blocks * kRows);
    });
  });
}

void attention_backward(const Attention& a, const AttentionMatrices& grad, const AttentionMatrices& grad_q,
                        const AttentionMatrices& grad_k, const AttentionMatrices& grad_v) {
  visit_wide(a.dtype, [&](auto zero) {
    const int64_t work = a.rows * a.columns * (a.width + a.value_width);
    parallel_for(a.batch, std::max<int64_t>(1, (1 << 16) / work), [&](int64_t begin, int64_t end) {
      Worker<decltype(zero)> worker(a);
      for (int64_t b = begin; b < end; ++b) worker.backward(b, grad, grad_q, grad_k, grad_v);
    });
  });
}

}  // namespace norch::kernels::cpu::NORCH_ISA
