// Scans of few long lines whose elements are not neighbours, by tiles of 32 neighbouring lines; see
// kernels/cuda/scan_tiles.cuh.
#pragma once

#include "kernels/cuda/scan_tiles.cuh"

namespace norch::kernels::cuda {

namespace {

/// Totals of the tiles of strips of 32 lines, and the bases of their groups: the join of all groups before, which the
/// first tile of each group publishes. All of them 32 values, one a line.
template <class Acc>
struct LineTotals {
  static constexpr int kOfWarp = 4, kGroup = (kWarps - 1) * kOfWarp;  // tiles that a warp looks at; the last reads bases
  int64_t strips, tiles, groups;                                      // strips; tiles and groups of a strip
  int* taken;
  Published<Acc> of_tiles, bases;
};

/// A lane takes a line, a warp kItems places of it. `bytes`: of the pieces that are copied, which are of neighbouring
/// lines. Blocks that run together read neighbouring pieces of the same places.
template <class P>
__global__ void __launch_bounds__(kThreads, LineBounds<P>::kBlocks)
    line_tiles_kernel(const P p, const Lines s, const LineTotals<typename P::Acc> t, int bytes) {
  using Acc = typename P::Acc;
  using Bounds = LineBounds<P>;
  constexpr int kItems = Bounds::kItems, kOfWarp = LineTotals<Acc>::kOfWarp, kGroup = LineTotals<Acc>::kGroup;
  extern __shared__ uint4 slots[];
  __shared__ Acc warps[3][kWarps][32], groups[kWarps][32];
  const int lane = threadIdx.x % 32, warp = threadIdx.x / 32, strips = static_cast<int>(t.strips);
  const int row = 32 * p.size, part = kItems * row;  // bytes of a place, of a warp's part of an input
  char* const mine = reinterpret_cast<char*>(slots) + warp * part * P::kInputs;
  const int slot_bytes = kWarps * part * P::kInputs;
  auto first_of = [&](int tile) { return (static_cast<int64_t>(tile / strips) * kWarps + warp) * kItems; };
  auto total_at = [&](int strip, int64_t tile) { return (strip * t.tiles + tile) * 32 + lane; };
  auto base_at = [&](int strip, int64_t group) { return (strip * t.groups + group) * 32 + lane; };
  auto fetch = [&](int tile, int slot) {
    const int64_t from = first_of(tile);
    const int pieces = row / bytes, k = lane / pieces, step = 32 / pieces, lines = bytes / p.size;
    const int64_t start = s.start(min(static_cast<int64_t>(tile % strips) * 32 + lane % pieces * lines, s.lines - lines));
    const int64_t at = s.offset(start, from + k) * p.size, by = (s.reverse ? -step : step) * s.inner * p.size;
    visit_piece(bytes, [&](auto size) {
#pragma unroll 1
      for (int input = 0; input < P::kInputs; ++input) {
        char* to = mine + slot * slot_bytes + input * part + lane * size.value;
        const char* x = p.input(input) + at;
#pragma unroll 4
        for (int i = k; i < kItems; i += step) {
          copy_piece<size.value>(to, x, from + i < s.n);
          to += 32 * size.value;
          x += by;
        }
      }
    });
  };
  // Scans the warp's part of a tile; true if elements share a level.
  auto scan = [&](int tile, int slot, Acc (&items)[kItems]) {
    const int64_t from = first_of(tile);
    p.from(mine + slot * slot_bytes, part).template load<1, kItems>(items, false, [&](int k) {
      return Run{k * 32 + lane, from + k};
    });
    if constexpr (P::kLevels)
      if (p.template scan_level<kItems>(items, s.n - from)) return true;
    if (from >= s.n) items[0] = p.identity();
#pragma unroll
    for (int k = 1; k < kItems; ++k) items[k] = from + k < s.n ? p.join(items[k - 1], items[k]) : items[k - 1];
    return false;
  };
  auto sum = [&](int tile, int slot, int place) {
    Acc items[kItems];
    scan(tile, slot, items);
    warps[place][warp][lane] = items[kItems - 1];
  };
  auto publish = [&](int tile, int place) {
    if (warp != kWarps - 1) return;
    Acc all = warps[place][0][lane];
#pragma unroll 1
    for (int i = 1; i < kWarps; ++i) all = p.join(all, warps[place][i][lane]);
    t.of_tiles.put(total_at(tile % strips, tile / strips), all);
  };
  // The totals before the tile in its group, and the group's base. The first tile of a group looks at the group before,
  // whose base and totals make its own group's.
  auto makes_base = [&](int tile) { return tile / strips > 0 && tile / strips % kGroup == 0; };
  auto look_back = [&](int tile, int) {
    const int strip = tile % strips, i = tile / strips, group = (i - makes_base(tile)) / kGroup;
    Acc all = p.identity();
    if (warp == kWarps - 1) {
      Acc base[1];
      t.bases.await(base_at(strip, group), 0, group > 0, p.identity(), base);
      all = base[0];
    } else {
      const int first = group * kGroup + warp * kOfWarp;
      Acc some[kOfWarp];
      t.of_tiles.await(total_at(strip, first), 32, min(kOfWarp, i - first), p.identity(), some);
#pragma unroll
      for (int k = 0; k < kOfWarp; ++k) all = p.join(all, some[k]);
    }
    groups[warp][lane] = all;
  };
  auto finish = [&](int tile, int slot, int place, const auto& fetch_next) {
    Acc before = groups[kWarps - 1][lane];
#pragma unroll
    for (int i = 0; i < kWarps - 1; ++i) before = p.join(before, groups[i][lane]);
    if (warp == 0 && makes_base(tile)) t.bases.put(base_at(tile % strips, tile / strips / kGroup), before);
#pragma unroll 1
    for (int i = 0; i < warp; ++i) before = p.join(before, warps[place][i][lane]);
    Acc items[kItems];
    const bool level = scan(tile, slot, items);
    fetch_next();
    const int64_t line = static_cast<int64_t>(tile % strips) * 32 + lane, from = first_of(tile);
    if (line >= s.lines) return;
    if constexpr (P::kLevels)
      if (level) p.template join_level<kItems>(before, items);
    int64_t at = s.offset(s.start(line), from);
    const int64_t by = s.reverse ? -s.inner : s.inner;
#pragma unroll
    for (int k = 0; k < kItems; ++k, at += by) {
      if (from + k >= s.n) break;
      const Acc one[1] = {level ? items[k] : p.join(before, items[k])};
      p.template store<1>(at, false, one);
    }
  };
  walk_tiles<Bounds::kSlots>(t.taken, static_cast<int>(t.strips * t.tiles), fetch, sum, publish, look_back, finish);
}

/// Scans lines by tiles. `vectors`: inputs are aligned to 16 bytes.
template <class P>
void run_line_tiles(const P& p, const Lines& s, bool vectors, Device device) {
  using Acc = typename P::Acc;
  using Bounds = LineBounds<P>;
  constexpr int64_t kTile = kWarps * Bounds::kItems;
  LineTotals<Acc> t{};
  t.strips = (s.lines + 31) / 32;
  t.tiles = (s.n + kTile - 1) / kTile;
  t.groups = (t.tiles + t.kGroup - 1) / t.kGroup;
  const Tensor room =
      make_published<Acc>({{&t.of_tiles, t.strips * t.tiles * 32}, {&t.bases, t.strips * t.groups * 32}}, t.taken, device);
  launch_tiles<Bounds>(line_tiles_kernel<P>, t.strips * t.tiles, p, s, t,
                       static_cast<int>(vectors && s.inner * p.size % 16 == 0 ? 16 : p.size));
}

}  // namespace

}  // namespace norch::kernels::cuda
