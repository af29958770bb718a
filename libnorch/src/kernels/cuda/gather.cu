#include <algorithm>

#include "kernels/cuda/gather.cuh"
#include "kernels/dispatch.h"

namespace norch::kernels::cuda {

namespace {

constexpr int kPerThread = 4;
constexpr int kThreads = 256;

IndexedWalk walk_of(const Plan& p) {
  IndexedWalk w;
  for (int k = 0; k < p.operands; ++k) w.data[k] = p.data[k];
  for (int d = 0; d < p.ndim; ++d) w.add_dim(p, d);
  return w;
}

template <class U>
__global__ void __launch_bounds__(kThreads) gather_kernel(const __grid_constant__ IndexedWalk w, const DeviceAlong along) {
  const uint32_t first = blockIdx.x * (kThreads * kPerThread) + threadIdx.x;
  U value[kPerThread];
  int64_t to[kPerThread];
#pragma unroll
  for (int u = 0; u < kPerThread; ++u) {
    const uint32_t i = first + u * kThreads;
    if (i >= w.units) continue;
    int64_t o[3];
    w.offsets(i, o);
    to[u] = o[0];
    int64_t index = *reinterpret_cast<const int64_t*>(w.data[2] + o[2]);
    value[u] = along.resolve(index) ? *reinterpret_cast<const U*>(w.data[1] + o[1] + index * along.stride) : U{};
  }
#pragma unroll
  for (int u = 0; u < kPerThread; ++u)
    if (first + u * kThreads < w.units) *reinterpret_cast<U*>(w.data[0] + to[u]) = value[u];
}

/// Rows of src that are taken from in many places, one after another of a block's, through shared memory: reading them in
/// any order costs the caches a line per element. {row of out, elements of it} are dims 1 and 0 of the plan.
struct StagedRows {
  char *out, *src, *index;
  int64_t rows, out_row, src_row, index_row;  // bytes from row to row
  int count, size;                            // elements of a row of out, and of src
};

constexpr int kTogether = 4;  // rows of a block, where they are short enough

/// Whether rows lie one after another in whole runs of 16 bytes.
template <class U>
bool have_runs(const StagedRows& s) {
  const int64_t bytes = s.size * static_cast<int64_t>(sizeof(U));
  return s.src_row == bytes && bytes % 16 == 0 && reinterpret_cast<uintptr_t>(s.src) % 16 == 0;
}

/// Copies `runs` runs of 16 bytes to shared memory, several of each thread on their way at once.
__device__ __forceinline__ void stage_runs(uint4* to, const uint4* from, int runs) {
  for (int i = threadIdx.x; i < runs; i += kTogether * kThreads) {
    uint4 run[kTogether];
#pragma unroll
    for (int u = 0; u < kTogether; ++u) run[u] = from[min(i + u * kThreads, runs - 1)];
#pragma unroll
    for (int u = 0; u < kTogether; ++u)
      if (i + u * kThreads < runs) to[i + u * kThreads] = run[u];
  }
}

template <class U>
__global__ void __launch_bounds__(kThreads) gather_rows_kernel(const __grid_constant__ StagedRows s, const DeviceAlong along,
                                                               int together, bool runs) {
  extern __shared__ uint4 room[];
  U* const held = reinterpret_cast<U*>(room);
  const int64_t first = static_cast<int64_t>(blockIdx.x) * together;
  const int rows = static_cast<int>(min(static_cast<int64_t>(together), s.rows - first));
  if (runs) {
    const int bytes = s.size * static_cast<int>(sizeof(U));
    stage_runs(room, reinterpret_cast<const uint4*>(s.src + first * s.src_row), rows * bytes / 16);
  } else {
    for (int r = 0; r < rows; ++r) {
      const U* row = reinterpret_cast<const U*>(s.src + (first + r) * s.src_row);
#pragma unroll 4
      for (int i = threadIdx.x; i < s.size; i += kThreads) held[r * s.size + i] = row[i];
    }
  }
  __syncthreads();
  if (s.index_row == 0) {  // one index for all rows, looked at once
#pragma unroll 4
    for (int c = threadIdx.x; c < s.count; c += kThreads) {
      int64_t index = reinterpret_cast<const int64_t*>(s.index)[c];
      const bool valid = along.resolve(index);
      const U* const from = held + (valid ? index : 0);
      U* const to = reinterpret_cast<U*>(s.out + first * s.out_row) + c;
#pragma unroll
      for (int r = 0; r < kTogether; ++r) {
        if (r >= rows) break;
        *reinterpret_cast<U*>(reinterpret_cast<char*>(to) + r * s.out_row) = valid ? from[r * s.size] : U{};
      }
    }
    return;
  }
  for (int c = threadIdx.x; c < s.count; c += kThreads) {
    int64_t index[kTogether];
#pragma unroll
    for (int r = 0; r < kTogether; ++r) {
      const int64_t row = first + (r < rows ? r : 0);
      index[r] = *reinterpret_cast<const int64_t*>(s.index + row * s.index_row + c * int64_t{8});
    }
#pragma unroll
    for (int r = 0; r < kTogether; ++r) {
      if (r >= rows) break;
      U* const to = reinterpret_cast<U*>(s.out + (first + r) * s.out_row) + c;
      *to = along.resolve(index[r]) ? held[r * s.size + index[r]] : U{};
    }
  }
}

/// Describes the plan as rows to stage; false if it is none, or not worth it.
bool find_rows(const Plan& p, const Along& a, StagedRows& s) {
  constexpr int64_t kMostBytes = 16 << 10;
  const int64_t item = p.itemsize(0);
  if (p.ndim != 2 || p.strides[1][0] != 0 || p.strides[0][0] != item || p.strides[2][0] != 8 || a.stride != item)
    return false;
  if (p.strides[1][1] == 0 || p.shape[1] < 256 || p.shape[0] < 64 || p.shape[0] > 0x7FFFFFFF) return false;
  if (a.size * item > kMostBytes || a.size > 2 * p.shape[0]) return false;
  s = {p.data[0], p.data[1], p.data[2], p.shape[1], p.strides[0][1], p.strides[1][1], p.strides[2][1],
       static_cast<int>(p.shape[0]), static_cast<int>(a.size)};
  return true;
}

template <class U, int N>
struct alignas(sizeof(U) * N) Run {
  U v[N];
};

/// N neighbouring elements at once, in reverse if the innermost dim is turned round.
template <class U, int N>
__global__ void __launch_bounds__(kThreads) flip_kernel(const __grid_constant__ IndexedWalk w, bool reverse) {
  const uint32_t first = blockIdx.x * (kThreads * kPerThread) + threadIdx.x;
  Run<U, N> run[kPerThread];
  int64_t to[kPerThread];
#pragma unroll
  for (int u = 0; u < kPerThread; ++u) {
    const uint32_t i = first + u * kThreads;
    if (i >= w.units) continue;
    int64_t o[3];
    w.offsets(i, o);
    to[u] = o[0];
    run[u] = *reinterpret_cast<const Run<U, N>*>(w.data[1] + o[1]);
  }
#pragma unroll
  for (int u = 0; u < kPerThread; ++u) {
    if (first + u * kThreads >= w.units) continue;
    Run<U, N> out;
#pragma unroll
    for (int j = 0; j < N; ++j) out.v[j] = run[u].v[reverse ? N - 1 - j : j];
    *reinterpret_cast<Run<U, N>*>(w.data[0] + to[u]) = out;
  }
}

__global__ void __launch_bounds__(kThreads) offsets_kernel(const __grid_constant__ IndexedWalk w, const DeviceAlong along,
                                                           bool accumulate) {
  const uint32_t i = blockIdx.x * kThreads + threadIdx.x;
  if (i >= w.units) return;
  int64_t o[3];
  w.offsets(i, o);
  int64_t index = *reinterpret_cast<const int64_t*>(w.data[1] + o[1]);
  int64_t* out = reinterpret_cast<int64_t*>(w.data[0] + o[0]);
  const int64_t before = accumulate ? *out : 0;
  *out = along.resolve(index) && before >= 0 ? before + index * along.stride : kBadOffset;
}

/// Runs kernel<unsigned type of `width` bytes>.
template <class F>
void by_width(int64_t width, F&& f) {
  switch (width) {
    case 1: return f(TypeTag<uint8_t>{});
    case 2: return f(TypeTag<uint16_t>{});
    case 4: return f(TypeTag<uint32_t>{});
    case 8: return f(TypeTag<uint64_t>{});
    default: return f(TypeTag<uint4>{});
  }
}

/// Turns elements that lie side by side under one index into wider ones, up to 16 bytes. Returns their width.
int64_t widen(Plan& p, const Along& a) {
  int64_t width = p.itemsize(0);
  if (p.strides[0][0] != width || p.strides[1][0] != width || p.strides[2][0] != 0) return width;
  for (int64_t to = 16; to > width; to /= 2) {
    const int64_t ratio = to / width;
    uint64_t misfits = static_cast<uint64_t>(p.shape[0] % ratio) * static_cast<uint64_t>(to);
    misfits |= reinterpret_cast<uintptr_t>(p.data[0]) | reinterpret_cast<uintptr_t>(p.data[1]);
    misfits |= static_cast<uint64_t>(a.stride);
    for (int d = 1; d < p.ndim; ++d)
      misfits |= static_cast<uint64_t>(p.strides[0][d]) | static_cast<uint64_t>(p.strides[1][d]);
    if (p.shape[0] % ratio != 0 || misfits % static_cast<uint64_t>(to) != 0) continue;
    p.shape[0] /= ratio;
    p.numel /= ratio;
    p.strides[0][0] = p.strides[1][0] = to;
    return to;
  }
  return width;
}

}  // namespace

void gather(const Plan& plan, const Along& along) {
  if (plan.numel == 0) return;
  StagedRows rows;
  if (find_rows(plan, along, rows)) {
    const int bytes = rows.size * static_cast<int>(plan.itemsize(0));
    const int together = std::max(1, std::min(kTogether, (16 << 10) / bytes));
    return by_width(plan.itemsize(0), [&](auto tag) {
      using U = typename decltype(tag)::type;
      launch(gather_rows_kernel<U>, blocks_for(rows.rows, together), kThreads, static_cast<size_t>(bytes * together), rows,
             DeviceAlong(along), together, have_runs<U>(rows));
    });
  }
  Plan wide = plan;
  const int64_t width = widen(wide, along);
  for_each_part(wide, [&](const Plan& part) {
    by_width(width, [&](auto tag) {
      launch(gather_kernel<typename decltype(tag)::type>, blocks_for(part.numel, kThreads * kPerThread), kThreads, 0,
             walk_of(part), DeviceAlong(along));
    });
  });
}

void flip(const Plan& plan) {
  Plan p = plan;
  const int64_t item = p.itemsize(0);
  // Units of 16 bytes, where rows are made of them.
  const int64_t ratio = item < 16 ? 16 / item : 1, inner = p.strides[1][0];
  const bool reverse = inner == -item && ratio > 1;
  uint64_t misfits = static_cast<uint64_t>(p.shape[0] % ratio) | static_cast<uint64_t>(p.strides[0][0] ^ item) |
                     static_cast<uint64_t>((inner < 0 ? -inner : inner) ^ item);
  const uintptr_t from = reinterpret_cast<uintptr_t>(p.data[1]) - static_cast<uintptr_t>(reverse ? 16 - item : 0);
  uint64_t offsets = reinterpret_cast<uintptr_t>(p.data[0]) | from;
  for (int d = 1; d < p.ndim; ++d)
    offsets |= static_cast<uint64_t>(p.strides[0][d]) | static_cast<uint64_t>(p.strides[1][d]);
  const bool vectors = ratio > 1 && misfits == 0 && offsets % 16 == 0;
  if (vectors) {
    if (reverse) p.data[1] -= 16 - item;
    p.shape[0] /= ratio;
    p.numel /= ratio;
    p.strides[0][0] = 16;
    p.strides[1][0] = inner < 0 ? -16 : 16;
  }
  for_each_part(p, [&](const Plan& part) {
    by_width(item, [&](auto tag) {
      using U = typename decltype(tag)::type;
      const unsigned blocks = blocks_for(part.numel, kThreads * kPerThread);
      if (vectors)
        launch(flip_kernel<U, 16 / sizeof(U)>, blocks, kThreads, 0, walk_of(part), reverse);
      else
        launch(flip_kernel<U, 1>, blocks, kThreads, 0, walk_of(part), false);
    });
  });
}

void index_offsets(const Plan& plan, const Along& along, bool accumulate) {
  for_each_part(plan, [&](const Plan& part) {
    launch(offsets_kernel, blocks_for(part.numel, kThreads), kThreads, 0, walk_of(part), DeviceAlong(along), accumulate);
  });
}

}  // namespace norch::kernels::cuda
