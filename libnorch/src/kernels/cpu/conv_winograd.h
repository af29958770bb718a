// 3x3 convolutions of stride 1 by Winograd's minimal filtering F(2x2, 3x3) (Lavin and Gray, "Fast Algorithms for
// Convolutional Neural Networks"): 16 products instead of 36 for a tile of 2 x 2 outputs.
//
// A tile d of 4 x 4 inputs becomes B'dB, a kernel g becomes GgG', both 4 x 4; products of equal places are summed over
// the channels, which is 16 products of matrices; A'mA brings each tile of sums to its 2 x 2 outputs. With
//
//        1  0 -1  0        1    0    0         1  1  1  0
//   B' = 0  1  1  0   G =  1/2  1/2  1/2   A' =  0  1 -1 -1
//        0 -1  1  0        1/2 -1/2  1/2
//        0  1  0 -1        0    0    1
//
// Tiles are worked on in blocks of as many as the registers hold sums of. How a sum is split follows from its length, so
// results depend on shapes alone.
#pragma once

#include <algorithm>
#include <vector>

#include "kernels/cpu/conv_planes.h"

namespace norch::kernels::cpu::NORCH_ISA {

namespace {

/// f(i) for all i < n, in whole vectors: the last one reaches back, so that f is called twice for some i and may not
/// read what it writes.
template <int Width, class F>
inline void in_vectors_of(int64_t n, const F& f) {
  for (int64_t i = 0;; i = std::min(i + Width, n - Width)) {
#pragma omp simd
    for (int l = 0; l < Width; ++l) f(i + l);
    if (i == n - Width) return;
  }
}
template <class F>
inline void in_vectors(int64_t n, const F& f) {
  if (n >= 16)
    in_vectors_of<16>(n, f);
  else if (n >= 8)
    in_vectors_of<8>(n, f);
  else if (n >= 4)
    in_vectors_of<4>(n, f);
  else if (n > 0)
    in_vectors_of<1>(n, f);
}

/// Rows of tiles are numbered over all samples.
struct Winograd {
  static constexpr int64_t kPlaces = 16, kLane = kLanes<float>, kBlock = kVectors * kLane;
  static constexpr int64_t kGroup = 4 * kRows;             // output channels worked on together
  static constexpr int64_t kChunkBytes = int64_t{4} << 20;  // of transformed input at a time

  int64_t n, c_in, c_out, in[2], out[2], pad[2];

  int64_t down() const { return (out[0] + 1) / 2; }
  int64_t across() const { return (out[1] + 1) / 2; }
  int64_t tiles() const { return n * down() * across(); }
  int64_t panels() const { return (c_out + kRows - 1) / kRows; }

  /// Whether this is faster than the direct way: enough channels to pay for transforming the input, enough tiles to pay
  /// for transforming the weights.
  bool pays() const { return std::min(c_in, c_out) >= 16 && c_in * c_out >= 1024 && tiles() >= 64; }

  /// Kernels by place as [place][panel][c_in][kRows]; get(o, c, tap) is one weight.
  template <class Get>
  void transform_weights(float* u, const Get& get) const {
    parallel_for(panels() * c_in, 1 + 4096 / kPlaces, [&](int64_t begin, int64_t end) {
      for (int64_t i = begin; i < end; ++i) {
        const int64_t panel = i / c_in, c = i % c_in;
        float g[9][kRows], h[12][kRows];
        for (int64_t r = 0; r < kRows; ++r) {
          const int64_t o = panel * kRows + r;
          for (int64_t t = 0; t < 9; ++t) g[t][r] = o < c_out ? get(o, c, t) : 0.0f;
        }
        for (int x = 0; x < 3; ++x) kernel_points(g[x], g[3 + x], g[6 + x], h[x], h[3 + x], h[6 + x], h[9 + x]);
        float* to = u + (panel * c_in + c) * kRows;
        const int64_t place = panels() * c_in * kRows;
        for (int y = 0; y < 4; ++y, to += 4 * place)
          kernel_points(h[3 * y], h[3 * y + 1], h[3 * y + 2], to, to + place, to + 2 * place, to + 3 * place);
      }
    });
  }

  void run(const float* x, const float* u, const float* bias, float* y) const {
    const int64_t row_bytes = kPlaces * c_in * across() * static_cast<int64_t>(sizeof(float));
    const int64_t rows = std::clamp<int64_t>(kChunkBytes / row_bytes, 1, n * down());
    const int64_t most = (rows * across() + kBlock - 1) / kBlock;
    const Scratch<float> v(most * kPlaces * c_in * kBlock);
    for (int64_t first = 0; first < n * down(); first += rows) {
      const int64_t count = std::min(rows, n * down() - first);
      transform_input(x, first, count, v.data);
      multiply(v.data, u, bias, first, count, y);
    }
  }

