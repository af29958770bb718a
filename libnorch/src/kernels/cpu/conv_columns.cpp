#include "kernels/cpu/conv_columns.h"

#include <algorithm>

#include "core/factory.h"
#include "kernels/cpu/parallel.h"
#include "kernels/cpu/wide.h"

namespace norch::kernels::cpu {

namespace {

/// Positions per image up to which the product wins.
constexpr int64_t kSmallImage = 64;
/// Bytes of columns made at a time.
constexpr int64_t kColumnBytes = int64_t{16} << 20;

/// Elements copied or added that are worth a thread.
constexpr int64_t kGrain = 16384;

/// The columns of some samples: a matrix (channels * taps, samples * positions) of what each tap reads.
template <class T>
struct Columns {
  const Conv& conv;
  int64_t samples;
  T* data;

  int64_t rows() const { return conv.c_in * conv.taps(); }
  int64_t width() const { return samples * conv.out_size(); }

  /// Calls f(column, image, count, step) for runs of positions of row (channel, tap): column points to `count` adjacent
  /// elements of the matrix, image to the element of `x` that the first reads, and the others are `step` apart; it is
  /// null where a run lies in the padding.
  template <class X, class F>
  void for_runs(int64_t channel, int64_t tap, X* x, const F& f) const {
    const int64_t *k = conv.kernel, *s = conv.stride, *out = conv.out, *in = conv.in;
    const int64_t at[3] = {tap / (k[1] * k[2]), tap / k[2] % k[1], tap % k[2]};
    int64_t shift[3];
    for (int d = 0; d < 3; ++d) shift[d] = at[d] * conv.dilation[d] - conv.pad[d];
    // Columns [first, last) of a row of positions read something.
    const auto divide_up = [](int64_t a, int64_t b) { return a <= 0 ? int64_t{0} : (a + b - 1) / b; };
    const int64_t first = std::min(out[2], divide_up(-shift[2], s[2]));
    const int64_t last = std::max(first, std::min(out[2], divide_up(in[2] - shift[2], s[2])));
    T* column = data + (channel * conv.taps() + tap) * width();
    X* const none = nullptr;
    for (int64_t n = 0; n < samples; ++n) {
      X* image = x + (n * conv.c_in + channel) * conv.in_size();
      for (int64_t p0 = 0; p0 < out[0]; ++p0)
        for (int64_t p1 = 0; p1 < out[1]; ++p1, column += out[2]) {
          const int64_t i0 = p0 * s[0] + shift[0], i1 = p1 * s[1] + shift[1];
          if (i0 < 0 || i0 >= in[0] || i1 < 0 || i1 >= in[1]) {
            f(column, none, out[2], s[2]);
            continue;
          }
          f(column, none, first, s[2]);
          f(column + first, image + (i0 * in[1] + i1) * in[2] + shift[2] + first * s[2], last - first, s[2]);
          f(column + last, none, out[2] - last, s[2]);
        }
    }
  }

  void fill(const T* x) const {
    parallel_for(conv.c_in, 1 + kGrain / (conv.taps() * width() + 1), [&](int64_t begin, int64_t end) {
      for (int64_t c = begin; c < end; ++c)
        for (int64_t t = 0; t < conv.taps(); ++t)
          for_runs(c, t, x, [](T* column, const T* image, int64_t count, int64_t step) {
            for (int64_t i = 0; i < count; ++i) column[i] = image ? image[i * step] : T(0);
          });
    });
  }

