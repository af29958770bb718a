// Sorting and selecting among numbered keys in memory.
#pragma once

#include <algorithm>
#include <cstdint>
#include <cstring>
#include <type_traits>
#include <utility>

#include "kernels/kernel.h"

namespace norch::kernels::cpu::NORCH_ISA {

inline constexpr int64_t kRanked = 128;  // up to this length a row is sorted by comparing all pairs
inline constexpr int64_t kBlock = 64;

/// A key and where it was: for keys of up to 32 bits in one number, so that comparing is one instruction.
template <class U>
struct Item {
  uint64_t both;
  Item() = default;
  Item(U key, int64_t index) : both((static_cast<uint64_t>(key) << 32) | static_cast<uint64_t>(index)) {}
  int64_t index() const { return static_cast<int64_t>(both & 0xFFFFFFFFu); }
  U key() const { return static_cast<U>(both >> 32); }
  bool operator<(const Item& o) const { return both < o.both; }
};
template <>
struct Item<uint64_t> {
  uint64_t bits;
  int64_t at;
  Item() = default;
  Item(uint64_t k, int64_t index) : bits(k), at(index) {}
  int64_t index() const { return at; }
  uint64_t key() const { return bits; }
  bool operator<(const Item& o) const { return (bits < o.bits) | ((bits == o.bits) & (at < o.at)); }
};

// ---- sorting items: `other` is room for n more, items with equal keys are in the order of their indices before and
// after, and the result is where the returned pointer says

/// Bytes of the vectors of keys. Not 64: comparisons go to mask registers then, of which processors do one at a time.
#if defined(__AVX2__)
inline constexpr int kRankBytes = 32;
#else
inline constexpr int kRankBytes = 16;
#endif
inline constexpr int kRankLanes = 8;  // keys of a vector, at most

/// The places in sorted order of the keys from `from` on that fill V vectors, among n: the number of smaller keys, and of
/// equal ones before each.
template <int V, class S>
void rank_vectors(const S* keys, int64_t n, int64_t from, uint8_t* places) {
  typedef S Vector __attribute__((vector_size(kRankBytes)));
  typedef S Loaded __attribute__((vector_size(kRankBytes), aligned(alignof(S)), may_alias));
  constexpr int64_t kWidth = kRankBytes / sizeof(S);
  Vector own[V], place[V], lane;
  for (int64_t l = 0; l < kWidth; ++l) lane[l] = static_cast<S>(l);
  // Keys in vectors before a key count if they are not greater. All of them are counted first, since comparisons are -1
  // where they hold, and it takes one more instruction to turn one round.
  for (int v = 0; v < V; ++v) {
    own[v] = *reinterpret_cast<const Loaded*>(keys + from + v * kWidth);
    place[v] = Vector{} + static_cast<S>(from + v * kWidth);
  }
  for (int64_t j = 0; j < from; ++j)
    for (int v = 0; v < V; ++v) place[v] += own[v] < keys[j];
#pragma GCC unroll 4
  for (int u = 0; u < V; ++u) {
    const int64_t first = from + u * kWidth, count = std::min(kWidth, n - first);
    for (int64_t j = 0; j < count; ++j) {
      const S key = keys[first + j];
      for (int v = 0; v < u; ++v) place[v] -= key < own[v];
      place[u] -= (key < own[u]) | ((key == own[u]) & (static_cast<S>(j) < lane));
      for (int v = u + 1; v < V; ++v) place[v] += own[v] < key;
    }
  }
  for (int64_t j = from + V * kWidth; j < n; ++j)
    for (int v = 0; v < V; ++v) place[v] -= keys[j] < own[v];
  S all[V * kWidth];
  std::memcpy(all, place, sizeof all);
  const int64_t count = std::min(V * kWidth, n - from);
  for (int64_t i = 0; i < count; ++i) places[from + i] = static_cast<uint8_t>(all[i]);
}

/// The place in sorted order of each of n <= kRanked keys, behind which kRankLanes more may be read. Keys are signed,
/// since only these have vector compares in every instruction set.
template <class S>
void rank(const S* keys, int64_t n, uint8_t* places) {
  constexpr int64_t kWidth = kRankBytes / sizeof(S);
  for (int64_t from = 0; from < n; from += 4 * kWidth) {
    switch ((n - from - 1) / kWidth) {
      case 0: rank_vectors<1>(keys, n, from, places); break;
      case 1: rank_vectors<2>(keys, n, from, places); break;
      case 2: rank_vectors<3>(keys, n, from, places); break;
      default: rank_vectors<4>(keys, n, from, places);
    }
  }
}

/// The signed number that orders as an unsigned one does.
template <class U>
inline std::make_signed_t<U> as_signed(U key) {
  return static_cast<std::make_signed_t<U>>(key ^ (U(1) << (8 * sizeof(U) - 1)));
}

template <class U>
Item<U>* rank_sort(Item<U>* items, Item<U>* other, int64_t n) {
  using S = std::make_signed_t<U>;
  S keys[kRanked + kRankLanes] = {};
  uint8_t places[kRanked];
  for (int64_t i = 0; i < n; ++i) keys[i] = as_signed(items[i].key());
  rank(keys, n, places);
  for (int64_t i = 0; i < n; ++i) other[places[i]] = items[i];
  return other;
}

/// By key, least significant digit first.
template <int kBits, class U>
Item<U>* radix_sort(Item<U>* items, Item<U>* other, int64_t n, int64_t* counts) {
  constexpr int kDigits = 1 << kBits, kPasses = (8 * static_cast<int>(sizeof(U)) + kBits - 1) / kBits;
  auto digit = [](const Item<U>& item, int pass) { return (item.key() >> (pass * kBits)) & (kDigits - 1); };
  std::fill_n(counts, kPasses * kDigits, 0);
  for (int64_t i = 0; i < n; ++i)
    for (int p = 0; p < kPasses; ++p) ++counts[static_cast<size_t>(p * kDigits) + digit(items[i], p)];
  for (int p = 0; p < kPasses; ++p) {
    int64_t* count = counts + p * kDigits;
    if (count[digit(items[0], p)] == n) continue;  // all alike here
    int64_t at = 0;
    for (int d = 0; d < kDigits; ++d) at += std::exchange(count[d], at);
    for (int64_t i = 0; i < n; ++i) other[count[digit(items[i], p)]++] = items[i];
    std::swap(items, other);
  }
  return items;
}
constexpr int64_t kCounts = 6 * 2048;  // of the longest keys, at the larger of the two digit widths

template <class U>
Item<U>* sort_items(Item<U>* items, Item<U>* other, int64_t n, int64_t* counts) {
  if (n <= kRanked) return rank_sort<U>(items, other, n);
  return n < 8192 ? radix_sort<8, U>(items, other, n, counts) : radix_sort<11, U>(items, other, n, counts);
}

/// Puts the item of rank k at place k, what is smaller before it: quickselect without branches in its inner loop.
template <class I>
void select_item(I* items, int64_t n, int64_t k) {
  int64_t work = 16 * n;
  while (n > 32) {
    if ((work -= n) < 0) {  // unlucky pivots
      std::nth_element(items, items + k, items + n);
      return;
    }
    I sample[5] = {items[n / 8], items[n / 4], items[n / 2], items[n - n / 4], items[n - n / 8]};
    std::sort(sample, sample + 5);
    // The pivot is taken from the side on which k lies, so that the smaller part is more often the one that is left.
    const I pivot = sample[k * 8 < n ? 1 : k * 8 > 7 * n ? 3 : 2];
    int64_t less = 0;
    for (int64_t i = 0; i < n; ++i) {
      const I item = items[i];
      items[i] = items[less];
      items[less] = item;
      less += item < pivot ? 1 : 0;
    }
    if (k < less) {
      n = less;
    } else if (less > 0) {
      items += less;
      k -= less;
      n -= less;
    } else {  // the pivot is the smallest
      std::iter_swap(items, std::min_element(items, items + n));
      if (k == 0) return;
      ++items;
      --k;
      --n;
    }
  }
  std::nth_element(items, items + k, items + n);
}

}  // namespace norch::kernels::cpu::NORCH_ISA
