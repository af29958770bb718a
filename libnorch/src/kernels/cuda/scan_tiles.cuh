// Scans of long lines, cut into tiles, in one pass: each element is read once and stored once.
//
// A block takes a tile, in the order of a counter, so that the tiles before its own are done or under way; keeps the scan
// of it in registers; publishes its total; and waits for what lies before it. That is joined in an order that depends on
// the shape alone, not on which totals happen to be there: the totals of the tiles before it in its group of tiles, and
// the base of the group, the join of all groups before, which the first tile of each group publishes.
//
// A tile is of one row, or of 32 neighbouring lines of elements that are not neighbours.
#pragma once

#include "kernels/cuda/scan_warps.cuh"

namespace norch::kernels::cuda {

namespace {

constexpr int kWarps = kThreads / 32;

/// Elements of a tile that a thread keeps, in up to 32 registers; fewer where each is a run of its own, which takes more.
template <class Acc, int N = 4>
constexpr int kKept = sizeof(Acc) > 8 || N == 1 ? 8 : sizeof(Acc) > 4 ? 16 : 32;
/// Tiles of a group.
constexpr int kRowGroup = kThreads, kLineGroup = 32;

/// What blocks tell each other. Flags are 0 until what they stand for can be read.
template <class Acc>
struct TileState {
  int64_t tiles, groups;  // of each sequence of tiles
  int* taken;
  int* flags;       // (sequences x tiles)
  int* base_flags;  // (sequences x groups)
  Acc* totals;      // (sequences x tiles x width)
  Acc* bases;       // (sequences x groups x width)
};

__device__ __forceinline__ void await(const int* flag) {
  while (*static_cast<const volatile int*>(flag) == 0) {
  }
  __threadfence();
}
/// To be called after a fence by every thread that stored, and a barrier of them.
__device__ __forceinline__ void raise(int* flag) { *static_cast<volatile int*>(flag) = 1; }

/// Reads what another block stored.
template <class Acc>
__device__ __forceinline__ Acc read_published(const Acc* p) {
  static_assert(sizeof(Acc) % 4 == 0, "");
  unsigned words[sizeof(Acc) / 4];
#pragma unroll
  for (int i = 0; i < static_cast<int>(sizeof(Acc) / 4); ++i) words[i] = __ldcg(reinterpret_cast<const unsigned*>(p) + i);
  Acc out;
  memcpy(&out, words, sizeof(Acc));
  return out;
}

__device__ __forceinline__ int64_t take_ticket(int* taken) {
  __shared__ int ticket;
  if (threadIdx.x == 0) ticket = atomicAdd(taken, 1);
  __syncthreads();
  return ticket;
}

/// Which totals come before tile number `tile` in its group, and which group that is. The first tile of a group looks at
/// all of the group before, whose base and totals make its own group's base.
struct Earlier {
  int64_t group, first;
  int count;
  bool makes_base;
  __device__ __forceinline__ Earlier(int64_t tile, int size) {
    makes_base = tile > 0 && tile % size == 0;
    group = (tile - makes_base) / size;
    first = group * size;
    count = static_cast<int>(tile - first);
  }
};

/// Tiles of a row, N elements at a time (n is a multiple of N); sequences are rows.
template <class P, int N>
__global__ void __launch_bounds__(kThreads, 4) row_tiles_kernel(const P p, const Lines s,
                                                                const TileState<typename P::Acc> state) {
  using Acc = typename P::Acc;
  constexpr int kItems = kKept<Acc, N>, kRuns = kItems / N, kOfWarp = 32 * kItems;
  const int lane = threadIdx.x % 32, warp = threadIdx.x / 32;
  const int64_t ticket = take_ticket(state.taken), line = ticket / state.tiles, tile = ticket % state.tiles;
  const int64_t row = line * s.n, from = (tile * kWarps + warp) * kOfWarp;
  auto place = [&](int u) { return from + (u * 32 + lane) * N; };
  auto at = [&](int64_t i) { return row + (s.reverse ? s.n - N - i : i); };
  Acc items[kItems], before[kRuns], carry = p.identity();
  p.template load<N, kRuns>(items, s.reverse, [&](int u) { return Run{at(min(place(u), s.n - N)), place(u)}; });
#pragma unroll
  for (int u = 0; u < kRuns; ++u) {
    const bool inside = place(u) < s.n;
    if (!inside) items[u * N] = p.identity();
#pragma unroll
    for (int j = 1; j < N; ++j) items[u * N + j] = inside ? p.join(items[u * N + j - 1], items[u * N + j]) : p.identity();
    Acc upto = items[u * N + N - 1];
    before[u] = p.join(carry, warp_before(p, upto));
    carry = p.join(carry, from_last_lane(upto));
  }
  // What the tile's earlier warps hold, and its total.
  __shared__ Acc warps[kWarps], base;
  if (lane == 0) warps[warp] = carry;
  __syncthreads();
  Acc prefix = p.identity(), total = p.identity();
#pragma unroll 1
  for (int i = 0; i < kWarps; ++i) {
    if (i == warp) prefix = total;
    total = p.join(total, warps[i]);
  }
  if (threadIdx.x == 0) {
    state.totals[ticket] = total;
    __threadfence();
    raise(state.flags + ticket);
  }
  const Earlier earlier(tile, kRowGroup);
  const int64_t before_group = line * state.tiles + earlier.first, group = line * state.groups + earlier.group;
  Acc one = p.identity();
  if (static_cast<int>(threadIdx.x) < earlier.count) {
    await(state.flags + before_group + threadIdx.x);
    one = read_published(state.totals + before_group + threadIdx.x);
  }
  if (threadIdx.x == 0) {
    base = p.identity();
    if (earlier.group > 0) {
      await(state.base_flags + group);
      base = read_published(state.bases + group);
    }
  }
  Acc all;
  block_before(p, one, all);
  const Acc start = p.join(base, all);
  if (earlier.makes_base && threadIdx.x == 0) {
    state.bases[group + 1] = start;
    __threadfence();
    raise(state.base_flags + group + 1);
  }
  prefix = p.join(start, prefix);
#pragma unroll
  for (int u = 0; u < kRuns; ++u) {
    if (place(u) >= s.n) break;
    const Acc first = p.join(prefix, before[u]);
    Acc run[N];
#pragma unroll
    for (int j = 0; j < N; ++j) run[j] = p.join(first, items[u * N + j]);
    p.template store<N>(at(place(u)), s.reverse, run);
  }
}

/// Tiles of 32 neighbouring lines, one a lane; sequences are strips of 32 lines.
template <class P>
__global__ void __launch_bounds__(kThreads, 3) line_tiles_kernel(const P p, const Lines s, int64_t strips,
                                                                 const TileState<typename P::Acc> state) {
  using Acc = typename P::Acc;
  constexpr int kItems = kKept<Acc>;
  const int lane = threadIdx.x % 32, warp = threadIdx.x / 32;
  // Blocks that run together read neighbouring pieces of the same places.
  const int64_t ticket = take_ticket(state.taken), strip = ticket % strips, tile = ticket / strips;
  const int64_t line = strip * 32 + lane, start = s.start(min(line, s.lines - 1)), from = (tile * kWarps + warp) * kItems;
  Acc items[kItems];
  p.template load<1, kItems>(items, false,
                             [&](int k) { return Run{s.offset(start, min(from + k, s.n - 1)), from + k}; });
  bool level = false;
  if constexpr (P::kLevels) level = p.template scan_level<kItems>(items, s.n - from);
  if (!level) {
    if (from >= s.n) items[0] = p.identity();
#pragma unroll
    for (int k = 1; k < kItems; ++k) items[k] = from + k < s.n ? p.join(items[k - 1], items[k]) : items[k - 1];
  }
  __shared__ Acc warps[kWarps][32], groups[kWarps][32];
  warps[warp][lane] = items[kItems - 1];
  __syncthreads();
  Acc prefix = p.identity();
#pragma unroll 1
  for (int i = 0; i < warp; ++i) prefix = p.join(prefix, warps[i][lane]);
  const int64_t sequence = strip * state.tiles;
  if (warp == kWarps - 1) {
    state.totals[(sequence + tile) * 32 + lane] = p.join(prefix, items[kItems - 1]);
    __threadfence();
    __syncwarp();
    if (lane == 0) raise(state.flags + sequence + tile);
  }
  // Each warp joins some of the earlier tiles' totals.
  constexpr int kOfWarp = kLineGroup / kWarps;
  const Earlier earlier(tile, kLineGroup);
  const int64_t mine = sequence + earlier.first + warp * kOfWarp, group = strip * state.groups + earlier.group;
  const int count = max(0, min(kOfWarp, earlier.count - warp * kOfWarp));
  if (lane < count) await(state.flags + mine + lane);
  __syncwarp();
  Acc some = p.identity();
#pragma unroll
  for (int i = 0; i < kOfWarp; ++i)
    if (i < count) some = p.join(some, read_published(state.totals + (mine + i) * 32 + lane));
  if (warp == 0 && earlier.group > 0) {
    if (lane == 0) await(state.base_flags + group);
    __syncwarp();
    some = p.join(read_published(state.bases + group * 32 + lane), some);
  }
  groups[warp][lane] = some;
  __syncthreads();
  if (warp == 0) {
#pragma unroll 1
    for (int i = 1; i < kWarps; ++i) some = p.join(some, groups[i][lane]);
    groups[0][lane] = some;
    if (earlier.makes_base) {
      state.bases[(group + 1) * 32 + lane] = some;
      __threadfence();
      __syncwarp();
      if (lane == 0) raise(state.base_flags + group + 1);
    }
  }
  __syncthreads();
  if (line >= s.lines) return;
  prefix = p.join(groups[0][lane], prefix);
  if constexpr (P::kLevels)
    if (level) p.template join_level<kItems>(prefix, items);
#pragma unroll
  for (int k = 0; k < kItems; ++k) {
    if (from + k >= s.n) break;
    const Acc one[1] = {level ? items[k] : p.join(prefix, items[k])};
    p.template store<1>(s.offset(start, from + k), false, one);
  }
}

/// Room for `sequences` of tiles of `width` lines, with no flag raised.
template <class Acc>
Tensor make_tile_state(TileState<Acc>& state, int64_t sequences, int64_t width, int group_size, Device device) {
  state.groups = (state.tiles + group_size - 1) / group_size;
  const int64_t tiles = sequences * state.tiles, groups = sequences * state.groups;
  const int64_t flags = (4 * (1 + tiles + groups) + 15) / 16 * 16;
  const Tensor room =
      new_tensor({flags + (tiles + groups) * width * static_cast<int64_t>(sizeof(Acc))}, DType::UInt8, device);
  char* const p = static_cast<char*>(room.data_ptr());
  state.taken = reinterpret_cast<int*>(p);
  state.flags = state.taken + 1;
  state.base_flags = state.flags + tiles;
  state.totals = reinterpret_cast<Acc*>(p + flags);
  state.bases = state.totals + tiles * width;
  check(cudaMemsetAsync(p, 0, static_cast<size_t>(flags), norch::cuda::current_stream()), "cudaMemsetAsync");
  return room;
}

/// Scans rows by tiles.
template <class P>
void run_row_tiles(const P& p, const Lines& s, bool vectors, Device device) {
  using Acc = typename P::Acc;
  const int64_t tile = kThreads * (vectors ? kKept<Acc, 4> : kKept<Acc, 1>);
  TileState<Acc> state{(s.n + tile - 1) / tile};
  const Tensor room = make_tile_state(state, s.lines, 1, kRowGroup, device);
  launch(vectors ? row_tiles_kernel<P, 4> : row_tiles_kernel<P, 1>, blocks_for(s.lines * state.tiles, 1), kThreads, 0, p, s,
         state);
}

/// Scans lines whose elements are not neighbours by tiles.
template <class P>
void run_line_tiles(const P& p, const Lines& s, Device device) {
  using Acc = typename P::Acc;
  constexpr int64_t kTile = kWarps * kKept<Acc>;
  TileState<Acc> state{(s.n + kTile - 1) / kTile};
  const int64_t strips = (s.lines + 31) / 32;
  const Tensor room = make_tile_state(state, strips, 32, kLineGroup, device);
  launch(line_tiles_kernel<P>, blocks_for(strips * state.tiles, 1), kThreads, 0, p, s, strips, state);
}

}  // namespace

}  // namespace norch::kernels::cuda
