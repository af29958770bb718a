// Sorting and selecting among numbered keys in memory.
#pragma once

#include <algorithm>
#include <cstdint>
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

inline constexpr int kRankLanes = 16;

/// The place in sorted order of each of n <= kRanked keys, behind which may lie anything: the number of smaller keys,
/// which vector compares count for kRankLanes keys at a time, and of equal ones before it. Keys are signed, since only these
/// have vector compares in every instruction set.
template <class S>
void rank(const S* keys, int64_t n, uint8_t* places) {
  uint8_t seen[kRanked];
  std::fill_n(seen, n, uint8_t{0});
  for (int64_t from = 0; from < n; from += kRankLanes) {
    S smaller[kRankLanes] = {};
    for (int64_t j = 0; j < n; ++j) {
      const S key = keys[j];
#pragma omp simd
      for (int l = 0; l < kRankLanes; ++l) smaller[l] += key < keys[from + l] ? 1 : 0;
    }
    for (int64_t i = from; i < std::min(from + kRankLanes, n); ++i) {
      const S below = smaller[i - from];
      places[i] = static_cast<uint8_t>(below + seen[below]++);
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
