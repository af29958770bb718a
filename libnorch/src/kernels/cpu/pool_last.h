// Pooling of tensors whose channels are innermost (kernels/pool.h): a position's channels are worked on side by side, in
// blocks that stay in the first cache; gradients gather from the windows that hold a position, in order.
#pragma once

#include <algorithm>

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

/// Calls f(o0, o1, o2, position of the window over all samples) for the windows that may hold a position.
template <class F>
void over_windows(const Pool& p, int64_t sample, int64_t i0, int64_t i1, int64_t i2, const F& f) {
  int64_t first[3], last[3];
  pool_windows_at(p, 0, i0, first[0], last[0]);
  pool_windows_at(p, 1, i1, first[1], last[1]);
  pool_windows_at(p, 2, i2, first[2], last[2]);
  for (int64_t i = first[0]; i < last[0]; ++i)
    for (int64_t j = first[1]; j < last[1]; ++j)
      for (int64_t k = first[2]; k < last[2]; ++k)
        f(i, j, k, ((sample * p.out[0] + i) * p.out[1] + j) * p.out[2] + k);
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
  over_positions(p, p.in, taps_of(p), [&](int64_t sample, int64_t i0, int64_t i1, int64_t i2, int64_t at) {
    const I place = static_cast<I>((i0 * p.in[1] + i1) * p.in[2] + i2);
    over_channels(p, [&](int64_t first, int64_t n) {
      C sums[kChannels];
      std::fill_n(sums, n, C(0));
      over_windows(p, sample, i0, i1, i2, [&](int64_t, int64_t, int64_t, int64_t o) {
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
  over_positions(p, p.in, taps_of(p), [&](int64_t sample, int64_t i0, int64_t i1, int64_t i2, int64_t at) {
    over_channels(p, [&](int64_t first, int64_t n) {
      C sums[kChannels];
      std::fill_n(sums, n, C(0));
      over_windows(p, sample, i0, i1, i2, [&](int64_t o0, int64_t o1, int64_t o2, int64_t o) {
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
