// Scans of few long rows, by tiles of a row; see kernels/cuda/scan_tiles.cuh.
#pragma once

#include "kernels/cuda/scan_tiles.cuh"

namespace norch::kernels::cuda {

namespace {

/// Totals of a row's tiles, of its groups of kGroup tiles, one for each thread to read, and of sets of kSet groups.
template <class Acc>
struct RowTotals {
  static constexpr int kGroup = kThreads, kSet = 32;
  int64_t tiles, groups, sets;  // of a row
  int* taken;
  Published<Acc> of_tiles, of_groups, of_sets;
};

/// Awaits `count` published values and joins them in their order, by a warp.
template <class P>
__device__ __forceinline__ typename P::Acc join_published(const P& p, const Published<typename P::Acc>& from, int64_t first,
                                                          int64_t count) {
  using Acc = typename P::Acc;
  Acc all = p.identity();
  for (int64_t i = threadIdx.x % 32; i - threadIdx.x % 32 < count; i += 32) {
    Acc one[1];
    from.await(first + i, 0, i < count, p.identity(), one);
    __syncwarp();
    warp_before(p, one[0]);
    all = p.join(all, from_last_lane(one[0]));
  }
  return all;
}

/// N elements at a time (n is a multiple of N). A total is that of 32 runs of kItems neighbours, one a lane, whose
/// pieces of N elements lie in shared memory so that the lanes' reads do not meet in a bank; the scan goes by runs of
/// N.
template <class P, int N>
__global__ void __launch_bounds__(kThreads, TileBounds<P>::kBlocks)
    row_tiles_kernel(const P p, const Lines s, const RowTotals<typename P::Acc> t) {
  using Acc = typename P::Acc;
  using Bounds = TileBounds<P>;
  constexpr int kItems = Bounds::kItems, kPieces = kItems / N, kOfWarp = 32 * kPieces;
  constexpr int kGroup = RowTotals<Acc>::kGroup, kSet = RowTotals<Acc>::kSet;
  extern __shared__ uint4 slots[];
  __shared__ Acc warps[3][kWarps], earlier[kWarps + 2];
  const int lane = threadIdx.x % 32, warp = threadIdx.x / 32, tiles = static_cast<int>(t.tiles);
  const int bytes = N * p.size, part = kOfWarp * bytes;  // of a piece, of a warp's part of an input
  char* const mine = reinterpret_cast<char*>(slots) + warp * part * P::kInputs;
  const int slot_bytes = kWarps * part * P::kInputs;
  auto first_of = [&](int tile) { return (static_cast<int64_t>(tile % tiles) * kWarps + warp) * kOfWarp * N; };
  // Where the piece lies that comes `i`th in the scan.
  auto piece = [&](int i) {
    const int in_memory = s.reverse ? kOfWarp - 1 - i : i, run = in_memory / kPieces;
    return run * kPieces + ((in_memory ^ run) & (kPieces - 1));
  };
  auto fetch = [&](int tile, int slot) {
    const int64_t from = first_of(tile), row = tile / tiles * s.n;
    visit_piece(bytes, [&](auto size) {
#pragma unroll 1
      for (int input = 0; input < P::kInputs; ++input) {
        char* const to = mine + slot * slot_bytes + input * part;
#pragma unroll
        for (int u = 0; u < kPieces; ++u) {
          const int64_t i = from + (u * 32 + lane) * N, at = row + (s.reverse ? s.n - N - i : i);
          copy_piece<size.value>(to + piece(u * 32 + lane) * size.value, p.input(input) + at * p.size, i < s.n);
        }
      }
    });
  };
  auto sum = [&](int tile, int slot, int place) {
    const int64_t from = first_of(tile) + lane * kItems;
    Acc items[kItems];
    p.from(mine + slot * slot_bytes, part).template load<N, kPieces>(items, s.reverse, [&](int u) {
      return Run{piece(lane * kPieces + u) * N, from + u * N};
    });
    Acc upto = from < s.n ? items[0] : p.identity();
#pragma unroll
    for (int k = 1; k < kItems; ++k)
      if (from + k < s.n) upto = p.join(upto, items[k]);
    warp_before(p, upto);
    if (lane == 31) warps[place][warp] = upto;
  };
  auto total = [&](int place) {
    Acc all = warps[place][0];
#pragma unroll
    for (int i = 1; i < kWarps; ++i) all = p.join(all, warps[place][i]);
    return all;
  };
  auto publish = [&](int tile, int place) {
    if (threadIdx.x == kThreads - 1) t.of_tiles.put(tile, total(place));
  };
  // The sets before, the groups before in the tile's set, and the tiles before in its group, 32 a warp.
  auto look_back = [&](int tile, int) {
    const int64_t row = tile / tiles;
    const int group = tile % tiles / kGroup, set = group / kSet, in_group = tile % tiles % kGroup, first = warp * 32;
    const Acc all = join_published(p, t.of_tiles, tile - in_group + first, min(32, in_group - first));
    if (lane == 0) earlier[2 + warp] = all;
    if (warp == 0) {
      const Acc groups = join_published(p, t.of_groups, row * t.groups + set * kSet, group % kSet);
      if (lane == 0) earlier[1] = groups;
    } else if (warp == 1) {
      const Acc sets = join_published(p, t.of_sets, row * t.sets, set);
      if (lane == 0) earlier[0] = sets;
    }
  };
  auto finish = [&](int tile, int slot, int place, const auto& fetch_next) {
    const int64_t row = tile / tiles;
    const int group = tile % tiles / kGroup;
    Acc carry = earlier[2];
#pragma unroll
    for (int i = 1; i < kWarps; ++i) carry = p.join(carry, earlier[2 + i]);
    if (threadIdx.x == 0 && tile % tiles % kGroup == kGroup - 1) {
      const Acc all = p.join(carry, total(place));
      t.of_groups.put(row * t.groups + group, all);
      if (group % kSet == kSet - 1) t.of_sets.put(row * t.sets + group / kSet, p.join(earlier[1], all));
    }
    carry = p.join(p.join(earlier[0], earlier[1]), carry);
#pragma unroll 1
    for (int i = 0; i < warp; ++i) carry = p.join(carry, warps[place][i]);
    const int64_t from = first_of(tile) + lane * N;
    Acc items[kItems];
    p.from(mine + slot * slot_bytes, part).template load<N, kPieces>(items, s.reverse, [&](int u) {
      return Run{piece(u * 32 + lane) * N, from + u * 32 * N};
    });
    fetch_next();
#pragma unroll
    for (int u = 0; u < kPieces; ++u) {
      const int64_t i = from + u * 32 * N;
      const bool inside = i < s.n;
      Acc run[N];
      run[0] = inside ? items[u * N] : p.identity();
#pragma unroll
      for (int j = 1; j < N; ++j) run[j] = inside ? p.join(run[j - 1], items[u * N + j]) : run[0];
      Acc upto = run[N - 1];
      const Acc before = p.join(carry, warp_before(p, upto));
      carry = p.join(carry, from_last_lane(upto));
#pragma unroll
      for (int j = 0; j < N; ++j) run[j] = p.join(before, run[j]);
      if (inside) p.template store<N>(row * s.n + (s.reverse ? s.n - N - i : i), s.reverse, run);
    }
  };
  walk_tiles<Bounds::kSlots>(t.taken, static_cast<int>(s.lines * t.tiles), fetch, sum, publish, look_back, finish);
}

/// Scans rows by tiles. `vectors`: by 4 elements, where n is a multiple of 4 and arrays are aligned to 16 bytes.
template <class P>
void run_row_tiles(const P& p, const Lines& s, bool vectors, Device device) {
  using Acc = typename P::Acc;
  using Bounds = TileBounds<P>;
  constexpr int64_t kTile = kThreads * Bounds::kItems;
  RowTotals<Acc> t{};
  t.tiles = (s.n + kTile - 1) / kTile;
  t.groups = (t.tiles + t.kGroup - 1) / t.kGroup;
  t.sets = (t.groups + t.kSet - 1) / t.kSet;
  const Tensor room = make_published<Acc>(
      {{&t.of_tiles, s.lines * t.tiles}, {&t.of_groups, s.lines * t.groups}, {&t.of_sets, s.lines * t.sets}}, t.taken, device);
  launch_tiles<Bounds>(vectors ? row_tiles_kernel<P, 4> : row_tiles_kernel<P, 1>, s.lines * t.tiles, p, s, t);
}

}  // namespace

}  // namespace norch::kernels::cuda
