#include "kernels/sort.h"

#include <algorithm>
#include <memory>
#include <type_traits>

#include "kernels/cpu/parallel.h"

namespace norch::kernels::cpu::NORCH_ISA {

namespace {

constexpr int64_t kBlock = 64;

/// A key and where it was: for keys of up to 32 bits in one number, so that comparing is one instruction.
template <class U, bool kSmall = sizeof(U) <= 4>
struct Item {
  uint64_t both;
  Item() = default;
  Item(U key, int64_t index) : both((static_cast<uint64_t>(key) << 32) | static_cast<uint64_t>(index)) {}
  int64_t index() const { return static_cast<int64_t>(both & 0xFFFFFFFFu); }
  U key() const { return static_cast<U>(both >> 32); }
  uint64_t digit(int shift) const { return (both >> (32 + shift)); }
  bool operator<(const Item& o) const { return both < o.both; }
};
template <class U>
struct Item<U, false> {
  uint64_t bits;
  int64_t at;
  Item() = default;
  Item(U k, int64_t index) : bits(k), at(index) {}
  int64_t index() const { return at; }
  U key() const { return bits; }
  uint64_t digit(int shift) const { return bits >> shift; }
  bool operator<(const Item& o) const { return bits != o.bits ? bits < o.bits : at < o.at; }
};

/// Sorts by key, least significant digit first; `other` is room for n items. Returns where the result lies.
template <class U>
Item<U>* radix_sort(Item<U>* items, Item<U>* other, int64_t n) {
  constexpr int kBits = sizeof(U) == 1 ? 8 : sizeof(U) == 2 ? 8 : 11, kDigits = 1 << kBits;
  constexpr int kPasses = (8 * static_cast<int>(sizeof(U)) + kBits - 1) / kBits;
  const std::unique_ptr<int64_t[]> counts(new int64_t[kPasses * kDigits]());
  for (int64_t i = 0; i < n; ++i)
    for (int p = 0; p < kPasses; ++p) ++counts[static_cast<size_t>(p * kDigits) + (items[i].digit(p * kBits) & (kDigits - 1))];
  for (int p = 0; p < kPasses; ++p) {
    int64_t* count = counts.get() + p * kDigits;
    if (count[items[0].digit(p * kBits) & (kDigits - 1)] == n) continue;  // all alike here
    int64_t at = 0;
    for (int d = 0; d < kDigits; ++d) at += std::exchange(count[d], at);
    for (int64_t i = 0; i < n; ++i) other[count[items[i].digit(p * kBits) & (kDigits - 1)]++] = items[i];
    std::swap(items, other);
  }
  return items;
}

template <class T>
struct Rows {
  using U = SortKey<T>;
  using I = Item<U>;
  const T* x;
  T* values;
  int64_t* indices;
  int64_t n;

  Rows(const Tensor& in, const Tensor& v, const Tensor& i, int64_t columns)
      : x(static_cast<const T*>(in.data_ptr())),
        values(v.defined() ? static_cast<T*>(v.data_ptr()) : nullptr),
        indices(i.data<int64_t>()),
        n(columns) {
    NORCH_CHECK(sizeof(U) == 8 || n <= int64_t{0xFFFFFFFF}, "sort: a row of ", n, " elements is too long");
  }
  void fill(I* items, int64_t row, bool descending) const {
    for (int64_t j = 0; j < n; ++j) items[j] = I(sort_key(x[row * n + j], descending), j);
  }
  void store(const I* items, int64_t row, int64_t count) const {
    for (int64_t j = 0; j < count; ++j) {
      const int64_t index = items[j].index();
      indices[row * count + j] = index;
      if (values) values[row * count + j] = x[row * n + index];
    }
  }
  /// Calls f(row, room for `room` items) for every row.
  template <class F>
  static void each(int64_t rows, int64_t room, int64_t work, const F& f) {
    parallel_for(rows, 1 + 4096 / (work + 1), [&](int64_t begin, int64_t end) {
      const std::unique_ptr<I[]> items(new I[static_cast<size_t>(room)]);
      for (int64_t r = begin; r < end; ++r) f(r, items.get());
    });
  }
};

}  // namespace

void sort(bool descending, int64_t rows, int64_t n, const Tensor& values, const Tensor& indices, const Tensor& in) {
  visit_all(in.dtype(), [&](auto tag) {
    using R = Rows<typename decltype(tag)::type>;
    const R r(in, values, indices, n);
    const bool radix = n > 1500;
    R::each(rows, radix ? 2 * n : n, n * 8, [&](int64_t row, typename R::I* items) {
      r.fill(items, row, descending);
      if (radix)
        items = radix_sort<typename R::U>(items, items + n, n);
      else
        std::sort(items, items + n);
      r.store(items, row, n);
    });
  });
}

void topk(bool largest, int64_t rows, int64_t n, int64_t k, const Tensor& values, const Tensor& indices,
          const Tensor& in) {
  if (k == 0) return;
  visit_all(in.dtype(), [&](auto tag) {
    using R = Rows<typename decltype(tag)::type>;
    using I = typename R::I;
    const R r(in, values, indices, n);
    const bool few = k * 64 <= n;
    R::each(rows, few ? k : n, n, [&](int64_t row, I* items) {
      if (few) {
        // A heap of the best k so far, the worst of them on top.
        for (int64_t j = 0; j < k; ++j) items[j] = I(sort_key(r.x[row * n + j], largest), j);
        std::make_heap(items, items + k);
        for (int64_t from = k; from < n; from += kBlock) {
          // Most blocks hold nothing better: finding that out is a loop without branches.
          typename R::U keys[kBlock];
          const int64_t count = std::min(kBlock, n - from);
          const typename R::U worst = items[0].key();
          int better = 0;
          for (int64_t j = 0; j < count; ++j) {
            keys[j] = sort_key(r.x[row * n + from + j], largest);
            better |= keys[j] < worst;
          }
          if (!better) continue;
          for (int64_t j = 0; j < count; ++j) {
            const I item(keys[j], from + j);
            if (!(item < items[0])) continue;
            std::pop_heap(items, items + k);
            items[k - 1] = item;
            std::push_heap(items, items + k);
          }
        }
        std::sort_heap(items, items + k);
      } else {
        r.fill(items, row, largest);
        if (k < n) std::nth_element(items, items + k - 1, items + n);
        std::sort(items, items + k);
      }
      r.store(items, row, k);
    });
  });
}

void kth(int64_t rows, int64_t n, int64_t k, const Tensor& values, const Tensor& indices, const Tensor& in) {
  visit_all(in.dtype(), [&](auto tag) {
    using R = Rows<typename decltype(tag)::type>;
    const R r(in, values, indices, n);
    R::each(rows, n, n, [&](int64_t row, typename R::I* items) {
      r.fill(items, row, false);
      std::nth_element(items, items + k, items + n);
      r.store(items + k, row, 1);
    });
  });
}

}  // namespace norch::kernels::cpu::NORCH_ISA
