// What the scans of long lines share. Lines are cut into tiles, and each element is read once and stored once.
//
// Blocks stay, and take tiles in the order of a counter, so that the tiles before their own are done or under way. The
// next tiles of a block are on their way to shared memory meanwhile. It publishes the total of its next tile before it
// waits for what lies before its present one: by then the others, too, have published those totals, and nobody waits
// for long. They are joined in an order that depends on the shape alone, not on which of them happen to be there.
#pragma once

#include <initializer_list>
#include <utility>

#include "kernels/cuda/copy_ahead.cuh"
#include "kernels/cuda/scan_warps.cuh"

namespace norch::kernels::cuda {

namespace {

constexpr int kWarps = kThreads / 32;

/// How blocks work: the elements of a tile that a thread scans; the tiles that a block has in shared memory or on their
/// way there; and the blocks that share a multiprocessor's registers. Measured on an H200.
template <class P>
struct TileBounds {
  static constexpr bool kWord = sizeof(typename P::Acc) == 4;
  static constexpr int kItems = kWord ? 32 : 64 / P::kBytes, kSlots = kWord ? 2 : 3, kBlocks = 3;
};
/// For lines of elements that may share a level: the more of them, the fewer joins.
template <class P>
struct LevelBounds {
  static constexpr int kItems = 96 / P::kBytes, kSlots = 3, kBlocks = 2;
};
template <class P>
using LineBounds = std::conditional_t<P::kLevels, LevelBounds<P>, TileBounds<P>>;

template <class Bounds, class P>
size_t bytes_of_slots(const P& p) {
  return static_cast<size_t>(Bounds::kSlots * kThreads * Bounds::kItems * p.size * P::kInputs);
}
/// Whether a block can have that much shared memory, beside what it knows of tiles.
template <class Bounds, class P>
bool has_room(const P& p) {
  constexpr size_t kBeside = 256 + 4 * kThreads * sizeof(typename P::Acc);
  return bytes_of_slots<Bounds>(p) + kBeside <= static_cast<size_t>(limits().shared_memory_per_block);
}

/// Values that blocks tell each other, in words of 32 bits, each beside a mark that it is there.
template <class Acc>
struct Published {
  static constexpr int kWords = sizeof(Acc) / 4;
  static_assert(sizeof(Acc) % 4 == 0, "");
  using Cell = unsigned long long;
  Cell* cells;

