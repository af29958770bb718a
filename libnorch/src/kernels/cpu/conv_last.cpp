#include "kernels/cpu/conv_last.h"

#include <algorithm>

#include "core/factory.h"
#include "kernels/cpu/parallel.h"
#include "kernels/cpu/wide.h"

namespace norch::kernels::cpu {

namespace {

/// Bytes of rows made at a time: they stay in the cache until they are read.
constexpr int64_t kRowBytes = int64_t{2} << 20;
/// Elements copied or added that are worth a thread.
constexpr int64_t kGrain = 16384;

bool is_pointwise(const Conv& c) {
  for (int d = 0; d < 3; ++d)
    if (c.kernel[d] != 1 || c.stride[d] != 1 || c.pad[d] != 0 || c.in[d] != c.out[d]) return false;
  return true;
}

/// Positions of the output, counted over all samples, and what their taps read.
struct Rows {
  const Conv& conv;

  int64_t count() const { return conv.n * conv.out_size(); }
  /// As many as keep `row` elements of T for each in kRowBytes.
  template <class T>
  int64_t at_once(int64_t row) const {
    return std::clamp<int64_t>(kRowBytes / (row * static_cast<int64_t>(sizeof(T))), 1, count());
  }

  /// Calls f(position, input position, tap) for positions [first, last) and every tap that reads one inside the input,
  /// with -1 for the others.
  template <class F>
  void for_taps(int64_t first, int64_t last, const F& f) const {
    const int64_t *k = conv.kernel, *s = conv.stride, *out = conv.out, *in = conv.in;
    for (int64_t p = first; p < last; ++p) {
      const int64_t o2 = p % out[2], o1 = p / out[2] % out[1], o0 = p / (out[2] * out[1]) % out[0];
      const int64_t sample = p / conv.out_size();
      int64_t tap = 0;
      for (int64_t a = 0; a < k[0]; ++a) {
        const int64_t i0 = o0 * s[0] + a * conv.dilation[0] - conv.pad[0];
        for (int64_t b = 0; b < k[1]; ++b) {
          const int64_t i1 = o1 * s[1] + b * conv.dilation[1] - conv.pad[1];
          const bool row = i0 >= 0 && i0 < in[0] && i1 >= 0 && i1 < in[1];
          for (int64_t c = 0; c < k[2]; ++c, ++tap) {
            const int64_t i2 = o2 * s[2] + c * conv.dilation[2] - conv.pad[2];
            f(p, row && i2 >= 0 && i2 < in[2] ? ((sample * in[0] + i0) * in[1] + i1) * in[2] + i2 : -1, tap);
          }
        }
      }
    }
  }