  /// Sums of the elements that read each place, tap after tap.
  void add_to(T* x) const {
    parallel_for(conv.c_in, 1 + kGrain / (conv.taps() * width() + 1), [&](int64_t begin, int64_t end) {
      for (int64_t c = begin; c < end; ++c) {
        for (int64_t n = 0; n < samples; ++n)
          std::fill_n(x + (n * conv.c_in + c) * conv.in_size(), conv.in_size(), T(0));
        for (int64_t t = 0; t < conv.taps(); ++t)
          for_runs(c, t, x, [](const T* column, T* image, int64_t count, int64_t step) {
            if (!image) return;
            for (int64_t i = 0; i < count; ++i) image[i * step] += column[i];
          });
      }
    });
  }
};

/// Swaps the outer dims of (a, b, n), adding bias[i] to all that belongs to i of a (bias may be null).
template <class T>
void swap_outer(T* to, const T* from, int64_t a, int64_t b, int64_t n, const T* bias = nullptr) {
  parallel_for(a, 1 + kGrain / (b * n + 1), [&](int64_t begin, int64_t end) {
    for (int64_t i = begin; i < end; ++i) {
      const T add = bias ? bias[i] : T(0);
      for (int64_t j = 0; j < b; ++j) {
        T* y = to + (j * a + i) * n;
        const T* x = from + (i * b + j) * n;
        for (int64_t k = 0; k < n; ++k) y[k] = x[k] + add;
      }
    }
  });
}

/// Works through the samples of a convolution, some at a time: f(first sample, columns).
template <class T, class F>
void for_samples(const Conv& conv, const F& f) {
  const int64_t sample = conv.c_in * conv.taps() * conv.out_size();
  const int64_t at_once = std::clamp<int64_t>(kColumnBytes / (sample * static_cast<int64_t>(sizeof(T))), 1, conv.n);
  const Tensor room = new_tensor({sample * at_once}, dtype_of<T>, kCPU);
  for (int64_t n = 0; n < conv.n; n += at_once)
    f(n, Columns<T>{conv, std::min(at_once, conv.n - n), static_cast<T*>(room.data_ptr())});
}

template <class T>
MatrixRef matrix(const T* data, int64_t row, int64_t col) {
  return {data, row, col, 0};
}

}  // namespace

bool takes_columns(const Conv& conv, DType t) {
  return (t == DType::Float32 || t == DType::Float64) && conv.groups == 1 && conv.out_size() <= kSmallImage &&
         conv.c_out >= 64 && conv.c_in * conv.taps() >= 256;
}

void columns_forward(const Conv& conv, const Tensor& out, const Tensor& x, const Tensor& w, const Tensor& bias) {
  visit_wide(out.dtype(), [&](auto zero) {
    using T = decltype(zero);
    for_samples<T>(conv, [&](int64_t first, const Columns<T>& columns) {
      columns.fill(x.data<T>() + first * conv.c_in * conv.in_size());
      const Tensor product = new_tensor({conv.c_out, columns.width()}, out.dtype(), kCPU);
      multiply<T>(conv.c_out, columns.width(), columns.rows(), matrix(w.data<T>(), columns.rows(), 1),
                  matrix(columns.data, columns.width(), 1), product.data<T>(), columns.width());
      swap_outer<T>(out.data<T>() + first * conv.c_out * conv.out_size(), product.data<T>(), conv.c_out,
                    columns.samples, conv.out_size(), bias.defined() ? bias.data<T>() : nullptr);
    });
  });
}

void columns_backward_input(const Conv& conv, const Tensor& gx, const Tensor& g, const Tensor& w) {
  visit_wide(gx.dtype(), [&](auto zero) {
    using T = decltype(zero);
    for_samples<T>(conv, [&](int64_t first, const Columns<T>& columns) {
      const Tensor grad = new_tensor({conv.c_out, columns.width()}, g.dtype(), kCPU);
      swap_outer<T>(grad.data<T>(), g.data<T>() + first * conv.c_out * conv.out_size(), columns.samples, conv.c_out,
                    conv.out_size());
      multiply<T>(columns.rows(), columns.width(), conv.c_out, matrix(w.data<T>(), 1, columns.rows()),
                  matrix(grad.data<T>(), columns.width(), 1), columns.data, columns.width());
      columns.add_to(gx.data<T>() + first * conv.c_in * conv.in_size());
    });
  });
}

void columns_backward_weight(const Conv& conv, const Tensor& gw, const Tensor& g, const Tensor& x) {
  visit_wide(gw.dtype(), [&](auto zero) {
    using T = decltype(zero);
    for_samples<T>(conv, [&](int64_t first, const Columns<T>& columns) {
      columns.fill(x.data<T>() + first * conv.c_in * conv.in_size());
      const Tensor grad = new_tensor({conv.c_out, columns.width()}, g.dtype(), kCPU);
      swap_outer<T>(grad.data<T>(), g.data<T>() + first * conv.c_out * conv.out_size(), columns.samples, conv.c_out,
                    conv.out_size());
      multiply<T>(conv.c_out, columns.rows(), columns.width(), matrix(grad.data<T>(), columns.width(), 1),
                  matrix(columns.data, 1, columns.width()), gw.data<T>(), columns.rows(), first > 0);
    });
  });
}

}  // namespace norch::kernels::cpu
