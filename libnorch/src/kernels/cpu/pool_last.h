// Pooling of tensors whose channels are innermost (kernels/pool.h): a position's channels are worked on side by side.
// Gradients of 16-bit floats, which are summed in float, gather from the windows that hold a position; those of others
// are added where they belong, window after window: the same sums in the same order.
#pragma once

#include <algorithm>
#include <utility>
#include <vector>

#include "kernels/cpu/parallel.h"
#include "kernels/pool.h"

namespace norch::kernels::cpu::NORCH_ISA {

namespace {

constexpr int64_t kChannels = 128;  // in a block

/// Calls f(sample, o0, o1, o2, position counted over all samples) for each position of a tensor (samples, size...).
template <class F>
void over_positions(const Pool& p, const int64_t* size, int64_t work, const F& f) {
  const int64_t rows = p.planes / p.channels * size[0] * size[1];
  parallel_for(rows, 1 + 16384 / (size[2] * p.channels * work + 1), [&](int64_t begin, int64_t end) {
    for (int64_t r = begin; r < end; ++r)
      for (int64_t o = 0; o < size[2]; ++o)
        f(r / (size[0] * size[1]), r / size[1] % size[0], r % size[1], o, r * size[2] + o);
  });
}

/// Calls f(first channel, number of channels) for each block.
template <class F>
void over_channels(const Pool& p, const F& f) {
  for (int64_t c = 0; c < p.channels; c += kChannels) f(c, std::min(kChannels, p.channels - c));
}

/// The windows that may hold each place along each dim, looked up because they take divisions.
class WindowTable {
 public:
  explicit WindowTable(const Pool& p) : pool_(p) {
    for (int d = 0; d < 3; ++d) {
      at_[d].resize(static_cast<size_t>(p.in[d]));
      for (int64_t i = 0; i < p.in[d]; ++i) {
        auto& range = at_[d][static_cast<size_t>(i)];
        pool_windows_at(p, d, i, range.first, range.second, [&](int64_t n) { return n / p.stride[d]; });
      }
    }
  }
  /// Calls f(o0, o1, o2, position of the window over all samples) for the windows that may hold a position.
  template <class F>
  void over(int64_t sample, int64_t i0, int64_t i1, int64_t i2, const F& f) const {
    const auto a = at_[0][static_cast<size_t>(i0)], b = at_[1][static_cast<size_t>(i1)];
    const auto c = at_[2][static_cast<size_t>(i2)];
    for (int64_t i = a.first; i < a.second; ++i)
      for (int64_t j = b.first; j < b.second; ++j)
        for (int64_t k = c.first; k < c.second; ++k)
          f(i, j, k, ((sample * pool_.out[0] + i) * pool_.out[1] + j) * pool_.out[2] + k);
  }

