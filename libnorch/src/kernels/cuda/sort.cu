#include "kernels/sort.h"

#include <cub/device/device_radix_sort.cuh>

#include "core/factory.h"
#include "kernels/cuda/launch.cuh"

namespace norch::kernels::cuda {

namespace {

/// Keys to sort by and the columns they came from. Keys of several rows carry their row above them, so that one sort
/// does all rows.
template <class T, class Key>
__global__ void __launch_bounds__(256) make_keys(Key* keys, uint32_t* columns, const T* x, int64_t total, int64_t n,
                                                 int row_shift, bool descending) {
  const int64_t i = static_cast<int64_t>(blockIdx.x) * 256 + threadIdx.x;
  if (i >= total) return;
  const int64_t row = i / n;
  Key key = static_cast<Key>(sort_key(x[i], descending));
  if (row) key |= static_cast<Key>(static_cast<uint64_t>(row) << row_shift);
  keys[i] = key;
  columns[i] = static_cast<uint32_t>(i - row * n);
}

/// The first `count` elements from element `from` on of every sorted row.
template <class T>
__global__ void __launch_bounds__(256) store(T* values, int64_t* indices, const T* x, const uint32_t* columns,
                                             int64_t total, int64_t n, int64_t from, int64_t count) {
  const int64_t i = static_cast<int64_t>(blockIdx.x) * 256 + threadIdx.x;
  if (i >= total) return;
  const int64_t row = i / count, column = columns[row * n + from + i - row * count];
  indices[i] = column;
  if (values) values[i] = x[row * n + column];
}

__global__ void __launch_bounds__(256) rows_of(uint32_t* rows, const uint32_t* flat, int64_t total, int64_t n) {
  const int64_t i = static_cast<int64_t>(blockIdx.x) * 256 + threadIdx.x;
  if (i < total) rows[i] = static_cast<uint32_t>(flat[i] / n);
}
__global__ void __launch_bounds__(256) columns_of(uint32_t* flat, int64_t total, int64_t n) {
  const int64_t i = static_cast<int64_t>(blockIdx.x) * 256 + threadIdx.x;
  if (i < total) flat[i] = static_cast<uint32_t>(flat[i] % n);
}

Tensor bytes(size_t n, Device device) {
  return new_tensor({static_cast<int64_t>(n)}, DType::UInt8, device);
}

/// Sorts (keys, columns) by the lowest `bits` bits. Returns the sorted columns.
template <class Key>
Tensor sort_pairs(Tensor& keys, Tensor& columns, int64_t total, int bits) {
  const Device device = keys.device();
  const cudaStream_t stream = norch::cuda::current_stream();
  const Tensor other_keys = bytes(static_cast<size_t>(total) * sizeof(Key), device);
  const Tensor other_columns = bytes(static_cast<size_t>(total) * 4, device);
  cub::DoubleBuffer<Key> k(static_cast<Key*>(keys.data_ptr()), static_cast<Key*>(other_keys.data_ptr()));
  cub::DoubleBuffer<uint32_t> c(static_cast<uint32_t*>(columns.data_ptr()),
                                static_cast<uint32_t*>(other_columns.data_ptr()));
  size_t room = 0;
  check(cub::DeviceRadixSort::SortPairs(nullptr, room, k, c, total, 0, bits, stream), "sort");
  const Tensor temporary = bytes(room, device);
  check(cub::DeviceRadixSort::SortPairs(temporary.data_ptr(), room, k, c, total, 0, bits, stream), "sort");
  return c.Current() == other_columns.data_ptr() ? other_columns : columns;
}

/// The columns of every row in sorted order.
template <class T>
Tensor sorted_columns(bool descending, int64_t rows, int64_t n, const Tensor& in) {
  const int64_t total = rows * n;
  NORCH_CHECK(n <= int64_t{0xFFFFFFFF}, "sort: a row of ", n, " elements is too long");
  const Device device = in.device();
  const T* x = static_cast<const T*>(in.data_ptr());
  constexpr int kBits = 8 * sizeof(T);
  Tensor columns = bytes(static_cast<size_t>(total) * 4, device);
  uint32_t* column = static_cast<uint32_t*>(columns.data_ptr());
  auto make = [&](auto* key, int64_t row_length, int shift) {
    using Key = std::remove_pointer_t<decltype(key)>;
    launch(make_keys<T, Key>, blocks_for(total, 256), 256, 0, key, column, x, total, row_length, shift, descending);
  };
  int row_bits = 0;
  while ((int64_t{1} << row_bits) < rows) ++row_bits;
  if constexpr (sizeof(T) == 8) {
    // No room for the row in the key: sort everything by key, then by row; both sorts keep the order of equals.
    NORCH_CHECK(total <= int64_t{0xFFFFFFFF}, "sort: ", total, " elements of 64 bits are too many for one call");
    Tensor keys = bytes(static_cast<size_t>(total) * 8, device);
    make(static_cast<uint64_t*>(keys.data_ptr()), total, 0);
    Tensor flat = sort_pairs<uint64_t>(keys, columns, total, 64);
    if (rows == 1) return flat;
    Tensor row = bytes(static_cast<size_t>(total) * 4, device);
    launch(rows_of, blocks_for(total, 256), 256, 0, static_cast<uint32_t*>(row.data_ptr()),
           static_cast<const uint32_t*>(flat.data_ptr()), total, n);
    flat = sort_pairs<uint32_t>(row, flat, total, row_bits);
    launch(columns_of, blocks_for(total, 256), 256, 0, static_cast<uint32_t*>(flat.data_ptr()), total, n);
    return flat;
  } else if (kBits + row_bits <= 32) {
    Tensor keys = bytes(static_cast<size_t>(total) * 4, device);
    make(static_cast<uint32_t*>(keys.data_ptr()), n, kBits);
    return sort_pairs<uint32_t>(keys, columns, total, kBits + row_bits);
  } else {
    Tensor keys = bytes(static_cast<size_t>(total) * 8, device);
    make(static_cast<uint64_t*>(keys.data_ptr()), n, kBits);
    return sort_pairs<uint64_t>(keys, columns, total, kBits + row_bits);
  }
}

void run(bool descending, int64_t rows, int64_t n, int64_t from, int64_t count, const Tensor& values,
         const Tensor& indices, const Tensor& in) {
  visit_all(in.dtype(), [&](auto tag) {
    using T = typename decltype(tag)::type;
    const Tensor columns = sorted_columns<T>(descending, rows, n, in);
    launch(store<T>, blocks_for(rows * count, 256), 256, 0,
           values.defined() ? static_cast<T*>(values.data_ptr()) : nullptr, indices.data<int64_t>(),
           static_cast<const T*>(in.data_ptr()), static_cast<const uint32_t*>(columns.data_ptr()), rows * count, n,
           from, count);
  });
}

}  // namespace

void sort(bool descending, int64_t rows, int64_t n, const Tensor& values, const Tensor& indices, const Tensor& in) {
  run(descending, rows, n, 0, n, values, indices, in);
}
void topk(bool largest, int64_t rows, int64_t n, int64_t k, const Tensor& values, const Tensor& indices,
          const Tensor& in) {
  run(largest, rows, n, 0, k, values, indices, in);
}
void kth(int64_t rows, int64_t n, int64_t k, const Tensor& values, const Tensor& indices, const Tensor& in) {
  run(false, rows, n, k, 1, values, indices, in);
}

}  // namespace norch::kernels::cuda
