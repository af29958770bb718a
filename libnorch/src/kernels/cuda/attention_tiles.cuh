// What attention's kernels share: tiles in shared memory, and which weights are masked or dropped.
#pragma once

#include "kernels/attention.h"
#include "kernels/cuda/graph.h"
#include "kernels/cuda/launch.cuh"
#include "kernels/cuda/mma.cuh"
#include "kernels/random.h"

namespace norch::kernels::cuda {

inline constexpr float kLog2e = 1.4426950408889634f;
inline constexpr float kInfinity = std::numeric_limits<float>::infinity();

/// Dynamic shared memory comes in these, so that addresses in it may be made with ^.
struct alignas(1024) SharedBlock {
  char bytes[1024];
};

/// A tile of rows x width 16-bit numbers, whose address is a multiple of kRowBytes. Chunks of 16 bytes are swapped within
/// a row, so that neither eight rows of one column of chunks nor eight chunks of one row share a bank.
template <int rows, int width>
struct Tile {
  static constexpr int kRows = rows, kChunks = width / 8, kRowBytes = width * 2, kBytes = rows * kRowBytes;
  static __device__ __forceinline__ int swap(int row) { return kChunks >= 8 ? row & 7 : (row >> 1) & (kChunks - 1); }
  /// Byte of chunk `chunk` of row `row`; of chunk `chunk ^ c` it is this ^ (c * 16), of the row 8 on this + 8 * kRowBytes.
  static __device__ __forceinline__ uint32_t at(int row, int chunk) {
    return static_cast<uint32_t>(row * kRowBytes + ((chunk ^ swap(row)) << 4));
  }

  /// Where a lane's rows of the four matrices of load_matrices and load_transposed are: those of a 16 x 16 tile at row 0
  /// and column 0. As `a` or, of two neighbouring tiles, `b` of a product; numbers from the rows along the sum for
  /// load_matrices and across it for load_transposed.
  static __device__ __forceinline__ uint32_t lane_a(int lane) { return at(lane & 15, lane >> 4); }
  static __device__ __forceinline__ uint32_t lane_b(int lane) {
    return at((lane & 7) + ((lane >> 4) << 3), (lane >> 3) & 1);
  }
  static __device__ __forceinline__ uint32_t lane_a_transposed(int lane) { return lane_b(lane); }
  static __device__ __forceinline__ uint32_t lane_b_transposed(int lane) { return lane_a(lane); }

  /// Starts copies of the rows [0, valid) from `from` on into the tile at `to`; what is beyond them, or beyond `columns`,
  /// becomes 0.
  template <int threads, class T>
  static __device__ __forceinline__ void load(uint32_t to, const T* from, int64_t stride, int valid, int columns) {
    constexpr int kPass = threads / kChunks;
    static_assert(threads % kChunks == 0 && rows % kPass == 0);
    const int chunk = static_cast<int>(threadIdx.x) % kChunks, first = static_cast<int>(threadIdx.x) / kChunks;
    const bool inside = chunk * 8 < columns;
    const T* source = from + first * stride + chunk * 8;
#pragma unroll
    for (int r = 0; r < rows; r += kPass) {
      const bool here = inside && first + r < valid;
      mma::copy_async(to + at(first + r, chunk), here ? source : from, here);
      source += kPass * stride;
    }
  }
};

/// The numbers of a call that its kernels take.
struct AttentionCall {
  FusedAttention a;
  float scale, scale_log2;  // scale, and that times log2(e)
  norch::cuda::DeviceDraw draw;
  uint32_t threshold;  // words of Philox below it drop a weight; dropout is below 1
  float keep_scale;    // 1 / (1 - dropout)
  bool drops;
  int group;           // heads of q to one of k and v