 private:
  const Pool& pool_;
  std::vector<std::pair<int64_t, int64_t>> at_[3];
};

/// Sets gx to zeros and calls f(first channel, number of channels, sample's place in gx, sample's place in g) for runs of
/// channels of each sample: one thread adds to them.
template <class T, class F>
void over_samples(const Pool& p, T* gx, const F& f) {
  const int64_t samples = p.planes / p.channels, run = samples >= 8 ? p.channels : std::min<int64_t>(16, p.channels);
  const int64_t runs = (p.channels + run - 1) / run;
  parallel_for(samples * runs, 1 + 16384 / ((p.in_size() + p.out_size()) * run), [&](int64_t begin, int64_t end) {
    for (int64_t task = begin; task < end; ++task) {
      const int64_t sample = task / runs, first = task % runs * run, n = std::min(run, p.channels - first);
      T* const to = gx + sample * p.in_size() * p.channels;
      for (int64_t i = 0; i < p.in_size(); ++i) std::fill_n(to + i * p.channels + first, n, T(0));
      f(first, n, to, sample * p.out_size() * p.channels);
    }
  });
}

inline int64_t taps_of(const Pool& p) { return p.kernel[0] * p.kernel[1] * p.kernel[2]; }

/// I is the type of the indices, which may be null.
template <class T, class C, class I>
void max_pool_last(const Pool& p, T* out, I* indices, const T* x) {
  over_positions(p, p.out, taps_of(p), [&](int64_t sample, int64_t o0, int64_t o1, int64_t o2, int64_t at) {
    const PoolBox<int64_t> box(p, o0, o1, o2);
    over_channels(p, [&](int64_t first, int64_t n) {
      const T* const src = x + sample * p.in_size() * p.channels + first;
      C most[kChannels];
      I best[kChannels];
      bool any = false;
      box.over(p, [&](int64_t i) {
        const T* v = src + i * p.channels;
        const I place = static_cast<I>(i);
        if (!any) {
          for (int64_t c = 0; c < n; ++c) most[c] = static_cast<C>(v[c]);
          std::fill_n(best, n, place);
          any = true;
          return;
        }
#pragma omp simd
        for (int64_t c = 0; c < n; ++c) {
          const C u = static_cast<C>(v[c]);
          const bool take = (u > most[c]) | (u != u);
          most[c] = take ? u : most[c];
          best[c] = take ? place : best[c];
        }
      });
      if (!any) {
        std::fill_n(most, n, pool_least<C>());
        std::fill_n(best, n, I(-1));
      }
      T* to = out + at * p.channels + first;
      for (int64_t c = 0; c < n; ++c) to[c] = static_cast<T>(most[c]);
      if (indices) std::copy_n(best, n, indices + at * p.channels + first);
    });
  });
}

template <class T, class C, class I>
void scatter_last(const Pool& p, T* gx, const T* g, const I* indices) {
  if constexpr (std::is_same_v<T, C>) {
    return over_samples(p, gx, [&](int64_t first, int64_t n, T* to, int64_t from) {
      for (int64_t o = 0; o < p.out_size(); ++o) {
        const T* grad = g + from + o * p.channels;
        const I* index = indices + from + o * p.channels;
        for (int64_t c = first; c < first + n; ++c)
          if (index[c] >= 0) to[index[c] * p.channels + c] += grad[c];
      }
    });
  }
  const WindowTable windows(p);
  over_positions(p, p.in, taps_of(p), [&](int64_t sample, int64_t i0, int64_t i1, int64_t i2, int64_t at) {
    const I place = static_cast<I>((i0 * p.in[1] + i1) * p.in[2] + i2);
    over_channels(p, [&](int64_t first, int64_t n) {
      C sums[kChannels];
      std::fill_n(sums, n, C(0));
      windows.over(sample, i0, i1, i2, [&](int64_t, int64_t, int64_t, int64_t o) {
        const T* grad = g + o * p.channels + first;
        const I* index = indices + o * p.channels + first;
#pragma omp simd
        for (int64_t c = 0; c < n; ++c) sums[c] += index[c] == place ? static_cast<C>(grad[c]) : C(0);
      });
      for (int64_t c = 0; c < n; ++c) gx[at * p.channels + first + c] = static_cast<T>(sums[c]);
    });
  });
}

template <class T, class I>
void gather_last(const Pool& p, T* out, const T* x, const I* indices) {
  over_positions(p, p.out, 1, [&](int64_t sample, int64_t, int64_t, int64_t, int64_t at) {
    for (int64_t c = 0; c < p.channels; ++c) {
      const int64_t i = indices[at * p.channels + c];
      out[at * p.channels + c] = i >= 0 ? x[(sample * p.in_size() + i) * p.channels + c] : T(0);
    }
  });
}

template <class T, class C>
void avg_pool_last(const Pool& p, T* out, const T* x) {
  over_positions(p, p.out, taps_of(p), [&](int64_t sample, int64_t o0, int64_t o1, int64_t o2, int64_t at) {
    const PoolBox<int64_t> box(p, o0, o1, o2);
    const C by = box.empty() ? C(1) : static_cast<C>(box.divisor(p));
    over_channels(p, [&](int64_t first, int64_t n) {
      const T* const src = x + sample * p.in_size() * p.channels + first;
      C sums[kChannels];
      std::fill_n(sums, n, C(0));
      box.over(p, [&](int64_t i) {
        const T* v = src + i * p.channels;
#pragma omp simd
        for (int64_t c = 0; c < n; ++c) sums[c] += static_cast<C>(v[c]);
      });
      T* to = out + at * p.channels + first;
      for (int64_t c = 0; c < n; ++c) to[c] = static_cast<T>(sums[c] / by);
    });
  });
}

template <class T, class C>
void avg_backward_last(const Pool& p, T* gx, const T* g) {
  if constexpr (std::is_same_v<T, C>) {
    return over_samples(p, gx, [&](int64_t first, int64_t n, T* to, int64_t from) {
      std::vector<T> share(static_cast<size_t>(n));
      for (int64_t o = 0; o < p.out_size(); ++o) {
        const PoolBox<int64_t> box(p, o / (p.out[1] * p.out[2]), o / p.out[2] % p.out[1], o % p.out[2]);
        if (box.empty()) continue;
        const T by = static_cast<T>(box.divisor(p));
        for (int64_t c = 0; c < n; ++c) share[static_cast<size_t>(c)] = g[from + o * p.channels + first + c] / by;
        box.over(p, [&](int64_t i) {
          T* sums = to + i * p.channels + first;
          const T* add = share.data();
#pragma omp simd
          for (int64_t c = 0; c < n; ++c) sums[c] += add[c];
        });
      }
    });
  }
  const WindowTable windows(p);
  over_positions(p, p.in, taps_of(p), [&](int64_t sample, int64_t i0, int64_t i1, int64_t i2, int64_t at) {
    over_channels(p, [&](int64_t first, int64_t n) {
      C sums[kChannels];
      std::fill_n(sums, n, C(0));
      windows.over(sample, i0, i1, i2, [&](int64_t o0, int64_t o1, int64_t o2, int64_t o) {
        const PoolBox<int64_t> box(p, o0, o1, o2);
        if (!box.holds(i0, i1, i2)) return;
        const C by = static_cast<C>(box.divisor(p));
        const T* grad = g + o * p.channels + first;
#pragma omp simd
        for (int64_t c = 0; c < n; ++c) sums[c] += static_cast<C>(grad[c]) / by;
      });
      for (int64_t c = 0; c < n; ++c) gx[at * p.channels + first + c] = static_cast<T>(sums[c]);
    });
  });
}

}  // namespace
}  // namespace norch::kernels::cpu::NORCH_ISA
