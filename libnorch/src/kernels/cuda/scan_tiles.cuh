// Scans of long lines, cut into tiles, in one pass: each element is read once and stored once.
//
// A block takes a tile, in the order of a counter, so that the tiles before its own are done or under way; keeps the scan
// of it in registers; publishes its total; and waits for what lies before it. That is joined in an order that depends on
// the shape alone, not on which totals happen to be there: tiles are in groups, and a block reads the totals of the tiles
// before it in its group, and of the groups before.
//
// A tile is of one row, or of 32 neighbouring lines of elements that are not neighbours.
#pragma once

#include <initializer_list>
#include <utility>

#include "kernels/cuda/scan_warps.cuh"

namespace norch::kernels::cuda {

namespace {

constexpr int kWarps = kThreads / 32;

/// Elements of a tile that a thread keeps, in up to 32 registers; fewer where each is a run of its own, which takes more.
template <class Acc, int N = 4>
constexpr int kKept = sizeof(Acc) > 8 || N == 1 ? 8 : sizeof(Acc) > 4 ? 16 : 32;
/// What blocks tell each other: numbered sets of Acc, each with a flag that is 0 until it can be read.
template <class Acc>
struct Published {
  int* flags;
  Acc* values;
};

__device__ __forceinline__ void await(const int* flag) {
  while (*static_cast<const volatile int*>(flag) == 0) {
  }
  __threadfence();
}
/// To be called after a fence by every thread that stored, and a barrier of them.
__device__ __forceinline__ void raise(int* flag) { *static_cast<volatile int*>(flag) = 1; }

/// Reads what another block stored, behind its flag.
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

template <class Acc>
__device__ __forceinline__ void publish(const Published<Acc>& to, int64_t at, const Acc& value) {
  to.values[at] = value;
  __threadfence();
  raise(to.flags + at);
}
/// Awaits `count` published values and joins them in their order, by a warp.
template <class P>
__device__ __forceinline__ typename P::Acc join_published(const P& p, const Published<typename P::Acc>& from, int64_t first,
                                                          int64_t count) {
  using Acc = typename P::Acc;
  const int64_t each = (count + 31) / 32, begin = threadIdx.x % 32 * each, end = min(begin + each, count);
  Acc all = p.identity();
  for (int64_t i = begin; i < end; ++i) {
    await(from.flags + first + i);
    all = p.join(all, read_published(from.values + first + i));
  }
  __syncwarp();
  warp_before(p, all);
  return from_last_lane(all);
}

/// Totals of a row's tiles, of its groups of kGroup tiles, and of sets of kGroup groups: a few for a block to read.
template <class Acc>
struct RowTotals {
  static constexpr int kGroup = 32;
  int64_t tiles, groups, sets;  // of a row
  int* taken;
  Published<Acc> of_tiles, of_groups, of_sets;
};

/// Tiles of a row, N elements at a time (n is a multiple of N); sequences are rows.
template <class P, int N>
__global__ void __launch_bounds__(kThreads, 4) row_tiles_kernel(const P p, const Lines s,
                                                                const RowTotals<typename P::Acc> totals) {
  using Acc = typename P::Acc;
  constexpr int kItems = kKept<Acc, N>, kRuns = kItems / N, kOfWarp = 32 * kItems;
  const int lane = threadIdx.x % 32, warp = threadIdx.x / 32;
  const int64_t ticket = take_ticket(totals.taken), line = ticket / totals.tiles, tile = ticket % totals.tiles;
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
  __shared__ Acc warps[kWarps], earlier[3];
  if (lane == 0) warps[warp] = carry;
  __syncthreads();
  Acc prefix = p.identity(), total = p.identity();
#pragma unroll 1
  for (int i = 0; i < kWarps; ++i) {
    if (i == warp) prefix = total;
    total = p.join(total, warps[i]);
  }
  if (threadIdx.x == kThreads - 1) publish(totals.of_tiles, ticket, total);
  // What lies before the tile: in its group, the groups before in their set, and the sets before.
  constexpr int kGroup = RowTotals<Acc>::kGroup;
  const int64_t group = tile / kGroup, set = group / kGroup;
  const int in_group = static_cast<int>(tile % kGroup), in_set = static_cast<int>(group % kGroup);
  if (warp == 0) {
    const Acc all = join_published(p, totals.of_tiles, ticket - in_group, in_group);
    if (lane == 0) {
      earlier[0] = all;
      if (in_group == kGroup - 1) publish(totals.of_groups, line * totals.groups + group, p.join(all, total));
    }
  } else if (warp == 1) {
    const Acc all = join_published(p, totals.of_groups, line * totals.groups + group - in_set, in_set);
    if (lane == 0) earlier[1] = all;
  } else if (warp == 2) {
    const Acc all = join_published(p, totals.of_sets, line * totals.sets, set);
    if (lane == 0) earlier[2] = all;
  }
  __syncthreads();
  if (threadIdx.x == 0 && in_group == kGroup - 1 && in_set == kGroup - 1)
    publish(totals.of_sets, line * totals.sets + set, p.join(earlier[1], p.join(earlier[0], total)));
  const Acc start = p.join(earlier[2], p.join(earlier[1], earlier[0]));
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

/// Totals of the tiles of strips of 32 lines, and the bases of their groups: the join of all groups before, which the
/// first tile of each group publishes.
template <class Acc>
struct LineTotals {
  static constexpr int kOfWarp = 4, kGroup = (kWarps - 1) * kOfWarp;  // tiles whose totals a warp reads; the last reads the base
  int64_t strips, tiles, groups;                                      // strips; tiles and groups of a strip
  int* taken;
  Published<Acc> of_tiles, bases;  // 32 values for each flag
};

/// Publishes the values of a warp's lanes.
template <class Acc>
__device__ __forceinline__ void publish_lanes(const Published<Acc>& to, int64_t at, const Acc& value) {
  to.values[at * 32 + threadIdx.x % 32] = value;
  __threadfence();
  __syncwarp();
  if (threadIdx.x % 32 == 0) raise(to.flags + at);
}

/// Tiles of 32 neighbouring lines, one a lane.
template <class P>
__global__ void __launch_bounds__(kThreads, 3) line_tiles_kernel(const P p, const Lines s,
                                                                 const LineTotals<typename P::Acc> totals) {
  using Acc = typename P::Acc;
  constexpr int kItems = kKept<Acc>;
  const int lane = threadIdx.x % 32, warp = threadIdx.x / 32;
  // Blocks that run together read neighbouring pieces of the same places.
  const int64_t ticket = take_ticket(totals.taken), strip = ticket % totals.strips, tile = ticket / totals.strips;
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
  const int64_t first_tile = strip * totals.tiles;
  if (warp == kWarps - 1) publish_lanes(totals.of_tiles, first_tile + tile, p.join(prefix, items[kItems - 1]));
  // What lies before the tile: the totals before it in its group and the group's base. The first tile of a group looks at
  // the group before, whose base and totals make its own group's.
  constexpr int kOfWarp = LineTotals<Acc>::kOfWarp, kGroup = LineTotals<Acc>::kGroup;
  const bool makes_base = tile > 0 && tile % kGroup == 0;
  const int64_t group = (tile - makes_base) / kGroup;
  Acc some = p.identity();
  if (warp == kWarps - 1) {
    if (group > 0) {
      const int64_t at = strip * totals.groups + group;
      if (lane == 0) await(totals.bases.flags + at);
      __syncwarp();
      some = read_published(totals.bases.values + at * 32 + lane);
    }
  } else {
    const int64_t mine = first_tile + group * kGroup + warp * kOfWarp;
    const int count = static_cast<int>(max(int64_t{0}, min(int64_t{kOfWarp}, first_tile + tile - mine)));
    if (lane < count) await(totals.of_tiles.flags + mine + lane);
    __syncwarp();
#pragma unroll
    for (int i = 0; i < kOfWarp; ++i)
      if (i < count) some = p.join(some, read_published(totals.of_tiles.values + (mine + i) * 32 + lane));
  }
  groups[warp][lane] = some;
  __syncthreads();
  if (warp == 0) {
    Acc all = groups[kWarps - 1][lane];
#pragma unroll 1
    for (int i = 0; i < kWarps - 1; ++i) all = p.join(all, groups[i][lane]);
    groups[0][lane] = all;
    if (makes_base) publish_lanes(totals.bases, strip * totals.groups + group + 1, all);
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

/// Room for what blocks publish, `counts` sets of `width` values, with no flag raised.
template <class Acc>
Tensor make_published(std::initializer_list<std::pair<Published<Acc>*, int64_t>> counts, int64_t width, int*& taken,
                      Device device) {
  int64_t all = 0;
  for (const auto& [to, count] : counts) all += count;
  const int64_t flags = (4 * (1 + all) + 15) / 16 * 16;
  const Tensor room = new_tensor({flags + all * width * static_cast<int64_t>(sizeof(Acc))}, DType::UInt8, device);
  char* const p = static_cast<char*>(room.data_ptr());
  taken = reinterpret_cast<int*>(p);
  int* flag = taken + 1;
  Acc* value = reinterpret_cast<Acc*>(p + flags);
  for (const auto& [to, count] : counts) {
    *to = {flag, value};
    flag += count;
    value += count * width;
  }
  check(cudaMemsetAsync(p, 0, static_cast<size_t>(flags), norch::cuda::current_stream()), "cudaMemsetAsync");
  return room;
}

/// Scans rows by tiles.
template <class P>
void run_row_tiles(const P& p, const Lines& s, bool vectors, Device device) {
  using Acc = typename P::Acc;
  const int64_t tile = kThreads * (vectors ? kKept<Acc, 4> : kKept<Acc, 1>);
  RowTotals<Acc> t{};
  t.tiles = (s.n + tile - 1) / tile;
  t.groups = (t.tiles + t.kGroup - 1) / t.kGroup;
  t.sets = (t.groups + t.kGroup - 1) / t.kGroup;
  const Tensor room = make_published<Acc>(
      {{&t.of_tiles, s.lines * t.tiles}, {&t.of_groups, s.lines * t.groups}, {&t.of_sets, s.lines * t.sets}}, 1, t.taken,
      device);
  launch(vectors ? row_tiles_kernel<P, 4> : row_tiles_kernel<P, 1>, blocks_for(s.lines * t.tiles, 1), kThreads, 0, p, s, t);
}

/// Scans lines whose elements are not neighbours by tiles.
template <class P>
void run_line_tiles(const P& p, const Lines& s, Device device) {
  using Acc = typename P::Acc;
  constexpr int64_t kTile = kWarps * kKept<Acc>;
  LineTotals<Acc> t{};
  t.strips = (s.lines + 31) / 32;
  t.tiles = (s.n + kTile - 1) / kTile;
  t.groups = (t.tiles + t.kGroup - 1) / t.kGroup;
  const Tensor room =
      make_published<Acc>({{&t.of_tiles, t.strips * t.tiles}, {&t.bases, t.strips * t.groups}}, 32, t.taken, device);
  launch(line_tiles_kernel<P>, blocks_for(t.strips * t.tiles, 1), kThreads, 0, p, s, t);
}

}  // namespace

}  // namespace norch::kernels::cuda