  /// rows[position - first][tap][channel] = what the tap reads.
  template <class T>
  void gather(int64_t first, int64_t last, const T* x, T* rows) const {
    const int64_t channels = conv.c_in, row = channels * conv.taps();
    parallel_for(last - first, 1 + kGrain / row, [&](int64_t begin, int64_t end) {
      for_taps(first + begin, first + end, [&](int64_t p, int64_t i, int64_t tap) {
        T* to = rows + (p - first) * row + tap * channels;
        if (i < 0)
          std::fill_n(to, channels, T(0));
        else
          std::copy_n(x + i * channels, channels, to);
      });
    });
  }
};

/// Calls f(first, last, rows) for runs of positions, with what their taps read as a matrix (positions, taps * channels).
template <class T, class F>
void for_rows(const Conv& conv, const Tensor& x, const F& f) {
  const Rows rows{conv};
  if (is_pointwise(conv)) return f(0, rows.count(), static_cast<const T*>(x.data_ptr()));
  const int64_t row = conv.c_in * conv.taps(), at_once = rows.at_once<T>(row);
  const Tensor room = new_tensor({at_once * row}, dtype_of<T>, kCPU);
  T* const matrix = static_cast<T*>(room.data_ptr());
  for (int64_t first = 0; first < rows.count(); first += at_once) {
    const int64_t last = std::min(rows.count(), first + at_once);
    rows.gather(first, last, static_cast<const T*>(x.data_ptr()), matrix);
    f(first, last, matrix);
  }
}

}  // namespace

bool takes_last(const Conv& conv, DType t) {
  // Rows of few channels are too short to be copied one by one.
  return (t == DType::Float32 || t == DType::Float64) && conv.groups == 1 && (conv.c_in >= 32 || conv.taps() == 1);
}

void last_forward(const Conv& conv, const Tensor& out, const Tensor& x, const Tensor& w, const Tensor& bias) {
  visit_wide(out.dtype(), [&](auto zero) {
    using T = decltype(zero);
    const int64_t k = conv.c_in * conv.taps();
    for_rows<T>(conv, x, [&](int64_t first, int64_t last, const T* rows) {
      multiply<T>(last - first, conv.c_out, k, {rows, k, 1, 0}, {w.data_ptr(), 1, k, 0},
                  static_cast<T*>(out.data_ptr()) + first * conv.c_out, conv.c_out, false,
                  bias.defined() ? static_cast<const T*>(bias.data_ptr()) : nullptr);
    });
  });
}

void last_backward_weight(const Conv& conv, const Tensor& gw, const Tensor& g, const Tensor& x) {
  visit_wide(gw.dtype(), [&](auto zero) {
    using T = decltype(zero);
    const int64_t k = conv.c_in * conv.taps();
    for_rows<T>(conv, x, [&](int64_t first, int64_t last, const T* rows) {
      multiply<T>(conv.c_out, k, last - first, {static_cast<const T*>(g.data_ptr()) + first * conv.c_out, 1, conv.c_out, 0},
                  {rows, k, 1, 0}, static_cast<T*>(gw.data_ptr()), k, first > 0);
    });
  });
}

void last_backward_input(const Conv& conv, const Tensor& gx, const Tensor& g, const Tensor& w) {
  visit_wide(gx.dtype(), [&](auto zero) {
    using T = decltype(zero);
    const Rows rows{conv};
    const int64_t channels = conv.c_in, row = channels * conv.taps();
    T* const to = static_cast<T*>(gx.data_ptr());
    if (is_pointwise(conv))
      return multiply<T>(rows.count(), channels, conv.c_out, {g.data_ptr(), conv.c_out, 1, 0},
                         {w.data_ptr(), channels, 1, 0}, to, channels);
    std::fill_n(to, gx.numel(), T(0));
    // A run of positions at a time: what each of its taps adds to the position that it reads. Threads take channels, so
    // that each element is added to by one thread in one order.
    const int64_t at_once = rows.at_once<T>(row);
    const Tensor room = new_tensor({at_once * row}, dtype_of<T>, kCPU);
    T* const matrix = static_cast<T*>(room.data_ptr());
    constexpr int64_t kBlock = 16;
    const int64_t blocks = (channels + kBlock - 1) / kBlock;
    for (int64_t first = 0; first < rows.count(); first += at_once) {
      const int64_t last = std::min(rows.count(), first + at_once);
      multiply<T>(last - first, row, conv.c_out, {static_cast<const T*>(g.data_ptr()) + first * conv.c_out, conv.c_out, 1, 0},
                  {w.data_ptr(), row, 1, 0}, matrix, row);
      parallel_for(blocks, 1 + kGrain / ((last - first) * conv.taps() * kBlock), [&](int64_t begin, int64_t end) {
        const int64_t from = begin * kBlock, n = std::min(channels, end * kBlock) - from;
        rows.for_taps(first, last, [&](int64_t p, int64_t i, int64_t tap) {
          if (i < 0) return;
          T* sum = to + i * channels + from;
          const T* add = matrix + (p - first) * row + tap * channels + from;
          for (int64_t c = 0; c < n; ++c) sum[c] += add[c];
        });
      });
    }
  });
}

}  // namespace norch::kernels::cpu
