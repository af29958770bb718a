#include "kernels/copy.h"

#include <limits>

#include "core/factory.h"
#include "kernels/cuda/loops.cuh"

namespace norch::kernels::cuda {

namespace {

/// Transposes go by square tiles through shared memory, so that both sides see whole rows. "x" is the dim in which dst
/// is adjacent (dim 0 of the plan), "y" the one in which src is.
struct Tiles {
  static constexpr int kMaxOuter = 8;
  char *dst, *src;
  int64_t dst_y, src_x;  // bytes per step
  int64_t nx, ny;
  unsigned tiles_x, tiles_y;
  int outer = 0;
  int64_t shape[kMaxOuter], dst_outer[kMaxOuter], src_outer[kMaxOuter];
};

template <class U, int N>
struct alignas(sizeof(U) * N) Run {
  U v[N];
};

/// N elements per access: 4 bytes at least, where alignment allows.
template <class U, int N, int kTile>
__global__ void __launch_bounds__(256) transpose_kernel(const __grid_constant__ Tiles t) {
  constexpr int kPitch = kTile + N;
  constexpr int kRows = kTile / 8, kChunks = kTile / (32 * N);
  __shared__ alignas(16) U tile[kTile * kPitch];
  unsigned block = blockIdx.x;
  const int64_t x0 = static_cast<int64_t>(block % t.tiles_x) * kTile;
  block /= t.tiles_x;
  const int64_t y0 = static_cast<int64_t>(block % t.tiles_y) * kTile;
  block /= t.tiles_y;
  char* dst = t.dst;
  const char* src = t.src;
  for (int d = 0; d < t.outer; ++d) {
    const unsigned i = block % static_cast<unsigned>(t.shape[d]);
    block /= static_cast<unsigned>(t.shape[d]);
    dst += i * t.dst_outer[d];
    src += i * t.src_outer[d];
  }
  const int lane = threadIdx.x % 32, warp = threadIdx.x / 32;

  Run<U, N> held[kRows][kChunks];
#pragma unroll
  for (int r = 0; r < kRows; ++r) {
#pragma unroll
    for (int c = 0; c < kChunks; ++c) {
      const int64_t x = x0 + warp + 8 * r, y = y0 + (lane + 32 * c) * N;
      if (x < t.nx && y < t.ny)
        held[r][c] = *reinterpret_cast<const Run<U, N>*>(src + x * t.src_x + y * static_cast<int64_t>(sizeof(U)));
    }
  }
#pragma unroll
  for (int r = 0; r < kRows; ++r)
#pragma unroll
    for (int c = 0; c < kChunks; ++c)
      *reinterpret_cast<Run<U, N>*>(&tile[(warp + 8 * r) * kPitch + (lane + 32 * c) * N]) = held[r][c];
  __syncthreads();
#pragma unroll
  for (int r = 0; r < kRows; ++r) {
#pragma unroll
    for (int c = 0; c < kChunks; ++c) {
      const int yi = warp + 8 * r, xi = (lane + 32 * c) * N;
      Run<U, N> out;
#pragma unroll
      for (int i = 0; i < N; ++i) out.v[i] = tile[(xi + i) * kPitch + yi];
      if (x0 + xi < t.nx && y0 + yi < t.ny)
        *reinterpret_cast<Run<U, N>*>(dst + (y0 + yi) * t.dst_y + (x0 + xi) * static_cast<int64_t>(sizeof(U))) = out;
    }
  }
}

template <class U, int N, int kTile>
void launch_tiles(Tiles& t) {
  t.tiles_x = blocks_for(t.nx, kTile);
  t.tiles_y = blocks_for(t.ny, kTile);
  int64_t blocks = static_cast<int64_t>(t.tiles_x) * t.tiles_y;
  for (int d = 0; d < t.outer; ++d) blocks *= t.shape[d];
  launch(transpose_kernel<U, N, kTile>, blocks_for(blocks, 1), 256, 0, t);
}

template <class U>
void transpose(Tiles& t) {
  constexpr int N = sizeof(U) < 4 ? 4 / sizeof(U) : 1;
  if constexpr (N > 1) {
    bool runs = t.nx % N == 0 && t.ny % N == 0;
    auto aligned = [&](int64_t bytes) { runs &= bytes % 4 == 0; };
    aligned(static_cast<int64_t>(reinterpret_cast<uintptr_t>(t.dst) | reinterpret_cast<uintptr_t>(t.src)) & 3);
    aligned(t.dst_y);
    aligned(t.src_x);
    for (int d = 0; d < t.outer; ++d) {
      aligned(t.dst_outer[d]);
      aligned(t.src_outer[d]);
    }
    if (runs) return launch_tiles<U, N, N == 4 ? 128 : 64>(t);
  }
  launch_tiles<U, 1, sizeof(U) <= 8 ? 64 : 32>(t);
}

/// Describes the plan as tiles; false if it is no transpose worth them.
bool find_tiles(const Plan& p, Tiles& t) {
  constexpr int64_t kWorthIt = 16;
  const int64_t item = p.itemsize(0);
  if (p.ndim < 2 || p.strides[0][0] != item || p.strides[1][0] == item || p.shape[0] < kWorthIt) return false;
  int y = 0;
  for (int d = 1; d < p.ndim; ++d)
    if (p.strides[1][d] == item) y = d;
  if (y == 0 || p.shape[y] < kWorthIt || p.ndim - 2 > Tiles::kMaxOuter) return false;
  t.dst = p.data[0];
  t.src = p.data[1];
  t.nx = p.shape[0];
  t.ny = p.shape[y];
  t.dst_y = p.strides[0][y];
  t.src_x = p.strides[1][0];
  for (int d = 1; d < p.ndim; ++d) {
    if (d == y) continue;
    if (p.shape[d] > 0x7FFFFFFF) return false;
    t.shape[t.outer] = p.shape[d];
    t.dst_outer[t.outer] = p.strides[0][d];
    t.src_outer[t.outer++] = p.strides[1][d];
  }
  return true;
}

struct Same {
  template <class T>
  __device__ T operator()(T v) const {
    return v;
  }
};

/// A float as an integer, cut off towards zero. What W does not hold, and NaN, is its smallest number, as on x86: without this
/// it would be the nearest number and 0, and the two devices would differ.
template <class W, class F>
__device__ __forceinline__ W whole(F v) {
  constexpr F kEnd = static_cast<F>(uint64_t{1} << (8 * sizeof(W) - 1));
  return v >= -kEnd && v < kEnd ? static_cast<W>(v) : std::numeric_limits<W>::min();
}

template <class To, class From>
struct Convert {
  __device__ ComputeType<To> operator()(ComputeType<From> v) const {
    constexpr bool kFromFloat = is_floating_point(dtype_of<From>);
    // As on the CPU: a float becomes a short integer by way of a long one, an unsigned one by way of int64.
    if constexpr (std::is_same_v<To, uint64_t>)
      return v < 0 ? static_cast<To>(static_cast<int64_t>(v)) : static_cast<To>(v);
    else if constexpr (std::is_same_v<To, bool>)
      return v != 0;
    else if constexpr (kFromFloat && (std::is_same_v<To, uint8_t> || std::is_same_v<To, int64_t>))
      return static_cast<To>(whole<int64_t>(v));
    else if constexpr (kFromFloat && std::is_integral_v<To>)
      return static_cast<To>(whole<int32_t>(v));
    else
      return static_cast<ComputeType<To>>(v);
  }
};

template <class U>
struct Value {
  U value;
  __device__ U operator()() const { return value; }
};

/// N neighbouring elements a thread. Index: uint32_t where it counts all elements.
template <class U, int N, class Index>
__global__ void __launch_bounds__(256) triangle_kernel(U* out, const U* in, Index vectors, Index rows, Index cols,
                                                       int64_t diagonal, bool lower) {
  const Index v = static_cast<Index>(blockIdx.x) * 256 + threadIdx.x;
  if (v >= vectors) return;
  const Index first = v * N, row = first / cols;
  const int64_t column = first - row * cols, last = static_cast<int64_t>(row % rows) + diagonal;
  // Columns up to `last` are below; what is nothing but zeros is not read.
  const bool some = lower ? column <= last : column + N - 1 > last;
  Run<U, N> run{};
  if (some) run = reinterpret_cast<const Run<U, N>*>(in)[v];
#pragma unroll
  for (int j = 0; j < N; ++j)
    if ((column + j <= last) != lower) run.v[j] = U{};
  reinterpret_cast<Run<U, N>*>(out)[v] = run;
}

}  // namespace

void copy(const Plan& plan) {
  if (plan.dtype[0] == plan.dtype[1]) {
    Tiles tiles;
    const bool tiled = find_tiles(plan, tiles);
    return visit_width(plan.dtype[0], [&](auto tag) {
      using U = typename decltype(tag)::type;
      if (tiled) return transpose<U>(tiles);
      elementwise<U, U>(plan, Same{});
    });
  }
  visit_cast(plan.dtype[0], plan.dtype[1], [&](auto to, auto from) {
    using To = typename decltype(to)::type;
    using From = typename decltype(from)::type;
    if constexpr (!std::is_same_v<To, From>) elementwise<To, From>(plan, Convert<To, From>{});
  });
}

void fill(const Plan& plan, const Scalar& value) {
  visit_width(plan.dtype[0], [&](auto tag) {
    using U = typename decltype(tag)::type;
    Value<U> v;
    scalar_to_bytes(value, plan.dtype[0], &v.value);
    elementwise<U>(plan, v);
  });
}

void triangle(const Tensor& out, const Tensor& in, int64_t diagonal, bool lower) {
  const int64_t n = in.numel(), rows = in.size(-2), cols = in.size(-1);
  if (n == 0) return;
  visit_width(in.dtype(), [&](auto tag) {
    using U = typename decltype(tag)::type;
    constexpr int N = 16 / sizeof(U);
    U* const to = static_cast<U*>(out.data_ptr());
    const U* const from = static_cast<const U*>(in.data_ptr());
    const bool vectors = cols % N == 0 && (reinterpret_cast<uintptr_t>(to) | reinterpret_cast<uintptr_t>(from)) % 16 == 0;
    auto go = [&](auto kernel, int width) {
      launch(kernel, blocks_for(n / width, 256), 256, 0, to, from, n / width, rows, cols, diagonal, lower);
    };
    if (n >= int64_t{1} << 31)
      go(triangle_kernel<U, 1, int64_t>, 1);
    else if (vectors)
      go(triangle_kernel<U, N, uint32_t>, N);
    else
      go(triangle_kernel<U, 1, uint32_t>, 1);
  });
}

}  // namespace norch::kernels::cuda
