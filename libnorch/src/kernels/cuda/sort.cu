// Sorting: short rows in a block each, long ones and several of them together by CUB's radix sort.
#include <cub/device/device_radix_sort.cuh>

#include <algorithm>

#include "kernels/cuda/sort_keys.cuh"

namespace norch::kernels::cuda {

namespace {

using sorting::bytes;
using sorting::KeyMaker;

constexpr int kThreads = 256;

/// Keys to sort by and the columns they came from. Keys of several rows carry their row above them, so that one sort
/// does all rows.
template <class Element, class Key>
__global__ void __launch_bounds__(kThreads) make_keys(Key* keys, uint32_t* columns, const void* x, int size, int64_t total,
                                                      int64_t n, int row_shift, const KeyMaker<Element> maker) {
  constexpr int kItems = 4;
  const int64_t first = static_cast<int64_t>(blockIdx.x) * (kThreads * kItems) + threadIdx.x;
  Element elements[kItems];
  sorting::load_elements(elements, x, size, [&](int j) { return min(first + j * kThreads, total - 1); });
#pragma unroll
  for (int j = 0; j < kItems; ++j) {
    const int64_t i = first + j * kThreads;
    if (i >= total) return;
    const int64_t row = n < total ? i / n : 0;
    Key key = maker.key(elements[j]);
    if (row) key |= static_cast<Key>(static_cast<uint64_t>(row) << row_shift);
    keys[i] = key;
    columns[i] = static_cast<uint32_t>(i - row * n);
  }
}

/// The first `count` elements of every sorted row. Elements are what their keys say, where that is known.
template <class Element, class Key>
__global__ void __launch_bounds__(kThreads) store(void* values, int64_t* indices, const void* x, int size, const Key* keys,
                                                  const uint32_t* columns, int64_t total, int64_t n, int64_t count,
                                                  const KeyMaker<Element> maker) {
  const int64_t i = static_cast<int64_t>(blockIdx.x) * kThreads + threadIdx.x;
  if (i >= total) return;
  const int64_t row = count < total ? i / count : 0, from = row * n + i - row * count, column = columns[from];
  indices[i] = column;
  if (!values) return;
  Element element;
  if (!keys || !maker.element(static_cast<Element>(keys[from]) & maker.all, element))
    element = sorting::load_element<Element>(x, size, row * n + column);
  sorting::store_element(values, size, i, element);
}

__global__ void __launch_bounds__(kThreads) rows_of(uint32_t* rows, const uint32_t* flat, int64_t total, int64_t n) {
  const int64_t i = static_cast<int64_t>(blockIdx.x) * kThreads + threadIdx.x;
  if (i < total) rows[i] = static_cast<uint32_t>(flat[i] / n);
}
__global__ void __launch_bounds__(kThreads) columns_of(uint32_t* flat, int64_t total, int64_t n) {
  const int64_t i = static_cast<int64_t>(blockIdx.x) * kThreads + threadIdx.x;
  if (i < total) flat[i] = static_cast<uint32_t>(flat[i] % n);
}

/// Elements of rows of n at places (rows, k).
template <class Element>
__global__ void __launch_bounds__(kThreads) pick(void* out, const void* x, const int64_t* places, int size, int64_t total,
                                                 int64_t n, int64_t k) {
  const int64_t i = static_cast<int64_t>(blockIdx.x) * kThreads + threadIdx.x;
  if (i < total)
    sorting::store_element(out, size, i, sorting::load_element<Element>(x, size, i / k * n + places[i]));
}

/// What a sort needs twice: CUB goes from one to the other and back.
struct Buffers {
  Tensor now, other;
};

/// Sorts (keys, columns) by the lowest `bits` bits.
template <class Key>
void sort_pairs(Buffers& keys, Buffers& columns, int64_t total, int bits) {
  const Device device = keys.now.device();
  const cudaStream_t stream = norch::cuda::current_stream();
  auto buffer = [&](Buffers& b, size_t size, auto* type) {
    if (!b.other.defined()) b.other = bytes(total * static_cast<int64_t>(size), device);
    using T = std::remove_pointer_t<decltype(type)>;
    return cub::DoubleBuffer<T>(static_cast<T*>(b.now.data_ptr()), static_cast<T*>(b.other.data_ptr()));
  };
  auto k = buffer(keys, sizeof(Key), static_cast<Key*>(nullptr));
  auto c = buffer(columns, 4, static_cast<uint32_t*>(nullptr));
  size_t room = 0;
  check(cub::DeviceRadixSort::SortPairs(nullptr, room, k, c, total, 0, bits, stream), "sort");
  const Tensor temporary = bytes(static_cast<int64_t>(room), device);
  check(cub::DeviceRadixSort::SortPairs(temporary.data_ptr(), room, k, c, total, 0, bits, stream), "sort");
  if (k.Current() == keys.other.data_ptr()) std::swap(keys.now, keys.other);
  if (c.Current() == columns.other.data_ptr()) std::swap(columns.now, columns.other);
}

/// Sorts all rows together; stores the first `count` elements of each.
template <class Element>
void sort_together(bool descending, int64_t rows, int64_t n, int64_t count, const Tensor& values, const Tensor& indices,
                   const Tensor& in) {
  const int64_t total = rows * n;
  NORCH_CHECK(n <= int64_t{0xFFFFFFFF}, "sort: a row of ", n, " elements is too long");
  const Device device = in.device();
  const int size = static_cast<int>(itemsize(in.dtype()));
  const KeyMaker<Element> maker(in.dtype(), descending);
  Buffers columns{bytes(total * 4, device), {}};
  auto column = [&] { return static_cast<uint32_t*>(columns.now.data_ptr()); };
  auto make = [&](auto* keys, int64_t row_length) {
    using Key = std::remove_pointer_t<decltype(keys)>;
    launch(make_keys<Element, Key>, blocks_for(total, 4 * kThreads), kThreads, 0, keys, column(), in.data_ptr(), size,
           total, row_length, maker.bits, maker);
  };
  auto finish = [&](auto* keys) {
    using Key = std::remove_pointer_t<decltype(keys)>;
    launch(store<Element, Key>, blocks_for(rows * count, kThreads), kThreads, 0,
           values.defined() ? values.data_ptr() : nullptr, indices.data<int64_t>(), in.data_ptr(), size,
           static_cast<const Key*>(keys), column(), rows * count, n, count, maker);
  };
  int row_bits = 0;
  while ((int64_t{1} << row_bits) < rows) ++row_bits;
  auto together = [&](auto zero) {
    using Key = decltype(zero);
    Buffers keys{bytes(total * static_cast<int64_t>(sizeof(Key)), device), {}};
    make(static_cast<Key*>(keys.now.data_ptr()), n);
    sort_pairs<Key>(keys, columns, total, maker.bits + row_bits);
    finish(static_cast<Key*>(keys.now.data_ptr()));
  };
  if constexpr (sizeof(Element) == 8) {
    if (rows == 1) return together(uint64_t{});
    // No room for the row in the key: sort everything by key, then by row; both sorts keep the order of equals.
    NORCH_CHECK(total <= int64_t{0xFFFFFFFF}, "sort: ", total, " elements of 64 bits are too many for one call");
    Buffers keys{bytes(total * 8, device), {}};
    make(static_cast<uint64_t*>(keys.now.data_ptr()), total);
    sort_pairs<uint64_t>(keys, columns, total, 64);
    keys = {bytes(total * 4, device), {}};
    launch(rows_of, blocks_for(total, kThreads), kThreads, 0, static_cast<uint32_t*>(keys.now.data_ptr()),
           static_cast<const uint32_t*>(column()), total, n);
    sort_pairs<uint32_t>(keys, columns, total, row_bits);
    launch(columns_of, blocks_for(total, kThreads), kThreads, 0, column(), total, n);
    finish(static_cast<uint64_t*>(nullptr));
  } else if (maker.bits + row_bits <= 32) {
    together(uint32_t{});
  } else {
    together(uint64_t{});
  }
}

/// The bits in which elements differ from the first.
template <class Element>
__global__ void __launch_bounds__(kThreads) differing_bits(unsigned long long* bits, const Element* x, int64_t n) {
  constexpr int kItems = 4;
  const Element first = x[0];
  Element differing = 0;
  const int64_t step = static_cast<int64_t>(gridDim.x) * kThreads;
  for (int64_t i = static_cast<int64_t>(blockIdx.x) * kThreads + threadIdx.x; i < n; i += kItems * step) {
    Element some[kItems];
#pragma unroll
    for (int j = 0; j < kItems; ++j) some[j] = x[min(i + j * step, n - 1)];
#pragma unroll
    for (int j = 0; j < kItems; ++j) differing |= some[j] ^ first;
  }
  if (differing) atomicOr(bits, static_cast<unsigned long long>(differing));
}

/// Sorts integers of one sign alone, by the bits in which they differ; false, and nothing done, for others.
template <class Element>
bool sort_values(const Tensor& values, const Tensor& in) {
  const int64_t n = in.numel();
  const Device device = in.device();
  const cudaStream_t stream = norch::cuda::current_stream();
  const Element* x = static_cast<const Element*>(in.data_ptr());
  Element* y = static_cast<Element*>(values.data_ptr());
  const Tensor bits = new_tensor({1}, DType::Int64, device);
  check(cudaMemsetAsync(bits.data_ptr(), 0, 8, stream), "cudaMemsetAsync");
  launch(differing_bits<Element>, std::min(1056u, blocks_for(n, 4 * kThreads)), kThreads, 0,
         static_cast<unsigned long long*>(bits.data_ptr()), x, n);
  uint64_t differing = 0;
  norch::cuda::copy_to_host(&differing, bits.data_ptr(), sizeof differing, device.index);
  int high = 0;
  while (high < 64 && differing >> high) ++high;
  if (high == 8 * static_cast<int>(sizeof(Element)) && is_signed(in.dtype())) return false;
  size_t room = 0;
  check(cub::DeviceRadixSort::SortKeys(nullptr, room, x, y, n, 0, std::max(high, 1), stream), "sort");
  const Tensor temporary = bytes(static_cast<int64_t>(room), device);
  check(cub::DeviceRadixSort::SortKeys(temporary.data_ptr(), room, x, y, n, 0, std::max(high, 1), stream), "sort");
  return true;
}

/// The first `count` elements of each sorted row.
void sort_all(bool descending, int64_t rows, int64_t n, int64_t count, const Tensor& values, const Tensor& indices,
              const Tensor& in) {
  if (n <= sorting::kMostInBlock)
    return sorting::sort_rows(descending, rows, n, count, values, indices, in, nullptr);
  sorting::visit_key(in.dtype(), [&](auto zero) {
    sort_together<decltype(zero)>(descending, rows, n, count, values, indices, in);
  });
}

}  // namespace

void sort(bool descending, int64_t rows, int64_t n, const Tensor& values, const Tensor& indices, const Tensor& in) {
  if (!indices.defined()) {
    const bool alone = rows == 1 && n > sorting::kMostInBlock && !descending && is_integral(in.dtype());
    const size_t size = itemsize(in.dtype());
    if (alone && size == 4 && sort_values<uint32_t>(values, in)) return;
    if (alone && size == 8 && sort_values<uint64_t>(values, in)) return;
    return sort(descending, rows, n, values, new_tensor({rows, n}, DType::Int64, in.device()), in);
  }
  sort_all(descending, rows, n, n, values, indices, in);
}

void topk(bool largest, int64_t rows, int64_t n, int64_t k, const Tensor& values, const Tensor& indices,
          const Tensor& in) {
  const bool few = n > 128 && k <= n / 2 && k <= sorting::kMostInBlock;
  if (!few) return sort_all(largest, rows, n, k, values, indices, in);
  // Find them first, then sort them alone.
  const Tensor places = new_tensor({rows, k}, DType::Int64, in.device());
  sorting::select_places(largest, rows, n, k, places.data<int64_t>(), in);
  const Tensor found = new_tensor({rows, k}, in.dtype(), in.device());
  sorting::visit_key(in.dtype(), [&](auto zero) {
    launch(pick<decltype(zero)>, blocks_for(rows * k, kThreads), kThreads, 0, found.data_ptr(), in.data_ptr(),
           static_cast<const int64_t*>(places.data<int64_t>()), static_cast<int>(itemsize(in.dtype())), rows * k, n, k);
  });
  sorting::sort_rows(largest, rows, k, k, values, indices, found, places.data<int64_t>());
}

void kth(int64_t rows, int64_t n, int64_t k, const Tensor& values, const Tensor& indices, const Tensor& in) {
  sorting::select_one(false, rows, n, k, values, indices, in);
}

}  // namespace norch::kernels::cuda