  __device__ __forceinline__ void put(int64_t at, const Acc& value) const {
    uint32_t words[kWords];
    memcpy(words, &value, sizeof(Acc));
#pragma unroll
    for (int w = 0; w < kWords; ++w) static_cast<volatile Cell*>(cells)[at * kWords + w] = Cell{1} << 32 | words[w];
  }
  /// Waits for `count` values, up to N, that are `step` apart; the others become `none`.
  template <int N>
  __device__ __forceinline__ void await(int64_t at, int64_t step, int count, const Acc& none, Acc (&values)[N]) const {
    Cell cell[N][kWords];
    bool all;
    do {
      all = true;
#pragma unroll
      for (int k = 0; k < N; ++k)
#pragma unroll
        for (int w = 0; w < kWords; ++w)
          cell[k][w] = k < count ? static_cast<volatile Cell*>(cells)[(at + k * step) * kWords + w] : Cell{1} << 32;
#pragma unroll
      for (int k = 0; k < N; ++k)
#pragma unroll
        for (int w = 0; w < kWords; ++w) all &= cell[k][w] >> 32 != 0;
    } while (!all);
#pragma unroll
    for (int k = 0; k < N; ++k) {
      uint32_t words[kWords];
#pragma unroll
      for (int w = 0; w < kWords; ++w) words[w] = static_cast<uint32_t>(cell[k][w]);
      Acc value;
      memcpy(&value, words, sizeof(Acc));
      values[k] = k < count ? value : none;
    }
  }
};

/// Room for what blocks publish, `counts` values, of which none is there, and for the counter.
template <class Acc>
Tensor make_published(std::initializer_list<std::pair<Published<Acc>*, int64_t>> counts, int*& taken, Device device) {
  using Cell = typename Published<Acc>::Cell;
  int64_t all = 1;
  for (const auto& [to, count] : counts) all += count * Published<Acc>::kWords;
  const int64_t bytes = all * static_cast<int64_t>(sizeof(Cell));
  const Tensor room = new_tensor({bytes}, DType::UInt8, device);
  Cell* cell = static_cast<Cell*>(room.data_ptr());
  taken = reinterpret_cast<int*>(cell++);
  for (const auto& [to, count] : counts) {
    to->cells = cell;
    cell += count * Published<Acc>::kWords;
  }
  check(cudaMemsetAsync(room.data_ptr(), 0, static_cast<size_t>(bytes), norch::cuda::current_stream()), "cudaMemsetAsync");
  return room;
}

/// Calls f(std::integral_constant<int, bytes>) for a power of 2 up to 32.
template <class F>
__device__ __forceinline__ void visit_piece(int bytes, const F& f) {
  switch (bytes) {
    case 32: return f(std::integral_constant<int, 32>{});
    case 16: return f(std::integral_constant<int, 16>{});
    case 8: return f(std::integral_constant<int, 8>{});
    case 4: return f(std::integral_constant<int, 4>{});
    case 2: return f(std::integral_constant<int, 2>{});
    default: return f(std::integral_constant<int, 1>{});
  }
}
/// Copies a piece to shared memory, if it can without waiting for it, or clears it if it is not `inside`.
template <int kBytes>
__device__ __forceinline__ void copy_piece(char* to, const char* from, bool inside) {
  if (!inside) {
    using Word = std::conditional_t<kBytes >= 4, uint32_t, uint8_t>;
#pragma unroll
    for (int i = 0; i < kBytes / static_cast<int>(sizeof(Word)); ++i) reinterpret_cast<Word*>(to)[i] = 0;
  } else if constexpr (kBytes == 32) {
    copy_ahead<16>(to, from);
    copy_ahead<16>(to + 16, from + 16);
  } else if constexpr (kBytes >= 4) {
    copy_ahead<kBytes>(to, from);
  } else {
    memcpy(to, from, kBytes);
  }
}

/// Takes tiles, of `all`, as long as there are any. What a warp fetches it alone reads. A tile is called by its number,
/// its slot, and its place among three, for what a block knows of it:
///   fetch(tile, slot)         starts the warp's copies
///   sum(tile, slot, place)    leaves the warp's total in the place
///   publish(tile, place)      the block's total
///   look_back(tile, place)    leaves what lies before the tile where finish finds it
///   finish(tile, slot, place, fetch_next)   scans and stores; calls fetch_next() when it has read the slot
template <int kSlots, class Fetch, class Sum, class Publish, class LookBack, class Finish>
__device__ __forceinline__ void walk_tiles(int* taken, int all, const Fetch& fetch, const Sum& sum, const Publish& publish,
                                           const LookBack& look_back, const Finish& finish) {
  __shared__ int ring[kSlots + 1];  // tiles, from `turn` on
  if (threadIdx.x == 0) {
    // Each is taken when the one before is there, so that the first tiles of all blocks come before the second ones of
    // any.
    int last = 0;
    for (int k = 0; k < kSlots; ++k) ring[k] = last = atomicAdd(taken + (last < 0), 1);
  }
  __syncthreads();
  auto start = [&](int tile, int slot) {
    if (tile < all) fetch(tile, slot);
    copy_group();
  };
#pragma unroll 1
  for (int k = 0; k < kSlots; ++k) start(ring[k], k);
  int tile = ring[0], slot = 0, place = 0, turn = 0;
  copy_wait<kSlots - 1>();
  __syncwarp();
  if (tile < all) sum(tile, slot, place);
  __syncthreads();
  if (tile < all) publish(tile, place);
  while (tile < all) {
    const int next_turn = turn < kSlots ? turn + 1 : 0, free_turn = turn > 0 ? turn - 1 : kSlots;
    const int next = ring[next_turn], next_slot = slot + 1 < kSlots ? slot + 1 : 0, next_place = place < 2 ? place + 1 : 0;
    int ticket = 0;
    if (threadIdx.x == 0) ticket = atomicAdd(taken, 1);
    copy_wait<kSlots - 2>();
    __syncwarp();
    if (next < all) sum(next, next_slot, next_place);
    __syncthreads();
    if (next < all) publish(next, next_place);
    look_back(tile, place);
    if (threadIdx.x == 0) ring[free_turn] = ticket;
    __syncthreads();
    finish(tile, slot, place, [&] {
      __syncwarp();
      start(ring[free_turn], slot);
    });
    tile = next;
    slot = next_slot;
    place = next_place;
    turn = next_turn;
  }
}

/// Launches a kernel that walks over `tiles`, with as many blocks as there is room for.
template <class Bounds, class P, class... K, class... A>
void launch_tiles(void (*kernel)(P, K...), int64_t tiles, const P& p, const A&... arguments) {
  const size_t shared = bytes_of_slots<Bounds>(p);
  detail::allow_shared_memory(reinterpret_cast<const void*>(kernel), shared);  // there is some beside it
  const int64_t room = limits().multiprocessors * Bounds::kBlocks;
  launch(kernel, blocks_for(std::min(tiles, room), 1), kThreads, shared, p, arguments...);
}

}  // namespace

}  // namespace norch::kernels::cuda
