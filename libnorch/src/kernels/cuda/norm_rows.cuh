// Normalisation of rows that some warps hold in registers: blocks stay and walk over rows, whose next ones are on their
// way to shared memory meanwhile, and a sum costs one barrier, or none where one warp holds the row. That keeps the
// memory of an H200 busy, which one short-lived block a row does not.
#pragma once

#include "kernels/cuda/copy_ahead.cuh"
#include "kernels/cuda/norm.cuh"

namespace norch::kernels::cuda {

namespace {

template <class T, class C = ComputeType<T>>
struct RowsIn {
  const T* x;
  const C* weight;
  const C* bias;
  int64_t rows, n;
};

/// Elements [i, i + V) of an optional parameter.
template <int V, class C>
__device__ __forceinline__ Vector<V, C> parameter(const C* p, int64_t i, C otherwise) {
  if (p) return *reinterpret_cast<const Vector<V, C>*>(p + i);
  Vector<V, C> all;
#pragma unroll
  for (C& v : all.v) v = otherwise;
  return all;
}

/// Where a result in float32 goes once more, rounded to bfloat16 or float16.
struct Twin {
  uint16_t* data = nullptr;
  bool bfloat16 = false;

  Twin() = default;
  explicit Twin(const Tensor& t)
      : data(t.defined() ? static_cast<uint16_t*>(t.data_ptr()) : nullptr),
        bfloat16(t.defined() && t.dtype() == DType::BFloat16) {}
  template <int V>
  __device__ __forceinline__ void store(int64_t i, const Vector<V, float>& wide) const {
    Vector<V, uint16_t> narrow;
#pragma unroll
    for (int j = 0; j < V; ++j)
      narrow.v[j] = bfloat16 ? BFloat16::from_float(wide.v[j]) : Half::from_float(wide.v[j]);
    *reinterpret_cast<Vector<V, uint16_t>*>(data + i) = narrow;
  }
};

/// `size` neighbouring threads of a block with a row: a power of two up to 32, or whole warps.
struct RowGroup {
  int size, rank, warps, lane;

  explicit __device__ __forceinline__ RowGroup(int threads)
      : size(threads), rank(threadIdx.x % threads), warps(threads > 32 ? threads / 32 : 1), lane(threadIdx.x % 32) {}