 private:
  static void kernel_points(const float* a, const float* b, const float* c, float* p, float* q, float* r, float* s) {
    for (int i = 0; i < kRows; ++i) {
      const float even = 0.5f * (a[i] + c[i]), odd = 0.5f * b[i];
      p[i] = a[i];
      q[i] = even + odd;
      r[i] = even - odd;
      s[i] = c[i];
    }
  }

  /// Tiles of `count` rows from row `first` on, as [block][place][c_in][tile].
  void transform_input(const float* x, int64_t first, int64_t count, float* v) const {
    const int64_t tw = across();
    parallel_for(count * c_in, 1 + 16384 / (kPlaces * tw), [&](int64_t begin, int64_t end) {
      std::vector<float> buffer(static_cast<size_t>(2 * (tw + 1) + kPlaces * tw));
      float* even = buffer.data();
      float* odd = even + tw + 1;
      float* h = odd + tw + 1;  // [row][place][tile]
      for (int64_t i = begin; i < end; ++i) {
        const int64_t row = i / c_in, c = i % c_in, sample = (first + row) / down(), top = (first + row) % down() * 2;
        for (int64_t r = 0; r < 4; ++r) {
          const int64_t source = top + r - pad[0];
          float* to = h + r * 4 * tw;
          if (source < 0 || source >= in[0]) {
            std::fill(to, to + 4 * tw, 0.0f);
            continue;
          }
          split_row(x + ((sample * c_in + c) * in[0] + source) * in[1], even, odd);
          points(tw, even, odd, even + 1, odd + 1, to, to + tw, to + 2 * tw, to + 3 * tw);
        }
        // Row after row of tiles, a row may reach from one block into the next.
        for (int64_t t = row * tw, done = 0; done < tw;) {
          const int64_t lane = t % kBlock, run = std::min(tw - done, kBlock - lane);
          float* to = v + (t / kBlock * kPlaces * c_in + c) * kBlock + lane;
          const int64_t place = c_in * kBlock;
          for (int64_t p = 0; p < 4; ++p, to += place) {
            const float* from = h + p * tw + done;
            points(run, from, from + 4 * tw, from + 8 * tw, from + 12 * tw, to, to + 4 * place, to + 8 * place,
                   to + 12 * place);
          }
          t += run;
          done += run;
        }
      }
    });
  }

  /// The even and odd places of a padded row.
  void split_row(const float* row, float* even, float* odd) const {
    const int64_t n = across() + 1, shift = pad[1];
    // Pairs [low, high) lie inside the row.
    const int64_t low = std::min(n, (shift + 1) / 2), high = std::max(low, std::min(n, (in[1] + shift) / 2));
    const auto at = [&](int64_t i) { return i >= 0 && i < in[1] ? row[i] : 0.0f; };
    for (int64_t i = 0; i < low; ++i) even[i] = at(2 * i - shift), odd[i] = at(2 * i + 1 - shift);
    const float* p = row - shift;
    in_vectors(high - low, [=](int64_t i) {
      even[low + i] = p[2 * (low + i)];
      odd[low + i] = p[2 * (low + i) + 1];
    });
    for (int64_t i = high; i < n; ++i) even[i] = at(2 * i - shift), odd[i] = at(2 * i + 1 - shift);
  }

  /// B' applied to n columns (a, b, c, d).
  static void points(int64_t n, const float* a, const float* b, const float* c, const float* d, float* p, float* q,
                     float* r, float* s) {
    in_vectors(n, [=](int64_t i) {
      p[i] = a[i] - c[i];
      q[i] = b[i] + c[i];
      r[i] = c[i] - b[i];
      s[i] = b[i] - d[i];
    });
  }

