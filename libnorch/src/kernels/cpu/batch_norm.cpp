#include "kernels/batch_norm.h"

#include <algorithm>
#include <vector>

#include "core/factory.h"
#include "kernels/cpu/parallel.h"
#include "kernels/cpu/wide.h"
#include "kernels/reduce.h"

namespace norch::kernels::cpu::NORCH_ISA {

namespace {

/// Mean and biased variance of the columns of a matrix (rows, channels). Each thread takes some columns; runs of rows are
/// summed as differences from their first row, so that the squares lose nothing to a large mean, and joined in double.
template <class T, class C = ComputeType<T>>
void column_moments(int64_t rows, int64_t channels, const T* x, C* mean, C* var) {
  constexpr int64_t kColumns = 64, kRun = 128;
  const int64_t blocks = (channels + kColumns - 1) / kColumns, parts = std::clamp<int64_t>(rows / 4096, 1, 16);
  struct Sums {
    double mean[kColumns], m2[kColumns];
  };
  std::vector<Sums> all(static_cast<size_t>(blocks * parts));
  parallel_for(blocks * parts, 1 + 65536 / (rows / parts * std::min(kColumns, channels) + 1), [&](int64_t begin, int64_t end) {
    for (int64_t task = begin; task < end; ++task) {
      const int64_t part = task / blocks, first = task % blocks * kColumns, n = std::min(kColumns, channels - first);
      const int64_t start = rows * part / parts, stop = rows * (part + 1) / parts;
      Sums& s = all[static_cast<size_t>(task)];
      std::fill_n(s.mean, n, 0.0);
      std::fill_n(s.m2, n, 0.0);
      C center[kColumns], a[kColumns], b[kColumns];
      for (int64_t from = start; from < stop; from += kRun) {
        const int64_t to = std::min(from + kRun, stop);
        for (int64_t k = 0; k < n; ++k) center[k] = static_cast<C>(x[from * channels + first + k]);
        std::fill_n(a, n, C(0));
        std::fill_n(b, n, C(0));
        for (int64_t r = from; r < to; ++r) {
          const T* row = x + r * channels + first;
#pragma omp simd
          for (int64_t k = 0; k < n; ++k) {
            const C d = static_cast<C>(row[k]) - center[k];
            a[k] += d;
            b[k] += d * d;
          }
        }
        const double run = static_cast<double>(to - from), weight = run / static_cast<double>(to - start);
        for (int64_t k = 0; k < n; ++k) {
          const double shift = static_cast<double>(a[k]) / run, delta = static_cast<double>(center[k]) + shift - s.mean[k];
          s.m2[k] += static_cast<double>(b[k]) - shift * static_cast<double>(a[k]) +
                     delta * delta * (static_cast<double>(from - start) * weight);
          s.mean[k] += delta * weight;
        }
      }
    }
  });
  for (int64_t k = 0; k < channels; ++k) {
    double m = 0, m2 = 0;
    for (int64_t part = 0; part < parts; ++part) {
      const int64_t start = rows * part / parts, stop = rows * (part + 1) / parts;
      const Sums& s = all[static_cast<size_t>(part * blocks + k / kColumns)];
      const double weight = static_cast<double>(stop - start) / static_cast<double>(stop), delta = s.mean[k % kColumns] - m;
      m2 += s.m2[k % kColumns] + delta * delta * (static_cast<double>(start) * weight);
      m += delta * weight;
    }
    mean[k] = static_cast<C>(m);
    var[k] = static_cast<C>(m2 < 0 ? 0 : m2 / static_cast<double>(rows));  // NaN stays
  }
}

}  // namespace

void batch_stats(const ChannelShape& shape, const BatchStats& stats, const Tensor& x) {
  visit_wide(stats.mean.dtype(), [&](auto zero) {
    using C = decltype(zero);
    const BatchScales<C> s(stats, static_cast<double>(shape.outer * shape.inner));
    if (!x.defined()) {
      for (int64_t k = 0; k < shape.channels; ++k) s.from_running(k);
      return;
    }
    const Tensor var = new_tensor({shape.channels}, stats.mean.dtype(), kCPU);
    C *mean = static_cast<C*>(stats.mean.data_ptr()), *vars = static_cast<C*>(var.data_ptr());
    if (shape.inner == 1) {
      visit_float("batch_norm", x.dtype(), [&](auto tag) {
        using T = typename decltype(tag)::type;
        if constexpr (std::is_same_v<ComputeType<T>, C>)
          column_moments<T>(shape.outer, shape.channels, static_cast<const T*>(x.data_ptr()), mean, vars);
      });
    } else {
      MomentsArgs args;
      args.correction = 0;
      moments(make_reduce_plan(x, ~uint64_t{2}), stats.mean, var, args);
    }
    for (int64_t k = 0; k < shape.channels; ++k) s.from_batch(k, mean[k], vars[k]);
  });
}

void batch_gradients(const ChannelShape& shape, const BatchGradients& d, const Tensor& g, const Tensor& x) {
  visit_wide(d.mean.dtype(), [&](auto zero) {
    using C = decltype(zero);
    const BatchSlopes<C> s(d, static_cast<double>(shape.outer * shape.inner));
    const Tensor sums = new_tensor({shape.channels}, d.mean.dtype(), kCPU);
    channel_sums(shape, d.bias, sums, g, x, d.mean);
    const C *sum_g = static_cast<const C*>(d.bias.data_ptr()), *sum_gx = static_cast<const C*>(sums.data_ptr());
    for (int64_t k = 0; k < shape.channels; ++k) s.set(k, sum_g[k], sum_gx[k]);
  });
}

}  // namespace norch::kernels::cpu::NORCH_ISA
