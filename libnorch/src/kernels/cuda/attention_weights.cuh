// What attention's kernels do with scores, weights and sums in registers, whatever made the products: a warp's fragments
// c of mma.cuh, M x N of them.
#pragma once

#include "kernels/cuda/attention_tiles.cuh"

namespace norch::kernels::cuda {

/// The block of rows of q that a block of threads takes. Blocks of one head are neighbours, which share k and v in the
/// cache; those with the most work come first.
struct RowBlock {
  int i0, head, batch;

  template <class S>
  static __device__ __forceinline__ RowBlock of(const FusedAttention& a) {
    const int blocks = (static_cast<int>(a.rows) + S::kRows - 1) / S::kRows, heads = static_cast<int>(a.heads);
    const int index = static_cast<int>(blockIdx.x);
    return {(blocks - 1 - index % blocks) * S::kRows, index / blocks % heads, index / blocks / heads};
  }
};

/// Scores that are masked become -inf. General: with a mask or dropout; scores become log2(e) times what they are.
/// `row_of` and `column_of` give the place of element r of fragment (m, n).
template <bool General, class T, int M, int N, class RowOf, class ColumnOf>
__device__ __forceinline__ void mask_scores(float (&s)[M][N][4], const AttentionCall& call, const Veil<T>& veil,
                                            const RowOf& row_of, const ColumnOf& column_of) {
  const int columns = static_cast<int>(call.a.columns);
#pragma unroll
  for (int m = 0; m < M; ++m)
#pragma unroll
    for (int n = 0; n < N; ++n)
#pragma unroll
      for (int r = 0; r < 4; ++r) {
        const int row = row_of(m, n, r), column = column_of(m, n, r);
        if (General) s[m][n][r] = veil.masked(s[m][n][r] * call.scale_log2, row, column);
        if (column >= columns || (call.a.causal && column > row)) s[m][n][r] = -kInfinity;
      }
}

/// Of a warp's 16 * M rows: the highest score, and a lane's part of the sum of the exponentials, so far. Rows 16 m + g and
/// 16 m + g + 8 are [m][0] and [m][1].
template <int M>
struct RowSums {
  float high[M][2], sum[M][2] = {};
  float unit;   // of the scores: what makes them exponents of 2
  float slack;  // a row's base follows its highest score only when that has grown by 8 digits: the sums do not overflow

  __device__ __forceinline__ explicit RowSums(float unit) : unit(unit), slack(8.0f / unit) {
#pragma unroll
    for (int m = 0; m < M; ++m) high[m][0] = high[m][1] = -kInfinity;
  }

  /// Scores become weights, relative to the highest score, to which `out` is fitted.
  template <int N, int W>
  __device__ __forceinline__ void weigh(float (&s)[M][N][4], float (&out)[M][W][4]) {
#pragma unroll
    for (int m = 0; m < M; ++m)
#pragma unroll
      for (int h = 0; h < 2; ++h) {
        float top = s[m][0][2 * h];
#pragma unroll
        for (int n = 0; n < N; ++n) top = fmaxf(top, fmaxf(s[m][n][2 * h], s[m][n][2 * h + 1]));
        top = fmaxf(top, __shfl_xor_sync(0xFFFFFFFFu, top, 1));
        top = fmaxf(top, __shfl_xor_sync(0xFFFFFFFFu, top, 2));
        if (top > high[m][h] + slack) {
          const float factor = mma::exp2_fast((high[m][h] - top) * unit);
          high[m][h] = top;
          sum[m][h] *= factor;
#pragma unroll
          for (int w = 0; w < W; ++w) {
            out[m][w][2 * h] *= factor;
            out[m][w][2 * h + 1] *= factor;
          }
        }
        // Of nothing but -inf, the exponentials are 0 and not NaN.
        const float base = high[m][h] == -kInfinity ? 0.0f : high[m][h] * unit;
#pragma unroll
        for (int n = 0; n < N; ++n)
#pragma unroll
          for (int c = 0; c < 2; ++c) {
            float& x = s[m][n][2 * h + c];
            x = mma::exp2_fast(fmaf(x, unit, -base));
            sum[m][h] += x;
          }
      }
  }
  /// The whole sum of a row, in each of its lanes.
  __device__ __forceinline__ float total(int m, int h) const {
    float x = sum[m][h];
    x += __shfl_xor_sync(0xFFFFFFFFu, x, 1);
    return x + __shfl_xor_sync(0xFFFFFFFFu, x, 2);
  }
};

/// Weights that dropout takes become 0; `row_of` and `column_of` as of mask_scores.
template <class T, int M, int N, class RowOf, class ColumnOf>
__device__ __forceinline__ void drop_weights(float (&s)[M][N][4], const Veil<T>& veil, const RowOf& row_of,
                                             const ColumnOf& column_of) {
#pragma unroll
  for (int m = 0; m < M; ++m)
#pragma unroll
    for (int n = 0; n < N; ++n) {
      bool keep[4];
      veil.keeps(keep, row_of(m, n, 0), column_of(m, n, 0));
#pragma unroll
      for (int r = 0; r < 4; ++r)
        if (!keep[r]) s[m][n][r] = 0;
    }
}

/// Of a row: log2 of the sum of its exponentials, and its gradient times its result. Beyond the last row, inf and 0.
struct RowValues {
  float log2_sum, delta;
};

/// Transposed scores `s`, in units of which `unit` makes exponents of 2, become the weights as they met the values, and
/// the gradients `d` of these become those of the scores. `values` are those of the rows from 2t of the first fragment
/// on; `row_of` and `key_of` as of mask_scores.
template <bool General, class T, int M, int N, class RowOf, class KeyOf>
__device__ __forceinline__ void weigh_transposed(float (&s)[M][N][4], float (&d)[M][N][4], const RowValues* values,
                                                 float unit, const AttentionCall& call, const Veil<T>& veil,
                                                 const RowOf& row_of, const KeyOf& key_of) {
  const bool drops = General && veil.drops();
#pragma unroll
  for (int n = 0; n < N; ++n) {
    const RowValues of_row[2] = {values[n * 8], values[n * 8 + 1]};
#pragma unroll
    for (int m = 0; m < M; ++m) {
      bool keep[4];
      if (drops) veil.keeps_transposed(keep, row_of(m, n, 0), key_of(m, n, 0));
#pragma unroll
      for (int r = 0; r < 4; ++r) {
        const float p = mma::exp2_fast(fmaf(s[m][n][r], unit, -of_row[r % 2].log2_sum));
        const float y = !drops ? d[m][n][r] : keep[r] ? d[m][n][r] * call.keep_scale : 0.0f;
        d[m][n][r] = p * (y - of_row[r % 2].delta);
        s[m][n][r] = drops && !keep[r] ? 0.0f : p;
      }
    }
  }
}

/// Adds x to `sums` (sets them, of the first keys to add to the gradient of q) or, of the last keys, what the others have
/// added to x. Whether x is the whole sum then.
__device__ __forceinline__ bool add_in_turn(float (&x)[4], float* sums, bool starts, bool ends) {
  float4* const at = reinterpret_cast<float4*>(sums);
  if (!ends) {
    if (starts)
      __stcg(at, make_float4(x[0], x[1], x[2], x[3]));
    else
      mma::add_in_memory(sums, x);
    return false;
  }
  if (!starts) {
    const float4 before = __ldcg(at);
    x[0] += before.x;
    x[1] += before.y;
    x[2] += before.z;
    x[3] += before.w;
  }
  return true;
}

}  // namespace norch::kernels::cuda