  void multiply(const float* v, const float* u, const float* bias, int64_t first, int64_t count, float* y) const {
    const int64_t total = count * across(), blocks = (total + kBlock - 1) / kBlock;
    const int64_t groups = (c_out + kGroup - 1) / kGroup;
    std::vector<int64_t> offsets(static_cast<size_t>(c_in));
    for (int64_t c = 0; c < c_in; ++c) offsets[static_cast<size_t>(c)] = c * kBlock;
    parallel_for(blocks * groups, 1 + (1 << 17) / (kPlaces * kGroup * kBlock * c_in), [&](int64_t begin, int64_t end) {
      std::vector<float> sums(static_cast<size_t>(kPlaces * kGroup * kBlock));
      for (int64_t i = begin; i < end; ++i) {
        const int64_t block = i / groups, o = i % groups * kGroup;
        const int64_t n_tiles = std::min(kBlock, total - block * kBlock), n_rows = std::min(kGroup, c_out - o);
        const int64_t vectors = (n_tiles + kLane - 1) / kLane;
        for (int64_t p = 0; p < kPlaces; ++p)
          for (int64_t r = 0; r < n_rows; r += kRows) {
            const float* w = u + (p * panels() + (o + r) / kRows) * c_in * kRows;
            const float* from = v + (block * kPlaces + p) * c_in * kBlock;
            float* to = sums.data() + (p * kGroup + r) * kBlock;
            if (vectors == 3)
              sum_block<float, kRows, 3>(c_in, w, from, offsets.data(), to);
            else if (vectors == 2)
              sum_block<float, kRows, 2>(c_in, w, from, offsets.data(), to);
            else
              sum_block<float, kRows, 1>(c_in, w, from, offsets.data(), to);
          }
        for (int64_t r = 0; r < n_rows; ++r)
          store(sums.data() + r / kRows * kRows * kBlock + r % kRows * vectors * kLane, bias ? bias[o + r] : 0.0f, o + r,
                first, block * kBlock, n_tiles, y);
      }
    });
  }

  /// Outputs of one channel from its sums [place] of n tiles, which begin at tile `tile` behind row `first`.
  void store(const float* sums, float bias, int64_t channel, int64_t first, int64_t tile, int64_t n_tiles,
             float* y) const {
    constexpr int64_t kPlace = kGroup * kBlock;
    float h[2][4][kBlock], z[2][2][kBlock];
    for (int64_t p = 0; p < 4; ++p) {
      const float* s = sums + p * kPlace;
      outputs(n_tiles, s, s + 4 * kPlace, s + 8 * kPlace, s + 12 * kPlace, h[0][p], h[1][p]);
    }
    for (int k = 0; k < 2; ++k) {
      outputs(n_tiles, h[k][0], h[k][1], h[k][2], h[k][3], z[k][0], z[k][1]);
      for (auto& row : z[k])
        for (int64_t i = 0; i < n_tiles; ++i) row[i] += bias;
    }
    for (int64_t done = 0; done < n_tiles;) {
      const int64_t row = first + (tile + done) / across(), col = (tile + done) % across();
      const int64_t run = std::min(n_tiles - done, across() - col), pairs = std::min(run, out[1] / 2 - col);
      for (int64_t k = 0; k < 2; ++k) {
        const int64_t at = row % down() * 2 + k;
        if (at == out[0]) break;
        float* to = y + ((row / down() * c_out + channel) * out[0] + at) * out[1] + 2 * col;
        const float *left = z[k][0] + done, *right = z[k][1] + done;
        in_vectors(pairs, [=](int64_t i) {
          to[2 * i] = left[i];
          to[2 * i + 1] = right[i];
        });
        if (pairs < run) to[2 * pairs] = left[pairs];
      }
      done += run;
    }
  }

  /// A' applied to n columns.
  static void outputs(int64_t n, const float* a, const float* b, const float* c, const float* d, float* p, float* q) {
    in_vectors(n, [=](int64_t i) {
      p[i] = a[i] + b[i] + c[i];
      q[i] = b[i] - c[i] - d[i];
    });
  }
};

/// The Winograd form of a forward convolution, or of its gradient by the input; n == 0 where there is none.
inline Winograd winograd_of(const Conv& conv, bool gradient) {
  Winograd w{};
  const bool fits = conv.groups == 1 && conv.in[0] == 1 && conv.out[0] == 1 && conv.kernel[0] == 1 &&
                    conv.kernel[1] == 3 && conv.kernel[2] == 3;
  bool plain = conv.pad[0] == 0;
  for (int d = 0; d < 3; ++d) plain &= conv.stride[d] == 1 && conv.dilation[d] == 1;
  if (!fits || !plain || (gradient && std::max(conv.pad[1], conv.pad[2]) > 2)) return w;
  w.n = conv.n;
  w.c_in = gradient ? conv.c_out : conv.c_in;
  w.c_out = gradient ? conv.c_in : conv.c_out;
  for (int d = 0; d < 2; ++d) {
    w.in[d] = gradient ? conv.out[d + 1] : conv.in[d + 1];
    w.out[d] = gradient ? conv.in[d + 1] : conv.out[d + 1];
    w.pad[d] = gradient ? 2 - conv.pad[d + 1] : conv.pad[d + 1];
  }
  return w;
}

}  // namespace
}  // namespace norch::kernels::cpu::NORCH_ISA
