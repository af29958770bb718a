// scatter along a dim where no two lines share a place of dst, without sorting: lines that lie along the index's adjacent
// dim have a warp each and are combined in shared memory; neighbouring lines have a thread each.
#include "kernels/cuda/scatter.cuh"

#include "core/factory.h"

namespace norch::kernels::cuda {

namespace {

constexpr unsigned kAll = 0xFFFFFFFFu;
constexpr int kWarps = 4;                    // of a block whose lines are short enough
constexpr int64_t kLineBytes = 8 << 10;      // of shared memory for each of them,
constexpr int64_t kLongestBytes = 48 << 10;  // and for a warp that has a block to itself
constexpr int kThreads = 128;

struct Lines {
  IndexedWalk starts;  // of the lines
  int64_t count;       // positions of a line
  int64_t src, index;  // bytes from one to the next
};

/// What a place is combined in: a wider type, or the element itself where it is replaced.
template <class T, bool kAssign>
using Held = std::conditional_t<kAssign, T, SumType<T>>;

template <bool kAssign, class T>
__device__ __forceinline__ Held<T, kAssign> held(const T* p) {
  if constexpr (kAssign)
    return *p;
  else
    return widened(p);
}
template <bool kAssign, class T>
__device__ __forceinline__ void keep(T* p, Held<T, kAssign> v) {
  if constexpr (kAssign)
    *p = v;
  else
    *p = narrowed<T>(v);
}

/// The lanes of the warp that have this one's key.
__device__ __forceinline__ unsigned lanes_with(int key) {
#if __CUDA_ARCH__ >= 700
  return __match_any_sync(kAll, key);
#else
  unsigned same = 0;
  for (int lane = 0; lane < 32; ++lane) same |= static_cast<unsigned>(__shfl_sync(kAll, key, lane) == key) << lane;
  return same;
#endif
}

template <class T, bool kAssign>
__global__ void __launch_bounds__(kThreads) rows_kernel(const __grid_constant__ Lines s, const DeviceAlong along,
                                                        ScatterOp op) {
  using S = Held<T, kAssign>;
  constexpr int kAhead = 4;  // loads on their way: their latency, not their number, would be the kernel's time
  extern __shared__ char room[];
  const int lane = threadIdx.x % 32, warp = threadIdx.x / 32;
  const uint32_t line = blockIdx.x * (blockDim.x / 32) + warp;
  if (line >= s.starts.units) return;
  int64_t o[3];
  s.starts.offsets(line, o);
  char* const dst = s.starts.data[0] + o[0];
  const char *const src = s.starts.data[1] + o[1], *const index = s.starts.data[2] + o[2];
  const int n = static_cast<int>(along.size);
  S* const places = reinterpret_cast<S*>(room) + warp * n;
  for (int i = lane; i < n; i += 32) places[i] = held<kAssign>(reinterpret_cast<const T*>(dst + i * along.stride));
  __syncwarp();
  for (int64_t begin = 0; begin < s.count; begin += 32 * kAhead) {
    int key[kAhead];
    S value[kAhead];
#pragma unroll
    for (int u = 0; u < kAhead; ++u) {
      const int64_t i = min(begin + u * 32 + lane, s.count - 1);
      int64_t k = *reinterpret_cast<const int64_t*>(index + i * s.index);
      value[u] = held<kAssign>(reinterpret_cast<const T*>(src + i * s.src));
      key[u] = begin + u * 32 + lane < s.count && along.resolve(k) ? static_cast<int>(k) : -1;
    }
#pragma unroll
    for (int u = 0; u < kAhead; ++u) {
      const unsigned same = lanes_with(key[u]);
      if constexpr (kAssign) {
        if (key[u] >= 0 && same >> lane == 1) places[key[u]] = value[u];  // the last lane that has it
        __syncwarp();
      } else {
        // Lanes of one place go one after another.
        const int turn = key[u] < 0 ? -1 : __popc(same & ((1u << lane) - 1));
        for (int now = 0; __any_sync(kAll, turn >= now); ++now) {
          if (turn == now) places[key[u]] = combine(op, places[key[u]], value[u]);
          __syncwarp();
        }
      }
    }
  }
  for (int i = lane; i < n; i += 32) keep<kAssign>(reinterpret_cast<T*>(dst + i * along.stride), places[i]);
}

template <class T, bool kAssign>
__global__ void __launch_bounds__(kThreads) lines_kernel(const __grid_constant__ Lines s, const DeviceAlong along,
                                                         ScatterOp op) {
  using S = Held<T, kAssign>;
  constexpr int kAhead = 4;
  const uint32_t line = blockIdx.x * kThreads + threadIdx.x;
  if (line >= s.starts.units) return;
  int64_t o[3];
  s.starts.offsets(line, o);
  char* const dst = s.starts.data[0] + o[0];
  const char *const src = s.starts.data[1] + o[1], *const index = s.starts.data[2] + o[2];
  for (int64_t begin = 0; begin < s.count; begin += kAhead) {
    int64_t key[kAhead];
    S value[kAhead];
#pragma unroll
    for (int u = 0; u < kAhead; ++u) {
      const int64_t i = min(begin + u, s.count - 1);
      key[u] = *reinterpret_cast<const int64_t*>(index + i * s.index);
      value[u] = held<kAssign>(reinterpret_cast<const T*>(src + i * s.src));
    }
#pragma unroll
    for (int u = 0; u < kAhead; ++u) {
      if (begin + u >= s.count || !along.resolve(key[u])) continue;
      T* const place = reinterpret_cast<T*>(dst + key[u] * along.stride);
      if constexpr (kAssign)
        *place = value[u];
      else
        *place = narrowed<T>(combine(op, widened(place), value[u]));
    }
  }
}

/// The plan as lines; false where positions of several dims may have one place, or dims of dst share an index.
bool find_lines(const Plan& p, Lines& s, bool& adjacent_lines) {
  int along = -1;
  for (int d = 0; d < p.ndim; ++d) {
    if (p.strides[0][d] != 0 && p.strides[2][d] == 0) return false;
    if (p.strides[0][d] != 0) continue;
    if (along >= 0) return false;
    along = d;
  }
  s.count = along < 0 ? 1 : p.shape[along];
  s.src = along < 0 ? 0 : p.strides[1][along];
  s.index = along < 0 ? 0 : p.strides[2][along];
  adjacent_lines = along != 0;
  if (p.numel / s.count > 0x7FFFFFFF || p.ndim > IndexedWalk::kMaxDims) return false;
  for (int k = 0; k < 3; ++k) s.starts.data[k] = p.data[k];
  for (int d = 0; d < p.ndim; ++d)
    if (d != along) s.starts.add_dim(p, d);
  return true;
}

}  // namespace

bool scatter_lines(const Plan& plan, const Along& along, ScatterOp op) {
  Lines s;
  bool adjacent;
  if (!find_lines(plan, s, adjacent)) return false;
  const int64_t lines = s.starts.units;
  // One thread goes through a line in time for some thousand others to do the work that sorting all positions would be.
  const bool by_threads = lines >= 4096 && (adjacent || s.count <= 8);
  const int64_t held_bytes = op == ScatterOp::Assign ? plan.itemsize(0) : std::max<int64_t>(plan.itemsize(0), 8);
  const bool by_warps =
      !by_threads && lines >= 32 && along.size <= 8 * s.count && along.size * held_bytes <= kLongestBytes;
  if (!by_threads && !by_warps) return false;
  auto run = [&](auto tag, auto assign) {
    using T = typename decltype(tag)::type;
    constexpr bool kAssign = decltype(assign)::value;
    if (by_threads)
      return launch(lines_kernel<T, kAssign>, blocks_for(lines, kThreads), kThreads, 0, s, DeviceAlong(along), op);
    const int64_t bytes = along.size * static_cast<int64_t>(sizeof(Held<T, kAssign>));
    const int warps = bytes <= kLineBytes ? kWarps : 1;
    launch(rows_kernel<T, kAssign>, blocks_for(lines, warps), 32 * warps, static_cast<size_t>(bytes * warps), s,
           DeviceAlong(along), op);
  };
  if (op == ScatterOp::Assign)
    visit_width(plan.dtype[0], [&](auto tag) { run(tag, std::true_type{}); });
  else
    visit_all(plan.dtype[0], [&](auto tag) { run(tag, std::false_type{}); });
  return true;
}

}  // namespace norch::kernels::cuda
