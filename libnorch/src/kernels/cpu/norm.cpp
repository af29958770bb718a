#include "kernels/norm.h"

#include <memory>

#include "kernels/cpu/parallel.h"
#include "kernels/cpu/reduce_loops.h"

namespace norch::kernels::cpu::NORCH_ISA {

namespace {

constexpr int64_t kGrain = 16384;

/// Sums of f(i) and of g(i) over i < n: 32 accumulators each over runs of kRun, runs in double.
template <class C, class F>
void two_sums(int64_t n, double& first, double& second, const F& f) {
  first = second = 0;
  constexpr int L = 32;
  for (int64_t from = 0; from < n; from += kRun) {
    const int64_t to = std::min(from + kRun, n);
    C a[L] = {}, b[L] = {};
    int64_t i = from;
    for (; i + L <= to; i += L) {
#pragma omp simd
      for (int l = 0; l < L; ++l) f(i + l, a[l], b[l]);
    }
    const int64_t rest = to - i;
    for (int64_t l = 0; l < rest; ++l) f(i + l, a[l], b[l]);
    for (int half = L / 2; half > 0; half /= 2) {
      for (int l = 0; l < half; ++l) {
        a[l] += a[l + half];
        b[l] += b[l + half];
      }
    }
    first += static_cast<double>(a[0]);
    second += static_cast<double>(b[0]);
  }
}

template <class T>
const T* pointer(const Tensor& t) {
  return t.defined() ? static_cast<const T*>(t.data_ptr()) : nullptr;
}
template <class T>
T* output(const Tensor& t) {
  return t.defined() ? static_cast<T*>(t.data_ptr()) : nullptr;
}

template <class T, class C = ComputeType<T>>
void normalise_row(T* y, const T* x, int64_t n, C mean, C rstd, const C* weight, const C* bias) {
  if (weight && bias) {
#pragma omp simd
    for (int64_t i = 0; i < n; ++i)
      y[i] = static_cast<T>((static_cast<C>(x[i]) - mean) * rstd * weight[i] + bias[i]);
  } else if (weight) {
#pragma omp simd
    for (int64_t i = 0; i < n; ++i) y[i] = static_cast<T>((static_cast<C>(x[i]) - mean) * rstd * weight[i]);
  } else {
#pragma omp simd
    for (int64_t i = 0; i < n; ++i)
      y[i] = static_cast<T>((static_cast<C>(x[i]) - mean) * rstd + (bias ? bias[i] : C(0)));
  }
}

/// Writes n results from element `at` on once more, as twin's dtype, if there is a twin.
void write_twin(const Tensor& twin, int64_t at, const float* from, int64_t n) {
  if (!twin.defined()) return;
  uint16_t* to = static_cast<uint16_t*>(twin.data_ptr()) + at;
  if (twin.dtype() == DType::BFloat16)
    for (int64_t i = 0; i < n; ++i) to[i] = BFloat16::from_float(from[i]);
  else
    for (int64_t i = 0; i < n; ++i) to[i] = Half::from_float(from[i]);
}

/// Sums over rows that every element of a row takes part in: narrow accumulators for 64 rows, then wide ones. Rows are
/// shared out in a number of parts that depends on the shape only.
template <class C>
struct RowParts {
  int64_t parts, per_part;
  RowParts(int64_t rows, int64_t n) {
    parts = std::max<int64_t>(1, std::min<int64_t>({rows * n / 65536, rows, 32}));
    per_part = (rows + parts - 1) / parts;
  }
};

}  // namespace

void layer_norm(int64_t rows, int64_t n, const Tensor& out, const Tensor& twin, const Tensor& mean, const Tensor& rstd,
                const Tensor& in, const Tensor& weight, const Tensor& bias, double eps) {
  visit_float("layer_norm", in.dtype(), [&](auto tag) {
    using T = typename decltype(tag)::type;
    using C = ComputeType<T>;
    parallel_for(rows, 1 + kGrain / (n + 1), [&](int64_t begin, int64_t end) {
      for (int64_t r = begin; r < end; ++r) {
        const T* x = pointer<T>(in) + r * n;
        double sum = 0, squares = 0;
        C center = 0;
        if (mean.defined()) {
          two_sums<C>(n, sum, squares, [&](int64_t i, C& a, C&) { a += static_cast<C>(x[i]); });
          center = static_cast<C>(sum / static_cast<double>(n));
        }
        two_sums<C>(n, sum, squares, [&](int64_t i, C& a, C& b) {
          const C d = static_cast<C>(x[i]) - center;
          a += d;
          b += d * d;
        });
        double var = squares / static_cast<double>(n), shift = 0;
        if (mean.defined()) {
          shift = sum / static_cast<double>(n);
          var = std::max(var - shift * shift, 0.0);
          if (squares != squares) var = squares;
        }
        const C m = static_cast<C>(static_cast<double>(center) + shift), s = static_cast<C>(1 / std::sqrt(var + eps));
        if (mean.defined()) output<C>(mean)[r] = m;
        output<C>(rstd)[r] = s;
        T* y = output<T>(out) + r * n;
        normalise_row(y, x, n, m, s, pointer<C>(weight), pointer<C>(bias));
        if constexpr (std::is_same_v<T, float>) write_twin(twin, r * n, y, n);
      }
    });
  });
}

void normalize_rows(int64_t rows, int64_t n, const Tensor& out, const Tensor& in, double eps) {
  visit_float("normalize", in.dtype(), [&](auto tag) {
    using T = typename decltype(tag)::type;
    using C = ComputeType<T>;
    parallel_for(rows, 1 + kGrain / (n + 1), [&](int64_t begin, int64_t end) {
      for (int64_t r = begin; r < end; ++r) {
        const T* x = pointer<T>(in) + r * n;
        double squares = 0, others = 0;
        two_sums<C>(n, squares, others, [&](int64_t i, C& a, C&) { a += static_cast<C>(x[i]) * static_cast<C>(x[i]); });
        const double length = std::sqrt(squares);
        const C scale = static_cast<C>(1 / (length < eps ? eps : length));
        normalise_row<T, C>(output<T>(out) + r * n, x, n, C(0), scale, nullptr, nullptr);
      }
    });
  });
}

void layer_norm_backward(int64_t rows, int64_t n, const Tensor& dx, bool add, const Tensor& twin, const Tensor&,
                         const Tensor& dweight, const Tensor& dbias, const Tensor& grad, const Tensor& in,
                         const Tensor& mean, const Tensor& rstd, const Tensor& weight) {
  visit_float("layer_norm", in.dtype(), [&](auto tag) {
    using T = typename decltype(tag)::type;
    using C = ComputeType<T>;
    const C *w = pointer<C>(weight), *means = pointer<C>(mean), *rstds = pointer<C>(rstd);
    if (dx.defined()) {
      parallel_for(rows, 1 + kGrain / (n + 1), [&](int64_t begin, int64_t end) {
        for (int64_t r = begin; r < end; ++r) {
          const T *g = pointer<T>(grad) + r * n, *x = pointer<T>(in) + r * n;
          T* d = output<T>(dx) + r * n;
          const C m = means ? means[r] : C(0), s = rstds[r];
          double sum_g, sum_gx;
          two_sums<C>(n, sum_g, sum_gx, [&](int64_t i, C& a, C& b) {
            const C v = static_cast<C>(g[i]) * (w ? w[i] : C(1));
            a += v;
            b += v * ((static_cast<C>(x[i]) - m) * s);
          });
          const C by_g = means ? static_cast<C>(sum_g / static_cast<double>(n)) : C(0);
          const C by_gx = static_cast<C>(sum_gx / static_cast<double>(n));
#pragma omp simd
          for (int64_t i = 0; i < n; ++i) {
            const C v = static_cast<C>(g[i]) * (w ? w[i] : C(1));
            const C own = s * (v - by_g - (static_cast<C>(x[i]) - m) * s * by_gx);
            d[i] = static_cast<T>(add ? static_cast<C>(d[i]) + own : own);
          }
          if constexpr (std::is_same_v<T, float>) write_twin(twin, r * n, d, n);
        }
      });
    }
    if (!dweight.defined() && !dbias.defined()) return;
    const RowParts<C> split(rows, n);
    const std::unique_ptr<double[]> sums(new double[static_cast<size_t>(split.parts * n * 2)]());
    parallel_for(split.parts, 1, [&](int64_t begin, int64_t end) {
      constexpr int64_t kCols = 512;
      for (int64_t part = begin; part < end; ++part) {
        double *dw = sums.get() + part * n * 2, *db = dw + n;
        const int64_t last = std::min((part + 1) * split.per_part, rows);
        for (int64_t at = 0; at < n; at += kCols) {
          const int64_t m = std::min(kCols, n - at);
          C a[kCols], b[kCols];
          for (int64_t from = part * split.per_part; from < last; from += 64) {
            std::fill_n(a, m, C(0));
            std::fill_n(b, m, C(0));
            for (int64_t r = from; r < std::min(from + 64, last); ++r) {
              const T *g = pointer<T>(grad) + r * n + at, *x = pointer<T>(in) + r * n + at;
              const C center = means ? means[r] : C(0), s = rstds[r];
#pragma omp simd
              for (int64_t i = 0; i < m; ++i) {
                const C v = static_cast<C>(g[i]);
                a[i] += v * ((static_cast<C>(x[i]) - center) * s);
                b[i] += v;
              }
            }
            for (int64_t i = 0; i < m; ++i) {
              dw[at + i] += static_cast<double>(a[i]);
              db[at + i] += static_cast<double>(b[i]);
            }
          }
        }
      }
    });
    for (int64_t i = 0; i < n; ++i) {
      double dw = 0, db = 0;
      for (int64_t part = 0; part < split.parts; ++part) {
        dw += sums[static_cast<size_t>(part * n * 2 + i)];
        db += sums[static_cast<size_t>(part * n * 2 + n + i)];
      }
      if (dweight.defined()) output<C>(dweight)[i] = static_cast<C>(dw);
      if (dbias.defined()) output<C>(dbias)[i] = static_cast<C>(db);
    }
  });
}

void channel_affine(const ChannelShape& shape, const Tensor& out, const Tensor& in, const Tensor& a, const Tensor& in2,
                    const Tensor& b, const Tensor& c) {
  visit_float("batch_norm", out.dtype(), [&](auto tag) {
    using T = typename decltype(tag)::type;
    using C = ComputeType<T>;
    const C *as = pointer<C>(a), *bs = pointer<C>(b), *cs = pointer<C>(c);
    const T *x = pointer<T>(in), *y = pointer<T>(in2);
    T* o = output<T>(out);
    const int64_t inner = shape.inner, channels = shape.channels;
    if (inner == 1) {
      parallel_for(shape.samples * shape.outer, 1 + kGrain / (channels + 1), [&](int64_t begin, int64_t end) {
        for (int64_t row = begin; row < end; ++row) {
          const int64_t at = row * channels, first = row / shape.outer * channels;
          const C *ka = as + first, *kb = bs ? bs + first : nullptr, *kc = cs + first;
          if (y) {
#pragma omp simd
            for (int64_t k = 0; k < channels; ++k)
              o[at + k] = static_cast<T>(static_cast<C>(x[at + k]) * ka[k] + static_cast<C>(y[at + k]) * kb[k] + kc[k]);
          } else {
#pragma omp simd
            for (int64_t k = 0; k < channels; ++k) o[at + k] = static_cast<T>(static_cast<C>(x[at + k]) * ka[k] + kc[k]);
          }
        }
      });
      return;
    }
    parallel_for(shape.outer * channels, 1 + kGrain / (inner + 1), [&](int64_t begin, int64_t end) {
      for (int64_t r = begin; r < end; ++r) {
        const C ka = as[r % channels], kb = y ? bs[r % channels] : C(0), kc = cs[r % channels];
        if (y) {
#pragma omp simd
          for (int64_t i = r * inner; i < (r + 1) * inner; ++i)
            o[i] = static_cast<T>(static_cast<C>(x[i]) * ka + static_cast<C>(y[i]) * kb + kc);
        } else {
#pragma omp simd
          for (int64_t i = r * inner; i < (r + 1) * inner; ++i) o[i] = static_cast<T>(static_cast<C>(x[i]) * ka + kc);
        }
      }
    });
  });
}

void channel_sums(const ChannelShape& shape, const Tensor& sum_g, const Tensor& sum_gx, const Tensor& grad,
                  const Tensor& in, const Tensor& mean) {
  visit_float("batch_norm", in.dtype(), [&](auto tag) {
    using T = typename decltype(tag)::type;
    using C = ComputeType<T>;
    const int64_t inner = shape.inner, channels = shape.channels;
    const RowParts<C> split(shape.outer, channels * inner);
    const int64_t sample_sums = split.parts * channels * 2;
    const std::unique_ptr<double[]> sums(new double[static_cast<size_t>(shape.samples * sample_sums)]());
    constexpr int64_t kBlock = 64;
    const int64_t blocks = (channels + kBlock - 1) / kBlock, tasks = split.parts * blocks;
    parallel_for(shape.samples * tasks, 1, [&](int64_t begin, int64_t end) {
      for (int64_t i = begin; i < end; ++i) {
        const int64_t sample = i / tasks, task = i % tasks, size = shape.outer * channels * inner;
        const T *g = pointer<T>(grad) + sample * size, *x = pointer<T>(in) + sample * size;
        const C* means = pointer<C>(mean) + sample * channels;
        const int64_t part = task / blocks, first = task % blocks * kBlock, m = std::min(kBlock, channels - first);
        double *sg = sums.get() + sample * sample_sums + part * channels * 2 + first, *sgx = sg + channels;
        const int64_t last = std::min((part + 1) * split.per_part, shape.outer);
        if (inner > 1) {
          for (int64_t r = part * split.per_part; r < last; ++r) {
            for (int64_t k = 0; k < m; ++k) {
              const int64_t at = (r * channels + first + k) * inner;
              const C center = means[first + k];
              double a, b;
              two_sums<C>(inner, a, b, [&](int64_t i, C& u, C& v) {
                const C d = static_cast<C>(g[at + i]);
                u += d;
                v += d * (static_cast<C>(x[at + i]) - center);
              });
              sg[k] += a;
              sgx[k] += b;
            }
          }
          continue;
        }
        C a[kBlock], b[kBlock];
        for (int64_t from = part * split.per_part; from < last; from += 64) {
          std::fill_n(a, m, C(0));
          std::fill_n(b, m, C(0));
          for (int64_t r = from; r < std::min(from + 64, last); ++r) {
            const int64_t at = r * channels + first;
#pragma omp simd
            for (int64_t k = 0; k < m; ++k) {
              const C d = static_cast<C>(g[at + k]);
              a[k] += d;
              b[k] += d * (static_cast<C>(x[at + k]) - means[first + k]);
            }
          }
          for (int64_t k = 0; k < m; ++k) {
            sg[k] += static_cast<double>(a[k]);
            sgx[k] += static_cast<double>(b[k]);
          }
        }
      }
    });
    for (int64_t i = 0; i < shape.samples * channels; ++i) {
      double a = 0, b = 0;
      for (int64_t part = 0; part < split.parts; ++part) {
        const double* s = sums.get() + i / channels * sample_sums + part * channels * 2 + i % channels;
        a += s[0];
        b += s[channels];
      }
      output<C>(sum_g)[i] = static_cast<C>(a);
      output<C>(sum_gx)[i] = static_cast<C>(b);
    }
  });
}

}  // namespace norch::kernels::cpu::NORCH_ISA
