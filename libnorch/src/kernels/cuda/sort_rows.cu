// Sorting rows that a block can hold.
#include <cub/block/block_radix_sort.cuh>

#include "kernels/cuda/sort_keys.cuh"

namespace norch::kernels::cuda::sorting {

namespace {

template <class Key>
struct Rows {
  const void* x;
  void* values;
  int64_t* indices;
  const int64_t* places;
  int size;  // bytes of an element
  int n, count;
  KeyMaker<Key> maker;
};

template <class Key, int kThreads, int kItems>
__global__ void __launch_bounds__(kThreads) sort_rows_kernel(const __grid_constant__ Rows<Key> s) {
  using Sort = cub::BlockRadixSort<Key, kThreads, kItems, uint16_t>;
  union Room {
    typename Sort::TempStorage sort;
    Key keys[kThreads * kItems];
  };
  __shared__ Room room;
  const int64_t row = blockIdx.x, first = row * s.n;
  Key keys[kItems];
  uint16_t columns[kItems];
  // Read by neighbouring threads, sorted with each thread holding neighbours.
  load_elements(keys, s.x, s.size, [&](int j) { return first + min(static_cast<int>(threadIdx.x) + j * kThreads, s.n - 1); });
#pragma unroll
  for (int j = 0; j < kItems; ++j) {
    const int column = threadIdx.x + j * kThreads;
    room.keys[column] = column < s.n ? s.maker.key(keys[j]) : s.maker.all;  // sorted behind all others
  }
  __syncthreads();
#pragma unroll
  for (int j = 0; j < kItems; ++j) {
    columns[j] = static_cast<uint16_t>(threadIdx.x * kItems + j);
    keys[j] = room.keys[columns[j]];
  }
  __syncthreads();
  Sort(room.sort).SortBlockedToStriped(keys, columns, 0, s.maker.bits);
  const int64_t to = row * s.count;
#pragma unroll
  for (int j = 0; j < kItems; ++j) {
    const int i = threadIdx.x + j * kThreads;
    if (i >= s.count) break;
    const int64_t from = first + columns[j];
    s.indices[to + i] = s.places ? s.places[from] : columns[j];
    if (!s.values) continue;
    Key element;
    if (!s.maker.element(keys[j], element)) element = load_element<Key>(s.x, s.size, from);
    store_element(s.values, s.size, to + i, element);
  }
}

}  // namespace

void sort_rows(bool descending, int64_t rows, int64_t n, int64_t count, const Tensor& values, const Tensor& indices,
               const Tensor& in, const int64_t* places) {
  visit_key(in.dtype(), [&](auto zero) {
    using Key = decltype(zero);
    const Rows<Key> s{in.data_ptr(),
                      values.defined() ? values.data_ptr() : nullptr,
                      indices.data<int64_t>(),
                      places,
                      static_cast<int>(itemsize(in.dtype())),
                      static_cast<int>(n),
                      static_cast<int>(count),
                      KeyMaker<Key>(in.dtype(), descending)};
    const unsigned blocks = blocks_for(rows, 1);
    if (n <= 128)
      launch(sort_rows_kernel<Key, 32, 4>, blocks, 32, 0, s);
    else if (n <= 512)
      launch(sort_rows_kernel<Key, 64, 8>, blocks, 64, 0, s);
    else if (n <= 1024)
      launch(sort_rows_kernel<Key, 128, 8>, blocks, 128, 0, s);
    else if (n <= 2048)
      launch(sort_rows_kernel<Key, 256, 8>, blocks, 256, 0, s);
    else
      launch(sort_rows_kernel<Key, 512, 8>, blocks, 512, 0, s);
  });
}

}  // namespace norch::kernels::cuda::sorting
