#include "kernels/sort.h"

#include <algorithm>
#include <limits>
#include <memory>
#include <type_traits>
#include <utility>

#include "core/factory.h"
#include "kernels/cpu/parallel.h"
#include "kernels/cpu/sort_items.h"
#include "kernels/ties.h"

namespace norch::kernels::cpu::NORCH_ISA {

namespace {

// ---- rows of a tensor

/// The sort keys of n elements, less `base`.
template <class U>
using LoadKeys = void (*)(const char* x, int64_t n, bool descending, uint64_t base, U* keys);

template <class T, class U>
void load_keys(const char* x, int64_t n, bool descending, uint64_t base, U* keys) {
  const T* p = reinterpret_cast<const T*>(x);
#pragma omp simd
  for (int64_t j = 0; j < n; ++j) keys[j] = static_cast<U>(sort_key(p[j], descending) - base);
}

/// The rows of a call, with the room that one thread needs for one of them.
template <class U>
class Rows {
 public:
  using I = Item<U>;

  /// Keys of int64 elements that lie within 32 bits of each other may be of 32 bits, counted from the smallest, `base`.
  Rows(const Tensor& in, const Tensor& values, const Tensor& indices, int64_t n, bool descending, uint64_t base = 0)
      : in_(in), values_(values), indices_(indices.data<int64_t>()), n_(n), descending_(descending), base_(base) {
    NORCH_CHECK(sizeof(U) == 8 || n <= int64_t{0xFFFFFFFF}, "sort: a row of ", n, " elements is too long");
    visit_all(in.dtype(), [&](auto tag) {
      using T = typename decltype(tag)::type;
      if constexpr ((sizeof(T) == 8) == (sizeof(U) == 8) || std::is_same_v<T, int64_t>) load_ = load_keys<T, U>;
    });
  }
  int64_t n() const { return n_; }
  /// Keys of `count` elements, which may go on in the next rows.
  void keys(int64_t row, int64_t from, int64_t count, U* keys) const {
    const int64_t size = static_cast<int64_t>(in_.itemsize());
    load_(static_cast<const char*>(in_.data_ptr()) + (row * n_ + from) * size, count, descending_, base_, keys);
  }
  void fill(int64_t row, I* items) const {
    U some[4 * kBlock];
    for (int64_t j = 0; j < n_; j += 4 * kBlock) {
      const int64_t count = std::min(4 * kBlock, n_ - j);
      keys(row, j, count, some);
      for (int64_t i = 0; i < count; ++i) items[j + i] = I(some[i], j + i);
    }
  }
  void store(int64_t row, const I* items, int64_t count) const {
    int64_t* index = indices_ + row * count;
    for (int64_t j = 0; j < count; ++j) index[j] = items[j].index();
    if (!values_.defined()) return;
    visit_width(in_.dtype(), [&](auto tag) {
      using W = typename decltype(tag)::type;
      const W* x = static_cast<const W*>(in_.data_ptr()) + row * n_;
      W* y = static_cast<W*>(values_.data_ptr()) + row * count;
      for (int64_t j = 0; j < count; ++j) y[j] = x[index[j]];
    });
  }
  /// Stores those of the elements of `rows` rows whose places are below `count`.
  void store_places(int64_t row, int64_t rows, const uint8_t* places, int64_t count) const {
    visit_width(in_.dtype(), [&](auto tag) {
      using W = typename decltype(tag)::type;
      for (int64_t last = row + rows; row < last; ++row, places += n_) {
        const W* x = static_cast<const W*>(in_.data_ptr()) + row * n_;
        W* y = values_.defined() ? static_cast<W*>(values_.data_ptr()) + row * count : nullptr;
        int64_t* index = indices_ + row * count;
        // All are put in order, without a branch that would go either way, and the first of them are kept.
        int64_t at[kRanked];
        for (int64_t i = 0; i < n_; ++i) at[places[i]] = i;
        std::copy_n(at, count, index);
        if (y)
          for (int64_t j = 0; j < count; ++j) y[j] = x[at[j]];
      }
    });
  }