  explicit AttentionCall(const FusedAttention& x)
      : a(x), scale(static_cast<float>(x.scale)), scale_log2(static_cast<float>(x.scale * 1.4426950408889634)),
        draw(x.dropout > 0 ? norch::cuda::device_draw(x.state) : norch::cuda::DeviceDraw{}),
        threshold(static_cast<uint32_t>(event_threshold(x.dropout))),
        keep_scale(static_cast<float>(1 / (1 - x.dropout))), drops(x.dropout > 0),
        group(static_cast<int>(x.heads / x.kv_heads)) {}
};

template <class T>
__device__ __forceinline__ T* begin_of(const AttentionTensor& t, int64_t batch, int64_t head) {
  return static_cast<T*>(t.data) + batch * t.batch + head * t.head;
}

/// The mask and the dropout of one head.
template <class T>
class Veil {
 public:
  __device__ __forceinline__ Veil(const AttentionCall& call, int64_t batch, int64_t head)
      : a_(call.a), threshold_(call.threshold), first_((batch * call.a.heads + head) * call.a.rows),
        drops_(call.drops) {
    const int mask_bytes = a_.mask_is_bool ? 1 : static_cast<int>(sizeof(T));
    if (a_.mask.data)
      mask_ = static_cast<const char*>(a_.mask.data) + (batch * a_.mask.batch + head * a_.mask.head) * mask_bytes;
    if (drops_) state_ = call.draw.state();
  }
  /// log2(e) times what the mask makes of a score, for x log2(e) times the score.
  __device__ __forceinline__ float masked(float x, int row, int column) const {
    if (!mask_ || row >= a_.rows || column >= a_.columns) return x;
    const int64_t i = row * a_.mask.row + column * a_.mask_column;
    if (a_.mask_is_bool) return reinterpret_cast<const bool*>(mask_)[i] ? x : -kInfinity;
    return x + kLog2e * static_cast<float>(reinterpret_cast<const T*>(mask_)[i]);
  }
  __device__ __forceinline__ bool drops() const { return drops_; }
  /// Which weights of a lane's part of a fragment of rows x columns are kept: keep[r] is that of row + r / 2 * 8 and
  /// column + r % 2. Called by all lanes; `row` and `column` are those of element 0.
  __device__ __forceinline__ void keeps(bool (&keep)[4], int row, int column) const {
    if (a_.columns % 4 != 0) {
#pragma unroll
      for (int r = 0; r < 4; ++r) keep[r] = keeps(row + r / 2 * 8, column + r % 2);
      return;
    }
    // Two neighbouring lanes share the block of numbers of a row: each makes that of one row.
    const bool odd = threadIdx.x % 2 != 0;
    const Words x = block(row + (odd ? 8 : 0), column);
    const uint32_t first = __shfl_xor_sync(0xFFFFFFFFu, odd ? x.w[0] : x.w[2], 1);
    const uint32_t second = __shfl_xor_sync(0xFFFFFFFFu, odd ? x.w[1] : x.w[3], 1);
    keep[0] = (odd ? first : x.w[0]) >= threshold_;
    keep[1] = (odd ? second : x.w[1]) >= threshold_;
    keep[2] = (odd ? x.w[2] : first) >= threshold_;
    keep[3] = (odd ? x.w[3] : second) >= threshold_;
  }
  /// The same of a fragment of columns x rows: keep[r] is that of row + r % 2 and column + r / 2 * 8.
  __device__ __forceinline__ void keeps_transposed(bool (&keep)[4], int row, int column) const {
    if (a_.columns % 4 != 0) {
#pragma unroll
      for (int r = 0; r < 4; ++r) keep[r] = keeps(row + r % 2, column + r / 2 * 8);
      return;
    }
    // Four lanes share a block of numbers: each makes one of four, and they exchange words as a matrix is transposed.
    const int own = static_cast<int>(threadIdx.x) / 4 % 4;
    Words x = block(row + own % 2, column + own / 2 * 8);
#pragma unroll
    for (int bit = 1; bit <= 2; bit *= 2) {
      const bool high = (own & bit) != 0;
#pragma unroll
      for (int i = 0; i < 4; ++i) {
        if (i & bit) continue;
        uint32_t &low = x.w[i], &up = x.w[i + bit];
        const uint32_t other = __shfl_xor_sync(0xFFFFFFFFu, high ? low : up, bit * 4);
        low = high ? other : low;
        up = high ? up : other;
      }
    }
#pragma unroll
    for (int r = 0; r < 4; ++r) keep[r] = x.w[r] >= threshold_;
  }

 private:
  __device__ __forceinline__ uint64_t number(int row, int column) const {
    return static_cast<uint64_t>((first_ + row) * a_.columns + column);
  }
  __device__ __forceinline__ Words block(int row, int column) const {
    return philox(state_.seed, state_.draw, number(row, column) / 4);
  }
  __device__ __forceinline__ bool keeps(int row, int column) const {
    const Words x = block(row, column);
    const uint64_t i = number(row, column) % 4;
    return (i < 2 ? (i == 0 ? x.w[0] : x.w[1]) : (i == 2 ? x.w[2] : x.w[3])) >= threshold_;
  }
  const FusedAttention& a_;
  const char* mask_ = nullptr;
  uint32_t threshold_;
  int64_t first_;
  bool drops_;
  PhiloxState state_{};
};

}  // namespace norch::kernels::cuda