  /// The sum over the warp, or over the group within it.
  __device__ __forceinline__ float sum_of_warp(float s) const {
    if (size >= 32) {
#pragma unroll
      for (int mask = 16; mask > 0; mask /= 2) s += __shfl_xor_sync(0xFFFFFFFFu, s, mask);
      return s;
    }
    for (int mask = size / 2; mask > 0; mask /= 2) s += __shfl_xor_sync(0xFFFFFFFFu, s, mask);
    return s;
  }
  /// The sums over the warp, or over the group within it. In a whole warp one half sums a and the other b.
  template <class C>
  __device__ __forceinline__ Sums<C> sum_of_warp(Sums<C> s) const {
    constexpr uint32_t kAll = 0xFFFFFFFFu;
    if (size >= 32) {
      const bool upper = lane >= 16;
      C own = upper ? s.b : s.a;
      own += __shfl_xor_sync(kAll, upper ? s.a : s.b, 16);
#pragma unroll
      for (int mask = 8; mask > 0; mask /= 2) own += __shfl_xor_sync(kAll, own, mask);
      return {__shfl_sync(kAll, own, 0), __shfl_sync(kAll, own, 16)};
    }
    for (int mask = size / 2; mask > 0; mask /= 2) {
      s.a += __shfl_xor_sync(kAll, s.a, mask);
      s.b += __shfl_xor_sync(kAll, s.b, mask);
    }
    return s;
  }
  /// What each warp of the group gave, to all its threads. `turn` counts the calls, by all threads of the block: two rooms
  /// taken in turn make one barrier do.
  template <class Sum>
  __device__ __forceinline__ const Sum* exchange(const Sum& of_warp, int turn) const {
    __shared__ Sum room[2][kMostThreads / 32];
    Sum* const rooms = room[turn & 1];
    if (lane == 0) rooms[threadIdx.x / 32] = of_warp;
    __syncthreads();
    return rooms + (threadIdx.x - rank) / 32;
  }
  template <class Sum>
  __device__ __forceinline__ Sum sum(Sum s, int turn) const {
    s = sum_of_warp(s);
    if (warps == 1) return s;
    const Sum* const of = exchange(s, turn);
    s = of[0];
    for (int w = 1; w < warps; ++w) s = s + of[w];
    return s;
  }
};

/// V elements as values, and back. The halves of a word are taken apart and put together two by two.
template <int V, class T, class C>
__device__ __forceinline__ void widen(const Vector<V, T>& raw, C (&v)[V]) {
  if constexpr (std::is_same_v<T, BFloat16>) {
    uint32_t words[V / 2];
    memcpy(words, &raw, sizeof(words));
#pragma unroll
    for (int j = 0; j < V; ++j) v[j] = __uint_as_float(j % 2 ? words[j / 2] & 0xFFFF0000u : words[j / 2] << 16);
  } else {
#pragma unroll
    for (int j = 0; j < V; ++j) v[j] = static_cast<C>(raw.v[j]);
  }
}
template <int V, class T, class C>
__device__ __forceinline__ Vector<V, T> narrow(const C (&v)[V]) {
  Vector<V, T> out;
#if defined(__NVCC__)
  constexpr bool kPairs = std::is_same_v<T, BFloat16>;
#else
  constexpr bool kPairs = false;
#endif
  if constexpr (kPairs) {
    __nv_bfloat162 pairs[V / 2];
#pragma unroll
    for (int j = 0; j < V / 2; ++j) pairs[j] = __floats2bfloat162_rn(v[2 * j], v[2 * j + 1]);
    memcpy(&out, pairs, sizeof(out));
  } else {
#pragma unroll
    for (int j = 0; j < V; ++j) out.v[j] = static_cast<T>(v[j]);
  }
  return out;
}

/// V neighbouring elements, K times, `size` vectors apart, of a row, for each thread of its group.
template <int V, int K, class F>
__device__ __forceinline__ void each_vector(const RowGroup& group, int64_t n, const F& f) {
#pragma unroll
  for (int k = 0; k < K; ++k) {
    const int i = (k * group.size + group.rank) * V;
    f(k, i, i < n);
  }
}

/// One row's part of the backward: dx = rstd (w g - mean(w g) - xn mean(w g xn)) with xn = (x - mean) rstd.
template <class C>
struct RowStats {
  C mean, rstd;
  __device__ __forceinline__ RowStats(const C* means, const C* rstds, int64_t row)
      : mean(means ? means[row] : C(0)), rstd(rstds[row]) {}
  __device__ __forceinline__ C normal(C x) const { return (x - mean) * rstd; }
  __device__ __forceinline__ C gradient(C weighted, C normal, const Sums<C>& means) const {
    return rstd * (weighted - means.a - normal * means.b);
  }
};

/// For threads with `kElements` columns each: the largest block, how many threads a multiprocessor's registers have room
/// for, and for how many rows there are places in shared memory.
template <int kElements>
struct ForwardBounds {
  static constexpr int kThreads = kElements > 16 ? 128 : kElements > 8 ? 256 : 512;
  static constexpr int kResident = kElements > 16 ? 512 : kElements > 8 ? 768 : 1024;
  static constexpr int kBlocks = kResident / kThreads;
  static constexpr int kPlaces = 3;
};

/// out = (x - mean) rstd weight + bias for 16-bit floats; the variance is taken around the mean in a second pass over
/// registers. Float32 has as many bytes for the same arithmetic: there forward_kernel is as fast.
template <class T, int K, class Bounds = ForwardBounds<8 * K>>
__global__ void __launch_bounds__(Bounds::kThreads, Bounds::kBlocks)
    rows_forward_kernel(T* out, float* means, float* rstds, RowsIn<T> in, float eps, int size) {
  constexpr int V = 16 / sizeof(T), kPlaces = Bounds::kPlaces;
  using Xs = Vector<V, T>;
  using Cs = Vector<V, float>;
  extern __shared__ uint4 room_ahead[];  // [place][vector][thread]
  const int block = blockDim.x;
  Xs* const xs = reinterpret_cast<Xs*>(room_ahead) + threadIdx.x;
  const RowGroup group(size);
  const int together = block / size, mine = threadIdx.x / size;
  const int64_t rows = in.rows, n = in.n;
  const int64_t stride = static_cast<int64_t>(gridDim.x) * together;
  const float share = 1 / static_cast<float>(n);
  Cs w[K], b[K];
  each_vector<V, K>(group, n, [&](int k, int i, bool inside) {
    w[k] = parameter<V>(inside ? in.weight : nullptr, i, 1.0f);
    b[k] = parameter<V>(inside ? in.bias : nullptr, i, 0.0f);
  });
  // Columns behind the row's end are zeros in all places.
  each_vector<V, K>(group, n, [&](int k, int, bool inside) {
    for (int place = 0; !inside && place < kPlaces; ++place) xs[(place * K + k) * block] = Xs{};
  });
  auto start = [&](int64_t row, int place) {
    if (row < rows)
      each_vector<V, K>(group, n, [&](int k, int i, bool inside) {
        if (inside) copy_ahead<sizeof(Xs)>(xs + (place * K + k) * block, in.x + row * n + i);
      });
    copy_group();
  };
  int64_t first = static_cast<int64_t>(blockIdx.x) * together;
  for (int k = 0; k + 1 < kPlaces; ++k) start(first + k * stride + mine, k);
  int place = 0, turn = 0;
  for (; first < rows; first += stride) {  // for all threads of the block alike
    const int64_t row = first + mine;
    copy_wait<kPlaces - 2>();
    float x[K][V] = {}, even = 0, odd = 0;
#pragma unroll
    for (int k = 0; k < K; ++k) {
      if (row >= rows) break;
      widen(xs[(place * K + k) * block], x[k]);
#pragma unroll
      for (int j = 0; j < V; j += 2) {
        even += x[k][j];
        odd += x[k][j + 1];
      }
    }
    start(row + (kPlaces - 1) * stride, place ? place - 1 : kPlaces - 1);  // where the row before was
    place = place + 1 < kPlaces ? place + 1 : 0;
    const float mean = means ? group.sum(even + odd, turn++) * share : 0.0f;
    even = odd = 0;
    each_vector<V, K>(group, n, [&](int k, int, bool inside) {
      if (!inside) return;
#pragma unroll
      for (int j = 0; j < V; j += 2) {
        x[k][j] -= mean;
        x[k][j + 1] -= mean;
        even += x[k][j] * x[k][j];
        odd += x[k][j + 1] * x[k][j + 1];
      }
    });
    const float rstd = rsqrtf(group.sum(even + odd, turn++) * share + eps);
    if (row >= rows) continue;
    if (group.rank == 0) {
      if (means) means[row] = mean;
      rstds[row] = rstd;
    }
    T* const to = out + row * n;
    each_vector<V, K>(group, n, [&](int k, int i, bool inside) {
      if (!inside) return;
#pragma unroll
      for (int j = 0; j < V; ++j) x[k][j] = x[k][j] * rstd * w[k].v[j] + b[k].v[j];
      *reinterpret_cast<Xs*>(to + i) = narrow<V, T>(x[k]);
    });
  }
}

/// Calls run(K, size): how many vectors of a row of n elements each of `size` threads gets. A warp, or as few as hold the
/// row with the fewest threads idle: by 8, 16 or 24 elements of 16 bits, by 4 or 8 of float32, whose arithmetic is less.
template <class T, class F>
void visit_row_shape(int64_t n, const F& run) {
  constexpr int V = 16 / sizeof(T);
  const int64_t vectors = n / V;
  auto size_of = [&](int64_t k) { return static_cast<int>((vectors + 32 * k - 1) / (32 * k) * 32); };
  if (vectors <= 32) return run(std::integral_constant<int, 1>{}, group_for(vectors, 1, 32));
  if constexpr (sizeof(T) == 4) {
    if (vectors <= 256) return run(std::integral_constant<int, 1>{}, size_of(1));
    run(std::integral_constant<int, 2>{}, size_of(2));
  } else {
    const int one = size_of(1), two = 2 * size_of(2), three = 3 * size_of(3);
    if (three <= std::min(one, two) && three <= 3 * 128) return run(std::integral_constant<int, 3>{}, three / 3);
    if (two <= one || one > 512) return run(std::integral_constant<int, 2>{}, two / 2);
    run(std::integral_constant<int, 1>{}, one);
  }
}

}  // namespace

}  // namespace norch::kernels::cuda