 private:
  const Tensor& in_;
  const Tensor& values_;
  int64_t* indices_;
  int64_t n_;
  bool descending_;
  uint64_t base_;
  LoadKeys<U> load_ = nullptr;
};

template <class U>
struct Room {
  std::unique_ptr<Item<U>[]> items, other;
  std::unique_ptr<int64_t[]> counts;
  explicit Room(int64_t n)
      : items(new Item<U>[static_cast<size_t>(n)]),
        other(new Item<U>[static_cast<size_t>(n)]),
        counts(n > kRanked ? new int64_t[kCounts] : nullptr) {}
};

/// Calls f(row, room) for every row of n elements.
template <class U, class F>
void each_row(int64_t rows, int64_t n, const F& f) {
  parallel_for(rows, 1 + 2048 / n, [&](int64_t begin, int64_t end) {
    Room<U> room(n);
    for (int64_t r = begin; r < end; ++r) f(r, room);
  });
}

/// Calls f(U()) with the type of sort keys of `t`.
template <class F>
void visit_key(DType t, const F& f) {
  if (itemsize(t) == 8)
    f(uint64_t{});
  else
    f(uint32_t{});
}

/// Whether the keys of long rows of int64 lie within 32 bits of each other: numbers of things mostly do, and take half the
/// room and a third of the passes then. `base` becomes the smallest key.
bool are_narrow(const Tensor& in, int64_t n, bool descending, uint64_t& base) {
  if (in.dtype() != DType::Int64 || n <= kRanked) return false;
  const int64_t* x = in.data<int64_t>();
  int64_t low = x[0], high = x[0];
  for (int64_t i = 0, numel = in.numel(); i < numel; ++i) {
    low = std::min(low, x[i]);
    high = std::max(high, x[i]);
  }
  base = sort_key(descending ? high : low, descending);
  return static_cast<uint64_t>(high) - static_cast<uint64_t>(low) <= 0xFFFFFFFFu;
}

constexpr int64_t kShortRows = 8 * kRanked;  // elements of short rows that are worked on together

/// The k smallest, in order, of each of `count` rows of n <= kRanked elements, at most kShortRows in all.
template <class U>
void sort_short_rows(const Rows<U>& r, int64_t row, int64_t count, int64_t k) {
  U keys[kShortRows];
  std::make_signed_t<U> ordered[kShortRows + kRankLanes] = {};
  uint8_t places[kShortRows];
  const int64_t n = r.n();
  r.keys(row, 0, count * n, keys);
  for (int64_t i = 0; i < count * n; ++i) ordered[i] = as_signed(keys[i]);
  for (int64_t i = 0; i < count; ++i) rank(ordered + i * n, n, places + i * n);
  r.store_places(row, count, places, k);
}

template <class U>
void sort_short(const Rows<U>& r, int64_t rows, int64_t k) {
  const int64_t together = kShortRows / r.n();
  parallel_for((rows + together - 1) / together, 2, [&](int64_t begin, int64_t end) {
    for (int64_t i = begin; i < end; ++i)
      sort_short_rows(r, i * together, std::min(together, rows - i * together), k);
  });
}

/// The k smallest of a row, for few of many: a heap of the best so far, the worst of them on top.
template <class U>
void heap_smallest(const Rows<U>& r, int64_t row, int64_t k, Item<U>* items) {
  U keys[kBlock];
  for (int64_t from = 0; from < k; from += kBlock) {
    const int64_t count = std::min(kBlock, k - from);
    r.keys(row, from, count, keys);
    for (int64_t j = 0; j < count; ++j) items[from + j] = Item<U>(keys[j], from + j);
  }
  std::make_heap(items, items + k);
  for (int64_t from = k; from < r.n(); from += kBlock) {
    // Most blocks hold nothing better: finding that out is a loop without branches.
    const int64_t count = std::min(kBlock, r.n() - from);
    const U worst = items[0].key();
    U better = 0;
    r.keys(row, from, count, keys);
#pragma omp simd reduction(| : better)
    for (int64_t j = 0; j < count; ++j) better |= keys[j] < worst ? U(1) : U(0);
    if (!better) continue;
    for (int64_t j = 0; j < count; ++j) {
      const Item<U> item(keys[j], from + j);
      if (!(item < items[0])) continue;
      std::pop_heap(items, items + k);
      items[k - 1] = item;
      std::push_heap(items, items + k);
    }
  }
  std::sort_heap(items, items + k);
}

/// The k smallest first, by the steps of PyTorch's CPU kernel: its choice among equal keys follows from those of the
/// standard library's algorithms.
template <class U>
void select_as_pytorch(Item<U>* items, int64_t n, int64_t k) {
  const auto by_key = [](const Item<U>& a, const Item<U>& b) { return a.key() < b.key(); };
  if (k * 64 <= n) {
    std::partial_sort(items, items + k, items + n, by_key);
  } else {
    std::nth_element(items, items + k - 1, items + n, by_key);
    std::sort(items, items + k - 1, by_key);
  }
}

}  // namespace

void sort(bool descending, int64_t rows, int64_t n, const Tensor& values, const Tensor& indices, const Tensor& in) {
  if (!indices.defined())
    return sort(descending, rows, n, values, new_tensor({rows, n}, DType::Int64, in.device()), in);
  uint64_t base = 0;
  const auto with = [&](auto key) {
    using U = decltype(key);
    const Rows<U> r(in, values, indices, n, descending, base);
    if (n <= kRanked) return sort_short(r, rows, n);
    each_row<U>(rows, n, [&](int64_t row, Room<U>& room) {
      r.fill(row, room.items.get());
      r.store(row, sort_items<U>(room.items.get(), room.other.get(), n, room.counts.get()), n);
    });
  };
  if (rows > 0 && n <= 0xFFFFFFFF && are_narrow(in, n, descending, base)) return with(uint32_t{});
  base = 0;
  visit_key(in.dtype(), with);
}

void topk(bool largest, int64_t rows, int64_t n, int64_t k, const Tensor& values, const Tensor& indices,
          const Tensor& in) {
  if (k == 0) return;
  const bool as_pytorch = pytorch_ties();
  visit_key(in.dtype(), [&](auto key) {
    using U = decltype(key);
    const Rows<U> r(in, values, indices, n, largest);
    if (!as_pytorch && n <= kRanked && k * 16 > n) return sort_short(r, rows, k);
    each_row<U>(rows, n, [&](int64_t row, Room<U>& room) {
      Item<U>*items = room.items.get(), *other = room.other.get();
      if (as_pytorch) {
        r.fill(row, items);
        select_as_pytorch<U>(items, n, k);
        r.store(row, items, k);
        return;
      }
      if (k * (n > kRanked ? 64 : 16) <= n) {
        heap_smallest(r, row, k, items);
        r.store(row, items, k);
        return;
      }
      r.fill(row, items);
      if (k * 2 > n) {
        r.store(row, sort_items<U>(items, other, n, room.counts.get()), k);
        return;
      }
      // The k-th is found, and those up to it are taken in their order.
      std::copy_n(items, n, other);
      select_item(other, n, k - 1);
      const Item<U> last = other[k - 1];
      int64_t count = 0;
      for (int64_t j = 0; j < n; ++j) {
        items[count] = items[j];
        count += last < items[j] ? 0 : 1;
      }
      r.store(row, sort_items<U>(items, other, k, room.counts.get()), k);
    });
  });
}

void kth(int64_t rows, int64_t n, int64_t k, const Tensor& values, const Tensor& indices, const Tensor& in) {
  visit_key(in.dtype(), [&](auto key) {
    using U = decltype(key);
    const Rows<U> r(in, values, indices, n, false);
    each_row<U>(rows, n, [&](int64_t row, Room<U>& room) {
      Item<U>* items = room.items.get();
      r.fill(row, items);
      select_item(items, n, k);
      r.store(row, items + k, 1);
    });
  });
}

}  // namespace norch::kernels::cpu::NORCH_ISA
